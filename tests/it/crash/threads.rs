//! T1 with threads: several append, one deletes, one maintains, one looks, all at once, on a disk that records. Then the
//! power is cut at every step.
//!
//! ```text
//!     threads ──calls──▶ Partition ──▶ SimDisk that records ──replay, cut──▶ reopened: is it all there?
//!        └─ heard what, and after how many steps of the disk ──▶ Diary ──────────────────┘
//! ```
//!
//! How the threads meet is up to the machine, so no seed repeats a run; the recording has the one order in which
//! the disk saw them.

use super::history::offset;
use super::workload::clock;
use crate::figure;
use crate::proof::{Count, Rate, Seed, Size};
use annals::Durability::{Durable, Written};
use annals::io::{Op, PowerCuts, Recording, SimDisk};
use annals::{Appended, Durability, Maintenance, Partition, PartitionOptions, Pending, ReadLevel, Record};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

const APPENDERS: usize = 3;
/// Records of one batch, at most.
const BATCH: u64 = 3;

/// What the threads have heard, each with the number of steps that the disk had taken by then.
#[derive(Default)]
struct Diary {
    acknowledged: Vec<(usize, Acknowledged)>,
    /// Ends that were shown as durable.
    durable: Vec<(usize, u64)>,
    /// Log starts that were asked for: not before this step.
    asked: Vec<(usize, u64)>,
    /// Log starts that were reached: by this step.
    deleted: Vec<(usize, u64)>,
}

/// A batch that was acknowledged.
struct Acknowledged {
    level: Durability,
    base: u64,
    ids: Vec<u64>,
}

/// What an open found.
struct Found {
    start: u64,
    end: u64,
    /// By offset.
    ids: BTreeMap<u64, u64>,
}

fn options(seed: u64) -> PartitionOptions {
    Partition::options()
        .maintenance(Maintenance::Manual)
        .clock(clock())
        .seed(seed)
        .segment_bytes_max(16 << 10)
        .batch_bytes_max(6 << 10)
}

fn value(id: u64) -> String {
    format!("{id:08} {}", "together ".repeat(usize::try_from(id % 97 * 2).expect("small")))
}

/// A log that several threads use, and what they heard.
struct Stage {
    disk: SimDisk,
    log: Partition,
    diary: Mutex<Diary>,
    /// How many appenders are not done.
    at_work: AtomicUsize,
}

/// The work of one appender: over when this is dropped, however it ends.
struct Shift<'a>(&'a AtomicUsize);

impl Drop for Shift<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Has all threads work until the appenders are done, on a disk whose syncs take so long.
fn perform(batches: u64, sync: Duration, seed: u64) -> (Recording, Diary) {
    let disk = SimDisk::new();
    disk.set_latency(Op::Sync, sync);
    disk.record();
    let log = options(seed).open_in(disk.root()).expect("an empty disk holds a new partition");
    let at_work = AtomicUsize::new(APPENDERS);
    let stage = &Stage { disk, log, diary: Mutex::default(), at_work };
    thread::scope(|scope| {
        for appender in 0..APPENDERS as u64 {
            let first = appender * 1_000_000;
            scope.spawn(move || stage.append(first..first + batches, seed ^ appender));
        }
        scope.spawn(|| stage.keep_on(|| stage.delete()));
        scope.spawn(|| stage.keep_on(|| stage.log.maintain().expect("nothing fails")));
        scope.spawn(|| stage.keep_on(|| stage.look()));
    });
    let recording = stage.disk.recording();
    stage.disk.cut_now();
    (recording, std::mem::take(&mut stage.diary()))
}

impl Stage {
    fn diary(&self) -> MutexGuard<'_, Diary> {
        self.diary.lock().expect("nobody panics while it writes")
    }

    fn keep_on(&self, work: impl Fn()) {
        while self.at_work.load(Ordering::Relaxed) > 0 {
            work();
            thread::yield_now();
        }
    }

    /// Appends a batch for each number, and goes on with one in three before the last was acknowledged.
    fn append(&self, numbers: Range<u64>, seed: u64) {
        let _shift = Shift(&self.at_work);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut waits = Vec::new();
        for number in numbers {
            let ids: Vec<u64> = (0..random.u64(1..=BATCH)).map(|at| number * BATCH + at).collect();
            let level = if random.u8(0..3) == 0 { Written } else { Durable };
            let values: Vec<String> = ids.iter().map(|id| value(*id)).collect();
            waits.push((level, ids, self.log.append_with(level, values.iter().map(Record::new))));
            if random.u8(0..3) > 0 {
                waits.drain(..).for_each(|wait| self.hear(wait));
            }
        }
        waits.drain(..).for_each(|wait| self.hear(wait));
    }

    fn hear(&self, (level, ids, wait): (Durability, Vec<u64>, Pending<Appended>)) {
        let base = wait.wait().expect("nothing fails").base_offset().get();
        let steps = self.disk.steps_recorded();
        self.diary().acknowledged.push((steps, Acknowledged { level, base, ids }));
    }

    /// Deletes a quarter of the log, if it is long enough.
    fn delete(&self) {
        let (start, end) = (self.log.log_start_offset().get(), self.log.durable_offset().get());
        if end < start + 64 {
            return;
        }
        let before = start + (end - start) / 4;
        let steps = self.disk.steps_recorded();
        self.diary().asked.push((steps, before));
        self.log.delete_records(offset(before)).expect("nothing fails");
        let steps = self.disk.steps_recorded();
        self.diary().deleted.push((steps, before));
    }

    /// What is shown as durable is there from now on.
    fn look(&self) {
        let durable = self.log.durable_offset().get();
        let steps = self.disk.steps_recorded();
        let mut diary = self.diary();
        if diary.durable.last().is_none_or(|(_, last)| *last < durable) {
            diary.durable.push((steps, durable));
        }
    }
}

