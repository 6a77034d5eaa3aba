//! A broker that is produced to, consumed from and committed to, whose power is cut, or which is killed, at every
//! step.
//!
//! ```text
//!     producer, two members, one that commits by itself ──recorded──▶ every step ──▶ power cuts, a kill ──▶ open
//!                                                                                                             │
//!     every acknowledged record, in order ─┐                                                                  │
//!     no acknowledged commit lost          ├──────────────────────────────────────────────────────────────────┘
//!     none ahead of its data               │
//!     who resumes reads on from there ─────┘
//! ```

use crate::figure;
use crate::proof::{Count, Rate, Seed, Size};
use annals::clock::ManualClock;
use annals::io::{EntryOrder, Failure, Fault, PowerCuts, SimDisk};
use annals::{
    Broker, Consumer, ConsumerOptions, Maintenance, Offset, Producer, ReadLevel, Record, SendDurability,
    Timestamp, TopicOptions, TopicPartition,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const PARTITIONS: u32 = 2;
/// The groups, and whether what they acknowledge is durable.
const BILLING: &str = "billing";
const AUDIT: &str = "audit";

/// By partition.
type Offsets = BTreeMap<u32, u64>;

fn open(disk: &SimDisk) -> Broker {
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let options = Broker::options().maintenance(Maintenance::Manual).clock(clock).seed(2);
    options.open_in(disk.root()).expect("what an accident left can be opened")
}

fn member(broker: &Broker, group: &str, level: ReadLevel) -> ConsumerOptions {
    broker.consumer().group(group).subscribe(["orders"]).read_level(level)
}

/// What was acknowledged, and after how many steps of the disk.
#[derive(Default)]
struct Ledger {
    stored: Vec<(usize, Stored)>,
    /// Partition and offset of durable commits.
    committed: Vec<(usize, u32, u64)>,
}

/// A record that is durable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stored {
    partition: u32,
    offset: u64,
    value: u64,
}

impl Ledger {
    fn stored_by(&self, steps: usize) -> Vec<&Stored> {
        self.stored.iter().filter(|(step, _)| *step <= steps).map(|(_, stored)| stored).collect()
    }

    /// The furthest commit of each partition.
    fn committed_by(&self, steps: usize) -> Offsets {
        let mut by = Offsets::new();
        for (_, partition, offset) in self.committed.iter().filter(|(step, ..)| *step <= steps) {
            let most = by.entry(*partition).or_default();
            *most = (*most).max(*offset);
        }
        by
    }
}

/// The script: it sends, polls, commits, and has members come and go. What fails is not acknowledged.
struct Script<'d> {
    disk: &'d SimDisk,
    rng: fastrand::Rng,
    producer: Producer,
    members: Vec<Consumer>,
    /// Each record has a value of its own, larger than any before.
    sent: u64,
    ledger: Ledger,
}

impl Script<'_> {
    fn send(&mut self) {
        let partition = self.rng.u32(..PARTITIONS);
        let mut receipts = Vec::new();
        for _ in 0..self.rng.usize(1..6) {
            self.sent += 1;
            let value = self.sent.to_string();
            let sent = self.producer.send(("orders", partition), Record::new(&value));
            receipts.extend(sent.map(|receipt| (receipt, self.sent)));
        }
        // Most nobody waits for: they become durable with a later one, or because a reader wants them.
        if self.rng.bool()
            && let Some((receipt, value)) = receipts.pop()
            && let Ok(stored) = receipt.wait()
        {
            let stored = Stored { partition, offset: stored.offset().get(), value };
            self.ledger.stored.push((self.disk.steps_recorded(), stored));
        }
    }

    fn poll(&mut self) {
        if self.members.is_empty() {
            return;
        }
        let at = self.rng.usize(..self.members.len());
        let member = &mut self.members[at];
        let polled = member.poll(Duration::ZERO);
        if self.rng.bool() && polled.is_ok() {
            let position = |place: TopicPartition| {
                (place.partition(), member.position(&place).expect("it is assigned").get())
            };
            let positions: Vec<_> = member.assignment().into_iter().map(position).collect();
            if member.commit().wait().is_ok() {
                let step = self.disk.steps_recorded();
                let committed = positions.into_iter().map(|(partition, offset)| (step, partition, offset));
                self.ledger.committed.extend(committed);
            }
        }
    }
}

