//! A partition that is worked with while its disk fails, and what must be true of it afterwards.
//!
//! ```text
//!     steps ──▶ Run ──calls──▶ Partition on a SimDisk that fails on order
//!                │ notes what was acknowledged, refused, deleted, taken back
//!                ▼
//!              Model ──compared with──▶ what a reopened, killed or cut-off partition holds
//! ```

use annals::clock::ManualClock;
use annals::io::SimDisk;
use annals::{
    Durability, Error, ErrorKind, Follower, Maintenance, Offset, OnDamage, Partition, PartitionOptions,
    ReadLevel, Record, Result, Retention, Timestamp, WriteMode,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

/// How long a tail mark is, in bytes: see docs/format.md.
const TAIL_MARK_LEN: usize = 40;

/// One thing that is done with a partition.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Open,
    OpenToSalvage,
    /// One batch of so many records.
    Append(u64, Durability),
    /// Batches of three records, so many of them.
    Fill(u64),
    Flush,
    Maintain,
    Close,
    /// Lets go of the handle, which closes it without a word.
    Drop,
    Reopen,
    /// Deletes the oldest of so many parts of the log.
    DeletePart(u64),
    DeleteAll,
    /// Takes so many offsets back.
    TakeBack(u64),
    /// Time passes: the next append goes into a new segment.
    Age,
    /// So much time passes that retention takes everything.
    AgeOut,
    Read,
    Follow,
    Look,
    Verify,
}

/// What was done, and what came of it.
pub struct Run {
    pub disk: SimDisk,
    pub clock: ManualClock,
    pub options: PartitionOptions,
    pub log: Option<Partition>,
    pub model: Model,
    /// Whether the cache goes back to what is on the disk when a sync fails.
    pub reverts: bool,
    /// Steps that failed.
    pub failures: u64,
}

/// What may, must and must not be there.
#[derive(Clone, Debug, Default)]
pub struct Model {
    next_id: u64,
    batches: Vec<Range<u64>>,
    acknowledged: BTreeMap<u64, (u64, Durability)>,
    /// Records that were refused or taken back: they must not be there.
    gone: BTreeSet<u64>,
    /// Records before this offset may be gone.
    deleted_to: u64,
    /// Records before this offset are gone.
    start: u64,
    /// Records that damage took.
    pub damaged: Range<u64>,
}

pub fn options(write_mode: WriteMode) -> (ManualClock, PartitionOptions) {
    let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
    let options = Partition::options()
        .segment_bytes_max(16 << 10)
        .segment_age_max(Duration::from_secs(60))
        .batch_bytes_max(4 << 10)
        .maintenance(Maintenance::Manual)
        .read_level(ReadLevel::Written)
        .write_mode(write_mode)
        .clock(clock.clone())
        .seed(11);
    (clock, options)
}

pub fn payload(id: u64) -> String {
    format!("{id:08} {}", "payload ".repeat(usize::try_from(id % 23 * 3).expect("small")))
}

impl Run {
    pub fn new(write_mode: WriteMode) -> Self {
        let (clock, options) = options(write_mode);
        Self {
            disk: SimDisk::new(),
            clock,
            options,
            log: None,
            model: Model::default(),
            reverts: false,
            failures: 0,
        }
    }

    pub fn with_retention(mut self) -> Self {
        self.options = self.options.retention(Retention::Age(Duration::from_secs(3_600)));
        self
    }

    /// The same on a copy of the disk, as the next process finds it.
    pub fn next_process(&self) -> Self {
        let (clock, _) = options(WriteMode::Automatic);
        clock.set(annals::clock::Clock::now(&self.clock));
        let options = self.options.clone().clock(clock.clone()).seed(23);
        let (disk, model) = (self.disk.kill(), self.model.clone());
        Self { disk, clock, options, log: None, model, reverts: self.reverts, failures: 0 }
    }

    /// Takes a step; what fails must fail in a way that is documented.
    pub fn take(&mut self, step: Step) {
        let result = self.attempt(step);
        if let Err(error) = result {
            self.failures += 1;
            let is_damaged = !self.model.damaged.is_empty() && matches!(step, Step::Open);
            // Where the cache has gone back, older bytes lie in the place of what was written: an error for
            // who reads there until it is reopened, and never a wrong record.
            let is_poisoned = self.log.as_ref().is_some_and(|log| log.stats().is_poisoned);
            let is_reverted =
                self.reverts && is_poisoned && matches!(step, Step::Read | Step::Look | Step::TakeBack(_));
            if !(is_damaged || is_reverted) || error.kind() != ErrorKind::Corrupt {
                check_kind(step, &error);
            }
        }
    }

