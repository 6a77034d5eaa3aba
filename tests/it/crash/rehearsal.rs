//! Performing a workload once, on a disk that records it.

use super::examine::read_all;
use super::history::{Found, History, Moment, Submitted, offset};
use super::interlude::{Cue, Interlude};
use super::workload::{Act, BEGIN, Workload, clock};
use annals::clock::{Clock, ManualClock};
use annals::io::{FailedSync, Failure, Fault, Op, Recording, SimDisk};
use annals::{
    Appended, Batch, BatchLimits, Durability, Error, ErrorKind, Partition, ReadLevel, Record, Result,
    Retention, Timestamp, TimestampSource,
};
use std::sync::mpsc;
use std::time::Duration;

/// What is left of a performance.
#[derive(Debug)]
pub struct Rehearsal {
    pub recording: Recording,
    pub history: History,
}

/// A workload while it is performed.
pub struct Stage<'w> {
    pub workload: &'w Workload,
    pub disk: SimDisk,
    pub clock: ManualClock,
    pub log: Partition,
    pub history: History,
    pub random: fastrand::Rng,
    pub seed: u64,
    opens: u64,
    epoch: u32,
    interlude: Interlude,
    /// Up to where the log was asked to delete its records.
    pub asked_to_delete: u64,
}

/// Performs `workload`, with all chance from `seed`.
pub fn rehearse(workload: &Workload, seed: u64) -> Rehearsal {
    let mut stage = Stage::open(workload, seed, |_| {});
    for _ in 0..workload.length {
        let act = workload.act(&mut stage.random);
        stage.perform(act);
    }
    if stage.random.bool() {
        stage.close_and_open();
    }
    stage.look();
    stage.end()
}

impl<'w> Stage<'w> {
    /// Opens a new partition on a new disk, which `prepare` may set up.
    pub fn open(workload: &'w Workload, seed: u64, prepare: impl FnOnce(&SimDisk)) -> Self {
        let (disk, clock) = (SimDisk::new(), clock());
        disk.set_maps(workload.maps);
        prepare(&disk);
        disk.record();
        let interlude = Interlude::default();
        let dir = interlude.within(disk.root());
        let log = workload.options(seed, &clock).open_in(dir).expect("an empty disk holds a new partition");
        let random = fastrand::Rng::with_seed(seed);
        let mut stage = Self {
            workload,
            disk,
            clock,
            log,
            history: History::new(),
            random,
            seed,
            opens: 0,
            epoch: 0,
            interlude,
            asked_to_delete: 0,
        };
        stage.note();
        stage
    }

    pub fn end(self) -> Rehearsal {
        let recording = self.disk.recording();
        self.disk.cut_now();
        Rehearsal { recording, history: self.history }
    }

    pub fn perform(&mut self, act: Act) {
        match act {
            Act::Append => {
                let level = self.workload.level(&mut self.random);
                let appended = self.append(level);
                self.note();
                self.expect_room(appended.and_then(|pending| pending.wait()));
            }
            Act::AppendVerbatim => self.append_verbatim(),
            Act::Burst => self.burst(),
            Act::Flush => self.log.flush().wait().expect("nothing fails"),
            Act::Maintain => self.log.maintain().expect("nothing fails"),
            Act::Pass(time) => {
                self.clock.advance(time);
                self.log.maintain().expect("nothing fails");
            }
            Act::DeleteRecords => self.delete_records(),
            Act::Truncate => self.truncate(),
            Act::Reopen => self.close_and_open(),
            Act::FailedSync => self.fail_a_sync(),
            Act::Overlap => self.append_inside_of_a_sync(),
            Act::Look => self.look(),
        }
        self.note();
    }

    /// Notes where the log ends and starts, as anybody can see it now.
    pub fn note(&mut self) {
        let last = self.history.last();
        let durable = self.log.durable_offset().get();
        let written = self.log.log_end_offset().get();
        let end = self.history.line().len() as u64;
        let start = self.log.log_start_offset().get();
        assert!(durable <= written && written <= end, "{durable} {written} {end}");
        assert!(start >= last.start, "I9: the log start went from {} back to {start}", last.start);
        if start > last.start {
            self.check_deletion(start);
        }
        let steps = self.disk.steps_recorded();
        self.history.moments.push(Moment { steps, line: last.line, end, written, durable, start });
    }

