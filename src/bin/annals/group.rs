//! `annals group`: list, describe, reset, delete.

use super::arguments::WriteMode;
use super::directory;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::quantity::show_count;
use super::start;
use annals::{Offset, Partition, StartAt, TopicPartition};
use clap::Subcommand;
use std::path::Path;

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// List the groups that have committed anything.
    #[command(after_help = "Example:
  annals group list")]
    List,
    /// Show how far a group has read.
    #[command(after_help = "Example:
  annals group describe billing

Works while another process has the directory open. Who the members are, only that process knows.")]
    Describe { group: String },
    /// Set how far a group without members has read a topic.
    #[command(after_help = "Examples:
  annals group reset billing orders --to earliest
  annals group reset billing orders --to 2026-01-31T08:00:00Z
  annals group reset billing orders --partition 2 --to 1000

A group that does not exist is made. Prints the offset that each partition is set to.")]
    Reset {
        group: String,
        topic: String,
        /// Where it goes on: earliest, latest, an offset (digits only), or a time (RFC 3339).
        #[arg(long, value_name = "WHERE", value_parser = start::parse)]
        to: StartAt,
        /// Set this partition alone.
        #[arg(long, value_name = "P")]
        partition: Option<u32>,
    },
    /// Delete a group without members, with all that it has committed.
    #[command(after_help = "Example:
  annals group delete billing")]
    Delete { group: String },
}

pub(crate) fn run(command: &GroupCommand, path: &Path, mode: WriteMode) -> Outcome {
    match command {
        GroupCommand::List => list(path),
        GroupCommand::Describe { group } => describe(path, group),
        GroupCommand::Reset { group, topic, to, partition } => {
            reset(path, mode, group, (topic, *partition), *to)
        }
        GroupCommand::Delete { group } => delete(path, mode, group),
    }
}

fn list(path: &Path) -> Outcome {
    let mut output = Output::new();
    for group in directory::beside(path)?.groups().map_err(Failure::of_group)? {
        output.line(&group)?;
    }
    output.flush()
}

fn describe(path: &Path, group: &str) -> Outcome {
    let partitions = directory::beside(path)?.group_partitions(group).map_err(Failure::of_group)?;
    let mut output = Output::new();
    output.line(&"partition\tcommitted\tlog end\tlag")?;
    let shown = |offset: Option<Offset>| offset.map_or("-".to_owned(), |offset| show_count(offset.get()));
    for partition in &partitions {
        let committed = partition.committed.as_ref().map(|committed| committed.offset);
        output.line(&format_args!(
            "{}\t{}\t{}\t{}",
            partition.partition,
            shown(committed),
            shown(partition.log_end_offset),
            partition.lag().map_or("-".to_owned(), show_count)
        ))?;
    }
    output.flush()
}

fn reset(
    path: &Path,
    mode: WriteMode,
    group: &str,
    (topic, only): (&str, Option<u32>),
    to: StartAt,
) -> Outcome {
    let broker = directory::open(path, mode.into())?;
    let topic = broker.topic(topic).map_err(Failure::of_topic)?;
    let numbers = only.map_or(0..topic.partition_count(), |number| number..number.saturating_add(1));
    if matches!(to, StartAt::Offset(_)) && numbers.len() > 1 {
        return Err(Failure::offset_of_many(topic.name(), numbers.len()));
    }
    let mut offsets = Vec::new();
    for number in numbers {
        let partition = topic.partition(number).map_err(Failure::of_partition)?;
        let offset = find(&partition, to).map_err(Failure::of_partition)?;
        offsets.push((TopicPartition::new(topic.name(), number), offset));
    }
    broker.reset_group_offsets(group, offsets.clone()).map_err(Failure::of_group)?;
    broker.close().map_err(Failure::of_group)?;
    let mut output = Output::new();
    for (partition, offset) in offsets {
        output.line(&format_args!("{partition}\t{}", show_count(offset.get())))?;
    }
    output.flush()
}

fn find(partition: &Partition, to: StartAt) -> annals::Result<Offset> {
    Ok(match to {
        StartAt::Earliest => partition.log_start_offset(),
        StartAt::Offset(offset) => offset,
        StartAt::Time(time) => match partition.offset_for_time(time)? {
            Some(found) => found.offset(),
            None => partition.log_end_offset(),
        },
        _ => partition.log_end_offset(),
    })
}

fn delete(path: &Path, mode: WriteMode, group: &str) -> Outcome {
    let broker = directory::open(path, mode.into())?;
    broker.delete_group(group).map_err(Failure::of_group)?;
    broker.close().map_err(Failure::of_group)
}