    fn attempt(&mut self, step: Step) -> Result<()> {
        let Some(log) = self.log.clone() else {
            return self.attempt_closed(step);
        };
        match step {
            Step::Append(count, level) => self.append(&log, count, level),
            Step::Fill(batches) => (0..batches).try_for_each(|_| self.append(&log, 3, Durability::Written)),
            Step::Flush => {
                let poisoned = log.stats().is_poisoned;
                let result = log.flush().wait();
                assert!(
                    !poisoned || result.is_err() || log.stats().unsynced_bytes == 0,
                    "a poisoned flush says yes"
                );
                result?;
                self.model.acknowledged.values_mut().for_each(|(_, level)| *level = Durability::Durable);
                Ok(())
            }
            Step::Maintain => log.maintain(),
            Step::Close => {
                self.log = None;
                log.close()?;
                self.model.acknowledged.values_mut().for_each(|(_, level)| *level = Durability::Durable);
                Ok(())
            }
            Step::Drop => {
                self.log = None;
                Ok(())
            }
            Step::Reopen => {
                log.reopen()?;
                self.forget_reverted();
                Ok(())
            }
            Step::DeletePart(parts) => {
                let (start, end) = (log.log_start_offset().get(), log.log_end_offset().get());
                self.delete(&log, start + (end - start) / parts)
            }
            Step::DeleteAll => self.delete(&log, log.log_end_offset().get()),
            Step::TakeBack(count) => self.take_back(&log, count),
            Step::Age => {
                self.clock.advance(Duration::from_secs(61));
                Ok(())
            }
            Step::AgeOut => {
                self.clock.advance(Duration::from_secs(7_200));
                self.model.deleted_to = log.log_end_offset().get();
                log.maintain()
            }
            Step::Read => {
                for records in log.read(log.log_start_offset()) {
                    self.model.see(&records?);
                }
                Ok(())
            }
            Step::Follow => {
                let follower = Follower::open_in(self.disk.root())?;
                for records in follower.read(follower.log_start_offset()).level(ReadLevel::Written) {
                    self.model.see(&records?);
                }
                Ok(())
            }
            Step::Look => {
                log.offset_for_time(annals::clock::Clock::now(&self.clock))?;
                let middle = Offset::new((log.log_start_offset().get() + log.log_end_offset().get()) / 2);
                if let Some(records) = log.read(middle.expect("small")).next() {
                    self.model.see(&records?);
                }
                Ok(())
            }
            Step::Verify => {
                let report = log.verify()?;
                let is_reverted = self.reverts && log.stats().is_poisoned;
                assert!(
                    report.damage.is_empty() || is_reverted,
                    "a failing disk is not a damaged one: {report:?}"
                );
                Ok(())
            }
            Step::Open | Step::OpenToSalvage => Ok(()),
        }
    }

    /// A step that comes while nothing is open: only opening it does anything.
    fn attempt_closed(&mut self, step: Step) -> Result<()> {
        let on_damage = match step {
            Step::Open => OnDamage::Refuse,
            Step::OpenToSalvage => OnDamage::Salvage,
            Step::Follow => return Follower::open_in(self.disk.root()).map(drop),
            _ => return Ok(()),
        };
        self.log = Some(self.options.clone().on_damage(on_damage).open_in(self.disk.root())?);
        self.forget_reverted();
        Ok(())
    }

    /// What was only written may be gone when a sync has failed and the cache went back.
    fn forget_reverted(&mut self) {
        if self.reverts {
            self.model.lose_written();
        }
    }

    fn append(&mut self, log: &Partition, count: u64, level: Durability) -> Result<()> {
        let ids = self.model.next_id..self.model.next_id + count;
        self.model.next_id = ids.end;
        self.model.batches.push(ids.clone());
        let payloads: Vec<_> = ids.clone().map(payload).collect();
        let was_poisoned = log.stats().is_poisoned;
        let end = log.log_end_offset();
        let result = log.append_with(level, payloads.iter().map(Record::new)).wait();
        match result {
            Ok(appended) => {
                assert!(!was_poisoned, "a poisoned partition acknowledges");
                assert_eq!(appended.durability(), level);
                let offsets = appended.base_offset().get()..;
                self.model.acknowledged.extend(offsets.zip(ids.map(|id| (id, level))));
                if level == Durability::Durable {
                    let all_before = self.model.acknowledged.range_mut(..appended.next_offset().get());
                    all_before.for_each(|(_, (_, reached))| *reached = Durability::Durable);
                }
                Ok(())
            }
            Err(error) => {
                // Unknown only when it got as far as the log.
                if log.log_end_offset() == end && (was_poisoned || error.kind() == ErrorKind::NoSpace) {
                    self.model.gone.extend(ids);
                }
                if !log.stats().is_poisoned {
                    self.check_nothing_half_done(log);
                }
                Err(error)
            }
        }
    }

    /// A log that refused an append and takes the next one has left nothing of it behind its end but a tail mark.
    fn check_nothing_half_done(&self, log: &Partition) {
        let last = log.segments().pop().expect("an open log has an active segment");
        let path = last.path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("segments have plain names");
        let bytes = self.disk.read(name).expect("the active segment is there");
        let end = usize::try_from(last.len_bytes()).expect("segments are small here");
        let beyond = bytes.iter().skip(end + TAIL_MARK_LEN).filter(|byte| **byte != 0).count();
        assert_eq!(beyond, 0, "bytes behind the end at {end} of {name}, and it is not poisoned");
    }

    fn delete(&mut self, log: &Partition, before: u64) -> Result<()> {
        self.model.deleted_to = self.model.deleted_to.max(before);
        log.delete_records(Offset::new(before).expect("small"))?;
        self.model.start = self.model.start.max(before);
        Ok(())
    }

