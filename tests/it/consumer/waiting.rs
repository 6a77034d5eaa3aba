//! Waiting: asleep until there is something, and awake then, also when the partition was put to rest meanwhile.

use super::{drain, fill, manual, orders, threaded};
use crate::figure;
use crate::proof::Size;
use crate::wakers::{Alarm, PATIENCE, block_on};
use annals::clock::ManualClock;
use annals::{Broker, Durability, ErrorKind, ReadLevel, Record, Timestamp, TopicOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

/// SEMANTICS 40: one waiter on many partitions, woken by whichever grows, at either level, and by nothing else.
#[test]
fn one_waiter_waits_on_many_partitions() {
    for level in [ReadLevel::Written, ReadLevel::Durable] {
        let (broker, _) = manual();
        let topic = orders(&broker, 100);
        let places = (0..100).map(|partition| (&topic, partition));
        let mut consumer = broker.consumer().assign(places).read_level(level).build().expect("all are there");
        let mut rng = fastrand::Rng::with_seed(40);
        for _ in 0..300 {
            let alarm = Arc::new(Alarm::default());
            assert!(alarm.poll(&mut Box::pin(consumer.recv())).is_pending());
            let woken = alarm.count();
            let mut waiting = Box::pin(consumer.recv());
            assert!(alarm.poll(&mut waiting).is_pending());
            assert_eq!(alarm.count(), woken, "nothing has come");
            let partition = rng.u32(0..100);
            let log = topic.partition(partition).expect("it is there");
            log.append_with(Durability::Written, [Record::new("a")]).wait().expect("there is room");
            assert!(alarm.count() > woken, "partition {partition} has grown");
            // By hand, the poll itself does what is due.
            let Poll::Ready(found) = alarm.poll(&mut waiting) else { panic!("there is a record") };
            let found = found.expect("nothing is wrong");
            let places: Vec<u32> = found.iter().map(|record| record.partition()).collect();
            assert_eq!(places, [partition]);
        }
    }
}

/// SEMANTICS 40: no wake-up is lost between the look and the sleep: producers on many threads, consumers asleep
/// most of the time.
#[test]
fn no_wake_up_is_lost() {
    const PARTITIONS: u32 = 8;
    const RECORDS: u64 = 400;
    for level in [ReadLevel::Written, ReadLevel::Durable] {
        let broker = threaded();
        let topic = orders(&broker, PARTITIONS);
        let mut consumers = Vec::new();
        for awaits in [false, false, true] {
            let places = (0..PARTITIONS).map(|partition| (&topic, partition));
            let mut consumer =
                broker.consumer().assign(places).read_level(level).build().expect("all are there");
            consumers.push(std::thread::spawn(move || {
                let mut count = 0;
                while count < RECORDS * u64::from(PARTITIONS) {
                    let records = if awaits { block_on(consumer.recv()) } else { consumer.poll(PATIENCE) };
                    let records = records.expect("nothing is wrong");
                    assert!(!records.is_empty(), "not woken for {PATIENCE:?}, after {count} records");
                    count += records.len() as u64;
                }
            }));
        }
        let producers = (0..PARTITIONS).map(|partition| {
            let log = topic.partition(partition).expect("it is there");
            std::thread::spawn(move || {
                for number in 0..RECORDS {
                    drop(log.append_with(Durability::Written, [Record::new("a")]));
                    if number % 16 == 0 {
                        std::thread::sleep(Duration::from_micros(200));
                    }
                }
            })
        });
        producers
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|thread| thread.join().expect("it does not panic"));
        consumers.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
    }
}

/// SEMANTICS 40: a sleeper does not keep a partition open, and is woken by an append that opens it again.
#[test]
fn a_partition_rests_under_a_sleeper() {
    let (broker, clock) = manual();
    let topic = orders(&broker, 3);
    fill(&topic, 1, 0..10, 1);
    let places = (0..3).map(|partition| (&topic, partition));
    let mut consumer = broker.consumer().assign(places).build().expect("all are there");
    assert_eq!(drain(&mut consumer).len(), 10);
    for round in 0..5 {
        let alarm = Arc::new(Alarm::default());
        let mut waiting = Box::pin(consumer.recv());
        assert!(alarm.poll(&mut waiting).is_pending());
        clock.advance(Duration::from_secs(60));
        broker.maintain().expect("nothing fails");
        clock.advance(Duration::from_secs(60));
        broker.maintain().expect("nothing fails");
        assert_eq!(broker.stats().open_count, 0, "a sleeper keeps nothing open");
        assert!(alarm.poll(&mut waiting).is_pending());
        assert_eq!(broker.stats().open_count, 0, "nor does waiting on open anything");
        let before = alarm.count();
        fill(&topic, round % 3, 100..101, 1);
        assert!(alarm.count() > before);
        assert!(matches!(alarm.poll(&mut waiting), Poll::Ready(Ok(records)) if records.len() == 1));
    }
}

