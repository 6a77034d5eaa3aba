//! All interleavings of a few threads at the group commit and its gate, by loom: nobody is left waiting, and
//! nobody is told what is not so. A thread that waits in vain is a deadlock, which loom reports.

mod sending;

use super::primitives::{Condvar, Mutex};
use super::{Bell, Gate, Goal, GroupCommit, Leader, Place, Rope};
use crate::{Error, ErrorKind, Result};
use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;
use std::task::{Context, Poll, Wake, Waker};

/// How many switches away from a thread that could go on are tried.
const PREEMPTIONS_MAX: usize = 3;

fn in_all_orders(work: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS_MAX);
    builder.check(work);
}

/// A log in so many words: an end under an append lock, and a disk thread that is called.
struct Log {
    commit: GroupCommit,
    tail: Mutex<Tail>,
    called: Mutex<Called>,
    call: Condvar,
    disk: Disk,
    stored: Mutex<Stored>,
}

#[derive(Default)]
struct Tail {
    end: u64,
    refuses: Refuses,
}

/// What a log does no more.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Refuses {
    #[default]
    Nothing,
    Appends,
    Syncs,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Disk {
    Works,
    Fails,
    /// The first sync fails, and those after it say that all is well.
    FailsOnce,
}

/// What a power cut would leave.
#[derive(Default)]
struct Stored {
    end: u64,
    has_failed: bool,
}

#[derive(Default)]
struct Called {
    is_called: bool,
    is_stopped: bool,
}

impl Leader for Log {
    fn lead(&self, covering: &mut dyn FnMut(u64)) -> Result<u64> {
        let end = {
            let tail = self.tail.lock();
            if tail.refuses == Refuses::Syncs {
                return Err(Error::new(ErrorKind::Closed, "closed"));
            }
            tail.end
        };
        covering(end);
        self.sync(end)
    }

    fn pass_on(&self) {
        self.called.lock().is_called = true;
        self.call.notify_one();
    }
}

impl Log {
    fn new(disk: Disk) -> Arc<Self> {
        Arc::new(Self {
            commit: GroupCommit::new(0),
            tail: Mutex::new(Tail::default()),
            called: Mutex::new(Called::default()),
            call: Condvar::new(),
            disk,
            stored: Mutex::new(Stored::default()),
        })
    }

    fn append(&self) -> Goal {
        self.append_unless_closed().expect("nobody closes it")
    }

    fn append_unless_closed(&self) -> Option<Goal> {
        let mut tail = self.tail.lock();
        if tail.refuses >= Refuses::Appends {
            return None;
        }
        tail.end += 1;
        Some(self.commit.goal(tail.end))
    }

    fn sync(&self, end: u64) -> Result<u64> {
        let mut stored = self.stored.lock();
        if self.disk == Disk::Fails || (self.disk == Disk::FailsOnce && !stored.has_failed) {
            stored.has_failed = true;
            return Err(Error::new(ErrorKind::Io, "the disk said no"));
        }
        if !stored.has_failed {
            stored.end = end;
        }
        Ok(end)
    }

    fn truncate(&self) {
        let mut tail = self.tail.lock();
        tail.end = 0;
        self.commit.restart(0);
        drop(tail);
        self.commit.wake_futures();
    }

    fn close(&self) -> Result<()> {
        let end = {
            let mut tail = self.tail.lock();
            tail.refuses = tail.refuses.max(Refuses::Appends);
            tail.end
        };
        let synced = self.commit.wait_quietly(self.commit.goal(end), self);
        self.tail.lock().refuses = Refuses::Syncs;
        self.commit.fail(&Error::new(ErrorKind::Closed, "closed"));
        self.commit.wake_futures();
        synced
    }

    /// Blocks as a future does: woken, and leaving the sync to the disk thread.
    fn wait_as_future(&self, goal: Goal) -> Result<()> {
        let sleeper = std::sync::Arc::new(Sleeper::default());
        let waker = Waker::from(std::sync::Arc::clone(&sleeper));
        let mut place = Place::default();
        loop {
            if let Poll::Ready(result) = self.commit.poll(goal, &mut place, &mut Context::from_waker(&waker))
            {
                return result;
            }
            if self.commit.demand(goal) {
                self.pass_on();
            }
            sleeper.sleep();
        }
    }

    fn run_disk_thread(&self) {
        loop {
            let mut called = self.called.lock();
            while !called.is_called && !called.is_stopped {
                self.call.wait(&mut called);
            }
            if called.is_stopped {
                return;
            }
            called.is_called = false;
            drop(called);
            self.commit.serve_demand(self);
        }
    }

    fn stop_disk_thread(&self) {
        self.called.lock().is_stopped = true;
        self.call.notify_one();
    }
}

/// Wakes a thread that sleeps. Not by `unpark`, which in loom also wakes a thread that waits for a lock.
#[derive(Default)]
struct Sleeper {
    is_woken: Mutex<bool>,
    wake: Condvar,
}

impl Sleeper {
    fn sleep(&self) {
        let mut is_woken = self.is_woken.lock();
        while !std::mem::take(&mut *is_woken) {
            self.wake.wait(&mut is_woken);
        }
    }
}

impl Wake for Sleeper {
    fn wake(self: std::sync::Arc<Self>) {
        *self.is_woken.lock() = true;
        self.wake.notify_one();
    }
}

