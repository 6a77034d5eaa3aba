//! Leadership of the group commit: who syncs, whom a sync answers, who is next.
//!
//! ```text
//!     wait ──nobody leads──▶ lead: snapshot, sync, publish ──▶ wakes all whom it covered
//!       └───somebody does──▶ sleep in the running round if it covers the goal, else in the next,
//!                            one of whose sleepers leads as soon as this one ends
//! ```
//!
//! Nothing in here does I/O: the leader's work comes from outside, and so the whole of it can be model-checked.

use super::primitives::{AtomicU64, Condvar, Mutex, MutexGuard, Ordering};
use super::restarts::Restarts;
use super::{Bug, Deadline, Gate, Goal, Place, block_on, planted};
use crate::{Error, ErrorKind, Result};
use std::task::{Context, Poll};

/// What a leader does.
pub(crate) trait Leader {
    /// Syncs all that is complete now and returns the end (exclusive) that is durable then. Calls `covering`
    /// with that end as soon as it is known, before the sync.
    fn lead(&self, covering: &mut dyn FnMut(u64)) -> Result<u64>;

    /// Somebody who does not block asked for more than the round that just ended has done: have a thread
    /// call [`GroupCommit::serve_demand`].
    fn pass_on(&self) {}
}

/// The durable end of a log, and the threads and futures that wait for it.
#[derive(Debug)]
pub(crate) struct GroupCommit {
    durable: Gate,
    turns: Mutex<Turns>,
    /// Sleepers of the even and of the odd rounds.
    rounds: [Condvar; 2],
    /// How often the log has begun anew, for who sets a goal.
    restarted: AtomicU64,
}

#[derive(Debug, Default)]
struct Turns {
    leading: bool,
    /// The number of the running round, or of the last one.
    round: u64,
    /// What the running round will make durable, once that is known.
    covering: Option<u64>,
    /// The furthest goal that anybody has asked for. Lives here and not in a waiter, so that it outlives one.
    demand: u64,
    /// How many threads sleep until the next round.
    sleepers: usize,
    /// Why nothing will become durable any more.
    failed: Option<Error>,
    /// Where the log has begun anew. A round or a goal from before says nothing about what is there now.
    restarts: Restarts,
}

/// What becomes of futures whose goal is reached. A waker may do anything, even close the log, so it is never
/// called by somebody who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Futures {
    Wake,
    LeaveAsleep,
}

impl GroupCommit {
    /// A log that is durable up to `durable`.
    pub(crate) fn new(durable: u64) -> Self {
        Self {
            durable: Gate::new(durable),
            turns: Mutex::new(Turns::default()),
            rounds: [Condvar::new(), Condvar::new()],
            restarted: AtomicU64::new(0),
        }
    }

    /// The durable end (exclusive).
    pub(crate) fn durable(&self) -> u64 {
        self.durable.reached()
    }

    /// The goal of somebody who has seen the log reach `end`. To be called before the log can be cut, or before
    /// its end is looked at.
    pub(crate) fn goal(&self, end: u64) -> Goal {
        Goal { end, restarts: self.restarted.load(Ordering::Acquire) }
    }

    /// Blocks until `goal` is durable, and leads if nobody else does.
    ///
    /// # Errors
    /// `Conflict` when what was to become durable was taken back; else why nothing becomes durable any more.
    pub(crate) fn wait(&self, goal: Goal, leader: &dyn Leader) -> Result<()> {
        self.wait_turn(goal, leader, Futures::Wake)
    }

    /// The same for somebody who holds a lock, and calls [`GroupCommit::wake_futures`] once it is released.
    pub(crate) fn wait_quietly(&self, goal: Goal, leader: &dyn Leader) -> Result<()> {
        self.wait_turn(goal, leader, Futures::LeaveAsleep)
    }

