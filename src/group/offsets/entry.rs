//! What one record of the internal topic says.

use crate::group::Generation;
use crate::{Offset, Timestamp, TopicId};
use std::sync::Arc;

/// An offset that a group has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: Offset,
    /// The leader epoch of the record before it; 0 without leaders.
    ///
    /// As the consumer knew it.
    pub leader_epoch: u32,
    /// What the consumer wished to keep beside it.
    pub metadata: Arc<str>,
    /// When it was committed.
    pub timestamp: Timestamp,
}

/// What one record says. Without a value, what an earlier one said no longer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// How far the group has read a partition.
    Offset { group: Arc<str>, topic: TopicId, partition: u32, committed: Option<CommittedOffset> },
    /// Where the group stands.
    Group { group: Arc<str>, facts: Option<GroupFacts> },
    /// How many partitions the topic had when the group first read it: those beyond were added since, and are
    /// read from their beginning.
    Start { group: Arc<str>, topic: TopicId, partition_count: Option<u32> },
}

impl Entry {
    /// The group that it speaks of.
    pub(crate) fn group(&self) -> &Arc<str> {
        match self {
            Self::Offset { group, .. } | Self::Group { group, .. } | Self::Start { group, .. } => group,
        }
    }
}

/// What is kept of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GroupFacts {
    pub(crate) generation: Generation,
    /// Since when it has had no members; none while it has any.
    pub(crate) empty_since: Option<Timestamp>,
}
