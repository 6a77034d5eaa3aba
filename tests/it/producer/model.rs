//! One producer against lists of what was sent: random acts by one thread, due work done by hand.

use super::{assert_buffer_is_empty, values};
use crate::figure;
use crate::proof::{Count, Rate, Seed, Size};
use annals::clock::{Clock, ManualClock};
use annals::{
    Broker, ErrorKind, Maintenance, OnFullBuffer, Producer, ReadLevel, Receipt, Record, SendDurability,
    Target, Timestamp, Topic, TopicOptions,
};
use fastrand::Rng;
use std::time::{Duration, Instant};

/// Where a record without a key may be.
const ANYWHERE: u32 = u32::MAX;

struct World {
    rng: Rng,
    clock: ManualClock,
    broker: Broker,
    topic: Topic,
    producer: Producer,
    linger: Duration,
    /// The partition that each record, by its number, was sent to.
    sent: Vec<u32>,
    receipts: Vec<(usize, i64, Receipt)>,
}

impl World {
    fn new(mut rng: Rng) -> Self {
        let clock = ManualClock::new(Timestamp::from_millis(1_000));
        let options = Broker::options().maintenance(Maintenance::Manual).clock(clock.clone());
        let broker = options.open_in_memory().expect("memory");
        let topic = broker.create_topic("t", TopicOptions::new().partitions(rng.u32(1..4))).expect("room");
        let linger = Duration::from_millis(rng.choice([0, 0, 10, 1_000]).expect("a choice"));
        let level = rng.choice([SendDurability::Written, SendDurability::Durable]).expect("a choice");
        let producer = broker
            .producer()
            .linger(linger)
            .batch_bytes(rng.choice([1_024, 2_000, 16_384]).expect("a choice"))
            .buffer_bytes(rng.choice([16_384, 1 << 20]).expect("a choice"))
            .on_full_buffer(OnFullBuffer::Refuse)
            .durability(level)
            .build()
            .expect("the options are right");
        Self { rng, clock, broker, topic, producer, linger, sent: Vec::new(), receipts: Vec::new() }
    }

    fn step(&mut self) {
        match self.rng.u32(0..100) {
            0..75 => self.send(),
            75..80 => self.clock.advance(Duration::from_millis(self.rng.u64(0..20))),
            80..85 => self.broker.maintain().expect("nothing fails"),
            85..88 => self.producer.flush().wait().expect("nothing fails"),
            88..93 => self.wait_for_one(),
            93..97 => self.receipts.truncate(self.rng.usize(0..=self.receipts.len())),
            97..98 => self.grow(),
            98..99 => self.linger_out(),
            _ => self.check(),
        }
    }

    fn send(&mut self) {
        let number = self.sent.len();
        let len = if self.rng.u32(0..20) == 0 { self.rng.usize(0..4_000) } else { self.rng.usize(0..300) };
        let value = format!("{number}{}", ".".repeat(len));
        let key = self.rng.u32(0..20).to_le_bytes();
        let explicit = self.rng.u32(0..self.topic.partition_count());
        let (mut target, mut record) = (Target::from(&self.topic), Record::new(&value));
        let place = match self.rng.u32(0..4) {
            0 => {
                record = record.key(&key);
                self.topic.partition_for_key(&key)
            }
            1 => {
                target = Target::from((&self.topic, explicit));
                explicit
            }
            _ => ANYWHERE,
        };
        let mut millis = self.clock.now().as_millis();
        if self.rng.bool() {
            millis = self.rng.i64(-9..9);
            record = record.timestamp(Timestamp::from_millis(millis));
        }
        let never_blocks = self.rng.u32(0..4) == 0;
        let receipt = if never_blocks {
            self.producer.try_send(target, record)
        } else {
            self.producer.send(target, record)
        };
        match receipt {
            Ok(receipt) => {
                self.sent.push(place);
                self.receipts.push((number, millis, receipt));
            }
            Err(error) => {
                assert!(never_blocks && error.kind() == ErrorKind::BufferFull, "{error}");
                self.broker.maintain().expect("nothing fails");
            }
        }
    }

    fn wait_for_one(&mut self) {
        if self.receipts.is_empty() {
            return;
        }
        let at = self.rng.usize(0..self.receipts.len());
        let (number, millis, receipt) = self.receipts.swap_remove(at);
        let stored = receipt.wait().expect("nothing fails");
        assert_eq!(stored.timestamp().as_millis(), millis);
        let place = self.sent[number];
        assert!(place == ANYWHERE || place == stored.partition(), "{stored:?}");
        let log = self.topic.partition(stored.partition()).expect("it is there");
        if stored.durability() == SendDurability::Durable {
            assert!(log.durable_offset() > stored.offset(), "{stored:?}");
        }
        let mut reader = log.read(stored.offset()).level(ReadLevel::Written);
        let records = reader.next().expect("it is stored").expect("it is good");
        let record = records.iter().next().expect("a run has records");
        assert_eq!((record.offset(), record.timestamp()), (stored.offset(), stored.timestamp()));
        assert_eq!(number_of(&String::from_utf8_lossy(record.value())), number);
    }

