//! What the handles promise: waiting, waking, closing, refusing.

use super::{START, append, at, drain, offsets, options, sim, value};
use crate::wakers::{Alarm, PATIENCE, block_on};
use annals::clock::ManualClock;
use annals::io::{Op, SimDisk};
use annals::{
    Batch, BatchLimits, Durability, ErrorKind, Follower, Maintenance, Partition, Pending, ReadLevel, Reader,
    Record, Records, Segment, WriteMode,
};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

#[test]
fn handles_can_be_shared_and_readers_sent() {
    fn shared<T: Send + Sync + Clone>() {}
    fn sent<T: Send>() {}
    fn both<T: Send + Sync>() {}
    shared::<Partition>();
    shared::<Follower>();
    shared::<Records>();
    shared::<annals::OwnedRecord>();
    both::<Segment>();
    sent::<Reader>();
    sent::<Pending<annals::Appended>>();
}

/// Partitions whose clock stands still, so that no timer helps: one with its thread, one without.
fn open(maintenance: Maintenance) -> Partition {
    open_to_write(maintenance, WriteMode::Automatic)
}

fn open_to_write(maintenance: Maintenance, mode: WriteMode) -> Partition {
    let options = options(&ManualClock::new(START)).maintenance(maintenance).write_mode(mode);
    options.open_in(SimDisk::new().root()).expect("an empty disk can be opened")
}

#[test]
fn an_append_can_be_awaited_waited_for_or_left_alone() {
    let log = open(Maintenance::Threads);
    assert_eq!(log.append([Record::new("a")]).wait().expect("there is room").base_offset(), at(0));
    let mut receipt = log.append([Record::new("b")]);
    let appended = receipt.wait_for(PATIENCE).expect("there is room").expect("it takes no time");
    assert_eq!(appended.base_offset(), at(1));
    assert_eq!(receipt.wait().expect_err("it was taken").kind(), ErrorKind::InvalidInput);
    assert_eq!(block_on(log.append([Record::new("c")])).expect("there is room").base_offset(), at(2));
    drop(log.append([Record::new("d")]));
    let durable = log.wait_past_at(ReadLevel::Written, at(3)).wait_for(PATIENCE).expect("no failure");
    assert!(durable.is_some());
    let deadline = Instant::now() + PATIENCE;
    while log.durable_offset() < at(4) {
        assert!(Instant::now() < deadline, "a dropped receipt was forgotten");
        std::thread::yield_now();
    }
}

#[test]
fn without_a_thread_the_demand_of_futures_waits_for_maintain() {
    let log = open(Maintenance::Manual);
    drop(log.append([Record::new("a")]));
    assert_eq!(log.durable_offset(), at(0));
    log.maintain().expect("nothing fails");
    assert_eq!(log.durable_offset(), at(1), "a dropped receipt is a demand all the same");
    let mut receipt = log.append([Record::new("b")]);
    let mut flushed = log.flush();
    let (one, two) = (Arc::new(Alarm::default()), Arc::new(Alarm::default()));
    assert!(one.poll(&mut receipt).is_pending());
    assert!(two.poll(&mut flushed).is_pending());
    assert!(!one.rang() && !two.rang());
    log.maintain().expect("nothing fails");
    assert!(one.rang() && two.rang());
    assert!(matches!(one.poll(&mut receipt), Poll::Ready(Ok(appended)) if appended.base_offset() == at(1)));
    assert!(matches!(two.poll(&mut flushed), Poll::Ready(Ok(()))));
}

#[test]
fn a_waiter_is_woken_by_the_append_it_waits_for() {
    for maintenance in [Maintenance::Threads, Maintenance::Manual] {
        let log = open(maintenance);
        for offset in 0..30 {
            let alarm = Arc::new(Alarm::default());
            let mut past = log.wait_past_at(ReadLevel::Written, at(offset));
            assert!(alarm.poll(&mut past).is_pending());
            append(&log, Durability::Written, offset..offset + 1, 10);
            assert!(alarm.rang(), "nobody was woken by offset {offset}");
            assert!(matches!(alarm.poll(&mut past), Poll::Ready(Ok(()))));
        }
    }
    let log = open(Maintenance::Threads);
    let waiters: Vec<_> = (0..4)
        .map(|waiter| {
            let log = log.clone();
            std::thread::spawn(move || {
                for offset in 0..100 {
                    let level = if waiter % 2 == 0 { ReadLevel::Durable } else { ReadLevel::Written };
                    let past = log.wait_past_at(level, at(offset));
                    if waiter < 2 {
                        block_on(past).expect("no failure");
                    } else {
                        let mut past = past;
                        assert!(
                            past.wait_for(PATIENCE).expect("no failure").is_some(),
                            "not woken at {offset}"
                        );
                    }
                }
            })
        })
        .collect();
    append(&log, Durability::Written, 0..100, 10);
    waiters.into_iter().for_each(|waiter| waiter.join().expect("each is woken in time"));
}

