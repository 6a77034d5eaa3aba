//! All interleavings of a few senders: at the outcome of a batch, at the buffer's limit, at what is staged, and at
//! all three while somebody closes. No wake-up is lost, nothing staged is left behind, nobody is left waiting.

use super::super::primitives::{AtomicUsize, Condvar, Mutex, Ordering};
use super::super::{Audience, Budget, Carrier, Left, Outcome, Place, PlaceInLine, Relay};
use super::{Sleeper, in_all_orders};
use crate::{Error, ErrorKind, Result};
use loom::sync::Arc;
use loom::thread;
use std::task::{Context, Poll, Waker};

/// Polls until it is ready, sleeping in between until it is woken.
fn wait<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let sleeper = std::sync::Arc::new(Sleeper::default());
    let waker = Waker::from(std::sync::Arc::clone(&sleeper));
    loop {
        if let Poll::Ready(value) = poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        sleeper.sleep();
    }
}

fn wait_for<T: Clone>(outcome: &Outcome<T>) -> T {
    let mut place = Place::default();
    wait(|context| outcome.poll(&mut place, context))
}

fn take(budget: &Budget, needed: usize) -> Result<()> {
    let mut place = PlaceInLine::default();
    wait(|context| budget.poll_take(needed, &mut place, context))
}

fn over() -> Error {
    Error::new(ErrorKind::Closed, "over")
}

#[test]
fn an_outcome_reaches_whoever_waits_for_it() {
    in_all_orders(|| {
        let outcome = Arc::new(Outcome::new());
        let others = [0, 1].map(|turn| {
            let outcome = Arc::clone(&outcome);
            thread::spawn(move || {
                if turn == 0 {
                    assert_eq!(outcome.settle(7), Audience::Attends);
                } else {
                    assert_eq!(wait_for(&outcome), 7);
                }
            })
        });
        assert_eq!(wait_for(&outcome), 7);
        others.into_iter().for_each(|other| other.join().expect("it ends"));
    });
}

