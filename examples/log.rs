//! Appends the 27,004 flights that left New York in January 2013, durably, and reads them back by offset and by
//! time. Run again, it finds them there and appends nothing; killed half-way, it appends the rest.
//!
//!     cargo run --release --example log [DIRECTORY]

use annals::{Offset, Partition, Pending, Record, Result, Timestamp};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const FLIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/flights-2013-01.csv");

fn main() -> Result<()> {
    let file = std::fs::read_to_string(FLIGHTS).expect("the flights come with the repository");
    let flights: Vec<&str> = file.lines().skip(1).collect();
    let asked = std::env::args().nth(1).map(PathBuf::from);
    let directory = asked.unwrap_or_else(|| std::env::temp_dir().join("annals-flights"));
    let log = Partition::open(&directory)?;

    // Whoever was killed half-way goes on here: a batch is there whole or not at all.
    let present = usize::try_from(log.log_end_offset().get()).expect("there are 27,004");
    println!("{present} flights were found in {}", directory.display());
    let missing = &flights[present..];
    let started = Instant::now();
    // Each batch of 100 is stored at once, and synced with whatever else waits: nobody waits in between.
    let pending: Vec<Pending<_>> =
        missing.chunks(100).map(|batch| log.append(batch.iter().map(record))).collect();
    for appended in pending {
        appended.wait()?;
    }
    report("appended in batches of 100, all of them synced", missing, started.elapsed());
    assert_eq!(log.durable_offset().get(), flights.len() as u64);

    let started = Instant::now();
    let mut read = 0;
    for records in log.read(Offset::ZERO) {
        for record in &records? {
            assert_eq!(record.value(), flights[read].as_bytes());
            read += 1;
        }
    }
    assert_eq!(read, 27_004);
    report("read back, verified and compared", &flights, started.elapsed());

    let noon = scheduled("2013-01-15T12:00");
    let found = log.offset_for_time(noon)?.expect("flights leave after noon");
    let records = log.read(found.offset()).next().expect("it lies before the end")?;
    let flight = records.iter().next().expect("a reader returns at least one record");
    assert_eq!((flight.offset().get(), flight.timestamp()), (12_567, noon));
    assert_eq!(flight.key(), Some(&b"B6"[..]));
    println!(
        "first at or after noon on the 15th: offset {}, {}",
        flight.offset(),
        flight.value().escape_ascii()
    );
    log.close()
}

/// The line as it is, at the time it was scheduled for, under its carrier.
fn record<'a>(line: &&'a str) -> Record<'a> {
    let carrier = line.split(',').nth(1).unwrap_or_default();
    Record::new(*line).key(carrier).timestamp(scheduled(line))
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

fn report(what: &str, flights: &[&str], took: Duration) {
    if flights.is_empty() {
        return;
    }
    let bytes: usize = flights.iter().map(|line| line.len()).sum();
    let seconds = took.as_secs_f64();
    let (records, megabytes) = (flights.len() as f64 / seconds, bytes as f64 / seconds / 1e6);
    println!("{} {what}: {took:.1?}, {records:.0} a second, {megabytes:.0} MB/s", flights.len());
}
