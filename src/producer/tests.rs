//! What one producer does, by one thread and step by step.

use crate::clock::{Clock, ManualClock};
use crate::{
    Broker, Durability, ErrorKind, KeyHash, Maintenance, Offset, OnFullBuffer, Placement, Producer,
    ProducerOptions, ReadLevel, Record, Routing, SendDurability, Timestamp, Topic, TopicOptions,
};
use std::time::Duration;

struct Bench {
    clock: ManualClock,
    broker: Broker,
    topic: Topic,
}

fn bench(partitions: u32) -> Bench {
    let clock = ManualClock::new(Timestamp::from_millis(1_000));
    let broker = Broker::options()
        .clock(clock.clone())
        .maintenance(Maintenance::Manual)
        .open_in_memory()
        .expect("memory");
    let topic = broker.create_topic("t", TopicOptions::new().partitions(partitions)).expect("a new topic");
    Bench { clock, broker, topic }
}

impl Bench {
    fn producer(&self, options: impl FnOnce(ProducerOptions) -> ProducerOptions) -> Producer {
        options(self.broker.producer()).build().expect("the options are right")
    }

    fn values(&self, partition: u32) -> Vec<String> {
        let partition = self.topic.partition(partition).expect("it is there");
        let mut values = Vec::new();
        for records in partition.read(Offset::ZERO).level(ReadLevel::Written) {
            for record in &records.expect("what is there is good") {
                values.push(String::from_utf8_lossy(record.value()).into_owned());
            }
        }
        values
    }

    fn end(&self, partition: u32) -> u64 {
        self.topic.partition(partition).expect("it is there").log_end_offset().get()
    }
}

#[test]
fn a_send_alone_is_written_when_it_returns() {
    let bench = bench(1);
    let producer = bench.producer(|options| options);
    let receipt = producer.send(&bench.topic, Record::new("a")).expect("there is room");
    assert_eq!(bench.end(0), 1);
    let stored = receipt.wait().expect("the disk works");
    assert_eq!((stored.topic(), stored.partition(), stored.offset().get()), ("t", 0, 0));
    assert_eq!((stored.timestamp(), stored.durability()), (bench.clock.now(), SendDurability::Durable));
    assert_eq!(bench.topic.partition(0).expect("it is there").durable_offset().get(), 1);
}

#[test]
fn a_batch_lingers_until_its_time() {
    let bench = bench(1);
    let producer = bench.producer(|options| options.linger(Duration::from_millis(10)));
    let first = producer.send("t", Record::new("a")).expect("there is room");
    bench.clock.advance(Duration::from_millis(6));
    producer.send("t", Record::new("b")).expect("there is room");
    bench.broker.maintain().expect("nothing fails");
    assert_eq!(bench.end(0), 0);
    bench.clock.advance(Duration::from_millis(4));
    bench.broker.maintain().expect("nothing fails");
    assert_eq!(bench.values(0), ["a", "b"]);
    assert_eq!(first.wait().expect("it is written").offset().get(), 0);
    let waited = producer.send("t", Record::new("c")).expect("there is room");
    assert_eq!(bench.end(0), 2);
    assert_eq!(waited.wait().expect("who waits has it written").offset().get(), 2);
}

#[test]
fn a_full_batch_does_not_linger() {
    let bench = bench(1);
    let producer = bench.producer(|options| options.linger(Duration::from_secs(60)).batch_bytes(1_024));
    for number in 0..50 {
        producer.send("t", Record::new(&format!("{number:040}"))).expect("there is room");
    }
    let end = bench.end(0);
    assert!((30..50).contains(&end), "{end}");
    producer.flush().wait().expect("nothing fails");
    assert_eq!(bench.end(0), 50);
    let expected: Vec<_> = (0..50).map(|number| format!("{number:040}")).collect();
    assert_eq!(bench.values(0), expected);
}

#[test]
fn too_large_is_refused_before_anything_is_staged() {
    let bench = bench(1);
    bench.broker.ensure_topic("t", TopicOptions::new().batch_bytes_max(2_048)).expect("a smaller limit");
    let producer = bench.producer(|options| options.linger(Duration::from_secs(1)).buffer_bytes(16 << 10));
    producer.send("t", Record::new("a")).expect("there is room");
    for (len, limit) in [(3_000, "2048"), (20_000, "16384")] {
        let error = producer.send("t", Record::new(&vec![0; len])).expect_err("it is too large");
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains(limit), "{error}");
    }
    producer.send("t", Record::new("b")).expect("there is room");
    producer.close().expect("nothing fails");
    assert_eq!(bench.values(0), ["a", "b"]);
    assert!(format!("{producer:?}").contains("bytes_staged: 0"), "{producer:?}");
}

