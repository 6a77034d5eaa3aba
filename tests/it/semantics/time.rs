//! Time: SEMANTICS 12 to 16.

use super::{START, append, at, offsets, options, sim};
use annals::clock::ManualClock;
use annals::io::{Fate, SimDisk};
use annals::{Durability, Partition, ReadLevel, Record, Retention, Timestamp, TimestampSource};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// SEMANTICS 12
#[test]
fn offset_for_time_is_the_first_record_at_or_after() {
    let (disk, clock, log) = sim();
    let mut rng = fastrand::Rng::with_seed(12);
    let mut stamps = Vec::new();
    for _ in 0..250 {
        let batch: Vec<i64> = (0..rng.usize(1..5)).map(|_| 1_000 + rng.i64(0..40) * 10).collect();
        let value = "v".repeat(rng.usize(..500));
        let records = batch.iter().map(|t| Record::new(&value).timestamp(Timestamp::from_millis(*t)));
        log.append(records).wait().expect("there is room");
        stamps.extend(batch);
    }
    let check = |log: &Partition, from: usize| {
        for t in (990..1_420).step_by(5).chain([i64::MIN, i64::MAX]) {
            let scan = stamps.iter().enumerate().skip(from).find(|(_, stamp)| **stamp >= t);
            let found = log.offset_for_time(Timestamp::from_millis(t)).expect("it can be read");
            let found = found.map(|found| (found.offset().get() as usize, found.timestamp().as_millis()));
            assert_eq!(found, scan.map(|(offset, stamp)| (offset, *stamp)), "time {t}");
        }
    };
    check(&log, 0);
    log.delete_records(at(123)).expect("it lies in the log");
    check(&log, 123);
    log.close().expect("nothing fails");
    check(&super::reopen(&disk, &clock), 123);
}

/// SEMANTICS 13
#[test]
fn far_stamps_neither_keep_nor_expire_a_segment() {
    let clock = ManualClock::new(START);
    let open =
        || options(&clock).retention(Retention::Age(HOUR)).open_in(SimDisk::new().root()).expect("empty");
    let far = [
        Timestamp::from_millis(0),
        Timestamp::from_millis(-1),
        Timestamp::MAX,
        START.saturating_add(HOUR * 99_999),
    ];
    for stamp in far {
        let log = open();
        log.append([Record::new("a").timestamp(stamp)]).wait().expect("there is room");
        append(&log, Durability::Durable, 1..100, 300);
        clock.advance(HOUR / 2);
        log.maintain().expect("nothing fails");
        assert_eq!(
            offsets(&log, ReadLevel::Durable, 0).len(),
            100,
            "{stamp}: half an hour old, and it is gone"
        );
        clock.advance(HOUR);
        log.maintain().expect("nothing fails");
        assert_eq!(log.log_start_offset(), at(100), "{stamp} keeps the log from expiring");
    }
    a_clock_that_was_ahead();
}

/// What was appended while the clock was a year ahead is no younger than what came after it.
fn a_clock_that_was_ahead() {
    let disk = SimDisk::new();
    let open = |clock: &ManualClock| {
        let options = options(clock).retention(Retention::Age(HOUR));
        options.open_in(disk.root()).expect("it can be opened")
    };
    let log = open(&ManualClock::new(START.saturating_add(HOUR * 24 * 365)));
    append(&log, Durability::Durable, 0..60, 300);
    log.close().expect("nothing fails");
    let clock = ManualClock::new(START);
    let log = open(&clock);
    append(&log, Durability::Durable, 60..200, 300);
    clock.advance(HOUR * 2);
    log.maintain().expect("nothing fails");
    assert_eq!(log.log_start_offset(), at(200));
}

/// How a process ended.
type Ending = fn(SimDisk, &Partition) -> SimDisk;

/// SEMANTICS 13: one start of the process with the clock far behind makes nothing old, however it ends, neither in
/// the segment that it goes on in nor before one that it begins.
#[test]
fn a_clock_that_was_behind_for_one_start_expires_nothing() {
    let closed: Ending = |disk, log| {
        log.close().expect("nothing fails");
        disk
    };
    let killed: Ending = |disk, _| disk.kill();
    let cut: Ending = |disk, _| disk.power_cut(|_| Fate::Lost);
    for (before, behind) in [(closed, closed), (killed, killed), (cut, cut), (closed, killed), (closed, cut)]
    {
        for (first, more) in [(20, 1), (20, 100), (1, 1), (1, 100)] {
            one_start_behind(before, behind, first, first + more);
        }
    }
}

/// Appends records up to `first` by the right clock, and from there to `end` by one that is behind.
fn one_start_behind(before: Ending, behind: Ending, first: u64, end: u64) {
    let week = HOUR * 24 * 7;
    let open = |disk: &SimDisk, clock: &ManualClock| {
        let options = options(clock).retention(Retention::Age(week));
        options.open_in(disk.root()).expect("it can be opened")
    };
    let disk = SimDisk::new();
    let log = open(&disk, &ManualClock::new(START));
    append(&log, Durability::Durable, 0..first, 300);
    let disk = before(disk, &log);
    let log = open(&disk, &ManualClock::new(START.saturating_sub(week * 520)));
    append(&log, Durability::Durable, first..end, 300);
    let disk = behind(disk, &log);
    let clock = ManualClock::new(START.saturating_add(HOUR));
    let log = open(&disk, &clock);
    log.maintain().expect("nothing fails");
    assert_eq!(log.log_start_offset(), at(0), "{first} records, then up to {end}");
    assert_eq!(offsets(&log, ReadLevel::Durable, 0).len() as u64, end);
    clock.advance(week + HOUR);
    log.maintain().expect("nothing fails");
    assert_eq!(log.log_start_offset(), at(end), "{first} records, then up to {end}, a week later");
}

