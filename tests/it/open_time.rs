//! How long an open takes: after a clean close, and after the process was killed.
//!
//! ```text
//!     1 GiB (4 GiB) of 1 KiB or of 100 B records, one to a batch: the most there can be to look at
//!     clean    closed, opened anew                                            < 10 ms
//!     at rest  killed when all was synced, the last segment nearly full       < 30 ms
//!     busy     killed with 6 MiB written and not synced                       < 30 ms
//! ```
//!
//! All of it is in the page cache. The kill is a real one, of a child process: this same binary. After a kill with
//! 6 MiB unsynced they are copied and synced, so that much is written beside it by a plain loop, in turns: what the
//! disk itself takes just then.

use crate::basics::tempdir;
use crate::own_process;
use crate::proof::{Size, skip};
use annals::io::SimDisk;
use annals::{
    Durability, Maintenance, Offset, Partition, PartitionOptions, ReadLevel, Record, RecoveryOutcome,
};
use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// How long the disk rests when the log has been made. One that lends its speed is several times slower behind some
/// gigabytes, for 5 to 10 seconds.
const REST: Duration = Duration::from_secs(15);
/// What a child process is told through its environment.
const CHILD: [&str; 3] = ["ANNALS_OPEN_TIME_DIR", "ANNALS_OPEN_TIME_LEN", "ANNALS_OPEN_TIME_KILL"];

/// In what state a child waits to be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kill {
    AtRest,
    Busy,
}

/// How long the opens of some rounds took: the median, and the least, which owes nothing to a busy machine.
#[derive(Clone, Copy)]
struct Took {
    median: Duration,
    least: Duration,
}

#[test]
fn opening_a_large_log_takes_milliseconds() {
    let rounds = Size::asked().pick(1, 7, 11);
    let sizes: &[u64] = Size::asked().pick(&[8 * MIB], &[GIB], &[GIB, 4 * GIB]);
    let mut first: Vec<[Took; 3]> = Vec::new();
    for (number, &bytes) in sizes.iter().enumerate() {
        if bytes > GIB && free_bytes() < 12 * GIB {
            skip("open times at 4 GiB: less than 12 GiB of disk are free");
            continue;
        }
        let took = [1024, 100].map(|len| open_times(len, bytes, rounds));
        if number == 0 {
            first.extend(took);
        }
        if Size::asked() == Size::Quick {
            skip("the limits of open times: quick, and perhaps without optimization");
        } else if is_busy() {
            skip("the limits of open times: more is running than the machine has processors for");
        } else {
            let met = took.iter().all(is_within_limits) && is_no_slower(&took, &first);
            let verdict = if met { "met" } else { "MISSED" };
            crate::figure!("open, {} MiB: the limits of 10 and 30 ms are {verdict}", bytes / MIB);
        }
    }
}

/// Printed and not asserted: a time is no promise on a machine that others use too.
fn is_within_limits([clean, at_rest, busy]: &[Took; 3]) -> bool {
    clean.median < Duration::from_millis(10)
        && at_rest.median < Duration::from_millis(30)
        && busy.median < Duration::from_millis(30)
}

/// Whether twice as much wants to run as the machine has processors: then times are those of the others.
fn is_busy() -> bool {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    load > 2.0 * processors as f64
}

/// At four times the size an open takes no longer, but for what the headers of more files cost.
fn is_no_slower(large: &[[Took; 3]], small: &[[Took; 3]]) -> bool {
    let pairs = large.iter().flatten().zip(small.iter().flatten());
    pairs.into_iter().all(|(large, small)| large.least < small.least * 2 + Duration::from_millis(5))
}

/// How long an open takes in each of the three cases, printed.
fn open_times(len: usize, bytes: u64, rounds: usize) -> [Took; 3] {
    let Folder(dir) = &Folder(tempdir());
    fill(dir, len, bytes);
    std::thread::sleep(Size::asked().pick(Duration::ZERO, REST, REST));
    let clean = (0..rounds).map(|_| {
        let (took, log) = timed_open(dir);
        assert_eq!(log.recovery_report().outcome, RecoveryOutcome::Clean);
        assert_eq!(log.recovery_report().scanned_bytes, 0);
        log.close().expect("nothing changed");
        took
    });
    let clean = Took::of(clean.collect());
    let at_rest = Took::of((0..rounds).map(|_| open_after_a_kill(dir, len, Kill::AtRest)).collect());
    let busy = (0..rounds).map(|_| (open_after_a_kill(dir, len, Kill::Busy), timed_writes(dir, 6 * MIB)));
    let (busy, alone) = busy.unzip();
    let (busy, alone) = (Took::of(busy), Took::of(alone));
    crate::figure!(
        "open, {} MiB of {len} B records, warm, median of {rounds} (least): {clean} after a clean close, \
         {at_rest} after SIGKILL at rest, {busy} after SIGKILL with 6 MiB unsynced, beside {alone} for writing as much \
         with as many syncs by a plain loop",
        bytes / MIB
    );
    [clean, at_rest, busy]
}

impl Took {
    fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        Self { median: took[took.len() / 2], least: took[0] }
    }
}

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1?} ({:.1?})", self.median, self.least)
    }
}

/// A directory that is removed at the end of a test, whichever way that ends.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn options() -> PartitionOptions {
    Partition::options().segment_bytes_max(segment_bytes_max()).durability(Durability::Written)
}

fn segment_bytes_max() -> u64 {
    Size::asked().pick(2 * MIB, 64 * MIB, 64 * MIB)
}

fn timed_open(dir: &Path) -> (Duration, Partition) {
    let started = Instant::now();
    let log = options().open(dir).expect("the log is whole");
    (started.elapsed(), log)
}

