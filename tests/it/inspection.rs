//! Looking without touching: dumps of single files, and the verification of a partition that somebody may be
//! writing. What is damaged is shown and found; nothing is ever written.

use crate::basics::tempdir;
use crate::proof::{Seed, Size};
use annals::dump::{Detail, DumpItem, FileDump, FileKind};
use annals::io::{Access, SimDisk, write_all};
use annals::{
    Broker, ErrorKind, Follower, Maintenance, Offset, Partition, PartitionOptions, ReadLevel, Record,
    Timestamp, TopicOptions,
};
use std::path::PathBuf;

const SEGMENT: &str = "00000000000000000000.log";
/// How many batches of [`filled`] there are, three records each.
const BATCHES: u64 = 40;

fn options() -> PartitionOptions {
    Partition::options()
        .maintenance(Maintenance::Manual)
        .seed(5)
        .segment_bytes_max(16 << 10)
        .batch_bytes_max(8 << 10)
}

/// A partition of several segments, closed.
fn filled() -> SimDisk {
    let disk = SimDisk::new();
    let log = options().open_in(disk.root()).expect("a simulated disk has room");
    for batch in 0..BATCHES {
        let value = vec![u8::try_from(batch).expect("there are 40"); 400];
        let stamp = |n: u64| Timestamp::from_millis(i64::try_from(batch * 3 + n).expect("small") * 10);
        let records = (0..3).map(|n| Record::new(&value).key("k").header("h", "v").timestamp(stamp(n)));
        log.append(records).wait().expect("room");
        log.maintain().expect("room");
    }
    log.close().expect("all is synced");
    disk
}

fn names(disk: &SimDisk) -> Vec<String> {
    let mut names: Vec<_> =
        disk.root().list().expect("it lists").into_iter().map(|entry| entry.name).collect();
    names.sort();
    names
}

fn dump(disk: &SimDisk, name: &str, detail: Detail) -> Vec<DumpItem> {
    let mut items = Vec::new();
    let dump = FileDump::open_in(&*disk.root(), name).expect("it is one of our files");
    dump.show(detail, &mut |item| items.push(item.clone())).expect("a simulated disk can be read");
    items
}

fn field<'a>(item: &'a DumpItem, name: &str) -> &'a str {
    let found = item.fields.iter().find(|(field, _)| *field == name);
    found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("{name} is missing in {item}"))
}

fn count(items: &[DumpItem], what: &str) -> u64 {
    items.iter().filter(|item| item.what == what).count() as u64
}

#[test]
fn every_file_of_a_partition_is_shown() {
    let disk = filled();
    let (mut batches, mut records) = (0, 0);
    for name in names(&disk).iter().filter(|name| *name != "LOCK") {
        let items = dump(&disk, name, Detail::Records);
        assert!(items.iter().all(|item| !item.is_damage), "{name}: {items:?}");
        let kind = FileDump::open_in(&*disk.root(), name).expect("as before").kind();
        match kind {
            FileKind::Segment => {
                assert_eq!(items[0].what, "header");
                batches += count(&items, "batch");
                records += count(&items, "record");
            }
            FileKind::Index | FileKind::TimeIndex => {
                assert_eq!(field(&items[0], "entries"), (items.len() - 1).to_string());
                assert!(items.len() > 1, "{name} has entries");
            }
            FileKind::Manifest => {
                assert_eq!(count(&items, "slot"), 2);
                assert!(count(&items, "segment") >= 6, "{items:?}");
            }
            other => panic!("{name} was taken for {other:?}"),
        }
    }
    assert_eq!((batches, records), (BATCHES, 3 * BATCHES));
    let items = dump(&disk, SEGMENT, Detail::Records);
    let first = items.iter().find(|item| item.what == "record").expect("there are records");
    assert_eq!((field(first, "offset"), field(first, "key"), field(first, "header")), ("0", "k", "h=v"));
    assert!(
        items[1].to_string().starts_with("4096 batch base_offset=0 records=3 next_offset=3"),
        "{}",
        items[1]
    );
}

#[test]
fn a_dump_goes_on_behind_damage() {
    let disk = filled();
    let clean = dump(&disk, SEGMENT, Detail::Batches);
    let second = clean.iter().filter(|item| item.what == "batch").nth(1).expect("there are several");
    disk.flip_bit(SEGMENT, (second.position + 100) * 8).expect("the file is there");
    let items = dump(&disk, SEGMENT, Detail::Batches);
    let damage: Vec<&DumpItem> = items.iter().filter(|item| item.is_damage).collect();
    assert_eq!(damage.len(), 1, "{items:?}");
    assert_eq!((damage[0].position, field(damage[0], "next_offset")), (second.position, "3"));
    assert_eq!(count(&items, "batch"), count(&clean, "batch") - 1);
    let last = items.iter().rfind(|item| item.what == "batch").expect("behind the damage");
    assert_eq!(Some(last), clean.iter().rfind(|item| item.what == "batch"));
}

