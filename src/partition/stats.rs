//! A snapshot of a partition's sizes and pointers.

use super::shared::Shared;
use crate::{Offset, TopicId};

/// Sizes and pointers of a partition at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionStats {
    /// The topic it belongs to.
    pub topic: TopicId,
    /// Its number in the topic.
    pub partition: u32,
    /// The first offset that can be read.
    pub log_start_offset: Offset,
    /// End (exclusive) of what is synced.
    pub durable_offset: Offset,
    /// End (exclusive) of what is written.
    pub log_end_offset: Offset,
    /// How many segments there are.
    pub segment_count: usize,
    /// Bytes of log, segment headers included.
    pub log_bytes: u64,
    /// Most bytes of disk it takes.
    ///
    /// That is log, reserve, indexes, manifest, directory, and deleted segments that readers hold.
    pub disk_bytes: u64,
    /// Bytes of deleted segments that readers hold.
    pub pinned_bytes: u64,
    /// Bytes that are written and not synced.
    pub unsynced_bytes: u64,
    /// Bytes of memory that loaded indexes take.
    pub index_memory_bytes: usize,
    /// Whether writes are refused until it is reopened.
    pub is_poisoned: bool,
}

impl Shared {
    pub(super) fn stats(&self) -> PartitionStats {
        let (topic, partition) = self.identity;
        let writer = self.writer.lock();
        let view = self.view();
        PartitionStats {
            topic,
            partition,
            log_start_offset: view.log_start,
            durable_offset: self.durable_end(),
            log_end_offset: self.log_end(),
            segment_count: view.segments.len(),
            log_bytes: view.segments.iter().map(|segment| segment.len_bytes()).sum(),
            disk_bytes: self.disk_bytes_locked(&writer),
            pinned_bytes: self.pinned.bytes(),
            unsynced_bytes: writer.unsynced_bytes(),
            index_memory_bytes: view
                .segments
                .iter()
                .filter_map(|segment| segment.loaded_index())
                .map(|index| index.memory_bytes())
                .sum(),
            is_poisoned: writer.is_poisoned(),
        }
    }
}