    fn grow(&mut self) {
        let count = self.topic.partition_count() + 1;
        if count <= 6 {
            self.broker.ensure_topic("t", TopicOptions::new().partitions(count)).expect("room");
        }
    }

    /// All that lingers comes out by itself.
    fn linger_out(&mut self) {
        self.clock.advance(self.linger);
        self.broker.maintain().expect("nothing fails");
        self.check_logs();
    }

    fn check(&mut self) {
        self.producer.flush().wait().expect("nothing fails");
        assert_buffer_is_empty(&self.producer);
        self.check_logs();
    }

    /// That all that was sent is stored, once, where it belongs, and in order.
    fn check_logs(&self) {
        let mut seen = vec![false; self.sent.len()];
        for partition in 0..self.topic.partition_count() {
            let log = self.topic.partition(partition).expect("it is there");
            let numbers: Vec<_> = values(&log).iter().map(|value| number_of(value)).collect();
            assert!(numbers.is_sorted_by(|a, b| a < b), "partition {partition}: {numbers:?}");
            for number in numbers {
                let place = self.sent[number];
                assert!(place == ANYWHERE || place == partition, "{number} in {partition}, sent to {place}");
                seen[number] = true;
            }
        }
        let missing: Vec<_> = (0..seen.len()).filter(|number| !seen[*number]).collect();
        assert!(missing.is_empty(), "not stored: {missing:?} of {}", seen.len());
    }
}

fn number_of(value: &str) -> usize {
    value.trim_end_matches('.').parse().expect("a number and dots")
}

#[test]
fn what_is_sent_is_stored_once_where_it_belongs_and_in_order() {
    let seed = Seed::of("producer model");
    let (runs, steps) = Size::asked().pick((40, 300), (1_000, 400), (20_000, 500));
    let started = Instant::now();
    for run in 0..runs {
        let mut world = World::new(seed.rng(run));
        for _ in 0..steps {
            world.step();
        }
        world.check();
        while !world.receipts.is_empty() {
            world.wait_for_one();
        }
        drop(world.producer);
        world.broker.close().expect("nothing fails");
    }
    let count = runs * steps;
    figure!("producer model: {} steps, 0 violations, {}", Count(count), Rate(count, started.elapsed()));
}

/// Receipts at `Buffered` tell the partition at once, so every turn of the sticky partition can be watched.
#[test]
fn records_without_a_key_never_break_a_batch_off() {
    let seed = Seed::of("sticky partition");
    for run in 0..Size::asked().pick(20, 200, 2_000) {
        let mut rng = seed.rng(run);
        let clock = ManualClock::new(Timestamp::from_millis(1_000));
        let options = Broker::options().maintenance(Maintenance::Manual).clock(clock);
        let broker = options.open_in_memory().expect("memory");
        let topic = broker.create_topic("t", TopicOptions::new().partitions(3)).expect("room");
        let producer = broker.producer().linger(Duration::from_secs(9)).batch_bytes(1_024);
        let producer = producer.durability(SendDurability::Buffered).build().expect("right options");
        let mut sent = [0_u64; 3];
        let (mut sticky, mut bytes) = (None, 0);
        for _ in 0..500 {
            let value = vec![0; rng.usize(0..300)];
            if rng.u32(0..3) == 0 {
                // Records with a place of their own fill batches as well.
                let place = rng.u32(0..3);
                drop(producer.send((&topic, place), Record::new(&value)).expect("there is room"));
                sent[place as usize] += 1;
                continue;
            }
            let receipt = producer.send(&topic, Record::new(&value)).expect("there is room");
            let place = receipt.wait().expect("it is staged").partition();
            if let Some(before) = sticky.filter(|before| *before != place) {
                let end = topic.partition(before).expect("it is there").log_end_offset().get();
                assert_eq!(end, sent[before as usize], "a batch to {before} was broken off for {place}");
                assert!(bytes >= 900, "only {bytes} bytes went to {before}");
                bytes = 0;
            }
            sticky = Some(place);
            bytes += value.len() + 20;
            sent[place as usize] += 1;
        }
        producer.close().expect("nothing fails");
        let ends =
            [0, 1, 2].map(|number| topic.partition(number).expect("it is there").log_end_offset().get());
        assert_eq!(ends, sent);
    }
}
