//! SEMANTICS 24 to 28: order, partitions, limits, what a flush means, and what an error does to what follows.

use super::START;
use crate::wakers::{Alarm, PATIENCE};
use annals::clock::ManualClock;
use annals::io::{Failure, Fault, Op, SimDisk};
use annals::{
    Broker, Durability, ErrorKind, Maintenance, Offset, Producer, ReadLevel, Receipt, Record, SendDurability,
    Topic, TopicOptions,
};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// A broker on a simulated disk, due work done by hand, with one topic.
fn sim(partitions: u32) -> (SimDisk, ManualClock, Broker, Topic) {
    let (disk, clock) = (SimDisk::new(), ManualClock::new(START));
    let options = Broker::options().maintenance(Maintenance::Manual).clock(clock.clone()).seed(7);
    let broker = options.open_in(disk.root()).expect("an empty disk can be opened");
    let topic = broker.create_topic("t", TopicOptions::new().partitions(partitions)).expect("room");
    (disk, clock, broker, topic)
}

fn values(topic: &Topic, partition: u32) -> Vec<String> {
    let partition = topic.partition(partition).expect("it is there");
    let mut values = Vec::new();
    for records in partition.read(Offset::ZERO).level(ReadLevel::Written) {
        for record in &records.expect("what is there is good") {
            values.push(String::from_utf8_lossy(record.value()).into_owned());
        }
    }
    values
}

fn lingering(broker: &Broker) -> Producer {
    broker
        .producer()
        .linger(Duration::from_secs(60))
        .batch_bytes(1_024)
        .build()
        .expect("the options are right")
}

/// Sends without appending, so that batches pile up.
fn pile_up(producer: &Producer, numbers: std::ops::Range<u32>) -> Vec<Receipt> {
    let send = |number: u32| producer.try_send(("t", 0), Record::new(&format!("{number:0300}")));
    numbers.map(|number| send(number).expect("there is room")).collect()
}

/// SEMANTICS 24
#[test]
fn records_of_a_producer_are_stored_in_the_order_they_were_sent() {
    let (_disk, _clock, broker, topic) = sim(3);
    let producer = lingering(&broker);
    let mut sent = vec![Vec::new(); 3];
    for number in 0..200_u32 {
        let (partition, value) = (number % 3, format!("{number:0len$}", len = 3 + number as usize % 70));
        let record = Record::new(&value);
        match number % 7 {
            0 => drop(producer.try_send((&topic, partition), record).expect("there is room")),
            _ => drop(producer.send((&topic, partition), record).expect("there is room")),
        }
        sent[partition as usize].push(value);
    }
    producer.flush().wait().expect("the disk works");
    for partition in 0..3 {
        assert_eq!(values(&topic, partition), sent[partition as usize]);
    }
}

/// SEMANTICS 24
#[test]
fn a_sent_batch_is_stored_whole_or_not_at_all() {
    let (disk, _clock, broker, topic) = sim(1);
    let producer = lingering(&broker);
    let receipts = pile_up(&producer, 0..3);
    disk.inject(Fault::new(Failure::NoSpace).for_ever());
    let error = producer.flush().wait().expect_err("the disk is full");
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    for receipt in receipts {
        assert_eq!(receipt.wait().expect_err("the disk is full").kind(), ErrorKind::NoSpace);
    }
    disk.clear_faults();
    assert!(values(&topic, 0).is_empty());
    drop(pile_up(&producer, 3..6));
    producer.flush().wait().expect("there is room again");
    assert_eq!(values(&topic, 0).len(), 3);
}

/// SEMANTICS 25
#[test]
fn no_key_is_not_the_empty_key_and_sticks_for_a_batch() {
    let (_disk, _clock, broker, topic) = sim(5);
    let producer = broker.producer().batch_bytes(1_024).build().expect("the options are right");
    let sent = |record| {
        let receipt: Receipt = producer.send(&topic, record).expect("there is room");
        receipt.wait().expect("the disk works").partition()
    };
    let empty = topic.partition_for_key(b"");
    let mut places = Vec::new();
    for _ in 0..100 {
        assert_eq!(sent(Record::new("a").key("")), empty);
        places.push(sent(Record::new(&[0; 90])));
    }
    let changes = places.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!((8..=20).contains(&changes), "some 150 bytes each, a batch of 1,024: {places:?}");
    assert!((0..5).all(|number| places.contains(&number)), "{places:?}");
}

