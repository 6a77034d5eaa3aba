//! Reading beside a writer: the two levels, and what the writer changes meanwhile.

use super::{append, at, drain, options, value};
use crate::basics::tempdir;
use crate::crash::interlude::{Cue, Interlude};
use annals::clock::ManualClock;
use annals::io::SimDisk;
use annals::{Durability, ErrorKind, Follower, Partition, ReadLevel, Record, WriteMode};
use std::time::Duration;

/// A writer and its follower, in both write modes, on the simulated disk.
fn pairs() -> impl Iterator<Item = (SimDisk, Partition, Follower)> {
    [WriteMode::Automatic, WriteMode::Pwrite].into_iter().map(|mode| {
        let disk = SimDisk::new();
        let clock = ManualClock::new(super::START);
        let log = options(&clock).write_mode(mode).open_in(disk.root()).expect("an empty disk can be opened");
        let follower = Follower::open_in(disk.root()).expect("the writer has made a partition");
        (disk, log, follower)
    })
}

/// The offsets that the follower shows at `level`.
fn seen(follower: &Follower, level: ReadLevel) -> Vec<u64> {
    follower.refresh().expect("it can be read");
    let mut reader = follower.read(follower.log_start_offset()).level(level);
    drain(&mut reader).expect("it can be read").into_iter().map(|(offset, _)| offset).collect()
}

#[test]
fn a_follower_sees_each_level_as_the_writer_reaches_it() {
    for (_, log, follower) in pairs() {
        for round in 0..60 {
            append(&log, Durability::Written, round * 4..round * 4 + 4, 250);
            let end = round * 4 + 4;
            assert_eq!(seen(&follower, ReadLevel::Written), (0..end).collect::<Vec<_>>());
            let durable = log.durable_offset().get();
            let proved = seen(&follower, ReadLevel::Durable);
            assert!(proved.len() as u64 <= durable, "more than is durable: {} of {durable}", proved.len());
            if round % 2 == 1 {
                log.flush().wait().expect("the disk syncs");
                assert_eq!(seen(&follower, ReadLevel::Durable), (0..end).collect::<Vec<_>>());
                assert_eq!(follower.durable_offset(), at(end));
            }
        }
        assert!(log.segments().len() > 3, "it followed through rolls");
    }
}

#[test]
fn a_reader_of_a_follower_goes_on_where_it_was() {
    for (_, log, follower) in pairs() {
        let mut reader = follower.read(at(0));
        let mut found = Vec::new();
        for number in 0..200 {
            append(&log, Durability::Durable, number..number + 1, 250);
            if number % 3 == 0 {
                found.extend(drain(&mut reader).expect("it can be read"));
                assert_eq!(found.len() as u64, number + 1);
            }
            if number % 40 == 39 {
                log.maintain().expect("nothing fails");
            }
        }
        found.extend(drain(&mut reader).expect("it can be read"));
        assert_eq!(found, (0..200).map(|number| (number, value(number, 250))).collect::<Vec<_>>());
    }
}

#[test]
fn a_follower_notices_deletion_and_truncation() {
    for (_, log, follower) in pairs() {
        append(&log, Durability::Durable, 0..200, 250);
        let mut early = follower.read(at(0));
        early.next().expect("there is one").expect("it can be read");
        let mut late = follower.read(at(180));
        assert_eq!(drain(&mut late).expect("it can be read").len(), 20);
        // In a segment that lies wholly below what is deleted, and that nobody has opened yet.
        let mut unopened = follower.read(log.segments()[1].first_offset());
        log.delete_records(at(100)).expect("it lies in the log");
        // The file it would open now is gone, which it has not heard of.
        assert_eq!(drain(&mut unopened).expect_err("deleted").kind(), ErrorKind::OutOfRange);
        assert_eq!(seen(&follower, ReadLevel::Durable), (100..200).collect::<Vec<_>>());
        assert_eq!(follower.log_start_offset(), at(100));
        assert_eq!(drain(&mut follower.read(at(99))).expect_err("deleted").kind(), ErrorKind::OutOfRange);
        log.truncate(at(150)).expect("it lies in the log");
        for number in 150..160_u64 {
            let value = format!("another {number}");
            log.append([Record::new(&value)]).wait().expect("there is room");
        }
        assert_eq!(seen(&follower, ReadLevel::Durable), (100..160).collect::<Vec<_>>());
        assert_eq!(drain(&mut late).expect_err("200 is beyond the end").kind(), ErrorKind::OutOfRange);
        let found = drain(&mut follower.read(at(155))).expect("it can be read");
        assert_eq!(found[0], (155, b"another 155".to_vec()));
    }
}

