//! Segments and indexes: SEMANTICS 17 to 23.

use super::{SEGMENT_BYTES, START, append, at, drain, offsets, options, reopen, sim, value};
use crate::wakers::PATIENCE;
use annals::clock::ManualClock;
use annals::io::{Atom, Fate, MemoryDisk, PowerCuts, SimDisk};
use annals::{Batch, BatchLimits, Durability, ErrorKind, Partition, ReadLevel, Record, Retention, Timestamp};
use std::time::Duration;

/// SEMANTICS 17
#[test]
fn retention_by_size_leaves_at_least_that_much() {
    let clock = ManualClock::new(START);
    for floor in [0, 1, SEGMENT_BYTES, 50_000, 65_536, 100_001] {
        let options = options(&clock).retention(Retention::Bytes(floor));
        let log = options.open_in(SimDisk::new().root()).expect("an empty disk");
        let mut highest = at(0);
        for number in 0..300 {
            append(&log, Durability::Durable, number..number + 1, 700);
            let before: Vec<u64> = log.segments().iter().map(|segment| segment.len_bytes()).collect();
            log.maintain().expect("nothing fails");
            let after = log.segments();
            let left: u64 = after.iter().map(|segment| segment.len_bytes()).sum();
            assert!(left >= floor.min(before.iter().sum()), "floor {floor}: {left} bytes are left");
            let next = after.first().map_or(0, |oldest| oldest.len_bytes());
            assert!(
                after.len() == 1 || left - next < floor,
                "floor {floor}: {left} bytes, more than is asked for"
            );
            let start = log.log_start_offset();
            assert!(start >= highest, "the log start went back");
            highest = start;
            assert_eq!(
                offsets(&log, ReadLevel::Durable, start.get()),
                (start.get()..=number).collect::<Vec<_>>()
            );
        }
        assert!(highest > at(0), "floor {floor}: nothing was ever deleted");
    }
}

/// SEMANTICS 18
#[test]
fn retention_empties_the_active_segment_by_rolling_first() {
    let (disk, clock) = (SimDisk::new(), ManualClock::new(START));
    let open = || {
        let options = options(&clock).retention(Retention::Age(Duration::from_secs(60)));
        options.open_in(disk.root()).expect("it can be opened")
    };
    let log = open();
    append(&log, Durability::Durable, 0..3, 10);
    let sequence = log.segments()[0].sequence();
    clock.advance(Duration::from_secs(61));
    log.maintain().expect("nothing fails");
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (at(3), at(3)));
    assert_eq!(log.segments().len(), 1);
    assert_ne!(log.segments()[0].sequence(), sequence, "it is another segment");
    assert_eq!(disk.files().iter().filter(|name| name.ends_with(".log")).count(), 1);
    append(&log, Durability::Durable, 3..4, 10);
    log.maintain().expect("nothing fails");
    assert_eq!(offsets(&log, ReadLevel::Durable, 3), [3], "the new one is young");
    drop(log);
    assert_eq!(open().log_start_offset(), at(3));
}

