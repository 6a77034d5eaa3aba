//! Real disks: processes that are killed at random moments, file systems that are full, and that may not be
//! written.
//!
//! ```text
//!     this process ──spawns──▶ the writer: appends, prints what is acknowledged ──▶ pipe
//!                  ──SIGKILL─▶      ✗
//!                  ──opens, compares with what the pipe said
//! ```

use crate::figure;
use crate::load::Load;
use crate::own_process;
use crate::proof::{self, Count, Rate, Seed, Size};
use annals::{
    Durability, ErrorKind, Follower, Maintenance, Offset, Partition, PartitionOptions, ReadLevel, Record,
    Retention, WriteMode,
};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A directory of this test alone, under `parent`; none when there is no such place.
fn dir_under(parent: &Path) -> Option<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = parent.join(format!("annals-real-{}-{number}", std::process::id()));
    fs::create_dir(&dir).ok().map(|()| dir)
}

fn value(offset: u64) -> String {
    format!("{offset} {}", "v".repeat(usize::try_from(offset * 37 % 400).expect("small")))
}

fn options(write_mode: WriteMode) -> PartitionOptions {
    options_of(Load::Light, write_mode)
}

fn options_of(load: Load, write_mode: WriteMode) -> PartitionOptions {
    let batch = match load {
        Load::Light => 8 << 10,
        Load::Heavy => 16 << 10,
    };
    let options = Partition::options().segment_bytes_max(load.segment_bytes_max());
    options.batch_bytes_max(batch).write_mode(write_mode)
}

/// How many records the batch at `next` has.
fn records_of(load: Load, next: u64) -> u64 {
    match load {
        Load::Light => 1 + next % 4,
        Load::Heavy => 60,
    }
}

/// What level the batch of this number asks for, when it is `level` that is tested.
fn level_of(load: Load, batch: u64, level: Durability) -> Durability {
    if load == Load::Heavy && !batch.is_multiple_of(32) { Durability::Written } else { level }
}

/// Checks that the log holds each offset's own value, and goes on to `least` at least; returns where it ends.
fn check(log: &Partition, least: u64, what: &str) -> u64 {
    let start = log.log_start_offset().get();
    let mut next = start;
    for records in log.read(log.log_start_offset()).level(ReadLevel::Written) {
        for record in &records.unwrap_or_else(|error| panic!("{what}: {error}")) {
            assert_eq!(record.offset().get(), next, "{what}");
            assert_eq!(record.value(), value(next).as_bytes(), "{what}: offset {next}");
            next += 1;
        }
    }
    assert_eq!(next, log.log_end_offset().get(), "{what}");
    assert!(next >= least, "{what}: it ends at {next}, and {least} was acknowledged");
    next
}

/// The part of the process that is killed: appends for as long as it lives.
#[test]
#[ignore = "the part of another process: run by what_a_killed_process_was_told_is_there"]
fn the_writer() {
    let Ok(dir) = std::env::var("ANNALS_IT_DIR") else { return };
    let is_pwrite = std::env::var("ANNALS_IT_MODE").is_ok_and(|mode| mode == "pwrite");
    let is_durable = std::env::var("ANNALS_IT_LEVEL").is_ok_and(|level| level == "durable");
    let mode = if is_pwrite { WriteMode::Pwrite } else { WriteMode::Automatic };
    let level = if is_durable { Durability::Durable } else { Durability::Written };
    let load = Load::named(&std::env::var("ANNALS_IT_LOAD").expect("the parent says it"));
    let log = options_of(load, mode).open(dir).expect("it opens after every kill");
    for batch in 0.. {
        let next = log.log_end_offset().get();
        let values: Vec<_> = (next..next + records_of(load, next)).map(value).collect();
        let append = log.append_with(level_of(load, batch, level), values.iter().map(Record::new));
        println!("acknowledged {}", append.wait().expect("there is room").next_offset());
    }
}

/// Runs the writer in another process, kills it after `life`, and returns what it was told last.
fn killed_after(dir: &Path, load: Load, mode: WriteMode, level: Durability, life: Duration) -> u64 {
    let mut child = own_process::running("real_disk::the_writer")
        .env("ANNALS_IT_DIR", dir)
        .env("ANNALS_IT_LOAD", load.name())
        .env("ANNALS_IT_MODE", if mode == WriteMode::Pwrite { "pwrite" } else { "map" })
        .env("ANNALS_IT_LEVEL", if level == Durability::Durable { "durable" } else { "written" })
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it can be run again");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut told = 0;
    let mut deadline = None;
    // From the first acknowledgement on its life is counted; what lies in the pipe is read after the kill.
    for line in &mut lines {
        let Ok(line) = line else { break };
        let Some((_, number)) = line.split_once("acknowledged ") else { continue };
        let Ok(number) = number.parse() else { continue };
        told = number;
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + life);
        if Instant::now() >= deadline {
            child.kill().expect("it is ours");
            break;
        }
    }
    drop(child.kill());
    for line in lines.map_while(Result::ok) {
        // The last line may be cut off; then it ends in no whole number that was told.
        let whole = line.split_once("acknowledged ").and_then(|(_, number)| number.parse().ok());
        told = whole.filter(|number| *number > told && *number < told + 1_000).unwrap_or(told);
    }
    child.wait().expect("it was killed");
    told
}