/// Waits until no partition is open.
fn comes_to_rest(broker: &Broker) {
    let started = Instant::now();
    while broker.stats().open_count > 0 {
        assert!(started.elapsed() < PATIENCE, "a partition does not come to rest");
        std::thread::yield_now();
    }
}

/// SEMANTICS 40: nor is a wake-up lost while partitions are put to rest and opened again under sleepers.
#[test]
fn no_wake_up_is_lost_while_partitions_come_to_rest() {
    const PARTITIONS: u32 = 4;
    let records = Size::asked().pick(300, 1_000, 5_000);
    let clock = ManualClock::new(Timestamp::from_millis(1_600_000_000_000));
    let broker = Broker::options().clock(clock.clone()).open_in_memory().expect("memory can be had");
    let topic = orders(&broker, PARTITIONS);
    let consumers = [ReadLevel::Written, ReadLevel::Durable].map(|level| {
        let places = (0..PARTITIONS).map(|partition| (&topic, partition));
        let mut consumer = broker.consumer().assign(places).read_level(level).build().expect("all are there");
        std::thread::spawn(move || {
            let mut count = 0;
            while count < records {
                let found = consumer.poll(PATIENCE).expect("nothing is wrong");
                assert!(!found.is_empty(), "{level:?}: not woken for {PATIENCE:?}, after {count} records");
                count += found.len();
            }
        })
    });
    let is_over = Arc::new(AtomicU64::new(0));
    let night = {
        let (broker, is_over) = (broker.clone(), is_over.clone());
        std::thread::spawn(move || {
            while is_over.load(Ordering::SeqCst) == 0 {
                clock.advance(Duration::from_secs(31));
                broker.maintain().expect("nothing fails");
            }
        })
    };
    let (mut rng, mut rests) = (fastrand::Rng::with_seed(40), 0);
    for number in 0..records {
        // However busy the machine is, all of them come to rest now and then.
        if number % 20 == 0 {
            comes_to_rest(&broker);
            rests += 1;
        }
        let log = topic.partition(rng.u32(..PARTITIONS)).expect("it is there");
        // Nobody waits for it, so that nothing but a sleeper brings about its sync.
        drop(log.append_with(Durability::Written, [Record::new("a")]));
        drop(log);
        if rng.u8(..4) == 0 {
            std::thread::sleep(Duration::from_micros(rng.u64(..300)));
        }
    }
    consumers.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
    is_over.store(1, Ordering::SeqCst);
    night.join().expect("it does not panic");
    figure!(
        "waking under rest: {records} records, {rests} times all partitions came to rest, no wake-up lost"
    );
}

/// The same of a member of a group, which has committed what it read.
#[test]
fn a_partition_rests_under_a_member_that_has_committed() {
    let (broker, clock) = manual();
    let topic = orders(&broker, 3);
    fill(&topic, 1, 0..10, 1);
    let mut member =
        broker.consumer().group("billing").subscribe(["orders"]).build().expect("anybody may join");
    assert_eq!(drain(&mut member).len(), 10);
    member.commit().wait().expect("it has them");
    for _ in 0..3 {
        clock.advance(Duration::from_secs(60));
        broker.maintain().expect("nothing fails");
        assert!(drain(&mut member).is_empty());
    }
    assert_eq!(broker.stats().open_count, 1, "the log of commits, and nothing else");
}

#[test]
fn polling_for_no_time_never_waits_and_for_some_time_waits_that_long() {
    let broker = threaded();
    let topic = orders(&broker, 1);
    let mut consumer = broker.consumer().assign([(&topic, 0)]).build().expect("it is there");
    for _ in 0..1_000 {
        assert!(consumer.poll(Duration::ZERO).expect("nothing is wrong").is_empty());
    }
    let begun = Instant::now();
    assert!(consumer.poll(Duration::from_millis(30)).expect("nothing is wrong").is_empty());
    assert!(begun.elapsed() >= Duration::from_millis(30), "it came back early");
}