    /// The log starts at `start` now: somebody asked for it, or the policy did.
    fn check_deletion(&self, start: u64) {
        let bytes = self.log.stats().log_bytes;
        let has_cap = self.workload.disk_bytes_max < u64::MAX;
        match self.workload.retention {
            Retention::Bytes(floor) if !has_cap => {
                assert!(bytes >= floor, "I9: {bytes} bytes are left, and {floor} were to be kept");
            }
            Retention::Forever => {
                assert!(start <= self.asked_to_delete, "I9: {start} is beyond what was asked for")
            }
            _ => {}
        }
    }

    /// What was found is the log from now on.
    pub fn note_line(&mut self, line: usize) {
        let last = self.history.last();
        let end = self.log.log_end_offset().get();
        let start = self.log.log_start_offset().get();
        let steps = self.disk.steps_recorded();
        self.history.moments.push(Moment { steps, line, end, written: end, durable: end, start });
        assert_eq!(self.history.line().len() as u64, end, "after {last:?}");
    }

    /// Makes and submits a batch.
    pub fn append(&mut self, level: Durability) -> Result<annals::Pending<Appended>> {
        let count = self.random.usize(self.workload.batch.0..=self.workload.batch.1);
        let first = self.invent(count, self.last_epoch());
        let records = &self.history.records[first..];
        let pending = self.log.append_with(level, records.iter().map(Submitted::as_record));
        let stored = self.log.log_end_offset().get();
        self.submit(first, stored);
        Ok(pending)
    }

    /// The leader epoch that a batch without one of its own gets: that of the last one.
    fn last_epoch(&self) -> u32 {
        self.history.line().last().map_or(0, |number| self.history.records[*number as usize].epoch)
    }

    /// The batch from number `first` on has been offered to the log, which ends at `stored` now.
    fn submit(&mut self, first: usize, stored: u64) {
        let line_end = self.history.line().len() as u64;
        let is_stored = stored > line_end;
        if is_stored || self.log.stats().is_poisoned {
            let last = self.history.records.len();
            let numbers = (first..last).map(|number| u32::try_from(number).expect("few records"));
            self.history.line_mut().extend(numbers);
        } else {
            self.history.records.truncate(first);
        }
        if is_stored {
            assert_eq!(self.history.line().len() as u64, stored, "the offsets of a batch are dense");
        }
    }

    /// Makes up records of one batch, with their numbers in them; returns the first number.
    fn invent(&mut self, count: usize, epoch: u32) -> usize {
        let first = self.history.records.len();
        for at in 0..count {
            let number = u32::try_from(first + at).expect("few records");
            let len = self.random.usize(self.workload.value.0.max(4)..=self.workload.value.1);
            let mut value = number.to_le_bytes().to_vec();
            match self.random.u8(0..4) {
                // Zeros look like what was never written.
                0 => value.resize(len, 0),
                1 => value.resize(len, 0xff),
                _ => value.extend(std::iter::repeat_with(|| self.random.u8(..)).take(len - 4)),
            }
            let now = self.clock.now().as_millis();
            let timestamp = match (self.workload.timestamps, self.random.u8(0..4)) {
                (TimestampSource::CreateTime, 0) => BEGIN + self.random.i64(-5_000..5_000),
                _ => now,
            };
            let key = self.random.bool().then(|| number.to_be_bytes());
            self.history.records.push(Submitted {
                value,
                key,
                timestamp,
                ends_batch: at + 1 == count,
                epoch,
            });
        }
        first
    }

    /// A full cap is no failure; it is relieved.
    fn expect_room(&mut self, appended: Result<Appended>) {
        match appended {
            Ok(appended) => {
                let end = self.history.line().len() as u64;
                assert_eq!(appended.next_offset().get(), end);
                if appended.durability() == Durability::Durable {
                    assert!(self.log.durable_offset().get() >= end);
                }
            }
            Err(error) if error.kind() == ErrorKind::NoSpace => {
                assert!(self.workload.disk_bytes_max < u64::MAX, "{error}");
                self.delete_records();
            }
            Err(error) => panic!("{}: {error}", self.workload.name),
        }
    }

