//! Commits whose power is cut, or whose disk fails, at every step: no acknowledged one is lost, and none is ahead
//! of its data.
//!
//! ```text
//!     script ──recorded──▶ every step ──▶ power cuts, kills ──▶ open ──▶ of each partition a commit that was made,
//!       └──▶ what was committed when, and acknowledged when             not before the last acknowledged one
//! ```

use crate::figure;
use crate::proof::{Count, Rate, Seed, Size};
use annals::clock::ManualClock;
use annals::io::{EntryOrder, FailedSync, Failure, Fault, Op, PowerCuts, SimDisk};
use annals::{
    Broker, Consumer, Durability, ErrorKind, Maintenance, Offset, ReadLevel, Record, Result, Timestamp,
    TopicOptions, TopicPartition,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Where a commit belongs: group, topic, partition.
type Place = (&'static str, &'static str, u32);

/// One commit, or the deletion of it. Steps are those of the recording.
#[derive(Clone, Copy, Debug)]
struct Said {
    offset: Option<u64>,
    /// Before it was asked for.
    begun: usize,
    /// When it was acknowledged to survive the process.
    written: usize,
    /// When it was acknowledged to survive a power cut.
    durable: usize,
}

/// When it never was.
const NEVER: usize = usize::MAX;

/// A script under way.
struct Run {
    disk: SimDisk,
    clock: ManualClock,
    broker: Broker,
    said: BTreeMap<Place, Vec<Said>>,
    /// What each partition holds.
    ends: BTreeMap<(&'static str, u32), u64>,
}

fn open(disk: &SimDisk, clock: &ManualClock, seed: u64) -> Result<Broker> {
    Broker::options().maintenance(Maintenance::Manual).clock(clock.clone()).seed(seed).open_in(disk.root())
}

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_millis(1_000_000))
}

impl Run {
    fn new(disk: SimDisk) -> Result<Self> {
        let clock = clock();
        let broker = open(&disk, &clock, 1)?;
        for topic in ["a", "b"] {
            let options = TopicOptions::new().partitions(2).durability(Durability::Written);
            broker.create_topic(topic, options)?;
        }
        Ok(Self { disk, clock, broker, said: BTreeMap::new(), ends: BTreeMap::new() })
    }

    fn step(&self) -> usize {
        self.disk.steps_recorded()
    }

    fn member(&self, group: &str, topic: &str, commits_by_itself: bool) -> Result<Consumer> {
        let options = self.broker.consumer().group(group).subscribe([topic]).read_level(ReadLevel::Written);
        let every = Duration::from_secs(1);
        let options = if commits_by_itself { options.auto_commit_every(every) } else { options };
        let mut member = options.build()?;
        member.poll(Duration::ZERO)?;
        Ok(member)
    }

    /// Appends without a sync.
    fn append(&mut self, topic: &'static str, count: u64) -> Result<()> {
        for number in 0..2 {
            let partition = self.broker.topic(topic)?.partition(number)?;
            let values: Vec<String> = (0..count).map(|value| value.to_string()).collect();
            partition.append_with(Durability::Written, values.iter().map(Record::new)).wait()?;
            *self.ends.entry((topic, number)).or_default() += count;
        }
        Ok(())
    }

    /// Notes what is about to be committed; whoever did it says when it was acknowledged.
    fn say(&mut self, group: &'static str, topic: &'static str, offset: Option<u64>, begun: usize) {
        for number in 0..2 {
            let said = Said { offset, begun, written: NEVER, durable: NEVER };
            self.said.entry((group, topic, number)).or_default().push(said);
        }
    }

    /// All that the group has committed is acknowledged by now.
    fn acknowledge(&mut self, group: &'static str, durable: bool) {
        let step = self.step();
        for (_, said) in self.said.iter_mut().filter(|(place, _)| place.0 == group) {
            if let Some(last) = said.last_mut() {
                last.written = last.written.min(step);
                last.durable = if durable { last.durable.min(step) } else { last.durable };
            }
        }
    }

    /// Commits both partitions of a topic, this many times in one go.
    fn commit(
        &mut self,
        member: &Consumer,
        (group, topic): (&'static str, &'static str),
        offset: u64,
        times: usize,
    ) -> Result<()> {
        self.say(group, topic, Some(offset), self.step());
        let offset = Offset::try_from(offset).expect("a small number");
        let points = (0..2).map(|number| (TopicPartition::new(topic, number), offset));
        let points: Vec<_> = points.cycle().take(2 * times).collect();
        member.commit_offsets(points).wait()?;
        self.acknowledge(group, true);
        Ok(())
    }
}

