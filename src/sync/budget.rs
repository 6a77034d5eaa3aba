//! A number of bytes that may be in use at once, and those that wait for some to be given back.

use super::primitives::Mutex;
use super::wake::wake_each;
use super::{Bug, planted};
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

/// Bytes that are taken and given back. Those that find too few wait in line: nobody is overtaken, so that a
/// large request is not starved by small ones.
///
/// Only the first in line is ever woken; whoever leaves the line, served or not, wakes the next if there is
/// enough for it.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes_max: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    left: usize,
    next_ticket: u64,
    /// In the order in which they came.
    line: BTreeMap<u64, Waiting>,
    /// Why nothing is taken any more.
    closed: Option<Error>,
}

#[derive(Debug)]
struct Waiting {
    needed: usize,
    waker: Waker,
}

/// The place of one that waits.
#[derive(Debug, Default)]
pub(crate) struct PlaceInLine(Option<u64>);

impl Budget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let state = State { left: bytes_max, next_ticket: 0, line: BTreeMap::new(), closed: None };
        Self { bytes_max, state: Mutex::new(state) }
    }

    /// What may be in use at once.
    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// What is in use.
    pub(crate) fn in_use(&self) -> usize {
        self.bytes_max.saturating_sub(self.state.lock().left)
    }

    /// Whether somebody waits for bytes.
    pub(crate) fn is_waited_for(&self) -> bool {
        !self.state.lock().line.is_empty()
    }

    /// Takes `needed` bytes if they are there and nobody waits for any.
    pub(crate) fn try_take(&self, needed: usize) -> bool {
        let mut state = self.state.lock();
        if state.line.is_empty() && state.left >= needed {
            state.left -= needed;
            return true;
        }
        false
    }

    /// Takes `needed` bytes when it is the caller's turn, who is woken then. At most `bytes_max` are asked for.
    ///
    /// # Errors
    /// Why it was closed.
    pub(crate) fn poll_take(
        &self,
        needed: usize,
        place: &mut PlaceInLine,
        context: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        let mut state = self.state.lock();
        let ticket = *place.0.get_or_insert_with(|| {
            state.next_ticket += 1;
            state.next_ticket
        });
        // The waker that was there is dropped when the lock is gone: it may be the last of a task.
        let old = state.line.insert(ticket, Waiting { needed, waker: context.waker().clone() });
        let answer = if let Some(error) = &state.closed {
            Poll::Ready(Err(error.clone()))
        } else if state.is_first(ticket) && state.left >= needed {
            state.left -= needed;
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        };
        drop(state);
        drop(old);
        if answer.is_ready() {
            self.leave(place);
        }
        answer
    }

    /// Leaves the line.
    pub(crate) fn leave(&self, place: &mut PlaceInLine) {
        let Some(ticket) = place.0.take() else { return };
        let mut state = self.state.lock();
        let own = state.line.remove(&ticket);
        let next = state.due();
        drop(state);
        drop(own);
        wake_each(next);
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.left += bytes;
        let next = state.due().filter(|_| !planted(Bug::BlockedNotWoken));
        drop(state);
        wake_each(next);
    }

    /// Answers all that wait, and all that will, with `error`.
    pub(crate) fn close(&self, error: &Error) {
        let mut state = self.state.lock();
        state.closed.get_or_insert_with(|| error.clone());
        let wakers: Vec<Waker> = state.line.values().map(|waiting| waiting.waker.clone()).collect();
        drop(state);
        wake_each(wakers);
    }
}

impl State {
    fn is_first(&self, ticket: u64) -> bool {
        self.line.first_key_value().is_some_and(|(first, _)| *first == ticket)
    }

    /// The first in line, if there is enough for it.
    fn due(&self) -> Option<Waker> {
        let (_, first) = self.line.first_key_value()?;
        (self.left >= first.needed).then(|| first.waker.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn poll(budget: &Budget, needed: usize, place: &mut PlaceInLine) -> Poll<Result<()>> {
        budget.poll_take(needed, place, &mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn nobody_in_line_is_overtaken() {
        let budget = Budget::new(100);
        assert!(budget.try_take(60));
        let (mut large, mut small) = (PlaceInLine::default(), PlaceInLine::default());
        assert!(poll(&budget, 70, &mut large).is_pending());
        assert!(poll(&budget, 10, &mut small).is_pending(), "the large one came first");
        assert!(!budget.try_take(10), "and those in line before who is not");
        budget.give_back(60);
        assert!(poll(&budget, 10, &mut small).is_pending());
        assert!(matches!(poll(&budget, 70, &mut large), Poll::Ready(Ok(()))));
        assert!(matches!(poll(&budget, 10, &mut small), Poll::Ready(Ok(()))));
        assert_eq!((budget.in_use(), budget.bytes_max()), (80, 100));
    }

    #[test]
    fn who_waits_hears_of_the_end() {
        let budget = Budget::new(10);
        assert!(budget.try_take(10));
        let mut place = PlaceInLine::default();
        assert!(poll(&budget, 1, &mut place).is_pending());
        budget.close(&Error::new(ErrorKind::Closed, "over"));
        assert!(matches!(poll(&budget, 1, &mut place), Poll::Ready(Err(_))));
        budget.give_back(10);
        assert_eq!(budget.in_use(), 0);
    }
}
