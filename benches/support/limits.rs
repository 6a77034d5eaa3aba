//! What the machine itself can do, for figures to be read beside: syncs and plain writes.

use super::{percentile_us, seconds, sized};
use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub const KIB: usize = 1024;
pub const MIB: usize = 1024 * KIB;

/// The size of the prepared file.
const PREPARED_BYTES: usize = 32 * MIB;

/// Writes and syncs, one after the other, on a file whose blocks are allocated and known: it was filled with
/// zeros and synced once, so that a sync moves data and no metadata.
pub struct PreparedFile {
    file: File,
    position: usize,
    block: Vec<u8>,
}

impl PreparedFile {
    /// A prepared file for writes of `bytes` at a time.
    pub fn new(path: &Path, bytes: usize) -> Self {
        let mut file = File::create(path).expect("a file for the bench");
        let zeros = vec![0; MIB];
        for _ in 0..PREPARED_BYTES / MIB {
            file.write_all(&zeros).expect("room on the disk");
        }
        file.sync_all().expect("a sync that works");
        Self { file, position: 0, block: vec![7; bytes] }
    }

    /// How long a round of writes took, each with its fdatasync: median and 99th percentile, in us.
    pub fn sync_round(&mut self) -> Vec<f64> {
        let syncs = sized(50, 200, 1_000).min(200 * MIB / self.block.len());
        let mut took: Vec<Duration> = (0..syncs).map(|_| self.timed_sync()).collect();
        vec![percentile_us(&mut took, 0.50), percentile_us(&mut took, 0.99)]
    }

    fn timed_sync(&mut self) -> Duration {
        if self.position + self.block.len() > PREPARED_BYTES {
            self.position = 0;
        }
        let started = Instant::now();
        self.file.write_all_at(&self.block, self.position as u64).expect("room on the disk");
        self.file.sync_data().expect("a sync that works");
        self.position += self.block.len();
        started.elapsed()
    }
}

/// The loop that everybody writes first, into a new file: it fills 256 KiB with records of `len` bytes and
/// writes that. No offsets, no checksum, no index. Returns M records/s and MB/s.
pub fn write_loop_round(path: &PathBuf, len: usize, bytes: usize) -> Vec<f64> {
    let mut file = File::create(path).expect("a file for the bench");
    let records = bytes / len;
    let took = seconds(|| write_loop(&mut file, len, records));
    std::fs::remove_file(path).expect("the file was just made");
    vec![records as f64 / took / 1e6, (records * len) as f64 / took / 1e6]
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