/// Runs the script as far as the disk lets it. The broker is kept open, so that closing it syncs nothing.
fn run(disk: &SimDisk, rng: fastrand::Rng, length: usize) -> annals::Result<(Ledger, Broker)> {
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let options = Broker::options().maintenance(Maintenance::Manual).clock(clock.clone()).seed(1);
    let broker = options.open_in(disk.root())?;
    broker.create_topic("orders", TopicOptions::new().partitions(PARTITIONS))?;
    let producer = broker.producer().durability(SendDurability::Durable).build()?;
    let join = |level| member(&broker, BILLING, level).poll_records_max(4).build();
    let members = [join(ReadLevel::Written), join(ReadLevel::Durable)].into_iter().flatten().collect();
    let audit = member(&broker, AUDIT, ReadLevel::Written).auto_commit_every(Duration::from_secs(1));
    let mut audit = audit.build().ok();
    let mut script = Script { disk, rng, producer, members, sent: 0, ledger: Ledger::default() };
    for _ in 0..length {
        match script.rng.u8(..16) {
            0..6 => script.send(),
            6..12 => script.poll(),
            12 => drop(audit.as_mut().map(|audit| audit.poll(Duration::ZERO))),
            13 => {
                clock.advance(Duration::from_secs(1));
                drop(broker.maintain());
            }
            _ => {
                let at = script.rng.usize(..2);
                if let Ok(joined) = join(if at == 0 { ReadLevel::Written } else { ReadLevel::Durable }) {
                    script.members.truncate(1);
                    script.members.insert(at.min(script.members.len()), joined);
                }
            }
        }
    }
    Ok((script.ledger, broker))
}

/// What the group has committed, and where each log ends.
fn look(broker: &Broker, group: &str) -> (Offsets, Offsets) {
    let topic = broker.topic("orders").expect("it was created");
    let observer = member(broker, group, ReadLevel::Durable).build().expect("anybody may join");
    let (mut committed, mut ends) = (Offsets::new(), Offsets::new());
    for partition in 0..topic.partition_count() {
        let found = observer.committed((&topic, partition)).expect("the topic is there");
        committed.extend(found.map(|found| (partition, found.offset.get())));
        ends.insert(partition, topic.partition(partition).expect("it is there").log_end_offset().get());
    }
    (committed, ends)
}

/// That a disk after an accident has what was acknowledged, and that all can go on from there.
fn check(disk: &SimDisk, stored: &[&Stored], acknowledged: &Offsets, context: &str) {
    let broker = open(disk);
    if broker.topic("orders").is_err() {
        assert!(stored.is_empty() && acknowledged.is_empty(), "{context}: the topic is gone");
        return;
    }
    let there = check_records(&broker, stored, context);
    let (committed, ends) = look(&broker, BILLING);
    for (partition, offset) in acknowledged {
        let found = committed.get(partition);
        assert!(found >= Some(offset), "{context}: {partition} committed {found:?}, acknowledged {offset}");
    }
    let (by_itself, _) = look(&broker, AUDIT);
    for (partition, offset) in committed.iter().chain(&by_itself) {
        assert!(*offset <= ends[partition], "{context}: {offset} of {partition} is ahead of its data");
    }
    // Who resumes has all that is behind the commits, and nothing else.
    let mut resumed = member(&broker, BILLING, ReadLevel::Written).build().expect("anybody may join");
    let behind =
        |stored: &&Stored| stored.offset >= committed.get(&stored.partition).copied().unwrap_or_default();
    let expected: Vec<&Stored> = there.iter().filter(behind).collect();
    let mut found = read(&mut resumed, context);
    found.sort();
    assert!(found.iter().eq(expected), "{context}: {committed:?} was committed, and then came {found:?}");
    let end = |partition: &u32| (("orders", *partition), Offset::new(ends[partition]).expect("it is one"));
    resumed.commit_offsets(ends.keys().map(end)).wait().unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(look(&broker, BILLING).0, ends, "{context}");
}

/// All records there are, in order: those that were acknowledged are among them, and none overtook another.
fn check_records(broker: &Broker, stored: &[&Stored], context: &str) -> Vec<Stored> {
    let places = (0..PARTITIONS).map(|partition| ("orders", partition));
    let options = broker.consumer().assign(places).read_level(ReadLevel::Written);
    let mut there = read(&mut options.build().expect("they are there"), context);
    there.sort();
    for stored in stored {
        assert!(
            there.binary_search(stored).is_ok(),
            "{context}: {stored:?} was acknowledged, and is not there"
        );
    }
    for pair in there.windows(2).filter(|pair| pair[0].partition == pair[1].partition) {
        let follows = pair[0].offset + 1 == pair[1].offset && pair[0].value < pair[1].value;
        assert!(follows, "{context}: {:?} comes before {:?}", pair[0], pair[1]);
    }
    there
}