    fn append_verbatim(&mut self) {
        let count = self.random.usize(self.workload.batch.0..=self.workload.batch.1);
        self.epoch += u32::from(self.random.u8(0..4) == 0);
        self.is_fenced();
        let first = self.invent(count, self.epoch);
        let records = self.history.records[first..].iter().map(Submitted::as_record);
        let limits = BatchLimits::new(self.workload.batch_bytes_max).expect("the limit is within its bounds");
        let batch =
            Batch::from_records(records, self.clock.now(), limits).expect("the workload keeps to the limit");
        let end = offset(self.history.line().len() as u64);
        let batch = batch.with_base_offset(end).expect("few records").with_leader_epoch(self.epoch);
        let pending = self.log.append_batch(&batch);
        let stored = self.log.log_end_offset().get();
        self.submit(first, stored);
        self.note();
        self.expect_room(pending.wait());
    }

    /// A batch of a leader whose term is over is refused.
    fn is_fenced(&mut self) {
        let Some(over) = self.last_epoch().checked_sub(1) else { return };
        let limits = BatchLimits::new(self.workload.batch_bytes_max).expect("the limit is within its bounds");
        let batch =
            Batch::from_records([Record::new("too late")], self.clock.now(), limits).expect("it is small");
        let batch =
            batch.with_base_offset(self.log.log_end_offset()).expect("few records").with_leader_epoch(over);
        let refused = self.log.append_batch(&batch).wait();
        assert_eq!(refused.expect_err("its term is over").kind(), ErrorKind::Fenced);
    }

    /// Others append while a flush syncs: what they append is no part of that sync.
    fn append_inside_of_a_sync(&mut self) {
        let appended = self.append(Durability::Written);
        self.note();
        self.expect_room(appended.and_then(|pending| pending.wait()));
        self.note();
        if !self.has_room_to_overlap() {
            // They would have to roll, which waits for the sync they are in.
            return;
        }
        let (flushed, inside) = self.flush_and_append_inside();
        flushed.expect("nothing fails");
        inside.transpose().expect("nothing fails");
    }

    /// Whether the active segment takes two more batches, however large they come out.
    pub fn has_room_to_overlap(&self) -> bool {
        let largest = self.workload.batch.1 * (self.workload.value.1 + 100) + 200;
        let used = self.log.segments().last().map_or(0, |active| active.len_bytes());
        used + 2 * largest as u64 <= self.workload.segment_bytes
    }

    /// Flushes, and appends inside of the first sync of that; there may be none.
    pub fn flush_and_append_inside(&mut self) -> (Result<()>, Option<Result<Appended>>) {
        let first = self.invent(self.workload.batch.1, self.last_epoch());
        let (log, records) = (self.log.clone(), self.history.records[first..].to_vec());
        let (tell, told) = mpsc::channel();
        self.interlude.set(Cue::Sync, move || {
            let appended = log.append_with(Durability::Written, records.iter().map(Submitted::as_record));
            tell.send(appended.wait()).expect("somebody listens");
        });
        let flushed = self.log.flush().wait();
        if self.interlude.cancel() {
            self.history.records.truncate(first);
        } else {
            self.submit(first, self.log.log_end_offset().get());
        }
        (flushed, told.try_recv().ok())
    }

    fn burst(&mut self) {
        let mut waits = Vec::new();
        for _ in 0..3 {
            waits.push((self.append(Durability::Durable), self.history.line().len()));
            self.note();
        }
        for (appended, _) in waits {
            match appended.and_then(|pending| pending.wait()) {
                Err(error) if error.kind() == ErrorKind::NoSpace => self.delete_records(),
                other => drop(other.expect("nothing fails")),
            }
        }
    }