    fn take_back(&mut self, log: &Partition, count: u64) -> Result<()> {
        let to = log.log_end_offset().get().saturating_sub(count).max(log.log_start_offset().get());
        // The batch that the end falls into goes as a whole.
        let first_id = self.model.acknowledged.get(&to).map(|(id, _)| *id);
        let batch = self.model.batches.iter().find(|batch| first_id.is_some_and(|id| batch.contains(&id)));
        let into = batch.map_or(0, |batch| first_id.unwrap_or(batch.start) - batch.start);
        let taken = self.model.acknowledged.split_off(&(to - into.min(to)));
        let end = log.truncate(Offset::new(to).expect("small"))?;
        self.model.gone.extend(taken.range(end.get()..).map(|(_, (id, _))| *id));
        Ok(())
    }
}

/// Whether a step may fail this way.
fn check_kind(step: Step, error: &Error) {
    let kind = error.kind();
    let anywhere = [ErrorKind::Io, ErrorKind::NoSpace, ErrorKind::Poisoned];
    let is_fine = anywhere.contains(&kind)
        || match step {
            // The offset may be gone since a failed step before.
            Step::DeletePart(_) | Step::DeleteAll | Step::TakeBack(_) | Step::Look | Step::Read => {
                kind == ErrorKind::OutOfRange
            }
            Step::Follow => kind == ErrorKind::NotFound,
            _ => false,
        };
    assert!(is_fine, "{step:?} fails with {kind:?}: {error}");
}

fn id_of(value: &[u8]) -> u64 {
    let digits = std::str::from_utf8(&value[..8]).expect("payloads begin with digits");
    let id = digits.parse().expect("payloads begin with digits");
    assert_eq!(value, payload(id).as_bytes());
    id
}

impl Model {
    /// A reader saw these while the disk failed.
    fn see(&self, records: &annals::Records) {
        for record in records {
            let id = id_of(record.value());
            assert!(id < self.next_id, "record {id} was never submitted");
            if let Some((expected, _)) = self.acknowledged.get(&record.offset().get()) {
                assert_eq!(id, *expected, "offset {} has another payload", record.offset());
            }
        }
    }

    /// Compares a partition with what it must hold: what was acknowledged at `least` or better.
    pub fn check(&self, log: &Partition, least: Durability) {
        let start = log.log_start_offset().get();
        assert!(start >= self.start, "the log starts at {start} again, and was deleted up to {}", self.start);
        assert!(start <= self.deleted_to.max(self.start), "the log starts at {start}: nobody asked for that");
        let found = self.read(log);
        let ids: Vec<u64> = found.values().copied().collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "out of order: {ids:?}");
        for id in &ids {
            assert!(*id < self.next_id, "record {id} was never submitted");
            assert!(!self.gone.contains(id), "record {id} was refused or taken back, and is there");
        }
        for (offset, (id, level)) in self.acknowledged.range(self.deleted_to.max(start)..) {
            if *level >= least && !self.damaged.contains(id) {
                assert_eq!(found.get(offset), Some(id), "offset {offset}, acknowledged as {level:?}");
            }
        }
        self.check_atomic(&found);
    }

    fn check_atomic(&self, found: &BTreeMap<u64, u64>) {
        let first = found.values().next().copied().unwrap_or(0);
        let ids: BTreeSet<u64> = found.values().copied().collect();
        for batch in self.batches.iter().filter(|batch| batch.start >= first) {
            let count = batch.clone().filter(|id| ids.contains(id)).count() as u64;
            assert!(count == 0 || count == batch.end - batch.start, "batch {batch:?} is there in part");
        }
    }

    fn read(&self, log: &Partition) -> BTreeMap<u64, u64> {
        let mut found = BTreeMap::new();
        let mut next = log.log_start_offset().get();
        for records in log.read(log.log_start_offset()).level(ReadLevel::Written) {
            match records {
                Ok(records) => {
                    for record in &records {
                        assert_eq!(record.offset().get(), next, "a gap");
                        found.insert(next, id_of(record.value()));
                        next += 1;
                    }
                }
                Err(error) => match error.lost_range() {
                    Some(lost) if !self.damaged.is_empty() => next = lost.end.get(),
                    _ => panic!("reading at {next}: {error}"),
                },
            }
        }
        assert_eq!(next, log.log_end_offset().get(), "reading ends before the log does");
        found
    }

    /// Notes that what was only written may be gone.
    pub fn lose_written(&mut self) {
        self.acknowledged.retain(|_, (_, level)| *level == Durability::Durable);
    }

    /// Notes that the last batch is torn.
    pub fn tear_last(&mut self) {
        let last = self.batches.last().expect("there is one").clone();
        self.acknowledged.retain(|_, (id, _)| !last.contains(id));
    }

    /// Notes that damage takes the batch of this record.
    pub fn damage(&mut self, id: u64) {
        let batch = self.batches.iter().find(|batch| batch.contains(&id)).expect("it was submitted");
        self.damaged = batch.clone();
    }
}
