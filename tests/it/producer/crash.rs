//! A workload of sends on a disk that loses its power, or fails, at every operation.
//!
//! ```text
//!     acts ──recorded──▶ every step ──▶ power cuts ──▶ open ──▶ what was acknowledged is there;
//!     acts ──a fault at every operation──▶ kill, cut ─▶ open ──▶ what failed for sure is not; order is kept
//! ```

use super::{assert_buffer_is_empty, values};
use crate::figure;
use crate::proof::{Count, Rate, Seed, Size};
use annals::clock::ManualClock;
use annals::dump::{Detail, DumpItem, FileDump};
use annals::io::{EntryOrder, Failure, Fault, PowerCuts, SimDisk};
use annals::{
    Broker, ErrorKind, Maintenance, Producer, Receipt, Record, Result, SendDurability, Timestamp, Topic,
    TopicOptions,
};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const PARTITIONS: u32 = 2;

#[derive(Clone, Copy, Debug)]
enum Act {
    /// So many records to this partition, without appending.
    Pile(u32, u32),
    /// One record, which is appended.
    Send(u32),
    /// The receipt of the last record to this partition.
    Wait(u32),
    Flush,
    /// Time passes, and due work is done.
    Maintain,
}

/// Single records and batches of several, waited for and not, to both partitions by turns; enough of them for a
/// roll in each.
const ACTS: &[Act] = &[
    Act::Send(0),
    Act::Wait(0),
    Act::Pile(0, 9),
    Act::Pile(1, 2),
    Act::Flush,
    Act::Send(1),
    Act::Send(1),
    Act::Maintain,
    Act::Pile(0, 14),
    Act::Wait(0),
    Act::Send(1),
    Act::Pile(1, 20),
    Act::Pile(0, 3),
    Act::Maintain,
    Act::Wait(1),
    Act::Pile(1, 30),
    Act::Flush,
    Act::Send(0),
    Act::Send(1),
    Act::Flush,
];

/// What became of a record, as far as its sender knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It may or may not be there.
    Nothing,
    /// It is durable.
    Durable,
    /// It was refused, or not written.
    NotWritten,
}

/// What was sent to each partition, in order.
#[derive(Clone, Debug, Default)]
struct Sent(Vec<Vec<Known>>);

struct World {
    clock: ManualClock,
    broker: Broker,
    topic: Topic,
    producer: Producer,
    sent: Sent,
    /// Of those records that nothing is known of yet.
    receipts: Vec<(u32, usize, Receipt)>,
}

fn open(disk: &SimDisk, seed: u64) -> Result<(ManualClock, Broker, Topic)> {
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let options = Broker::options().maintenance(Maintenance::Manual).clock(clock.clone()).seed(seed);
    let broker = options.open_in(disk.root())?;
    let topic = TopicOptions::new().partitions(PARTITIONS).segment_bytes_max(16 << 10);
    let topic = broker.ensure_topic("t", topic)?;
    Ok((clock, broker, topic))
}

impl World {
    fn new(disk: &SimDisk) -> Result<Self> {
        let (clock, broker, topic) = open(disk, 1)?;
        let producer = broker.producer().linger(Duration::from_millis(10)).batch_bytes(2_048);
        let producer = producer.buffer_bytes(64 << 10).durability(SendDurability::Durable).build()?;
        let sent = Sent(vec![Vec::new(); PARTITIONS as usize]);
        Ok(Self { clock, broker, topic, producer, sent, receipts: Vec::new() })
    }

    fn run(&mut self, act: Act) {
        match act {
            Act::Pile(partition, count) => (0..count).for_each(|_| self.send(partition)),
            Act::Send(partition) => {
                self.send(partition);
                self.clock.advance(Duration::from_millis(10));
                // What fails is told by receipts.
                drop(self.broker.maintain());
            }
            Act::Wait(partition) => self.wait(partition),
            Act::Flush => drop(self.flush()),
            Act::Maintain => {
                self.clock.advance(Duration::from_secs(2));
                drop(self.broker.maintain());
            }
        }
    }

    fn send(&mut self, partition: u32) {
        let log = &mut self.sent.0[partition as usize];
        let value = format!("{:0300}", log.len());
        match self.producer.try_send((&self.topic, partition), Record::new(&value)) {
            Ok(receipt) => {
                self.receipts.push((partition, log.len(), receipt));
                log.push(Known::Nothing);
            }
            Err(error) => panic!("there is room for all: {error}"),
        }
    }

