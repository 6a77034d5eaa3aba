//! What can this machine do? The limits that the log's own figures are read beside.
//!
//! fdatasync on a prepared file (written zeros, synced once, so that a sync moves data and no metadata), a plain
//! loop that fills a 256 KiB buffer with records and writes it, memory copies, and checksums.

mod support;

use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};
use support::{Bench, Folder, percentile_us, seconds, sized};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The bytes that the write loop writes in one round.
const LOOP_BYTES: usize = 128 * MIB;

/// The size of the prepared file.
const PREPARED_BYTES: usize = 32 * MIB;

fn main() {
    let folder = Folder::new("limits");
    let mut bench = Bench::new("limits");
    syncs(&mut bench, &folder);
    write_loops(&mut bench, &folder);
    copies(&mut bench);
    checksums(&mut bench);
    bench.run();
}

/// Write and fdatasync, one after the other, on a prepared file.
fn syncs(bench: &mut Bench<'_>, folder: &Folder) {
    let shapes = [("4 KiB", 4 * KIB), ("64 x 256 B in one write", 64 * 256), ("1 MiB", MIB)];
    for (shape, bytes) in shapes {
        let mut file = prepared(folder, &format!("sync-{bytes}"));
        let mut position = 0;
        let name = format!("{shape} + fdatasync, prepared file");
        bench.case(name, &["us p50", "us p99"], move || {
            let mut took = timed_syncs(&mut file, &mut position, bytes);
            vec![percentile_us(&mut took, 0.50), percentile_us(&mut took, 0.99)]
        });
    }
}

/// A file of zeros that were written and synced, so that its blocks are allocated and known.
fn prepared(folder: &Folder, name: &str) -> File {
    let mut file = File::create(folder.0.join(name)).expect("a file for the bench");
    let zeros = vec![0; MIB];
    for _ in 0..PREPARED_BYTES / MIB {
        file.write_all(&zeros).expect("room on the disk");
    }
    file.sync_all().expect("a sync that works");
    file
}

/// How long each of a round's syncs took, the write before it included.
fn timed_syncs(file: &mut File, position: &mut usize, bytes: usize) -> Vec<Duration> {
    let syncs = sized(50, 200, 1_000).min(200 * MIB / bytes);
    let block = vec![7; bytes];
    let mut took = Vec::with_capacity(syncs);
    for _ in 0..syncs {
        if *position + bytes > PREPARED_BYTES {
            *position = 0;
        }
        let started = Instant::now();
        file.write_all_at(&block, *position as u64).expect("room on the disk");
        file.sync_data().expect("a sync that works");
        took.push(started.elapsed());
        *position += bytes;
    }
    took
}

/// The loop that everybody writes first: no offsets, no checksum, no index.
fn write_loops(bench: &mut Bench<'_>, folder: &Folder) {
    for (shape, len) in [("100 B", 100), ("1 KiB", KIB)] {
        let path = folder.0.join(format!("loop-{len}"));
        let name = format!("a loop that fills 256 KiB with {shape} records and writes it");
        bench.case(name, &["M records/s", "MB/s"], move || {
            let mut file = File::create(&path).expect("a file for the bench");
            let records = LOOP_BYTES / len;
            let took = seconds(|| write_loop(&mut file, len, records));
            std::fs::remove_file(&path).expect("the file was just made");
            vec![records as f64 / took / 1e6, (records * len) as f64 / took / 1e6]
        });
    }
}

fn write_loop(file: &mut File, len: usize, records: usize) {
    let record = vec![7; len];
    let mut buffer = Vec::with_capacity(256 * KIB);
    for _ in 0..records {
        if buffer.len() + len > 256 * KIB {
            file.write_all(&buffer).expect("room on the disk");
            buffer.clear();
        }
        buffer.extend_from_slice(black_box(&record));
    }
    file.write_all(&buffer).expect("room on the disk");
}

fn copies(bench: &mut Bench<'_>) {
    let source = vec![7_u8; MIB];
    let mut target = vec![0_u8; 64 * MIB];
    bench.case("memcpy of 1 MiB into 64 MiB that exist", &["GB/s"], move || {
        let took = seconds(|| {
            for place in target.chunks_exact_mut(MIB) {
                black_box(place).copy_from_slice(black_box(&source));
            }
        });
        vec![target.len() as f64 / took / 1e9]
    });
}

fn checksums(bench: &mut Bench<'_>) {
    for (shape, len) in [("100 B", 100), ("1 KiB", KIB), ("64 KiB", 64 * KIB)] {
        let bytes = vec![7_u8; len];
        bench.case(format!("crc32fast of {shape}"), &["ns", "GB/s"], move || {
            let times = 64 * MIB / len;
            let took = seconds(|| {
                for _ in 0..times {
                    black_box(crc32fast::hash(black_box(&bytes)));
                }
            });
            vec![took * 1e9 / times as f64, (times * len) as f64 / took / 1e9]
        });
    }
}
