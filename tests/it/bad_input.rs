//! What is asked for wrongly, and what should not lie in the directory: each is refused with an error that says
//! what, where and why, before anything is changed.

use crate::basics::{tempdir, values};
use crate::own_process;
use annals::clock::ManualClock;
use annals::io::{MemoryDisk, SimDisk};
use annals::{
    BatchLimits, Durability, Error, ErrorKind, Follower, Maintenance, Offset, OnDamage, Partition,
    PartitionOptions, Record, RecoveryOutcome, Retention, Timestamp, TopicId, WriteMode,
};
use std::path::Path;
use std::time::Duration;

fn options() -> PartitionOptions {
    Partition::options()
        .segment_bytes_max(16 << 10)
        .batch_bytes_max(2 << 10)
        .maintenance(Maintenance::Manual)
        .durability(Durability::Written)
}

/// Checks the kind of an error, and that its message has all of `parts`.
fn says(error: &Error, kind: ErrorKind, parts: &[&str]) {
    let message = error.to_string();
    assert_eq!(error.kind(), kind, "{message}");
    for part in parts {
        assert!(message.contains(part), "expected `{part}` in: {message}");
    }
}

fn offset(number: u64) -> Offset {
    Offset::new(number).expect("small")
}

#[test]
fn an_offset_outside_the_log_is_refused_in_both_directions() {
    let log = options().open_in_memory().expect("memory has room");
    for number in 0..10 {
        log.append([Record::new(&number.to_string())]).wait().expect("memory has room");
    }
    log.flush().wait().expect("memory syncs");
    log.delete_records(offset(4)).expect("it is in the log");
    for below in [0, 3] {
        let number = below.to_string();
        let parts = [number.as_str(), "below the log start 4"];
        says(
            &log.read(offset(below)).next().expect("an error").expect_err("deleted"),
            ErrorKind::OutOfRange,
            &parts,
        );
        says(&log.delete_records(offset(below)).expect_err("deleted"), ErrorKind::OutOfRange, &parts);
        says(&log.truncate(offset(below)).expect_err("deleted"), ErrorKind::OutOfRange, &parts);
    }
    for beyond in [Offset::MAX, offset(11)] {
        let number = beyond.to_string();
        let parts = [number.as_str(), "beyond the log end 10"];
        says(&log.read(beyond).next().expect("an error").expect_err("beyond"), ErrorKind::OutOfRange, &parts);
        says(&log.delete_records(beyond).expect_err("beyond"), ErrorKind::OutOfRange, &parts);
        says(&log.truncate(beyond).expect_err("beyond"), ErrorKind::OutOfRange, &parts);
    }
    assert!(log.read(offset(10)).next().is_none(), "the end itself is empty, and no error");
    assert_eq!(values(&log, 4), ["4", "5", "6", "7", "8", "9"]);
}

#[test]
fn what_is_too_large_or_empty_is_refused_before_anything_is_written() {
    let disk = SimDisk::new();
    let log = options().open_in(disk.root()).expect("an empty disk");
    log.append([Record::new("a")]).wait().expect("room");
    let before = disk.content_hash();
    let value = vec![7; 2 << 10];
    let too_large = log.append([Record::new(&value)]).wait().expect_err("above the limit");
    says(&too_large, ErrorKind::TooLarge, &["batch", "2048"]);
    let many = std::iter::repeat_n(Record::new("some value"), 1_000);
    says(&log.append(many).wait().expect_err("above the limit"), ErrorKind::TooLarge, &["2048"]);
    let nothing = log.append([]).wait().expect_err("there is nothing to append");
    says(&nothing, ErrorKind::InvalidInput, &["record"]);
    assert_eq!(log.log_end_offset(), offset(1));
    assert_eq!(disk.content_hash(), before, "something was written");
    log.append([Record::new("b")]).wait().expect("nothing was poisoned");

    let log = options().batch_bytes_max(4 << 20).open_in_memory().expect("memory has room");
    let with_headers = (0..65_536).fold(Record::new("a"), |record, _| record.header("n", "v"));
    let too_many = log.append([with_headers]).wait().expect_err("too many headers");
    says(&too_many, ErrorKind::TooLarge, &["headers", "65536", "65535"]);
    says(
        &log.append_if(offset(7), [Record::new("a")]).wait().expect_err("it ends at 0"),
        ErrorKind::Conflict,
        &["7", "0"],
    );
    assert_eq!(log.log_end_offset(), Offset::ZERO);
}

