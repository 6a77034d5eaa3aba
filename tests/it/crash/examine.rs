//! Opening what a crash left, and looking at it.

use super::history::{Crash, Found, History, Promise, offset};
use super::subject::Subject;
use super::tally::Tally;
use super::workload::{Indexes, Workload, clock};
use annals::io::{Atom, Fate, SimDisk};
use annals::{Batch, BatchLimits, Durability, ErrorKind, Partition, ReadLevel, Record, RecordRef, Timestamp};
use std::time::Duration;

/// Opens images of one workload.
#[derive(Clone, Copy)]
pub struct Examiner<'a> {
    pub workload: &'a Workload,
    pub history: &'a History,
}

/// A power cut that loses all it may, or half of it.
pub fn power_cut(disk: &SimDisk, seed: u64, loses_all: bool) -> SimDisk {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut order_ends = false;
    disk.power_cut(|atom| match atom {
        _ if loses_all => Fate::Lost,
        // Of the names a journal keeps the first few.
        Atom::Entry { .. } => {
            order_ends |= random.bool();
            if order_ends { Fate::Lost } else { Fate::Kept }
        }
        _ if random.bool() => Fate::Lost,
        _ => Fate::Kept,
    })
}

/// How long after the crash the log is opened again.
const AFTERWARDS: Duration = Duration::from_secs(100);

impl Subject for Examiner<'_> {
    type Promise = Promise;
    type Found = Found;

    fn promise(&self, steps: usize) -> Promise {
        self.history.promise(steps)
    }

    fn promise_of(&self, found: &Found) -> Promise {
        Promise::of(found)
    }

    fn check(&self, promise: &Promise, found: &Found, crash: Crash) -> Result<(), String> {
        promise.check(found, crash)
    }

    fn recover(&self, disk: &SimDisk, salt: u64, tally: &mut Tally) -> Result<Found, String> {
        self.spoil_indexes(disk, salt);
        let log = self.open(disk, salt)?;
        let found = read_all(&log, self.history)?;
        tally.count(&log.recovery_report());
        // It is looked at and thrown away: closing it would only cost time.
        disk.cut_now();
        Ok(found)
    }

    fn open_and_close(&self, disk: &SimDisk, salt: u64) -> Result<(Found, usize), String> {
        let log = self.open(disk, salt)?;
        let opened = disk.steps_recorded();
        let found = read_all(&log, self.history)?;
        log.close().map_err(|error| format!("close: {error}"))?;
        Ok((found, opened))
    }

    fn is_examined(&self, hash: u64, every: u64) -> bool {
        let every = match self.workload.indexes {
            Indexes::Whole => every,
            // Only look-ups use them.
            _ => 4,
        };
        hash.is_multiple_of(every)
    }

    /// All that takes longer: reads from anywhere, look-ups by time, appends on, closes, opens again, cuts the
    /// power. `disk` is as the crash left it; `promise` says what must hold, and `found` what an earlier open
    /// of the same disk found.
    fn examine(&self, disk: &SimDisk, salt: u64, found: &Found) -> Result<(), String> {
        self.spoil_indexes(disk, salt);
        let log = self.open(disk, salt)?;
        let again = read_all(&log, self.history)?;
        check_same("I18: the same disk recovered twice", found, &again)?;
        let mut random = fastrand::Rng::with_seed(salt);
        self.look_up(&log, found, &mut random)?;
        let is_well = log.verify().map_err(|error| error.to_string())?;
        if !is_well.damage.is_empty() {
            return Err(format!("I14: what was recovered is damaged: {is_well:?}"));
        }
        log.close().map_err(|error| format!("close: {error}"))?;
        self.open_twice(disk, salt, found)?;
        self.is_fenced(disk, salt ^ 13, found)?;
        self.append_on(disk, salt ^ 3, found, &mut random)
    }

    /// What was shown as durable must be there after a power cut that loses all it may, and after others.
    fn cut_after_open(&self, disk: &SimDisk, salt: u64, found: &Found, cuts: u64) -> Result<(), String> {
        let log = self.open(disk, salt)?;
        let again = read_all(&log, self.history)?;
        check_same("I18: the same disk recovered twice", found, &again)?;
        let promise = Promise::of(found);
        for cut in 0..=cuts {
            let image = power_cut(disk, salt ^ cut, cut == 0);
            let after = self.recover(&image, salt ^ cut << 8 ^ 5, &mut Tally::default())?;
            promise
                .check(&after, Crash::PowerCut)
                .map_err(|wrong| format!("shown as durable after recovery, then lost: {wrong}"))?;
        }
        disk.cut_now();
        Ok(())
    }
}

