//! `annals bench`: how fast this machine appends and reads.

use super::arguments::WriteMode;
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::progress::Progress;
use super::quantity::{self, show_bytes, show_count};
use annals::{Broker, Durability, Offset, Partition, ReadLevel, Record, TopicOptions};
use clap::Args;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many appends may wait for their sync at once.
const IN_FLIGHT_MAX: usize = 64;
/// How many single durable appends are timed.
const SINGLE_MAX: u64 = 1_000;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  annals bench --dir data
  annals bench --dir data --records 200000 --record-bytes 1KiB --batch 10

It works in a directory of its own below DIR, which it removes at the end, and needs room for three times the
records there. What it prints is true of this machine, this file system and this moment.")]
pub(crate) struct BenchOptions {
    /// How many records.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,

    /// Bytes of each.
    #[arg(long, value_name = "SIZE", default_value = "100", value_parser = quantity::bytes_u32)]
    record_bytes: u32,

    /// Records that are appended together.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,
}

/// A directory that is removed again.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

pub(crate) fn run(options: &BenchOptions, path: &Path, mode: WriteMode) -> Outcome {
    let scratch = Scratch(path.join(format!("bench-{}", std::process::id())));
    let broker = Broker::options().write_mode(mode.into()).open(&scratch.0).map_err(Failure::of_directory)?;
    let value = vec![b'x'; usize::try_from(options.record_bytes).unwrap_or(usize::MAX)];
    let largest = TopicOptions::new().batch_bytes_max(64 << 20);
    let partition = |name: &str| {
        let topic = broker.create_topic(name, largest.clone()).map_err(Failure::of_topic)?;
        topic.partition(0).map_err(Failure::of_partition)
    };
    let mut output = Output::new();
    output.line(&format_args!(
        "{} records of {}, {} to a batch",
        show_count(options.records),
        show_bytes(u64::from(options.record_bytes)),
        options.batch
    ))?;
    for (name, level) in [("written", Durability::Written), ("durable", Durability::Durable)] {
        let partition = partition(name)?;
        let took = append(options, &partition, level, &value)?;
        output.line(&format_args!("append, {name}:\t{}", options.speed(took)))?;
        output.flush()?;
        if level == Durability::Durable {
            let took = read(options, &partition)?;
            output.line(&format_args!("read, verified:\t{}", options.speed(took)))?;
        }
    }
    let single = partition("single")?;
    output.line(&format_args!("append, durable, one at a time:\t{}", singles(options, &single, &value)?))?;
    broker.close().map_err(Failure::of_partition)?;
    output.flush()
}

impl BenchOptions {
    fn speed(&self, took: Duration) -> String {
        let seconds = took.as_secs_f64().max(1e-9);
        // Counts below 2^53 are exact, and nobody reads more digits.
        let per_second = self.records as f64 / seconds;
        let megabytes = per_second * f64::from(self.record_bytes) / 1e6;
        format!("{seconds:.2} s, {per_second:.0} records/s, {megabytes:.0} MB/s")
    }
}

fn append(
    options: &BenchOptions,
    partition: &Partition,
    level: Durability,
    value: &[u8],
) -> Outcome<Duration> {
    let progress = Progress::of("appending", options.records);
    let started = Instant::now();
    let mut left = options.records;
    let mut in_flight = VecDeque::new();
    while left > 0 {
        let count = left.min(u64::from(options.batch));
        in_flight.push_back(partition.append_with(level, (0..count).map(|_| Record::new(value))));
        if in_flight.len() >= IN_FLIGHT_MAX
            && let Some(first) = in_flight.pop_front()
        {
            first.wait().map_err(Failure::of_partition)?;
        }
        left -= count;
        progress.add(count);
    }
    in_flight.into_iter().try_for_each(|pending| pending.wait().map(drop)).map_err(Failure::of_partition)?;
    Ok(started.elapsed())
}

fn read(options: &BenchOptions, partition: &Partition) -> Outcome<Duration> {
    let progress = Progress::of("reading", options.records);
    let started = Instant::now();
    let mut bytes = 0;
    for records in partition.read(Offset::ZERO).level(ReadLevel::Durable) {
        let records = records.map_err(Failure::of_partition)?;
        for record in &records {
            bytes += record.value().len();
        }
        progress.add(records.len() as u64);
    }
    std::hint::black_box(bytes);
    Ok(started.elapsed())
}

/// Appends that each wait for their own sync.
fn singles(options: &BenchOptions, partition: &Partition, value: &[u8]) -> Outcome<String> {
    let mut times = Vec::new();
    for _ in 0..options.records.min(SINGLE_MAX) {
        let started = Instant::now();
        partition
            .append_with(Durability::Durable, [Record::new(value)])
            .wait()
            .map_err(Failure::of_partition)?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
    let show = |percent| at(percent).map_or_else(String::new, |time| format!("{time:.0?}"));
    Ok(format!("p50 {}, p99 {}", show(50), show(99)))
}
