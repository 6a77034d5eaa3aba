//! A number that grows, and those who wait until it has passed their goal.

use super::primitives::{AtomicU64, AtomicUsize, Mutex, Ordering, fence};
use super::wake::wake_each;
use std::collections::BTreeMap;
use std::task::Waker;

/// Wakes whoever waits for a number to reach a goal. Waiting costs nothing while nothing happens, and
/// advancing costs two loads while nobody waits.
///
/// No wake-up is lost: `advance` stores, then looks for waiters; `enroll` enrolls, then looks at the number;
/// a full fence stands between the two steps on both sides, so at least one of them sees the other.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    reached: AtomicU64,
    waiting: AtomicUsize,
    goals: Mutex<Goals>,
}

#[derive(Debug, Default)]
struct Goals {
    next_ticket: u64,
    wakers: BTreeMap<(u64, u64), Waker>,
}

/// The place of one waiter in a gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    goal: u64,
    number: u64,
}

impl Gate {
    /// A gate whose number is `reached`.
    pub(crate) fn new(reached: u64) -> Self {
        Self { reached: AtomicU64::new(reached), ..Self::default() }
    }

    /// The number. All that was written before it was stored can be read.
    pub(crate) fn reached(&self) -> u64 {
        self.reached.load(Ordering::Acquire)
    }

    /// Stores a new number without waking anybody; a later [`Gate::wake`] must follow. Calls do not overlap.
    pub(crate) fn store(&self, reached: u64) {
        self.reached.store(reached, Ordering::Release);
    }

    /// Wakes all whose goal the number has reached.
    pub(crate) fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut goals = self.goals.lock();
        let later = goals.wakers.split_off(&(self.reached().saturating_add(1), 0));
        let due = std::mem::replace(&mut goals.wakers, later);
        self.waiting.store(goals.wakers.len(), Ordering::Relaxed);
        drop(goals);
        wake_each(due.into_values());
    }

    /// Wakes everybody, whatever they wait for: to tell them of an end or a failure.
    pub(crate) fn wake_all(&self) {
        let mut goals = self.goals.lock();
        let due = std::mem::take(&mut goals.wakers);
        self.waiting.store(0, Ordering::Relaxed);
        drop(goals);
        wake_each(due.into_values());
    }

    /// Has `waker` woken when the number reaches `goal`. The caller looks at its condition once more after
    /// this call, and again when it is woken.
    pub(crate) fn enroll(&self, goal: u64, waker: Waker) -> Ticket {
        let mut goals = self.goals.lock();
        let number = goals.next_ticket;
        goals.next_ticket = number.wrapping_add(1);
        goals.wakers.insert((goal, number), waker);
        self.waiting.store(goals.wakers.len(), Ordering::Relaxed);
        drop(goals);
        fence(Ordering::SeqCst);
        Ticket { goal, number }
    }

    /// Takes a waiter off the list; one that was woken is off already.
    pub(crate) fn leave(&self, ticket: Ticket) {
        let mut goals = self.goals.lock();
        let waker = goals.wakers.remove(&(ticket.goal, ticket.number));
        self.waiting.store(goals.wakers.len(), Ordering::Relaxed);
        drop(goals);
        // The last waker of a task takes the task along, and that may hold a place in this gate of its own.
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::wake::Count;
    use std::sync::Arc;

    #[test]
    fn only_those_whose_goal_is_reached_are_woken() {
        let gate = Gate::new(3);
        let (near, far) = (Arc::new(Count::default()), Arc::new(Count::default()));
        gate.enroll(5, near.clone().into());
        let ticket = gate.enroll(6, far.clone().into());
        gate.store(5);
        gate.wake();
        assert_eq!((near.get(), far.get()), (1, 0));
        gate.leave(ticket);
        gate.wake_all();
        assert_eq!(far.get(), 0);
    }
}
