//! Wakers that use the broker by which they are called: none is called under a lock, and none is forgotten for that.

use crate::crash::interlude::{Cue, Interlude};
use crate::wakers::{Alarm, PATIENCE, in_time};
use annals::clock::ManualClock;
use annals::io::MemoryDisk;
use annals::{
    Broker, Consumer, Durability, Maintenance, Offset, OffsetAndMetadata, Partition, Record, Retention,
    Timestamp, Topic, TopicOptions,
};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

/// Does something, once, when it wakes.
struct Act(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Wake for Act {
    fn wake(self: Arc<Self>) {
        let act = self.0.lock().expect("nobody panics here").take();
        act.into_iter().for_each(|act| act());
    }
}

impl Act {
    fn new(act: impl FnOnce() + Send + 'static) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(Box::new(act)))))
    }

    /// Has it act when `future` is to be polled again.
    fn follow<F: Future>(self: &Arc<Self>, future: Pin<&mut F>) {
        let waker = Waker::from(self.clone());
        assert!(future.poll(&mut Context::from_waker(&waker)).is_pending());
    }

    fn has_acted(&self) -> bool {
        self.0.lock().expect("nobody panics here").is_none()
    }
}

/// A waker of a partition that was shed was called under the lock for shedding, which whoever appends at the cap takes:
/// had it appended there itself, it would have waited for ever.
#[test]
fn the_wakers_of_a_partition_that_is_shed_may_append_at_the_cap() {
    let options = Broker::options().maintenance(Maintenance::Manual).clock(clock()).disk_bytes_max(3 << 20);
    let broker = options.open_in_memory().expect("memory has room");
    let topic = |name, retention| {
        let options = TopicOptions::new().segment_bytes_max(64 << 10).batch_bytes_max(16 << 10);
        let topic = broker.create_topic(name, options.retention(retention)).expect("there is room");
        topic.partition(0).expect("it is well")
    };
    let append = |log: &Partition| log.append_with(Durability::Written, [Record::new(&[7; 1_000])]).wait();
    let shed = topic("shed", Retention::Age(Duration::from_secs(31_536_000)));
    while shed.segments().len() < 2 {
        append(&shed).expect("there is room");
    }
    let mut last = pin!(shed.append([Record::new("last")]));
    let other = topic("other", Retention::Forever);
    let (ended, ends) = mpsc::channel();
    let act = Act::new(move || {
        let appending = std::thread::spawn(move || other.append([Record::new(&[7; 9_000])]).wait().map(drop));
        let patience = std::time::Instant::now() + Duration::from_secs(1);
        while !appending.is_finished() && std::time::Instant::now() < patience {
            std::thread::yield_now();
        }
        ended.send(appending.is_finished()).expect("somebody listens");
    });
    act.follow(last.as_mut());
    let busy = topic("busy", Retention::Forever);
    while shed.log_start_offset() == Offset::ZERO {
        append(&busy).expect("the other one is shed");
    }
    broker.maintain().expect("nothing fails");
    assert!(act.has_acted(), "what was shed is sealed, and so it is synced");
    assert!(ends.recv().expect("it says so"), "it was called under a lock");
}

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_millis(1_000_000))
}

fn open(disk: &MemoryDisk, clock: &ManualClock, interlude: &Interlude) -> Broker {
    let options = Broker::options().clock(clock.clone()).maintenance(Maintenance::Manual);
    options.open_in(interlude.within(disk.root())).expect("memory has room")
}

/// A topic with a record, and the one member of a group that reads it.
fn orders(broker: &Broker) -> (Topic, Consumer) {
    let orders = broker.create_topic("orders", TopicOptions::new()).expect("memory has room");
    let partition = orders.partition(0).expect("it is there");
    partition.append([Record::new("a")]).wait().expect("memory has room");
    (orders, member(broker, "billing"))
}

fn member(broker: &Broker, group: &str) -> Consumer {
    let mut member = broker.consumer().group(group).subscribe(["orders"]).build().expect("it may join");
    assert_eq!(member.poll(Duration::ZERO).expect("it is a member").len(), 1);
    member
}

/// Commits as much as a commit can be. It is not waited for.
fn commit(member: &Consumer) -> annals::Pending<()> {
    let marked = OffsetAndMetadata::new(Offset::from(1)).with_metadata("x".repeat(4_096));
    member.commit_offsets([(("orders", 0), marked)])
}

fn offsets(broker: &Broker) -> Partition {
    broker.topic("__consumer_offsets").and_then(|topic| topic.partition(0)).expect("it was made")
}

/// Has all partitions put to rest.
fn rest(broker: &Broker, clock: &ManualClock) {
    for _ in 0..2 {
        clock.advance(Duration::from_secs(60));
        broker.maintain().expect("memory is well");
    }
}

/// The log of commits goes on in its next segment under the locks of a group and of all offsets.
#[test]
fn who_waits_for_a_commit_may_use_the_groups_when_it_wakes() {
    in_time(|| {
        let broker = open(&MemoryDisk::new(), &clock(), &Interlude::default());
        let (_orders, billing) = orders(&broker);
        let log = offsets(&broker);
        let mut first = Box::pin(commit(&billing));
        let beside = broker.clone();
        let act = Act::new(move || {
            assert_eq!(beside.groups().expect("memory is well").len(), 1);
            let offsets = [(("orders", 0), Offset::from(1))];
            beside.reset_group_offsets("shipping", offsets).expect("nobody is in it");
        });
        act.follow(first.as_mut());
        while log.segments().len() < 2 {
            drop(commit(&billing));
        }
        assert!(act.has_acted(), "to make the segment was to look what is durable");
        assert_eq!(broker.groups().expect("memory is well").len(), 2);
    });
}

