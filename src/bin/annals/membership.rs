//! `annals consume --group`: as a member of a group, which goes on where it left off.
//!
//! ```text
//!     poll ──▶ print ──▶ flush ──▶ commit, durably ──▶ poll ...     what was printed is committed, nothing else is
//! ```

use super::arguments::WriteMode;
use super::consume::ConsumeOptions;
use super::directory;
use super::failure::{Failure, Outcome, Trouble};
use super::format::Place;
use super::output::Output;
use super::progress::Progress;
use annals::{Broker, Consumer, ConsumerRecords, Error, ErrorKind, Offset, Topic, TopicPartition};
use std::collections::BTreeSet;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

/// Most records that are printed and committed together.
const POLL_RECORDS_MAX: u64 = 10_000;
/// How long a poll waits before it is looked whether all was read.
const POLL_FOR: Duration = Duration::from_millis(50);

/// A member of a group, at work.
struct Membership<'a> {
    options: &'a ConsumeOptions,
    consumer: Consumer,
    output: Output,
    progress: Progress,
    /// Partitions that cannot be read on.
    damaged: BTreeSet<TopicPartition>,
    /// The first thing that kept records from being read; the others go on.
    damage: Option<Failure>,
}

pub(crate) fn run(options: &ConsumeOptions, group: &str, path: &Path, mode: WriteMode) -> Outcome {
    let broker = directory::open(path, mode.into())?;
    let consumed = consume(options, group, &broker);
    let closed = broker.close().map_err(Failure::of_group);
    match consumed {
        Err(failure) if failure.is_closed_pipe() => closed,
        consumed => consumed.and(closed),
    }
}

fn consume(options: &ConsumeOptions, group: &str, broker: &Broker) -> Outcome {
    let topic = broker.topic(&options.topic).map_err(Failure::of_topic)?;
    options.check_from(topic.name(), topic.partition_count())?;
    let left = options.max.unwrap_or(u64::MAX);
    let poll_max = usize::try_from(left.clamp(1, POLL_RECORDS_MAX)).unwrap_or(usize::MAX);
    let consumer = broker
        .consumer()
        .group(group)
        .subscribe([topic.name()])
        .start_at(options.from)
        .read_level(topic.settings().read_level)
        .poll_records_max(poll_max)
        .build()
        .map_err(Failure::of_group)?;
    let progress = if io::stdout().is_terminal() { Progress::silent() } else { Progress::unbounded("read") };
    let mut membership = Membership {
        options,
        consumer,
        output: Output::new(),
        progress,
        damaged: BTreeSet::new(),
        damage: None,
    };
    let done = membership.read(&topic, left);
    // Closing leaves the group at once; what was not printed stays uncommitted.
    let Membership { consumer, damage, .. } = membership;
    let left_group = consumer.close().map_err(Failure::of_group);
    done.and(left_group).and(damage.map_or(Ok(()), Err))
}

impl Membership<'_> {
    fn read(&mut self, topic: &Topic, mut left: u64) -> Outcome {
        while left > 0 {
            match self.consumer.poll(POLL_FOR) {
                Ok(records) if records.is_empty() => {
                    if self.is_at_end(topic)? {
                        break;
                    }
                }
                Ok(records) => left -= self.print(&records, left)?,
                Err(error) => self.met(error)?,
            }
        }
        Ok(())
    }

    /// Prints records, and commits those that were printed once they are handed over.
    fn print(&mut self, records: &ConsumerRecords, left: u64) -> Outcome<u64> {
        let mut count = 0;
        let mut printed: Vec<(TopicPartition, Offset)> = Vec::new();
        for record in records {
            if count == left {
                break;
            }
            let place = Place { topic: record.topic(), partition: record.partition() };
            let separator = self.options.separator();
            self.options.format.print(&mut self.output, place, *record, separator)?;
            count += 1;
            let next = record.offset().next();
            match printed.last_mut() {
                Some((partition, offset)) if partition == record.topic_partition() => *offset = next,
                _ => printed.push((record.topic_partition().clone(), next)),
            }
        }
        self.output.flush()?;
        self.consumer.commit_offsets(printed).wait().map_err(Failure::of_group)?;
        self.progress.add(count);
        Ok(count)
    }

    /// Whether it has all partitions, and has read all of each that can be read. Nobody else can append meanwhile.
    fn is_at_end(&self, topic: &Topic) -> Outcome<bool> {
        let lag = self.consumer.lag().map_err(Failure::of_partition)?;
        let has_all = u32::try_from(lag.len()) == Ok(topic.partition_count());
        Ok(has_all && lag.iter().all(|(partition, lag)| *lag == 0 || self.damaged.contains(partition)))
    }

    /// Goes on behind records that were lost, and with the other partitions behind damage.
    fn met(&mut self, error: Error) -> Outcome {
        let place = error.topic_partition().map(|(topic, number)| TopicPartition::new(topic, number));
        let failure = match (&place, error.kind()) {
            (_, ErrorKind::Corrupt) if error.lost_range().is_some() => {
                Failure::new(Trouble::RecordsLost, error)
            }
            (Some(partition), ErrorKind::Corrupt) => {
                self.consumer.pause(partition.clone()).map_err(Failure::of_partition)?;
                self.damaged.insert(partition.clone());
                Failure::of_partition(error)
            }
            _ => return Err(Failure::of_partition(error)),
        };
        match self.damage {
            None => self.damage = Some(failure),
            Some(_) => drop(failure.report()),
        }
        Ok(())
    }
}