#[test]
fn an_option_outside_its_bounds_is_named_with_its_bounds() {
    let disk = SimDisk::new();
    let refused = |options: PartitionOptions, parts: &[&str]| {
        says(&options.open_in(disk.root()).expect_err("outside its bounds"), ErrorKind::InvalidInput, parts);
    };
    refused(options().segment_bytes_max(1), &["segment_bytes_max is 1", "16384", "2147483648"]);
    refused(options().segment_bytes_max(u64::MAX), &["segment_bytes_max", "2147483648"]);
    refused(options().batch_bytes_max(1), &["batch_bytes_max is 1", "1024", "67108864"]);
    refused(options().batch_bytes_max(u32::MAX), &["batch_bytes_max", "67108864"]);
    refused(options().segment_age_max(Duration::ZERO), &["segment_age_max is 0ns", "1 s"]);
    refused(options().disk_bytes_max(16 << 10), &["disk_bytes_max is 16384", "65536"]);
    assert_eq!(disk.files(), [] as [&str; 0], "nothing was created");
    says(&BatchLimits::new(0).expect_err("below"), ErrorKind::InvalidInput, &["0 bytes", "1024"]);
    says(&Offset::try_from(u64::MAX).expect_err("above"), ErrorKind::InvalidInput, &["18446744073709551615"]);
}

/// A partition on a simulated disk with one sealed segment and one record in the next, killed.
fn killed() -> SimDisk {
    let disk = SimDisk::new();
    let log = options().seed(1).open_in(disk.root()).expect("an empty disk");
    while log.segments().len() < 2 {
        log.append([Record::new("some value or other")]).wait().expect("room");
    }
    log.flush().wait().expect("it syncs");
    log.maintain().expect("room");
    disk.kill()
}

/// Sets the version in the frame of a file or slot, and makes the checksum right again.
fn set_version(disk: &SimDisk, file: &str, slot: std::ops::Range<usize>, version: u32) {
    let mut bytes = disk.read(file).expect("it is there");
    let frame = &mut bytes[slot];
    frame[8..12].copy_from_slice(&version.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..12]);
    hasher.update(&frame[16..]);
    frame[12..16].copy_from_slice(&hasher.finalize().to_le_bytes());
    disk.write(file, &bytes).expect("it is there");
}

#[test]
fn a_newer_version_is_unsupported_and_not_damage() {
    for (file, slots) in [("00000000000000000000.log", &[0][..]), ("manifest", &[0, 1]), ("manifest", &[1])] {
        for on_damage in [OnDamage::Refuse, OnDamage::Salvage] {
            let disk = killed();
            for slot in slots {
                set_version(&disk, file, slot * 4_096..(slot + 1) * 4_096, 2);
            }
            let before = disk.content_hash();
            let refused = options().on_damage(on_damage).open_in(disk.root()).expect_err("a newer version");
            says(&refused, ErrorKind::Unsupported, &[file, "version", "expected version 1, found 2"]);
            // The lock's note says the same as before.
            assert_eq!(disk.content_hash(), before, "{file}: something was changed");
            let refused = Follower::open_in(disk.root()).expect_err("a newer version");
            says(&refused, ErrorKind::Unsupported, &[file, "expected version 1, found 2"]);
        }
    }
}

/// Gives one batch of a file attribute bits of the future, with a checksum that holds.
fn set_attributes(disk: &SimDisk, file: &str, which: usize) {
    let mut bytes = disk.read(file).expect("it is there");
    let batch = crate::damage_sample::batches(&bytes)[which].bytes.clone();
    let batch = &mut bytes[batch];
    batch[53] |= 0x40;
    let crc = crc32fast::hash(&batch[4..]);
    batch[..4].copy_from_slice(&crc.to_le_bytes());
    disk.write(file, &bytes).expect("it is there");
}