    fn wait(&mut self, partition: u32) {
        if let Some(at) = self.receipts.iter().rposition(|(other, ..)| *other == partition) {
            let (_, number, receipt) = self.receipts.remove(at);
            self.learn(partition, number, receipt.wait());
        }
    }

    fn learn(&mut self, partition: u32, number: usize, told: Result<annals::RecordMetadata>) {
        self.sent.0[partition as usize][number] = match told {
            Ok(_) => Known::Durable,
            // Also a sync can say that the disk is full; then it is written, and may be lost.
            Err(error) if error.to_string().starts_with("cannot sync") => Known::Nothing,
            Err(error) if error.kind() == ErrorKind::NoSpace => Known::NotWritten,
            // A poisoned log took nothing; a failure of the disk may have come after the store.
            Err(error) if error.kind() == ErrorKind::Poisoned => Known::NotWritten,
            Err(_) => Known::Nothing,
        };
    }

    /// Flushes; then every receipt has its answer.
    fn flush(&mut self) -> Result<()> {
        let flushed = self.producer.flush().wait();
        assert_buffer_is_empty(&self.producer);
        for (partition, number, mut receipt) in std::mem::take(&mut self.receipts) {
            match receipt.wait_for(Duration::ZERO) {
                Ok(Some(stored)) => self.learn(partition, number, Ok(stored)),
                Err(error) => self.learn(partition, number, Err(error)),
                Ok(None) if flushed.is_err() => self.receipts.push((partition, number, receipt)),
                Ok(None) => panic!("{partition}, {number}: it was flushed"),
            }
        }
        flushed
    }

    /// Takes partitions up again that a failure has stopped.
    fn mend(&mut self) {
        for partition in 0..PARTITIONS {
            if let Ok(log) = self.topic.partition(partition) {
                drop(log.reopen());
            }
        }
    }
}

/// That a disk after an accident has what was acknowledged, nothing that was refused, and all in order; and that all
/// can go on with it.
fn check(disk: &SimDisk, sent: &Sent, context: &str) {
    let (_, broker, topic) = open(disk, 99).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(broker.recovery_report().refused.is_empty(), "{context}: {:?}", broker.recovery_report());
    for (partition, sent) in (0..).zip(&sent.0) {
        let log = topic.partition(partition).unwrap_or_else(|error| panic!("{context}: {error}"));
        let found: Vec<usize> = values(&log).iter().map(|value| value.parse().expect("a number")).collect();
        assert!(found.is_sorted_by(|a, b| a < b), "{context}: partition {partition} has {found:?}");
        for (number, known) in sent.iter().enumerate() {
            let is_there = found.binary_search(&number).is_ok();
            match known {
                Known::Nothing => {}
                Known::Durable => assert!(is_there, "{context}: {partition}, {number} was acknowledged"),
                Known::NotWritten => assert!(!is_there, "{context}: {partition}, {number} was refused"),
            }
        }
        assert!(found.last().is_none_or(|last| *last < sent.len()), "{context}: more than was sent");
    }
    let producer = broker.producer().build().unwrap_or_else(|error| panic!("{context}: {error}"));
    for partition in 0..PARTITIONS {
        let sent = producer.send((&topic, partition), Record::new("on")).and_then(annals::Pending::wait);
        sent.unwrap_or_else(|error| panic!("{context}: {error}"));
    }
}

