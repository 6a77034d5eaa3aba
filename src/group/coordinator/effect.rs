//! What follows from an event: for the caller, and for others.

use super::Refusal;
use crate::TopicPartition;
use crate::group::Generation;
use std::sync::Arc;

/// What a poll tells a member in process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Gone already, and without a chance to commit.
    pub(crate) lost: Vec<TopicPartition>,
    /// To be given up, after a commit.
    pub(crate) revoked: Vec<TopicPartition>,
    /// The member's from now on.
    pub(crate) assigned: Vec<Given>,
}

/// A partition that a member was given, and in which generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) partition: TopicPartition,
    pub(crate) since: Generation,
}

/// What has to be done for somebody else than the caller.
#[derive(Clone, Debug, PartialEq)]
#[allow(dead_code, reason = "remote members come with the Kafka protocol")]
pub(crate) enum Effect {
    /// This member in process should poll.
    Wake(Arc<str>),
    /// Another has taken over the instance id of this member in process: it is over for good.
    Fence(Arc<str>),
    /// Answer the request to join that was left waiting.
    Joined(u64, Result<Joined, Refusal>),
    /// Answer the request to sync that was left waiting.
    Synced(u64, Result<Synced, Refusal>),
}

/// The answer to a remote member that joined.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "remote members come with the Kafka protocol")]
pub(crate) struct Joined {
    pub(crate) member_id: Arc<str>,
    pub(crate) generation: Generation,
    /// The name of the assignor that all have in common.
    pub(crate) protocol: Arc<str>,
    pub(crate) leader: Arc<str>,
    /// What everybody wants, for the leader; empty for the others.
    pub(crate) members: Vec<JoinedMember>,
    /// Whether the leader is to assign nothing, because what was assigned still holds.
    pub(crate) skips_assignment: bool,
}

/// What the leader is told of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "remote members come with the Kafka protocol")]
pub(crate) struct JoinedMember {
    pub(crate) member_id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) metadata: Arc<[u8]>,
}

/// The answer to a remote member that synced.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "remote members come with the Kafka protocol")]
pub(crate) struct Synced {
    pub(crate) protocol: Arc<str>,
    pub(crate) assignment: Arc<[u8]>,
}
