//! The cap on the disk that all topics of a broker take together.

use crate::basics::{tempdir, values};
use crate::crash::interlude::{Cue, Interlude};
use crate::figure;
use crate::proof::{Count, Size};
use annals::clock::ManualClock;
use annals::io::{Dir, EntryKind, MemoryDisk, SimDisk};
use annals::{
    Broker, BrokerOptions, Durability, ErrorKind, Maintenance, Offset, Partition, Record, Result, Retention,
    Timestamp, Topic, TopicOptions, WriteMode,
};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

const CAP: u64 = 3 << 20;
const SEGMENT_BYTES: u64 = 64 << 10;
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// A policy that permits deletion and asks for none.
const YEAR: Retention = Retention::Age(Duration::from_secs(31_536_000));

fn options(clock: &ManualClock) -> BrokerOptions {
    let options = Broker::options().maintenance(Maintenance::Manual).clock(clock.clone()).seed(7);
    options.disk_bytes_max(CAP)
}

fn topic(retention: Retention, partitions: u32) -> TopicOptions {
    let options = TopicOptions::new().segment_bytes_max(SEGMENT_BYTES).batch_bytes_max(16 << 10);
    options.retention(retention).partitions(partitions).durability(Durability::Written)
}

fn append(log: &Partition, len: usize) -> Result<()> {
    log.append([Record::new(&vec![7; len])]).wait().map(drop)
}

/// Appends until that is refused, and says how often it was not.
fn fill(log: &Partition) -> u64 {
    let refused = |_: &u64| match append(log, 1_000) {
        Ok(()) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
            assert!(error.to_string().contains("disk_bytes_max is"), "{error}");
            true
        }
    };
    (0..100_000).find(refused).expect("the cap is reached")
}

fn append_all(log: &Partition, bytes: u64) {
    for _ in 0..bytes / 1_000 {
        append(log, 1_000).expect("others give way");
    }
}

/// Many threads append at once to topics that shed and to one that does not; somebody else looks all the time.
#[test]
fn many_threads_never_pass_the_cap_together() {
    for mode in [WriteMode::Automatic, WriteMode::Pwrite] {
        let disk = MemoryDisk::new();
        let options = Broker::options().disk_bytes_max(CAP).write_mode(mode);
        let broker = options.open_in(disk.root()).expect("memory has room");
        let audit = broker.create_topic("audit", topic(Retention::Forever, 1)).expect("room");
        let audit = audit.partition(0).expect("it is well");
        append_all(&audit, 300_000);
        audit.flush().wait().expect("memory syncs");
        let topics: Vec<Topic> =
            ["a", "b", "c"].map(|name| broker.create_topic(name, topic(YEAR, 2)).expect("room")).to_vec();
        let (is_over, peak, looks) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        let rounds = Size::asked().pick(40, 400, 4_000);
        std::thread::scope(|scope| {
            let writers: Vec<_> = topics
                .iter()
                .flat_map(|topic| [(topic, 0), (topic, 1)])
                .map(|(topic, number)| {
                    scope.spawn(move || {
                        for round in 0..rounds {
                            let log = topic.partition(number).expect("it is well");
                            append_all(&log, 50_000);
                            if round % 16 == 7 {
                                // A reader that holds on to what is about to be shed.
                                let first = log.read(log.log_start_offset()).next();
                                if let Some(Err(error)) = first {
                                    assert_eq!(error.kind(), ErrorKind::OutOfRange, "{error}");
                                }
                            }
                        }
                    })
                })
                .collect();
            scope.spawn(|| {
                while !is_over.load(Ordering::Acquire) {
                    let used = disk.used_bytes();
                    assert!(used <= CAP, "{used} bytes are over the cap");
                    peak.fetch_max(used, Ordering::Relaxed);
                    looks.fetch_add(1, Ordering::Relaxed);
                }
            });
            let ended: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
            is_over.store(true, Ordering::Release);
            ended.into_iter().for_each(|writer| writer.expect("a writer does not panic"));
        });
        let (peak, looks) = (peak.into_inner(), looks.into_inner());
        assert!(peak > CAP / 2, "the cap was never near: {peak}");
        assert_eq!(audit.log_start_offset(), Offset::ZERO);
        assert_eq!(values(&audit, 0).len(), 300);
        figure!(
            "a broker's cap, {mode:?}: 6 threads wrote {} MB, {} looks, at most {} of {CAP} bytes taken",
            rounds * 6 * 50_000 / 1_000_000,
            Count(looks),
            Count(peak)
        );
        broker.close().expect("memory syncs");
    }
}