/// SEMANTICS 14: what retention takes for the present is no moment of this process: a clock that was wrong when the
/// partition was opened, and then set right, is believed when it has shown the right time for an hour.
#[test]
fn a_clock_that_was_set_right_after_the_start_expires_what_is_old() {
    for off in [Timestamp::from_millis(0), START.saturating_add(HOUR * 24 * 365)] {
        let clock = ManualClock::new(off);
        let options = options(&clock).retention(Retention::Age(HOUR));
        let log = options.open_in(SimDisk::new().root()).expect("it can be opened");
        append(&log, Durability::Durable, 0..20, 300);
        clock.set(START);
        append(&log, Durability::Durable, 20..40, 300);
        log.maintain().expect("nothing fails");
        assert_eq!(log.log_start_offset(), at(0), "nothing is an hour old");
        clock.advance(HOUR);
        append(&log, Durability::Durable, 40..100, 300);
        log.maintain().expect("nothing fails");
        assert!(log.log_start_offset() <= at(40), "the last ones are not an hour old");
        clock.advance(HOUR * 2);
        log.maintain().expect("nothing fails");
        assert_eq!(log.log_start_offset(), at(100));
    }
}

/// SEMANTICS 14
#[test]
fn the_age_of_a_segment_survives_a_restart() {
    let disk = SimDisk::new();
    let mut wall = START;
    // Every life begins with a monotonic clock of its own.
    let open = |wall: Timestamp| {
        let clock = ManualClock::new(wall);
        let options = options(&clock).retention(Retention::Age(HOUR));
        (options.open_in(disk.root()).expect("it can be opened"), clock)
    };
    let (log, _) = open(wall);
    append(&log, Durability::Durable, 0..100, 300);
    log.close().expect("nothing fails");
    for (minutes, is_there) in [(25, true), (50, true), (65, false)] {
        wall = START.saturating_add(Duration::from_secs(minutes * 60));
        let (log, _) = open(wall);
        log.maintain().expect("nothing fails");
        assert_eq!(log.log_start_offset(), if is_there { at(0) } else { at(100) }, "after {minutes} minutes");
        log.close().expect("nothing fails");
    }
    let (log, _) = open(wall);
    assert_eq!(log.log_end_offset(), at(100));
}

/// SEMANTICS 14: so it is with the age at which a segment is left for a new one, whichever life it was begun in.
#[test]
fn the_age_at_which_a_segment_rolls_survives_a_restart() {
    let mut disk = SimDisk::new();
    for (life, minutes, segments) in [(0, 0, 1), (1, 40, 1), (2, 65, 2)] {
        let clock = ManualClock::new(START.saturating_add(Duration::from_secs(minutes * 60)));
        let log = options(&clock).segment_age_max(HOUR).open_in(disk.root()).expect("it can be opened");
        append(&log, Durability::Durable, life..life + 1, 300);
        assert_eq!(log.segments().len(), segments, "after {minutes} minutes");
        disk = disk.kill();
    }
}

/// SEMANTICS 15
#[test]
fn clock_steps_change_neither_offsets_nor_acknowledgements() {
    let (disk, clock, log) = sim();
    for number in 0..100 {
        clock.set(START.saturating_add(HOUR * 100).saturating_sub(HOUR * (number as u32 * 37 % 200)));
        append(&log, Durability::Durable, number..number + 1, 300);
        log.maintain().expect("nothing fails");
        assert_eq!(log.durable_offset().get(), number + 1);
    }
    assert_eq!(offsets(&log, ReadLevel::Durable, 0), (0..100).collect::<Vec<_>>());
    let started = std::time::Instant::now();
    let mut waiting = log.wait_past(at(100));
    clock.set(START.saturating_add(HOUR * 9_999));
    assert!(waiting.wait_for(Duration::from_millis(30)).expect("no failure").is_none());
    assert!(started.elapsed() >= Duration::from_millis(30), "a step of the wall clock ended a wait");
    drop(log);
    clock.set(Timestamp::from_millis(1));
    let log = super::reopen(&disk, &clock);
    append(&log, Durability::Durable, 100..101, 1);
    assert_eq!(offsets(&log, ReadLevel::Durable, 0).len(), 101);
}

/// A partition that stamps records itself shows its own times, and finds by them.
#[test]
fn a_partition_at_log_append_time_shows_its_own_times() {
    let clock = ManualClock::new(START);
    let options = options(&clock).timestamps(TimestampSource::LogAppendTime);
    let log = options.open_in(SimDisk::new().root()).expect("an empty disk");
    let appended =
        log.append([Record::new("a").timestamp(Timestamp::from_millis(5))]).wait().expect("there is room");
    assert_eq!(appended.timestamp(), START);
    clock.advance(HOUR);
    log.append([Record::new("b").timestamp(Timestamp::MAX)]).wait().expect("there is room");
    let records: Vec<_> = log.read(at(0)).flat_map(|records| records.expect("it can be read")).collect();
    let stamps: Vec<_> = records.iter().map(|record| record.timestamp()).collect();
    assert_eq!(stamps, [START, START.saturating_add(HOUR)]);
    let found =
        log.offset_for_time(START.saturating_add(HOUR / 2)).expect("it can be read").expect("one is later");
    assert_eq!(found.offset(), at(1));
}
