//! Changes that cross one another: cuts while somebody waits, wakers that act, failures half seen.

use crate::crash::interlude::{Cue, Interlude};
use crate::wakers::{PATIENCE, in_time};
use annals::clock::ManualClock;
use annals::io::{Failure, Fault, MemoryDisk, Op, SimDisk};
use annals::{
    Batch, BatchLimits, Broker, ConsumerRecords, Durability, ErrorKind, Maintenance, Offset, Partition,
    PartitionOptions, ReadLevel, Record, Result, Retention, Timestamp, Topic, TopicOptions,
};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

fn options() -> PartitionOptions {
    Partition::options().segment_bytes_max(16 << 10).batch_bytes_max(4 << 10).maintenance(Maintenance::Manual)
}

fn at(offset: u64) -> Offset {
    Offset::new(offset).expect("a small offset")
}

#[test]
fn who_waits_for_what_was_truncated_hears_so() {
    let kind = in_time(|| {
        let log = options().open_in_memory().expect("memory has room");
        let lost = log.append([Record::new("a")]);
        let flushed = log.flush();
        assert_eq!(log.truncate(Offset::ZERO).expect("it lies in the log"), Offset::ZERO);
        assert_eq!(flushed.wait().expect_err("taken back").kind(), ErrorKind::Conflict);
        lost.wait().expect_err("taken back").kind()
    });
    assert_eq!(kind, ErrorKind::Conflict);
}

#[test]
fn a_record_in_the_place_of_a_truncated_one_does_not_answer_for_it() {
    let log = options().open_in_memory().expect("memory has room");
    log.append([Record::new("kept")]).wait().expect("it fits");
    let kept = log.append([Record::new("kept too")]);
    let lost = log.append([Record::new("a")]);
    log.truncate(at(2)).expect("it lies in the log");
    log.append([Record::new("b"), Record::new("c")]).wait().expect("it fits");
    assert_eq!(kept.wait().expect("it was not cut off").base_offset(), at(1));
    assert_eq!(lost.wait().expect_err("it was").kind(), ErrorKind::Conflict);
}

#[test]
fn demand_for_what_was_truncated_is_dropped() {
    in_time(|| {
        let log = options().open_in_memory().expect("memory has room");
        let mut lost = Box::pin(log.append([Record::new("a")]));
        let never = log.append([Record::new("b")]);
        assert!(poll(lost.as_mut(), Waker::noop()).is_pending());
        log.truncate(Offset::ZERO).expect("it lies in the log");
        drop(never);
        log.maintain().expect("nothing is due");
        let Poll::Ready(Err(error)) = poll(lost.as_mut(), Waker::noop()) else { panic!("it is over") };
        assert_eq!(error.kind(), ErrorKind::Conflict);
    });
}

#[test]
fn waiting_for_the_end_goes_on_after_a_truncation() {
    in_time(|| {
        let log = options().open_in_memory().expect("memory has room");
        log.append_with(Durability::Written, [Record::new("a")]).wait().expect("it fits");
        let mut passed = Box::pin(log.wait_past(at(0)));
        assert!(poll(passed.as_mut(), Waker::noop()).is_pending());
        log.truncate(Offset::ZERO).expect("it lies in the log");
        assert!(poll(passed.as_mut(), Waker::noop()).is_pending(), "there is nothing any more");
        log.append_with(Durability::Written, [Record::new("b")]).wait().expect("it fits");
        assert!(poll(passed.as_mut(), Waker::noop()).is_pending(), "not durable yet");
        log.maintain().expect("nothing fails");
        assert!(poll(passed.as_mut(), Waker::noop()).is_ready());
    });
}

