//! `annals topic`: create, list, describe, alter, delete.

use super::arguments::WriteMode;
use super::directory;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::quantity::{self, show_bytes, show_count, show_duration};
use annals::{Durability, Follower, ReadLevel, Retention, TimestampSource, TopicDescription, TopicOptions};
use clap::{Args, Subcommand, ValueEnum};
use std::fmt;
use std::path::Path;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Create a topic, and the data directory if it is not there.
    #[command(after_help = "Examples:
  annals topic create orders --partitions 3
  annals topic create clicks --partitions 8 --retention 7d,50GiB --durability written

A name is 1 to 249 of the characters A-Z a-z 0-9 . _ -, and neither . nor .. nor the name of a file of the
directory itself.")]
    Create {
        name: String,
        #[command(flatten)]
        options: SettingOptions,
        /// Do nothing when there is a topic of this name.
        #[arg(long)]
        if_not_exists: bool,
    },
    /// List the topics.
    #[command(after_help = "Example:
  annals topic list --dir data")]
    List,
    /// Show what a topic is set to, and where its partitions begin and end.
    #[command(after_help = "Example:
  annals topic describe orders")]
    Describe { name: String },
    /// Change what a topic is set to, or add partitions. What is not named stays as it is.
    #[command(after_help = "Examples:
  annals topic alter orders --retention 30d
  annals topic alter orders --partitions 6

Partitions can be added and not taken away. Keys go to other partitions once there are more.")]
    Alter {
        name: String,
        #[command(flatten)]
        options: SettingOptions,
    },
    /// Delete a topic with all its records.
    #[command(after_help = "Example:
  annals topic delete orders")]
    Delete { name: String },
}

/// What a topic can be set to.
#[derive(Args, Debug)]
pub(crate) struct SettingOptions {
    /// How many partitions, 1 to 100000 [a new topic: 1].
    #[arg(long, value_name = "N")]
    partitions: Option<u32>,
    /// How long records are kept: forever, an age (7d), a size (10GiB), or both (7d,10GiB) [a new topic: forever].
    #[arg(long, value_name = "WHAT", value_parser = retention)]
    retention: Option<Retention>,
    /// Largest segment file, 16KiB to 2GiB [a new topic: 64MiB].
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    segment_bytes_max: Option<u64>,
    /// Age at which a segment is left for a new one, at least 1s [a new topic: 7d].
    #[arg(long, value_name = "AGE", value_parser = quantity::duration)]
    segment_age_max: Option<Duration>,
    /// Largest batch as stored, 1KiB to 64MiB [a new topic: 1MiB].
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes_u32)]
    batch_bytes_max: Option<u32>,
    /// Where timestamps come from [a new topic: create].
    #[arg(long, value_name = "SOURCE")]
    timestamps: Option<Stamps>,
    /// What an append waits for where nothing else is said [a new topic: durable].
    #[arg(long, value_name = "LEVEL")]
    durability: Option<Level>,
    /// What readers see [a new topic: durable].
    #[arg(long, value_name = "LEVEL")]
    read_level: Option<Level>,
}

/// Where timestamps come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stamps {
    /// The record's own, or when it was produced.
    Create,
    /// When the log stored it.
    Append,
}

/// How much has become of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    /// In the page cache: survives the death of the process.
    Written,
    /// Synced: survives a power cut.
    Durable,
}

impl SettingOptions {
    fn to_options(&self) -> TopicOptions {
        let mut options = TopicOptions::new();
        if let Some(count) = self.partitions {
            options = options.partitions(count);
        }
        if let Some(retention) = self.retention {
            options = options.retention(retention);
        }
        if let Some(bytes) = self.segment_bytes_max {
            options = options.segment_bytes_max(bytes);
        }
        if let Some(age) = self.segment_age_max {
            options = options.segment_age_max(age);
        }
        if let Some(bytes) = self.batch_bytes_max {
            options = options.batch_bytes_max(bytes);
        }
        if let Some(stamps) = self.timestamps {
            options = options.timestamps(match stamps {
                Stamps::Create => TimestampSource::CreateTime,
                Stamps::Append => TimestampSource::LogAppendTime,
            });
        }
        if let Some(level) = self.durability {
            options = options.durability(match level {
                Level::Written => Durability::Written,
                Level::Durable => Durability::Durable,
            });
        }
        if let Some(level) = self.read_level {
            options = options.read_level(match level {
                Level::Written => ReadLevel::Written,
                Level::Durable => ReadLevel::Durable,
            });
        }
        options
    }
}

/// `forever`, `7d`, `10GiB`, or an age and a size.
fn retention(text: &str) -> Result<Retention, String> {
    if text == "forever" {
        return Ok(Retention::Forever);
    }
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    match parts.as_slice() {
        [one] => quantity::duration(one)
            .map(Retention::Age)
            .or_else(|_| quantity::bytes(one).map(Retention::Bytes))
            .map_err(|_| "expected forever, an age (7d), a size (10GiB) or both (7d,10GiB)".to_owned()),
        [age, size] => Ok(Retention::AgeOrBytes(quantity::duration(age)?, quantity::bytes(size)?)),
        _ => Err("expected at most an age and a size".to_owned()),
    }
}

