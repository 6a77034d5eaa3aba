//! `annals produce`: a record for each line of standard input.
//!
//! ```text
//!     Lines ──a round──▶ Producer ──receipts──▶ rounds in flight ──wait, in order──▶ acknowledgements
//!                        this thread            bounded queue      another thread
//! ```

use super::arguments::WriteMode;
use super::directory;
use super::failure::{Failure, Outcome};
use super::input::Lines;
use super::output::Output;
use super::progress::Progress;
use super::quantity::show_count;
use annals::{Producer, Receipt, Record, SendDurability, Topic};
use clap::{Args, ValueEnum};
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// How many rounds may be on their way at once.
const ROUNDS_MAX: usize = 64;
/// Bytes of lines in a round, unless a single one is longer.
const ROUND_BYTES_MAX: usize = 4 << 20;
/// So long that rounds end it: each is written as a whole.
const LINGER: Duration = Duration::from_secs(60);

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  annals produce orders < orders.txt
  printf 'alice:42\\nbob:7\\n' | annals produce orders --key-separator :
  tail -f app.log | annals produce logs --durability written --print-offsets

With a separator, what stands before the first one in a line is the key, and equal keys go to the same
partition; a line without it has no key. Lines without a key go to one partition for a batch, then to the
next. A last line without a line feed is a record too.

With --print-offsets there is a line \"PARTITION OFFSET\" for each record, in the order of the input, as soon
as it is as durable as was asked for: whatever was printed is there. An offset is known only once the record is
written, so --durability buffered is as written then.")]
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
    /// Once it is handed over within the process: a kill may lose it.
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
    let batch_bytes = usize::try_from(topic.settings().batch_bytes_max).unwrap_or(usize::MAX);
    let producer = broker
        .producer()
        .durability(options.durability())
        .linger(LINGER)
        .batch_bytes(batch_bytes.clamp(1 << 10, 16 << 20))
        .build()
        .map_err(Failure::of_topic)?;
    let produced = produce(options, &topic, &producer);
    // What nobody waited for is heard of here.
    let flushed = producer.close().map_err(Failure::of_partition);
    let closed = broker.close().map_err(Failure::of_partition);
    match produced {
        Err(failure) if failure.is_closed_pipe() => flushed.and(closed),
        produced => produced.and(flushed).and(closed),
    }
}

fn produce(options: &ProduceOptions, topic: &Topic, producer: &Producer) -> Outcome {
    let (send, rounds) = sync_channel(ROUNDS_MAX);
    let prints = options.print_offsets;
    let acknowledger = thread::spawn(move || acknowledge_all(&rounds, prints));
    let fed = feed(options, topic, producer, send);
    // A thread that panicked has said so.
    let (count, acknowledged) = acknowledger.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let done = format!("{} records were acknowledged", show_count(count));
    // What the receipts say came first.
    acknowledged.and(fed).map_err(|failure| failure.after(done))
}

/// Records on their way, in the order of the lines.
type Round = Vec<Receipt>;

/// Sends until the input ends, or nobody waits for acknowledgements any more.
fn feed(options: &ProduceOptions, topic: &Topic, producer: &Producer, rounds: SyncSender<Round>) -> Outcome {
    let mut input = Lines::of_stdin();
    let count_max = usize::try_from(options.batch).unwrap_or(usize::MAX);
    let mut number = 0_u64;
    loop {
        let lines = input.next(count_max, ROUND_BYTES_MAX)?;
        if lines.is_empty() {
            return Ok(());
        }
        let mut round = Round::with_capacity(lines.len());
        let mut refused = None;
        for line in &lines {
            number += 1;
            match producer.send(topic, options.record(line)) {
                Ok(receipt) => round.push(receipt),
                Err(error) => {
                    refused =
                        Some(Failure::of_partition(error).after(format_args!("line {number} of the input")));
                    break;
                }
            }
        }
        // It is written now, and waited for by its receipts.
        drop(producer.flush());
        if rounds.send(round).is_err() {
            // Whoever acknowledges has met a failure and says which.
            return Ok(());
        }
        if let Some(failure) = refused {
            return Err(failure);
        }
    }
}

impl ProduceOptions {
    /// What a receipt waits for. An offset is known only once the record is written.
    fn durability(&self) -> SendDurability {
        match self.durability {
            None => SendDurability::OfTopic,
            Some(Level::Buffered) if !self.print_offsets => SendDurability::Buffered,
            Some(Level::Buffered | Level::Written) => SendDurability::Written,
            Some(Level::Durable) => SendDurability::Durable,
        }
    }

    fn record<'l>(&self, line: &'l [u8]) -> Record<'l> {
        let Some(separator) = self.key_separator.as_ref().map(String::as_bytes) else {
            return Record::new(line);
        };
        match line.windows(separator.len()).position(|window| window == separator) {
            None => Record::new(line),
            Some(at) => {
                let (key, rest) = line.split_at(at);
                Record::new(rest.get(separator.len()..).unwrap_or_default()).key(key)
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
        let mut told = Ok(());
        for receipt in round {
            told = acknowledge(receipt, &mut output, prints);
            if told.is_err() {
                break;
            }
            count += 1;
        }
        progress.add(len as u64);
        // What was acknowledged before a failure is told all the same, and nothing is held back for later.
        let flushed = output.flush();
        if let Err(failure) = told.and(flushed) {
            return (count, Err(failure));
        }
    }
    (count, Ok(()))
}

fn acknowledge(receipt: Receipt, output: &mut Output, prints: bool) -> Outcome {
    let stored = receipt.wait().map_err(Failure::of_partition)?;
    if prints {
        output.line(&format_args!("{} {}", stored.partition(), stored.offset()))?;
    }
    Ok(())
}