#[test]
fn a_batch_of_a_newer_version_is_unsupported_and_stays() {
    // In the active segment, where recovery walks.
    let disk = killed();
    let active = disk.files().into_iter().rfind(|file| file.ends_with(".log")).expect("two segments");
    set_attributes(&disk, &active, 0);
    for on_damage in [OnDamage::Refuse, OnDamage::Salvage] {
        let before = disk.read(&active).expect("there");
        let refused = options().on_damage(on_damage).open_in(disk.root()).expect_err("a newer version");
        says(&refused, ErrorKind::Unsupported, &[&active, "attributes", "newer version"]);
        assert_eq!(disk.read(&active).expect("it stays"), before);
    }
    let refused = Follower::open_in(disk.root()).expect_err("a newer version");
    says(&refused, ErrorKind::Unsupported, &[&active, "newer version"]);
    // In a sealed one, which is looked at when it is read.
    let disk = killed();
    set_attributes(&disk, "00000000000000000000.log", 3);
    let log = options().open_in(disk.root()).expect("sealed segments are not scanned");
    let errors: Vec<_> = log.read(Offset::ZERO).take(5).filter_map(Result::err).collect();
    says(
        errors.first().expect("it is met"),
        ErrorKind::Unsupported,
        &["00000000000000000000.log", "newer version"],
    );
    drop(log);
    let refused =
        options().on_damage(OnDamage::Salvage).open_in(disk.root()).expect_err("nothing to salvage");
    says(&refused, ErrorKind::Unsupported, &["00000000000000000000.log"]);
}

#[test]
fn another_topics_partition_or_segment_is_not_opened() {
    let topic = |byte| TopicId::from_bytes([byte; 16]);
    let disk = SimDisk::new();
    drop(options().topic(topic(1)).open_in(disk.root()).expect("an empty disk"));
    let refused = options().topic(topic(2)).open_in(disk.root()).expect_err("another topic's");
    let (expected, found) = (topic(2).to_string(), topic(1).to_string());
    says(&refused, ErrorKind::InvalidInput, &[&expected, &found]);
    let refused = options().topic(topic(1)).number(3).open_in(disk.root()).expect_err("another partition");
    says(&refused, ErrorKind::InvalidInput, &["expected partition 3, found 0"]);

    // A segment of another topic in the place of ours, and beside ours.
    let (ours, other) = (killed(), SimDisk::new());
    let log = options().topic(topic(9)).open_in(other.root()).expect("an empty disk");
    log.append([Record::new("theirs")]).wait().expect("room");
    log.close().expect("it syncs");
    let theirs = other.read("00000000000000000000.log").expect("there");
    let beside = "00000000000000099999.log";
    ours.write(beside, &theirs).expect("room");
    let log = options().open_in(ours.root()).expect("a foreign file is no obstacle");
    assert!(!values(&log, 0).contains(&"theirs".to_owned()));
    log.close().expect("it syncs");
    assert_eq!(ours.read(beside).expect("a foreign file is never deleted"), theirs);
    ours.write("00000000000000000000.log", &theirs).expect("room");
    let refused = options().open_in(ours.root()).expect_err("not our segment");
    says(&refused, ErrorKind::Corrupt, &["00000000000000000000.log", "another partition's"]);
}

#[test]
fn a_copy_of_a_segment_beside_it_is_left_alone() {
    let disk = killed();
    let (original, active) = (
        "00000000000000000000.log",
        disk.files().into_iter().rfind(|file| file.ends_with(".log")).expect("two"),
    );
    let expected = values(&options().open_in(disk.kill().root()).expect("it is well"), 0);
    for (file, copy) in [
        (original, "00000000000000012345.log"),
        (&active, "next-77"),
        (original, "00000000000000000000.log.bak"),
    ] {
        let mut bytes = disk.read(file).expect("there");
        bytes.truncate(5_000);
        disk.write(copy, &bytes).expect("room");
    }
    let log = options().open_in(disk.root()).expect("copies are no obstacle");
    assert_eq!(values(&log, 0), expected);
    log.close().expect("it syncs");
    for copy in ["00000000000000012345.log", "next-77", "00000000000000000000.log.bak"] {
        assert!(disk.read(copy).is_ok(), "{copy} was deleted");
    }
}