impl Found {
    fn of(disk: &SimDisk, seed: u64) -> Result<Self, String> {
        let log =
            options(seed).open_in(disk.root()).map_err(|error| format!("I16: open refused: {error}"))?;
        let (start, end) = (log.log_start_offset().get(), log.log_end_offset().get());
        let mut ids = BTreeMap::new();
        for records in log.read(offset(start)).level(ReadLevel::Written) {
            for record in &records.map_err(|error| format!("I14: {error}"))? {
                let digits = record.value().get(..8).and_then(|digits| std::str::from_utf8(digits).ok());
                let id =
                    digits.and_then(|digits| digits.trim().parse().ok()).ok_or("I2: not a value of ours")?;
                if record.value() != value(id).as_bytes() {
                    return Err(format!("I2: the value of {id} at {} is another", record.offset()));
                }
                ids.insert(record.offset().get(), id);
            }
        }
        disk.cut_now();
        if ids.len() as u64 != end - start {
            return Err(format!("I4: {} records in {start}..{end}", ids.len()));
        }
        Ok(Self { start, end, ids })
    }
}

impl Diary {
    /// Whether what was found is what it must be after a crash that spares `level`, with `steps` steps behind.
    fn check(&self, found: &Found, steps: usize, level: Durability, truth: &Truth) -> Result<(), String> {
        let past =
            |log: &[(usize, u64)]| log.iter().filter(|(at, _)| *at <= steps).map(|(_, offset)| *offset).max();
        let (least, most) = (past(&self.deleted).unwrap_or(0), past(&self.asked).unwrap_or(0));
        if !(least..=most).contains(&found.start) {
            return Err(format!("I9: the log starts at {}, not in {least}..={most}", found.start));
        }
        let durable = past(&self.durable).unwrap_or(0);
        let heard = self.acknowledged.iter().filter(|(at, batch)| *at <= steps && batch.level >= level);
        let kept =
            heard.map(|(_, batch)| batch.base + batch.ids.len() as u64).max().unwrap_or(0).max(durable);
        if found.end < kept {
            return Err(format!("I1: acknowledged or shown up to {kept}, and the log ends at {}", found.end));
        }
        if let Some((at, id)) = found.ids.iter().find(|(at, id)| truth.ids.get(at) != Some(id)) {
            return Err(format!(
                "I2, I5: record {id} at {at}, where {:?} was acknowledged",
                truth.ids.get(at)
            ));
        }
        if found.end > found.start && !truth.ends.contains(&found.end) {
            return Err(format!("I7: the log ends at {}, inside of a batch", found.end));
        }
        Ok(())
    }

    /// Where everything went in the end: nothing has failed, so all of it was acknowledged.
    fn truth(&self) -> Truth {
        let batches = || self.acknowledged.iter().map(|(_, batch)| batch);
        let ids = batches().flat_map(|batch| (batch.base..).zip(batch.ids.iter().copied())).collect();
        Truth { ids, ends: batches().map(|batch| batch.base + batch.ids.len() as u64).collect() }
    }
}

/// All that was appended, by offset, and where batches end.
struct Truth {
    ids: BTreeMap<u64, u64>,
    ends: BTreeSet<u64>,
}

/// Crashes at every step; says how many disks were looked at.
fn crash_everywhere(recording: &Recording, diary: &Diary, seed: u64, stride: usize) -> Result<u64, String> {
    let (mut images, mut known, truth) = (0, HashMap::new(), diary.truth());
    let mut replay = recording.replay();
    loop {
        let steps = replay.done();
        if steps.is_multiple_of(stride) {
            let killed = replay.disk();
            let cuts = PowerCuts::new(seed ^ steps as u64).exhaustive_max(2).samples(5).torn(1);
            let cut = killed.power_cuts(&cuts).map(|disk| (disk, Durable));
            for (disk, level) in cut.chain([(killed.kill(), Written)]) {
                images += 1;
                let hash = disk.content_hash();
                if let Entry::Vacant(new) = known.entry(hash) {
                    new.insert(
                        Found::of(&disk, seed ^ hash).map_err(|wrong| format!("{wrong}, after {steps}"))?,
                    );
                }
                diary.check(&known[&hash], steps, level, &truth).map_err(|wrong| {
                    let step = replay.upcoming().map(|step| (step.op(), step.path(), step.bytes()));
                    format!("{wrong}\nafter {steps} steps, which spare {level:?}, before {step:?}")
                })?;
            }
        }
        if !replay.advance() {
            return Ok(images);
        }
    }
}

#[test]
fn what_threads_heard_survives_a_crash_at_any_step() {
    let seed = Seed::of("T1 threads");
    let (rounds, batches, stride) = Size::asked().pick((2, 40, 11), (30, 100, 1), (400, 100, 1));
    let started = Instant::now();
    let (mut images, mut steps) = (0, 0);
    for round in 0..rounds {
        let seed = seed.rng(round).u64(..);
        let sync = if round % 2 == 0 { Duration::ZERO } else { Duration::from_micros(100) };
        let (recording, diary) = perform(batches, sync, seed);
        steps += recording.steps().len() as u64;
        images +=
            crash_everywhere(&recording, &diary, seed, stride).unwrap_or_else(|wrong| panic!("{wrong}"));
    }
    figure!(
        "T1 threads: {APPENDERS} appenders, a deleter, a reader and maintenance; {} performances, {} steps, {} images, 0 violations, {}",
        Count(rounds),
        Count(steps),
        Count(images),
        Rate(images, started.elapsed())
    );
}
