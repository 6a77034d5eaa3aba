//! What went wrong once, each named for the promise it broke.

use crate::basics::tempdir;
use crate::crash::interlude::{Cue, Interlude};
use annals::io::{DiskDir, Failure, Fate, Fault, MemoryDisk, Op, SimDisk};
use annals::{
    Broker, Durability, ErrorKind, Maintenance, Offset, OnDamage, Partition, ReadLevel, Record,
    RecoveryOutcome, TopicOptions, WriteMode,
};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// A receipt that was taken before a failed sync, and asked only after the partition was reopened, found its
/// goal beyond the log end and led one sync after the other for ever; and once others had taken its offset, it
/// said that its record was durable.
#[test]
fn a_receipt_from_before_a_reopen_never_speaks_of_other_records() {
    let disk = SimDisk::new();
    let log = Partition::options()
        .maintenance(Maintenance::Manual)
        .seed(1)
        .open_in(disk.root())
        .expect("a fresh disk");
    let early = log.append([Record::new("early")]);
    let late = log.append([Record::new("late")]);
    disk.set_failed_sync(annals::io::FailedSync::CacheReverts);
    disk.inject(Fault::new(Failure::Io).on(Op::Sync));
    assert_eq!(late.wait().expect_err("the sync fails").kind(), ErrorKind::Io);
    disk.clear_faults();
    log.reopen().expect("the disk is well again");
    assert_eq!(log.log_end_offset(), Offset::ZERO, "the cache lost what was not synced");

    log.append([Record::new("other")]).wait().expect("the disk is well again");
    assert_eq!(early.wait().expect_err("its record is gone").kind(), ErrorKind::Conflict);
    log.close().expect("the disk is well again");
}

/// Closing synced by itself what had been appended since it looked, beside the round of whoever had appended it.
/// One of the two syncs failed and the other said OK, and whichever it was, the append was acknowledged.
#[test]
fn closing_acknowledges_nothing_that_a_sync_has_failed_for() {
    for _ in 0..12 {
        let (disk, interlude) = (SimDisk::new(), Interlude::default());
        let options = || Partition::options().maintenance(Maintenance::Manual);
        let log = options().open_in(interlude.within(disk.root())).expect("a fresh disk");
        let (closed, closing) = mpsc::channel();
        let (appended, appending) = mpsc::channel();
        let (inside, failing) = (log.clone(), disk.clone());
        interlude.set(Cue::Sync, move || {
            let log = inside.clone();
            thread::spawn(move || drop(closed.send(log.close())));
            // It waits for the round that this sync is part of.
            thread::sleep(Duration::from_millis(20));
            let late = inside.append([Record::new("late")]);
            thread::spawn(move || drop(appended.send(late.wait())));
            thread::sleep(Duration::from_millis(5));
            failing.inject(Fault::new(Failure::Io).on(Op::Sync));
        });
        log.append([Record::new("early")]).wait().expect("the first sync is well");
        let late = appending.recv().expect("whoever waits is answered");
        let closed = closing.recv().expect("closing ends");
        assert_eq!(disk.faults_hit(), 1);

        let disk = disk.power_cut(|_| Fate::Lost);
        let log = options().open_in(disk.root()).expect("nothing was promised that is not there");
        let end = log.log_end_offset();
        assert!(end >= Offset::from(1));
        assert!(late.is_err() || end == Offset::from(2), "acknowledged and lost: {late:?}");
        assert!(closed.is_err(), "a sync has failed");
        assert!(matches!(late.map_err(|error| error.kind()), Err(ErrorKind::Io | ErrorKind::Poisoned)));
    }
}

/// An append that rolled while the partition was being closed left a manifest without the segment before.
#[test]
fn closing_beside_appends_loses_nothing_and_answers_rightly() {
    for round in 0..20 {
        let disk = SimDisk::new();
        let options = || Partition::options().segment_bytes_max(16 << 10).batch_bytes_max(4 << 10);
        let log = options().open_in(disk.root()).expect("a fresh disk");
        let value = Arc::new("x".repeat(900));
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let (log, value) = (log.clone(), value.clone());
                thread::spawn(move || {
                    let mut durable = 0;
                    while let Ok(appended) =
                        log.append_with(Durability::Durable, [Record::new(&*value)]).wait()
                    {
                        durable = appended.next_offset().get();
                    }
                    durable
                })
            })
            .collect();
        while log.log_end_offset() < Offset::from(20 + round * 3) {
            thread::yield_now();
        }
        log.close().expect("nothing fails");
        let durable = writers.into_iter().map(|writer| writer.join().expect("no panic")).max();
        let again = options().open_in(disk.root()).expect("it was closed well");
        assert!(again.log_end_offset().get() >= durable.unwrap_or(0), "round {round}");
        assert_eq!(again.recovery_report().rows, [7], "round {round}: a clean close leaves nothing to do");
    }
}