/// A cut wakes who waits for more than there is; he goes on to wait for the same.
#[test]
fn a_blocked_wait_for_the_end_outlasts_a_truncation() {
    for level in [ReadLevel::Written, ReadLevel::Durable] {
        let log = Partition::options().open_in_memory().expect("memory has room");
        log.append([Record::new("a"), Record::new("b"), Record::new("c")]).wait().expect("it fits");
        let (passed, waits) = mpsc::channel();
        let waiting = log.wait_past_at(level, at(3));
        let thread = std::thread::spawn(move || drop(passed.send(waiting.wait())));
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(10));
            log.truncate(Offset::ZERO).expect("it lies in the log");
            log.append([Record::new("d"), Record::new("e"), Record::new("f")]).wait().expect("it fits");
        }
        assert!(waits.recv_timeout(Duration::from_millis(20)).is_err(), "there is no offset 3 yet");
        log.append_with(Durability::Written, [Record::new("g")]).wait().expect("it fits");
        waits.recv_timeout(PATIENCE).expect("it is woken").expect("offset 3 is there");
        thread.join().expect("it does not panic");
    }
}

/// Does something when it wakes.
struct Act<T>(Mutex<Option<T>>, fn(T));

impl<T: Send + 'static> Wake for Act<T> {
    fn wake(self: Arc<Self>) {
        let taken = self.0.lock().expect("nobody panics").take();
        if let Some(taken) = taken {
            (self.1)(taken);
        }
    }
}

#[test]
fn a_waker_may_do_anything() {
    let acts: [fn(Partition); 4] = [
        |log| drop(log.stats()),
        |log| log.append_with(Durability::Written, [Record::new("b")]).wait().map(drop).unwrap_or_default(),
        |log| log.delete_records(log.durable_offset()).unwrap_or_default(),
        |log| log.close().expect("nothing fails"),
    ];
    let changes: [fn(&Partition); 3] = [
        |log| drop(log.truncate(Offset::ZERO)),
        |log| drop(log.close()),
        |log| drop(log.delete_records(at(1))),
    ];
    for act in acts {
        for change in changes {
            in_time(move || {
                let log = options().open_in_memory().expect("memory has room");
                let waker: Waker = Arc::new(Act(Mutex::new(Some(log.clone())), act)).into();
                let mut appended = pin!(log.append([Record::new("a")]));
                assert!(poll(appended.as_mut(), &waker).is_pending());
                change(&log);
                assert!(poll(appended.as_mut(), Waker::noop()).is_ready());
            });
        }
    }
}

/// One whose partition is put to rest is woken; it was, under a lock that whoever opens the partition takes.
#[test]
fn a_waker_may_open_the_partition_whose_rest_wakes_it() {
    type Waiting = Pin<Box<dyn Future<Output = Result<ConsumerRecords>> + Send>>;
    let acts: [fn((Topic, Waiting)); 3] = [
        |(topic, _)| drop(topic.partition(0).expect("it is there")),
        |(_, mut waiting)| assert!(poll(waiting.as_mut(), Waker::noop()).is_pending()),
        |(topic, _)| {
            topic
                .partition(0)
                .expect("it is there")
                .append([Record::new("b")])
                .wait()
                .map(drop)
                .expect("it fits")
        },
    ];
    for act in acts {
        let is_over = in_time(move || {
            let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
            let options = Broker::options().clock(clock.clone()).maintenance(Maintenance::Manual);
            let broker = options.open_in_memory().expect("memory has room");
            let topic = broker.create_topic("orders", TopicOptions::new()).expect("a new topic");
            topic.partition(0).expect("it is there").append([Record::new("a")]).wait().expect("it fits");
            let mut consumer = broker.consumer().assign([(&topic, 0)]).build().expect("it is there");
            assert_eq!(consumer.poll(Duration::ZERO).expect("nothing is wrong").len(), 1);
            let mut waiting: Waiting = Box::pin(async move { consumer.recv().await });
            let acting = Arc::new(Act(Mutex::new(None), act));
            assert!(poll(waiting.as_mut(), &acting.clone().into()).is_pending());
            *acting.0.lock().expect("nobody panics") = Some((topic, waiting));
            for _ in 0..2 {
                clock.advance(Duration::from_secs(40));
                broker.maintain().expect("nothing fails");
            }
            acting.0.lock().expect("nobody panics").is_none()
        });
        assert!(is_over, "it was not woken");
    }
}

