//! `annals verify`: reads everything, reports what is damaged, and saves what is good when it is told to.

use super::arguments::WriteMode;
use super::directory;
use super::failure::{Failure, Outcome, Trouble};
use super::output::Output;
use super::progress::Progress;
use super::quantity::{show_bytes, show_count};
use annals::{
    BrokerFollower, ErrorKind, OnDamage, Partition, RecoveryOutcome, TopicDescription, VerifyReport,
};
use clap::Args;
use std::path::Path;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  annals verify
  annals verify orders --partition 2
  annals verify orders --partition 2 --salvage

Nothing is changed, and nobody is locked out, unless --salvage is given: then every batch that is still good is
copied into new segments, what is lost is recorded and told to readers, and the damaged files are kept beside
under names that begin with damaged-.

The exit code is 3 when damage was found. A torn end, which the next process that opens the directory for
writing cuts off and keeps aside, is told and is no damage; neither is an index, which is made anew.")]
pub(crate) struct VerifyOptions {
    /// Verify this topic alone.
    topic: Option<String>,

    /// Verify this partition of it alone.
    #[arg(long, value_name = "N", requires = "topic")]
    partition: Option<u32>,

    /// Save what is good of that partition, and give up the rest.
    #[arg(long, requires = "partition")]
    salvage: bool,
}

pub(crate) fn run(options: &VerifyOptions, path: &Path, mode: WriteMode) -> Outcome {
    match (&options.topic, options.partition) {
        (Some(topic), Some(number)) if options.salvage => salvage(path, mode, topic, number),
        (topic, number) => verify(path, topic.as_deref(), number),
    }
}

/// What was read so far.
#[derive(Default)]
struct Tally {
    partitions: u64,
    bytes: u64,
    offsets: u64,
    damaged: u64,
}

fn verify(path: &Path, topic: Option<&str>, number: Option<u32>) -> Outcome {
    let beside = directory::beside(path)?;
    let topics = match topic {
        Some(name) => vec![beside.topic(name).map_err(Failure::of_topic)?],
        None => beside.topics(),
    };
    let mut places: Vec<(&TopicDescription, u32)> = topics
        .iter()
        .flat_map(|topic| (0..topic.partition_count).map(move |number| (topic, number)))
        .collect();
    if let Some(number) = number {
        places.retain(|(_, at)| *at == number);
        if let (Some(topic), true) = (topics.first(), places.is_empty()) {
            beside.partition(&topic.name, number).map_err(Failure::of_partition)?;
        }
    }
    let mut output = Output::new();
    let mut tally = Tally::default();
    let catalog_damage = beside.catalog_damage();
    if !catalog_damage.is_empty() {
        tally.damaged += 1;
        output.line(&format_args!(
            "catalog: one of two copies is damaged, the other serves: {catalog_damage}; the next process that opens \
             the directory for writing mends it"
        ))?;
    }
    let progress = Progress::of("verifying", places.len() as u64);
    for (topic, number) in places {
        verify_partition(&beside, topic, number, &mut tally, &mut output)?;
        progress.add(1);
    }
    drop(progress);
    output.line(&format_args!(
        "{} of {} partitions, {} of batches, {} offsets: {}",
        show_count(topics.len() as u64) + if topics.len() == 1 { " topic" } else { " topics" },
        show_count(tally.partitions),
        show_bytes(tally.bytes),
        show_count(tally.offsets),
        if tally.damaged == 0 { "no damage" } else { "DAMAGED" }
    ))?;
    output.flush()?;
    match tally.damaged {
        0 => Ok(()),
        count => Err(Failure::new(
            Trouble::DamageFound,
            format_args!("{}: damaged in {count} places", path.display()),
        )),
    }
}

