//! Small partitions to damage, and the judge of what opening and reading them came to.
//!
//! ```text
//!     Sample ──copy──▶ image ──damage──▶ open, read, verify ──▶ refused │ told on reading │ cut │ harmless
//!                                                              └ anything else is a violation
//! ```

use annals::clock::ManualClock;
use annals::io::SimDisk;
use annals::{
    Durability, ErrorKind, Maintenance, Offset, Partition, PartitionOptions, ReadLevel, ReadMode, Record,
    Retention, Timestamp, WriteMode,
};
use std::cell::Cell;
use std::fmt;
use std::time::Duration;

/// Bytes of the header of a segment.
pub const HEADER_LEN: usize = 4096;
/// One case in so many reads the undamaged segments too, and verifies all.
const EACH: u64 = 16;
/// The event time of offset 0; each offset is a second later than the one before.
const FIRST_TIME: i64 = 1_000_000;

/// A partition as it lies on a simulated disk, and what it holds.
#[derive(Clone)]
pub struct Sample {
    pub name: &'static str,
    pub disk: SimDisk,
    /// All that was ever appended ends here.
    pub end: u64,
    /// What lies before this offset was proved to be synced: it may not vanish unsaid.
    pub proved: u64,
    /// Where each segment's offsets begin, with its file; in the order of the log.
    pub segments: Vec<(u64, String)>,
    pub write_mode: WriteMode,
    /// Whether a file was cut short, so that of what is missing nothing may be left to keep aside.
    pub shortened: bool,
    /// How many cases were judged: not each of them looks at everything.
    pub judged: Cell<u64>,
}

/// What damage came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Opening it said that it is damaged.
    Refused,
    /// It opened, and reading the damaged place said so.
    Told,
    /// What was not proved was cut off, kept aside and reported.
    Cut,
    /// All records are there.
    Harmless,
}

/// How often each verdict was given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub cases: u64,
    pub refused: u64,
    pub told: u64,
    pub cut: u64,
    pub harmless: u64,
}

impl Tally {
    pub fn note(&mut self, verdict: Verdict) {
        self.cases += 1;
        match verdict {
            Verdict::Refused => self.refused += 1,
            Verdict::Told => self.told += 1,
            Verdict::Cut => self.cut += 1,
            Verdict::Harmless => self.harmless += 1,
        }
    }

    pub fn add(&mut self, other: Self) {
        self.cases += other.cases;
        self.refused += other.refused;
        self.told += other.told;
        self.cut += other.cut;
        self.harmless += other.harmless;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::proof::Count;
        write!(
            f,
            "{} cases: {} refused, {} told on reading, {} cut and reported, {} harmless",
            Count(self.cases),
            Count(self.refused),
            Count(self.told),
            Count(self.cut),
            Count(self.harmless)
        )
    }
}

/// The payload of the record at `offset`, which says which one it is.
pub fn value(offset: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(offset);
    let len = random.usize(24..160);
    let mut value = format!("record {offset} ").into_bytes();
    value.extend(std::iter::repeat_with(|| random.u8(..)).take(len));
    // Zeros and repetitions as real payloads have them.
    value.extend(std::iter::repeat_n(0, random.usize(0..24)));
    value
}

pub fn time(offset: u64) -> Timestamp {
    Timestamp::from_millis(FIRST_TIME + i64::try_from(offset).expect("samples are small") * 1_000)
}

/// The options of all samples; the clock stands still.
pub fn options(clock: &ManualClock) -> PartitionOptions {
    Partition::options()
        .segment_bytes_max(68 << 10)
        .segment_age_max(Duration::from_secs(60))
        .batch_bytes_max(8 << 10)
        .retention(Retention::Forever)
        .maintenance(Maintenance::Manual)
        .durability(Durability::Written)
        .clock(clock.clone())
        .seed(7)
}

pub fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_millis(FIRST_TIME))
}

/// Builds a partition step by step.
pub struct Builder {
    pub disk: SimDisk,
    pub clock: ManualClock,
    pub log: Partition,
    pub next: u64,
    pub durable: u64,
    write_mode: WriteMode,
}

impl Builder {
    pub fn new(write_mode: WriteMode) -> Self {
        let clock = clock();
        Self::with(write_mode, options(&clock), clock)
    }

    pub fn with(write_mode: WriteMode, options: PartitionOptions, clock: ManualClock) -> Self {
        let disk = SimDisk::new();
        let options = options.write_mode(write_mode);
        let log = options.open_in(disk.root()).expect("an empty disk takes a partition");
        Self { disk, clock, log, next: 0, durable: 0, write_mode }
    }

