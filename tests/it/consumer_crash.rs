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
use annals::io::{EntryOrder, PowerCuts, SimDisk};
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

fn open(disk: &SimDisk) -> (Broker, ManualClock) {
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let options = Broker::options().maintenance(Maintenance::Manual).clock(clock.clone()).seed(1);
    (options.open_in(disk.root()).expect("what an accident left can be opened"), clock)
}

fn member(broker: &Broker, group: &str, level: ReadLevel) -> ConsumerOptions {
    broker.consumer().group(group).subscribe(["orders"]).read_level(level)
}

/// What the script has done, and when it was acknowledged.
#[derive(Default)]
struct Ledger {
    /// Step, partition, and the end (exclusive) of what is durable then.
    stored: Vec<(usize, u32, u64)>,
    /// Step, partition, and the offset that was committed, durably.
    committed: Vec<(usize, u32, u64)>,
}

impl Ledger {
    /// The furthest of each partition that was acknowledged within `steps`.
    fn by(noted: &[(usize, u32, u64)], steps: usize) -> Offsets {
        let mut by = Offsets::new();
        for (_, partition, offset) in noted.iter().filter(|(step, ..)| *step <= steps) {
            let most = by.entry(*partition).or_default();
            *most = (*most).max(*offset);
        }
        by
    }
}

/// The script: it sends, polls, commits, and has members come and go.
struct Script<'d> {
    disk: &'d SimDisk,
    rng: fastrand::Rng,
    producer: Producer,
    members: Vec<Consumer>,
    sent: Offsets,
    ledger: Ledger,
}

impl Script<'_> {
    fn send(&mut self) {
        let partition = self.rng.u32(..PARTITIONS);
        let mut receipts = Vec::new();
        for _ in 0..self.rng.usize(1..6) {
            let next = self.sent.entry(partition).or_default();
            let value = next.to_string();
            receipts
                .push(self.producer.send(("orders", partition), Record::new(&value)).expect("there is room"));
            *next += 1;
        }
        // Most nobody waits for: they become durable with a later one, or because a reader wants them.
        if self.rng.bool() {
            let last = receipts.pop().expect("one at least").wait().expect("this disk is well");
            self.ledger.stored.push((self.disk.steps_recorded(), partition, last.offset().get() + 1));
        }
    }

    fn poll(&mut self) {
        let at = self.rng.usize(..self.members.len());
        let member = &mut self.members[at];
        member.poll(Duration::ZERO).expect("this disk is well");
        if self.rng.bool() {
            let positions: Vec<_> = member
                .assignment()
                .into_iter()
                .map(|place| (place.partition(), member.position(&place).expect("it is assigned").get()))
                .collect();
            member.commit().wait().expect("this disk is well");
            let step = self.disk.steps_recorded();
            self.ledger.committed.extend(positions.into_iter().map(|(place, offset)| (step, place, offset)));
        }
    }
}

fn run(disk: &SimDisk, rng: fastrand::Rng, length: usize) -> Ledger {
    let (broker, clock) = open(disk);
    broker.create_topic("orders", TopicOptions::new().partitions(PARTITIONS)).expect("this disk is well");
    let producer = broker.producer().durability(SendDurability::Durable).build().expect("it is open");
    let join = |level| member(&broker, BILLING, level).poll_records_max(4).build().expect("anybody may join");
    let members = vec![join(ReadLevel::Written), join(ReadLevel::Durable)];
    let audit = member(&broker, AUDIT, ReadLevel::Written).auto_commit_every(Duration::from_secs(1));
    let mut audit = audit.build().expect("anybody may join");
    let mut script = Script { disk, rng, producer, members, sent: Offsets::new(), ledger: Ledger::default() };
    for _ in 0..length {
        match script.rng.u8(..16) {
            0..6 => script.send(),
            6..12 => script.poll(),
            12 => drop(audit.poll(Duration::ZERO).expect("this disk is well")),
            13 => {
                clock.advance(Duration::from_secs(1));
                broker.maintain().expect("this disk is well");
            }
            _ => {
                let at = script.rng.usize(..script.members.len());
                script.members[at] = join(if at == 0 { ReadLevel::Written } else { ReadLevel::Durable });
            }
        }
    }
    script.ledger
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
fn check(disk: &SimDisk, stored: &Offsets, acknowledged: &Offsets, context: &str) {
    let (broker, _) = open(disk);
    if broker.topic("orders").is_err() {
        assert!(stored.is_empty() && acknowledged.is_empty(), "{context}: the topic is gone");
        return;
    }
    let (committed, ends) = look(&broker, BILLING);
    for (partition, end) in stored {
        assert!(
            ends[partition] >= *end,
            "{context}: {partition} ends at {}, acknowledged {end}",
            ends[partition]
        );
    }
    for (partition, offset) in acknowledged {
        let found = committed.get(partition);
        assert!(found >= Some(offset), "{context}: {partition} committed {found:?}, acknowledged {offset}");
    }
    let (by_itself, _) = look(&broker, AUDIT);
    for (partition, offset) in committed.iter().chain(&by_itself) {
        assert!(*offset <= ends[partition], "{context}: {offset} of {partition} is ahead of its data");
    }
    let mut resumed = member(&broker, BILLING, ReadLevel::Written).build().expect("anybody may join");
    let mut next = committed.clone();
    loop {
        let records = resumed.poll(Duration::ZERO).expect("what is there is good");
        if records.is_empty() {
            break;
        }
        for record in &records {
            let expected = next.entry(record.partition()).or_default();
            let value = (*expected).to_string();
            assert_eq!((record.offset().get(), record.value()), (*expected, value.as_bytes()), "{context}");
            *expected += 1;
        }
    }
    for (partition, end) in &ends {
        assert_eq!(next.get(partition).copied().unwrap_or_default(), *end, "{context}: not all was read");
    }
    let end =
        |partition: &u32| (TopicPartition::new("orders", *partition), Offset::from(ends[partition] as u32));
    resumed.commit_offsets(ends.keys().map(end)).wait().unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(look(&broker, BILLING).0, ends, "{context}");
}

#[test]
fn records_and_commits_survive_an_accident_at_every_step() {
    let seed = Seed::of("consumer power cuts");
    let size = Size::asked();
    let started = Instant::now();
    let (mut images, mut steps) = (0, 0_u64);
    for case in 0..size.pick(2, 6, 40) {
        let disk = SimDisk::new();
        disk.record();
        let ledger = run(&disk, seed.rng(case), size.pick(40, 120, 250));
        assert!(!ledger.committed.is_empty(), "case {case} commits nothing");
        let mut replay = disk.recording().replay();
        let every = size.pick(9, 3, 1);
        loop {
            let stored = Ledger::by(&ledger.stored, replay.done());
            let acknowledged = Ledger::by(&ledger.committed, replay.done());
            steps += 1;
            if steps.is_multiple_of(every) || replay.upcoming().is_none() {
                let context = format!("case {case}, step {}", replay.done());
                let cuts = PowerCuts::new(seed.value() ^ steps).entries(EntryOrder::AnySubset);
                let cuts = cuts.exhaustive_max(size.pick(1, 3, 4)).samples(size.pick(2, 4, 12)).torn(1);
                for image in replay.disk().power_cuts(&cuts) {
                    check(&image, &stored, &acknowledged, &format!("{context}, power cut"));
                    images += 1;
                }
                check(&replay.disk().kill(), &stored, &acknowledged, &format!("{context}, killed"));
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