#[test]
fn of_blocking_waiters_nobody_is_left() {
    in_all_orders(|| {
        let log = Log::new(Disk::Works);
        let others: Vec<_> = (0..2)
            .map(|_| {
                let log = Arc::clone(&log);
                thread::spawn(move || {
                    let goal = log.append();
                    log.commit.wait(goal, &*log).expect("the disk works");
                    assert!(log.commit.durable() >= goal.end);
                })
            })
            .collect();
        let goal = log.append();
        log.commit.wait(goal, &*log).expect("the disk works");
        others.into_iter().for_each(|other| other.join().expect("it waits and ends"));
        assert_eq!(log.commit.durable(), 3);
    });
}

#[test]
fn a_failed_sync_reaches_everybody() {
    in_all_orders(|| {
        let log = Log::new(Disk::Fails);
        let other = {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                let goal = log.append();
                log.commit.wait(goal, &*log).expect_err("the disk fails");
            })
        };
        let goal = log.append();
        log.commit.wait(goal, &*log).expect_err("the disk fails");
        other.join().expect("it waits and ends");
        assert_eq!(log.commit.durable(), 0);
    });
}

#[test]
fn a_future_is_served_beside_a_blocking_waiter() {
    in_all_orders(|| {
        let log = Log::new(Disk::Works);
        let disk = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.run_disk_thread())
        };
        let blocking = {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                let goal = log.append();
                log.commit.wait(goal, &*log).expect("the disk works");
            })
        };
        let goal = log.append();
        log.wait_as_future(goal).expect("the disk works");
        log.stop_disk_thread();
        blocking.join().expect("it waits and ends");
        disk.join().expect("it stops");
    });
}

#[test]
fn a_truncation_answers_whoever_waits() {
    in_all_orders(|| {
        let log = Log::new(Disk::Works);
        let goal = log.append();
        let cutter = {
            let log = Arc::clone(&log);
            thread::spawn(move || {
                log.truncate();
                let goal = log.append();
                log.commit.wait(goal, &*log).expect("the disk works");
            })
        };
        match log.commit.wait(goal, &*log) {
            Ok(()) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
        }
        cutter.join().expect("it waits and ends");
        log.commit.wait(goal, &*log).expect_err("it was taken back, whatever has its place");
    });
}

#[test]
fn a_truncation_wakes_futures() {
    in_all_orders(|| {
        let log = Log::new(Disk::Works);
        let goal = log.append();
        let disk = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.run_disk_thread())
        };
        let cutter = {
            let log = Arc::clone(&log);
            thread::spawn(move || log.truncate())
        };
        if let Err(error) = log.wait_as_future(goal) {
            assert_eq!(error.kind(), ErrorKind::Conflict);
        }
        log.stop_disk_thread();
        cutter.join().expect("it cuts and ends");
        disk.join().expect("it stops");
    });
}

#[test]
fn closing_answers_whoever_waits_and_rightly() {
    for disk in [Disk::Works, Disk::FailsOnce] {
        in_all_orders(move || {
            let log = Log::new(disk);
            let early = log.append();
            let appending = {
                let log = Arc::clone(&log);
                thread::spawn(move || {
                    let Some(late) = log.append_unless_closed() else { return };
                    let acknowledged = log.commit.wait(late, &*log).is_ok();
                    assert!(!acknowledged || log.stored.lock().end >= late.end);
                    assert!(acknowledged || disk == Disk::FailsOnce);
                })
            };
            let closing = {
                let log = Arc::clone(&log);
                thread::spawn(move || {
                    let closed = log.close();
                    assert_eq!(closed.is_ok(), disk == Disk::Works);
                })
            };
            assert_eq!(log.commit.wait(early, &*log).is_ok(), disk == Disk::Works);
            appending.join().expect("it waits and ends");
            closing.join().expect("it waits and ends");
        });
    }
}

#[test]
fn a_gate_loses_no_wake_up() {
    in_all_orders(|| {
        let gate = Arc::new(Gate::new(0));
        let other = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                for reached in [1, 2] {
                    gate.store(reached);
                    gate.wake();
                }
            })
        };
        let sleeper = std::sync::Arc::new(Sleeper::default());
        let waker = Waker::from(std::sync::Arc::clone(&sleeper));
        while gate.reached() < 2 {
            let ticket = gate.enroll(2, waker.clone());
            if gate.reached() < 2 {
                sleeper.sleep();
            }
            gate.leave(ticket);
        }
        other.join().expect("it ends");
    });
}

/// As a consumer waits on many partitions: whichever grows, and in whatever order, the one sleeper hears of it.
#[test]
fn one_sleeper_hears_of_all_gates() {
    in_all_orders(|| {
        let bell = std::sync::Arc::new(Bell::default());
        let gates = [Arc::new(Gate::new(0)), Arc::new(Gate::new(0))];
        let growing: Vec<_> = gates
            .iter()
            .map(|gate| {
                let gate = Arc::clone(gate);
                thread::spawn(move || {
                    gate.store(1);
                    gate.wake();
                })
            })
            .collect();
        let sleeper = std::sync::Arc::new(Sleeper::default());
        let waker = Waker::from(std::sync::Arc::clone(&sleeper));
        let ropes = [Rope::waker(&bell, 0), Rope::waker(&bell, 1)];
        let mut to_ask = std::collections::BTreeSet::from([0, 1]);
        let mut grown = std::collections::BTreeSet::new();
        while grown.len() < 2 {
            for number in std::mem::take(&mut to_ask) {
                let at = usize::try_from(number).expect("there are two");
                let ticket = gates[at].enroll(1, ropes[at].clone());
                if gates[at].reached() == 1 {
                    gates[at].leave(ticket);
                    grown.insert(at);
                }
            }
            if grown.len() < 2 && bell.poll(&Context::from_waker(&waker)).is_pending() {
                sleeper.sleep();
            }
            to_ask = bell.take();
        }
        growing.into_iter().for_each(|thread| thread.join().expect("it ends"));
    });
}