    /// Appends batches of one to five records until the active segment has `bytes`.
    pub fn fill(&mut self, bytes: u64) {
        loop {
            let active = self.log.segments().pop().expect("there is always an active segment");
            if active.len_bytes() >= bytes {
                return;
            }
            self.append(1 + self.next % 5);
            if self.next.is_multiple_of(7) {
                self.flush();
            }
        }
    }

    pub fn append(&mut self, count: u64) {
        let values: Vec<_> =
            (self.next..self.next + count).map(|offset| (time(offset), value(offset))).collect();
        let records = values.iter().map(|(time, value)| Record::new(value).timestamp(*time));
        let appended = self.log.append(records).wait().expect("the disk is well");
        assert_eq!(appended.base_offset().get(), self.next);
        self.next += count;
    }

    /// Appends a batch of `least` records or some more, which does not end with what may not have been written.
    fn append_distinct(&mut self, least: u64) {
        let ends_apart = |count: &u64| !value(self.next + count - 1).ends_with(&[0; 3]);
        let count = (least..).find(ends_apart).expect("one of eight values does");
        self.append(count);
    }

    pub fn flush(&mut self) {
        self.log.flush().wait().expect("the disk is well");
        self.durable = self.next;
    }

    /// Goes on in a new segment, as a clock that moves on has it.
    pub fn roll(&mut self) {
        self.clock.advance(Duration::from_secs(61));
        self.append(1);
        self.log.maintain().expect("the disk is well");
        self.durable = self.log.durable_offset().get();
    }

    /// Kills the process that writes, and opens the log in another one.
    pub fn open_again(&mut self) {
        self.disk = self.disk.kill();
        let options = options(&self.clock).write_mode(self.write_mode);
        self.log = options.open_in(self.disk.root()).expect("the disk is well");
    }

    /// The partition as it is now, for a process that is killed.
    pub fn killed(&self, name: &'static str) -> Sample {
        self.sample(name, self.disk.kill(), self.log.durable_offset().get())
    }

    /// The partition after a clean close.
    pub fn closed(&self, name: &'static str) -> Sample {
        self.log.close().expect("the disk is well");
        self.sample(name, self.disk.kill(), self.next)
    }

    fn segments(&self) -> Vec<(u64, String)> {
        let segments = self.log.segments();
        let name = |segment: &annals::Segment| {
            segment.path().file_name().expect("a segment is a file").to_string_lossy().into_owned()
        };
        segments.iter().map(|segment| (segment.first_offset().get(), name(segment))).collect()
    }

    fn sample(&self, name: &'static str, disk: SimDisk, proved: u64) -> Sample {
        let mut sample = Sample {
            name,
            disk,
            end: self.next,
            proved,
            segments: self.segments(),
            write_mode: self.write_mode,
            shortened: false,
            judged: Cell::new(0),
        };
        sample.find_names();
        sample
    }
}

/// Three sealed segments, the middle one of 64 KiB, and a short active one; cleanly closed.
pub fn sealed(write_mode: WriteMode) -> Sample {
    sealed_of(write_mode, 64 << 10)
}

pub fn sealed_of(write_mode: WriteMode, bytes: u64) -> Sample {
    let clock = clock();
    let options = options(&clock).segment_bytes_max(bytes + (4 << 10));
    let mut builder = Builder::with(write_mode, options, clock);
    builder.fill(8 << 10);
    builder.roll();
    builder.fill(bytes);
    builder.roll();
    builder.fill(14 << 10);
    builder.roll();
    builder.fill(6 << 10);
    builder.closed("sealed")
}

/// One sealed segment and an active one of 64 KiB: cleanly closed.
pub fn closed(write_mode: WriteMode) -> Sample {
    long_active(write_mode).closed("closed")
}

/// The same, killed when everything was synced: the tail mark says so.
pub fn marked(write_mode: WriteMode) -> Sample {
    let mut builder = long_active(write_mode);
    builder.append(3);
    builder.flush();
    builder.killed("killed with a tail mark")
}

/// The same, killed with a last group that nothing proves.
pub fn unproved(write_mode: WriteMode) -> Sample {
    let mut builder = long_active(write_mode);
    builder.flush();
    for least in [2, 1, 4, 3] {
        builder.append_distinct(least);
    }
    builder.killed("killed with an unproved tail")
}