/// What is oldest goes first, whichever topic it is of, and whether its partition is open or at rest.
#[test]
fn the_oldest_of_all_topics_is_shed_first() {
    let clock = ManualClock::new(START);
    let broker = options(&clock).open_in(SimDisk::new().root()).expect("the disk is empty");
    let kept = broker.create_topic("kept", topic(Retention::Forever, 1)).expect("room");
    append_all(&kept.partition(0).expect("it is well"), 200_000);
    let names = ["old", "middle", "young"];
    let topics = names.map(|name| {
        clock.advance(Duration::from_secs(60));
        let retention = if name == "middle" { Retention::Bytes(u64::MAX) } else { YEAR };
        let topic = broker.create_topic(name, topic(retention, 1)).expect("room");
        append_all(&topic.partition(0).expect("it is well"), 500_000);
        // Nobody holds it, so it is put to rest.
        clock.advance(Duration::from_secs(60));
        broker.maintain().expect("the disk is well");
        broker.maintain().expect("the disk is well");
        topic
    });
    assert_eq!(broker.stats().open_count, 0, "all are at rest");
    let newest = broker.create_topic("newest", topic(YEAR, 1)).expect("room");
    let newest = newest.partition(0).expect("it is well");
    let started = |at: usize| topics[at].partition(0).expect("it is well").log_start_offset();
    let sealed_end = |at: usize| {
        let segments = topics[at].partition(0).expect("it is well").segments();
        segments.last().map_or(Offset::ZERO, |last| last.first_offset())
    };
    let mut shed = Vec::new();
    let ends = [sealed_end(0), sealed_end(1), sealed_end(2)];
    while started(2) == Offset::ZERO {
        append(&newest, 1_000).expect("others give way");
        let now = [started(0), started(1), started(2)];
        assert!(now[1] == Offset::ZERO || now[0] == ends[0], "the old one goes first: {now:?} {ends:?}");
        assert!(now[2] == Offset::ZERO || now[1] == ends[1], "then the middle one: {now:?} {ends:?}");
        if shed.last() != Some(&now) {
            shed.push(now);
        }
    }
    assert!(shed.len() > 8, "a segment at a time: {shed:?}");
    assert_eq!(newest.log_start_offset(), Offset::ZERO);
    assert_eq!(kept.partition(0).expect("it is well").log_start_offset(), Offset::ZERO);
    for (at, name) in names.iter().enumerate() {
        let log = topics[at].partition(0).expect("it is well");
        let left = values(&log, u32::try_from(log.log_start_offset().get()).expect("few"));
        assert_eq!(left.len() as u64, 500 - log.log_start_offset().get(), "{name}");
    }
}

#[test]
fn where_nothing_may_go_appends_are_refused_until_something_was_deleted() {
    let clock = ManualClock::new(START);
    for &real in Size::asked().pick(&[false][..], &[false, true], &[false, true]) {
        let dir = tempdir();
        let open = || match real {
            true => options(&clock).open(&dir),
            false => options(&clock).open_in(SimDisk::new().root()),
        };
        let broker = open().expect("there is room");
        let a = broker.create_topic("a", topic(Retention::Forever, 1)).expect("room");
        let log = a.partition(0).expect("it is well");
        let count = fill(&log);
        assert!(count * 1_000 > CAP / 2, "{count} records");
        assert_eq!(log.log_end_offset().get(), count);
        // Reading goes on, and so does what needs no room.
        log.flush().wait().expect("the disk syncs");
        assert_eq!(values(&log, 0).len() as u64, count);
        let many = broker.create_topic("many", topic(YEAR, 100)).expect_err("no room for so many");
        assert_eq!(many.kind(), ErrorKind::NoSpace, "{many}");
        assert!(broker.topic("many").is_err());
        // 1: records are deleted.
        log.delete_records(Offset::from(1_000)).expect("they are there");
        assert!(fill(&log) > 500);
        // 2: the policy changes.
        broker.ensure_topic("a", topic(YEAR, 1)).expect("it needs no room");
        append_all(&log, 2 * CAP);
        broker.ensure_topic("a", topic(Retention::Forever, 1)).expect("it needs no room");
        fill(&log);
        // 3: another topic is deleted.
        drop(log);
        broker.delete_topic("a").expect("it is there");
        let b = broker.create_topic("b", topic(Retention::Forever, 1)).expect("there is room again");
        assert!(fill(&b.partition(0).expect("it is well")) * 1_000 > CAP / 2);
        broker.close().expect("the disk syncs");
        drop(std::fs::remove_dir_all(&dir));
    }
}