/// Makes something that is no file.
#[cfg(unix)]
type Maker<'a> = &'a dyn Fn(&Path);

#[cfg(unix)]
#[test]
fn a_link_a_pipe_or_a_directory_in_place_of_a_file_is_never_followed() {
    use std::os::unix::fs::symlink;
    let make_pipe = |path: &Path| {
        let done = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo is everywhere");
        assert!(done.success());
    };
    let make_dir = |path: &Path| std::fs::create_dir(path).expect("there is room");
    let make_link = |path: &Path| symlink("/dev/zero", path).expect("there is room");
    let makers: [(&str, Maker<'_>); 3] =
        [("pipe", &make_pipe), ("directory", &make_dir), ("link", &make_link)];
    for (what, make) in makers {
        // Beside our files they are no obstacle, and stay.
        let dir = tempdir();
        let log = options().open(&dir).expect("a new directory");
        log.append([Record::new("a")]).wait().expect("room");
        log.close().expect("it syncs");
        let beside = [
            "00000000000000000777.log",
            "next-88",
            "notes.txt",
            "torn-1-2",
            "damaged-x",
            "00000000000000000777.index",
        ];
        beside.iter().for_each(|name| make(&dir.join(name)));
        let log = options().open(&dir).unwrap_or_else(|error| panic!("a {what} beside: {error}"));
        assert_eq!(values(&log, 0), ["a"]);
        assert_eq!(values_of_follower(&dir), ["a"]);
        log.close().expect("it syncs");
        for name in beside {
            assert!(std::fs::symlink_metadata(dir.join(name)).is_ok(), "the {what} {name} was deleted");
        }
        // In place of one, it is named.
        for name in ["00000000000000000000.log", "manifest", "LOCK"] {
            let kept = dir.join("kept");
            std::fs::rename(dir.join(name), &kept).expect("it is there");
            make(&dir.join(name));
            let refused = options().open(&dir).expect_err(what);
            assert!(refused.to_string().contains(name), "a {what} as {name}: {refused}");
            assert!(std::fs::symlink_metadata(dir.join(name)).is_ok(), "the {what} {name} was deleted");
            if what == "directory" {
                std::fs::remove_dir(dir.join(name)).expect("it is empty");
            } else {
                std::fs::remove_file(dir.join(name)).expect("it is there");
            }
            std::fs::rename(&kept, dir.join(name)).expect("it is there");
        }
        assert_eq!(values(&options().open(&dir).expect("all is as it was"), 0), ["a"]);
        drop(std::fs::remove_dir_all(&dir));
    }
}

fn values_of_follower(dir: &Path) -> Vec<String> {
    let follower = Follower::open(dir).expect("it can be followed");
    let mut values = Vec::new();
    for records in follower.read(follower.log_start_offset()) {
        for record in &records.expect("it can be read") {
            values.push(String::from_utf8_lossy(record.value()).into_owned());
        }
    }
    values
}

#[test]
fn a_second_writer_is_told_who_holds_the_lock() {
    let own = format!("process {}", std::process::id());
    for disk in [MemoryDisk::new().root(), SimDisk::new().root()] {
        let log = options().open_in(disk.clone()).expect("nobody has it");
        says(&options().open_in(disk.clone()).expect_err("it is open"), ErrorKind::Locked, &[&own]);
        log.close().expect("nothing fails");
        options().open_in(disk).expect("it is free again");
    }
    let dir = tempdir();
    let log = options().open(&dir).expect("nobody has it");
    log.append([Record::new("a")]).wait().expect("room");
    says(
        &options().open(&dir).expect_err("it is open"),
        ErrorKind::Locked,
        &[&own, &dir.display().to_string()],
    );
    // Another process is told the same; see `the_other_process`.
    let mut other = own_process::running("bad_input::the_other_process");
    other.env("ANNALS_IT_DIR", &dir);
    let said = own_process::output_of(other);
    assert!(said.contains("said: Locked") && said.contains(&own), "{said}");
    log.append([Record::new("b")]).wait().expect("it is still ours");
    log.close().expect("it syncs");
    assert_eq!(values(&options().open(&dir).expect("it is free again"), 0), ["a", "b"]);
    drop(std::fs::remove_dir_all(&dir));
}

#[test]
#[ignore = "the part of another process: run by a_second_writer_is_told_who_holds_the_lock"]
fn the_other_process() {
    let Ok(dir) = std::env::var("ANNALS_IT_DIR") else { return };
    let refused = options().open(dir).expect_err("the other one has it");
    println!("said: {:?} {refused}", refused.kind());
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let dir = tempdir();
    let name = dir.display().to_string();
    says(&Follower::open(&dir).expect_err("not there"), ErrorKind::NotFound, &[&name]);
    std::fs::create_dir(&dir).expect("room");
    says(&Follower::open(&dir).expect_err("empty"), ErrorKind::NotFound, &[&name, "manifest"]);
    let file = dir.join("file");
    std::fs::write(&file, "x").expect("room");
    let refused = options().open(&file).expect_err("a file is no directory");
    assert!(refused.to_string().contains("file"), "{refused}");
    let nowhere = dir.join("a").join("b");
    drop(options().open(&nowhere).expect("directories above are created too"));
    drop(std::fs::remove_dir_all(&dir));
}

#[test]
fn a_log_that_ends_in_the_write_mode_it_did_not_begin_in_is_the_same() {
    let disk = SimDisk::new();
    for (round, mode) in
        [WriteMode::Automatic, WriteMode::Pwrite, WriteMode::Automatic].into_iter().enumerate()
    {
        let log = options().write_mode(mode).open_in(disk.root()).expect("it was closed");
        assert_ne!(log.recovery_report().outcome, RecoveryOutcome::Torn);
        assert_eq!(values(&log, 0).len(), round);
        log.append([Record::new(&round.to_string())]).wait().expect("room");
        log.close().expect("it syncs");
    }
}

/// A wall clock that is set back and forth changes no offset and no acknowledgement, and deletes nothing early.
#[test]
fn a_clock_that_jumps_changes_stamps_and_nothing_else() {
    let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
    let hour = Duration::from_secs(3_600);
    let disk = SimDisk::new();
    let open = || {
        let options =
            options().segment_age_max(hour).retention(Retention::Age(hour * 2)).clock(clock.clone());
        options.open_in(disk.root()).expect("there is room")
    };
    let log = open();
    let year = 31_536_000_000_i64;
    let jumps = [year, -3 * year, 0, 10 * year, -year, i64::MAX / 2, -1_700_000_000_000, 1_000];
    let mut expected = Vec::new();
    for (number, jump) in jumps.into_iter().cycle().take(64).enumerate() {
        clock.set(Timestamp::from_millis(1_700_000_000_000 + jump));
        let level = if number % 3 == 0 { Durability::Durable } else { Durability::Written };
        let value = number.to_string();
        let appended = log.append_with(level, [Record::new(&value)]).wait().expect("no clock matters");
        assert_eq!(appended.base_offset().get(), number as u64);
        expected.push(value);
        log.maintain().expect("no clock matters");
        assert_eq!(
            log.log_start_offset(),
            Offset::ZERO,
            "no time has passed, and the clock jumped by {jump} ms"
        );
    }
    log.flush().wait().expect("no clock matters");
    assert_eq!(values(&log, 0), expected);
    // With the right time again, and time that passes on both clocks, retention does its work.
    clock.set(Timestamp::from_millis(1_700_000_000_000));
    log.append_with(Durability::Durable, [Record::new("last")]).wait().expect("room");
    clock.advance(hour * 5);
    log.maintain().expect("room");
    assert_eq!(log.log_start_offset(), log.log_end_offset(), "all of it is old by now");
    log.close().expect("it syncs");
    assert_eq!(open().log_end_offset().get(), 65);
}
