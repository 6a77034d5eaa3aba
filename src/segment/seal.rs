//! The end of a segment that is final.

use super::{Checkpoint, Digest};
use crate::{Offset, Position, Timestamp};

/// What is known of a segment once nothing is appended to it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) end: Position,
    pub(crate) end_offset: Offset,
    pub(crate) digest: Digest,
    pub(crate) last_append_time: Timestamp,
    pub(crate) max_timestamp: Timestamp,
}

impl From<Checkpoint> for Seal {
    /// A segment that ends here.
    fn from(end: Checkpoint) -> Self {
        Self {
            end: end.position,
            end_offset: end.next_offset,
            digest: end.digest,
            last_append_time: end.last_append_time,
            max_timestamp: end.max_timestamp,
        }
    }
}
