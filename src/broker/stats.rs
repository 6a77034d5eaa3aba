//! A snapshot of a broker's sizes and pointers.

use super::core::Core;
use crate::topic::{SlotStats, TopicPartition};
use crate::{Error, PartitionStats};
use std::sync::Arc;

/// Sizes and pointers of a broker at one moment.
///
/// The sums are those of `partitions`. What [`disk_bytes_max`](crate::BrokerOptions::disk_bytes_max) counts is more than
/// `disk_bytes`: the catalog, the partitions that are refused, and those of deleted topics that somebody still holds.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BrokerStats {
    /// How many topics there are.
    pub topic_count: usize,
    /// How many partitions are open; all others are at rest or refused.
    pub open_count: usize,
    /// Partitions that could not be opened when that was tried last, and why.
    pub refused: Vec<(TopicPartition, Error)>,
    /// All others. One at rest is as it was when it was closed.
    pub partitions: Vec<(TopicPartition, PartitionStats)>,
    /// Bytes of log, segment headers included.
    pub log_bytes: u64,
    /// Most bytes of disk they take; see [`PartitionStats::disk_bytes`].
    pub disk_bytes: u64,
    /// Bytes of deleted segments that readers hold.
    pub pinned_bytes: u64,
    /// Bytes that are written and not synced.
    pub unsynced_bytes: u64,
}

impl Core {
    pub(super) fn stats(&self) -> BrokerStats {
        let mut stats = BrokerStats::default();
        for topic in self.topics() {
            stats.topic_count += 1;
            let name: Arc<str> = topic.name().into();
            for (number, slot) in (0..).zip(topic.slot_stats()) {
                stats.add(TopicPartition::new(name.clone(), number), slot);
            }
        }
        stats
    }
}

impl BrokerStats {
    fn add(&mut self, place: TopicPartition, slot: SlotStats) {
        let (open, stats) = match slot {
            SlotStats::Refused(error) => return self.refused.push((place, error)),
            SlotStats::Open(stats) => (1, stats),
            SlotStats::Resting(stats) => (0, stats),
        };
        self.open_count += open;
        self.log_bytes += stats.log_bytes;
        self.disk_bytes += stats.disk_bytes;
        self.pinned_bytes += stats.pinned_bytes;
        self.unsynced_bytes += stats.unsynced_bytes;
        self.partitions.push((place, stats));
    }
}
