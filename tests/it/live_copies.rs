//! Copies of a directory that is being written, as `cp -r` makes them: each opens with all that had been stored when
//! it was begun, or names what is missing.
//!
//! ```text
//!     a writer ──appends, rolls──▶ directory ──file by file, in some order──▶ copy ──open──▶ reaches the end that was
//!                                                                                            noted before, or says why not
//! ```

use crate::basics::tempdir;
use crate::figure;
use crate::proof::{Seed, Size};
use annals::{
    Durability, Error, ErrorKind, Maintenance, Offset, Partition, PartitionOptions, ReadLevel, Record,
};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// In which order the files are copied: the manifest last, first, or anywhere.
#[derive(Clone, Copy, Debug)]
enum Order {
    Sorted,
    Reversed,
    Shuffled,
}

const ORDERS: [Order; 3] = [Order::Sorted, Order::Reversed, Order::Shuffled];
/// How many records are left before a copy is made: a few segments.
const RECORDS_KEPT: u64 = 300;

fn options() -> PartitionOptions {
    Partition::options().segment_bytes_max(16 << 10).batch_bytes_max(2 << 10).durability(Durability::Written)
}

/// Copies the files one after the other, while others write them.
fn copy_dir(from: &Path, to: &Path, order: Order, random: &mut fastrand::Rng) {
    std::fs::create_dir_all(to).expect("room");
    let mut names: Vec<_> =
        std::fs::read_dir(from).expect("there").map(|entry| entry.expect("there").path()).collect();
    names.sort();
    match order {
        Order::Sorted => {}
        Order::Reversed => names.reverse(),
        Order::Shuffled => random.shuffle(&mut names),
    }
    for path in names {
        // It may have been renamed or deleted meanwhile; cp says so and goes on.
        drop(std::fs::copy(&path, to.join(path.file_name().expect("it has a name"))));
    }
}

/// Appends until it is told to stop, and rests after every `pace` records.
fn write(log: &Partition, pace: &AtomicU64, stop: &AtomicBool) {
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let level = if number.is_multiple_of(50) { Durability::Durable } else { Durability::Written };
        let value = format!("{number} {}", "x".repeat(200));
        log.append_with(level, [Record::new(&value)]).wait().expect("room");
        number += 1;
        if number.is_multiple_of(pace.load(Ordering::Relaxed)) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Reads all of a copy, from `start`, where it has to begin; returns where it ends.
///
/// # Errors
/// What reading says about a part that is missing.
fn read(copy: &Partition, start: Offset, what: &str) -> Result<u64, Error> {
    assert_eq!(copy.log_start_offset(), start, "{what}");
    let mut next = start.get();
    for records in copy.read(start).level(ReadLevel::Written) {
        for record in &records? {
            let value = String::from_utf8_lossy(record.value());
            let number = value.split(' ').next().expect("a number").parse();
            assert_eq!(number, Ok(next), "{what}: offset {next}");
            assert_eq!(record.offset().get(), next, "{what}");
            next += 1;
        }
    }
    assert_eq!(next, copy.log_end_offset().get(), "{what}");
    Ok(next)
}

/// Makes a copy of the directory of `log`, and checks it.
///
/// # Errors
/// What the copy says is missing.
fn copy_and_check(
    log: &Partition,
    dir: &Path,
    order: Order,
    random: &mut fastrand::Rng,
) -> Result<(), Error> {
    let copy = tempdir();
    let (start, durable, written) = (log.log_start_offset(), log.durable_offset(), log.log_end_offset());
    copy_dir(dir, &copy, order, random);
    let what = format!("{order:?}, written up to {written}, durable up to {durable}");
    let outcome = options().maintenance(Maintenance::Manual).open(&copy).and_then(|found| {
        let next = read(&found, start, &what)?;
        // What was stored before the first file was copied is in the files.
        assert!(next >= written.get(), "{what}: the copy ends at {next}: {:?}", found.recovery_report());
        Ok(())
    });
    if let Err(error) = &outcome {
        names_a_file(error, &copy);
    }
    drop(std::fs::remove_dir_all(&copy));
    outcome
}

fn names_a_file(error: &Error, dir: &Path) {
    let message = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{message}");
    assert!(message.contains(&dir.display().to_string()), "{message}");
    assert!(
        message.contains(".log") || message.contains("manifest") || message.contains("next-"),
        "{message}"
    );
}

/// Tells the writer to stop, also when a check fails: who waits for it would wait for ever.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_copy_of_a_live_directory_has_what_was_stored_or_names_what_is_missing() {
    let dir = tempdir();
    let log = options().maintenance(Maintenance::Threads).open(&dir).expect("a new directory");
    let (pace, stop) = (AtomicU64::new(100), AtomicBool::new(false));
    let mut random = Seed::of("copies").rng(0);
    let (mut opened, mut refused) = ([0; ORDERS.len()], 0);
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| write(&log, &pace, &stop));
        for round in 0..Size::asked().pick(12, 120, 1_200) {
            // In turn so fast that it rolls while files are copied, and so slowly that it seldom does.
            pace.store(if round % 2 == 0 { 100 } else { 5 }, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(5));
            let start = log.log_end_offset().get().saturating_sub(RECORDS_KEPT);
            let start = Offset::new(start).expect("small").max(log.log_start_offset());
            log.delete_records(start).expect("it is in the log");
            let order = round / 2 % ORDERS.len();
            match copy_and_check(&log, &dir, ORDERS[order], &mut random) {
                Ok(()) => opened[order] += 1,
                Err(_) => refused += 1,
            }
        }
    });
    log.close().expect("room");
    drop(std::fs::remove_dir_all(&dir));
    let [sorted, reversed, shuffled] = opened;
    figure!(
        "copies of a live directory: {sorted} opened with the manifest copied last, {reversed} with it first, {shuffled} \
         with it anywhere, with all that was stored; {refused} refused with what is missing"
    );
    assert!(opened.iter().sum::<u32>() > 0, "no copy could be opened");
}