#[test]
fn a_waker_that_goes_with_its_last_place_takes_other_places_along() {
    in_time(|| {
        let log = options().open_in_memory().expect("memory has room");
        let mut first = Box::pin(log.append([Record::new("a")]));
        let mut second = Box::pin(log.append([Record::new("b")]));
        assert!(poll(second.as_mut(), Waker::noop()).is_pending());
        let waker: Waker = Arc::new(Act(Mutex::new(Some(second)), drop)).into();
        assert!(poll(first.as_mut(), &waker).is_pending());
        drop(waker);
        drop(first);
    });
}

#[test]
fn what_becomes_durable_by_closing_is_acknowledged() {
    let log = options().open_in_memory().expect("memory has room");
    let mut appended = Box::pin(log.append([Record::new("a")]));
    assert!(poll(appended.as_mut(), Waker::noop()).is_pending());
    log.close().expect("nothing fails");
    assert!(appended.as_mut().get_mut().wait_for(PATIENCE).expect("it is durable").is_some());
    assert_eq!(log.maintain().expect_err("closed").kind(), ErrorKind::Closed);
    assert_eq!(log.stats().durable_offset, at(1));
}

#[test]
fn a_reopened_partition_answers_its_waiters() {
    let disk = SimDisk::new();
    let log = options().open_in(disk.root()).expect("the disk is well");
    let before = log.append([Record::new("a")]);
    disk.inject(Fault::new(Failure::Io).on(Op::Sync));
    assert!(log.append([Record::new("b")]).wait().is_err());
    assert!(log.append([Record::new("c")]).wait().is_err());
    disk.clear_faults();
    log.reopen().expect("the disk is well again");
    before.wait().expect("it was copied and synced");
    log.append([Record::new("d")]).wait().expect("it takes writes again");
}

/// Batches of later leaders in the new segment, before the one before it is sealed in the manifest.
#[test]
fn leader_epochs_that_grow_during_a_roll_are_recovered() {
    let disk = SimDisk::new();
    let log = options().open_in(disk.root()).expect("the disk is well");
    let append = |epoch: u32| {
        let value = vec![b'x'; 1_000];
        let limits = BatchLimits::new(4 << 10).expect("a limit");
        let batch = Batch::from_records([Record::new(&value)], Timestamp::from_millis(1), limits)
            .and_then(|batch| batch.with_base_offset(log.log_end_offset()))
            .expect("one record")
            .with_leader_epoch(epoch);
        log.append_batch(&batch).wait().expect("there is room");
    };
    while log.segments().len() < 2 {
        append(3);
    }
    append(3);
    append(5);
    log.maintain().expect("nothing fails");
    append(5);
    let end = log.log_end_offset();
    let killed = disk.kill();
    drop(log);
    let log = options().open_in(killed.root()).expect("the log is whole");
    assert_eq!(log.log_end_offset(), end);
    assert_eq!(log.recovery_report().rows, [7]);
}

#[test]
fn a_full_disk_does_not_keep_retention_from_making_room() {
    let disk = SimDisk::new();
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let log = options()
        .retention(Retention::Age(Duration::from_secs(60)))
        .clock(clock.clone())
        .open_in(disk.root())
        .expect("the disk is well");
    while log.segments().len() < 4 {
        log.append_with(Durability::Written, [Record::new(&[7; 500])]).wait().expect("there is room");
    }
    log.flush().wait().expect("nothing fails");
    clock.advance(Duration::from_secs(61));
    log.append([Record::new("fresh")]).wait().expect("there is room");
    disk.inject(Fault::new(Failure::NoSpace).on(Op::Allocate).for_ever());
    for _ in 0..3 {
        drop(log.maintain());
    }
    assert!(log.log_start_offset() > Offset::ZERO, "nothing was deleted: {:?}", log.stats());
}

/// Closing punches the unused reserve out of the file and leaves its size. A store into such a hole on a full
/// disk ends the process with a signal.
#[test]
fn what_closing_gave_back_is_reserved_again_before_it_is_stored_into() {
    let disk = SimDisk::new();
    let options = || options().segment_bytes_max(1 << 20);
    let log = options().open_in(disk.root()).expect("the disk is well");
    log.append([Record::new("a")]).wait().expect("there is room");
    log.close().expect("nothing fails");
    let log = options().open_in(disk.root()).expect("the disk is well");
    disk.set_budget(disk.used_bytes());
    let refused = (0..6).find_map(|_| log.append([Record::new(&[7; 3_000])]).wait().err());
    assert_eq!(refused.expect("the disk is full").kind(), ErrorKind::NoSpace);
    disk.set_budget(u64::MAX);
    log.append([Record::new(&[7; 3_000])]).wait().expect("there is room again");
}

