//! Leadership of the group commit: who syncs, whom a sync answers, who is next.
//!
//! ```text
//!     wait ──nobody leads──▶ lead: snapshot, sync, publish ──▶ wakes all whom it covered
//!       └───somebody does──▶ sleep in the running round if it covers the goal, else in the next,
//!                            one of whose sleepers leads as soon as this one ends
//! ```
//!
//! Nothing in here does I/O: the leader's work comes from outside, and so the whole of it can be model-checked.

use super::{
    AtomicU64, Bug, Condvar, Deadline, Gate, Goal, Mutex, MutexGuard, Ordering, Place, block_on, planted,
};
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
    /// How often the log has begun anew. A round or a goal of before says nothing about what is there now.
    /// Changes under the lock of the turns.
    term: AtomicU64,
    turns: Mutex<Turns>,
    /// Sleepers of the even and of the odd rounds.
    rounds: [Condvar; 2],
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
}

impl GroupCommit {
    /// A log that is durable up to `durable`.
    pub(crate) fn new(durable: u64) -> Self {
        Self {
            durable: Gate::new(durable),
            term: AtomicU64::new(0),
            turns: Mutex::new(Turns::default()),
            rounds: [Condvar::new(), Condvar::new()],
        }
    }

    /// The durable end (exclusive).
    pub(crate) fn durable(&self) -> u64 {
        self.durable.reached()
    }

    /// The goal of whoever waits for `end` as the log is now. Taken under the lock that orders appends.
    pub(crate) fn goal(&self, end: u64) -> Goal {
        Goal { end, term: self.term.load(Ordering::Acquire) }
    }

    /// Whether the log has begun anew since the goal was set.
    pub(crate) fn is_past(&self, goal: Goal) -> bool {
        self.term.load(Ordering::Acquire) != goal.term
    }