#[test]
fn a_damaged_file_is_shown_as_damaged_whatever_is_hit() {
    let clean = filled();
    let seed = Seed::of("dumps of damaged files");
    for name in names(&clean).iter().filter(|name| *name != "LOCK") {
        let len = clean.read(name).expect("the file is there").len() as u64;
        let undamaged = dump(&clean, name, Detail::Records);
        let mut rng = seed.rng(len);
        for case in 0..Size::asked().pick(40, 200, 2_000) {
            let disk = clean.kill();
            // The first bytes of each part are hit as often as all the others.
            let at = if case % 2 == 0 { rng.u64(0..64.min(len)) } else { rng.u64(0..len) };
            disk.flip_bit(name, at * 8 + rng.u64(0..8)).expect("the file is there");
            let items = dump(&disk, name, Detail::Records);
            // Between and behind batches nothing counts; a tail mark is no batch.
            let same = items == undamaged;
            assert!(same || items.iter().any(|item| item.is_damage), "byte {at} of {name}: {items:?}");
            let is_covered = name == "manifest" || name.ends_with("index");
            assert!(!(same && is_covered), "byte {at} of {name} is covered by a checksum");
        }
        for cut in [0, 1, 8, 16, 40, len / 2, len - 1] {
            let disk = clean.kill();
            disk.truncate(name, cut.min(len)).expect("the file is there");
            // Never a panic; an empty file is known by its name.
            drop(dump(&disk, name, Detail::Records));
        }
    }
}

#[test]
fn what_is_not_ours_is_not_dumped() {
    let disk = filled();
    for name in ["LOCK", "nothing"] {
        let refused = FileDump::open_in(&*disk.root(), name).expect_err("it is not ours").kind();
        assert!(matches!(refused, ErrorKind::InvalidInput | ErrorKind::NotFound), "{name}: {refused:?}");
    }
}

#[test]
fn a_catalog_is_dumped_with_its_topics() {
    let dir = tempdir();
    let broker = Broker::open(&dir).expect("a new directory");
    broker.create_topic("orders", TopicOptions::new().partitions(3)).expect("room");
    let mut items = Vec::new();
    let dump = FileDump::open(dir.join("catalog")).expect("a broker has a catalog");
    dump.show(Detail::Batches, &mut |item| items.push(item.clone())).expect("it can be read");
    assert_eq!(dump.kind(), FileKind::Catalog);
    let topics: Vec<&DumpItem> = items.iter().filter(|item| item.what == "topic").collect();
    assert_eq!(topics.len(), 2, "one in each slot: {items:?}");
    assert_eq!((field(topics[1], "name"), field(topics[1], "partitions")), ("orders", "3"));
    broker.close().expect("nothing was written");
}

#[test]
fn verifying_beside_agrees_with_an_open_and_writes_nothing() {
    let disk = filled();
    let before = disk.counts();
    let report = Follower::open_in(disk.root()).expect("it is whole").verify().expect("it can be read");
    assert!(!report.is_damaged() && report.bad_indexes.is_empty() && report.torn.is_empty(), "{report:?}");
    assert_eq!(report.good_offsets, 3 * BATCHES);
    assert_eq!(disk.counts().mutations(), before.mutations(), "nothing is written");
    // Every file that counts, hit anywhere: an open that refuses, and a scrub that finds, are no less than this.
    let seed = Seed::of("verification beside a writer");
    for name in names(&disk).iter().filter(|name| *name != "LOCK") {
        let len = disk.read(name).expect("it is there").len() as u64;
        let mut rng = seed.rng(len);
        for _ in 0..Size::asked().pick(12, 60, 600) {
            let disk = disk.kill();
            let at = rng.u64(0..len);
            disk.flip_bit(name, at * 8).expect("the file is there");
            let found = Follower::open_in(disk.root()).and_then(|follower| follower.verify());
            let is_found = found.as_ref().map_or(true, |report| {
                report.is_damaged() || !report.bad_indexes.is_empty() || !report.torn.is_empty()
            });
            let truth = match options().open_in(disk.root()) {
                Err(_) => true,
                Ok(log) => {
                    let report = log.recovery_report();
                    let found = log.verify().expect("it can be read");
                    !found.damage.is_empty() || !report.manifest_damage.is_empty() || !report.torn.is_empty()
                }
            };
            assert!(is_found || !truth, "byte {at} of {name}: {found:?}");
            let is_index = name.ends_with("index");
            assert!(truth || !is_found || is_index, "byte {at} of {name} is of no account: {found:?}");
        }
    }
}

