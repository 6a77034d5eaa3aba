//! Offsets and reads: SEMANTICS 1 to 8.

use super::{append, at, drain, offsets, options, reopen, sim, value};
use annals::{Durability, ErrorKind, ReadLevel, Record};

/// SEMANTICS 1
#[test]
fn only_below_the_start_and_beyond_the_end_is_out_of_range() {
    let (_, _, log) = sim();
    append(&log, Durability::Durable, 0..200, 200);
    log.delete_records(at(37)).expect("37 lies in the log");
    for from in 0..=202_u64 {
        let found = drain(&mut log.read(at(from)));
        if (37..=200).contains(&from) {
            let expected: Vec<_> = (from..200).map(|number| (number, value(number, 200))).collect();
            assert_eq!(found.expect("it lies in the log"), expected, "from {from}");
        } else {
            assert_eq!(found.expect_err("outside").kind(), ErrorKind::OutOfRange, "from {from}");
        }
    }
    for before in [36, 201] {
        assert_eq!(log.delete_records(at(before)).expect_err("outside").kind(), ErrorKind::OutOfRange);
        assert_eq!(log.truncate(at(before)).expect_err("outside").kind(), ErrorKind::OutOfRange);
    }
}

/// SEMANTICS 4
#[test]
fn a_next_offset_is_where_reading_goes_on_and_zero_is_one() {
    let (_, _, log) = sim();
    let mut reader = log.read(at(0));
    assert_eq!(reader.position().get(), 0);
    assert!(reader.next().is_none(), "an empty log ends at 0");
    let mut next = at(0);
    for round in 1..=5 {
        let records: Vec<_> = (0..round).map(|_| Record::new("a")).collect();
        let appended = log.append_if(next, records).wait().expect("the log ends where the last append did");
        assert_eq!((appended.base_offset(), appended.next_offset()), (next, at(next.get() + round)));
        let found = drain(&mut reader).expect("it can be read");
        assert_eq!(found.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), {
            (next.get()..next.get() + round).collect::<Vec<_>>()
        });
        next = reader.position();
        assert_eq!(next, appended.next_offset());
    }
    let resumed = drain(&mut log.read(at(6))).expect("6 is in the log");
    assert_eq!(resumed.len(), 9);
}

/// SEMANTICS 5
#[test]
fn the_next_offset_survives_the_deletion_of_everything() {
    let (disk, clock, log) = sim();
    append(&log, Durability::Durable, 0..300, 200);
    log.delete_records(at(300)).expect("all of it");
    assert_eq!(offsets(&log, ReadLevel::Durable, 300), [0; 0]);
    log.close().expect("nothing fails");
    let log = reopen(&disk, &clock);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (at(300), at(300)));
    append(&log, Durability::Durable, 300..301, 5);
    drop(log);
    let log = reopen(&disk, &clock);
    assert_eq!(offsets(&log, ReadLevel::Durable, 300), [300]);
}

/// SEMANTICS 6
#[test]
fn deleted_records_stay_deleted_after_a_reopen() {
    let (disk, clock, log) = sim();
    append(&log, Durability::Durable, 0..10, 100);
    log.delete_records(at(4)).expect("4 lies in the log");
    assert_eq!(log.segments().len(), 1, "all of it is in the active segment");
    let killed = disk.kill();
    let unplugged = disk.power_cut(|_| annals::io::Fate::Lost);
    for disk in [killed, unplugged] {
        let log = reopen(&disk, &clock);
        assert_eq!(log.log_start_offset(), at(4));
        assert_eq!(offsets(&log, ReadLevel::Durable, 4), [4, 5, 6, 7, 8, 9]);
        let error = drain(&mut log.read(at(3))).expect_err("it was deleted");
        assert_eq!(error.kind(), ErrorKind::OutOfRange);
        log.close().expect("nothing fails");
        assert_eq!(reopen(&disk, &clock).log_start_offset(), at(4), "after a clean close as well");
    }
}

/// SEMANTICS 7
#[test]
fn the_first_batch_comes_even_above_the_byte_limit() {
    let (_, clock, log) = sim();
    drop(log);
    let disk = annals::io::SimDisk::new();
    let options = options(&clock).segment_bytes_max(4 << 20).batch_bytes_max(2 << 20);
    let log = options.open_in(disk.root()).expect("an empty disk can be opened");
    // A reader copies some 128 KiB at once: two of these do not fit, and the last not by far.
    let lens = [10, 100_000, 100_000, 1_500_000, 10];
    for (number, len) in (0..).zip(lens) {
        append(&log, Durability::Durable, number..number + 1, len);
    }
    for from in 0..5 {
        let found = drain(&mut log.read(at(from))).expect("each can be read");
        let expected: Vec<_> =
            (from..5).zip(&lens[from as usize..]).map(|(n, len)| (n, value(n, *len))).collect();
        assert!(found == expected, "from {from}");
    }
}