#[test]
fn an_idle_partition_reserves_nothing() {
    let disk = SimDisk::new();
    let log = options().open_in(disk.root()).expect("the disk is well");
    log.append([Record::new("a")]).wait().expect("there is room");
    log.close().expect("nothing fails");
    let log = options().open_in(disk.root()).expect("the disk is well");
    let before = disk.counts().of(Op::Allocate);
    log.maintain().expect("nothing is due");
    assert_eq!(disk.counts().of(Op::Allocate), before);
}

#[test]
fn a_reader_that_is_stuck_ends_and_can_be_asked_again() {
    let log = options().open_in_memory().expect("memory has room");
    log.append([Record::new("a")]).wait().expect("it fits");
    let mut reader = log.read(at(7));
    assert_eq!(reader.by_ref().count(), 1, "one error, and no end of it otherwise");
    assert_eq!(reader.next().expect("asked again").expect_err("beyond").kind(), ErrorKind::OutOfRange);
    reader.seek(Offset::ZERO);
    assert_eq!(reader.filter_map(Result::ok).count(), 1);
}

/// SEMANTICS 9: a look-up by time beside a truncation put the end of the log from before it to the records from behind
/// it, or met a segment that was taken back, and said that it was deleted.
#[test]
fn a_look_up_by_time_beside_a_truncation_sees_what_is_durable() {
    let (disk, interlude) = (MemoryDisk::new(), Interlude::default());
    let open =
        |level| options().read_level(level).open_in(interlude.within(disk.root())).expect("memory has room");
    let stamped = |number| Record::new(&[7; 3_000]).timestamp(Timestamp::from_millis(number));
    let log = open(ReadLevel::Durable);
    for number in 0..40 {
        log.append([stamped(number)]).wait().expect("it fits");
    }
    log.close().expect("memory is well");
    for (level, expected) in [(ReadLevel::Durable, None), (ReadLevel::Written, Some(at(22)))] {
        // None of its segments is open now but the last.
        let log = open(level);
        let cutting = log.clone();
        interlude.set(Cue::Open, move || {
            cutting.truncate(at(20)).expect("it lies in the log");
            for number in 18..24 {
                cutting.append_with(Durability::Written, [stamped(number)]).wait().expect("it fits");
            }
        });
        let found = log.offset_for_time(Timestamp::from_millis(20)).expect("there is an answer");
        assert!(!interlude.cancel(), "records were taken back before a segment was opened");
        assert_eq!(found.map(|found| found.offset()), expected);
        for number in 24..40 {
            log.append([stamped(number)]).wait().expect("it fits");
        }
        log.close().expect("memory is well");
    }
}

/// SEMANTICS 23: a segment that was taken back said `Corrupt` once another had got its name, whether it was held from
/// before the truncation that took it back, or from before one that had cut it short.
#[test]
fn a_segment_that_was_taken_back_is_out_of_range_where_another_has_its_name() {
    for is_cut_short in [false, true] {
        let disk = MemoryDisk::new();
        let open = || options().open_in(disk.root()).expect("memory has room");
        let append = |log: &Partition, count| {
            for _ in 0..count {
                log.append([Record::new(&[7; 3_000])]).wait().expect("it fits");
            }
        };
        let log = open();
        append(&log, 420);
        log.close().expect("memory is well");
        // None of its segments is open now but the last.
        let log = open();
        let held = log.segments()[80].clone();
        let begins = held.first_offset();
        if is_cut_short {
            log.truncate(begins.saturating_add(1)).expect("it lies in the log");
            assert_ne!(held.end_offset(), log.segments()[80].end_offset());
            // So many others are opened that it is closed.
            assert_eq!(
                log.read(Offset::ZERO).map_while(Result::ok).flatten().count() as u64,
                begins.get() + 1
            );
        }
        log.truncate(at(begins.get() - 2)).expect("it lies in the log");
        append(&log, 4);
        log.truncate(begins).expect("it lies in the log");
        let fresh = log.segments().last().cloned().expect("there is one");
        assert_eq!(fresh.path(), held.path());
        let error = held.read_raw(&mut [0; 8], 0).expect_err("it is gone");
        assert_eq!(error.kind(), ErrorKind::OutOfRange, "{error}");
        assert_eq!(fresh.read_raw(&mut [0; 8], 0).expect("it is there"), 8);
    }
}

