//! The first program: the 27,004 flights that left New York in January 2013 go into a topic, durably, keyed by their
//! carrier, and come back as a short report. Run again, it finds them all and appends nothing; killed half-way, it
//! appends in each partition what is missing there.
//!
//!     cargo run --release --example quickstart [DIRECTORY]

use annals::{Broker, Offset, Receipt, Record, Result, StartAt, Timestamp, Topic, TopicOptions};
use std::collections::{BTreeMap, VecDeque};
use std::io::{IsTerminal, Write, stdout};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const FLIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/flights-2013-01.csv");
/// Flights that may wait for their sync at once.
const IN_FLIGHT: usize = 3_000;

#[allow(dead_code, reason = "a test runs the rest of it without this")]
fn main() -> Result<()> {
    let asked = std::env::args().nth(1).map(PathBuf::from);
    let directory = asked.unwrap_or_else(|| std::env::temp_dir().join("annals-quickstart"));
    run(&directory, &mut |appended| {
        if appended % 100 == 0 && stdout().is_terminal() {
            // The report is written over it.
            print!("  {} appended\r", grouped(appended));
            drop(stdout().flush());
        }
    })
}

/// Appends what is missing, reads all of it, and reports. `progress` hears how many were appended so far.
pub fn run(directory: &Path, progress: &mut dyn FnMut(usize)) -> Result<()> {
    let file = std::fs::read_to_string(FLIGHTS).expect("the flights come with the repository");
    let broker = Broker::open(directory)?;
    let topic = broker.ensure_topic("flights", TopicOptions::new().partitions(3))?;

    let lines: Vec<&str> = file.lines().skip(1).collect();
    println!("The flights that left New York in January 2013, in {}\n", directory.display());
    append(&topic, &broker, &lines, progress)?;
    read(&topic, &broker, &lines)?;
    first_at_or_after(&topic, "2013-01-15T12:00")?;
    broker.close()
}

fn append(topic: &Topic, broker: &Broker, lines: &[&str], progress: &mut dyn FnMut(usize)) -> Result<()> {
    let started = Instant::now();
    // Each partition has its carriers' flights in the order of the file, so how many it has says which they are.
    let mut present = Vec::new();
    for number in 0..topic.partition_count() {
        present.push(topic.partition(number)?.log_end_offset().get());
    }
    println!("  found      {:>6}", grouped(present.iter().sum::<u64>() as usize));

    let producer = broker.producer().linger(Duration::from_millis(5)).build()?;
    let (mut appended, mut bytes) = (0, 0);
    let mut in_flight: VecDeque<Receipt> = VecDeque::new();
    for line in lines {
        let present = &mut present[topic.partition_for_key(carrier(line).as_bytes()) as usize];
        if *present > 0 {
            *present -= 1;
            continue;
        }
        bytes += line.len();
        in_flight.push_back(producer.send(topic, record(line))?);
        if in_flight.len() > IN_FLIGHT
            && let Some(receipt) = in_flight.pop_front()
        {
            receipt.wait()?;
            appended += 1;
            progress(appended);
        }
    }
    for receipt in in_flight {
        receipt.wait()?;
        appended += 1;
        progress(appended);
    }
    producer.close()?;
    match appended {
        0 => println!("  all of them, so nothing is appended"),
        _ => report("appended", appended, bytes, started.elapsed(), "durable, in batches of 16 KiB"),
    }
    Ok(())
}

/// What is known of one carrier.
#[derive(Default)]
struct Carrier {
    flights: usize,
    departed: usize,
    /// Minutes, of all that departed.
    delay: i64,
}