#[test]
fn a_wakeup_ends_the_poll_under_way_or_the_next_and_counts_once() {
    let broker = threaded();
    let topic = orders(&broker, 1);
    fill(&topic, 0, 0..3, 1);
    let mut consumer = broker.consumer().assign([(&topic, 0)]).build().expect("it is there");
    let wakeup = consumer.wakeup();
    wakeup.wake();
    wakeup.clone().wake();
    assert!(consumer.poll(Duration::MAX).expect("nothing is wrong").is_empty(), "woken before");
    assert_eq!(consumer.poll(Duration::MAX).expect("nothing is wrong").len(), 3, "woken once");
    let thread = std::thread::spawn(move || consumer.poll(PATIENCE).map(|records| (records.len(), consumer)));
    std::thread::sleep(Duration::from_millis(20));
    wakeup.wake();
    let (len, _consumer) = thread.join().expect("it does not panic").expect("nothing is wrong");
    assert_eq!(len, 0);
}

/// Sleepers hear of the end of their topic, and of the broker's.
#[test]
fn sleepers_are_woken_by_the_end_of_topic_and_broker() {
    type End = fn(&Broker);
    let ends: [(End, ErrorKind); 2] = [
        (|broker| broker.delete_topic("orders").expect("it is there"), ErrorKind::NotFound),
        (|broker| broker.close().expect("memory does not fail"), ErrorKind::Closed),
    ];
    for (end, kind) in ends {
        for is_open in [false, true] {
            let broker = threaded();
            let topic = orders(&broker, 2);
            let held = is_open.then(|| topic.partition(0).expect("it is there"));
            let asleep = Arc::new(AtomicU64::new(0));
            let sleepers: Vec<_> = (0..3)
                .map(|_| {
                    let mut consumer =
                        broker.consumer().assign([(&topic, 0), (&topic, 1)]).build().expect("both are there");
                    let asleep = asleep.clone();
                    std::thread::spawn(move || {
                        asleep.fetch_add(1, Ordering::SeqCst);
                        consumer.poll(PATIENCE).map(drop).expect_err("it ends").kind()
                    })
                })
                .collect();
            while asleep.load(Ordering::SeqCst) < 3 {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(10));
            end(&broker);
            for sleeper in sleepers {
                assert_eq!(sleeper.join().expect("it does not panic"), kind);
            }
            drop(held);
        }
    }
}

/// So do those who have nothing to read: no partition that is not paused, none in their group.
#[test]
fn sleepers_with_nothing_to_read_are_woken_by_the_end_of_the_broker() {
    let broker = threaded();
    let topic = orders(&broker, 1);
    let mut paused = broker.consumer().assign([(&topic, 0)]).build().expect("it is there");
    paused.pause((&topic, 0)).expect("it is assigned");
    let member =
        || broker.consumer().group("billing").subscribe(["orders"]).build().expect("anybody may join");
    let mut idle = vec![paused, member(), member()];
    for _ in 0..3 {
        idle.iter_mut().for_each(|consumer| drop(consumer.poll(Duration::ZERO).expect("nothing is wrong")));
    }
    let asleep = Arc::new(AtomicU64::new(0));
    let sleep = |mut consumer: annals::Consumer| {
        let asleep = asleep.clone();
        std::thread::spawn(move || {
            asleep.fetch_add(1, Ordering::SeqCst);
            consumer.poll(PATIENCE).map(drop).expect_err("it ends").kind()
        })
    };
    let sleepers: Vec<_> = idle.into_iter().map(sleep).collect();
    while asleep.load(Ordering::SeqCst) < 3 {
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(10));
    broker.close().expect("memory does not fail");
    for sleeper in sleepers {
        assert_eq!(sleeper.join().expect("it does not panic"), ErrorKind::Closed);
    }
    let late = broker.consumer().assign([(&topic, 0)]).build();
    assert_eq!(late.map(drop).expect_err("it is closed").kind(), ErrorKind::Closed);
}

/// A consumer behind a producer that never syncs is served: its waiting brings about the sync.
#[test]
fn a_durable_consumer_behind_a_written_producer_is_served() {
    let broker = threaded();
    let topic = broker.create_topic("orders", TopicOptions::new().partitions(2)).expect("a new topic");
    let mut consumer = broker.consumer().assign([(&topic, 0), (&topic, 1)]).build().expect("both are there");
    let log = topic.partition(1).expect("it is there");
    for _ in 0..50 {
        log.append_with(Durability::Written, [Record::new("a")]).wait().expect("there is room");
        assert_eq!(consumer.poll(PATIENCE).expect("nothing is wrong").len(), 1);
    }
}
