//! Many threads share one producer.

use super::{assert_buffer_is_empty, values};
use crate::proof::Size;
use annals::io::{Op, SimDisk};
use annals::{
    Broker, ErrorKind, OnFullBuffer, Producer, ProducerOptions, Receipt, Record, SendDurability, Topic,
    TopicOptions,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long a test waits before it takes a thread for stuck.
const PATIENCE: Duration = Duration::from_secs(40);

/// Fails when the work does not end.
fn ends(what: &'static str, work: impl FnOnce() + Send + 'static) {
    let (send, ended) = mpsc::channel::<()>();
    let worker = thread::spawn(move || {
        work();
        drop(send);
    });
    if ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("{what}: somebody waits in vain");
    }
    worker.join().expect("what it checked holds");
}

fn broker(partitions: u32) -> (Broker, Topic) {
    let broker = Broker::options().open_in_memory().expect("memory");
    let topic = broker.create_topic("t", TopicOptions::new().partitions(partitions)).expect("room");
    (broker, topic)
}

/// Threads send numbered records; each thread's own records keep their order in each partition, none is lost,
/// none comes twice, and receipts tell the truth.
fn send_from_threads(options: impl FnOnce(ProducerOptions) -> ProducerOptions, threads: u64, each: u64) {
    let (broker, topic) = broker(3);
    let producer = options(broker.producer()).build().expect("the options are right");
    thread::scope(|scope| {
        for thread in 0..threads {
            let (producer, topic) = (producer.clone(), &topic);
            scope.spawn(move || send_numbered(&producer, topic, thread, each));
        }
    });
    producer.flush().wait().expect("memory works");
    assert_buffer_is_empty(&producer);
    let mut total = 0;
    for number in 0..3 {
        let mut next = vec![0; usize::try_from(threads).expect("few")];
        for value in values(&topic.partition(number).expect("it is there")) {
            let (thread, sent) = value.split_once(' ').expect("two numbers");
            let next = &mut next[thread.parse::<usize>().expect("a number")];
            let sent = sent.trim_end_matches('.').parse::<u64>().expect("a number") + 1;
            assert!(sent > *next, "partition {number}, thread {thread}: {sent} after {next}");
            *next = sent;
            total += 1;
        }
    }
    assert_eq!(total, threads * each);
}

fn send_numbered(producer: &Producer, topic: &Topic, thread: u64, each: u64) {
    let mut receipts: Vec<(String, Receipt)> = Vec::new();
    for number in 0..each {
        let mut value = format!("{thread} {number}");
        value.extend(std::iter::repeat_n('.', (number % 60) as usize));
        let record = Record::new(&value);
        let receipt = match number % 5 {
            0 => producer.send((topic, (number % 3) as u32), record.clone()),
            1 => producer.send("t", record.clone().key(&number.to_le_bytes())),
            2 => producer.try_send(topic, record.clone()),
            _ => producer.send(topic, record.clone()),
        };
        let receipt = match receipt {
            Err(error) if error.kind() == ErrorKind::BufferFull => {
                producer.send(topic, record).expect("there will be room")
            }
            other => other.expect("there is room"),
        };
        receipts.push((value, receipt));
        if number % 50 == 49 {
            producer.flush().wait().expect("memory works");
            for (value, mut receipt) in receipts.drain(..) {
                let stored = receipt.wait_for(Duration::ZERO).expect("memory works");
                let stored = stored.unwrap_or_else(|| panic!("{value} was flushed"));
                check(topic, &value, &stored);
            }
        }
    }
    // The others are waited for one by one, or dropped.
    for (at, (value, receipt)) in receipts.into_iter().enumerate() {
        if at % 2 == 0 {
            check(topic, &value, &receipt.wait().expect("memory works"));
        }
    }
}

fn check(topic: &Topic, value: &str, stored: &annals::RecordMetadata) {
    let log = topic.partition(stored.partition()).expect("it is there");
    if stored.durability() == SendDurability::Buffered {
        return;
    }
    if stored.durability() == SendDurability::Durable {
        assert!(log.durable_offset() > stored.offset(), "{value} was acknowledged as durable");
    }
    let mut reader = log.read(stored.offset()).level(annals::ReadLevel::Written);
    let records = reader.next().expect("it is there").expect("it is good");
    let first = records.iter().next().expect("a run has records");
    assert_eq!((first.offset(), first.value()), (stored.offset(), value.as_bytes()));
}

#[test]
fn threads_that_share_a_producer_keep_their_order() {
    let each = Size::asked().pick(600, 5_000, 50_000);
    ends("no linger", move || send_from_threads(|options| options, 4, each));
    ends("a short linger", move || {
        send_from_threads(|options| options.linger(Duration::from_millis(1)).batch_bytes(2_048), 4, each);
    });
    ends("buffered", move || {
        send_from_threads(|options| options.durability(SendDurability::Buffered), 4, each);
    });
}

#[test]
fn threads_that_wait_for_room_all_come_through() {
    let each = Size::asked().pick(400, 4_000, 40_000);
    for linger in [Duration::ZERO, Duration::from_millis(20)] {
        ends("little room", move || {
            let options = |options: ProducerOptions| {
                let options = options.linger(linger).batch_bytes(1_024).buffer_bytes(4_096);
                // Room comes back within moments; who hears nothing of it for so long was forgotten.
                let options = options.on_full_buffer(OnFullBuffer::Block(Duration::from_secs(10)));
                options.durability(SendDurability::Written)
            };
            send_from_threads(options, 8, each);
        });
    }
}