    fn wait_turn(&self, goal: Goal, leader: &dyn Leader, futures: Futures) -> Result<()> {
        let mut turns = self.turns.lock();
        loop {
            if let Some(answer) = self.answer_locked(&turns, goal) {
                // A sleeper that need not lead after all hands on the demand that was left to it.
                if self.is_unserved_locked(&turns) {
                    drop(turns);
                    leader.pass_on();
                }
                return answer;
            }
            if !turns.leading {
                turns = self.lead_locked(turns, leader, futures);
                continue;
            }
            let covered = turns.covering.is_none_or(|end| goal.end <= end);
            let round = if covered { turns.round } else { turns.round.wrapping_add(1) };
            turns.sleepers += usize::from(!covered);
            self.sleepers_of(round).wait(&mut turns);
            turns.sleepers -= usize::from(!covered);
        }
    }

    /// What there is to say of `goal`; nothing while it may still become durable.
    fn answer_locked(&self, turns: &Turns, goal: Goal) -> Option<Result<()>> {
        if let Some(end) = turns.restarts.cut_below(goal) {
            let message =
                format!("taken back: the log was cut at offset {end}, and {} was waited for", goal.end);
            return Some(Err(Error::new(ErrorKind::Conflict, message)));
        }
        if self.durable() >= goal.end {
            return Some(Ok(()));
        }
        turns.failed.clone().map(Err)
    }

    /// Whether what `goal` stands for was taken back.
    pub(crate) fn is_taken_back(&self, goal: Goal) -> bool {
        self.turns.lock().restarts.cut_below(goal).is_some()
    }

    /// Blocks until `goal` is durable or the deadline has passed, leaving the sync to others.
    pub(crate) fn wait_until(&self, goal: Goal, deadline: Deadline, place: &mut Place) -> Result<bool> {
        match block_on(deadline, |context| self.poll(goal, place, context)) {
            Some(result) => result.map(|()| true),
            None => Ok(false),
        }
    }

    /// Asks whether `goal` is durable, and to be woken when it may be.
    pub(crate) fn poll(&self, goal: Goal, place: &mut Place, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.forget(place);
        place.durable = Some(self.durable.enroll(goal.end, context.waker().clone()));
        let answer = self.answer_locked(&self.turns.lock(), goal);
        match answer {
            Some(answer) => {
                self.forget(place);
                Poll::Ready(answer)
            }
            None => Poll::Pending,
        }
    }

    /// Takes a future off the list of those to wake.
    pub(crate) fn forget(&self, place: &mut Place) {
        if let Some(ticket) = place.durable.take() {
            self.durable.leave(ticket);
        }
    }

    /// Asks for `goal` to become durable without waiting for it. True when somebody must be found to lead.
    pub(crate) fn demand(&self, goal: Goal) -> bool {
        if self.durable() >= goal.end {
            return false;
        }
        let mut turns = self.turns.lock();
        if turns.restarts.cut_below(goal).is_some() {
            return false;
        }
        turns.demand = turns.demand.max(goal.end);
        !turns.leading && turns.failed.is_none()
    }

    /// Leads for as long as there is demand that nobody else serves: the work of the disk thread.
    pub(crate) fn serve_demand(&self, leader: &dyn Leader) {
        let mut turns = self.turns.lock();
        while !turns.leading && turns.failed.is_none() && turns.demand > self.durable() {
            turns = self.lead_locked(turns, leader, Futures::Wake);
        }
    }

    /// True when there is demand, nobody leads, and no sleeper is about to.
    #[cfg(test)]
    fn is_unserved(&self) -> bool {
        self.is_unserved_locked(&self.turns.lock())
    }

    fn is_unserved_locked(&self, turns: &Turns) -> bool {
        !turns.leading && turns.sleepers == 0 && turns.failed.is_none() && turns.demand > self.durable()
    }

    /// Answers all waiters, and all that come later, with `error`. Futures hear of it by
    /// [`GroupCommit::wake_futures`].
    pub(crate) fn fail(&self, error: &Error) {
        let mut turns = self.turns.lock();
        turns.failed.get_or_insert_with(|| error.clone());
        self.wake_sleepers();
    }

