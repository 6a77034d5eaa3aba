//! What is done to a broker, by weight.

use crate::crash::subject::Script;
use annals::{Retention, WriteMode};
use std::time::Duration;

/// One kind of thing that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A topic that is not there.
    Create,
    /// One or two partitions more.
    Grow,
    /// Another retention.
    Change,
    Delete,
    /// A batch into one of the partitions, durable.
    Append,
    /// The same, written.
    AppendWritten,
    Flush,
    Maintain,
    /// The clock moves on, and what is due in all topics is done.
    Pass(Duration),
    DeleteRecords,
    /// The broker is closed and opened again.
    Reopen,
}

/// How a broker is set up and used.
#[derive(Clone, Debug)]
pub struct BrokerScript {
    pub name: &'static str,
    pub write: WriteMode,
    pub disk_bytes_max: u64,
    /// What topics are created with, and changed to.
    pub retentions: &'static [Retention],
    /// Most partitions of a topic.
    pub partitions: u32,
    /// Length of a value, in bytes: from, to (inclusive).
    pub value: (usize, usize),
    pub mix: &'static [(u32, Act)],
    /// How many acts there are.
    pub length: usize,
}

impl Script for BrokerScript {
    fn name(&self) -> &'static str {
        self.name
    }
}

impl BrokerScript {
    /// Topics of one or two partitions that are kept for ever, and small records.
    pub const fn new(name: &'static str, mix: &'static [(u32, Act)], length: usize) -> Self {
        Self {
            name,
            write: WriteMode::Automatic,
            disk_bytes_max: u64::MAX,
            retentions: &[Retention::Forever],
            partitions: 2,
            value: (4, 200),
            mix,
            length,
        }
    }

    pub const fn pwrite(mut self) -> Self {
        self.write = WriteMode::Pwrite;
        self
    }

    pub const fn disk_bytes_max(mut self, bytes: u64) -> Self {
        self.disk_bytes_max = bytes;
        self
    }

    pub const fn retentions(mut self, retentions: &'static [Retention]) -> Self {
        self.retentions = retentions;
        self
    }

    pub const fn partitions(mut self, count: u32) -> Self {
        self.partitions = count;
        self
    }

    pub const fn values(mut self, from: usize, to: usize) -> Self {
        self.value = (from, to);
        self
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