#[test]
fn what_a_killed_process_was_told_is_there() {
    let started = Instant::now();
    let mut random = Seed::of("T7 kills").rng(0);
    let (mut cycles, mut records) = (0, 0);
    for parent in [std::env::temp_dir(), PathBuf::from("/dev/shm")] {
        for mode in [WriteMode::Automatic, WriteMode::Pwrite] {
            for level in [Durability::Written, Durability::Durable] {
                let Some(dir) = dir_under(&parent) else {
                    proof::skip(&format!("T7 kills: there is no {}", parent.display()));
                    continue;
                };
                let mut least = 0;
                for cycle in 0..Size::asked().pick(2, 30, 125) {
                    let load = Load::of(cycle);
                    let what = format!("{}, {load:?}, {mode:?}, {level:?}, cycle {cycle}", parent.display());
                    let life = Duration::from_micros(random.u64(0..40_000));
                    least = killed_after(&dir, load, mode, level, life).max(least);
                    let other = if cycle % 2 == 0 { mode } else { WriteMode::Automatic };
                    let log = options_of(load, other)
                        .maintenance(Maintenance::Manual)
                        .open(&dir)
                        .unwrap_or_else(|error| panic!("{what}: {error}"));
                    records = records.max(check(&log, least, &what));
                    assert!(log.verify().expect("it can be read").damage.is_empty(), "{what}");
                    cycles += 1;
                    // Most of it goes, so that no cycle takes long to check.
                    let start =
                        log.log_end_offset().get().saturating_sub(300).max(log.log_start_offset().get());
                    log.delete_records(Offset::new(start).expect("small")).expect("it is in the log");
                }
                drop(fs::remove_dir_all(&dir));
            }
        }
    }
    figure!(
        "T7 SIGKILL of a writing process: {} cycles, both write modes and levels, half under a heavy load, up to {} \
         records, 0 lost, {}",
        Count(cycles),
        Count(records),
        Rate(cycles, started.elapsed())
    );
}

/// A small file system that is mounted for one test.
struct Mounted {
    at: PathBuf,
    image: Option<PathBuf>,
}