/// Verifying beside deletion said `OutOfRange`, though nobody had asked for an offset.
#[test]
fn verifying_beside_deletion_reads_what_is_left() {
    let (disk, interlude) = (MemoryDisk::new(), Interlude::default());
    let open = || options().open_in(interlude.within(disk.root())).expect("memory has room");
    let log = open();
    for _ in 0..40 {
        log.append([Record::new(&[7; 3_000])]).wait().expect("it fits");
    }
    log.close().expect("memory is well");
    let log = open();
    let deleting = log.clone();
    interlude.set(Cue::Open, move || deleting.delete_records(at(30)).expect("they are there"));
    let report = log.verify().expect("nothing fails");
    assert!(!interlude.cancel(), "segments were deleted before they were opened");
    assert!(!report.is_damaged());
    assert!((10..20).contains(&report.good_offsets), "{}", report.good_offsets);
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

/// A look-up by time that met a segment which was deleted before it could be opened said `OutOfRange`, though
/// nobody had asked for an offset.
#[test]
fn a_look_up_by_time_beside_deletion_finds_what_is_left() {
    let interlude = Interlude::default();
    let disk = MemoryDisk::new();
    let open = || options().open_in(interlude.within(disk.root())).expect("memory has room");
    let log = open();
    for number in 0..40 {
        let record = Record::new(&[7; 3_000]).timestamp(Timestamp::from_millis(number));
        log.append([record]).wait().expect("it fits");
    }
    log.close().expect("memory is well");
    // None of its segments is open now but the last.
    let log = open();
    let deleting = log.clone();
    interlude.set(Cue::Open, move || deleting.delete_records(at(30)).expect("they are there"));
    let found = log.offset_for_time(Timestamp::from_millis(5)).expect("there is an answer");
    assert!(!interlude.cancel(), "the segment was deleted before it was opened");
    assert_eq!(found.map(|found| found.offset()), Some(at(30)));
}

/// Retention of no time at all deletes the active segment too, by leaving it. Appends that came meanwhile were
/// too old at once, so that it was left again, and so on for as long as somebody appended.
#[test]
fn a_log_that_is_kept_for_no_time_is_left_once_at_a_time() {
    /// Appends in this sync and in as many more.
    fn append_in_syncs(log: &Partition, clock: &ManualClock, interlude: &Interlude, more: usize) {
        let (log, clock, again) = (log.clone(), clock.clone(), interlude.clone());
        interlude.set(Cue::Sync, move || {
            log.append_with(Durability::Written, [Record::new("x")]).wait().expect("it fits");
            clock.advance(Duration::from_millis(1));
            if let Some(more) = more.checked_sub(1) {
                append_in_syncs(&log, &clock, &again, more);
            }
        });
    }
    let (clock, interlude) = (ManualClock::new(Timestamp::from_millis(1_000)), Interlude::default());
    let options = options().clock(clock.clone()).retention(Retention::Age(Duration::ZERO));
    let log = options.open_in(interlude.within(MemoryDisk::new().root())).expect("memory has room");
    log.append([Record::new("x")]).wait().expect("it fits");
    clock.advance(Duration::from_millis(1));
    let newest = || log.segments().last().map_or(0, |newest| newest.sequence());
    append_in_syncs(&log, &clock, &interlude, 60);
    let before = newest();
    log.maintain().expect("memory is well");
    assert_eq!(newest() - before, 1);
    assert!(interlude.cancel(), "appends would have gone on");
    assert!(log.log_start_offset() > Offset::ZERO);
}

/// What `work` came to, which begins while the log is being cut at `to`, and goes on behind that.
fn behind_a_truncation<T: Send + 'static>(
    (log, interlude): (&Partition, &Interlude),
    to: u64,
    work: impl FnOnce(&Partition) -> T + Send + 'static,
) -> T {
    let (begun, beginning) = mpsc::channel();
    let other = log.clone();
    interlude.set(Cue::Sync, move || {
        let working = std::thread::spawn(move || work(&other));
        // Time to come as far as to the lock of structural changes.
        std::thread::sleep(Duration::from_millis(50));
        begun.send(working).expect("the test waits for it");
    });
    assert_eq!(log.truncate(at(to)).expect("it lies in the log"), at(to));
    let working = beginning.recv().expect("a truncation syncs something");
    working.join().expect("it does not panic")
}

