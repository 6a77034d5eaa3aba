//! A place between two batches.

use super::{Digest, SEGMENT_HEADER_LEN};
use crate::{Offset, Position, Timestamp};

/// A place between two batches, and what the batches before it add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) position: Position,
    pub(crate) next_offset: Offset,
    pub(crate) digest: Digest,
    pub(crate) leader_epoch: u32,
    pub(crate) max_timestamp: Timestamp,
    pub(crate) last_append_time: Timestamp,
}

impl Checkpoint {
    /// Before the first batch of a segment.
    pub(crate) fn start(first_offset: Offset, leader_epoch: u32, last_append_time: Timestamp) -> Self {
        Self {
            position: Position::new(SEGMENT_HEADER_LEN),
            next_offset: first_offset,
            digest: Digest::default(),
            leader_epoch,
            max_timestamp: Timestamp::MIN,
            last_append_time,
        }
    }
}