/// Synced, then cut off from power before the tail mark got to the disk: the last group is not proved.
pub fn powerless(write_mode: WriteMode) -> Sample {
    let mut builder = long_active(write_mode);
    builder.flush();
    let before = builder.next;
    builder.append_distinct(3);
    builder.append_distinct(2);
    builder.flush();
    let mut sample = builder.killed("cut off before its tail mark");
    sample.disk = builder.disk.power_cut(|_| annals::io::Fate::Lost);
    sample.proved = before;
    sample.find_names();
    sample
}

fn long_active(write_mode: WriteMode) -> Builder {
    let mut builder = Builder::new(write_mode);
    builder.fill(8 << 10);
    builder.roll();
    builder.fill(60 << 10);
    builder
}

impl Sample {
    /// Finds out which of its two names each segment has on this disk.
    fn find_names(&mut self) {
        let files = self.disk.files();
        for (first, name) in &mut self.segments {
            *name = format!("{first:020}.log");
            if !files.contains(name) {
                *name = files.iter().find(|file| file.starts_with("next-")).expect("it has a name").clone();
            }
        }
    }

    /// The offset that the proofs in these bytes of the active segment vouch for, with the manifest's: what is
    /// gone or damaged took its own proofs along.
    pub fn proved_by(&self, bytes: &[u8]) -> u64 {
        let (first, file) = self.segments.last().expect("there is always an active segment");
        let whole = self.disk.read(file).expect("it is there");
        if self.is_closed() {
            return self.proved;
        }
        let placed = batches(&whole);
        let is_kept = |range: std::ops::Range<usize>| bytes.get(range.clone()) == whole.get(range);
        let kept = placed.iter().filter(|batch| is_kept(batch.bytes.clone()));
        let synced = |batch: &Placed| u32_at(&whole, batch.bytes.start + 12);
        let mark = placed.last().map_or(HEADER_LEN, |last| last.bytes.end.next_multiple_of(8));
        let by_mark = if is_kept(mark..mark + 40) { u32_at(&whole, mark + 12) } else { 0 };
        let furthest = kept.map(synced).max().unwrap_or(0).max(by_mark);
        let furthest = usize::try_from(furthest).expect("32 bits fit");
        let proved = placed.iter().rfind(|batch| batch.bytes.end <= furthest);
        proved.map_or(*first, |batch| batch.offsets.end)
    }

    fn is_closed(&self) -> bool {
        matches!(self.name, "closed" | "sealed")
    }

    /// A copy to damage, which costs next to nothing.
    pub fn copy(&self) -> SimDisk {
        self.disk.kill()
    }

    /// The file of the last segment.
    pub fn active(&self) -> &str {
        &self.segments.last().expect("there is always an active segment").1
    }

    pub fn options(&self, read_mode: ReadMode) -> PartitionOptions {
        options(&clock()).write_mode(self.write_mode).read_mode(read_mode).read_level(ReadLevel::Written)
    }