/// A log of a hundred durable records, on a disk that lets something happen in between.
fn hundred_records() -> (SimDisk, Interlude, Partition) {
    let (disk, interlude) = (SimDisk::new(), Interlude::default());
    let log = options().open_in(interlude.within(disk.root())).expect("the disk is well");
    append_written(&log, 100);
    log.flush().wait().expect("the disk is well");
    (disk, interlude, log)
}

/// A deletion looked at the log end, and then waited for a truncation that took the end back: the log began beyond
/// its end, took records that nobody could read, and was refused as damaged when it was opened again.
#[test]
fn a_deletion_never_goes_beyond_what_a_truncation_left() {
    for refill in [0_u64, 60] {
        let (disk, interlude, log) = hundred_records();
        let deleted = behind_a_truncation((&log, &interlude), 50, move |log| {
            let filling = log.clone();
            let fill = std::thread::spawn(move || append_written(&filling, refill));
            let deleted = log.delete_records(at(100));
            fill.join().expect("it does not panic");
            deleted
        });
        match deleted {
            Ok(()) => assert_eq!((refill, log.log_start_offset()), (60, at(100))),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::OutOfRange, "{error}");
                assert_eq!(log.log_start_offset(), Offset::ZERO);
            }
        }
        assert!(log.log_start_offset() <= log.durable_offset(), "{log:?}");
        let appended = log.append([Record::new("z")]).wait().expect("there is room");
        assert_eq!(appended.base_offset(), at(50 + refill));
        let found = log.read(appended.base_offset()).next().expect("it is there").expect("it can be read");
        assert_eq!(found.iter().next().map(|record| record.value()), Some(&b"z"[..]));
        for disk in [disk.kill(), disk.power_cut(|_| annals::io::Fate::Lost)] {
            let again = options().open_in(disk.root()).expect("it is undamaged");
            assert_eq!(again.log_start_offset(), log.log_start_offset());
            assert_eq!(again.log_end_offset(), appended.next_offset());
        }
    }
}

fn append_written(log: &Partition, count: u64) {
    for _ in 0..count {
        log.append_with(Durability::Written, [Record::new("y")]).wait().expect("there is room");
    }
}

/// Appends inside of the first sync after the hundred records were cut.
fn append_in_a_sync_behind_the_cut(log: &Partition, interlude: &Interlude) {
    let (log, again) = (log.clone(), interlude.clone());
    interlude.set(Cue::Sync, move || match log.log_end_offset() < at(100) {
        true => append_written(&log, 49),
        false => append_in_a_sync_behind_the_cut(&log, &again),
    });
}