/// Commits of every kind: explicit, by itself, of data that is not synced yet, on leaving; enough of them that a
/// snapshot replaces them, twice; a group and a topic are deleted.
fn script(run: &mut Run) -> Result<()> {
    run.append("a", 3)?;
    run.append("b", 40)?;
    let g = run.member("g", "a", false)?;
    let mut h = run.member("h", "b", true)?;
    run.commit(&g, ("g", "a"), 2, 1)?;
    let polled: usize = h.poll(Duration::ZERO)?.len();
    run.clock.advance(Duration::from_secs(2));
    // What was polled is committed now, and held until it is synced.
    run.say("h", "b", Some(40), run.step());
    h.poll(Duration::ZERO)?;
    assert!(polled <= 80, "{polled}");
    run.commit(&g, ("g", "a"), 3, 1)?;
    run.broker.maintain()?;
    run.append("a", 5)?;
    for offset in [4, 6, 5] {
        run.commit(&g, ("g", "a"), offset, 120)?;
    }
    // What is closed with is committed then, and waits for its data once more.
    run.append("b", 2)?;
    h.poll(Duration::ZERO)?;
    run.say("h", "b", Some(42), run.step());
    h.close()?;
    run.acknowledge("h", true);
    // What others do meanwhile makes it no more durable.
    run.append("a", 1)?;
    run.append("a", 1)?;
    for offset in [6, 7] {
        run.commit(&g, ("g", "a"), offset, 120)?;
    }
    run.broker.maintain()?;
    run.commit(&g, ("g", "a"), 8, 1)?;
    run.say("h", "b", None, run.step());
    run.broker.delete_group("h")?;
    run.acknowledge("h", true);
    for offset in [1, 2, 3, 4, 5] {
        run.commit(&g, ("g", "a"), offset, 120)?;
    }
    run.broker.maintain()?;
    run.broker.maintain()?;
    run.append("a", 1)?;
    run.commit(&g, ("g", "a"), 9, 1)?;
    drop(g);
    Ok(())
}

/// That what is found on a disk after an accident at `step` was said, and is not older than what was acknowledged.
fn check(disk: &SimDisk, run: &Run, step: usize, killed: bool, context: &str) {
    let broker = open(disk, &clock(), 99).unwrap_or_else(|error| panic!("{context}: {error}"));
    for ((group, topic, number), said) in &run.said {
        let described = match broker.describe_group(group) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            described => Some(described.unwrap_or_else(|error| panic!("{context}: {error}"))),
        };
        let place = TopicPartition::new(*topic, *number);
        let found = described.and_then(|described| {
            described.partitions.into_iter().find(|partition| partition.partition == place)
        });
        let committed = found.as_ref().and_then(|found| Some(found.committed.as_ref()?.offset.get()));
        let acknowledged = |said: &Said| if killed { said.written <= step } else { said.durable <= step };
        let least = said.iter().rposition(acknowledged);
        let possible = said.iter().enumerate().filter(|(at, said)| said.begun <= step && Some(*at) >= least);
        let possible: Vec<_> = possible.map(|(_, said)| said.offset).collect();
        let is_none = committed.is_none() && least.is_none();
        assert!(
            is_none || possible.contains(&committed),
            "{context}: group {group} at {committed:?} of {place}, expected one of {possible:?}"
        );
        if let (Some(committed), Some(found)) = (committed, found) {
            let end = found.log_end_offset.expect("it is well").get();
            assert!(committed <= end, "{context}: group {group} at {committed}, {place} ends at {end}");
        }
    }
}

/// SEMANTICS 30: explicit commits are durable; automatic ones are once the member has left; none outlives its
/// data; nothing of that is lost while a snapshot takes the place of the log.
#[test]
fn commits_survive_a_power_cut_at_every_step() {
    let seed = Seed::of("group commits power cuts");
    let size = Size::asked();
    let started = Instant::now();
    let disk = SimDisk::new();
    disk.record();
    let mut run = Run::new(disk.clone()).expect("this disk is well");
    let first = run.step();
    script(&mut run).expect("this disk is well");
    let last = run.step();
    let log = run.broker.topic("__consumer_offsets").expect("it was made").partition(0).expect("it is well");
    assert!(log.log_start_offset() > Offset::from(1_000), "a snapshot took the place of the log");
    run.broker.close().expect("this disk is well");

    let mut replay = disk.recording().replay();
    let acknowledged: BTreeSet<usize> =
        run.said.values().flatten().flat_map(|said| [said.written, said.durable]).collect();
    let every = u64::try_from(size.pick(11, 2, 1)).expect("small");
    let (mut images, mut steps) = (0, 0_u64);
    while replay.done() <= last {
        steps += 1;
        let (done, is_due) =
            (replay.done(), steps.is_multiple_of(every) || acknowledged.contains(&replay.done()));
        if done >= first && is_due {
            check(&replay.disk().kill(), &run, done, true, &format!("killed at step {done}"));
            for entries in [EntryOrder::Prefix, EntryOrder::AnySubset] {
                let cuts = PowerCuts::new(seed.value() ^ steps).entries(entries);
                let cuts = cuts.exhaustive_max(size.pick(1, 3, 5)).samples(size.pick(2, 6, 24)).torn(1);
                for image in replay.disk().power_cuts(&cuts) {
                    check(&image, &run, done, false, &format!("power cut at step {done}"));
                    images += 1;
                }
            }
        }
        if !replay.advance() {
            break;
        }
    }
    figure!(
        "group commits, power cuts: {} steps, {} images, 0 violations, {}",
        Count(steps),
        Count(images),
        Rate(images, started.elapsed())
    );
}