/// SEMANTICS 23
#[test]
fn readers_of_any_topic_let_go_at_the_cap() {
    let clock = ManualClock::new(START);
    let disk = MemoryDisk::new();
    let broker = options(&clock).open_in(disk.root()).expect("memory has room");
    let a = broker.create_topic("a", topic(Retention::Forever, 1)).expect("room");
    let a = a.partition(0).expect("it is well");
    append_all(&a, 1_500_000);
    a.flush().wait().expect("memory syncs");
    let mut readers: Vec<_> = (0..15).map(|at| a.read(Offset::from(at * 100_u32))).collect();
    for reader in &mut readers {
        reader.next().expect("there is one").expect("it is good");
    }
    a.delete_records(Offset::from(1_490)).expect("they are there");
    let pinned = broker.stats().pinned_bytes;
    assert!(pinned > 500_000, "{pinned} bytes are held");
    let b = broker.create_topic("b", topic(Retention::Forever, 1)).expect("room");
    let b = b.partition(0).expect("it is well");
    let mut count = 0;
    while append(&b, 1_000).is_ok() {
        assert!(disk.used_bytes() <= CAP, "{} bytes are over the cap", disk.used_bytes());
        count += 1;
    }
    assert!(count * 1_000 > CAP * 2 / 3, "{count} records: what readers held was not given back");
    assert_eq!(broker.stats().pinned_bytes, 0);
}

/// A directory that is above the cap opens, and takes no more before it is below.
#[test]
fn a_directory_above_the_cap_opens_and_comes_down() {
    let clock = ManualClock::new(START);
    for retention in [YEAR, Retention::Forever] {
        for killed in [false, true] {
            let disk = SimDisk::new();
            let broker =
                options(&clock).disk_bytes_max(u64::MAX).open_in(disk.root()).expect("there is room");
            let log = broker.create_topic("a", topic(retention, 1)).expect("room");
            let log = log.partition(0).expect("it is well");
            append_all(&log, 2 * CAP);
            log.flush().wait().expect("the disk syncs");
            append_all(&log, 100_000);
            let end = log.log_end_offset();
            let disk = match killed {
                true => disk.kill(),
                false => {
                    broker.close().expect("the disk syncs");
                    disk
                }
            };
            let broker = options(&clock).open_in(disk.root()).expect("it opens nevertheless");
            let log = broker.topic("a").expect("it is there").partition(0).expect("it is well");
            assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset::ZERO, end));
            let before = blocks(&disk.root());
            assert!(before > CAP);
            if retention == YEAR {
                append_all(&log, 100_000);
                assert!(blocks(&disk.root()) <= CAP, "{} bytes", blocks(&disk.root()));
                assert!(log.log_start_offset() > Offset::ZERO);
            } else {
                // What was reserved before the kill may still be used up; nothing new is taken.
                fill(&log);
                assert!(blocks(&disk.root()) <= before + (16 << 10), "{} {before}", blocks(&disk.root()));
                let start = log.log_end_offset().get() - 100;
                log.delete_records(Offset::new(start).expect("small")).expect("it is there");
                assert!(fill(&log) > 1_000);
                assert!(blocks(&disk.root()) <= CAP);
            }
        }
    }
}