/// Who waits for the log of commits is woken when the locks are gone, by whoever comes first. One that came while the
/// commit was still being appended took that upon itself, and had nothing to wake for.
#[test]
fn a_poll_in_the_middle_of_a_commit_takes_no_wake_up_along() {
    in_time(|| {
        let interlude = Interlude::default();
        let broker = open(&MemoryDisk::new(), &clock(), &interlude);
        let (_orders, billing) = orders(&broker);
        let mut shipping = member(&broker, "shipping");
        shipping.poll(Duration::ZERO).expect("it has nothing to look for");
        // It stays in its group when it has polled.
        let shipping = Arc::new(Mutex::new(shipping));
        let polling = shipping.clone();
        let log = offsets(&broker);
        // Inside of the first sync there is, which is when the next segment is made.
        interlude.set(Cue::Sync, move || {
            let polled = polling.lock().expect("nobody panics here").poll(Duration::ZERO).map(drop);
            polled.expect("it is a member");
        });
        while log.segments().len() < 2 {
            let (alarm, mut grows) = (Arc::new(Alarm::default()), log.wait_past(log.log_end_offset()));
            assert!(alarm.poll(&mut grows).is_pending());
            drop(commit(&billing));
            assert!(alarm.rang(), "at offset {}", log.log_end_offset());
        }
        assert!(!interlude.cancel(), "nobody polled");
        drop(shipping);
    });
}

#[test]
fn who_waits_for_a_topic_that_is_deleted_may_make_another_when_it_wakes() {
    let ends: [fn(&Broker); 2] = [
        |broker| broker.delete_topic("orders").expect("memory is well"),
        |broker| broker.close().expect("memory is well"),
    ];
    for end in ends {
        in_time(move || {
            let broker = open(&MemoryDisk::new(), &clock(), &Interlude::default());
            let (orders, _billing) = orders(&broker);
            let log = orders.partition(0).expect("it is there");
            let act = || {
                let beside = broker.clone();
                Act::new(move || drop(beside.ensure_topic("orders", TopicOptions::new())))
            };
            let (on_append, on_growth) = (act(), act());
            let mut appended = Box::pin(log.append_with(Durability::Durable, [Record::new("b")]));
            let mut grows = Box::pin(log.wait_past(Offset::from(9)));
            on_append.follow(appended.as_mut());
            on_growth.follow(grows.as_mut());
            end(&broker);
            assert!(on_append.has_acted() && on_growth.has_acted());
        });
    }
}

#[test]
fn who_waits_for_a_partition_that_is_put_to_rest_may_open_it_when_it_wakes() {
    in_time(|| {
        let clock = clock();
        let broker = open(&MemoryDisk::new(), &clock, &Interlude::default());
        let (orders, _billing) = orders(&broker);
        let mut reader = broker.consumer().assign([(&orders, 0)]).build().expect("it is there");
        assert_eq!(reader.poll(Duration::ZERO).expect("memory is well").len(), 1);
        let act = Act::new(move || drop(orders.partition(0).expect("it is there")));
        let mut waiting = Box::pin(reader.recv());
        act.follow(waiting.as_mut());
        rest(&broker, &clock);
        assert!(act.has_acted());
    });
}

/// A consumer that watches the log of commits is woken by the first group, for which that log is opened.
#[test]
fn who_waits_for_the_log_of_commits_may_use_the_groups_when_it_is_opened() {
    let disk = MemoryDisk::new();
    let broker = open(&disk, &clock(), &Interlude::default());
    let (_orders, billing) = orders(&broker);
    commit(&billing).wait().expect("it is its own");
    broker.close().expect("memory is well");
    in_time(move || {
        let clock = clock();
        let broker = open(&disk, &clock, &Interlude::default());
        let kept = broker.topic("__consumer_offsets").expect("it was made");
        let mut reader = broker.consumer().assign([(&kept, 0)]).build().expect("it is there");
        while !reader.poll(Duration::ZERO).expect("memory is well").is_empty() {}
        rest(&broker, &clock);
        let beside = broker.clone();
        let act = Act::new(move || drop(beside.groups().expect("memory is well")));
        let mut waiting = Box::pin(reader.recv());
        act.follow(waiting.as_mut());
        assert_eq!(broker.stats().open_count, 0, "it rests");
        assert_eq!(broker.groups().expect("memory is well").len(), 1);
        assert!(act.has_acted());
    });
}

/// A waker that the disk thread calls closes what it was told of, or the broker of that, and waits for somebody who lets
/// go of it. He waited for the disk thread; and the timers thread was such a somebody, for whom a close waits.
#[test]
fn who_lets_go_of_a_closed_partition_waits_for_no_thread() {
    let alone = Partition::options().open_in_memory().expect("memory has room");
    let broker = Broker::options().open_in_memory().expect("memory has room");
    let topic = broker.create_topic("orders", TopicOptions::new()).expect("memory has room");
    let shared = topic.partition(0).expect("it is there");
    let closed_by = |log: &Partition, broker: Option<&Broker>| match broker {
        None => log.close(),
        Some(broker) => broker.close(),
    };
    for (log, broker) in [(alone, None), (shared, Some(broker))] {
        let (told, hears) = mpsc::channel();
        let mut appended = Box::pin(log.append([Record::new("a")]));
        let waker = Act::new(move || {
            closed_by(&log, broker.as_ref()).expect("memory is well");
            let (let_go, lets_go) = mpsc::channel();
            std::thread::spawn(move || {
                drop(log);
                let_go.send(()).expect("somebody listens");
            });
            told.send(lets_go.recv_timeout(PATIENCE).is_ok()).expect("somebody listens");
        });
        waker.follow(appended.as_mut());
        assert!(hears.recv_timeout(2 * PATIENCE).expect("it was woken"), "it waits for the thread");
    }
}