pub(crate) fn run(command: &TopicCommand, path: &Path, mode: WriteMode) -> Outcome {
    match command {
        TopicCommand::Create { name, options, if_not_exists } => {
            create(path, mode, name, options, *if_not_exists)
        }
        TopicCommand::List => list(path),
        TopicCommand::Describe { name } => describe(path, name),
        TopicCommand::Alter { name, options } => alter(path, mode, name, options),
        TopicCommand::Delete { name } => delete(path, mode, name),
    }
}

fn create(path: &Path, mode: WriteMode, name: &str, options: &SettingOptions, may_exist: bool) -> Outcome {
    let broker = directory::create(path, mode.into())?;
    if may_exist && broker.topic(name).is_ok() {
        return broker.close().map_err(Failure::of_topic);
    }
    broker.create_topic(name, options.to_options()).map_err(Failure::of_topic)?;
    broker.close().map_err(Failure::of_topic)
}

fn alter(path: &Path, mode: WriteMode, name: &str, options: &SettingOptions) -> Outcome {
    let broker = directory::open(path, mode.into())?;
    broker.topic(name).map_err(Failure::of_topic)?;
    broker.ensure_topic(name, options.to_options()).map_err(Failure::of_topic)?;
    broker.close().map_err(Failure::of_topic)
}

fn delete(path: &Path, mode: WriteMode, name: &str) -> Outcome {
    let broker = directory::open(path, mode.into())?;
    broker.delete_topic(name).map_err(Failure::of_topic)?;
    broker.close().map_err(Failure::of_topic)
}

fn list(path: &Path) -> Outcome {
    let mut output = Output::new();
    for topic in directory::beside(path)?.topics() {
        output.line(&format_args!("{}\t{}", topic.name, partitions(topic.partition_count)))?;
    }
    output.flush()
}

fn partitions(count: u32) -> String {
    if count == 1 { "1 partition".to_owned() } else { format!("{count} partitions") }
}

fn describe(path: &Path, name: &str) -> Outcome {
    let beside = directory::beside(path)?;
    let topic = beside.topic(name).map_err(Failure::of_topic)?;
    let mut output = Output::new();
    describe_settings(&mut output, path, &topic)?;
    let mut failure = None;
    output.line(&"\npartition\tlog start\tdurable\tlog end")?;
    for number in 0..topic.partition_count {
        let follower = beside.partition(name, number);
        let ends = follower.as_ref().map_or("cannot be read".to_owned(), show_ends);
        output.line(&format_args!("{number}\t{ends}"))?;
        if let Err(error) = follower.and_then(|follower| follower.refresh()) {
            failure.get_or_insert(Failure::of_partition(error));
        }
    }
    output.flush()?;
    failure.map_or(Ok(()), Err)
}

fn describe_settings(output: &mut Output, path: &Path, topic: &TopicDescription) -> Outcome {
    let settings = &topic.settings;
    let files = path.join(&topic.name);
    let rows: [(&str, &dyn fmt::Display); 10] = [
        ("topic", &topic.name),
        ("id", &topic.id),
        ("partitions", &topic.partition_count),
        ("retention", &show_retention(settings.retention)),
        ("segment-bytes-max", &show_bytes(settings.segment_bytes_max)),
        ("segment-age-max", &show_duration(settings.segment_age_max)),
        ("batch-bytes-max", &show_bytes(u64::from(settings.batch_bytes_max))),
        (
            "timestamps",
            match settings.timestamps {
                TimestampSource::LogAppendTime => &"append",
                _ => &"create",
            },
        ),
        (
            "durability",
            match settings.durability {
                Durability::Written => &"written",
                _ => &"durable",
            },
        ),
        (
            "read-level",
            match settings.read_level {
                ReadLevel::Written => &"written",
                _ => &"durable",
            },
        ),
    ];
    for (name, value) in rows {
        output.line(&format_args!("{name}\t{value}"))?;
    }
    output.line(&format_args!("files\t{}", files.display()))
}

fn show_retention(retention: Retention) -> String {
    match retention {
        Retention::Age(age) => show_duration(age),
        Retention::Bytes(size) => show_bytes(size),
        Retention::AgeOrBytes(age, size) => format!("{}, {}", show_duration(age), show_bytes(size)),
        _ => "forever".to_owned(),
    }
}

/// Where a partition begins and ends.
fn show_ends(follower: &Follower) -> String {
    let ends = [follower.log_start_offset(), follower.durable_offset(), follower.log_end_offset()];
    ends.map(|end| show_count(end.get())).join("\t")
}