impl Mounted {
    /// A new file system of this kind; none, and a word about it, where that is not possible.
    fn new(kind: &str, mebibytes: u64) -> Option<Self> {
        let what = format!("a full {kind}");
        if !is_root() {
            proof::skip(&format!("{what}: only root can mount it"));
            return None;
        }
        let at = dir_under(&std::env::temp_dir()).expect("there is room");
        let mut mounted = Self { at, image: None };
        let at = mounted.at.display().to_string();
        let done = match kind {
            "tmpfs" => run("mount", &["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs", &at]),
            _ => {
                let image = mounted.at.with_extension("image");
                let file = fs::File::create(&image).expect("there is room");
                file.set_len(mebibytes << 20).expect("there is room");
                let name = image.display().to_string();
                mounted.image = Some(image);
                run("mkfs.ext4", &["-q", "-F", "-m", "0", &name])
                    .and_then(|()| run("mount", &["-o", "loop", &name, &at]))
            }
        };
        match done {
            Ok(()) => Some(mounted),
            Err(reason) => {
                proof::skip_for_want_of(
                    if kind == "tmpfs" { "mount" } else { "a loop device" },
                    &format!("{what} ({reason})"),
                );
                None
            }
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(run("umount", &["-l", &self.at.display().to_string()]));
        drop(fs::remove_dir_all(&self.at));
        self.image.iter().for_each(|image| drop(fs::remove_file(image)));
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output =
        Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// Appends until the disk is full; returns how many records were acknowledged.
fn fill(log: &Partition, what: &str) -> u64 {
    loop {
        let next = log.log_end_offset().get();
        let values: Vec<_> = (next..next + 16).map(value).collect();
        match log.append_with(Durability::Durable, values.iter().map(Record::new)).wait() {
            Ok(appended) => assert_eq!(appended.base_offset().get(), next),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NoSpace, "{what}: {error}");
                assert!(!log.stats().is_poisoned, "{what}: nothing was written, so nothing is in doubt");
                return next;
            }
        }
    }
}

#[test]
fn a_full_disk_is_an_error_that_passes() {
    for (kind, mebibytes) in [("tmpfs", 2), ("ext4", 16)] {
        let Some(disk) = Mounted::new(kind, mebibytes) else { continue };
        for mode in [WriteMode::Automatic, WriteMode::Pwrite] {
            for maintenance in [Maintenance::Manual, Maintenance::Threads] {
                let what = format!("{kind}, {mode:?}, {maintenance:?}");
                let dir = disk.at.join("log");
                let open = || {
                    options(mode)
                        .maintenance(maintenance)
                        .open(&dir)
                        .unwrap_or_else(|error| panic!("{what}: {error}"))
                };
                // What others store fills most of it.
                let others = disk.at.join("others");
                let log = open();
                fill_others(&disk.at, &others);
                let stored = fill(&log, &what);
                check(&log, stored, &what);
                // More room: it goes on.
                let less = fs::metadata(&others).expect("there").len() - (200 << 10);
                fs::OpenOptions::new()
                    .write(true)
                    .open(&others)
                    .and_then(|file| file.set_len(less))
                    .expect("it shrinks");
                let more = fill(&log, &what);
                assert!(more > stored, "{what}: space was freed, and nothing more was stored");
                check(&log, more, &what);
                // Deleting records needs no room, and makes some.
                let middle = Offset::new(more / 2).expect("small");
                log.delete_records(middle).unwrap_or_else(|error| panic!("{what}: {error}"));
                let last = fill(&log, &what);
                assert!(last > more, "{what}: records were deleted, and nothing more was stored");
                check(&log, last, &what);
                // It can be closed and opened on the full disk.
                log.close().unwrap_or_else(|error| panic!("{what}: {error}"));
                let log = open();
                check(&log, last, &what);
                assert_eq!(log.verify().expect("it can be read").damage, [], "{what}");
                log.close().unwrap_or_else(|error| panic!("{what}: {error}"));
                fs::remove_dir_all(&dir).expect("it is ours");
                fs::remove_file(&others).expect("it is ours");
            }
        }
    }
}

/// Leaves about 300 KiB of room.
fn fill_others(disk: &Path, others: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(others).expect("there is room for a name");
    while file.write_all(&[7; 64 << 10]).is_ok() {}
    drop(file);
    let len = fs::metadata(others).expect("there").len();
    assert!(len > 700 << 10, "{} is too small", disk.display());
    fs::OpenOptions::new()
        .write(true)
        .open(others)
        .and_then(|file| file.set_len(len - (300 << 10)))
        .expect("it shrinks");
}

#[test]
fn retention_makes_room_at_the_cap() {
    let dir = dir_under(&std::env::temp_dir()).expect("there is room");
    for (retention, is_permitted) in
        [(Retention::Forever, false), (Retention::Age(Duration::from_secs(86_400)), true)]
    {
        let log = options(WriteMode::Automatic)
            .retention(retention)
            .disk_bytes_max(512 << 10)
            .open(&dir)
            .expect("room");
        let mut refused = None;
        for _ in 0..6_000 {
            let next = log.log_end_offset().get();
            if let Err(error) = log.append_with(Durability::Written, [Record::new(&value(next))]).wait() {
                refused = Some(error);
                break;
            }
        }
        match refused {
            None => assert!(is_permitted && log.log_start_offset() > Offset::ZERO),
            Some(error) => {
                assert!(!is_permitted, "{error}");
                assert_eq!(error.kind(), ErrorKind::NoSpace);
                assert!(error.to_string().contains("disk_bytes_max is 524288"), "{error}");
            }
        }
        assert!(log.stats().disk_bytes <= 512 << 10, "{:?}", log.stats());
        check(&log, 0, "at the cap");
        log.close().expect("it syncs");
    }
    drop(fs::remove_dir_all(&dir));
}

#[test]
fn a_directory_that_may_not_be_written_can_be_followed() {
    if !is_root() {
        proof::skip("a read-only mount: only root can make one");
        return;
    }
    let dir = dir_under(&std::env::temp_dir()).expect("there is room");
    let log = options(WriteMode::Automatic).open(dir.join("log")).expect("there is room");
    log.append([Record::new(&value(0))]).wait().expect("there is room");
    log.close().expect("it syncs");
    let name = dir.display().to_string();
    let mounted = run("mount", &["--bind", &name, &name])
        .and_then(|()| run("mount", &["-o", "remount,ro,bind", &name]));
    if let Err(reason) = mounted {
        proof::skip_for_want_of("mount", &format!("a read-only mount ({reason})"));
        return;
    }
    let outcome = std::panic::catch_unwind(|| {
        let refused = options(WriteMode::Automatic).open(dir.join("log")).expect_err("it may not be written");
        assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused}");
        assert!(refused.to_string().contains("LOCK"), "{refused}");
        let refused = options(WriteMode::Automatic).open(dir.join("new")).expect_err("it may not be written");
        assert_eq!(refused.kind(), ErrorKind::ReadOnly, "{refused}");
        assert!(refused.to_string().contains("new"), "{refused}");
        let follower = Follower::open(dir.join("log")).expect("reading is allowed");
        let records = follower.read(Offset::ZERO).next().expect("one record").expect("it can be read");
        assert_eq!(records.iter().next().expect("one").value(), value(0).as_bytes());
    });
    run("umount", &["-l", &name]).expect("it was mounted");
    drop(fs::remove_dir_all(&dir));
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}