fn open_after_a_kill(dir: &Path, len: usize, kill: Kill) -> Duration {
    let end = kill_child(dir, len, kill);
    let (took, log) = timed_open(dir);
    check_end(&log, len, end);
    took
}

/// How long it takes to write and sync a new file of this many bytes, and four small ones.
fn timed_writes(dir: &Path, bytes: u64) -> Duration {
    let dir = &dir.with_extension("writes");
    std::fs::create_dir(dir).expect("a new directory");
    let started = Instant::now();
    for (number, bytes) in [bytes, 4096, 4096, 4096, 4096].into_iter().enumerate() {
        let mut file = File::create(dir.join(number.to_string())).expect("a new file");
        let piece = vec![7; bytes.min(256 << 10) as usize];
        for _ in 0..bytes / piece.len() as u64 {
            file.write_all(&piece).expect("room on the disk");
        }
        file.sync_data().expect("the disk syncs");
    }
    let took = started.elapsed();
    std::fs::remove_dir_all(dir).expect("it was just made");
    took
}

/// Appends until the log has this many bytes, and closes it.
fn fill(dir: &Path, len: usize, bytes: u64) {
    let log = options().open(dir).expect("a new directory");
    append_until(&log, len, || log.stats().log_bytes >= bytes);
    log.close().expect("the disk syncs");
}

/// Appends records, one to a batch, until `is_enough`, which is asked now and then.
fn append_until(log: &Partition, len: usize, is_enough: impl Fn() -> bool) {
    let value = vec![7; len];
    while !is_enough() {
        for _ in 0..100 {
            log.append([Record::new(&value)]).wait().expect("room on the disk");
        }
    }
}

/// Checks that all that was appended is there, and looks at the last 8 MiB of it.
fn check_end(log: &Partition, len: usize, end: u64) {
    assert_eq!(log.log_end_offset().get(), end, "all that was appended is there");
    let from = end.saturating_sub(8 * MIB / len as u64);
    let from = Offset::new(from).expect("it is in the log").max(log.log_start_offset());
    let mut next = from.get();
    for records in log.read(from).level(ReadLevel::Written) {
        for record in &records.expect("it is whole") {
            assert!(record.value().len() == len && record.value().iter().all(|byte| *byte == 7));
            assert_eq!(record.offset().get(), next);
            next += 1;
        }
    }
    assert_eq!(next, end);
}

/// Has a child open the log and append to it, and kills it; returns where the log ended then.
fn kill_child(dir: &Path, len: usize, kill: Kill) -> u64 {
    let mut child = own_process::running("open_time::the_child_that_is_killed");
    child.env(CHILD[0], dir).env(CHILD[1], len.to_string()).env(CHILD[2], format!("{kill:?}"));
    let said = own_process::kill_when_ready(child);
    let end = said.split_whitespace().rev().nth(1).expect("it says where the log ends");
    end.parse().unwrap_or_else(|error| panic!("{said}: {error}"))
}

#[test]
#[ignore = "the other half of the test above"]
fn the_child_that_is_killed() {
    let [Ok(dir), Ok(len), Ok(kill)] = CHILD.map(std::env::var) else { return };
    let log = options().open(dir).expect("the log is whole");
    let len = len.parse().expect("a number");
    let filled = |share: u64| {
        let segments = log.segments();
        let last = segments.last().map_or(0, |last| last.len_bytes());
        (segment_bytes_max() * share / 100..segment_bytes_max()).contains(&last)
    };
    let (most, rest) = Size::asked().pick((80, 90), (85, 95), (85, 95));
    append_until(&log, len, || filled(most));
    log.flush().wait().expect("the disk syncs");
    // Longer than the disk thread needs to list what is synced now: it rests.
    std::thread::sleep(Duration::from_millis(300));
    if kill == format!("{:?}", Kill::Busy) {
        append_until(&log, len, || filled(rest));
    }
    println!("the log ends at {} ready", log.log_end_offset());
    std::thread::sleep(Duration::from_secs(600));
}

/// Bytes that the disk under the temporary directory has free.
fn free_bytes() -> u64 {
    rustix::fs::statvfs(std::env::temp_dir()).map_or(0, |disk| disk.f_bavail * disk.f_frsize)
}

/// After a kill, all that was synced behind the recovery point has to be walked. So that point is moved along
/// while the log is written, and an open need not look at a whole segment.
#[test]
fn an_open_after_a_kill_looks_at_a_quarter_of_a_segment_at_most() {
    let (mut disk, segment_bytes_max) = (SimDisk::new(), 64 << 10);
    let options = || {
        let options = Partition::options().segment_bytes_max(segment_bytes_max).batch_bytes_max(1 << 10);
        options.maintenance(Maintenance::Manual).seed(7)
    };
    let mut walked_most = 0;
    for round in 1..=40_u64 {
        let log = options().open_in(disk.root()).expect("the log is whole");
        let report = log.recovery_report();
        assert_ne!(report.outcome, RecoveryOutcome::Torn);
        assert_eq!(log.log_end_offset().get(), (round - 1) * 21);
        walked_most = walked_most.max(report.scanned_bytes);
        for _ in 0..21 {
            log.append_with(Durability::Durable, [Record::new(&[7; 300])]).wait().expect("room");
            log.maintain().expect("the disk works");
        }
        disk = disk.kill();
    }
    // What lies before the recovery point is at most a step short of the end, and one batch.
    let step = segment_bytes_max / 4;
    assert!(walked_most <= step + 512, "{walked_most} bytes were walked");
    assert!(walked_most > step / 2, "the test must come near the limit: {walked_most}");
}