/// A batch of one record that takes up `count` offsets.
fn wide(count: u32, base: u64) -> Batch {
    let batch = Batch::from_records([Record::new("a")], START, BatchLimits::default()).expect("it is small");
    let mut bytes = batch.as_bytes().to_vec();
    bytes[24..28].copy_from_slice(&(count - 1).to_le_bytes());
    let crc = crc32fast::hash(&bytes[4..]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
    let batch = Batch::from_bytes(&bytes, BatchLimits::default()).expect("only the delta has changed");
    batch.with_base_offset(at(base)).expect("it is far from the largest offset")
}

/// SEMANTICS 19
#[test]
fn a_segment_rolls_before_a_delta_or_position_overflows() {
    let (disk, clock, log) = sim();
    let count = i32::MAX as u32;
    let mut bases = Vec::new();
    for _ in 0..9 {
        let base = log.log_end_offset().get();
        let appended = log.append_batch(&wide(count, base)).wait().expect("there is room");
        assert_eq!(appended.next_offset().get(), base + u64::from(count));
        bases.push(base);
    }
    let check = |log: &Partition| {
        for segment in log.segments() {
            let end = segment.end_offset().unwrap_or(log.log_end_offset());
            assert!(end.since(segment.first_offset()) <= u64::from(u32::MAX));
        }
        assert_eq!(offsets(log, ReadLevel::Durable, 0), bases);
        for base in &bases {
            assert_eq!(offsets(log, ReadLevel::Durable, *base).first(), Some(base));
        }
    };
    assert!(log.segments().len() > 3);
    check(&log);
    log.close().expect("nothing fails");
    check(&reopen(&disk, &clock));
}

/// SEMANTICS 20
#[test]
fn a_spoilt_index_is_rebuilt_and_answers_like_a_scan() {
    let (disk, clock, log) = sim();
    for number in 0..150 {
        let (value, t) = (value(number, 400), Timestamp::from_millis((number as i64 * 7919) % 1_000));
        log.append([Record::new(&value).timestamp(t)]).wait().expect("there is room");
    }
    log.close().expect("nothing fails");
    let indexes: Vec<String> = disk.files().into_iter().filter(|name| name.contains("index")).collect();
    assert!(indexes.len() > 6, "{indexes:?}");
    let other = disk.read(&indexes[0]).expect("it is there");
    for name in &indexes {
        let whole = disk.read(name).expect("it is there");
        let len = whole.len();
        let mut spoilt: Vec<Vec<u8>> =
            vec![Vec::new(), whole[..len / 2].to_vec(), [&whole[..], &[0; 64]].concat()];
        spoilt.push([&whole[..len - 8], &[0; 8]].concat());
        spoilt.push([&whole[..], &whole[len - 16..]].concat());
        spoilt.push(other.clone());
        for byte in (0..len).step_by(13) {
            let mut flipped = whole.clone();
            flipped[byte] ^= 1 << (byte % 8);
            spoilt.push(flipped);
        }
        for bytes in spoilt {
            let disk = disk.kill();
            disk.write(name, &bytes).expect("the simulated disk takes it");
            answers_like_a_scan(&reopen(&disk, &clock), name);
        }
        let disk = disk.kill();
        disk.delete(name).expect("it is there");
        answers_like_a_scan(&reopen(&disk, &clock), name);
    }
}

fn answers_like_a_scan(log: &Partition, spoilt: &str) {
    let all: Vec<_> = log.read(at(0)).flat_map(|records| records.expect("it can be read")).collect();
    assert_eq!(all.len(), 150);
    for from in (0..150).step_by(10) {
        let first = log.read(at(from)).next().expect("there is one").expect("it can be read");
        assert_eq!(first.iter().next().map(|record| record.offset().get()), Some(from), "{spoilt}");
    }
    for t in (0..1_000).step_by(71).map(Timestamp::from_millis) {
        let scan = all.iter().find(|record| record.timestamp() >= t).map(|record| record.offset());
        let found = log.offset_for_time(t).expect("it can be read").map(|found| found.offset());
        assert_eq!(found, scan, "{spoilt}: time {t}");
    }
}

/// SEMANTICS 21
#[test]
fn an_empty_segment_after_a_crash_is_normal() {
    let (disk, clock, log) = sim();
    let opens = |disk: &SimDisk, end: u64| {
        for image in disk.power_cuts(&PowerCuts::new(21).samples(20)) {
            let log = reopen(&image, &clock);
            assert_eq!(log.log_end_offset(), at(end));
            append(&log, Durability::Durable, end..end + 1, 10);
        }
    };
    opens(&disk, 0);
    append(&log, Durability::Durable, 0..100, 300);
    log.delete_records(at(100)).expect("all of it");
    opens(&disk, 100);
    // Only a name, or a name and a header: what is left of a roll that was cut off early.
    let header = disk.read(disk.files().iter().find(|name| name.ends_with(".log")).expect("one is active"));
    let header = header.expect("it is there")[..4096].to_vec();
    for bytes in [Vec::new(), vec![0; 4096], header[..100].to_vec()] {
        let disk = disk.kill();
        disk.write("next-99", &bytes).expect("the simulated disk takes it");
        let log = reopen(&disk, &clock);
        assert_eq!(log.log_end_offset(), at(100));
        append(&log, Durability::Durable, 100..200, 300);
        drop(log);
        assert_eq!(offsets(&reopen(&disk, &clock), ReadLevel::Durable, 100).len(), 100);
    }
}

/// SEMANTICS 22
#[test]
fn what_was_cut_off_never_returns() {
    let (disk, clock, log) = sim();
    append(&log, Durability::Durable, 0..100, 300);
    for to in [90, 41, 3] {
        assert_eq!(log.truncate(at(to)).expect("it lies in the log"), at(to));
        for disk in [disk.kill(), disk.power_cut(|_| Fate::Lost), disk.power_cut(|_| Fate::Kept)] {
            let log = reopen(&disk, &clock);
            assert_eq!(offsets(&log, ReadLevel::Written, 0), (0..to).collect::<Vec<_>>());
            // What is appended now has the same length as what was there, and ends inside it.
            log.append([Record::new(&[b'n'; 300])]).wait().expect("there is room");
            let log = reopen(&disk.kill(), &clock);
            let found = drain(&mut log.read(at(0))).expect("it can be read");
            assert_eq!(found.len() as u64, to + 1);
            assert_eq!(found.last(), Some(&(to, vec![b'n'; 300])));
        }
    }
    what_recovery_cut_off();
    what_lay_in_the_same_place();
}

/// A disk that gives a new file the blocks of an old one, and loses what was written to them: the old batches have
/// the right offsets, in the right places, and are not taken for the new ones.
fn what_lay_in_the_same_place() {
    let (disk, clock, log) = sim();
    append(&log, Durability::Durable, 0..100, 300);
    let name = |log: &Partition| {
        let path = log.segments().last().expect("there is an active one").path();
        path.file_name().and_then(|name| name.to_str()).expect("names are plain").to_owned()
    };
    let first = log.segments().last().map(|active| active.first_offset()).expect("there is an active one");
    let before = disk.read(&name(&log)).expect("it is there");
    log.truncate(first).expect("it lies in the log");
    for _ in first.get()..100 {
        log.append([Record::new(&[b'n'; 300])]).wait().expect("there is room");
    }
    let disk = disk.kill();
    let mut after = disk.read(&name(&log)).expect("it is there");
    let len = after.len().min(before.len());
    after[4096..len].copy_from_slice(&before[4096..len]);
    disk.write(&name(&log), &after).expect("the simulated disk takes it");
    match options(&clock).open_in(disk.root()) {
        Ok(log) => assert_eq!(drain(&mut log.read(first)).expect("it can be read"), []),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt),
    }
}