/// The log of commits is poisoned by a sync that fails, and whole again once it was reopened: also with what held
/// all along and was lost with the cache.
#[test]
fn a_poisoned_log_of_commits_is_whole_again_after_a_reopen() {
    let modes = [FailedSync::CacheKeeps, FailedSync::CacheReverts, FailedSync::HalfReverts(1)];
    let cases = modes.map(|mode| [(mode, false), (mode, true)]);
    for (mode, is_tried) in cases.into_iter().flatten() {
        let disk = SimDisk::new();
        disk.record();
        disk.set_failed_sync(mode);
        let mut run = Run::new(disk.clone()).expect("this disk is well");
        run.append("a", 9).expect("this disk is well");
        let g = run.member("g", "a", false).expect("this disk is well");
        run.commit(&g, ("g", "a"), 3, 1).expect("this disk is well");
        run.clock.advance(Duration::from_secs(2));
        run.broker.maintain().expect("this disk is well");
        let mut k = run.member("k", "a", true).expect("this disk is well");
        run.clock.advance(Duration::from_secs(2));
        run.say("k", "a", Some(9), run.step());
        k.poll(Duration::ZERO).expect("this disk is well");
        disk.inject(Fault::new(Failure::Io).on(Op::Sync).within("__consumer_offsets"));
        let failed = run.commit(&g, ("g", "a"), 4, 1).expect_err("its sync fails");
        assert!(matches!(failed.kind(), ErrorKind::Io | ErrorKind::Poisoned), "{failed}");
        if is_tried {
            let refused = run.commit(&g, ("g", "a"), 5, 1).expect_err("it is poisoned");
            assert_eq!(refused.kind(), ErrorKind::Poisoned, "{refused}");
        }
        let kept =
            run.broker.topic("__consumer_offsets").expect("it was made").partition(0).expect("it is open");
        kept.reopen().expect("this disk is well again");
        run.commit(&g, ("g", "a"), 6, 1).expect("it was reopened");
        run.acknowledge("k", true);
        let cuts = PowerCuts::new(1).exhaustive_max(1).samples(4).torn(0);
        for image in disk.power_cuts(&cuts).chain([disk.kill()]) {
            check(&image, &run, run.step(), false, &format!("{mode:?}, {is_tried}"));
        }
    }
}

/// SEMANTICS 30: what was acknowledged is there also when any operation fails once.
#[test]
fn commits_survive_a_failure_of_every_operation() {
    let seed = Seed::of("group commits faults");
    let size = Size::asked();
    let started = Instant::now();
    let mut cases = 0;
    for failure in [Failure::Io, Failure::NoSpace, Failure::HalfThenIo, Failure::HalfThenNoSpace] {
        let mut at = 0;
        loop {
            let disk = SimDisk::new();
            disk.record();
            disk.inject(Fault::new(failure).after(at));
            let Ok(mut run) = Run::new(disk.clone()) else {
                at += size.pick(29, 1, 1);
                continue;
            };
            let context = format!("{failure:?} at operation {at}");
            if let Err(error) = script(&mut run) {
                assert_ne!(error.kind(), ErrorKind::Fenced, "{context}: {error}");
            }
            let is_over = disk.faults_hit() == 0;
            disk.clear_faults();
            let step = run.step();
            check(&disk.kill(), &run, step, true, &format!("{context}, killed"));
            let cuts = PowerCuts::new(seed.value() ^ at).exhaustive_max(1).samples(2).torn(0);
            for image in disk.power_cuts(&cuts) {
                check(&image, &run, step, false, &format!("{context}, power cut"));
            }
            cases += 1;
            if is_over {
                break;
            }
            at += size.pick(29, 1, 1);
        }
    }
    figure!(
        "group commits, faults: {} cases, 0 violations, {}",
        Count(cases),
        Rate(cases, started.elapsed())
    );
}