    /// Opens a damaged copy and reads all of it. `damaged` are the files that an error may name.
    ///
    /// # Panics
    /// On anything that damage must not do, saying what.
    pub fn judge(
        &self,
        image: &SimDisk,
        damaged: &[&str],
        read_mode: ReadMode,
        what: &dyn fmt::Display,
    ) -> Verdict {
        let violation = |text: String| -> ! {
            panic!("{} sample, {what}, {read_mode:?}: {text}\n{}", self.name, listing(image))
        };
        let check_error = |error: &annals::Error| {
            if !matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) {
                violation(format!("expected Corrupt or Unsupported, found {:?}: {error}", error.kind()));
            }
            let message = error.to_string();
            if !damaged.iter().any(|file| message.contains(file)) {
                violation(format!("expected an error that names {damaged:?}, found: {message}"));
            }
        };
        let log = match self.options(read_mode).open_in(image.root()) {
            Ok(log) => log,
            Err(error) => {
                check_error(&error);
                return Verdict::Refused;
            }
        };
        let report = log.recovery_report();
        let end = log.log_end_offset().get();
        if log.log_start_offset() != Offset::ZERO {
            violation(format!("the log starts at {}", log.log_start_offset()));
        }
        if end > self.end {
            violation(format!("it ends at {end}, and {} is all there ever was", self.end));
        }
        if end < self.end {
            if end < self.proved {
                violation(format!("it ends at {end}, and {} was proved", self.proved));
            }
            let aside =
                |path: &std::path::Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
            let is_kept = |torn: &annals::TornBytes| {
                torn.kept_in.as_deref().and_then(aside).is_some_and(|name| image.read(&name).is_ok())
            };
            if (report.torn.is_empty() && !self.shortened) || !report.torn.iter().all(is_kept) {
                violation(format!("it ends at {end} of {}, and nothing is kept aside: {report:?}", self.end));
            }
        }
        let is_thorough = self.judged.get().is_multiple_of(EACH);
        self.judged.set(self.judged.get() + 1);
        let mut told = false;
        for (at, (first, file)) in self.segments.iter().enumerate() {
            if !is_thorough && !damaged.contains(&file.as_str()) {
                continue;
            }
            let until = self.segments.get(at + 1).map_or(end, |(next, _)| *next).min(end);
            if let Err(error) = self.read(&log, *first, until) {
                match error {
                    Told::Wrong(text) => violation(text),
                    Told::Error(error) => {
                        check_error(&error);
                        if !damaged.contains(&file.as_str()) {
                            violation(format!("{file} is not damaged, and reading it says: {error}"));
                        }
                        told = true;
                    }
                }
            }
        }
        if !is_thorough {
            return if told {
                Verdict::Told
            } else if end < self.end {
                Verdict::Cut
            } else {
                Verdict::Harmless
            };
        }
        let verified = log.verify().unwrap_or_else(|error| violation(format!("verify: {error}")));
        if told && verified.damage.is_empty() {
            violation("reading says that it is damaged, and verify that it is not".to_owned());
        }
        if let Some(place) =
            verified.damage.iter().find(|place| !damaged.iter().any(|file| place.segment.ends_with(file)))
        {
            violation(format!("verify names a file that is not damaged: {place:?}"));
        }
        match (told, end < self.end) {
            (true, _) => Verdict::Told,
            (false, true) => Verdict::Cut,
            (false, false) => Verdict::Harmless,
        }
    }

    /// Reads the offsets from `from` to `until`, each of which must be what was appended.
    pub fn read(&self, log: &Partition, from: u64, until: u64) -> Result<(), Told> {
        let mut next = from;
        if from >= until {
            return Ok(());
        }
        for records in log.read(offset(from)) {
            for record in &records.map_err(Told::Error)? {
                if record.offset().get() != next {
                    return Err(Told::Wrong(format!("offset {next}: found offset {}", record.offset())));
                }
                if record.value() != values().at(next) || record.timestamp() != time(next) {
                    return Err(Told::Wrong(format!("offset {next} has another payload or time")));
                }
                next += 1;
                if next == until {
                    return Ok(());
                }
            }
        }
        Err(Told::Wrong(format!("reading ends at {next}, and the log goes on to {until}")))
    }
}

/// Why reading did not give all that was there.
#[derive(Debug)]
pub enum Told {
    Error(annals::Error),
    Wrong(String),
}

/// The payloads of all offsets, made once.
pub struct Values(Vec<Vec<u8>>);

impl Values {
    pub fn at(&self, offset: u64) -> &[u8] {
        &self.0[usize::try_from(offset).expect("samples are small")]
    }
}

pub fn values() -> &'static Values {
    static VALUES: std::sync::OnceLock<Values> = std::sync::OnceLock::new();
    VALUES.get_or_init(|| Values((0..20_000).map(value).collect()))
}

pub fn offset(number: u64) -> Offset {
    Offset::new(number).expect("samples are small")
}

/// All files and their lengths, for a report.
pub fn listing(disk: &SimDisk) -> String {
    disk.files()
        .iter()
        .map(|file| format!("{file} {}\n", disk.read(file).map_or(0, |bytes| bytes.len())))
        .collect()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |field| u32::from_le_bytes(field.try_into().expect("4 bytes")))
}

/// A batch as it lies in a segment file.
#[derive(Clone, Debug)]
pub struct Placed {
    pub bytes: std::ops::Range<usize>,
    pub offsets: std::ops::Range<u64>,
}

/// The batches of an undamaged segment file, found by the fields `length`, `base_offset` and
/// `last_offset_delta` alone.
pub fn batches(file: &[u8]) -> Vec<Placed> {
    let u32_at = |at| u32_at(file, at);
    let u64_at = |at: usize| {
        file.get(at..at + 8).map_or(0, |field| u64::from_le_bytes(field.try_into().expect("8 bytes")))
    };
    let mut found = Vec::new();
    let mut at = HEADER_LEN;
    // Behind the last batch there is nothing, or a tail mark of 40 bytes.
    while u32_at(at + 8) > 40 {
        let len = usize::try_from(u32_at(at + 8)).expect("32 bits fit");
        let base = u64_at(at + 16);
        found.push(Placed { bytes: at..at + len, offsets: base..base + u64::from(u32_at(at + 24)) + 1 });
        at = (at + len).next_multiple_of(8);
    }
    found
}