    /// Begins anew after recovery or truncation, durable up to `durable`, where the log ends now. Whoever waits
    /// for more than that waits in vain, and hears so: futures by [`GroupCommit::wake_futures`].
    pub(crate) fn restart(&self, durable: u64) {
        let mut turns = self.turns.lock();
        turns.failed = None;
        turns.restarts.add(durable);
        self.restarted.store(turns.restarts.count(), Ordering::Release);
        turns.demand = turns.demand.min(durable);
        self.durable.store(durable);
        self.wake_sleepers();
    }

    /// Has all futures look anew. To be called without any lock.
    pub(crate) fn wake_futures(&self) {
        self.durable.wake_all();
    }

    /// The same, if there is a failure to hear of.
    pub(crate) fn wake_failed(&self) {
        if self.turns.lock().failed.is_some() {
            self.wake_futures();
        }
    }

    fn wake_sleepers(&self) {
        for round in &self.rounds {
            round.notify_all();
        }
    }

    /// Runs one round with the lock given up meanwhile.
    fn lead_locked<'a>(
        &'a self,
        mut turns: MutexGuard<'a, Turns>,
        leader: &dyn Leader,
        futures: Futures,
    ) -> MutexGuard<'a, Turns> {
        turns.leading = true;
        turns.round = turns.round.wrapping_add(1);
        turns.covering = None;
        let turn = Turn { commit: self, restarts: turns.restarts.count(), futures, ended: false };
        drop(turns);
        let result = leader.lead(&mut |end| {
            self.turns.lock().covering = Some(end);
            if planted(Bug::DurableBeforeSync) {
                self.durable.store(end);
            }
        });
        let turns = turn.end(result);
        if self.is_unserved_locked(&turns) {
            leader.pass_on();
        }
        turns
    }

    fn sleepers_of(&self, round: u64) -> &Condvar {
        if round.is_multiple_of(2) { &self.rounds[0] } else { &self.rounds[1] }
    }

    /// Ends the running round: publishes what it made durable, or the failure.
    fn end_round(&self, restarts: u64, futures: Futures, result: Result<u64>) -> MutexGuard<'_, Turns> {
        let mut turns = self.turns.lock();
        turns.leading = false;
        match result {
            // What it synced may have been truncated meanwhile, and others may have got the same offsets; what
            // failed may be what the log has been recovered from.
            _ if turns.restarts.count() != restarts => {}
            Ok(durable) if durable > self.durable() => self.durable.store(durable),
            Ok(_) => {}
            Err(error) => {
                turns.failed.get_or_insert(error);
            }
        }
        if turns.failed.is_some() {
            self.sleepers_of(turns.round.wrapping_add(1)).notify_all();
        } else {
            self.sleepers_of(turns.round.wrapping_add(1)).notify_one();
        }
        self.sleepers_of(turns.round).notify_all();
        let failed = turns.failed.is_some();
        drop(turns);
        match futures {
            Futures::LeaveAsleep => {}
            Futures::Wake if failed => self.durable.wake_all(),
            Futures::Wake if planted(Bug::CommitNotWoken) => {}
            Futures::Wake => self.durable.wake(),
        }
        self.turns.lock()
    }
}

/// A leader's term. If it ends by a panic, everybody hears that nothing will become durable any more.
struct Turn<'a> {
    commit: &'a GroupCommit,
    restarts: u64,
    futures: Futures,
    ended: bool,
}

impl<'a> Turn<'a> {
    fn end(mut self, result: Result<u64>) -> MutexGuard<'a, Turns> {
        self.ended = true;
        self.commit.end_round(self.restarts, self.futures, result)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let error = Error::new(ErrorKind::Poisoned, "the thread that synced the log panicked: reopen it");
            drop(self.commit.end_round(self.restarts, self.futures, Err(error)));
        }
    }
}

#[cfg(test)]
mod tests;