    /// Blocks until `goal` is durable, and leads if nobody else does.
    pub(crate) fn wait(&self, goal: Goal, leader: &dyn Leader) -> Result<()> {
        let mut turns = self.turns.lock();
        loop {
            if self.is_past(goal) {
                return Err(taken_back(goal));
            }
            if self.durable() >= goal.end {
                // A sleeper that need not lead after all hands on the demand that was left to it.
                if self.is_unserved_locked(&turns) {
                    drop(turns);
                    leader.pass_on();
                }
                return Ok(());
            }
            if let Some(error) = &turns.failed {
                return Err(error.clone());
            }
            if !turns.leading {
                turns = self.lead_locked(turns, leader);
                continue;
            }
            let covered = turns.covering.is_none_or(|end| goal.end <= end);
            let round = if covered { turns.round } else { turns.round.wrapping_add(1) };
            turns.sleepers += usize::from(!covered);
            self.sleepers_of(round).wait(&mut turns);
            turns.sleepers -= usize::from(!covered);
        }
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
        if let Some(ticket) = place.durable.take() {
            self.durable.leave(ticket);
        }
        place.durable = Some(self.durable.enroll(goal.end, context.waker().clone()));
        let failed = match &self.turns.lock().failed {
            _ if self.is_past(goal) => Some(taken_back(goal)),
            failed => failed.clone(),
        };
        if self.durable() >= goal.end && !self.is_past(goal) {
            self.forget(place);
            return Poll::Ready(Ok(()));
        }
        match failed {
            Some(error) => {
                self.forget(place);
                Poll::Ready(Err(error))
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
        if self.is_past(goal) {
            return false;
        }
        turns.demand = turns.demand.max(goal.end);
        !turns.leading && turns.failed.is_none()
    }

    /// Leads for as long as there is demand that nobody else serves: the work of the disk thread.
    pub(crate) fn serve_demand(&self, leader: &dyn Leader) {
        let mut turns = self.turns.lock();
        while !turns.leading && turns.failed.is_none() && turns.demand > self.durable() {
            turns = self.lead_locked(turns, leader);
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

    /// Answers all waiters, and all that come later, with `error`.
    pub(crate) fn fail(&self, error: &Error) {
        let mut turns = self.turns.lock();
        turns.failed.get_or_insert_with(|| error.clone());
        self.wake_sleepers();
        drop(turns);
        self.durable.wake_all();
    }

    /// Publishes what was made durable outside of a round, by whoever keeps appends out meanwhile.
    pub(crate) fn advance(&self, durable: u64) {
        let turns = self.turns.lock();
        if durable > self.durable() {
            self.durable.store(durable);
        }
        self.wake_sleepers();
        drop(turns);
        self.durable.wake();
    }

    /// Begins anew after recovery or truncation, durable up to `durable`.
    pub(crate) fn restart(&self, durable: u64) {
        let mut turns = self.turns.lock();
        turns.failed = None;
        self.term.fetch_add(1, Ordering::AcqRel);
        turns.demand = 0;
        self.durable.store(durable);
        self.wake_sleepers();
        drop(turns);
        self.durable.wake_all();
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
    ) -> MutexGuard<'a, Turns> {
        turns.leading = true;
        turns.round = turns.round.wrapping_add(1);
        turns.covering = None;
        let turn = Turn { commit: self, term: self.goal(0).term, ended: false };
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
    fn end_round(&self, term: u64, result: Result<u64>) -> MutexGuard<'_, Turns> {
        let mut turns = self.turns.lock();
        turns.leading = false;
        match result {
            // What it synced may have been truncated meanwhile, and others may have got the same offsets.
            Ok(_) if self.is_past(Goal { end: 0, term }) => {}
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
        if failed {
            self.durable.wake_all()
        } else if !planted(Bug::CommitNotWoken) {
            self.durable.wake()
        }
        self.turns.lock()
    }
}

/// The error of who waits for records that are no longer there, or are others now.
fn taken_back(goal: Goal) -> Error {
    let message = format!(
        "whether the records before offset {} are durable is unknown: the log was reopened or truncated since",
        goal.end
    );
    Error::new(ErrorKind::Poisoned, message)
}

/// A leader's turn. If it ends by a panic, everybody hears that nothing will become durable any more.
struct Turn<'a> {
    commit: &'a GroupCommit,
    term: u64,
    ended: bool,
}

impl<'a> Turn<'a> {
    fn end(mut self, result: Result<u64>) -> MutexGuard<'a, Turns> {
        self.ended = true;
        self.commit.end_round(self.term, result)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let error = Error::new(ErrorKind::Poisoned, "the thread that synced the log panicked: reopen it");
            drop(self.commit.end_round(self.term, Err(error)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;
    use std::time::Duration;

    /// A log whose every sync makes all of it durable.
    struct Log {
        end: AtomicU64,
        syncs: AtomicU64,
    }

    impl Leader for Log {
        fn lead(&self, covering: &mut dyn FnMut(u64)) -> Result<u64> {
            let end = self.end.load(Ordering::SeqCst);
            covering(end);
            self.syncs.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_micros(50));
            Ok(end)
        }
    }

    #[test]
    fn many_waiters_share_few_syncs() {
        let log = Log { end: AtomicU64::new(0), syncs: AtomicU64::new(0) };
        let commit = GroupCommit::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let goal = log.end.fetch_add(1, Ordering::SeqCst) + 1;
                        commit.wait(commit.goal(goal), &log).expect("no sync fails here");
                        assert!(commit.durable() >= goal);
                    }
                });
            }
        });
        assert_eq!(commit.durable(), 400);
        assert!(log.syncs.load(Ordering::SeqCst) < 400);
    }

    /// A disk that has failed.
    struct Broken;

    impl Leader for Broken {
        fn lead(&self, _: &mut dyn FnMut(u64)) -> Result<u64> {
            Err(Error::new(ErrorKind::Io, "the disk said no"))
        }
    }

    #[test]
    fn a_failed_sync_answers_everybody_until_the_log_restarts() {
        let commit = GroupCommit::new(0);
        assert_eq!(commit.wait(commit.goal(1), &Broken).expect_err("the sync fails").kind(), ErrorKind::Io);
        let log = Log { end: AtomicU64::new(1), syncs: AtomicU64::new(0) };
        assert!(commit.wait(commit.goal(1), &log).is_err(), "a failed sync is never tried again");
        assert_eq!(log.syncs.load(Ordering::SeqCst), 0);
        commit.restart(0);
        commit.wait(commit.goal(1), &log).expect("a restarted log syncs");
    }

    /// A log that is truncated while a sync of it runs.
    struct Truncated<'a>(&'a GroupCommit);

    impl Leader for Truncated<'_> {
        fn lead(&self, covering: &mut dyn FnMut(u64)) -> Result<u64> {
            covering(9);
            self.0.restart(4);
            Ok(9)
        }
    }

    /// A sync that ran while the log was truncated counted for the offsets that were taken back, so that what
    /// was appended in their place was taken for durable.
    #[test]
    fn a_sync_from_before_a_truncation_proves_nothing_after_it() {
        let commit = GroupCommit::new(0);
        assert!(commit.demand(commit.goal(9)));
        commit.serve_demand(&Truncated(&commit));
        assert_eq!(commit.durable(), 4);
    }

    #[test]
    fn demand_outlives_the_waiter_and_is_served_by_the_disk_thread() {
        let log = Log { end: AtomicU64::new(3), syncs: AtomicU64::new(0) };
        let commit = GroupCommit::new(0);
        assert!(commit.demand(commit.goal(2)));
        assert!(commit.is_unserved());
        commit.serve_demand(&log);
        assert_eq!((commit.durable(), commit.is_unserved()), (3, false));
    }

    /// A leader that dies.
    struct Panics;

    impl Leader for Panics {
        fn lead(&self, _: &mut dyn FnMut(u64)) -> Result<u64> {
            panic!("a bug");
        }
    }

    #[test]
    fn a_leader_that_panics_leaves_nobody_waiting() {
        let commit = GroupCommit::new(0);
        thread::scope(|scope| {
            let leader = scope.spawn(|| commit.wait(commit.goal(1), &Panics));
            assert!(leader.join().is_err());
        });
        assert_eq!(commit.wait(commit.goal(1), &Broken).expect_err("poisoned").kind(), ErrorKind::Poisoned);
    }
}
