//! Who leads, who is woken, and who hears that it is over.

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
