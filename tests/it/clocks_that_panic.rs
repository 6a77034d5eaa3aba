//! A clock that panics once, on the thread that goes by it: what was due is done all the same.

use crate::wakers::PATIENCE;
use annals::clock::{Clock, SystemClock};
use annals::{Broker, Record, Timestamp, TopicOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Panics when the timers thread looks at it for the last of so many times.
#[derive(Clone, Debug, Default)]
struct Brittle {
    looks_left: Arc<AtomicU64>,
}

impl Clock for Brittle {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn monotonic(&self) -> Duration {
        if std::thread::current().name() == Some("annals-timers") {
            let less = |left: u64| left.checked_sub(1);
            let before = self.looks_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
            assert_ne!(before, Ok(1), "this clock panics");
        }
        SystemClock.monotonic()
    }
}

impl Brittle {
    fn breaks_at(&self, look: u64) {
        self.looks_left.store(look, Ordering::SeqCst);
    }

    fn is_broken(&self) -> bool {
        self.looks_left.load(Ordering::SeqCst) == 0
    }
}

/// How many looks the thread takes at most to do what is due, and then some.
const LOOKS: u64 = 12;

/// The line had been taken off the list of those that linger, and was thought to be on it.
#[test]
fn a_batch_lingers_no_longer_when_the_clock_panics() {
    for look in 1..=LOOKS {
        let clock = Brittle::default();
        let broker = Broker::options().clock(clock.clone()).open_in_memory().expect("memory has room");
        broker.create_topic("orders", TopicOptions::new()).expect("memory has room");
        let options = broker.producer().linger(Duration::from_millis(2));
        let producer = options.build().expect("the options are right");
        clock.breaks_at(look);
        let begun = Instant::now();
        while !clock.is_broken() {
            assert!(begun.elapsed() < PATIENCE, "nobody looks");
            let mut receipt = producer.send("orders", Record::new("a")).expect("there is room");
            // An append that meets the panic fails, which is said.
            let told = receipt.wait_for(PATIENCE);
            assert!(!matches!(told, Ok(None)), "it lingers for ever after look {look}");
        }
    }
}

/// The alarm had rung for nobody, and was thought to be set.
#[test]
fn committing_by_itself_goes_on_when_the_clock_panics() {
    for look in 1..=LOOKS {
        let clock = Brittle::default();
        let broker = Broker::options().clock(clock.clone()).open_in_memory().expect("memory has room");
        let orders = broker.create_topic("orders", TopicOptions::new()).expect("memory has room");
        let log = orders.partition(0).expect("it is there");
        log.append([Record::new("a")]).wait().expect("memory has room");
        let options = broker.consumer().group("billing").subscribe(["orders"]);
        let mut member =
            options.auto_commit_every(Duration::from_millis(20)).build().expect("anybody may join");
        assert_eq!(member.poll(Duration::ZERO).expect("nothing is wrong").len(), 1);
        clock.breaks_at(look);
        let wakeup = member.wakeup();
        let waiting = std::thread::spawn(move || member.poll(2 * PATIENCE).map(|_| member));
        let begun = Instant::now();
        let committed = || {
            let described = broker.describe_group("billing").expect("it is there");
            described.partitions.iter().any(|partition| partition.committed.is_some())
        };
        while !committed() {
            assert!(begun.elapsed() < PATIENCE, "nobody commits after look {look}");
            std::thread::sleep(Duration::from_millis(2));
        }
        wakeup.wake();
        drop(waiting.join().expect("it does not panic").expect("nothing is wrong"));
    }
}