/// The batch behind a lost one survives the power cut, is cut off, and must not come back when the next append
/// ends just where it began.
fn what_recovery_cut_off() {
    let (disk, clock, log) = sim();
    append(&log, Durability::Durable, 0..1, 2_000);
    append(&log, Durability::Written, 1..3, 2_000);
    let first_lost = |atom: &Atom| match atom {
        Atom::Sector { number: 13..=15, .. } => Fate::Lost,
        _ => Fate::Kept,
    };
    let disk = disk.power_cut(first_lost);
    let log = reopen(&disk, &clock);
    assert_eq!(offsets(&log, ReadLevel::Written, 0), [0], "the middle one is lost, and so is what follows");
    assert!(!log.recovery_report().torn.is_empty(), "what was cut off is kept aside");
    log.append_with(Durability::Written, [Record::new(&[b'n'; 2_000])]).wait().expect("there is room");
    let log = reopen(&disk.kill(), &clock);
    assert_eq!(drain(&mut log.read(at(1))).expect("it can be read"), [(1, vec![b'n'; 2_000])]);
}

/// SEMANTICS 23
#[test]
fn a_reader_that_meets_a_deletion_gets_out_of_range() {
    let (_, _, log) = sim();
    append(&log, Durability::Durable, 0..200, 300);
    let mut early = log.read(at(0));
    let late = log.read(at(150));
    log.delete_records(at(100)).expect("it lies in the log");
    assert_eq!(drain(&mut early).expect_err("deleted").kind(), ErrorKind::OutOfRange);
    assert_eq!(late.count(), log.read(at(150)).count());
    beside_a_deleter();
}

/// Readers that race with deletion see what is there, or that it is gone.
fn beside_a_deleter() {
    let clock = ManualClock::new(START);
    let log = options(&clock).open_in(MemoryDisk::new().root()).expect("memory has room");
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let log = log.clone();
                let deadline = std::time::Instant::now() + PATIENCE;
                scope.spawn(move || {
                    loop {
                        assert!(std::time::Instant::now() < deadline, "the deleter is gone");
                        let from = log.log_start_offset();
                        match drain(&mut log.read(from)) {
                            Ok(found) => {
                                let expected = from.get()..from.get() + found.len() as u64;
                                assert!(
                                    found.iter().map(|(offset, _)| *offset).eq(expected),
                                    "a gap from {from} on"
                                );
                            }
                            Err(error) => assert_eq!(error.kind(), ErrorKind::OutOfRange, "{error}"),
                        }
                        if let Err(error) = log.offset_for_time(START) {
                            assert_eq!(error.kind(), ErrorKind::OutOfRange, "{error}");
                        }
                        if from.get() >= 2_000 {
                            return;
                        }
                    }
                })
            })
            .collect();
        for number in 0..2_100 {
            append(&log, Durability::Durable, number..number + 1, 300);
            if number % 20 == 0 {
                log.delete_records(at(number)).expect("it lies in the log");
            }
        }
        readers.into_iter().for_each(|reader| reader.join().expect("a reader does not panic"));
    });
}

