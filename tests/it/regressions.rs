//! What went wrong once, each named for the promise it broke.

use crate::crash::interlude::{Cue, Interlude};
use annals::io::{Failure, Fate, Fault, Op, SimDisk};
use annals::{Durability, ErrorKind, Maintenance, Offset, Partition, Record};
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