fn read(topic: &Topic, broker: &Broker, lines: &[&str]) -> Result<()> {
    let started = Instant::now();
    let mut expected: Vec<VecDeque<&str>> = vec![VecDeque::new(); topic.partition_count() as usize];
    for line in lines {
        expected[topic.partition_for_key(carrier(line).as_bytes()) as usize].push_back(line);
    }
    let partitions = (0..topic.partition_count()).map(|number| (topic, number));
    let mut consumer = broker.consumer().assign(partitions).start_at(StartAt::Earliest).build()?;
    let (mut count, mut bytes) = (0, 0);
    let mut carriers: BTreeMap<Vec<u8>, Carrier> = BTreeMap::new();
    while count < lines.len() {
        for record in &consumer.poll(Duration::from_secs(1))? {
            let line = expected[record.partition() as usize].pop_front();
            assert_eq!(Some(record.value()), line.map(str::as_bytes), "each flight once, and in its place");
            let key = record.key().expect("every flight has a carrier").to_vec();
            let carrier = carriers.entry(key).or_default();
            carrier.flights += 1;
            if let Some(delay) = departure_delay(record.value()) {
                (carrier.departed, carrier.delay) = (carrier.departed + 1, carrier.delay + delay);
            }
            (count, bytes) = (count + 1, bytes + record.value().len());
        }
    }
    assert!(consumer.lag()?.iter().all(|(_, lag)| *lag == 0), "there is no other");
    assert_eq!(count, 27_004);
    report("read back", count, bytes, started.elapsed(), "each verified, and compared with the file");
    println!("\n  carrier   flights   cancelled   mean delay");
    for (name, carrier) in carriers {
        let (cancelled, mean) =
            (carrier.flights - carrier.departed, carrier.delay as f64 / carrier.departed as f64);
        let flights = grouped(carrier.flights);
        println!(
            "  {:<7}   {flights:>7}   {cancelled:>9}   {mean:>6.1} min",
            name.escape_ascii().to_string()
        );
    }
    Ok(())
}

/// Looks it up in each partition by its timestamp, and takes the earliest.
fn first_at_or_after(topic: &Topic, text: &str) -> Result<()> {
    let time = scheduled(text);
    let mut first = None;
    for number in 0..topic.partition_count() {
        if let Some(found) = topic.partition(number)?.offset_for_time(time)? {
            let candidate = (found.timestamp(), number, found.offset());
            first = Some(first.map_or(candidate, |first: (Timestamp, u32, Offset)| first.min(candidate)));
        }
    }
    let (timestamp, number, offset) = first.expect("flights leave after noon");
    let records = topic.partition(number)?.read(offset).next().expect("it lies before the end")?;
    let flight = records.iter().next().expect("a reader returns at least one record");
    assert_eq!((flight.timestamp(), timestamp), (time, time));
    println!("\n  The first at or after {text}, found by time: {}", flight.value().escape_ascii());
    println!("  in partition {number} at offset {offset}");
    Ok(())
}

fn report(what: &str, count: usize, bytes: usize, took: Duration, how: &str) {
    let seconds = took.as_secs_f64();
    let (rate, megabytes) = (grouped((count as f64 / seconds) as usize), bytes as f64 / seconds / 1e6);
    let count = grouped(count);
    println!("  {what:<10} {count:>6} in {took:>8.1?}: {rate:>10} a second, {megabytes:>4.0} MB/s; {how}");
}

/// The line as it is, at the time it was scheduled for, under its carrier.
fn record(line: &str) -> Record<'_> {
    Record::new(line).key(carrier(line)).timestamp(scheduled(line))
}

fn carrier(line: &str) -> &str {
    line.split(',').nth(1).unwrap_or_default()
}

/// Minutes, negative when it left early; none when it was cancelled.
fn departure_delay(line: &[u8]) -> Option<i64> {
    let field = line.split(|byte| *byte == b',').nth(6)?;
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// With its digits in groups: 27,004.
fn grouped(count: usize) -> String {
    if count < 1_000 { count.to_string() } else { format!("{},{:03}", grouped(count / 1_000), count % 1_000) }
}

/// The time that a line begins with, as in 2013-01-15T12:00; taken for UTC.
fn scheduled(line: &str) -> Timestamp {
    let number = |from: usize, to: usize| line[from..to].parse::<i64>().expect("a number in its place");
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    // Years that begin in March have their leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    Timestamp::from_millis(((days * 24 + number(11, 13)) * 60 + number(14, 16)) * 60_000)
}