#[test]
fn for_those_that_turn_away_exactly_one_acts() {
    in_all_orders(|| {
        let outcome = Arc::new(Outcome::new());
        let acted = Arc::new(AtomicUsize::new(0));
        let others = [0, 1].map(|_| {
            let (outcome, acted) = (Arc::clone(&outcome), Arc::clone(&acted));
            thread::spawn(move || {
                if outcome.abandon().is_some() {
                    acted.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        if outcome.settle(7) == Audience::Left {
            acted.fetch_add(1, Ordering::Relaxed);
        }
        others.into_iter().for_each(|other| other.join().expect("it ends"));
        assert_eq!(acted.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn all_that_wait_for_room_get_it() {
    in_all_orders(|| {
        let budget = Arc::new(Budget::new(2));
        assert!(budget.try_take(2));
        let others = [1, 2].map(|needed| {
            let budget = Arc::clone(&budget);
            thread::spawn(move || {
                take(&budget, needed).expect("it is not closed");
                budget.give_back(needed);
            })
        });
        budget.give_back(1);
        budget.give_back(1);
        others.into_iter().for_each(|other| other.join().expect("it ends"));
        assert_eq!(budget.in_use(), 0);
    });
}

#[test]
fn who_gives_up_waiting_lets_the_next_pass() {
    in_all_orders(|| {
        let budget = Arc::new(Budget::new(2));
        assert!(budget.try_take(1));
        let patient = {
            let budget = Arc::clone(&budget);
            thread::spawn(move || take(&budget, 1).expect("it is not closed"))
        };
        let mut place = PlaceInLine::default();
        let polled = budget.poll_take(2, &mut place, &mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "there is one at most");
        budget.leave(&mut place);
        patient.join().expect("it ends");
        assert_eq!(budget.in_use(), 2);
    });
}

#[test]
fn a_close_reaches_whoever_waits_for_room() {
    in_all_orders(|| {
        let budget = Arc::new(Budget::new(1));
        assert!(budget.try_take(1));
        let waiting = [1, 1].map(|needed| {
            let budget = Arc::clone(&budget);
            thread::spawn(move || take(&budget, needed).expect_err("nothing is given back"))
        });
        budget.close(&over());
        waiting.into_iter().for_each(|waiting| drop(waiting.join().expect("it ends")));
        assert_eq!(budget.in_use(), 1);
    });
}

/// A log that numbers are carried to.
#[derive(Default)]
struct Log {
    stored: Mutex<Vec<u32>>,
    told: AtomicUsize,
}

impl Carrier for Log {
    type Staged = Vec<u32>;
    type Load = Vec<u32>;
    type Landed = usize;
    type Told = usize;

    fn is_due(&self, staged: &Vec<u32>) -> bool {
        !staged.is_empty()
    }

    fn take(&self, staged: &mut Vec<u32>) -> Option<Vec<u32>> {
        if staged.is_empty() { None } else { Some(std::mem::take(staged)) }
    }

    fn carry(&self, load: Vec<u32>) -> usize {
        let count = load.len();
        self.stored.lock().extend(load);
        count
    }

    fn land(&self, _: &mut Vec<u32>, count: usize) -> usize {
        count
    }

    fn tell(&self, count: usize) {
        self.told.fetch_add(count, Ordering::Relaxed);
    }
}

#[test]
fn nothing_that_is_staged_is_left_behind_nor_overtaken() {
    in_all_orders(|| {
        let shared = Arc::new((Relay::<Vec<u32>>::default(), Log::default()));
        let send = |shared: &(Relay<Vec<u32>>, Log), number| {
            let mut stage = shared.0.lock();
            stage.push(number);
            assert_eq!(shared.0.carry(stage, &shared.1, u32::MAX), Left::Nothing);
        };
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || [10, 11].into_iter().for_each(|number| send(&shared, number)))
        };
        [20, 21].into_iter().for_each(|number| send(&shared, number));
        other.join().expect("it ends");
        let stored = shared.1.stored.lock().clone();
        for own in [[10, 11], [20, 21]] {
            let found: Vec<_> = stored.iter().copied().filter(|number| own.contains(number)).collect();
            assert_eq!(found, own);
        }
        assert_eq!(shared.1.told.load(Ordering::Relaxed), 4);
    });
}

#[test]
fn what_a_carrier_leaves_is_carried_by_whom_it_calls() {
    in_all_orders(|| {
        let shared = Arc::new((Relay::<Vec<u32>>::default(), Log::default()));
        let called = Arc::new((Mutex::new((0, false)), Condvar::new()));
        let timers = {
            let (shared, called) = (Arc::clone(&shared), Arc::clone(&called));
            thread::spawn(move || {
                loop {
                    let mut state = called.0.lock();
                    while state.0 == 0 && !state.1 {
                        called.1.wait(&mut state);
                    }
                    if state.0 == 0 {
                        return;
                    }
                    state.0 = 0;
                    drop(state);
                    let stage = shared.0.lock();
                    assert_eq!(shared.0.carry(stage, &shared.1, u32::MAX), Left::Nothing);
                }
            })
        };
        let send = |shared: &(Relay<Vec<u32>>, Log), called: &(Mutex<(u32, bool)>, Condvar), number| {
            let mut stage = shared.0.lock();
            stage.push(number);
            if shared.0.carry(stage, &shared.1, 1) == Left::More {
                called.0.lock().0 += 1;
                called.1.notify_one();
            }
        };
        let other = {
            let (shared, called) = (Arc::clone(&shared), Arc::clone(&called));
            thread::spawn(move || send(&shared, &called, 1))
        };
        send(&shared, &called, 2);
        other.join().expect("it ends");
        called.0.lock().1 = true;
        called.1.notify_one();
        timers.join().expect("it ends");
        assert_eq!(shared.1.told.load(Ordering::Relaxed), 2);
    });
}

/// A producer in so many words: room for one record or two, one partition, an outcome for each record.
struct Small {
    budget: Budget,
    relay: Relay<Vec<Arc<Outcome<Result<u32>>>>>,
    /// Set under the lock of what is staged.
    is_closed: AtomicUsize,
    end: AtomicUsize,
}

impl Carrier for Small {
    type Staged = Vec<Arc<Outcome<Result<u32>>>>;
    type Load = Arc<Outcome<Result<u32>>>;
    type Landed = (Self::Load, u32);
    type Told = (Self::Load, u32);

    fn is_due(&self, staged: &Self::Staged) -> bool {
        !staged.is_empty()
    }

    fn take(&self, staged: &mut Self::Staged) -> Option<Self::Load> {
        if staged.is_empty() { None } else { Some(staged.remove(0)) }
    }

    fn carry(&self, load: Self::Load) -> Self::Landed {
        (load, u32::try_from(self.end.fetch_add(1, Ordering::Relaxed)).expect("few"))
    }

    fn land(&self, _: &mut Self::Staged, landed: Self::Landed) -> Self::Told {
        landed
    }

    fn tell(&self, (outcome, offset): Self::Told) {
        self.budget.give_back(1);
        let _audience = outcome.settle(Ok(offset));
    }
}

impl Small {
    fn new(room: usize) -> Arc<Self> {
        let (is_closed, end) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { budget: Budget::new(room), relay: Relay::default(), is_closed, end })
    }

    fn send(&self) -> Result<u32> {
        take(&self.budget, 1)?;
        let mut stage = self.relay.lock();
        if self.is_closed.load(Ordering::Relaxed) == 1 {
            drop(stage);
            self.budget.give_back(1);
            return Err(over());
        }
        let outcome = Arc::new(Outcome::new());
        stage.push(Arc::clone(&outcome));
        assert_eq!(self.relay.carry(stage, self, u32::MAX), Left::Nothing);
        wait_for(&outcome)
    }

    fn close(&self) {
        let stage = self.relay.lock();
        self.is_closed.store(1, Ordering::Relaxed);
        drop(stage);
        self.budget.close(&over());
        let stage = self.relay.lock();
        assert_eq!(self.relay.carry(stage, self, u32::MAX), Left::Nothing);
    }
}

#[test]
fn senders_that_wait_for_room_and_for_receipts_all_come_through() {
    for room in [1, 2] {
        in_all_orders(move || {
            let producer = Small::new(room);
            let other = {
                let producer = Arc::clone(&producer);
                thread::spawn(move || producer.send().expect("it is open"))
            };
            let own = producer.send().expect("it is open");
            let other = other.join().expect("it ends");
            assert_eq!(own + other, 1, "each has an offset of its own");
            assert_eq!(producer.budget.in_use(), 0);
        });
    }
}

#[test]
fn a_close_answers_all_senders() {
    in_all_orders(|| {
        let producer = Small::new(1);
        let other = {
            let producer = Arc::clone(&producer);
            thread::spawn(move || producer.send().is_ok())
        };
        let closer = {
            let producer = Arc::clone(&producer);
            thread::spawn(move || producer.close())
        };
        let own = producer.send().is_ok();
        let other = other.join().expect("it ends");
        closer.join().expect("it ends");
        assert_eq!(producer.end.load(Ordering::Relaxed), usize::from(own) + usize::from(other));
        producer.send().expect_err("it is closed");
    });
}
