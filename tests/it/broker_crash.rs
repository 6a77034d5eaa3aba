//! A broker whose power is cut, or whose disk fails, at every step of creating, changing and deleting topics.
//!
//! ```text
//!     acts ──recorded──▶ every step ──▶ power cuts ──▶ open ──▶ what was acknowledged, or that and the act
//!                                                               that was under way; never an older topic's data
//! ```

use crate::figure;
use crate::proof::{Count, Rate, Seed, Size};
use annals::clock::ManualClock;
use annals::io::{EntryOrder, Failure, Fault, PowerCuts, SimDisk};
use annals::{
    Broker, Durability, ErrorKind, Maintenance, Offset, ReadLevel, Record, Result, Retention, Timestamp,
    TopicOptions,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
enum Act {
    Create(&'static str, u32),
    Grow(&'static str, u32),
    Retain(&'static str, u64),
    Delete(&'static str),
    Append(&'static str, u32, &'static str),
}

/// Every kind of change, and every kind twice: the second time it meets what the first has left.
const ACTS: &[Act] = &[
    Act::Create("a", 2),
    Act::Append("a", 0, "a of the first"),
    Act::Create("b", 1),
    Act::Retain("b", 1_000),
    Act::Append("b", 0, "b"),
    Act::Grow("a", 4),
    Act::Append("a", 3, "a of the first, added"),
    Act::Delete("a"),
    Act::Create("a", 1),
    Act::Append("a", 0, "a of the second"),
    Act::Retain("b", 2_000),
    Act::Grow("a", 2),
    Act::Delete("b"),
    Act::Create("b", 2),
    Act::Delete("a"),
];

/// What somebody sees of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    retention: Retention,
    logs: Vec<Vec<String>>,
}

type State = BTreeMap<String, Seen>;

impl Act {
    fn run(self, broker: &Broker) -> Result<()> {
        match self {
            Self::Create(name, count) => {
                broker.create_topic(name, TopicOptions::new().partitions(count)).map(drop)
            }
            Self::Grow(name, count) => {
                broker.topic(name)?; // Not to be created here.
                broker.ensure_topic(name, TopicOptions::new().partitions(count)).map(drop)
            }
            Self::Retain(name, seconds) => {
                broker.topic(name)?;
                broker.ensure_topic(name, TopicOptions::new().retention(age(seconds))).map(drop)
            }
            Self::Delete(name) => broker.delete_topic(name),
            Self::Append(name, number, value) => {
                let partition = broker.topic(name)?.partition(number)?;
                partition.append_with(Durability::Durable, [Record::new(value)]).wait().map(drop)
            }
        }
    }

    /// What it makes of a state; none where it cannot be done.
    fn applied(self, state: &State) -> Option<State> {
        let mut after = state.clone();
        match self {
            Self::Create(name, count) => {
                let logs = vec![Vec::new(); count as usize];
                let old = after.insert(name.to_owned(), Seen { retention: Retention::Forever, logs });
                if old.is_some() {
                    return None;
                }
            }
            Self::Grow(name, count) => {
                let logs = &mut after.get_mut(name)?.logs;
                logs.resize((count as usize).max(logs.len()), Vec::new());
            }
            Self::Retain(name, seconds) => after.get_mut(name)?.retention = age(seconds),
            Self::Delete(name) => drop(after.remove(name)?),
            Self::Append(name, number, value) => {
                after.get_mut(name)?.logs.get_mut(number as usize)?.push(value.to_owned());
            }
        }
        Some(after)
    }
}

fn age(seconds: u64) -> Retention {
    Retention::Age(Duration::from_secs(seconds))
}

fn open(disk: &SimDisk, seed: u64) -> Result<Broker> {
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    Broker::options().maintenance(Maintenance::Manual).clock(clock).seed(seed).open_in(disk.root())
}

/// What is there.
fn look(broker: &Broker) -> State {
    let report = broker.recovery_report();
    assert!(report.refused.is_empty() && report.not_cleared.is_empty(), "{report:?}");
    let topics = broker.topics();
    let seen = topics.iter().map(|topic| {
        let log = |number| {
            let partition = topic.partition(number).expect("it was not refused");
            let mut values = Vec::new();
            for records in partition.read(Offset::ZERO).level(ReadLevel::Written) {
                for record in &records.expect("what is there is good") {
                    values.push(String::from_utf8_lossy(record.value()).into_owned());
                }
            }
            values
        };
        let logs = (0..topic.partition_count()).map(log).collect();
        (topic.name().to_owned(), Seen { retention: topic.settings().retention, logs })
    });
    seen.collect()
}

/// That a disk after an accident shows one of these states, and that all can go on with it.
fn check(disk: &SimDisk, allowed: &[&State], context: &str) {
    let broker = open(disk, 99).unwrap_or_else(|error| panic!("{context}: {error}"));
    let state = look(&broker);
    assert!(allowed.contains(&&state), "{context}: found {state:?}, allowed {allowed:?}");
    // No directory is left of what is not there.
    let mut dirs: Vec<_> =
        disk.root().list().expect("it lists").into_iter().map(|entry| entry.name).collect();
    dirs.retain(|name| !matches!(name.as_str(), "LOCK" | "catalog"));
    dirs.sort();
    assert_eq!(dirs, state.keys().cloned().collect::<Vec<_>>(), "{context}");
    for name in ["a", "b"].into_iter().filter(|name| !state.contains_key(*name)) {
        Act::Create(name, 4).run(&broker).unwrap_or_else(|error| panic!("{context}: {error}"));
        let empty = Seen { retention: Retention::Forever, logs: vec![Vec::new(); 4] };
        assert_eq!(look(&broker)[name], empty, "{context}: an older topic's data");
    }
    let after = look(&broker);
    broker.close().expect("this disk is well");
    assert_eq!(look(&open(disk, 98).expect("it was closed")), after, "{context}");
}

#[test]
fn topics_survive_a_power_cut_at_every_step() {
    let seed = Seed::of("broker power cuts");
    let size = Size::asked();
    let started = Instant::now();
    let disk = SimDisk::new();
    disk.record();
    let mut states = vec![State::new()];
    let mut acknowledged = Vec::new();
    let broker = open(&disk, 1).expect("this disk is well");
    for act in ACTS {
        act.run(&broker).expect("this disk is well");
        acknowledged.push(disk.steps_recorded());
        let before = states.last().expect("it begins with one");
        states.push(act.applied(before).expect("the acts fit each other"));
    }
    assert_eq!(&look(&broker), states.last().expect("the last one"));
    broker.close().expect("this disk is well");

    let mut replay = disk.recording().replay();
    let every = size.pick(9, 1, 1);
    let (mut images, mut steps) = (0, 0_u64);
    loop {
        let done = acknowledged.iter().filter(|steps| **steps <= replay.done()).count();
        let allowed: Vec<_> = states[done..].iter().take(2).collect();
        steps += 1;
        if steps.is_multiple_of(every) || replay.upcoming().is_none() {
            for entries in [EntryOrder::Prefix, EntryOrder::AnySubset] {
                let cuts = PowerCuts::new(seed.value() ^ steps).entries(entries);
                let cuts = cuts.exhaustive_max(size.pick(2, 4, 6)).samples(size.pick(3, 8, 32)).torn(2);
                for image in replay.disk().power_cuts(&cuts) {
                    let context = format!("step {}, {done} acts acknowledged", replay.done());
                    check(&image, &allowed, &context);
                    images += 1;
                }
            }
        }
        if !replay.advance() {
            break;
        }
    }
    figure!(
        "broker power cuts: {} steps, {} images, 0 violations, {}",
        Count(steps),
        Count(images),
        Rate(images, started.elapsed())
    );
}

#[test]
fn topics_survive_a_failure_of_every_operation() {
    let seed = Seed::of("broker faults");
    let size = Size::asked();
    let started = Instant::now();
    let mut cases = 0;
    for failure in [Failure::Io, Failure::NoSpace] {
        let mut at = 0;
        loop {
            let disk = SimDisk::new();
            disk.inject(Fault::new(failure).after(at));
            // Kept until the disk was cut off: nothing is synced by closing.
            let (possible, broker) = run_with_fault(&disk);
            if disk.faults_hit() == 0 {
                break;
            }
            disk.clear_faults();
            let allowed: Vec<_> = possible.iter().collect();
            check(&disk.kill(), &allowed, &format!("{failure:?} at operation {at}, killed"));
            let cuts = PowerCuts::new(seed.value() ^ at).exhaustive_max(1).samples(2).torn(0);
            for image in disk.power_cuts(&cuts) {
                check(&image, &allowed, &format!("{failure:?} at operation {at}, power cut"));
            }
            drop(broker);
            cases += 1;
            at += size.pick(41, 1, 1);
        }
    }
    figure!("broker faults: {} cases, 0 violations, {}", Count(cases), Rate(cases, started.elapsed()));
}

/// Does what can be done of the acts, and says which states may be found then.
fn run_with_fault(disk: &SimDisk) -> (Vec<State>, Option<Broker>) {
    let mut possible = vec![State::new()];
    let Ok(broker) = open(disk, 1) else { return (possible, None) };
    for act in ACTS {
        let result = act.run(&broker);
        let after: Vec<_> = possible.iter().filter_map(|state| act.applied(state)).collect();
        match result {
            Ok(()) => possible = after,
            // What a failure leaves is what was before, or that and the act.
            Err(error) if is_failure(&error) => possible.extend(after),
            Err(_) => {}
        }
    }
    (possible, Some(broker))
}

/// Whether anything may have been done when this was said.
fn is_failure(error: &annals::Error) -> bool {
    !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists | ErrorKind::InvalidInput)
}