#[test]
fn a_record_larger_than_a_batch_has_one_of_its_own() {
    let bench = bench(1);
    let producer = bench.producer(|options| options.batch_bytes(1_024).linger(Duration::from_secs(1)));
    let large = "x".repeat(5_000);
    for value in ["a", &large, "b"] {
        producer.send("t", Record::new(value)).expect("there is room");
    }
    producer.flush().wait().expect("nothing fails");
    assert_eq!(bench.values(0), ["a", &large, "b"]);
}

#[test]
fn buffered_receipts_are_done_when_staged() {
    let bench = bench(1);
    let options = |options: ProducerOptions| {
        options.durability(SendDurability::Buffered).linger(Duration::from_secs(1))
    };
    let producer = bench.producer(options);
    let stored = producer.send("t", Record::new("a")).expect("there is room").wait().expect("it is staged");
    assert_eq!((stored.offset(), stored.durability()), (Offset::MAX, SendDurability::Buffered));
    assert!(!stored.has_offset(), "it is in no log yet");
    assert_eq!(bench.end(0), 0);
    producer.flush().wait().expect("nothing fails");
    assert_eq!(bench.end(0), 1);
}

#[test]
fn records_go_where_they_are_sent_or_by_key() {
    let bench = bench(10);
    let producer = bench.producer(|options| options);
    let sent = |producer: &Producer, record| {
        producer
            .send(&bench.topic, record)
            .expect("there is room")
            .wait()
            .expect("the disk works")
            .partition()
    };
    assert_eq!(sent(&producer, Record::new("a").key("foobar")), 6);
    assert_eq!(sent(&producer, Record::new("a").key("")), bench.topic.partition_for_key(b""));
    let explicit = producer.send((&bench.topic, 9), Record::new("a").key("foobar")).expect("there is room");
    assert_eq!(explicit.wait().expect("the disk works").partition(), 9);
    let error = producer.send(("t", 10), Record::new("a")).expect_err("there are ten");
    assert_eq!(error.kind(), ErrorKind::NotFound);

    let crc = bench.producer(|options| options.partitioner(KeyHash::Crc32));
    // CRC-32 of "123456789" is 0xcbf43926.
    assert_eq!(sent(&crc, Record::new("a").key("123456789")), 0xcbf4_3926 % 10);
    let own = bench.producer(|options| {
        options.partitioner(|routing: &Routing<'_>| Placement::Partition(routing.partition_count - 1))
    });
    assert_eq!(sent(&own, Record::new("a")), 9);
    bench.broker.ensure_topic("t", TopicOptions::new().partitions(12)).expect("two more");
    assert_eq!(sent(&own, Record::new("a")), 11, "added partitions are seen at once");
    let wrong = bench.producer(|options| {
        options.partitioner(|routing: &Routing<'_>| Placement::Partition(routing.partition_count))
    });
    assert_eq!(wrong.send("t", Record::new("a")).expect_err("no such").kind(), ErrorKind::NotFound);
}

#[test]
fn a_full_buffer_is_refused_or_waited_for() {
    let bench = bench(2);
    let refusing = bench.producer(|options| {
        let options = options.linger(Duration::from_secs(60)).batch_bytes(4_096).buffer_bytes(4_096);
        options.on_full_buffer(OnFullBuffer::Refuse)
    });
    let value = vec![0; 2_000];
    refusing.try_send(("t", 0), Record::new(&value)).expect("there is room");
    refusing.try_send(("t", 1), Record::new(&value)).expect_err("there is none");
    assert_eq!(bench.end(0), 0, "try_send writes nothing");
    bench.broker.maintain().expect("nothing fails");
    assert_eq!(bench.end(0), 1, "room is made in the background");
    for _ in 0..10 {
        // A send makes room itself.
        refusing.send(("t", 0), Record::new(&value)).expect("there is room");
        refusing.send(("t", 1), Record::new(&value)).expect("there is room");
    }
    refusing.close().expect("nothing fails");
    assert_eq!((bench.end(0), bench.end(1)), (11, 10));
}

#[test]
fn dropping_hands_over_and_closing_ends() {
    let bench = bench(1);
    let options = |options: ProducerOptions| options.linger(Duration::from_secs(60));
    let producer = bench.producer(options);
    let receipt = producer.send("t", Record::new("a")).expect("there is room");
    let clone = producer.clone();
    drop(producer);
    assert_eq!(bench.end(0), 0);
    drop(clone);
    assert_eq!(bench.values(0), ["a"]);
    assert_eq!(receipt.wait().expect("the disk works").offset().get(), 0);

    let producer = bench.producer(options);
    producer.send("t", Record::new("b")).expect("there is room");
    producer.close().expect("nothing fails");
    producer.close().expect("again");
    assert_eq!(bench.values(0), ["a", "b"]);
    assert_eq!(producer.send("t", Record::new("c")).expect_err("closed").kind(), ErrorKind::Closed);

    let producer = bench.producer(options);
    let receipt = producer.send("t", Record::new("c")).expect("there is room");
    bench.broker.close().expect("nothing fails");
    assert_eq!(receipt.wait().expect("it was written before").offset().get(), 2);
    assert_eq!(producer.send("t", Record::new("d")).expect_err("closed").kind(), ErrorKind::Closed);
    producer.flush().wait().expect("nothing is left");
}

#[test]
fn a_deleted_topic_is_not_found() {
    let bench = bench(1);
    let producer = bench.producer(|options| options.linger(Duration::from_secs(60)));
    producer.send(&bench.topic, Record::new("a")).expect("there is room").wait().expect("it is written");
    let staged = producer.send(&bench.topic, Record::new("b")).expect("there is room");
    bench.broker.delete_topic("t").expect("it is there");
    for topic in ["t", "u"] {
        assert_eq!(producer.send(topic, Record::new("c")).expect_err("gone").kind(), ErrorKind::NotFound);
    }
    assert_eq!(producer.send(&bench.topic, Record::new("c")).expect_err("gone").kind(), ErrorKind::NotFound);
    assert_eq!(staged.wait().expect_err("gone").kind(), ErrorKind::NotFound);
    producer.flush().wait().expect("the receipt has told");

    let again = bench.broker.create_topic("t", TopicOptions::new()).expect("a new topic");
    assert_eq!(producer.send(&bench.topic, Record::new("c")).expect_err("gone").kind(), ErrorKind::NotFound);
    assert_eq!(
        producer.send("t", Record::new("d")).expect("a new one").wait().expect("ok").offset().get(),
        0
    );
    assert_eq!(producer.send(&again, Record::new("e")).expect("it").wait().expect("ok").offset().get(), 1);
}

#[test]
fn options_outside_their_bounds_are_refused() {
    let bench = bench(1);
    let options = || bench.broker.producer();
    for wrong in [
        options().batch_bytes(1_023),
        options().batch_bytes((16 << 20) + 1),
        options().buffer_bytes(1_000),
        options().buffer_bytes(8_192).batch_bytes(8_193),
        options().linger(Duration::from_secs(3_601)),
    ] {
        assert_eq!(wrong.build().expect_err("out of bounds").kind(), ErrorKind::InvalidInput);
    }
    options().durability(Durability::Written).build().expect("a level of partitions");
}

#[test]
fn sticky_records_fill_a_batch_and_move_on() {
    let bench = bench(3);
    let producer = bench.producer(|options| options.batch_bytes(1_024));
    let mut runs: Vec<(u32, usize)> = Vec::new();
    for _ in 0..600 {
        let sent = producer.send(&bench.topic, Record::new(&[0; 50])).expect("there is room");
        let partition = sent.wait().expect("the disk works").partition();
        match runs.last_mut() {
            Some((last, count)) if *last == partition => *count += 1,
            _ => runs.push((partition, 1)),
        }
    }
    assert!(runs.len() > 15, "{runs:?}");
    let inner = &runs[1..runs.len() - 1];
    assert!(inner.iter().all(|(_, count)| *count == inner[0].1), "{runs:?}");
    assert!((0..3).all(|number| bench.end(number).abs_diff(200) <= inner[0].1 as u64), "{runs:?}");
}

#[test]
fn partitions_that_are_not_sent_to_are_let_go_of() {
    let bench = bench(2);
    let producer = bench.producer(|options| options);
    for number in 0..2 {
        producer.send((&bench.topic, number), Record::new("a")).expect("there is room").wait().expect("ok");
    }
    let open = || bench.broker.stats().open_count;
    assert_eq!(open(), 2);
    for _ in 0..10 {
        bench.clock.advance(Duration::from_secs(11));
        producer.send((&bench.topic, 1), Record::new("b")).expect("there is room").wait().expect("ok");
        bench.broker.maintain().expect("nothing fails");
    }
    assert_eq!(open(), 1, "the one that is sent to");
    producer.send((&bench.topic, 0), Record::new("b")).expect("there is room").wait().expect("ok");
    assert_eq!((bench.end(0), bench.end(1)), (2, 11));
}