/// A policy that permits deletion and asks for none.
const YEAR: Retention = Retention::Age(Duration::from_secs(31_536_000));

/// SEMANTICS 23
#[test]
fn space_held_by_slow_readers_is_counted_and_capped() {
    let clock = ManualClock::new(START);
    let cap = 12 * SEGMENT_BYTES;
    let open = || {
        let options = options(&clock).segment_bytes_max(2 * SEGMENT_BYTES).disk_bytes_max(cap);
        options.retention(YEAR).open_in(SimDisk::new().root()).expect("an empty disk")
    };
    // A segment holds four of these. The reader copies them all at once, and is at the end of it then.
    let log = open();
    append(&log, Durability::Durable, 0..8, 7_000);
    let (mut slow, mut evicted) = (log.read(at(0)).level(ReadLevel::Written), log.read(at(0)));
    for reader in [&mut slow, &mut evicted] {
        let first = reader.next().expect("there is one").expect("it can be read");
        assert_eq!(first.base_offset(), at(0));
    }
    assert_eq!(log.stats().pinned_bytes, 0);
    log.delete_records(at(4)).expect("it lies in the log");
    let stats = log.stats();
    assert!(stats.pinned_bytes > 0, "a reader holds the first segment");
    assert!(stats.disk_bytes > stats.log_bytes);
    assert_eq!(slow.position(), at(4));
    assert_eq!(drain(&mut slow).expect("it goes on behind it").len(), 4);
    for number in 8..200 {
        append(&log, Durability::Durable, number..number + 1, 7_000);
        assert!(log.stats().disk_bytes <= cap, "{} bytes are over the cap", log.stats().disk_bytes);
    }
    assert_eq!(drain(&mut evicted).expect_err("its segment is gone").kind(), ErrorKind::OutOfRange);
    a_slow_reader_finishes_its_segment();
}

/// Where a segment is larger than what is copied at once, the reader is in the middle of it.
fn a_slow_reader_finishes_its_segment() {
    let clock = ManualClock::new(START);
    let open = |cap: u64| {
        let options = options(&clock).segment_bytes_max(1 << 20).retention(YEAR);
        options.disk_bytes_max(cap).open_in(SimDisk::new().root()).expect("an empty disk")
    };
    let fill = |log: &Partition| append(log, Durability::Written, log.log_end_offset().get()..300, 8_000);
    let log = open(64 << 20);
    fill(&log);
    log.flush().wait().expect("the disk syncs");
    let mut slow = log.read(at(0));
    let first = slow.next().expect("there is one").expect("it can be read");
    let first_end = log.segments()[0].end_offset().expect("it is sealed");
    assert!(first.next_offset() < first_end);
    log.delete_records(at(290)).expect("it lies in the log");
    assert!(log.stats().pinned_bytes >= 1_000_000);
    while slow.position() < first_end {
        slow.next().expect("its segment is not at its end").expect("it finishes its segment");
    }
    assert_eq!(drain(&mut slow).expect_err("what follows is gone").kind(), ErrorKind::OutOfRange);
    drop(slow);
    let log = open(4 << 20);
    fill(&log);
    assert!(log.stats().disk_bytes <= 4 << 20);
    log.flush().wait().expect("the disk syncs");
    let mut slow = log.read(at(0));
    slow.next().expect("there is one").expect("it can be read");
    for number in 300..900 {
        append(&log, Durability::Written, number..number + 1, 8_000);
        assert!(log.stats().disk_bytes <= 4 << 20);
    }
    assert!(log.log_start_offset() > at(0), "the oldest were deleted at the cap");
    assert_eq!(drain(&mut slow).expect_err("it was let go at the cap").kind(), ErrorKind::OutOfRange);
}