/// A child that was being started by another thread held a copy of the lock's descriptor between its fork and
/// its exec, and the directory that was just closed was found open elsewhere: in this very process.
#[test]
fn a_closed_partition_opens_at_once_beside_processes_being_started() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let dir = crate::basics::tempdir();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::process::Command::new("true").status().expect("it can be started");
                }
            });
        }
        for round in 0..100 {
            let log = Partition::options().maintenance(Maintenance::Manual).open(&dir);
            let closed = log.and_then(|log| log.close());
            if closed.is_err() {
                done.store(true, Ordering::Relaxed);
            }
            closed.unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
        done.store(true, Ordering::Relaxed);
    });
    drop(std::fs::remove_dir_all(&dir));
}

/// A segment was mapped for batches of the size that its topic admitted when it was made. A larger one that was
/// admitted later was refused by it, with an error of the disk's, for as long as it was empty.
#[test]
fn a_batch_that_is_admitted_later_fits_into_an_empty_segment() {
    let dir = tempdir();
    let options = || Broker::options().maintenance(Maintenance::Manual);
    for broker in [options().open_in_memory(), options().open(&dir)] {
        let broker = broker.expect("there is room");
        let small = || TopicOptions::new().segment_bytes_max(64 << 10).batch_bytes_max(16 << 10);
        for (name, rolls) in [("empty", false), ("prepared", true)] {
            let topic = broker.ensure_topic(name, small()).expect("in bounds");
            let partition = topic.partition(0).expect("it is well");
            let mut first = Vec::new();
            while rolls && partition.segments().len() < 2 {
                first.push(partition.append([Record::new(&[1; 9_000])]).wait().expect("there is room"));
                partition.maintain().expect("nothing is wrong");
            }
            broker.ensure_topic(name, TopicOptions::new().batch_bytes_max(1 << 20)).expect("in bounds");
            let before = partition.log_end_offset();
            for number in 0..3 {
                let value = vec![number; 500 << 10];
                partition.append([Record::new(&value)]).wait().expect("it is admitted");
            }
            let found: Vec<_> = partition.read(before).map(|found| found.expect("it is there")).collect();
            let lens = found.iter().flat_map(|records| records.iter().map(|record| record.value().len()));
            assert_eq!(lens.collect::<Vec<_>>(), [500 << 10; 3], "{name}");
        }
        broker.close().expect("nothing fails");
    }
    drop(std::fs::remove_dir_all(&dir));
}

/// SEMANTICS 9: where space cannot be reserved a file grows by its size being set. The thread that took the next step of
/// the reserve had looked at the size, and set it when an append had taken more, written, and been acknowledged.
#[test]
fn what_was_written_is_not_cut_off_by_the_next_step_of_the_reserve() {
    let (disk, interlude) = (MemoryDisk::new(), Interlude::default());
    let options = Partition::options().maintenance(Maintenance::Manual).write_mode(WriteMode::Pwrite);
    let log = options.open_in(interlude.within(disk.root())).expect("memory has room");
    log.append([Record::new(&[1; 40 << 10])]).wait().expect("memory has room");
    let (appended, acknowledged) = mpsc::channel();
    let other = log.clone();
    interlude.set(Cue::Allocate, move || {
        let writing =
            thread::spawn(move || drop(appended.send(other.append([Record::new(&[2; 200 << 10])]).wait())));
        // Until it has been appended, or waits for its turn.
        let patience = std::time::Instant::now() + Duration::from_millis(200);
        while !writing.is_finished() && std::time::Instant::now() < patience {
            thread::yield_now();
        }
    });
    log.maintain().expect("memory has room");
    assert!(!interlude.cancel(), "a step of the reserve was due");
    acknowledged.recv().expect("it is answered").expect("memory has room");
    let lens: Vec<_> = log
        .read(Offset::ZERO)
        .flat_map(|found| found.expect("it is whole"))
        .map(|record| record.value().len())
        .collect();
    assert_eq!(lens, [40 << 10, 200 << 10]);
}