#[test]
fn close_wakes_everybody_and_keeps_what_was_written() {
    for maintenance in [Maintenance::Threads, Maintenance::Manual] {
        let (disk, clock) = (SimDisk::new(), ManualClock::new(START));
        let log = options(&clock).maintenance(maintenance).open_in(disk.root()).expect("an empty disk");
        append(&log, Durability::Written, 0..5, 10);
        let records =
            log.read(at(0)).level(ReadLevel::Written).next().expect("there are some").expect("readable");
        let alarms = [(); 2].map(|()| Arc::new(Alarm::default()));
        let mut waiting =
            [ReadLevel::Written, ReadLevel::Durable].map(|level| log.wait_past_at(level, at(5)));
        for (alarm, past) in alarms.iter().zip(&mut waiting) {
            assert!(alarm.poll(past).is_pending());
        }
        let blocked = std::thread::spawn({
            let log = log.clone();
            move || log.wait_past(at(7)).wait()
        });
        std::thread::sleep(Duration::from_millis(5));
        log.clone().close().expect("nothing fails");
        for (alarm, past) in alarms.iter().zip(&mut waiting) {
            assert!(alarm.rang(), "a waiter sleeps on");
            assert!(matches!(alarm.poll(past), Poll::Ready(Err(error)) if error.kind() == ErrorKind::Closed));
        }
        let error = blocked.join().expect("no panic").expect_err("closed");
        assert_eq!(error.kind(), ErrorKind::Closed);
        log.close().expect("a second close does nothing");
        for error in [
            log.append([Record::new("a")]).wait().map(drop).expect_err("closed"),
            log.delete_records(at(1)).expect_err("closed"),
            log.truncate(at(1)).map(drop).expect_err("closed"),
            log.reopen().expect_err("closed"),
        ] {
            assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
        }
        assert_eq!(records.iter().count(), 5, "records that are out stay valid");
        let log = options(&clock)
            .open_in(disk.power_cut(|_| annals::io::Fate::Lost).root())
            .expect("it was closed");
        assert_eq!(offsets(&log, ReadLevel::Durable, 0), [0, 1, 2, 3, 4]);
    }
}

#[test]
fn the_last_handle_closes_and_the_directory_is_locked_until_then() {
    let (disk, clock, log) = sim();
    let again = || options(&clock).open_in(disk.root());
    let other = log.clone();
    append(&log, Durability::Written, 0..5, 10);
    drop(log);
    assert_eq!(again().expect_err("a handle is left").kind(), ErrorKind::Locked);
    assert_eq!(offsets(&other, ReadLevel::Written, 0).len(), 5);
    drop(other);
    assert_eq!(offsets(&again().expect("nobody has it"), ReadLevel::Durable, 0).len(), 5);
}

#[test]
fn an_append_on_condition_stores_nothing_when_it_does_not_hold() {
    let (_, _, log) = sim();
    append(&log, Durability::Durable, 0..3, 10);
    for expected in [0, 2, 4, 99] {
        let error = log.append_if(at(expected), [Record::new("x")]).wait().expect_err("the log ends at 3");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(log.log_end_offset(), at(3));
    }
    assert_eq!(log.append_if(at(3), [Record::new("x")]).wait().expect("it does").base_offset(), at(3));
}

fn batch(base: u64, epoch: u32, number: u64) -> Batch {
    let value = value(number, 20);
    let records = [Record::new(&value).key("k").header("h", "v"), Record::tombstone().key("")];
    let batch = Batch::from_records(records, START, BatchLimits::default()).expect("it is small");
    batch.with_base_offset(at(base)).expect("in range").with_leader_epoch(epoch)
}

#[test]
fn a_replica_appends_batches_as_they_are() {
    let (disk, clock, log) = sim();
    let refused = |base, epoch| log.append_batch(&batch(base, epoch, 0)).wait().expect_err("refused").kind();
    assert_eq!(log.append_batch(&batch(0, 3, 0)).wait().expect("it fits").next_offset(), at(2));
    assert_eq!(refused(0, 3), ErrorKind::Conflict);
    assert_eq!(refused(3, 3), ErrorKind::Conflict);
    assert_eq!(refused(2, 2), ErrorKind::Fenced);
    log.append_batch(&batch(2, 3, 1)).wait().expect("the same epoch");
    log.append_batch(&batch(4, 7, 2)).wait().expect("a later epoch");
    let found: Vec<_> = log.read(at(0)).flat_map(|records| records.expect("readable")).collect();
    assert_eq!(found.iter().map(|record| record.leader_epoch()).collect::<Vec<_>>(), [3, 3, 3, 3, 7, 7]);
    assert_eq!(found[2].value(), value(1, 20));
    assert!(found[1].is_tombstone() && found[1].key() == Some(b""));
    // What is appended without a word of it belongs to the epoch that the log is in, after a restart as well.
    log.append([Record::new("a")]).wait().expect("there is room");
    drop(log);
    let log = super::reopen(&disk, &clock);
    assert_eq!(log.append_batch(&batch(7, 6, 0)).wait().expect_err("earlier").kind(), ErrorKind::Fenced);
    log.append_batch(&batch(7, 7, 0)).wait().expect("the same");
}

