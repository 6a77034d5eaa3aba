//! How fast is a partition, beside what the machine itself can do?
//!
//! ```text
//!     appends   100 B and 1 KiB, 1, 10 and 100 to a batch, written and durable; by one thread, four and 64
//!     reads     from the first record to the last, each one verified; out of the cache and from the disk
//!     limits    fdatasync on a prepared file; a plain loop that fills 256 KiB and writes it
//! ```
//!
//!     cargo bench --bench log [-- --quick]

mod support;

use annals::{Durability, Offset, Partition, PartitionOptions, ReadLevel, ReadMode, Record, WriteMode};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use support::limits::{KIB, MIB, PreparedFile, write_loop_round};
use support::{Bench, Folder, Results, percentile_us, seconds, sized};

const LENS: [(&str, usize); 2] = [("100 B", 100), ("1 KiB", KIB)];
const BATCHES: [usize; 3] = [1, 10, 100];
const WRITE_MODES: [(&str, WriteMode); 2] = [("map", WriteMode::Automatic), ("pwrite", WriteMode::Pwrite)];
const READ_MODES: [(&str, ReadMode); 2] = [("map", ReadMode::Automatic), ("pread", ReadMode::Pread)];
const RATES: &[&str] = &["M records/s", "MB/s"];
const LATENCIES: &[&str] = &["us p50", "us p99", "records/s"];

fn main() {
    let folder = Folder::new("log");
    let stored = [store(&folder, 100, 1), store(&folder, 100, 100), store(&folder, KIB, 100)];
    let mut bench = Bench::new("log");
    limits(&mut bench, &folder);
    written_appends(&mut bench, &folder);
    durable_appends(&mut bench, &folder);
    for log in &stored {
        warm_reads(&mut bench, log);
        cold_reads(&mut bench, log);
    }
    ratios(&bench.run());
}

fn limits(bench: &mut Bench<'_>, folder: &Folder) {
    for (shape, len) in LENS {
        let path = folder.0.join(format!("loop-{len}"));
        bench.case(loop_of(shape), RATES, move || write_loop_round(&path, len, round_bytes()));
    }
    let mut file = PreparedFile::new(&folder.0.join("prepared"), 4 * KIB);
    bench.case(SYNC, &["us p50", "us p99"], move || file.sync_round());
}

const SYNC: &str = "limit: 4 KiB + fdatasync on a prepared file";

fn loop_of(shape: &str) -> String {
    format!("limit: a loop that fills 256 KiB with {shape} records and writes it")
}

/// Bytes of values that one round of appends takes.
fn round_bytes() -> usize {
    sized(16, 48, 96) * MIB
}

fn written_appends(bench: &mut Bench<'_>, folder: &Folder) {
    for (shape, len) in LENS {
        for batch in BATCHES {
            for (mode, write) in WRITE_MODES {
                let path = folder.0.join("written");
                let name = format!("append, written, {mode}, {shape} x {batch}");
                bench.case(name, RATES, move || append_round(&path, write, len, batch, 1));
            }
        }
    }
    for (mode, write) in WRITE_MODES {
        let path = folder.0.join("written");
        let name = format!("append, written, {mode}, 100 B x 1, four threads");
        bench.case(name, RATES, move || append_round(&path, write, 100, 1, 4));
    }
}

fn options(write: WriteMode) -> PartitionOptions {
    Partition::options().write_mode(write).read_level(ReadLevel::Written)
}

/// Appends to a new log from so many threads. Returns M records/s and MB/s.
fn append_round(path: &Path, write: WriteMode, len: usize, batch: usize, threads: usize) -> Vec<f64> {
    // A system call for each batch: fewer of them will do.
    let bytes = if write == WriteMode::Pwrite && batch < 100 { round_bytes() / 8 } else { round_bytes() };
    let batches = bytes / len / batch / threads;
    let log = options(write).open(path).expect("a new directory");
    let took = seconds(|| {
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| append(&log, len, batch, batches));
            }
        });
    });
    let records = batches * batch * threads;
    assert_eq!(log.log_end_offset().get(), records as u64);
    remove(log, path);
    vec![records as f64 / took / 1e6, (records * len) as f64 / took / 1e6]
}

fn append(log: &Partition, len: usize, batch: usize, batches: usize) {
    let value = vec![7; len];
    for _ in 0..batches {
        let records = (0..batch).map(|_| Record::new(black_box(&value)));
        log.append_with(Durability::Written, records).wait().expect("room on the disk");
    }
}

fn remove(log: Partition, path: &Path) {
    log.close().expect("a sync that works");
    std::fs::remove_dir_all(path).expect("the directory was just made");
}

fn durable_appends(bench: &mut Bench<'_>, folder: &Folder) {
    for (shape, len) in LENS {
        for batch in BATCHES {
            let path = folder.0.join("durable");
            let name = format!("append, durable, map, {shape} x {batch}");
            bench.case(name, LATENCIES, move || durable_round(&path, WriteMode::Automatic, len, batch, 1));
        }
    }
    for (mode, write) in WRITE_MODES {
        let path = folder.0.join("durable");
        let name = format!("append, durable, {mode}, 100 B x 1, 64 threads");
        bench.case(name, LATENCIES, move || durable_round(&path, write, 100, 1, 64));
    }
}