impl Examiner<'_> {
    /// Opens the log on `disk`, which is never opened twice with the same salts.
    pub fn open(&self, disk: &SimDisk, salt: u64) -> Result<Partition, String> {
        let clock = clock();
        clock.advance(AFTERWARDS);
        let opened = self.workload.options(salt, &clock).open_in(disk.root());
        opened.map_err(|error| format!("I16: open refused: {:?}: {error}", error.kind()))
    }

    fn spoil_indexes(&self, disk: &SimDisk, salt: u64) {
        if self.workload.indexes == Indexes::Whole {
            return;
        }
        let mut random = fastrand::Rng::with_seed(salt);
        let listed = disk.files().into_iter().filter(|path| path.ends_with("index"));
        let files: Vec<(String, Vec<u8>)> =
            listed.map(|path| (path.clone(), disk.read(&path).expect("the file was just listed"))).collect();
        for (path, bytes) in &files {
            let kind = if self.workload.indexes == Indexes::Missing { 0 } else { random.u8(1..4) };
            let spoilt = match kind {
                1 if !bytes.is_empty() => disk.flip_bit(path, random.u64(0..8 * bytes.len() as u64)),
                2 => disk.truncate(path, random.u64(0..=bytes.len() as u64)),
                3 => disk.write(path, &files[random.usize(0..files.len())].1),
                _ => disk.delete(path),
            };
            spoilt.expect("the file was just listed");
        }
    }

    /// Opens and closes; the second time that writes nothing.
    fn open_twice(&self, disk: &SimDisk, salt: u64, found: &Found) -> Result<(), String> {
        for round in 1..=2 {
            let before = disk.counts();
            let log = self.open(disk, salt ^ round)?;
            let again = read_all(&log, self.history)?;
            check_same("I18: reopened", found, &again)?;
            log.close().map_err(|error| format!("close: {error}"))?;
            let done = disk.counts() - before;
            if round == 2 && done.mutations() > 0 {
                return Err(format!("I18: opening and closing wrote: {done:?}"));
            }
        }
        Ok(())
    }

    /// A leader whose term is over is still refused.
    fn is_fenced(&self, disk: &SimDisk, salt: u64, found: &Found) -> Result<(), String> {
        let line = &self.history.lines[found.lines.trailing_zeros() as usize];
        let last = usize::try_from(found.end).expect("few records").checked_sub(1);
        let last =
            last.filter(|_| found.start < found.end).map(|last| &self.history.records[line[last] as usize]);
        let Some(over) = last.and_then(|last| last.epoch.checked_sub(1)) else { return Ok(()) };
        let log = self.open(disk, salt)?;
        let limits = BatchLimits::new(self.workload.batch_bytes_max).expect("the limit is within its bounds");
        let batch = Batch::from_records([Record::new("too late")], Timestamp::from_millis(0), limits);
        let batch = batch.and_then(|batch| batch.with_base_offset(offset(found.end)));
        let batch = batch.map_err(|error| error.to_string())?.with_leader_epoch(over);
        match log.append_batch(&batch).wait() {
            Err(error) if error.kind() == ErrorKind::Fenced => {}
            other => return Err(format!("a batch of epoch {over} is answered with {other:?}")),
        }
        log.close().map_err(|error| format!("close: {error}"))
    }

    /// Appends a little, durably, and cuts the power.
    fn append_on(
        &self,
        disk: &SimDisk,
        salt: u64,
        found: &Found,
        random: &mut fastrand::Rng,
    ) -> Result<(), String> {
        let log = self.open(disk, salt)?;
        let level = if random.bool() { Durability::Durable } else { Durability::Written };
        let mut count = 0;
        for _ in 0..random.u64(1..4) {
            match log.append_with(level, [Record::new("appended afterwards")]).wait() {
                Ok(_) => count += 1,
                Err(error) if error.kind() == ErrorKind::NoSpace => {}
                Err(error) => return Err(format!("append after recovery: {error}")),
            }
        }
        log.flush().wait().map_err(|error| format!("flush after recovery: {error}"))?;
        let image = disk.power_cut(|_| Fate::Lost);
        disk.cut_now();
        let log = self.open(&image, salt ^ 1)?;
        let appended = read_from(&log, found.end, |_, record| record.value() == b"appended afterwards")?;
        if appended != found.end + count {
            return Err(format!(
                "I1: {count} records behind {} were durable, and {appended} is the end",
                found.end
            ));
        }
        image.cut_now();
        Ok(())
    }

    /// Reads from random offsets, and looks up random times.
    fn look_up(&self, log: &Partition, found: &Found, random: &mut fastrand::Rng) -> Result<(), String> {
        let Found { start, end, .. } = *found;
        let line = &self.history.lines[found.lines.trailing_zeros() as usize];
        let number = |at: u64| line[usize::try_from(at).expect("few records")];
        for _ in 0..4 {
            let from = random.u64(start..=end);
            read_from(log, from, |at, record| self.history.is_record(number(at), record))
                .and_then(
                    |reached| if reached == end { Ok(()) } else { Err(format!("{reached} is not {end}")) },
                )
                .map_err(|wrong| format!("I13: read from {from}: {wrong}"))?;
            let stamp = |at: u64| self.history.records[number(at) as usize].timestamp;
            let from = if start < end { stamp(random.u64(start..end)) } else { 0 };
            let time = from + random.i64(-1..=1);
            let expected = (start..end).find(|at| stamp(*at) >= time);
            let answer =
                log.offset_for_time(Timestamp::from_millis(time)).map_err(|error| error.to_string())?;
            let answer = answer.map(|timed| timed.offset().get());
            if answer != expected {
                return Err(format!("I13: offset_for_time({time}) is {answer:?}, a scan says {expected:?}"));
            }
        }
        for outside in [start.checked_sub(1), Some(end + 1)].into_iter().flatten() {
            let first = log.read(offset(outside)).next();
            if !matches!(&first, Some(Err(error)) if error.kind() == ErrorKind::OutOfRange) {
                return Err(format!("I9: a read from {outside}, outside of {start}..{end}, gives {first:?}"));
            }
        }
        Ok(())
    }
}