/// Blocks that are really taken, after each of many steps on a disk that nobody else works on.
#[test]
fn the_blocks_of_a_real_disk_stay_below_the_cap() {
    for mode in [WriteMode::Automatic, WriteMode::Pwrite] {
        let clock = ManualClock::new(START);
        let dir = tempdir();
        let mut random = fastrand::Rng::with_seed(11);
        let (mut peak, mut steps) = (0, 0_u64);
        for round in 0..Size::asked().pick(1, 8, 40) {
            let broker = options(&clock).write_mode(mode).open(&dir).expect("there is room");
            for name in ["a", "b", "c"] {
                broker.ensure_topic(name, topic(YEAR, 3)).expect("there is room");
            }
            for _ in 0..Size::asked().pick(150, 300, 300) {
                steps += 1;
                let name = ["a", "b", "c"][random.usize(0..3)];
                let log = broker.topic(name).expect("it is there").partition(random.u32(0..3));
                let log = log.expect("it is well");
                match random.u32(0..40) {
                    0 => broker.maintain().expect("the disk is well"),
                    1 => clock.advance(Duration::from_secs(40)),
                    2 => drop(log.read(log.log_start_offset()).next()),
                    3 => log.flush().wait().expect("the disk syncs"),
                    4 if log.durable_offset() > log.log_start_offset() => {
                        log.delete_records(log.durable_offset()).expect("they are there");
                    }
                    5 if log.durable_offset() > log.log_start_offset() => {
                        let last = Offset::new(log.durable_offset().get() - 1).expect("small");
                        let cut = log.truncate(last);
                        cut.map(drop).expect("others give way");
                    }
                    _ => append(&log, random.usize(1..14_000)).expect("others give way"),
                }
                let taken = real_blocks(&dir);
                assert!(taken <= CAP, "round {round}: {taken} bytes are over the cap of {CAP}");
                peak = peak.max(taken);
            }
            if random.bool() {
                broker.close().expect("the disk syncs");
            } else {
                drop(broker);
            }
        }
        figure!(
            "a broker's cap on a real disk, {mode:?}: {} steps, at most {} of {CAP} bytes",
            Count(steps),
            Count(peak)
        );
        drop(std::fs::remove_dir_all(&dir));
    }
}

/// While space was made for one partition, a truncation of another said that there was none.
#[test]
fn a_truncation_waits_for_space_that_is_made_for_another() {
    let (clock, interlude) = (ManualClock::new(START), Interlude::default());
    let disk = MemoryDisk::new();
    let broker = options(&clock).open_in(interlude.within(disk.root())).expect("memory has room");
    let cut = broker.create_topic("cut", topic(Retention::Forever, 1)).expect("room");
    let cut = cut.partition(0).expect("it is well");
    append_all(&cut, 40_000);
    cut.flush().wait().expect("memory syncs");
    let busy = broker.create_topic("busy", topic(YEAR, 1)).expect("room").partition(0).expect("it is well");
    let (ended, ends) = mpsc::channel();
    let mut cuts = 0_u32;
    for _ in 0..CAP / 500 {
        let is_cut = busy.log_start_offset() > Offset::ZERO && cuts < 20;
        if is_cut {
            let (cut, ended, to) = (cut.clone(), ended.clone(), Offset::from(39 - cuts));
            // Some of these syncs are of the manifest that sheds the oldest segment.
            interlude.set(Cue::Sync, move || {
                let cutting = std::thread::spawn(move || drop(ended.send(cut.truncate(to))));
                let patience = std::time::Instant::now() + Duration::from_millis(100);
                while !cutting.is_finished() && std::time::Instant::now() < patience {
                    std::thread::yield_now();
                }
            });
        }
        append(&busy, 1_000).expect("it sheds its oldest");
        if is_cut && !interlude.cancel() {
            cuts += 1;
            ends.recv()
                .expect("it is answered")
                .expect("what space is made for goes first, and then there is room");
        }
    }
    assert_eq!((cuts, cut.log_end_offset()), (20, Offset::from(20)));
}

#[test]
fn a_cap_that_is_too_small_is_refused() {
    let error = Broker::options().disk_bytes_max(1_000).open_in_memory().expect_err("it is too small");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("disk_bytes_max is 1000"), "{error}");
}

/// Bytes of disk that all files below `dir` take.
fn blocks(dir: &Arc<dyn Dir>) -> u64 {
    let entries = dir.list().expect("it lists");
    let taken = entries.iter().map(|entry| match entry.kind {
        EntryKind::Dir => blocks(&dir.open_dir(&entry.name).expect("it is there")),
        _ => {
            let file = dir.open(&entry.name, annals::io::Access::Read).expect("it is there");
            file.allocated_bytes().expect("it is well")
        }
    });
    taken.sum()
}

/// The same of a real disk, with directories, and with files that this process still has open there.
fn real_blocks(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let taken = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.blocks() * 512);
    let entries = std::fs::read_dir(dir).expect("it lists");
    let below = entries.map(|entry| {
        let path = entry.expect("it lists").path();
        if path.is_dir() { real_blocks(&path) } else { taken(&path) }
    });
    let open = || {
        let open = std::fs::read_dir("/proc/self/fd").expect("it lists").flatten();
        let removed = open.filter(|open| {
            let target = std::fs::read_link(open.path()).unwrap_or_default();
            target.parent() == Some(dir) && target.to_string_lossy().ends_with(" (deleted)")
        });
        removed.map(|open| taken(&open.path())).sum::<u64>()
    };
    taken(dir) + below.sum::<u64>() + open()
}
