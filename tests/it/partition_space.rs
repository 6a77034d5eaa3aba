//! What one partition takes of the disk: never more than it says, and nothing for long that it does not need.

use crate::basics::{tempdir, values};
use crate::crash::interlude::{Cue, Interlude};
use crate::loop_disk::{Kind, LoopDisk};
use annals::clock::ManualClock;
use annals::io::{MemoryDisk, SimDisk};
use annals::{
    Maintenance, Partition, PartitionOptions, Record, RecoveryOutcome, Retention, Timestamp, WriteMode,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

const AGE: Duration = Duration::from_secs(3_600);
const MODES: [WriteMode; 2] = [WriteMode::Automatic, WriteMode::Pwrite];

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_millis(1_700_000_000_000))
}

fn options(clock: &ManualClock, mode: WriteMode) -> PartitionOptions {
    let options = Partition::options().maintenance(Maintenance::Manual).clock(clock.clone()).write_mode(mode);
    options.segment_age_max(AGE).disk_bytes_max(1 << 30)
}

fn append(log: &Partition) {
    log.append([Record::new("a")]).wait().expect("there is room");
}

/// Appends to a new segment.
fn roll(log: &Partition, clock: &ManualClock) {
    clock.advance(AGE * 2);
    append(log);
}

/// What is cut off was kept with all that was reserved behind it, up to a MiB each time, and nobody counted that.
#[test]
fn a_truncation_gives_back_what_was_reserved() {
    for mode in MODES {
        let disk = MemoryDisk::new();
        let log = options(&clock(), mode).open_in(disk.root()).expect("memory has room");
        for _ in 0..20 {
            append(&log);
            let kept = log.log_end_offset();
            append(&log);
            log.truncate(kept).expect("it lies in the log");
            let (used, counted) = (disk.used_bytes(), log.stats().disk_bytes);
            assert!(used <= counted, "{used} bytes are taken, {counted} are counted");
        }
        assert!(disk.used_bytes() < 20 * 16_384, "{} bytes are taken", disk.used_bytes());
    }
}

/// What a process that was killed in the middle of a roll had reserved stayed in the segment before.
#[test]
fn a_roll_that_recovery_finishes_gives_back_what_was_reserved() {
    for mode in MODES {
        let (disk, clock) = (SimDisk::new(), clock());
        let log = options(&clock, mode).open_in(disk.root()).expect("the disk is empty");
        append(&log);
        roll(&log, &clock);
        let disk = disk.kill();
        let log = options(&clock, mode).open_in(disk.root()).expect("the disk is well");
        assert_eq!(log.recovery_report().outcome, RecoveryOutcome::Clean);
        assert_eq!(log.segments().len(), 2);
        let first = log.segments()[0].path();
        let first = first.file_name().and_then(|name| name.to_str()).expect("it has a name");
        let file = disk.root().open(first, annals::io::Access::Read).expect("it is there");
        assert_eq!(file.allocated_bytes().expect("it is well"), 2 * 4_096);
    }
}

/// The next step of the reserve was taken in a file that others had sealed meanwhile, and stayed there.
#[test]
fn a_step_of_the_reserve_that_comes_after_a_roll_is_given_back() {
    let (disk, interlude, clock) = (MemoryDisk::new(), Interlude::default(), clock());
    let log = options(&clock, WriteMode::Automatic).open_in(interlude.within(disk.root()));
    let log = log.expect("memory has room");
    log.append([Record::new(&[1; 40 << 10])]).wait().expect("there is room");
    let (rolling, clock) = (log.clone(), clock.clone());
    interlude.set(Cue::Reserve, move || {
        roll(&rolling, &clock);
        // Sealing the one before the last.
        roll(&rolling, &clock);
    });
    log.maintain().expect("memory has room");
    assert!(!interlude.cancel(), "a step of the reserve was due");
    assert_eq!(log.segments().len(), 3);
    let (used, counted) = (disk.used_bytes(), log.stats().disk_bytes);
    assert!(used <= counted, "{used} bytes are taken, {counted} are counted");
}

/// It kept the file that was appended to open, with its map, and the manifest.
#[cfg(target_os = "linux")]
#[test]
fn a_closed_handle_that_is_kept_holds_no_file() {
    for mode in MODES {
        let (dir, clock) = (tempdir(), clock());
        let log = options(&clock, mode).retention(Retention::Forever).open(&dir).expect("there is room");
        append(&log);
        roll(&log, &clock);
        assert!(!held_below(&dir).is_empty());
        log.close().expect("the disk syncs");
        assert!(held_below(&dir).is_empty(), "{mode:?}: {:?}", held_below(&dir));
        assert!(!maps().contains(&*dir.to_string_lossy()), "{mode:?}");
        assert!(log.stats().disk_bytes >= taken(&dir), "{} of {}", log.stats().disk_bytes, taken(&dir));
        assert_eq!(values(&log, 0), ["a", "a"], "what it held may still be read");
        drop(std::fs::remove_dir_all(&dir));
    }
}

/// A volume of ext3 calls itself one of ext4. Its files were mapped and grew without any space being reserved, so that on
/// a full disk the store of a batch ended the process.
#[cfg(target_os = "linux")]
#[test]
fn nothing_is_stored_through_a_map_where_no_space_can_be_reserved() {
    let Some(disk) = LoopDisk::new(Kind::Ext3, "appending without a map") else { return };
    let dir = disk.path().join("log");
    let log = options(&clock(), WriteMode::Automatic).open(&dir).expect("there is room");
    append(&log);
    let writable =
        maps().lines().filter(|map| map.contains("rw-s") && map.contains(&*dir.to_string_lossy())).count();
    assert_eq!(writable, 0);
    // Far more than there is: the disk is full in the end, and says so.
    let full = (0..200).find_map(|_| log.append([Record::new(&vec![7; 900 << 10])]).wait().err());
    assert_eq!(full.expect("the disk is small").kind(), annals::ErrorKind::NoSpace);
}

/// The files in `dir` that this process has open.
#[cfg(target_os = "linux")]
fn held_below(dir: &Path) -> Vec<PathBuf> {
    let open = std::fs::read_dir("/proc/self/fd").expect("it lists").flatten();
    let targets = open.filter_map(|open| std::fs::read_link(open.path()).ok());
    targets.filter(|target| target.parent() == Some(dir)).collect()
}

#[cfg(target_os = "linux")]
fn maps() -> String {
    std::fs::read_to_string("/proc/self/maps").expect("it can be read")
}

#[cfg(target_os = "linux")]
fn taken(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let files = std::fs::read_dir(dir).expect("it lists").flatten();
    files.map(|file| file.metadata().expect("it is there").blocks() * 512).sum()
}