/// Both tell of the same torn bytes; only who opened the partition for writing has put them anywhere.
#[test]
fn torn_bytes_name_a_file_only_once_they_were_put_aside() {
    let disk = SimDisk::new();
    let log = options().open_in(disk.root()).expect("a simulated disk has room");
    log.append([Record::new("a")]).wait().expect("room");
    let crashed = disk.kill();
    let end = dump(&crashed, SEGMENT, Detail::Batches);
    let end = end.iter().find(|item| item.what == "tail_mark").expect("a sync has left one").position;
    let segment = crashed.root().open(SEGMENT, Access::ReadWrite).expect("it is there");
    write_all(&*segment, &[0xa5; 100], end).expect("room");

    let beside = Follower::open_in(crashed.root()).and_then(|follower| follower.verify()).expect("readable");
    let [seen] = &*beside.torn else { panic!("one end is torn: {beside:?}") };
    assert_eq!((u64::from(seen.position.get()), &seen.kept_in), (end, &None));
    let report = options().open_in(crashed.root()).expect("a torn end is normal").recovery_report();
    let [kept] = &*report.torn else { panic!("one end was torn: {report:?}") };
    assert_eq!((kept.position, kept.len), (seen.position, seen.len));
    let file = kept.kept_in.as_ref().and_then(|path| path.file_name()).expect("it was put aside");
    let aside = crashed.read(&file.to_string_lossy()).expect("it is there");
    assert_eq!((aside.len() as u64, &aside[..100]), (kept.len, &[0xa5; 100][..]));
}

#[test]
fn a_segment_that_is_gone_is_named() {
    let disk = filled();
    disk.delete(SEGMENT).expect("it was there");
    let error = Follower::open_in(disk.root()).expect_err("a listed segment is missing");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(SEGMENT), "{error}");
}

#[test]
fn verifying_beside_a_busy_writer_finds_no_fault() {
    let dir = tempdir();
    let log = Partition::options().segment_bytes_max(64 << 10).open(&dir).expect("a new directory");
    let writer = std::thread::spawn(move || {
        for n in 0..3_000_u32 {
            log.append([Record::new(&n.to_le_bytes()), Record::new(&[7; 300])]).wait().expect("room");
        }
        log.close().expect("all is synced");
    });
    let path: PathBuf = dir.clone();
    let mut rounds = 0;
    while !writer.is_finished() || rounds == 0 {
        let report = Follower::open(&path).and_then(|follower| follower.verify()).expect("it can be read");
        assert!(!report.is_damaged(), "{report:?}");
        rounds += 1;
    }
    writer.join().expect("the writer is well");
    let report = Follower::open(&path).and_then(|follower| follower.verify()).expect("it can be read");
    assert_eq!((report.good_offsets, report.is_damaged()), (6_000, false), "after {rounds} rounds");
}

/// A follower took the first bad byte of the open segment for the end of the log, though the manifest, the tail mark
/// or a later batch said that the log had been synced beyond: all behind it was missing without a word.
#[test]
fn a_follower_tells_damage_from_an_end_that_has_not_come() {
    for is_closed in [true, false] {
        let disk = SimDisk::new();
        let log =
            Partition::options().seed(5).maintenance(Maintenance::Manual).open_in(disk.root()).expect("room");
        for n in 0..20_u32 {
            log.append([Record::new(&n.to_le_bytes())]).wait().expect("room");
        }
        if is_closed {
            log.close().expect("all is synced");
        }
        let batches = dump(&disk, SEGMENT, Detail::Batches);
        let batches: Vec<&DumpItem> = batches.iter().filter(|item| item.what == "batch").collect();
        for (number, batch) in batches.iter().enumerate() {
            let damaged = disk.kill();
            damaged.flip_bit(SEGMENT, (batch.position + 60) * 8).expect("the file is there");
            let follower =
                Follower::open_in(damaged.root()).expect("what lies before the damage can be read");
            let mut reader = follower.read(Offset::ZERO);
            let good: usize = reader.by_ref().map_while(Result::ok).map(|records| records.len()).sum();
            assert_eq!(good, number, "closed: {is_closed}");
            reader.seek(reader.position());
            let error = reader.next().expect("an error").expect_err("there is more, and it is damaged");
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains(&format!("position {}", batch.position)), "{error}");
            assert_eq!(follower.refresh().expect_err("as before").kind(), ErrorKind::Corrupt);
        }
        let follower = Follower::open_in(disk.root()).expect("it is whole");
        assert_eq!(follower.read(Offset::ZERO).map(|read| read.expect("readable").len()).sum::<usize>(), 20);
    }
}

/// SEMANTICS 12: the same beside the writer.
#[test]
fn a_follower_finds_times_as_its_writer_does() {
    let disk = filled();
    let log = options().open_in(disk.root()).expect("it is whole");
    let follower = Follower::open_in(disk.root()).expect("it is whole");
    for millis in [-1, 0, 1, 10, 555, 1_190, 1_191, i64::MAX] {
        let time = Timestamp::from_millis(millis);
        let expected = log.offset_for_time(time).expect("it can be read");
        let found = follower.offset_for_time(ReadLevel::Durable, time).expect("it can be read");
        assert_eq!(found, expected, "{millis} ms");
    }
    let late = follower.offset_for_time(ReadLevel::Durable, Timestamp::from_millis(1_190)).expect("readable");
    assert_eq!(late.map(|found| found.offset()), Some(Offset::from(119)));
}
