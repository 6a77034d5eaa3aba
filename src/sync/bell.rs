//! Many that may have something, and one who sleeps until one of them does.
//!
//! ```text
//!     gate ──wakes──▶ Rope 3 ─┐
//!     gate ──wakes──▶ Rope 7 ─┼─ring──▶ Bell { rung: {3, 7} } ──wakes──▶ the one who waits
//!     wake-up ────────ring────┘
//! ```

use super::primitives::Mutex;
use super::wake::wake_each;
use super::{Bug, planted};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// Collects who has rung, and wakes the one who waits for any of them.
///
/// No ring is lost: ringing and looking happen under one lock, and who looks and finds nothing has left a waker
/// before the lock is given up. However often a rope is pulled, it is noted once.
#[derive(Default)]
pub(crate) struct Bell(Mutex<Rung>);

#[derive(Default)]
struct Rung {
    ropes: BTreeSet<u64>,
    sleeper: Option<Waker>,
}

impl Bell {
    /// Notes that rope `number` was pulled.
    pub(crate) fn ring(&self, number: u64) {
        let mut rung = self.0.lock();
        rung.ropes.insert(number);
        let sleeper = rung.sleeper.take();
        drop(rung);
        // A waker is the user's code, and is called without the lock.
        wake_each(sleeper.filter(|_| !planted(Bug::BellSleepsOn)));
    }

    /// The ropes that were pulled since this was asked last.
    pub(crate) fn take(&self) -> BTreeSet<u64> {
        std::mem::take(&mut self.0.lock().ropes)
    }

    /// Asks whether a rope was pulled, and to be woken when one is. Only one can wait at a time: the last to ask.
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut rung = self.0.lock();
        if !rung.ropes.is_empty() {
            return Poll::Ready(());
        }
        let before = rung.sleeper.replace(context.waker().clone());
        drop(rung);
        // The last waker of a task takes the task along, and that may ring this bell.
        drop(before);
        Poll::Pending
    }

    /// Nobody waits any more: the waker is let go of.
    pub(crate) fn forget_sleeper(&self) {
        let sleeper = self.0.lock().sleeper.take();
        drop(sleeper);
    }
}

/// A waker that rings a bell.
pub(crate) struct Rope {
    bell: Arc<Bell>,
    number: u64,
}

impl Rope {
    /// The waker that rings `bell` as rope `number`.
    pub(crate) fn waker(bell: &Arc<Bell>, number: u64) -> Waker {
        Waker::from(Arc::new(Self { bell: Arc::clone(bell), number }))
    }
}

impl Wake for Rope {
    fn wake(self: Arc<Self>) {
        self.bell.ring(self.number);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.bell.ring(self.number);
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bell")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::wake::Count;

    #[test]
    fn a_sleeper_is_woken_once_and_hears_of_all() {
        let bell = Arc::new(Bell::default());
        let (three, seven) = (Rope::waker(&bell, 3), Rope::waker(&bell, 7));
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let context = Context::from_waker(&waker);
        assert!(bell.poll(&context).is_pending());
        three.wake_by_ref();
        three.wake_by_ref();
        seven.wake_by_ref();
        assert_eq!(count.get(), 1);
        assert!(bell.poll(&context).is_ready());
        assert_eq!(bell.take(), BTreeSet::from([3, 7]));
        assert!(bell.poll(&context).is_pending());
        bell.forget_sleeper();
        seven.wake();
        assert_eq!(count.get(), 1);
        assert_eq!(bell.take(), BTreeSet::from([7]));
    }
}
