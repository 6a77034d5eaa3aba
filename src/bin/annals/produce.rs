//! `annals produce`: a record for each line of standard input.
//!
//! ```text
//!     Lines ──a round──▶ Placement ──append──▶ rounds in flight ──wait, in order──▶ acknowledgements
//!                        this thread            bounded queue      another thread
//! ```

use super::arguments::WriteMode;
use super::directory;
use super::failure::{Failure, Outcome};
use super::input::Lines;
use super::output::Output;
use super::placement::{Entry, Placement, RECORD_OVERHEAD, Round};
use super::progress::Progress;
use super::quantity::show_count;
use annals::{Durability, Topic};
use clap::{Args, ValueEnum};
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// How many rounds may be on their way at once.
const ROUNDS_MAX: usize = 64;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  annals produce orders < orders.txt
  printf 'alice:42\\nbob:7\\n' | annals produce orders --key-separator :
  tail -f app.log | annals produce logs --durability written --print-offsets

With a separator, what stands before the first one in a line is the key, and equal keys go to the same
partition; a line without it has no key. Lines without a key go to one partition for a batch, then to the
next. A last line without a line feed is a record too.

With --print-offsets there is a line \"PARTITION OFFSET\" for each record, in the order of the input, as soon
as it is as durable as was asked for: whatever was printed is there.")]
pub(crate) struct ProduceOptions {
    /// The topic to append to.
    topic: String,

    /// What separates the key from the value in a line.
    #[arg(long, value_name = "SEP", value_parser = separator)]
    key_separator: Option<String>,

    /// When a record counts as acknowledged [default: what the topic is set to].
    #[arg(long, value_name = "LEVEL")]
    durability: Option<Level>,

    /// Most lines that go together, 1 to 100000.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,

    /// Print "PARTITION OFFSET" as each record is acknowledged.
    #[arg(long)]
    print_offsets: bool,
}

/// When a record counts as acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    /// Once it is handed over; nobody waits.
    Buffered,
    /// Once it is in the page cache: it survives the death of the process.
    Written,
    /// Once it is synced: it survives a power cut.
    Durable,
}

fn separator(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("expected at least one character".to_owned()) } else { Ok(text.to_owned()) }
}

pub(crate) fn run(options: &ProduceOptions, path: &Path, mode: WriteMode) -> Outcome {
    let broker = directory::open(path, mode.into())?;
    let topic = broker.topic(&options.topic).map_err(Failure::of_topic)?;
    let produced = produce(options, topic);
    let closed = broker.close().map_err(Failure::of_partition);
    match produced {
        Err(failure) if failure.is_closed_pipe() => closed,
        Err(failure) => Err(failure),
        Ok(()) => closed,
    }
}

fn produce(options: &ProduceOptions, topic: Topic) -> Outcome {
    let level = match options.durability {
        None => topic.settings().durability,
        Some(Level::Durable) => Durability::Durable,
        Some(Level::Written | Level::Buffered) => Durability::Written,
    };
    let (send, rounds) = sync_channel(ROUNDS_MAX);
    let prints = options.print_offsets;
    let acknowledger = thread::spawn(move || acknowledge_all(&rounds, prints));
    let fed = feed(options, Placement::new(topic, level), send);
    // A thread that panicked has said so.
    let (count, acknowledged) = acknowledger.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let done = format!("{} records were acknowledged", show_count(count));
    acknowledged.and(fed).map_err(|failure| failure.after(done))
}

/// Appends until the input ends, or nobody waits for acknowledgements any more.
fn feed(options: &ProduceOptions, mut placement: Placement, rounds: SyncSender<Round>) -> Outcome {
    let mut input = Lines::of_stdin();
    let count_max = usize::try_from(options.batch).unwrap_or(usize::MAX);
    let bytes_max = placement.round_bytes_max(count_max);
    let mut line = 1_u64;
    loop {
        let lines = input.next(count_max, bytes_max)?;
        if lines.is_empty() {
            return Ok(());
        }
        let entries: Vec<Entry> = lines.into_iter().map(|line| options.entry(line)).collect();
        let mut rest = entries.as_slice();
        while !rest.is_empty() {
            let (part, after) = rest.split_at(fitting(rest, bytes_max));
            let round = placement
                .append(part)
                .map_err(|failure| failure.after(format_args!("line {line} of the input, or soon after")))?;
            if rounds.send(round).is_err() {
                // Whoever acknowledges has met a failure and says which.
                return Ok(());
            }
            line += part.len() as u64;
            rest = after;
        }
    }
}

/// How many of the first entries make a batch that is not too large; one at least.
fn fitting(entries: &[Entry], bytes_max: usize) -> usize {
    let mut bytes = 0_usize;
    let fits = entries.iter().take_while(|entry| {
        let key = entry.key.as_ref().map_or(0, Vec::len);
        bytes = bytes.saturating_add(key + entry.value.len() + RECORD_OVERHEAD);
        bytes <= bytes_max
    });
    fits.count().max(1)
}

impl ProduceOptions {
    fn entry(&self, line: Vec<u8>) -> Entry {
        let Some(separator) = self.key_separator.as_ref().map(String::as_bytes) else {
            return Entry { key: None, value: line };
        };
        match line.windows(separator.len()).position(|window| window == separator) {
            None => Entry { key: None, value: line },
            Some(at) => {
                let (key, rest) = line.split_at(at);
                let value = rest.get(separator.len()..).unwrap_or_default().to_vec();
                Entry { key: Some(key.to_vec()), value }
            }
        }
    }
}

/// Waits for the rounds in order; returns how many records were acknowledged, and what stopped it.
fn acknowledge_all(rounds: &Receiver<Round>, prints: bool) -> (u64, Outcome) {
    let is_watched = io::stdin().is_terminal() || (prints && io::stdout().is_terminal());
    let progress = if is_watched { Progress::silent() } else { Progress::unbounded("appended") };
    let mut output = Output::new();
    let mut count = 0;
    while let Ok(round) = rounds.recv() {
        let len = round.len();
        let told = round.acknowledge(&mut |stored| {
            count += 1;
            if prints {
                output.line(&format_args!("{} {}", stored.partition, stored.offset))?;
            }
            Ok(())
        });
        progress.add(len as u64);
        // What was acknowledged before a failure is told all the same, and nothing is held back for later.
        let flushed = output.flush();
        if let Err(failure) = told.and(flushed) {
            return (count, Err(failure));
        }
    }
    (count, Ok(()))
}