/// Appends and waits, again and again, from so many threads. Returns p50 and p99 in us, and records/s.
fn durable_round(path: &Path, write: WriteMode, len: usize, batch: usize, threads: usize) -> Vec<f64> {
    let appends = sized(50, 200, 1_000);
    let log = options(write).open(path).expect("a new directory");
    let mut took = Vec::new();
    let elapsed = seconds(|| {
        thread::scope(|scope| {
            let threads: Vec<_> =
                (0..threads).map(|_| scope.spawn(|| timed_appends(&log, len, batch, appends))).collect();
            for thread in threads {
                took.extend(thread.join().expect("no append fails"));
            }
        });
    });
    remove(log, path);
    let rate = (took.len() * batch) as f64 / elapsed;
    vec![percentile_us(&mut took, 0.50), percentile_us(&mut took, 0.99), rate]
}

fn timed_appends(log: &Partition, len: usize, batch: usize, appends: usize) -> Vec<Duration> {
    let value = vec![7; len];
    (0..appends)
        .map(|_| {
            let started = Instant::now();
            log.append((0..batch).map(|_| Record::new(&value))).wait().expect("room on the disk");
            started.elapsed()
        })
        .collect()
}

/// A closed log that is there to be read.
struct Stored {
    path: PathBuf,
    shape: String,
    len: usize,
    records: usize,
}

fn store(folder: &Folder, len: usize, batch: usize) -> Stored {
    let path = folder.0.join(format!("stored-{len}-{batch}"));
    let batches = sized(32, 128, 256) * MIB / len / batch;
    let log = options(WriteMode::Automatic).open(&path).expect("a new directory");
    append(&log, len, batch, batches);
    log.close().expect("a sync that works");
    let shape = if len == KIB { format!("1 KiB x {batch}") } else { format!("{len} B x {batch}") };
    Stored { path, shape, len, records: batches * batch }
}

impl Stored {
    /// Reads all of it. Returns M records/s and MB/s.
    fn read_round(&self, log: &Partition) -> Vec<f64> {
        let mut count = 0;
        let took = seconds(|| {
            for records in log.read(Offset::ZERO) {
                for record in &records.expect("the log is whole") {
                    count += usize::from(black_box(record.value()).len() == self.len);
                }
            }
        });
        assert_eq!(count, self.records);
        vec![count as f64 / took / 1e6, (count * self.len) as f64 / took / 1e6]
    }

    /// Has the cache drop its files; says whether the disk says so too, once `read` has read all of it.
    fn is_cold(&self, read: impl FnOnce()) -> bool {
        for entry in std::fs::read_dir(&self.path).expect("the log's directory") {
            let file =
                std::fs::File::open(entry.expect("the log's directory").path()).expect("a file of the log");
            let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
        }
        let before = bytes_from_disk();
        read();
        bytes_from_disk() - before >= (self.len * self.records * 9 / 10) as u64
    }
}

/// Bytes that this process has had read from a disk.
fn bytes_from_disk() -> u64 {
    let counters = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let bytes = counters.lines().find_map(|line| line.strip_prefix("read_bytes: "));
    bytes.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

fn warm_reads<'a>(bench: &mut Bench<'a>, stored: &'a Stored) {
    for (mode, read) in READ_MODES {
        let log = options(WriteMode::Automatic).read_mode(read);
        bench.case(format!("read, warm, {mode}, {}", stored.shape), RATES, move || {
            // One handle writes at a time, so each round opens anew.
            let log = log.clone().open(&stored.path).expect("the log is whole");
            stored.read_round(&log)
        });
    }
}

fn cold_reads<'a>(bench: &mut Bench<'a>, stored: &'a Stored) {
    for (mode, read) in READ_MODES {
        let options = options(WriteMode::Automatic).read_mode(read);
        let name = format!("read, cold, {mode}, {}", stored.shape);
        bench.case(name.clone(), RATES, move || {
            let mut rates = Vec::new();
            let is_cold = stored.is_cold(|| {
                let log = options.clone().open(&stored.path).expect("the log is whole");
                rates = stored.read_round(&log);
            });
            if !is_cold {
                println!("skipped: {name}: the cache could not be dropped, the figure is a warm one");
            }
            rates
        });
    }
}

fn ratios(results: &Results) {
    for (shape, _) in LENS {
        for batch in BATCHES {
            results.ratio(&format!("append, written, map, {shape} x {batch}"), &loop_of(shape));
        }
    }
    results.ratio("append, written, map, 100 B x 1, four threads", "append, written, map, 100 B x 1");
    for shape in ["100 B x 1", "1 KiB x 1", "100 B x 1, 64 threads"] {
        results.ratio(&format!("append, durable, map, {shape}"), SYNC);
    }
    results.ratio("read, warm, map, 100 B x 100", &loop_of("100 B"));
    results.ratio("read, warm, map, 1 KiB x 100", &loop_of("1 KiB"));
}
