//! A workload: how a partition is set up, and what is done to it, by weight.

use super::subject::Script;
use annals::clock::ManualClock;
use annals::io::Maps;
use annals::{
    Durability, Maintenance, Partition, PartitionOptions, ReadMode, Retention, Timestamp, TimestampSource,
    WriteMode,
};
use std::time::Duration;

/// The wall clock when a workload begins.
pub const BEGIN: i64 = 1_700_000_000_000;

/// One kind of thing that is done to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// One batch, waited for.
    Append,
    /// A batch with offsets and an epoch of its own.
    AppendVerbatim,
    /// Three batches at `Durable`, then the waits: a group commit.
    Burst,
    /// A flush, inside of whose sync others append.
    Overlap,
    Flush,
    Maintain,
    /// The clock moves on, and what is due is done.
    Pass(Duration),
    DeleteRecords,
    Truncate,
    /// Closed and opened again.
    Reopen,
    /// The next sync fails; the partition is reopened in process.
    FailedSync,
    /// Both levels are read, and compared with what was submitted.
    Look,
}

/// At which level batches are appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Levels {
    Written,
    Durable,
    Mixed,
}

/// What happens to index files between the crash and the open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexes {
    Whole,
    Missing,
    /// A bit is wrong, or the end is missing, or it is that of another segment.
    Damaged,
}

/// How a partition is set up and used.
#[derive(Clone, Debug)]
pub struct Workload {
    pub name: &'static str,
    pub write: WriteMode,
    pub read: ReadMode,
    pub maps: Maps,
    pub timestamps: TimestampSource,
    pub segment_bytes: u64,
    pub segment_age: Duration,
    pub batch_bytes_max: u32,
    pub retention: Retention,
    pub disk_bytes_max: u64,
    /// Length of a value, in bytes: from, to (inclusive).
    pub value: (usize, usize),
    /// Records in a batch: from, to (inclusive).
    pub batch: (usize, usize),
    pub levels: Levels,
    pub indexes: Indexes,
    pub mix: &'static [(u32, Act)],
    /// How many acts there are.
    pub length: usize,
}

impl Script for Workload {
    fn name(&self) -> &'static str {
        self.name
    }
}

impl Workload {
    /// Small records, one at a time, at `Durable`, through a map.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            write: WriteMode::Automatic,
            read: ReadMode::Automatic,
            maps: Maps::Offered,
            timestamps: TimestampSource::CreateTime,
            segment_bytes: 16 << 10,
            segment_age: Duration::from_secs(86_400),
            batch_bytes_max: 6 << 10,
            retention: Retention::Forever,
            disk_bytes_max: u64::MAX,
            value: (4, 120),
            batch: (1, 1),
            levels: Levels::Durable,
            indexes: Indexes::Whole,
            mix: &[(1, Act::Append)],
            length: 24,
        }
    }

    pub const fn mix(mut self, mix: &'static [(u32, Act)], length: usize) -> Self {
        (self.mix, self.length) = (mix, length);
        self
    }

    pub const fn pwrite(mut self) -> Self {
        self.write = WriteMode::Pwrite;
        self
    }

    pub const fn pread(mut self) -> Self {
        self.read = ReadMode::Pread;
        self
    }

    pub const fn unmapped(mut self) -> Self {
        self.maps = Maps::Refused;
        self
    }

    pub const fn values(mut self, from: usize, to: usize) -> Self {
        self.value = (from, to);
        self
    }

    pub const fn batches(mut self, from: usize, to: usize) -> Self {
        self.batch = (from, to);
        self
    }

    pub const fn batch_bytes_max(mut self, bytes: u32) -> Self {
        self.batch_bytes_max = bytes;
        self
    }

    pub const fn levels(mut self, levels: Levels) -> Self {
        self.levels = levels;
        self
    }

    pub const fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    pub const fn log_append_time(mut self) -> Self {
        self.timestamps = TimestampSource::LogAppendTime;
        self
    }

    pub const fn segment_age(mut self, age: Duration) -> Self {
        self.segment_age = age;
        self
    }

    pub const fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    pub const fn disk_bytes_max(mut self, bytes: u64) -> Self {
        self.disk_bytes_max = bytes;
        self
    }

    pub const fn indexes(mut self, indexes: Indexes) -> Self {
        self.indexes = indexes;
        self
    }

    /// The options to open it with; two opens with different seeds never share a salt.
    pub fn options(&self, seed: u64, clock: &ManualClock) -> PartitionOptions {
        Partition::options()
            .maintenance(Maintenance::Manual)
            .clock(clock.clone())
            .seed(seed)
            .write_mode(self.write)
            .read_mode(self.read)
            .timestamps(self.timestamps)
            .segment_bytes_max(self.segment_bytes)
            .segment_age_max(self.segment_age)
            .batch_bytes_max(self.batch_bytes_max)
            .retention(self.retention)
            .disk_bytes_max(self.disk_bytes_max)
    }

    /// The level of the next batch.
    pub fn level(&self, random: &mut fastrand::Rng) -> Durability {
        match self.levels {
            Levels::Written => Durability::Written,
            Levels::Durable => Durability::Durable,
            Levels::Mixed if random.bool() => Durability::Durable,
            Levels::Mixed => Durability::Written,
        }
    }

    /// The next thing to do.
    pub fn act(&self, random: &mut fastrand::Rng) -> Act {
        let total: u32 = self.mix.iter().map(|(weight, _)| weight).sum();
        let mut drawn = random.u32(0..total);
        for (weight, act) in self.mix {
            if drawn < *weight {
                return *act;
            }
            drawn -= weight;
        }
        unreachable!("what was drawn is below the total")
    }
}

/// A clock at the beginning.
pub fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_millis(BEGIN))
}