/// SEMANTICS 26
#[test]
fn a_record_that_is_too_large_is_refused_before_it_is_staged() {
    let (disk, _clock, broker, topic) = sim(1);
    broker.ensure_topic("t", TopicOptions::new().batch_bytes_max(2_048)).expect("a smaller limit");
    let producer = lingering(&broker);
    let before = disk.counts().mutations();
    let error = producer.send(&topic, Record::new(&[0; 2_048])).expect_err("with its header it is larger");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("2048"), "{error}");
    producer.flush().wait().expect("nothing was staged");
    assert_eq!(disk.counts().mutations(), before);
    producer.send(&topic, Record::new(&[0; 1_900])).expect("it fits").wait().expect("the disk works");
}

/// SEMANTICS 28
#[test]
fn flush_means_that_all_sent_before_has_reached_its_level() {
    let (disk, _clock, broker, topic) = sim(2);
    let producer = broker.producer().durability(Durability::Durable).build().expect("the options are right");
    for number in 0..2 {
        // Written at once, and nobody has it synced.
        drop(producer.send((&topic, number), Record::new("a")).expect("there is room"));
    }
    producer.flush().wait().expect("the disk works");
    for number in 0..2 {
        assert_eq!(topic.partition(number).expect("it is there").durable_offset().get(), 1);
    }
    let syncs = disk.counts().of(Op::Sync);
    producer.flush().wait().expect("nothing is left to do");
    assert_eq!(disk.counts().of(Op::Sync), syncs);

    let lingering = lingering(&broker);
    drop(lingering.send((&topic, 0), Record::new("b")).expect("there is room"));
    let (alarm, mut flushed) = (Arc::new(Alarm::default()), lingering.flush());
    assert!(alarm.poll(&mut flushed).is_pending(), "a future leaves the sync to others");
    broker.maintain().expect("the disk works");
    assert!(alarm.rang());
    assert!(matches!(alarm.poll(&mut flushed), Poll::Ready(Ok(()))));
    assert_eq!(topic.partition(0).expect("it is there").durable_offset().get(), 2);
}

/// SEMANTICS 28
#[test]
fn flush_tells_the_first_error_that_nobody_heard() {
    let (disk, _clock, broker, topic) = sim(2);
    let producer = lingering(&broker);
    disk.inject(Fault::new(Failure::NoSpace).for_ever());
    let heard = producer.send((&topic, 0), Record::new("a")).expect("there is room");
    assert_eq!(heard.wait().expect_err("the disk is full").kind(), ErrorKind::NoSpace);
    producer.flush().wait().expect("the receipt has told");
    drop(producer.send((&topic, 1), Record::new("a")).expect("there is room"));
    assert_eq!(producer.flush().wait().expect_err("nobody heard").kind(), ErrorKind::NoSpace);
    producer.flush().wait().expect("it was told");
    drop(producer.send((&topic, 1), Record::new("a")).expect("there is room"));
    assert_eq!(producer.close().expect_err("nobody heard").kind(), ErrorKind::NoSpace);
    producer.close().expect("it was told");
}

/// SEMANTICS 28: one of two receipts of a batch has told; the other is held, and then dropped.
#[test]
fn a_flush_tells_of_a_batch_of_whose_receipts_only_some_have_told() {
    let (disk, _clock, broker, topic) = sim(1);
    let producer = lingering(&broker);
    disk.inject(Fault::new(Failure::NoSpace).for_ever());
    let [heard, held] = ["a", "b"].map(|value| producer.send(&topic, Record::new(value)).expect("room"));
    assert_eq!(heard.wait().expect_err("the disk is full").kind(), ErrorKind::NoSpace);
    assert_eq!(producer.flush().wait().expect_err("b is not heard of").kind(), ErrorKind::NoSpace);
    drop(held);
    producer.flush().wait().expect("it was told");

    let both = ["a", "b"].map(|value| producer.send(&topic, Record::new(value)).expect("room"));
    both.into_iter().for_each(|receipt| drop(receipt.wait().expect_err("the disk is full")));
    producer.flush().wait().expect("both have told");
}

