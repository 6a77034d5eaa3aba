//! `annals consume`: the records of a topic, as lines.
//!
//! ```text
//!     recover what a killed process left ──▶ a Follower for each partition, beside whoever writes
//!     Tap, Tap, ...   ──some records of each in turn──▶ Format ──▶ standard output
//! ```

use super::arguments::WriteMode;
use super::directory;
use super::failure::{Failure, Outcome, Trouble};
use super::format::{Format, Place};
use super::membership;
use super::output::Output;
use super::progress::Progress;
use super::start;
use annals::{BrokerFollower, ErrorKind, Follower, Offset, ReadLevel, Reader, StartAt, TopicDescription};
use clap::Args;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// How long it is looked for more, between looks at the topic itself.
const WATCH_FOR: Duration = Duration::from_secs(1);
/// How long many partitions are left alone when none has more: at first, and at most.
const NAP_MIN: Duration = Duration::from_millis(5);
const NAP_MAX: Duration = Duration::from_millis(80);

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  annals consume orders
  annals consume orders --format json --from 2026-01-31T08:00:00Z | jq .value
  annals consume orders --partition 2 --from 1000 --max 10
  annals consume orders --from latest --follow
  annals consume orders --group billing --max 100

Without --follow it ends at what was the end when it began. Order holds within a partition. JSON has one
object a line: topic, partition, offset, timestamp (RFC 3339, UTC), key, value, headers. What is not UTF-8 is
under key_base64 or value_base64 instead; a key or value that there is none of is null; a timestamp outside the
years 0 to 9999 is under timestamp_ms.

With --group, --from counts where the group has committed nothing yet; what was printed is committed, and the next
time it goes on behind it. A group's members are in one process, so the directory must not be open in another.

When nobody has the directory open, what a killed process left is recovered first.")]
pub(crate) struct ConsumeOptions {
    /// The topic to read.
    pub(crate) topic: String,

    /// Where to begin: earliest, latest, an offset (digits only), or a time (RFC 3339).
    #[arg(long, value_name = "WHERE", default_value = "earliest", value_parser = start::parse)]
    pub(crate) from: StartAt,

    /// Read as the only member of this group: go on where it left off, and commit what is printed.
    #[arg(long, value_name = "G", conflicts_with_all = ["partition", "follow"])]
    group: Option<String>,

    /// Read this partition alone.
    #[arg(long, value_name = "P")]
    partition: Option<u32>,

    /// Stop after this many records.
    #[arg(long, value_name = "N")]
    pub(crate) max: Option<u64>,

    /// Go on and wait for more at the end.
    #[arg(long)]
    follow: bool,

    /// How a record is printed.
    #[arg(long, value_name = "FORMAT", default_value = "value")]
    pub(crate) format: Format,

    /// What is printed between key and value with --format key-value [default: a tab].
    #[arg(long, value_name = "SEP")]
    key_separator: Option<String>,
}

/// One partition that is read.
struct Tap {
    number: u32,
    follower: Follower,
    reader: Reader,
    /// Where it ends; never where it is followed.
    until: Offset,
}

pub(crate) fn run(options: &ConsumeOptions, path: &Path, mode: WriteMode) -> Outcome {
    if let Some(group) = &options.group {
        return membership::run(options, group, path, mode);
    }
    let beside = directory::recovered(path)?;
    let topic = beside.topic(&options.topic).map_err(Failure::of_topic)?;
    let numbers = match options.partition {
        Some(number) => number..number.saturating_add(1),
        None => 0..topic.partition_count,
    };
    options.check_from(&topic.name, u32::try_from(numbers.len()).unwrap_or(u32::MAX))?;
    let is_watched = io::stdout().is_terminal();
    let progress = if is_watched { Progress::silent() } else { Progress::unbounded("read") };
    let mut consumption = Consumption {
        options,
        beside,
        taps: Vec::new(),
        known_count: numbers.end,
        output: Output::new(),
        progress,
        left: options.max.unwrap_or(u64::MAX),
        waited: Duration::ZERO,
        damage: None,
        topic,
    };
    for number in numbers {
        consumption.open(number, options.from);
    }
    let consumed = consumption.consume();
    let flushed = consumption.output.flush();
    match consumed.and(flushed) {
        Err(failure) if !failure.is_closed_pipe() => Err(failure),
        Err(_) => Ok(()),
        Ok(()) => consumption.damage.map_or(Ok(()), Err),
    }
}

impl ConsumeOptions {
    /// What stands between key and value.
    pub(crate) fn separator(&self) -> &str {
        self.key_separator.as_deref().unwrap_or("\t")
    }

    /// Whether a separator was named that nothing uses.
    pub(crate) fn has_idle_separator(&self) -> bool {
        self.key_separator.is_some() && self.format != Format::KeyValue
    }

    /// An offset is a place in one partition.
    pub(crate) fn check_from(&self, topic: &str, partition_count: u32) -> Outcome {
        match self.from {
            StartAt::Offset(_) if partition_count > 1 => Err(Failure::offset_of_many(topic, partition_count)),
            _ => Ok(()),
        }
    }
}

/// A topic that is being read.
struct Consumption<'a> {
    options: &'a ConsumeOptions,
    beside: BrokerFollower,
    topic: TopicDescription,
    taps: Vec<Tap>,
    /// Partitions from here on were added since.
    known_count: u32,
    output: Output,
    progress: Progress,
    /// How many records may still be printed.
    left: u64,
    /// For how long the topic itself was not looked at.
    waited: Duration,
    /// The first that kept a partition, or a part of it, from being read; the others go on.
    damage: Option<Failure>,
}