#[test]
fn what_is_too_large_or_empty_is_refused_before_anything_is_written() {
    let (disk, _, log) = sim();
    let before = disk.content_hash();
    let large = vec![0; 8 << 10];
    assert_eq!(log.append([Record::new(&large)]).wait().expect_err("too large").kind(), ErrorKind::TooLarge);
    assert_eq!(log.append([]).wait().expect_err("no record").kind(), ErrorKind::InvalidInput);
    let many = (0..100).map(|_| Record::new(&large[..100]));
    assert_eq!(log.append(many).wait().expect_err("too large").kind(), ErrorKind::TooLarge);
    assert_eq!(disk.content_hash(), before);
    assert_eq!(log.log_end_offset(), at(0));
}

#[test]
fn a_clean_reopen_and_close_writes_nothing_but_the_lock() {
    let (disk, clock, log) = sim();
    append(&log, Durability::Durable, 0..120, 300);
    log.close().expect("nothing fails");
    // The first open of a process may have to make sure of the manifest's name.
    drop(super::reopen(&disk, &clock));
    let hash = disk.content_hash();
    let before = disk.counts();
    let log = super::reopen(&disk, &clock);
    assert_eq!(offsets(&log, ReadLevel::Durable, 0).len(), 120);
    log.close().expect("nothing fails");
    assert_eq!(disk.content_hash(), hash);
    let done = disk.counts() - before;
    // The note in the lock file is the one thing that is written.
    let ops = [Op::Write, Op::Store, Op::Allocate, Op::Punch, Op::Create, Op::Rename, Op::Remove];
    assert_eq!(ops.map(|op| done.of(op)), [0; 7], "{done:?}");
}

/// Four producers and two readers: order, atomicity, and no record that is not whole.
#[test]
fn readers_beside_writers_see_whole_batches_in_order() {
    let ways = [(Maintenance::Threads, WriteMode::Automatic), (Maintenance::Manual, WriteMode::Pwrite)];
    for (maintenance, mode) in ways {
        let log = open_to_write(maintenance, mode);
        std::thread::scope(|scope| {
            for producer in 0..3_u64 {
                let log = log.clone();
                scope.spawn(move || {
                    for number in 0..150 {
                        let payload = value(producer * 1_000 + number, 50 + (number as usize * 37) % 4_000);
                        let level = if number % 8 == 0 { Durability::Durable } else { Durability::Written };
                        let records = [Record::new(&payload), Record::new(&payload)];
                        log.append_with(level, records).wait().expect("there is room");
                    }
                });
            }
            for level in [ReadLevel::Written, ReadLevel::Durable] {
                let log = log.clone();
                scope.spawn(move || in_order(&log, level));
            }
        });
    }
}

fn in_order(log: &Partition, level: ReadLevel) {
    let mut reader = log.read(at(0)).level(level);
    let mut last = [None; 3];
    let mut count = 0;
    let deadline = Instant::now() + PATIENCE;
    while count < 900 {
        for (offset, value) in drain(&mut reader).expect("each batch is whole") {
            assert_eq!(offset, count);
            let digits: String =
                value.iter().take_while(|byte| byte.is_ascii_digit()).map(|b| char::from(*b)).collect();
            let number: u64 = digits.parse().expect("it begins with its number");
            let producer = usize::try_from(number / 1_000).expect("there are three");
            let expected = (number % 1_000, count % 2);
            let before: Option<(u64, u64)> = last[producer];
            let follows = before.map_or((0, 0), |(n, half)| if half == 0 { (n, 1) } else { (n + 1, 0) });
            assert_eq!(expected, follows, "producer {producer} out of order at offset {offset}");
            last[producer] = Some(expected);
            count += 1;
        }
        assert!(Instant::now() < deadline, "only {count} of 900 records came");
        if count < 900 {
            let wait = log.wait_past_at(level, at(count)).wait_for(Duration::from_secs(5));
            assert!(wait.expect("no failure").is_some(), "offset {count} never came");
        }
    }
}