fn verify_partition(
    beside: &BrokerFollower,
    topic: &TopicDescription,
    number: u32,
    tally: &mut Tally,
    output: &mut Output,
) -> Outcome {
    let name = format!("{}-{number}", topic.name);
    let found = beside.partition(&topic.name, number).and_then(|follower| follower.verify());
    tally.partitions += 1;
    let report = match found {
        Ok(report) => report,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let is_deleted =
                beside.refresh().is_ok() && beside.topic(&topic.name).map_or(true, |now| now.id != topic.id);
            if is_deleted {
                return output.line(&format_args!("{name}: deleted meanwhile"));
            }
            tally.damaged += 1;
            return output.line(&format_args!("{name}: damaged: its files are gone: {error}"));
        }
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            tally.damaged += 1;
            return output.line(&format_args!("{name}: damaged: {error}"));
        }
        Err(error) => return Err(Failure::of_partition(error)),
    };
    tally.bytes += report.good_bytes;
    tally.offsets += report.good_offsets;
    tell(&name, &report, tally, output)
}

/// One line for each thing that was noticed.
fn tell(name: &str, report: &VerifyReport, tally: &mut Tally, output: &mut Output) -> Outcome {
    let damaged_before = tally.damaged;
    for place in &report.damage {
        tally.damaged += 1;
        output.line(&format_args!(
            "{name}: damaged: {}: at position {}, where offset {} should be: {}",
            place.segment.display(),
            place.position,
            place.offset,
            place.what
        ))?;
    }
    if !report.refusal.is_empty() {
        // A place that was listed already is the reason, most often.
        tally.damaged += u64::from(tally.damaged == damaged_before);
        output.line(&format_args!("{name}: damaged, and refused when it is opened: {}", report.refusal))?;
    }
    if !report.manifest_damage.is_empty() {
        tally.damaged += 1;
        output.line(&format_args!(
            "{name}: damaged: one of two copies of the manifest, the other serves: {}",
            report.manifest_damage
        ))?;
    }
    for torn in &report.torn {
        output.line(&format_args!(
            "{name}: torn end: {} bytes from position {} of {} are no whole batch yet, or were cut off",
            torn.len,
            torn.position,
            torn.segment.display()
        ))?;
    }
    for index in &report.bad_indexes {
        output
            .line(&format_args!("{name}: {} is of no use and is made anew when needed", index.display()))?;
    }
    for lost in &report.lost {
        output.line(&format_args!(
            "{name}: offsets {} to {} (exclusive) were lost to damage before, and given up",
            lost.start, lost.end
        ))?;
    }
    Ok(())
}

/// Saves what is good of one partition.
fn salvage(path: &Path, mode: WriteMode, topic: &str, number: u32) -> Outcome {
    // Keeps every other writer out until it is done.
    let broker = directory::open(path, mode.into())?;
    let topic = broker.topic(topic).map_err(Failure::of_topic)?;
    if number >= topic.partition_count() {
        topic.partition(number).map_err(Failure::of_partition)?;
    }
    let settings = topic.settings();
    let options = Partition::options()
        .topic(topic.id())
        .number(number)
        .segment_bytes_max(settings.segment_bytes_max)
        .batch_bytes_max(settings.batch_bytes_max)
        .write_mode(mode.into())
        .on_damage(OnDamage::Salvage);
    let files = path.join(topic.name()).join(number.to_string());
    let partition = options.open(&files).map_err(Failure::of_partition)?;
    let report = partition.recovery_report();
    let kept = partition.log_end_offset();
    partition.close().map_err(Failure::of_partition)?;
    broker.close().map_err(Failure::of_partition)?;
    let name = format!("{}-{number}", topic.name());
    let mut output = Output::new();
    if report.outcome == RecoveryOutcome::Salvaged {
        output.line(&format_args!(
            "{name}: saved; the log ends at offset {kept}, the damaged files are kept in {}",
            files.display()
        ))?;
    } else {
        output.line(&format_args!("{name}: there was nothing to save, it is whole"))?;
    }
    for lost in &report.lost {
        output.line(&format_args!("{name}: offsets {} to {} (exclusive) are lost", lost.start, lost.end))?;
    }
    output.flush()
}