/// SEMANTICS 22: a truncation that nothing was appended behind is all that says that the records before it in time
/// are gone, and salvage without a manifest did not hear it.
#[test]
fn what_was_truncated_does_not_return_by_salvage() {
    for appended in [0, 5] {
        let disk = SimDisk::new();
        let options = || Partition::options().maintenance(Maintenance::Manual);
        let log = options().open_in(disk.root()).expect("a fresh disk");
        for number in 0..100_u64 {
            log.append([Record::new(&number.to_le_bytes())]).wait().expect("there is room");
        }
        assert_eq!(log.truncate(at(50)).expect("it lies in the log"), at(50));
        for _ in 0..appended {
            log.append([Record::new("behind")]).wait().expect("there is room");
        }
        log.close().expect("nothing fails");
        disk.delete("manifest").expect("it is there");
        let log = options().on_damage(OnDamage::Salvage).open_in(disk.root()).expect("it can be salvaged");
        let found = log.read(Offset::ZERO).level(ReadLevel::Written).filter_map(Result::ok);
        let values: Vec<_> = found.flatten().map(|record| record.value().to_vec()).collect();
        let kept = (0..50_u64).map(|number| number.to_le_bytes().to_vec());
        let behind = std::iter::repeat_n(b"behind".to_vec(), appended);
        assert_eq!(values, kept.chain(behind).collect::<Vec<_>>());
    }
}

/// What recovery had copied into a new segment was dropped by salvage without a manifest from the segment before, where
/// it was still good, because the copy was damaged; and its offsets were given again.
#[test]
fn a_damaged_copy_does_not_take_the_good_original_along() {
    let disk = SimDisk::new();
    let options = || Partition::options().maintenance(Maintenance::Manual);
    let log = options().open_in(disk.root()).expect("a fresh disk");
    let numbers: Vec<_> = (0..100_u64).map(u64::to_le_bytes).collect();
    for number in &numbers[..80] {
        log.append([Record::new(number)]).wait().expect("there is room");
    }
    let unsynced = numbers[80..].iter().map(Record::new);
    log.append_with(Durability::Written, unsynced).wait().expect("there is room");
    let disk = disk.kill();
    let log = options().open_in(disk.root()).expect("a process was killed");
    assert_eq!(log.recovery_report().outcome, RecoveryOutcome::Extended);
    log.close().expect("nothing fails");
    let copy = disk.files().into_iter().find(|file| file.ends_with("80.log")).expect("it was copied");
    disk.flip_bit(&copy, (4_096 + 150) * 8).expect("it is there");
    disk.delete("manifest").expect("it is there");
    let log = options().on_damage(OnDamage::Salvage).open_in(disk.root()).expect("it can be salvaged");
    let found = log.read(Offset::ZERO).level(ReadLevel::Written).filter_map(Result::ok);
    let values: Vec<_> = found.flatten().map(|record| record.value().to_vec()).collect();
    assert_eq!(values, numbers);
    assert_eq!(log.log_end_offset(), at(100));
}

/// A directory that was opened by a relative path was looked for in another place once the process had changed its
/// working directory.
#[test]
fn a_relative_path_does_not_follow_the_working_directory() {
    // Without changing it, which would change it for all tests.
    assert!(DiskDir::open(".").expect("it is there").path().is_absolute());
}

/// A truncation on a full disk left the segment that it had made, one more with each try, which no cap counted.
#[test]
fn a_truncation_that_finds_no_room_leaves_no_file() {
    let disk = SimDisk::new();
    let log =
        Partition::options().maintenance(Maintenance::Manual).open_in(disk.root()).expect("it is fresh");
    // Each truncation adds a segment, until the manifest needs a larger file.
    disk.inject(Fault::new(Failure::NoSpace).within("manifest-new").for_ever());
    let truncate = || {
        log.append([Record::new("a"), Record::new("b")]).wait().expect("there is room");
        let kept = log.append([Record::new("c")]).wait().expect("there is room").base_offset();
        log.truncate(kept).map(drop)
    };
    let refused = (0..500).find_map(|_| truncate().err()).expect("a manifest is small");
    assert_eq!(refused.kind(), ErrorKind::NoSpace, "{refused}");
    for _ in 0..3 {
        assert_eq!(truncate().expect_err("there is no room yet").kind(), ErrorKind::NoSpace);
    }
    let left: Vec<_> = disk.files().into_iter().filter(|file| file.starts_with("next-")).collect();
    assert_eq!(left, [""; 0]);
    disk.clear_faults();
    truncate().expect("there is room again");
}

fn at(offset: u64) -> Offset {
    Offset::new(offset).expect("a small offset")
}