impl Consumption<'_> {
    fn consume(&mut self) -> Outcome {
        let mut nap = NAP_MIN;
        while self.left > 0 && !self.taps.is_empty() {
            if self.read_round()? {
                nap = NAP_MIN;
            } else if self.options.follow && !self.taps.is_empty() && self.left > 0 {
                // Whoever reads our output has all there is before we wait.
                self.output.flush()?;
                self.wait(nap)?;
                nap = (nap * 2).min(NAP_MAX);
            }
        }
        Ok(())
    }

    /// Prints some records of each partition; says whether there were any.
    fn read_round(&mut self) -> Outcome<bool> {
        let mut any = false;
        let mut at = 0;
        while let Some(tap) = self.taps.get_mut(at) {
            if self.left == 0 {
                break;
            }
            if tap.reader.position() >= tap.until {
                self.taps.swap_remove(at);
                continue;
            }
            match tap.reader.next() {
                Some(Ok(records)) => {
                    any = true;
                    let place = Place { topic: &self.topic.name, partition: tap.number };
                    let mut count = 0;
                    for record in &records {
                        if record.offset() >= tap.until || count >= self.left {
                            break;
                        }
                        let separator = self.options.separator();
                        self.options.format.print(&mut self.output, place, record, separator)?;
                        count += 1;
                    }
                    self.left -= count;
                    self.progress.add(count);
                }
                None if self.options.follow => {}
                None => {
                    self.taps.swap_remove(at);
                    continue;
                }
                Some(Err(error)) => {
                    self.met(error, at)?;
                    any = true;
                }
            }
            at += 1;
        }
        Ok(any)
    }

    /// Goes on with what can be read: behind records that were lost, with the other partitions behind damage.
    fn met(&mut self, error: annals::Error, at: usize) -> Outcome {
        let is_lost = error.lost_range().is_some();
        let number = self.taps.get(at).map_or(0, |tap| tap.number);
        let failure = match error.kind() {
            _ if is_lost => {
                let message = format!("partition {number} of {}: {error}", self.topic.name);
                Failure::new(Trouble::RecordsLost, message)
            }
            ErrorKind::Corrupt => Failure::of_partition(error),
            _ if self.is_gone() => return Err(self.gone()),
            _ => return Err(Failure::of_partition(error)),
        };
        if !is_lost {
            self.taps.swap_remove(at);
        }
        self.note(failure);
        Ok(())
    }

    /// The first failure ends the process; all others are told at once.
    fn note(&mut self, failure: Failure) {
        if self.damage.is_none() {
            self.damage = Some(failure);
        } else {
            let _ = failure.report();
        }
    }

    /// Waits until there may be more.
    fn wait(&mut self, nap: Duration) -> Outcome {
        if let [tap] = self.taps.as_slice() {
            let level = self.topic.settings.read_level;
            let waited = tap.follower.wait_past(level, tap.reader.position(), WATCH_FOR);
            if let Err(error) = waited {
                return if self.is_gone() { Err(self.gone()) } else { Err(Failure::of_partition(error)) };
            }
            self.waited += WATCH_FOR;
        } else {
            thread::sleep(nap);
            self.waited += nap;
        }
        if self.waited >= WATCH_FOR { self.look_at_topic() } else { Ok(()) }
    }

    /// Begins to read partitions that were added; ends when the topic is deleted.
    fn look_at_topic(&mut self) -> Outcome {
        self.waited = Duration::ZERO;
        if self.is_gone() {
            return Err(self.gone());
        }
        if self.options.partition.is_none()
            && let Ok(now) = self.beside.topic(&self.topic.name)
        {
            for number in self.known_count..now.partition_count {
                self.open(number, StartAt::Earliest);
            }
            self.known_count = now.partition_count;
        }
        Ok(())
    }

    /// Whether the topic was deleted since it was opened.
    fn is_gone(&self) -> bool {
        let known = self.beside.refresh().and_then(|()| self.beside.topic(&self.topic.name));
        match known {
            Ok(now) => now.id != self.topic.id,
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }

    fn gone(&self) -> Failure {
        Failure::new(Trouble::TopicGone, format_args!("topic {} was deleted", self.topic.name))
    }

    /// Begins to read a partition. One that cannot be read is told, and the others are read.
    fn open(&mut self, number: u32, from: StartAt) {
        match self.tap(number, from) {
            Ok(tap) => {
                // What lies before damage is printed, and ends where that begins.
                let damage = tap.follower.refresh().err();
                self.taps.push(tap);
                if let Some(error) = damage {
                    self.note(Failure::of_partition(error));
                }
            }
            Err(failure) => self.note(failure),
        }
    }

    fn tap(&self, number: u32, from: StartAt) -> Outcome<Tap> {
        let level = self.topic.settings.read_level;
        let follower = self.beside.partition(&self.topic.name, number).map_err(Failure::of_partition)?;
        let end = match level {
            ReadLevel::Written => follower.log_end_offset(),
            _ => follower.durable_offset(),
        };
        let start = match from {
            StartAt::Earliest => follower.log_start_offset(),

            StartAt::Offset(offset) => offset,
            StartAt::Time(time) => {
                let found = follower.offset_for_time(level, time).map_err(Failure::of_partition)?;
                found.map_or(end, |found| found.offset())
            }
            _ => end,
        };
        let reader = follower.read(start).level(level);
        // Of an offset beyond the end the reader says that it is out of range.
        let until = if self.options.follow || start > end { Offset::MAX } else { end };
        Ok(Tap { number, follower, reader, until })
    }
}