/// A truncation that waited for another one looked at an end that was gone. Where appends had come in between, it
/// kept records that were never synced, as durable ones.
#[test]
fn a_truncation_behind_another_keeps_only_what_is_synced() {
    let (_, interlude, log) = hundred_records();
    let cut = behind_a_truncation((&log, &interlude), 50, |log| log.truncate(at(80)));
    assert_eq!(cut.expect_err("nothing is there to be cut").kind(), ErrorKind::OutOfRange);
    assert_eq!(log.log_end_offset(), at(50));

    let (disk, interlude, log) = hundred_records();
    let again = interlude.clone();
    let cut = behind_a_truncation((&log, &interlude), 50, move |log| {
        append_in_a_sync_behind_the_cut(log, &again);
        let appending = log.clone();
        let first = std::thread::spawn(move || append_written(&appending, 1));
        // The append waits for its lock first, so that the second truncation has something to sync.
        std::thread::sleep(Duration::from_millis(20));
        let cut = log.truncate(at(80));
        first.join().expect("it does not panic");
        cut
    });
    let image = disk.power_cut(|_| annals::io::Fate::Lost);
    match cut {
        Ok(end) => assert_eq!(end, at(80)),
        Err(error) => assert_eq!(error.kind(), ErrorKind::OutOfRange, "{error}"),
    }
    let again = options().open_in(image.root()).expect("it is undamaged");
    assert!(again.log_end_offset() >= log.durable_offset());
    assert_eq!(again.verify().expect("reads succeed").damage, [], "what counted as durable is gone");
}

/// Whoever asked for a partition that a user was closing heard that it is locked, by its own closing.
#[test]
fn a_partition_that_is_being_closed_is_opened_once_that_is_done() {
    let interlude = Interlude::default();
    let options = Broker::options().maintenance(Maintenance::Manual);
    let broker = options.open_in(interlude.within(MemoryDisk::new().root())).expect("memory has room");
    let topic = broker.create_topic("t", TopicOptions::new()).expect("memory has room");
    let log = topic.partition(0).expect("it is well");
    log.append([Record::new("a")]).wait().expect("it fits");
    let (asked, asking) = mpsc::channel();
    let (topic, again) = (topic.clone(), interlude.clone());
    // The first sync is that of the last mark, the second that of the manifest.
    interlude.set(Cue::Sync, move || {
        again.set(Cue::Sync, move || {
            std::thread::spawn(move || drop(asked.send(topic.partition(0))));
            std::thread::sleep(Duration::from_millis(50));
        });
    });
    log.close().expect("memory is well");
    let again = asking.recv_timeout(PATIENCE).expect("it neither hangs nor panics").expect("it is well");
    assert_eq!(again.append([Record::new("b")]).wait().expect("it fits").base_offset(), at(1));
}

/// Taking space ahead, which may write zeros, outlasted a recovery, or a close and an open by somebody else: then
/// the zeros came over batches that had been appended meanwhile.
#[test]
fn a_log_changes_hands_only_once_nobody_takes_space_for_it() {
    let ways: [fn(&Partition, &SimDisk); 2] = [
        |log, _| log.close().expect("the disk is well"),
        |log, disk| {
            disk.inject(Fault::new(Failure::Io).on(Op::Sync).within("manifest"));
            log.delete_records(at(1)).expect_err("the manifest is not stored");
            disk.clear_faults();
            log.reopen().expect("the disk is well again");
        },
    ];
    for way in ways {
        let (disk, interlude) = (SimDisk::new(), Interlude::default());
        let options = options().segment_bytes_max(1 << 20);
        let log = options.open_in(interlude.within(disk.root())).expect("the disk is well");
        for _ in 0..12 {
            log.append([Record::new(&[7; 3_000])]).wait().expect("there is room");
        }
        let (begin, begun) = mpsc::channel();
        let (go_on, going_on) = mpsc::channel();
        interlude.set(Cue::Reserve, move || {
            begin.send(()).expect("somebody waits for it");
            going_on.recv().expect("somebody lets it go on");
        });
        let maintained = log.clone();
        let maintaining = std::thread::spawn(move || drop(maintained.maintain()));
        begun.recv_timeout(PATIENCE).expect("more than half of the reserve is used");
        let (done, ended) = mpsc::channel();
        let (changed, faulty) = (log.clone(), disk.clone());
        std::thread::spawn(move || {
            way(&changed, &faulty);
            done.send(()).expect("somebody waits for it");
        });
        ended.recv_timeout(Duration::from_millis(100)).expect_err("space is still being taken");
        go_on.send(()).expect("it waits for this");
        ended.recv_timeout(PATIENCE).expect("it neither hangs nor panics");
        maintaining.join().expect("it neither hangs nor panics");
    }
}