/// SEMANTICS 28
#[test]
fn flush_tells_of_a_record_that_was_stored_and_lost_before_its_sync() {
    // Its sync fails, and what is sent next hears of that for itself alone.
    let (disk, clock, broker, topic) = sim(1);
    let producer = broker.producer().build().expect("the options are right");
    drop(producer.send(&topic, Record::new("a")).expect("there is room"));
    disk.inject(Fault::new(Failure::Io).on(Op::Sync));
    broker.maintain().expect_err("the sync fails");
    let refused = producer.send(&topic, Record::new("b")).expect("there is room");
    assert_eq!(refused.wait().expect_err("it is poisoned").kind(), ErrorKind::Poisoned);
    producer.flush().wait().expect_err("nobody heard of the first");
    producer.flush().wait().expect("it was told");

    // So it is when the producer has let go of its partition meanwhile.
    topic.partition(0).expect("it is there").reopen().expect("the disk works");
    drop(producer.send(&topic, Record::new("c")).expect("there is room"));
    disk.inject(Fault::new(Failure::Io).on(Op::Sync));
    broker.maintain().expect_err("the sync fails");
    for _ in 0..5 {
        clock.advance(Duration::from_secs(20));
        drop(broker.maintain());
    }
    producer.flush().wait().expect_err("nobody heard of it");
    producer.flush().wait().expect("it was told");

    // It is taken back, and what is sent next is well.
    let (_disk, _clock, broker, topic) = sim(1);
    let producer = broker.producer().build().expect("the options are right");
    for _ in 0..2 {
        drop(producer.send(&topic, Record::new("a")).expect("there is room"));
        topic.partition(0).expect("it is there").truncate(Offset::ZERO).expect("it was not synced");
        drop(producer.send(&topic, Record::new("b")).expect("there is room"));
        assert_eq!(producer.flush().wait().expect_err("the first is gone").kind(), ErrorKind::Conflict);
        producer.flush().wait().expect("it was told");
        assert_eq!(values(&topic, 0), ["b"]);
    }
}

/// SEMANTICS 28
#[test]
fn dropping_a_producer_flushes_and_cannot_report() {
    let (disk, _clock, broker, topic) = sim(1);
    let producer = lingering(&broker);
    let receipts = pile_up(&producer, 0..10);
    drop(producer);
    assert_eq!(values(&topic, 0).len(), 10);
    receipts.into_iter().for_each(|receipt| drop(receipt.wait().expect("the disk works")));

    let producer = lingering(&broker);
    let receipts = pile_up(&producer, 0..1);
    disk.inject(Fault::new(Failure::NoSpace).for_ever());
    drop(producer);
    for receipt in receipts {
        assert_eq!(receipt.wait().expect_err("the disk is full").kind(), ErrorKind::NoSpace);
    }

    // With threads, one of them does it, and whoever drops does not wait.
    let broker = Broker::options().open_in_memory().expect("memory");
    let topic = broker.create_topic("t", TopicOptions::new()).expect("room");
    let producer = lingering(&broker);
    let mut receipts = pile_up(&producer, 0..10);
    drop(producer);
    for receipt in &mut receipts {
        let stored = receipt.wait_for(PATIENCE).expect("memory works");
        stored.expect("it was handed over");
    }
    assert_eq!(values(&topic, 0).len(), 10);
}

