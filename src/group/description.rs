//! What can be said of a group.

use super::{CommittedOffset, Generation, GroupState};
use crate::{Offset, TopicPartition};

/// A group, in a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupListing {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: GroupState,
}

/// What can be said of a group. See [`crate::Broker::describe_group`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupDescription {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: GroupState,
    /// The term of its assignment.
    pub generation: Generation,
    /// The name of the assignor in use; empty without members.
    pub assignor: String,
    /// Its members, by member id.
    pub members: Vec<MemberDescription>,
    /// All partitions that it has committed or that a member has, in order.
    pub partitions: Vec<GroupPartition>,
}

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberDescription {
    /// Of this life of the member.
    pub member_id: String,
    /// What a static member is known by.
    pub instance_id: Option<String>,
    /// What its owner calls it.
    pub client_id: String,
    /// The partitions it has, in order.
    pub assignment: Vec<TopicPartition>,
}

/// How far a group has read one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupPartition {
    /// Which partition.
    pub partition: TopicPartition,
    /// What the group has committed, if it has.
    pub committed: Option<CommittedOffset>,
    /// The end (exclusive) of the partition's log; none where it cannot be opened.
    pub log_end_offset: Option<Offset>,
    /// The id of the member that has it, if any.
    pub member_id: Option<String>,
}

impl GroupPartition {
    /// How many offsets lie between what the group has committed and the end of the log.
    ///
    /// None where it has committed nothing, and where the end is not known: the partition cannot be opened.
    /// Where offsets have gaps these are more than there are records.
    #[must_use]
    pub fn lag(&self) -> Option<u64> {
        Some(self.log_end_offset?.since(self.committed.as_ref()?.offset))
    }
}

impl GroupDescription {
    /// The lag of all partitions together, as far as it is known.
    ///
    /// It leaves out each partition that has none of its own: nothing is committed of it, or it cannot be opened.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.partitions.iter().filter_map(GroupPartition::lag).fold(0, u64::saturating_add)
    }
}