    fn delete_records(&mut self) {
        let (start, end) = (self.history.last().start, self.history.line().len() as u64);
        let before = self.random.u64(start..=end);
        self.asked_to_delete = before;
        self.log.delete_records(offset(before)).expect("nothing fails");
        self.note();
        assert!(self.history.last().start >= before);
    }

    fn truncate(&mut self) {
        let (start, end) = (self.history.last().start, self.history.line().len() as u64);
        let reach = end.min(8);
        let to = self.random.u64(start.max(end - reach)..=end);
        let kept = self.log.truncate(offset(to)).expect("nothing fails").get();
        assert!(kept <= to);
        let line = self.history.branch(kept.max(start));
        self.note_line(line);
    }

    fn close_and_open(&mut self) {
        self.log.close().expect("nothing fails");
        self.open_anew().expect("what was closed opens");
        let end = self.history.line().len() as u64;
        assert_eq!(self.log.log_end_offset().get(), end, "a clean close keeps everything");
    }

    /// Opens the log as another process would.
    pub fn open_anew(&mut self) -> Result<()> {
        self.opens += 1;
        let options = self.workload.options(self.seed ^ self.opens << 32, &self.clock);
        self.log = options.open_in(self.interlude.within(self.disk.root()))?;
        Ok(())
    }

    /// Where the last batch ends that lies wholly before `to`.
    pub fn batch_end(&self, to: u64) -> u64 {
        let line = &self.history.line()[..usize::try_from(to).expect("few records")];
        let ends_batch = |number: &u32| self.history.records[*number as usize].ends_batch;
        line.iter().rposition(ends_batch).map_or(0, |last| last as u64 + 1)
    }

    fn fail_a_sync(&mut self) {
        drop(self.append(Durability::Written));
        self.note();
        self.doubt_what_is_written();
        self.disk.set_failed_sync(if self.random.bool() {
            FailedSync::CacheKeeps
        } else {
            FailedSync::CacheReverts
        });
        self.disk.inject(Fault::new(Failure::Io).on(Op::Sync));
        let failed = self.log.flush().wait();
        self.disk.clear_faults();
        if failed.is_err() {
            self.reopen();
        }
    }

    /// Reopens a poisoned partition in process, and goes on with what is found.
    pub fn reopen(&mut self) {
        let last = self.history.last();
        self.doubt_what_is_written();
        self.log.reopen().unwrap_or_else(|error| panic!("{}: {error}", self.workload.name));
        let found = self.found();
        let line = self.history.branch(found.end);
        assert!(found.lines & 1 << last.line != 0, "{found:?} {last:?}");
        self.note_line(line);
        assert!(found.end >= last.durable, "I1: {} were durable, and {} were found", last.durable, found.end);
    }

    /// A sync may fail from here on: what was only written may be gone then.
    pub fn doubt_what_is_written(&mut self) {
        let last = self.history.last();
        let steps = self.disk.steps_recorded();
        self.history.moments.push(Moment { steps, written: last.durable, ..last });
    }

    pub fn found(&self) -> Found {
        read_all(&self.log, &self.history).unwrap_or_else(|wrong| panic!("{}: {wrong}", self.workload.name))
    }

    /// Reads at both levels and compares.
    fn look(&mut self) {
        self.note();
        let last = self.history.last();
        let durable = self.log.read(offset(last.start)).level(ReadLevel::Durable);
        let shown: usize =
            durable.map(|records| records.expect("what was appended can be read").iter().count()).sum();
        assert_eq!(last.start + shown as u64, self.log.durable_offset().get());
        let found = self.found();
        assert_eq!((found.start, found.end), (last.start, self.history.line().len() as u64));
        assert!(found.lines & 1 << last.line != 0);
    }
}

impl Submitted {
    pub fn as_record(&self) -> Record<'_> {
        let record = Record::new(&self.value).timestamp(Timestamp::from_millis(self.timestamp));
        match &self.key {
            Some(key) => record.key(key),
            None => record,
        }
    }
}

/// Whether an error is what a poisoned partition says.
pub fn is_poisoned(error: &Error) -> bool {
    error.kind() == ErrorKind::Poisoned
}

/// A second, for workloads in which time passes.
pub const SECOND: Duration = Duration::from_secs(1);
