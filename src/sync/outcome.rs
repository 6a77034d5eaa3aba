//! The one result of work that many wait for.
//!
//! ```text
//!     settle ──▶ result ──▶ poll, get      by whoever holds a share in it
//!                  └──────▶ the settler, or the last to turn away, acts for those that turned away
//! ```

use super::Place;
use super::gate::Gate;
use super::primitives::{AtomicUsize, Mutex, Ordering};
use std::task::{Context, Poll};

/// A result that is set once, and those that wait for it.
///
/// Those that turn away without having heard it are acted for exactly once: by who settles it, if one of them
/// turned away before; else by the first of them that turns away later.
#[derive(Debug)]
pub(crate) struct Outcome<T> {
    /// 1 once it is settled.
    gate: Gate,
    /// 1 once somebody has turned away.
    abandoned: AtomicUsize,
    result: Mutex<Option<T>>,
}

/// Whether somebody turned away before the result was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Audience {
    /// All that wait will hear it.
    Attends,
    /// Somebody has to act for those that have gone.
    Left,
}

impl<T: Clone> Outcome<T> {
    /// Work that is under way.
    pub(crate) fn new() -> Self {
        Self { gate: Gate::new(0), abandoned: AtomicUsize::new(0), result: Mutex::new(None) }
    }

    /// The same, that somebody has turned away from already.
    pub(crate) fn abandoned() -> Self {
        Self { abandoned: AtomicUsize::new(1), ..Self::new() }
    }

    /// Sets the result and wakes all that wait. To be called without any lock. The first result stays.
    pub(crate) fn settle(&self, result: T) -> Audience {
        let mut place = self.result.lock();
        if place.is_some() {
            return Audience::Attends;
        }
        *place = Some(result);
        self.gate.store(1);
        let abandoned = self.abandoned.load(Ordering::Relaxed) != 0;
        drop(place);
        self.gate.wake();
        if abandoned { Audience::Left } else { Audience::Attends }
    }

    /// The result, once there is one.
    pub(crate) fn get(&self) -> Option<T> {
        if self.is_settled() { self.result.lock().clone() } else { None }
    }

    /// Whether there is a result.
    pub(crate) fn is_settled(&self) -> bool {
        self.gate.reached() != 0
    }

    /// The result, or a place among those that are woken when there is one.
    pub(crate) fn poll(&self, place: &mut Place, context: &mut Context<'_>) -> Poll<T> {
        self.forget(place);
        if let Some(result) = self.get() {
            return Poll::Ready(result);
        }
        place.written = Some(self.gate.enroll(1, context.waker().clone()));
        match self.get() {
            None => Poll::Pending,
            Some(result) => {
                self.forget(place);
                Poll::Ready(result)
            }
        }
    }

    /// Takes a waiter off the list.
    pub(crate) fn forget(&self, place: &mut Place) {
        if let Some(ticket) = place.written.take() {
            self.gate.leave(ticket);
        }
    }

    /// Somebody turns away. A result: it is there, and the caller is the first to turn away, so he acts.
    pub(crate) fn abandon(&self) -> Option<T> {
        // Whoever turned away first has acted, or has left it to the settler.
        if self.is_abandoned() {
            return None;
        }
        let result = self.result.lock();
        if self.is_abandoned() {
            return None;
        }
        self.abandoned.store(1, Ordering::Release);
        result.clone()
    }

    /// Whether somebody has turned away.
    fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_those_that_turn_away_one_acts() {
        let before = Outcome::new();
        assert_eq!(before.abandon(), None);
        assert_eq!(before.settle(7), Audience::Left);
        assert_eq!(before.abandon(), None);

        let after = Outcome::new();
        assert_eq!(after.settle(7), Audience::Attends);
        assert_eq!(after.settle(8), Audience::Attends);
        assert_eq!((after.abandon(), after.abandon()), (Some(7), None));
        assert_eq!(after.get(), Some(7));

        assert_eq!(Outcome::abandoned().settle(7), Audience::Left);
    }
}
