//! What can this machine do? The limits that the log's own figures are read beside.
//!
//! fdatasync on a prepared file (written zeros, synced once, so that a sync moves data and no metadata), a plain
//! loop that fills a 256 KiB buffer with records and writes it, memory copies, and checksums.

mod support;

use std::hint::black_box;
use support::limits::{KIB, MIB, PreparedFile, write_loop_round};
use support::{Bench, Folder, seconds};

/// The bytes that the write loop writes in one round.
const LOOP_BYTES: usize = 128 * MIB;

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
        let mut file = PreparedFile::new(&folder.0.join(format!("sync-{bytes}")), bytes);
        let name = format!("{shape} + fdatasync, prepared file");
        bench.case(name, &["us p50", "us p99"], move || file.sync_round());
    }
}

/// The loop that everybody writes first: no offsets, no checksum, no index.
fn write_loops(bench: &mut Bench<'_>, folder: &Folder) {
    for (shape, len) in [("100 B", 100), ("1 KiB", KIB)] {
        let path = folder.0.join(format!("loop-{len}"));
        let name = format!("a loop that fills 256 KiB with {shape} records and writes it");
        bench.case(name, &["M records/s", "MB/s"], move || write_loop_round(&path, len, LOOP_BYTES));
    }
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