fn check_same(what: &str, found: &Found, again: &Found) -> Result<(), String> {
    if found == again { Ok(()) } else { Err(format!("{what}: {again:?} after {found:?}")) }
}

impl History {
    fn is_record(&self, number: u32, record: &RecordRef<'_>) -> bool {
        let submitted = &self.records[number as usize];
        record.value() == submitted.value
            && record.timestamp().as_millis() == submitted.timestamp
            && record.key() == submitted.key.as_ref().map(|key| &key[..])
            && record.leader_epoch() == submitted.epoch
    }

    /// The number of the submitted record that this is.
    fn number_of(&self, record: &RecordRef<'_>) -> Option<u32> {
        let number = u32::from_le_bytes(*record.value().first_chunk()?);
        let exists = (number as usize) < self.records.len();
        (exists && self.is_record(number, record)).then_some(number)
    }
}

/// Reads all of the log, as all of it is durable, and finds it among what was submitted.
pub fn read_all(log: &Partition, history: &History) -> Result<Found, String> {
    let (start, end) = (log.log_start_offset().get(), log.log_end_offset().get());
    let mut numbers = Vec::with_capacity(64);
    let reached = read_from(log, start, |_, record| {
        history.number_of(record).map(|number| numbers.push(number)).is_some()
    })?;
    if reached != end {
        return Err(format!("I4: the log ends at {end}, and its records at {reached}"));
    }
    Ok(Found { start, end, lines: history.lines_with(start, &numbers) })
}

/// Reads on from `from`; `each` says whether a record is right at its offset. Returns where that came to its end.
fn read_from(
    log: &Partition,
    from: u64,
    mut each: impl FnMut(u64, &RecordRef<'_>) -> bool,
) -> Result<u64, String> {
    let mut next = from;
    for records in log.read(offset(from)).level(ReadLevel::Written) {
        let records = records.map_err(|error| format!("I14: read at {next}: {error}"))?;
        for record in &records {
            if record.offset().get() != next {
                return Err(format!("I4: offset {} where {next} should be", record.offset()));
            }
            if !each(next, &record) {
                return Err(format!("I2: a record at {next} that was not submitted so: {record:?}"));
            }
            next += 1;
        }
    }
    Ok(next)
}