#[test]
fn a_send_waits_for_room_no_longer_than_it_may() {
    ends("no room", || {
        let (broker, topic) = broker(1);
        let limit = Duration::from_millis(20);
        let producer =
            broker.producer().linger(Duration::from_secs(60)).batch_bytes(4_096).buffer_bytes(4_096);
        let producer = producer.on_full_buffer(OnFullBuffer::Block(limit)).build().expect("right options");
        // Somebody reads, and so holds nothing up; room is made by the sender itself.
        for _ in 0..20 {
            producer.send(&topic, Record::new(&[0; 3_000])).expect("room is made");
        }
        producer.close().expect("memory works");
        assert_eq!(topic.partition(0).expect("it is there").log_end_offset().get(), 20);
    });
}

#[test]
fn a_close_ends_all_senders() {
    for by_broker in [false, true] {
        ends("a close", move || {
            for _ in 0..Size::asked().pick(10, 100, 1_000) {
                let (broker, topic) = broker(2);
                let producer = broker.producer().batch_bytes(1_024).buffer_bytes(4_096);
                let producer = producer.durability(SendDurability::Written).build().expect("right options");
                let written = AtomicU64::new(0);
                thread::scope(|scope| {
                    for _ in 0..3 {
                        scope.spawn(|| send_until_closed(&producer, &topic, &written));
                    }
                    while written.load(Ordering::Relaxed) < 10 {
                        thread::yield_now();
                    }
                    if by_broker {
                        broker.close().expect("memory works");
                    } else {
                        drop(producer.close());
                    }
                });
                if !by_broker {
                    let ends = (0..2)
                        .map(|number| topic.partition(number).expect("it is there").log_end_offset().get());
                    assert_eq!(ends.sum::<u64>(), written.load(Ordering::Relaxed));
                }
            }
        });
    }
}

/// Sends until it is told of the end. Every receipt is answered.
fn send_until_closed(producer: &Producer, topic: &Topic, written: &AtomicU64) {
    loop {
        match producer.send(topic, Record::new(&[0; 200])) {
            Err(error) => return assert_eq!(error.kind(), ErrorKind::Closed, "{error}"),
            Ok(receipt) => match receipt.wait() {
                Ok(_) => drop(written.fetch_add(1, Ordering::Relaxed)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Closed, "{error}"),
            },
        }
    }
}

#[test]
fn partitions_that_are_added_while_threads_send_are_used() {
    ends("added partitions", || {
        let (broker, topic) = broker(1);
        let producer = broker.producer().batch_bytes(1_024).build().expect("right options");
        let used = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while used.load(Ordering::Relaxed) < 10 {
                        let sent = producer.send(&topic, Record::new(&[0; 100])).expect("there is room");
                        let partition = sent.wait().expect("memory works").partition();
                        used.fetch_max(u64::from(partition), Ordering::Relaxed);
                    }
                });
            }
            for count in 2..=11 {
                broker.ensure_topic("t", TopicOptions::new().partitions(count)).expect("one more");
            }
        });
    });
}

#[test]
fn what_lingers_behind_a_batch_that_is_being_written_comes_out_by_itself() {
    ends("linger behind others", || {
        let disk = SimDisk::new();
        let broker = Broker::options().open_in(disk.root()).expect("an empty disk can be opened");
        let topic = broker.create_topic("t", TopicOptions::new()).expect("room");
        let producer = broker.producer().linger(Duration::from_millis(1)).batch_bytes(1_024);
        let producer = producer.durability(SendDurability::Written).build().expect("right options");
        // So long does a store take that the others have staged what they have by then: a large record, which fills
        // a batch and does not linger, and behind it a small one, which does.
        disk.set_latency(Op::Store, Duration::from_millis(5));
        let send = |len| producer.send(&topic, Record::new(&vec![0; len])).expect("there is room");
        for _ in 0..Size::asked().pick(5, 50, 500) {
            thread::scope(|scope| {
                scope.spawn(|| send(2_000).wait().expect("the disk works"));
                thread::sleep(Duration::from_millis(1));
                scope.spawn(|| {
                    let receipts = [2_000, 10].map(send);
                    receipts.into_iter().for_each(|receipt| drop(receipt.wait().expect("the disk works")));
                });
            });
        }
    });
}

#[test]
fn a_batch_lingers_no_longer_than_it_was_told() {
    ends("linger", || {
        let (broker, topic) = broker(1);
        let producer = broker.producer().linger(Duration::from_millis(5)).build().expect("right options");
        for number in 0..5 {
            drop(producer.send(&topic, Record::new("a")).expect("there is room"));
            drop(producer.send(&topic, Record::new("b")).expect("there is room"));
            let log = topic.partition(0).expect("it is there");
            log.wait_past((2 * number + 1).into()).wait().expect("nobody flushes, and yet it comes");
        }
    });
}

/// Who got room, with others behind him in line, began a batch that lingered: they had handed over already, and
/// slept until it was due.
#[test]
fn nobody_who_waits_for_room_waits_for_a_linger() {
    ends("those that wait for room", || {
        let (broker, topic) = broker(1);
        let options = broker.producer().linger(Duration::from_secs(3_600)).batch_bytes(4 << 10);
        let options =
            options.buffer_bytes(4 << 10).on_full_buffer(OnFullBuffer::Block(Duration::from_secs(5)));
        let producer = options.build().expect("the options are right");
        let value = vec![7; 3_000];
        let rounds = Size::asked().pick(300, 1_000, 10_000);
        for _ in 0..rounds {
            let together = std::sync::Barrier::new(4);
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        together.wait();
                        drop(producer.send(&topic, Record::new(&value)).expect("room is made"));
                    });
                }
            });
        }
        producer.close().expect("memory works");
        assert_eq!(topic.partition(0).expect("it is there").log_end_offset().get(), 4 * rounds);
    });
}
