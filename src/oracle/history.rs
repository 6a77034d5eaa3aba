//! A partition against a vector: any history of appends, cuts, deletions, restarts and power cuts.

use crate::clock::ManualClock;
use crate::io::{Atom, Fate, SimDisk};
use crate::{Durability, Maintenance, Offset, Partition, ReadLevel, Record, Records, Timestamp};
use std::time::Duration;

/// Steps of one history; what follows is not looked at.
const STEPS_MAX: usize = 64;

/// What the log must hold: the record with offset `n` is `records[n]`.
#[derive(Debug, Default)]
struct Model {
    records: Vec<(Timestamp, Vec<u8>)>,
    start: usize,
    /// Exclusive: what a power cut must leave.
    durable: usize,
}

/// One run: the disk, the open partition and what it must hold.
struct Run {
    disk: SimDisk,
    log: Partition,
    clock: ManualClock,
    model: Model,
}

/// Takes the bytes, four for each step, as the history of a partition on a simulated disk. True when there was
/// a step.
///
/// # Panics
/// When the partition holds anything but what the history says.
pub fn history(bytes: &[u8]) -> bool {
    let mut run = Run::new();
    let steps = bytes.as_chunks::<4>().0;
    for &[step, a, b, c] in steps.iter().take(STEPS_MAX) {
        run.step(step, a, u16::from_le_bytes([b, c]));
        run.check(a);
    }
    run.restart(SimDisk::kill);
    run.check(0);
    !steps.is_empty()
}

fn open(disk: &SimDisk, clock: &ManualClock) -> Partition {
    let options = Partition::options()
        .segment_bytes_max(16 << 10)
        .segment_age_max(Duration::from_secs(60))
        .batch_bytes_max(4 << 10)
        .read_level(ReadLevel::Written)
        .maintenance(Maintenance::Manual)
        .clock(clock.clone())
        .seed(7);
    options.open_in(disk.root()).expect("without damage and faults it opens")
}

impl Run {
    fn new() -> Self {
        let (disk, clock) = (SimDisk::new(), ManualClock::new(Timestamp::from_millis(1_000_000)));
        let log = open(&disk, &clock);
        Self { disk, log, clock, model: Model::default() }
    }

    fn step(&mut self, step: u8, a: u8, wide: u16) {
        let end = self.model.records.len();
        match step % 10 {
            0..=2 => self.append(a, wide, Durability::Durable),
            3 => self.append(a, wide, Durability::Written),
            4 => self.restart(SimDisk::kill),
            5 => self.cut_power(u64::from(wide)),
            6 => {
                let before = self.model.start + usize::from(a) % (end - self.model.start + 1);
                self.log.delete_records(offset(before)).expect("it lies within the log");
                self.model.start = before;
                self.model.durable = self.model.durable.max(before);
            }
            7 => {
                let to = end - usize::from(a) % (end - self.model.start + 1);
                let to = self.log.truncate(offset(to)).map(index).expect("it lies within the log");
                assert!((self.model.start..=end).contains(&to), "cut off at {to}");
                self.model.records.truncate(to);
                self.model.durable = self.model.durable.min(to);
            }
            8 => {
                self.clock.advance(Duration::from_secs(u64::from(a)));
                self.log.maintain().expect("nothing fails");
            }
            _ => {
                self.log.close().expect("nothing fails");
                self.model.durable = end;
                self.restart(SimDisk::kill);
            }
        }
    }

    /// One batch of up to eight records.
    fn append(&mut self, count: u8, wide: u16, level: Durability) {
        let first = self.model.records.len();
        let records: Vec<_> = (0..usize::from(count % 8) + 1)
            .map(|number| {
                let time = Timestamp::from_millis(i64::from(wide % 1_000) + i64::from(count));
                (time, format!("{}-{wide}", first + number).repeat(usize::from(wide % 40)).into_bytes())
            })
            .collect();
        let batch = records.iter().map(|(time, value)| Record::new(value).timestamp(*time));
        let appended = self.log.append_with(level, batch).wait().expect("there is room, and no fault");
        assert_eq!(index(appended.base_offset()), first);
        self.model.records.extend(records);
        if level == Durability::Durable {
            self.model.durable = self.model.records.len();
        }
    }

    /// Another process goes on with the disk that `end` makes of this one.
    fn restart(&mut self, end: impl FnOnce(&SimDisk) -> SimDisk) {
        self.disk = end(&self.disk);
        self.log = open(&self.disk, &self.clock);
    }

    fn cut_power(&mut self, seed: u64) {
        let mut rng = fastrand::Rng::with_seed(seed);
        self.restart(|disk| disk.power_cut(|atom| fate(atom, &mut rng)));
        let end = index(self.log.log_end_offset());
        let Model { records, durable, .. } = &mut self.model;
        assert!(
            (*durable..=records.len()).contains(&end),
            "{end} of {durable} durable, {} written",
            records.len()
        );
        records.truncate(end);
        *durable = end;
    }

    /// Everything that can be asked of the log, compared with the model.
    fn check(&self, a: u8) {
        let Self { log, model, .. } = self;
        assert_eq!(index(log.log_start_offset()), model.start);
        assert_eq!(index(log.log_end_offset()), model.records.len());
        assert!(
            index(log.durable_offset()) >= model.durable,
            "{} of {}",
            log.durable_offset(),
            model.durable
        );
        let from = model.start + usize::from(a) % (model.records.len() - model.start + 1);
        for from in [model.start, from] {
            let mut at = from;
            for records in log.read(offset(from)) {
                at = same(&records.expect("it is within the log"), model, at);
            }
            assert_eq!(at, model.records.len(), "everything from {from} on was read");
        }
        let time = Timestamp::from_millis(i64::from(a) * 4);
        let first = (model.start..model.records.len()).find(|&at| model.records[at].0 >= time);
        let found = log.offset_for_time(time).expect("nothing fails").map(|found| index(found.offset()));
        assert_eq!(found, first, "the first record at or after {time}");
    }
}

/// Compares records with those of the model from `at` on; returns where they end.
fn same(records: &Records, model: &Model, mut at: usize) -> usize {
    for record in records {
        assert_eq!(index(record.offset()), at);
        assert_eq!((record.timestamp(), record.value()), (model.records[at].0, &model.records[at].1[..]));
        at += 1;
    }
    at
}

/// What the power cut does to one atom.
pub(super) fn fate(atom: &Atom, rng: &mut fastrand::Rng) -> Fate {
    let versions = if let Atom::Sector { versions, .. } = atom { *versions } else { 1 };
    match rng.u8(..6) {
        0 | 1 => Fate::Lost,
        2 | 3 => Fate::Kept,
        4 => Fate::Torn { at: rng.usize(..=512), head: rng.usize(..versions), tail: rng.usize(..versions) },
        _ => Fate::Garbage(rng.u64(..)),
    }
}

fn offset(number: usize) -> Offset {
    u64::try_from(number).ok().and_then(Offset::new).expect("a history is short")
}

fn index(offset: Offset) -> usize {
    usize::try_from(offset.get()).expect("a history is short")
}