/// All that polls return.
fn read(consumer: &mut Consumer, context: &str) -> Vec<Stored> {
    let mut all = Vec::new();
    loop {
        let records = consumer.poll(Duration::ZERO).unwrap_or_else(|error| panic!("{context}: {error}"));
        if records.is_empty() {
            return all;
        }
        all.extend(records.iter().map(|record| {
            let value = std::str::from_utf8(record.value()).ok().and_then(|text| text.parse().ok());
            let value = value.expect("the script writes numbers");
            Stored { partition: record.partition(), offset: record.offset().get(), value }
        }));
    }
}

#[test]
fn records_and_commits_survive_an_accident_at_every_step() {
    let seed = Seed::of("consumer power cuts");
    let size = Size::asked();
    let started = Instant::now();
    let (mut images, mut steps) = (0, 0_u64);
    for case in 0..size.pick(2, 6, 12) {
        let disk = SimDisk::new();
        disk.record();
        let (ledger, _open) = run(&disk, seed.rng(case), size.pick(40, 120, 250)).expect("this disk is well");
        assert!(!ledger.committed.is_empty(), "case {case} commits nothing");
        let mut replay = disk.recording().replay();
        let every = size.pick(9, 3, 1);
        loop {
            steps += 1;
            if steps.is_multiple_of(every) || replay.upcoming().is_none() {
                let (stored, committed) =
                    (ledger.stored_by(replay.done()), ledger.committed_by(replay.done()));
                let context = format!("case {case}, step {}", replay.done());
                let cuts = PowerCuts::new(seed.value() ^ steps).entries(EntryOrder::AnySubset);
                let cuts = cuts.exhaustive_max(size.pick(1, 3, 4)).samples(size.pick(2, 4, 12)).torn(1);
                for image in replay.disk().power_cuts(&cuts) {
                    check(&image, &stored, &committed, &format!("{context}, power cut"));
                    images += 1;
                }
                check(&replay.disk().kill(), &stored, &committed, &format!("{context}, killed"));
                images += 1;
            }
            if !replay.advance() {
                break;
            }
        }
    }
    figure!(
        "produce, consume, commit: {} steps, {} images, 0 violations, {}",
        Count(steps),
        Count(images),
        Rate(images, started.elapsed())
    );
}

#[test]
fn records_and_commits_survive_a_failure_of_every_operation() {
    let seed = Seed::of("consumer faults");
    let size = Size::asked();
    let started = Instant::now();
    let (mut cases, mut committed) = (0, 0);
    for failure in [Failure::Io, Failure::NoSpace, Failure::HalfThenIo, Failure::HalfThenNoSpace] {
        for lasts in [Lasts::Once, Lasts::ForEver] {
            let mut at = 0;
            loop {
                let disk = SimDisk::new();
                let fault = Fault::new(failure).after(at);
                disk.inject(if lasts == Lasts::ForEver { fault.for_ever() } else { fault });
                let (ledger, open) = match run(&disk, seed.rng(at), size.pick(40, 80, 120)) {
                    Ok((ledger, broker)) => (ledger, Some(broker)),
                    // It did not get as far as a topic.
                    Err(_) => (Ledger::default(), None),
                };
                if disk.faults_hit() == 0 {
                    break;
                }
                disk.clear_faults();
                let all = usize::MAX;
                let (stored, commits) = (ledger.stored_by(all), ledger.committed_by(all));
                let context = format!("{failure:?} {lasts:?} at operation {at}");
                check(&disk.kill(), &stored, &commits, &format!("{context}, killed"));
                let cuts = PowerCuts::new(seed.value() ^ at).exhaustive_max(1).samples(2).torn(0);
                for image in disk.power_cuts(&cuts) {
                    check(&image, &stored, &commits, &format!("{context}, power cut"));
                }
                drop(open);
                committed += ledger.committed.len();
                cases += 1;
                at += size.pick(61, 5, 1);
            }
        }
    }
    assert!(committed > 0, "nothing was ever committed");
    figure!(
        "produce, consume, commit, with failures: {} cases, {} commits, 0 violations, {}",
        Count(cases),
        Count(committed as u64),
        Rate(cases, started.elapsed())
    );
}

/// How long an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lasts {
    Once,
    ForEver,
}
