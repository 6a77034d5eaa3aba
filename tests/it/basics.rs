//! The first things anybody does with a partition.

use annals::{Durability, ErrorKind, Maintenance, Offset, Partition, PartitionOptions, ReadLevel, Record};

/// All values from `from` on.
pub fn values(log: &Partition, from: u32) -> Vec<String> {
    let mut values = Vec::new();
    for records in log.read(Offset::from(from)) {
        for record in &records.expect("what was appended can be read") {
            values.push(String::from_utf8_lossy(record.value()).into_owned());
        }
    }
    values
}

fn options() -> PartitionOptions {
    Partition::options().segment_bytes_max(32 << 10).batch_bytes_max(4 << 10)
}

#[test]
fn what_is_appended_is_read_across_segments() {
    for maintenance in [Maintenance::Threads, Maintenance::Manual] {
        let log = options().maintenance(maintenance).open_in_memory().expect("memory has room");
        let mut expected = Vec::new();
        for number in 0..2_000 {
            let value = format!("record {number} {}", "x".repeat(number % 97));
            let appended = log.append([Record::new(&value)]).wait().expect("memory has room");
            assert_eq!(appended.base_offset().get(), number as u64);
            expected.push(value);
        }
        assert!(log.segments().len() > 4, "{} segments", log.segments().len());
        assert_eq!(values(&log, 0), expected);
        assert_eq!(values(&log, 1_234), expected[1_234..]);
        assert_eq!(values(&log, 2_000), [] as [&str; 0]);
        log.close().expect("nothing fails");
        assert_eq!(log.append([Record::new("x")]).wait().expect_err("closed").kind(), ErrorKind::Closed);
    }
}

#[test]
fn what_was_closed_is_found_again() {
    let dir = tempdir();
    let mut expected = Vec::new();
    for round in 0..5 {
        let log = options().open(&dir).unwrap_or_else(|e| {
            panic!(
                "{e} {:?}",
                std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>()
            )
        });
        assert_eq!(values(&log, 0), expected, "round {round}");
        for number in 0..300 {
            let value = format!("{round}-{number}");
            log.append_with(Durability::Written, [Record::new(&value)]).wait().expect("room");
            expected.push(value);
        }
        if round % 2 < 2 {
            log.close().expect("nothing fails");
        }
    }
    drop(std::fs::remove_dir_all(&dir));
}

#[test]
fn a_written_record_is_seen_at_its_level() {
    let log = options().maintenance(Maintenance::Manual).open_in_memory().expect("memory has room");
    log.append_with(Durability::Written, [Record::new("a")]).wait().expect("room");
    assert_eq!(log.read(Offset::ZERO).count(), 0);
    assert_eq!(log.read(Offset::ZERO).level(ReadLevel::Written).count(), 1);
    log.flush().wait().expect("memory syncs");
    assert_eq!(log.read(Offset::ZERO).count(), 1);
}

/// A directory of this test alone.
pub fn tempdir() -> std::path::PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("annals-it-{}-{number}", std::process::id()));
    drop(std::fs::remove_dir_all(&dir));
    dir
}