/// Where the batches of each partition end, as they lie on a disk without an accident.
fn batch_ends(disk: &SimDisk) -> Vec<BTreeSet<usize>> {
    let ends_of = |partition: u32| {
        let dir = disk.root().open_dir("t").and_then(|dir| dir.open_dir(&partition.to_string()));
        let dir = dir.expect("it was created");
        let mut ends = BTreeSet::from([0]);
        for entry in dir.list().expect("it lists") {
            if !entry.name.ends_with(".log") {
                continue;
            }
            let dump = FileDump::open_in(&*dir, &entry.name).expect("it is a segment");
            let note = &mut |item: &DumpItem| {
                let next =
                    item.fields.iter().find(|(name, _)| item.what == "batch" && *name == "next_offset");
                ends.extend(next.map(|(_, next)| next.parse::<usize>().expect("an offset")));
            };
            dump.show(Detail::Batches, note).expect("it can be read");
        }
        ends
    };
    (0..PARTITIONS).map(ends_of).collect()
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_every_step() {
    let seed = Seed::of("producer power cuts");
    let size = Size::asked();
    let started = Instant::now();
    let disk = SimDisk::new();
    disk.record();
    let mut world = World::new(&disk).expect("this disk is well");
    let created = disk.steps_recorded();
    let mut acknowledged = Vec::new();
    for act in ACTS {
        world.run(*act);
        acknowledged.push((disk.steps_recorded(), world.sent.clone()));
    }
    let last = &acknowledged.last().expect("there are acts").1;
    assert!(last.0.iter().flatten().all(|known| *known == Known::Durable), "{last:?}");
    let ends = batch_ends(&disk);
    assert!(ends.iter().all(|ends| ends.len() > 8), "{ends:?}");
    // The last act sends no more, so all that was ever sent may be there.
    let most = last.clone();
    drop(world);

    let mut replay = disk.recording().replay();
    let every = size.pick(7, 1, 1);
    let (mut images, mut steps) = (0, 0_u64);
    loop {
        steps += 1;
        if replay.done() >= created && (steps.is_multiple_of(every) || replay.upcoming().is_none()) {
            let known = acknowledged.iter().rev().find(|(steps, _)| *steps <= replay.done());
            let mut sent = most.clone();
            for (partition, log) in sent.0.iter_mut().enumerate() {
                let known = known.map_or(&[][..], |(_, sent)| &sent.0[partition]);
                for (number, record) in log.iter_mut().enumerate() {
                    *record = known.get(number).copied().unwrap_or(Known::Nothing);
                }
            }
            for entries in [EntryOrder::Prefix, EntryOrder::AnySubset] {
                let cuts = PowerCuts::new(seed.value() ^ steps).entries(entries);
                let cuts = cuts.exhaustive_max(size.pick(1, 4, 6)).samples(size.pick(3, 8, 32)).torn(2);
                for image in replay.disk().power_cuts(&cuts) {
                    let context = format!("step {}", replay.done());
                    check_whole(&image, &ends, &context);
                    check(&image, &sent, &context);
                    images += 1;
                }
            }
        }
        if !replay.advance() {
            break;
        }
    }
    figure!(
        "producer power cuts: {} steps, {} images, 0 violations, {}",
        Count(steps),
        Count(images),
        Rate(images, started.elapsed())
    );
}

/// That each log is a prefix of what was sent, and ends with a batch.
fn check_whole(disk: &SimDisk, ends: &[BTreeSet<usize>], context: &str) {
    let (_, _broker, topic) = open(disk, 98).unwrap_or_else(|error| panic!("{context}: {error}"));
    for (partition, ends) in (0..).zip(ends) {
        let log = topic.partition(partition).unwrap_or_else(|error| panic!("{context}: {error}"));
        let found = values(&log);
        assert!(found.iter().enumerate().all(|(number, value)| value.parse() == Ok(number)), "{context}");
        assert!(ends.contains(&found.len()), "{context}: partition {partition} ends inside a batch");
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_any_operation_fails() {
    let seed = Seed::of("producer faults");
    let size = Size::asked();
    let started = Instant::now();
    let mut cases = 0;
    for &failure in Failure::ALL {
        let mut at = 0;
        loop {
            let disk = SimDisk::new();
            let Ok(mut world) = World::new(&disk) else {
                panic!("this disk is well until it is told to fail")
            };
            disk.inject(Fault::new(failure).after(at));
            for (number, act) in ACTS.iter().enumerate() {
                world.run(*act);
                if number % 5 == 4 {
                    world.mend();
                }
            }
            let is_hit = disk.faults_hit() > 0;
            disk.clear_faults();
            let context = format!("{failure:?} at operation {at}");
            check(&disk.kill(), &world.sent, &format!("{context}, killed"));
            for image in disk.power_cuts(&PowerCuts::new(seed.value() ^ at).exhaustive_max(1).samples(2)) {
                check(&image, &world.sent, &format!("{context}, power cut"));
            }
            // And it goes on without a restart.
            world.mend();
            drop(world.flush());
            world.run(Act::Pile(0, 3));
            world.run(Act::Send(1));
            world.flush().unwrap_or_else(|error| panic!("{context}: {error}"));
            world.broker.close().unwrap_or_else(|error| panic!("{context}: {error}"));
            check(&disk, &world.sent, &format!("{context}, closed"));
            cases += 1;
            if !is_hit {
                break;
            }
            at += size.pick(11, 1, 1);
        }
    }
    figure!("producer faults: {} cases, 0 violations, {}", Count(cases), Rate(cases, started.elapsed()));
}
