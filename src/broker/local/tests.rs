//! What a handle finds behind the backend of a broker in this process.

use crate::broker::backend::{Backend, Guest};
use crate::clock::ManualClock;
use crate::record::{BatchBuilder, BatchLimits};
use crate::sync::{AtomicU64, Ordering};
use crate::upkeep::{Chore, Upkeep};
use crate::{Broker, Durability, ErrorKind, Maintenance, Offset, ReadLevel, Record, Timestamp, TopicOptions};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A guest that counts.
#[derive(Default)]
struct Counter {
    upkeep: Upkeep,
    done: AtomicU64,
    closed: AtomicU64,
}

impl Chore for Counter {
    fn upkeep(&self) -> &Upkeep {
        &self.upkeep
    }

    fn do_due(&self) -> Duration {
        self.done.fetch_add(1, Ordering::AcqRel);
        Duration::MAX
    }

    fn panicked(&self) {}
}

impl Guest for Counter {
    fn broker_closes(&self) {
        self.closed.fetch_add(1, Ordering::AcqRel);
    }

    fn as_chore(self: Arc<Self>) -> Arc<dyn Chore> {
        self
    }
}

fn attend(backend: &dyn Backend) -> Arc<Counter> {
    let guest = Arc::new(Counter::default());
    let weak: Weak<dyn Guest> = Arc::<Counter>::downgrade(&guest);
    backend.attend(weak).expect("the broker is open");
    guest
}

#[test]
fn guests_are_called_by_a_thread_of_their_own() {
    let broker = Broker::options().open_in_memory().expect("memory");
    let guest = attend(&*broker.backend());
    while guest.done.load(Ordering::Acquire) == 0 {
        std::thread::yield_now();
    }
    let before = guest.done.load(Ordering::Acquire);
    broker.maintain().expect("nothing fails");
    assert_eq!(guest.done.load(Ordering::Acquire), before, "the thread does it");
    guest.upkeep.call();
    while guest.done.load(Ordering::Acquire) == before {
        std::thread::yield_now();
    }
    broker.close().expect("nothing fails");
    assert_eq!(guest.closed.load(Ordering::Acquire), 1);
    let late: Weak<dyn Guest> = Arc::<Counter>::downgrade(&guest);
    assert_eq!(broker.backend().attend(late).expect_err("it is closed").kind(), ErrorKind::Closed);
}

#[test]
fn without_threads_guests_are_called_by_who_maintains() {
    let clock = ManualClock::new(Timestamp::from_millis(0));
    let options = Broker::options().clock(clock).maintenance(Maintenance::Manual);
    let broker = options.open_in_memory().expect("memory");
    let guest = attend(&*broker.backend());
    assert_eq!(guest.done.load(Ordering::Acquire), 0);
    broker.maintain().expect("nothing fails");
    assert_eq!(guest.done.load(Ordering::Acquire), 1);
    for _ in 0..1_000 {
        drop(attend(&*broker.backend()));
    }
    drop(broker);
    assert_eq!(guest.closed.load(Ordering::Acquire), 1);
}

#[test]
fn a_prepared_batch_goes_down_and_comes_up_again() {
    let broker = Broker::options().open_in_memory().expect("memory");
    let backend = broker.backend();
    assert_eq!(backend.topic("orders").expect_err("there is none").kind(), ErrorKind::NotFound);
    let version = backend.topics_version();
    broker.create_topic("orders", TopicOptions::new().partitions(2)).expect("a new topic");
    assert_ne!(backend.topics_version(), version);
    let topic = backend.topic("orders").expect("it was created");
    assert_eq!(topic.partition_count().expect("it is there"), 2);
    assert!(!topic.is_internal() && topic.id() == backend.topic_id("orders").expect("it is there"));

    let partition = topic.partition(1).expect("it has two");
    let mut builder = BatchBuilder::new(BatchLimits::default());
    builder.push(&Record::new("a"), Timestamp::from_millis(7)).expect("it is small");
    let mut batch = builder.finish().expect("it holds a record");
    let stored = partition.append(&mut batch, Durability::Written).expect("there is room");
    assert_eq!(stored.appended.base_offset(), Offset::ZERO);
    let mut reader = partition.reader(Offset::ZERO, ReadLevel::Written);
    let records = reader.next_records().expect("it is good").expect("there is one");
    assert_eq!(records.iter().map(|record| record.value().to_vec()).collect::<Vec<_>>(), [b"a"]);
    assert!(reader.next_records().expect("it is good").is_none());
    assert_eq!(reader.position(), Offset::from(1));
    let found = partition.offset_for_time(Timestamp::from_millis(7), ReadLevel::Written);
    assert_eq!(found.expect("it can be read").map(|found| found.offset()), Some(Offset::ZERO));

    broker.delete_topic("orders").expect("it is there");
    assert_eq!(topic.partition_count().expect_err("it was deleted").kind(), ErrorKind::NotFound);
    assert_eq!(
        partition.append(&mut batch, Durability::Written).expect_err("it is closed").kind(),
        ErrorKind::Closed
    );
}