#[test]
fn a_follower_takes_no_lock_and_writes_nothing() {
    for (disk, log, follower) in pairs() {
        append(&log, Durability::Written, 0..50, 250);
        let before = disk.content_hash();
        assert_eq!(seen(&follower, ReadLevel::Written).len(), 50);
        drop(follower);
        assert_eq!(disk.content_hash(), before);
        log.close().expect("nothing fails");
        let follower = Follower::open_in(disk.root()).expect("a closed partition can be followed");
        assert_eq!(seen(&follower, ReadLevel::Durable).len(), 50);
        let clock = ManualClock::new(super::START);
        drop(options(&clock).open_in(disk.root()).expect("a follower holds no lock"));
    }
}

/// A follower that looked at one segment, and at the next only after the writer had gone on there, took what was
/// missing between the two for damage, and said so from then on.
#[test]
fn a_follower_that_looks_during_a_roll_sees_no_damage() {
    for mode in [WriteMode::Automatic, WriteMode::Pwrite] {
        for is_open in [false, true] {
            let (disk, interlude) = (SimDisk::new(), Interlude::default());
            let clock = ManualClock::new(super::START);
            let log = options(&clock).write_mode(mode).open_in(disk.root()).expect("an empty disk");
            append(&log, Durability::Durable, 0..30, 250);
            log.maintain().expect("nothing fails");
            assert!(disk.files().iter().any(|file| file == "next-1"), "{:?}", disk.files());
            let dir = interlude.within(disk.root());
            let open = || Follower::open_in(dir.clone()).expect("it is undamaged");
            let opened = is_open.then(open);
            roll_at_a_look(&interlude, is_open, log.clone());
            let follower = opened.unwrap_or_else(open);
            follower.refresh().expect("it is undamaged");
            assert!(!interlude.cancel(), "the writer rolled while it looked");
            let end = log.log_end_offset().get();
            assert_eq!(seen(&follower, ReadLevel::Written), (0..end).collect::<Vec<_>>());
            assert_eq!(seen(&follower, ReadLevel::Durable).len() as u64, log.durable_offset().get());
        }
    }
}

/// Rolls between the looks of a follower at the segment that is written and at the next one. A follower that is
/// being opened reads the size of each once before.
fn roll_at_a_look(interlude: &Interlude, is_open: bool, log: Partition) {
    if !is_open {
        let again = interlude.clone();
        return interlude.set(Cue::Len("next-1"), move || roll_at_a_look(&again, true, log));
    }
    interlude.set(Cue::Len("next-1"), move || {
        let rolled = log.segments().len() + 1;
        while log.segments().len() < rolled {
            let number = log.log_end_offset().get();
            append(&log, Durability::Written, number..number + 1, 250);
        }
        let number = log.log_end_offset().get();
        // The first sync behind the roll, and a batch that tells of it.
        append(&log, Durability::Durable, number..number + 1, 250);
        append(&log, Durability::Written, number + 1..number + 2, 250);
    });
}

#[test]
fn there_is_nothing_to_follow_where_no_partition_is() {
    let error = Follower::open_in(SimDisk::new().root()).expect_err("it is empty");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// On the real disk, with both threads at work: rolls, deletions, truncations.
#[test]
fn a_follower_beside_a_busy_writer_never_sees_what_was_not_there() {
    for mode in [WriteMode::Automatic, WriteMode::Pwrite] {
        let dir = tempdir();
        let log = Partition::options().segment_bytes_max(16 << 10).batch_bytes_max(8 << 10).write_mode(mode);
        let log = log.open(&dir).expect("a new directory");
        let follower = Follower::open(&dir).expect("there is a partition");
        let writer = std::thread::spawn(move || {
            for number in 0..600_u64 {
                let value = value(number, 300);
                let number = at(number);
                log.append_if(number, [Record::new(&value)]).wait().expect("there is room");
                if number.get() % 100 == 99 {
                    log.delete_records(at(number.get() - 60)).expect("it lies in the log");
                }
            }
            log
        });
        let mut last = 0;
        while last < 599 {
            follower
                .wait_past(ReadLevel::Durable, at(last), Duration::from_secs(20))
                .expect("it can be read");
            let from = follower.log_start_offset().get().max(last);
            match drain(&mut follower.read(at(from))) {
                Ok(found) => {
                    for (offset, found) in &found {
                        assert_eq!(*found, value(*offset, 300));
                    }
                    last = found.last().map_or(last, |(offset, _)| *offset);
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::OutOfRange, "{error}"),
            }
        }
        writer.join().expect("the writer does not panic").close().expect("nothing fails");
        drop(std::fs::remove_dir_all(&dir));
    }
}