/// SEMANTICS 28
#[test]
fn nothing_staged_behind_an_error_is_written() {
    let (disk, _clock, broker, topic) = sim(2);
    let producer = lingering(&broker);
    let mut receipts = pile_up(&producer, 0..9);
    let aside = producer.send((&topic, 1), Record::new("aside")).expect("there is room");
    disk.inject(Fault::new(Failure::NoSpace));
    let flushed = producer.flush();
    assert_eq!(disk.faults_hit(), 1, "the first batch met it, and no other was tried");
    // What is sent once that is known is tried anew.
    receipts.extend(pile_up(&producer, 9..12));
    assert_eq!(flushed.wait().expect_err("one batch failed").kind(), ErrorKind::NoSpace);
    producer.flush().wait().expect("the rest is well");
    let expected: Vec<_> = (9..12).map(|number| format!("{number:0300}")).collect();
    assert_eq!(values(&topic, 0), expected);
    assert_eq!(values(&topic, 1), ["aside"], "other partitions go on");
    aside.wait().expect("it was written");
    for (number, receipt) in receipts.into_iter().enumerate() {
        match receipt.wait() {
            Ok(stored) => assert_eq!(stored.offset().get(), number as u64 - 9),
            Err(error) => {
                assert_eq!((error.kind(), number < 9), (ErrorKind::NoSpace, true), "{error}");
                assert_eq!(error.to_string().starts_with("not written, because"), number > 2, "{error}");
            }
        }
    }
}

/// SEMANTICS 28
#[test]
fn a_poisoned_partition_refuses_until_it_is_reopened() {
    let (disk, _clock, broker, topic) = sim(1);
    let producer = broker.producer().build().expect("the options are right");
    let first = producer.send(&topic, Record::new("a")).expect("there is room");
    disk.inject(Fault::new(Failure::Io).on(Op::Sync));
    assert_eq!(first.wait().expect_err("the sync fails").kind(), ErrorKind::Io);
    for _ in 0..2 {
        let refused = producer.send(&topic, Record::new("b")).expect("there is room");
        assert_eq!(refused.wait().expect_err("it is poisoned").kind(), ErrorKind::Poisoned);
    }
    topic.partition(0).expect("it is there").reopen().expect("the disk works");
    let stored = producer.send(&topic, Record::new("c")).expect("there is room").wait().expect("it is well");
    assert_eq!(values(&topic, 0).last().map(String::as_str), Some("c"));
    assert_eq!(stored.offset().get() + 1, values(&topic, 0).len() as u64);
    producer.flush().wait().expect("it was heard, and what came after it is well");
    producer.close().expect("nothing is left to tell");
}

/// SEMANTICS 11
#[test]
fn a_receipt_names_the_level_it_reached() {
    let (_disk, _clock, broker, topic) = sim(1);
    for (asked, reached) in [
        (SendDurability::OfTopic, SendDurability::Durable),
        (SendDurability::Buffered, SendDurability::Buffered),
        (SendDurability::Written, SendDurability::Written),
        (SendDurability::Durable, SendDurability::Durable),
    ] {
        let producer = broker.producer().durability(asked).build().expect("the options are right");
        let stored = producer.send(&topic, Record::new("a")).expect("there is room").wait().expect("ok");
        assert_eq!(stored.durability(), reached);
        let partition = topic.partition(0).expect("it is there");
        assert_eq!(
            partition.durable_offset() == partition.log_end_offset(),
            reached == SendDurability::Durable
        );
    }
}

/// SEMANTICS 16
#[test]
fn a_receipt_tells_the_time_that_the_log_gave() {
    let (_disk, clock, broker, topic) = sim(1);
    let stamps = annals::TimestampSource::LogAppendTime;
    let producer = lingering(&broker);
    let own = producer.send(&topic, Record::new("a").timestamp(annals::Timestamp::from_millis(7)));
    clock.advance(Duration::from_secs(1));
    let sent = producer.send(&topic, Record::new("b")).expect("there is room");
    clock.advance(Duration::from_secs(1));
    assert_eq!(own.expect("there is room").wait().expect("ok").timestamp().as_millis(), 7);
    assert_eq!(sent.wait().expect("ok").timestamp(), START.saturating_add(Duration::from_secs(1)));
    broker.ensure_topic("t", TopicOptions::new().timestamps(stamps)).expect("an option");
    let stamped = producer.send(&topic, Record::new("c")).expect("there is room");
    clock.advance(Duration::from_secs(1));
    assert_eq!(stamped.wait().expect("ok").timestamp(), START.saturating_add(Duration::from_secs(3)));
}
