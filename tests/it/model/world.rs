//! The partition, the model of it, and the steps taken on both.

use super::record::Kept;
use super::step::{Settings, Shape, Step, Then};
use super::waiters::{Receipt, Waiter};
use annals::clock::{Clock, ManualClock};
use annals::io::{Maps, PowerCuts, SimDisk};
use annals::{
    Appended, Batch, BatchLimits, Durability, ErrorKind, Follower, Maintenance, Offset, Partition, ReadLevel,
    ReadMode, Reader, Record, Result, Retention, Timestamp, TimestampSource, WriteMode,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a step comes to when partition and model differ: how.
pub type Verdict = std::result::Result<(), String>;

const START: Timestamp = Timestamp::from_millis(1_600_000_000_000);

/// A partition and its model.
pub struct World {
    settings: Settings,
    disk: SimDisk,
    clock: ManualClock,
    /// Not there while it is closed.
    log: Option<Partition>,
    follower: Option<Follower>,
    readers: Vec<(Reader, ReadLevel)>,
    waiters: Vec<Waiter>,
    receipts: Vec<Receipt>,
    /// Records below the log start are kept, for readers that still hold them.
    records: BTreeMap<u64, Kept>,
    start: u64,
    end: u64,
    /// What is known to be durable.
    durable: u64,
    /// The furthest offset that somebody has asked to be durable.
    demand: u64,
    epoch: u32,
    made: u64,
}

macro_rules! hold {
    ($condition:expr, $($format:tt)+) => {
        if !$condition { return Err(format!($($format)+)); }
    };
}

fn at(number: u64) -> Offset {
    Offset::new(number).expect("the model stays far below the largest offset")
}

fn text<T>(result: Result<T>) -> std::result::Result<T, String> {
    result.map_err(|error| format!("failed: {error}"))
}

impl World {
    pub fn new(settings: &Settings) -> std::result::Result<Self, String> {
        let mut world = Self {
            settings: settings.clone(),
            disk: SimDisk::new(),
            clock: ManualClock::new(START),
            log: None,
            follower: None,
            readers: Vec::new(),
            waiters: Vec::new(),
            receipts: Vec::new(),
            records: BTreeMap::new(),
            start: 0,
            end: 0,
            durable: 0,
            demand: 0,
            epoch: 0,
            made: 0,
        };
        world.open()?;
        Ok(world)
    }

    fn open(&mut self) -> Verdict {
        self.disk.set_maps(if self.settings.is_mapped { Maps::Offered } else { Maps::Refused });
        let options = Partition::options()
            .maintenance(Maintenance::Manual)
            .clock(self.clock.clone())
            .seed(self.settings.seed ^ self.made)
            .segment_bytes_max(self.settings.segment_bytes)
            .batch_bytes_max(self.settings.batch_bytes)
            .retention(self.settings.retention)
            .timestamps(self.settings.timestamps)
            .write_mode(if self.settings.is_mapped { WriteMode::Automatic } else { WriteMode::Pwrite })
            .read_mode(if self.settings.reads_mapped { ReadMode::Automatic } else { ReadMode::Pread });
        self.log = Some(text(options.open_in(self.disk.root()))?);
        Ok(())
    }

    fn log(&self) -> &Partition {
        self.log.as_ref().expect("it is open between steps")
    }

    /// Takes a step on both and compares.
    pub fn take(&mut self, step: &Step) -> Verdict {
        match step {
            Step::Append { level, then, records } => self.append(*level, *then, records),
            Step::AppendIf { off_by, records } => self.append_if(*off_by, records),
            Step::AppendBatch { epoch_step, off_by, gap, records } => {
                self.append_batch(*epoch_step, *off_by, *gap, records)
            }
            Step::Read { from, level } => self.read(self.offset(*from), *level),
            Step::OpenReader { from, level } => self.open_reader(self.offset(*from), *level),
            Step::AdvanceReader { which, runs } => self.advance_reader(*which, *runs),
            Step::OffsetForTime { at } => self.offset_for_time(*at),
            Step::DeleteRecords { before } => self.delete_records(self.offset(*before)),
            Step::Truncate { to } => self.truncate(self.offset(*to)),
            Step::PassTime { millis } => {
                self.clock.advance(Duration::from_millis(*millis));
                Ok(())
            }
            Step::SetClock { back, millis } => {
                let by = Duration::from_millis(*millis);
                let now = self.clock.now();
                self.clock.set(if *back { now.saturating_sub(by) } else { now.saturating_add(by) });
                Ok(())
            }
            Step::Maintain => self.maintain(),
            Step::Flush => {
                text(self.log().flush().wait())?;
                hold!(self.log().durable_offset().get() == self.end, "a flush left something unsynced");
                Ok(())
            }
            Step::CloseAndOpen => self.close_and_open(),
            Step::KillAndOpen => self.kill_and_open(),
            Step::CutAndOpen { seed } => self.cut_and_open(*seed),
            Step::Follow { level } => self.follow(*level),
            Step::Segments => self.segments(),
            Step::Stats => self.stats(),
            Step::Verify => self.verify(),
            Step::WaitPast { beyond, level } => {
                let offset = (self.end + beyond).saturating_sub(5);
                let past = self.log().wait_past_at(*level, at(offset));
                self.waiters.push(Waiter::new(past, *level, offset));
                Ok(())
            }
        }?;
        self.settle()
    }

    /// Ends well: all of it is found once more.
    pub fn end(mut self) -> Verdict {
        self.close_and_open()?;
        self.read(self.start, ReadLevel::Durable)?;
        self.segments()?;
        self.verify()
    }

    /// What must hold after every step.
    fn settle(&mut self) -> Verdict {
        self.settle_start()?;
        let (durable, end) = (self.log().durable_offset().get(), self.log().log_end_offset().get());
        hold!(end == self.end, "the log ends at {end} and not at {}", self.end);
        hold!(durable >= self.durable, "the durable offset went back from {} to {durable}", self.durable);
        hold!(durable <= end, "durable up to {durable}, beyond the end, {end}");
        self.durable = durable;
        for waiter in &mut self.waiters {
            let seen = if waiter.level == ReadLevel::Durable { durable } else { end };
            waiter.check(seen)?;
            if waiter.level == ReadLevel::Durable && !waiter.is_done() && waiter.offset < end {
                self.demand = self.demand.max(waiter.offset + 1);
            }
        }
        for receipt in &mut self.receipts {
            receipt.check(durable)?;
            if !receipt.is_done() {
                self.demand = self.demand.max(receipt.next);
            }
        }
        self.waiters.retain(|waiter| !waiter.is_done());
        self.receipts.retain(|receipt| !receipt.is_done());
        Ok(())
    }

    /// Retention may have moved the log start: as far as the policy says, and no further.
    fn settle_start(&mut self) -> Verdict {
        let start = self.log().log_start_offset().get();
        hold!(start >= self.start, "the log start went back from {} to {start}", self.start);
        if start == self.start {
            return Ok(());
        }
        let now = self.clock.now();
        let last = start - 1;
        let is_expired = |age: Duration| {
            let mut later = self.records.values().filter(|record| record.next > last);
            later.any(|record| Timestamp::from_millis(record.appended_at).saturating_add(age) < now)
        };
        let is_spared = |bytes: u64| self.log().stats().log_bytes >= bytes;
        let is_right = match self.settings.retention {
            Retention::Age(age) => is_expired(age),
            Retention::Bytes(bytes) => is_spared(bytes),
            Retention::AgeOrBytes(age, bytes) => is_expired(age) || is_spared(bytes),
            _ => false,
        };
        hold!(is_right, "retention moved the log start from {} to {start} against its policy", self.start);
        self.start = start;
        Ok(())
    }

    /// The offset at a fraction of the log, or a little outside it.
    fn offset(&self, fraction: u64) -> u64 {
        let (from, to) = (self.start.saturating_sub(2), self.end + 3);
        from + (to - from) * fraction / 1_001
    }

    fn end_at(&self, level: ReadLevel) -> u64 {
        if level == ReadLevel::Durable { self.log().durable_offset().get() } else { self.end }
    }

    /// Records of these shapes, as they will be found behind the end.
    fn make(&mut self, shapes: &[Shape], times: TimestampSource) -> Vec<Kept> {
        let now = self.clock.now().as_millis();
        let (base, next) = (self.end, self.end + shapes.len() as u64);
        let records = shapes.iter().zip(base..).map(|(shape, offset)| {
            self.made += 1;
            let mut bytes = fastrand::Rng::with_seed(self.made ^ self.settings.seed);
            let mut bytes = |len: usize| {
                let mut content = vec![0; len];
                bytes.fill(&mut content);
                content
            };
            let stamp = shape.stamp.map_or(now, |around| START.as_millis() + around);
            Kept {
                offset,
                timestamp: if times == TimestampSource::LogAppendTime { now } else { stamp },
                epoch: self.epoch,
                key: shape.key.map(&mut bytes),
                value: shape.value.map(&mut bytes),
                headers: (0..shape.headers)
                    .map(|n| (format!("h{n}"), (n != 1).then(|| bytes(n * 3))))
                    .collect(),
                appended_at: now,
                base,
                next,
            }
        });
        records.collect()
    }

    fn append(&mut self, level: Durability, then: Then, shapes: &[Shape]) -> Verdict {
        let made = self.make(shapes, self.settings.timestamps);
        let pending = self.log().append_with(level, records(&made, shapes));
        let expected = self.end;
        match then {
            Then::Wait => match pending.wait() {
                Ok(appended) => self.stored(made, &appended, level),
                Err(error) => self.too_large(&error, &made),
            },
            Then::Drop | Then::Keep => {
                if self.log().log_end_offset().get() == expected {
                    let error = pending.wait().map(drop).expect_err("nothing was appended");
                    return self.too_large(&error, &made);
                }
                self.keep(made);
                if level == Durability::Durable {
                    self.demand = self.end;
                }
                if matches!(then, Then::Keep) {
                    self.receipts.push(Receipt::new(pending, level, expected, self.end));
                }
                Ok(())
            }
        }
    }

    fn append_if(&mut self, off_by: i8, shapes: &[Shape]) -> Verdict {
        let made = self.make(shapes, self.settings.timestamps);
        let expected = self.end.saturating_add_signed(off_by.into());
        match self.log().append_if(at(expected), records(&made, shapes)).wait() {
            Ok(appended) => {
                hold!(expected == self.end, "appended at {} though {expected} was expected", self.end);
                self.stored(made, &appended, Durability::Durable)
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {
                hold!(expected != self.end, "a conflict at {expected}: {error}");
                Ok(())
            }
            Err(error) => self.too_large(&error, &made),
        }
    }

    fn append_batch(&mut self, epoch_step: i8, off_by: i8, gap: u32, shapes: &[Shape]) -> Verdict {
        let mut made = self.make(shapes, TimestampSource::CreateTime);
        let (epoch, base) = (
            self.epoch.saturating_add_signed(epoch_step.into()),
            self.end.saturating_add_signed(off_by.into()),
        );
        for record in &mut made {
            (record.epoch, record.next) = (epoch, record.next + u64::from(gap));
        }
        let limits = BatchLimits::new(self.settings.batch_bytes).expect("it is within bounds");
        let batch = match Batch::from_records(records(&made, shapes), self.clock.now(), limits) {
            Ok(batch) => batch,
            Err(error) => return self.too_large(&error, &made),
        };
        let batch = text(widened(&batch, gap).with_base_offset(at(base)))?.with_leader_epoch(epoch);
        match self.log().append_batch(&batch).wait() {
            Ok(appended) => {
                hold!(base == self.end && epoch >= self.epoch, "a batch that does not belong here was taken");
                self.epoch = epoch;
                self.stored(made, &appended, Durability::Durable)
            }
            Err(error) => {
                let expected = match error.kind() {
                    ErrorKind::Conflict => base != self.end,
                    ErrorKind::Fenced => epoch < self.epoch,
                    _ => return self.too_large(&error, &made),
                };
                hold!(expected, "refused: {error}");
                Ok(())
            }
        }
    }

    fn stored(&mut self, made: Vec<Kept>, appended: &Appended, level: Durability) -> Verdict {
        let latest = made.iter().map(|record| record.timestamp).max().unwrap_or_default();
        hold!(appended.base_offset().get() == self.end, "stored at {}", appended.base_offset());
        hold!(appended.timestamp().as_millis() == latest, "the latest time is {}", appended.timestamp());
        hold!(appended.durability() == level, "acknowledged as {:?}", appended.durability());
        self.keep(made);
        hold!(appended.next_offset().get() == self.end, "the next offset is {}", appended.next_offset());
        if level == Durability::Durable {
            let durable = self.log().durable_offset().get();
            hold!(durable >= self.end, "acknowledged, and durable only up to {durable}");
            self.durable = self.end;
        }
        Ok(())
    }

    fn keep(&mut self, made: Vec<Kept>) {
        self.end = made.last().map_or(self.end, |record| record.next);
        self.records.extend(made.into_iter().map(|record| (record.offset, record)));
    }

    fn too_large(&self, error: &annals::Error, made: &[Kept]) -> Verdict {
        let bytes: usize = made.iter().map(|record| record.value.as_ref().map_or(0, Vec::len)).sum();
        let limit = self.settings.batch_bytes as usize;
        let is_near = bytes + 56 + made.len() * 120 > limit;
        hold!(error.kind() == ErrorKind::TooLarge && is_near, "{bytes} bytes: {error}");
        Ok(())
    }

    /// The records of `from..to` must be what `found` shows.
    fn compare(&self, from: u64, to: u64, found: &annals::Records, seen: &mut u64) -> Verdict {
        for record in found {
            let offset = record.offset().get();
            let Some((_, expected)) = self.records.range((*seen).max(from)..to).next() else {
                return Err(format!("a record at {offset} that was never there, or not to be seen"));
            };
            if let Some(difference) = expected.differs_from(&record) {
                return Err(difference);
            }
            *seen = offset + 1;
        }
        Ok(())
    }

    fn read(&self, from: u64, level: ReadLevel) -> Verdict {
        let reader = self.log().read(at(from)).level(level);
        self.read_all(reader, from, self.end_at(level), self.start)
    }

    /// Reads to the end, and compares.
    fn read_all(&self, reader: Reader, from: u64, end: u64, start: u64) -> Verdict {
        let is_outside = from < start || from > end;
        let mut seen = from;
        for records in reader {
            match records {
                Ok(records) if !is_outside => self.compare(from, end, &records, &mut seen)?,
                Ok(_) => return Err(format!("{from} is outside {start} to {end}, and can be read")),
                Err(error) => {
                    hold!(is_outside && error.kind() == ErrorKind::OutOfRange, "from {from}: {error}");
                    return Ok(());
                }
            }
        }
        hold!(!is_outside, "{from} is outside {start} to {end}, and reading ends there without a word");
        let missing = self.records.range(seen..end).next();
        hold!(missing.is_none(), "read from {from} to {seen}, but there are records up to {end}");
        Ok(())
    }

    fn open_reader(&mut self, from: u64, level: ReadLevel) -> Verdict {
        let reader = self.log().read(at(from)).level(level);
        if self.readers.len() >= 6 {
            self.readers.remove(0);
        }
        self.readers.push((reader, level));
        Ok(())
    }

    /// Reads on where an earlier step left off, whatever has happened meanwhile.
    fn advance_reader(&mut self, which: usize, runs: usize) -> Verdict {
        if self.readers.is_empty() {
            return Ok(());
        }
        let (mut reader, level) = self.readers.remove(which % self.readers.len());
        let end = self.end_at(level);
        for _ in 0..runs {
            let from = reader.position().get();
            match reader.next() {
                Some(Ok(records)) => {
                    let mut seen = from;
                    self.compare(from, end, &records, &mut seen)?;
                    let (now, missing) = (reader.position().get(), self.records.range(seen..).next());
                    let skipped = missing.is_some_and(|(offset, _)| *offset < now);
                    hold!(now > from && now <= end, "from {from} to {now}, and the end is {end}");
                    hold!(!skipped, "a reader at {from} showed records up to {seen} and stands at {now}");
                }
                Some(Err(error)) => {
                    let is_outside = from < self.start || from > end;
                    hold!(is_outside && error.kind() == ErrorKind::OutOfRange, "from {from}: {error}");
                    return Ok(());
                }
                None => {
                    let now = reader.position().get();
                    let missing = self.records.range(from..end).next();
                    hold!(
                        now == end && missing.is_none(),
                        "a reader at {from} ends at {now}, the log at {end}"
                    );
                }
            }
        }
        self.readers.push((reader, level));
        Ok(())
    }

    fn offset_for_time(&self, fraction: u64) -> Verdict {
        let t = START.as_millis() - 1_000_000 + i64::try_from(fraction).unwrap_or(0) * 2_000;
        let exact = self.records.values().nth(fraction as usize % self.records.len().max(1));
        let end = self.end_at(ReadLevel::Durable);
        for t in [Some(t), exact.map(|record| record.timestamp)].into_iter().flatten() {
            let mut scan = self.records.range(self.start..end.max(self.start));
            let expected = scan
                .find(|(_, record)| record.timestamp >= t)
                .map(|(offset, record)| (*offset, record.timestamp));
            let found = text(self.log().offset_for_time(Timestamp::from_millis(t)))?;
            let found = found.map(|found| (found.offset().get(), found.timestamp().as_millis()));
            hold!(found == expected, "time {t}: expected {expected:?}, found {found:?}");
        }
        Ok(())
    }

    fn delete_records(&mut self, before: u64) -> Verdict {
        let is_outside = before < self.start || before > self.end;
        match self.log().delete_records(at(before)) {
            Ok(()) => {
                hold!(!is_outside, "deleted before {before}, outside the log");
                let start = self.log().log_start_offset().get();
                hold!(start >= before, "the log starts at {start}");
                self.start = before;
                Ok(())
            }
            Err(error) => {
                hold!(is_outside && error.kind() == ErrorKind::OutOfRange, "before {before}: {error}");
                Ok(())
            }
        }
    }

    fn truncate(&mut self, to: u64) -> Verdict {
        // What retention wants goes first, or the two could not be told apart.
        self.maintain()?;
        self.settle()?;
        let is_outside = to < self.start || to > self.end;
        match self.log().truncate(at(to)) {
            Ok(end) => {
                hold!(!is_outside, "truncated to {to}, outside the log");
                self.forget_beyond(to);
                hold!(end.get() == self.end, "truncated to {end} and not to {}", self.end);
                self.waiters.clear();
                self.receipts.clear();
                (self.durable, self.demand) = (self.end, self.demand.min(self.end));
                self.learn_epoch()
            }
            Err(error) => {
                hold!(is_outside && error.kind() == ErrorKind::OutOfRange, "to {to}: {error}");
                Ok(())
            }
        }
    }

    /// Where no record is left, the epoch may be that of deleted ones, or none: one more record tells.
    fn learn_epoch(&mut self) -> Verdict {
        if self.records.range(self.start..).next().is_some() {
            return Ok(());
        }
        let shape = Shape { value: Some(1), key: None, headers: 0, stamp: None };
        let mut made = self.make(std::slice::from_ref(&shape), self.settings.timestamps);
        let appended = text(self.log().append(records(&made, &[shape])).wait())?;
        let found = self.log().read(appended.base_offset()).next();
        let found = text(found.ok_or("nothing is there to read").map_err(str::to_owned)?)?;
        let epoch = found.iter().next().map_or(0, |record| record.leader_epoch());
        let before = self.records.values().next_back().map_or(0, |record| record.epoch);
        hold!(epoch == 0 || epoch == before, "epoch {epoch} came from nowhere");
        self.epoch = epoch;
        made.iter_mut().for_each(|record| record.epoch = epoch);
        self.stored(made, &appended, Durability::Durable)
    }

    /// Takes back whole batches that reach beyond `to`.
    fn forget_beyond(&mut self, to: u64) {
        if let Some((_, cut)) = self.records.iter().find(|(_, record)| record.next > to) {
            // A batch whose first records were deleted goes altogether, down to the log start.
            self.end = cut.base.max(self.start);
            // Appended before what is taken back, whatever a clock that was set back meanwhile has said.
            let taken = self.records.values().filter(|record| record.next > to);
            let earliest = taken.map(|record| record.appended_at).min().unwrap_or(i64::MAX);
            self.records.retain(|_, record| record.next <= to);
            self.records
                .values_mut()
                .for_each(|record| record.appended_at = record.appended_at.min(earliest));
            self.epoch = self.records.range(self.start..).next_back().map_or(0, |(_, record)| record.epoch);
        }
    }

    fn maintain(&mut self) -> Verdict {
        text(self.log().maintain())?;
        let (durable, demand) = (self.log().durable_offset().get(), self.demand.min(self.end));
        hold!(durable >= demand, "{demand} was asked for, and {durable} is durable");
        Ok(())
    }

    fn close_and_open(&mut self) -> Verdict {
        text(self.log().close())?;
        for waiter in &mut self.waiters {
            waiter.closed(self.end)?;
        }
        for receipt in &mut self.receipts {
            receipt.check(self.end)?;
        }
        self.leave();
        self.open()?;
        // Closing seals what is left to be sealed, and retention goes with that.
        self.settle_start()?;
        self.reopened(self.end)
    }

    fn kill_and_open(&mut self) -> Verdict {
        let killed = self.disk.kill();
        self.leave();
        self.disk = killed;
        self.follower = None;
        self.open()?;
        self.reopened(self.end)
    }

    fn cut_and_open(&mut self, seed: u64) -> Verdict {
        let images = self.disk.power_cuts(&PowerCuts::new(seed).exhaustive_max(0).samples(4).torn(1));
        let Some(image) = images.last() else { return Ok(()) };
        let durable = self.log().durable_offset().get();
        self.leave();
        self.disk = image;
        self.follower = None;
        self.open()?;
        let end = self.log().log_end_offset().get();
        hold!(end >= durable, "{durable} was durable, and the log ends at {end}");
        let is_cut = end < self.end;
        if is_cut {
            let is_border = end == self.start || self.records.values().any(|record| record.next == end);
            hold!(is_border, "the log ends at {end}, inside a batch");
            self.forget_beyond(end);
        }
        self.reopened(end)?;
        self.learn_epoch()
    }

    fn leave(&mut self) {
        self.readers.clear();
        self.waiters.clear();
        self.receipts.clear();
        self.log = None;
        self.made += 1;
    }

    /// What is found again is all durable.
    fn reopened(&mut self, end: u64) -> Verdict {
        let found = self.log().log_end_offset().get();
        hold!(
            found == end && end == self.end,
            "opened again, the log ends at {found} and not at {}",
            self.end
        );
        let durable = self.log().durable_offset().get();
        hold!(durable == end, "opened again, it is durable up to {durable} and ends at {end}");
        let start = self.log().log_start_offset().get();
        hold!(start == self.start, "opened again, the log starts at {start} and not at {}", self.start);
        (self.durable, self.demand) = (end, 0);
        Ok(())
    }

    fn follow(&mut self, level: ReadLevel) -> Verdict {
        let follower = match self.follower.take() {
            Some(follower) => follower,
            None => text(Follower::open_in(self.disk.root()))?,
        };
        text(follower.refresh())?;
        let ends = (follower.log_start_offset().get(), follower.log_end_offset().get());
        hold!(ends == (self.start, self.end), "a follower sees {ends:?} of {:?}", (self.start, self.end));
        let (proved, durable) = (follower.durable_offset().get(), self.log().durable_offset().get());
        hold!(proved <= durable, "a follower takes {proved} for durable, {durable} is");
        hold!(
            durable < self.end || proved == durable,
            "all of {durable} is durable, a follower sees {proved}"
        );
        let end = if level == ReadLevel::Durable { proved } else { self.end };
        let from = self.start.max(self.end.saturating_sub(40)).min(end);
        if from >= self.start {
            self.read_all(follower.read(at(from)).level(level), from, end, self.start)?;
        }
        self.follower = Some(follower);
        Ok(())
    }

    fn segments(&self) -> Verdict {
        let segments = self.log().segments();
        let mut next = segments.first().map_or(0, |segment| segment.first_offset().get());
        hold!(next <= self.start, "the first segment begins at {next}, behind the log start, {}", self.start);
        for (number, segment) in segments.iter().enumerate() {
            hold!(
                segment.first_offset().get() == next,
                "segment {number} begins at {} and not at {next}",
                segment.first_offset()
            );
            hold!(segment.is_sealed() == (number + 1 < segments.len()), "segment {number}: sealed or not");
            next = segment.end_offset().map_or(self.end, Offset::get);
        }
        Ok(())
    }

    fn stats(&self) -> Verdict {
        let stats = self.log().stats();
        let found = (stats.log_start_offset.get(), stats.durable_offset.get(), stats.log_end_offset.get());
        let expected = (self.start, self.log().durable_offset().get(), self.end);
        hold!(found == expected, "stats say {found:?}, expected {expected:?}");
        let segments = self.log().segments();
        let bytes: u64 = segments.iter().map(|segment| segment.len_bytes()).sum();
        hold!(stats.segment_count == segments.len() && stats.log_bytes == bytes, "{stats:?}");
        hold!((stats.unsynced_bytes == 0) == (expected.1 == self.end), "{stats:?}");
        hold!(!stats.is_poisoned && stats.disk_bytes >= bytes, "{stats:?}");
        Ok(())
    }

    fn verify(&self) -> Verdict {
        let report = text(self.log().verify())?;
        hold!(report.damage.is_empty(), "{:?}", report.damage);
        let first = self.log().segments().first().map_or(0, |segment| segment.first_offset().get());
        hold!(report.good_offsets == self.end - first, "{} offsets are good", report.good_offsets);
        Ok(())
    }
}

/// The records as they are handed over.
fn records<'r>(made: &'r [Kept], shapes: &'r [Shape]) -> impl Iterator<Item = Record<'r>> {
    made.iter().zip(shapes).map(|(record, shape)| {
        // Without a stamp of its own the partition gives it one; with one, that is START and what is drawn.
        let record = record.record(false);
        match shape.stamp {
            Some(around) => record.timestamp(Timestamp::from_millis(START.as_millis() + around)),
            None => record,
        }
    })
}

/// The same batch with `gap` offsets at its end that no record has.
fn widened(batch: &Batch, gap: u32) -> Batch {
    let mut bytes = batch.as_bytes().to_vec();
    let delta = bytes[24..28].first_chunk().copied().map_or(0, u32::from_le_bytes) + gap;
    bytes[24..28].copy_from_slice(&delta.to_le_bytes());
    let crc = crc32fast::hash(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    Batch::from_bytes(&bytes, BatchLimits::default()).expect("only the last offset has changed")
}
