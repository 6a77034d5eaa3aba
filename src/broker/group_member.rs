//! What a consumer talks to as a member of a group: one in this process today, a member over the network later.
//!
//! ```text
//!     Consumer ──poll──▶ GroupMember ──▶ GroupEvent: Lost, Revoke, Assigned
//!        │                  ▲ │
//!        └── commit, gave_up┘ └──▶ waker: poll, there is something new
//! ```

use super::core::Core;
use crate::group::{Assignor, CommittedOffset};
use crate::sync::Pending;
use crate::{Durability, Offset, Result, TopicPartition};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// Who joins a group, and what it wants there.
#[derive(Clone, Debug)]
pub(crate) struct MemberOptions {
    pub(crate) group: String,
    /// Of a static member: it may go and come back without a rebalance.
    pub(crate) instance_id: Option<Arc<str>>,
    /// What its owner calls it.
    pub(crate) client_id: Arc<str>,
    pub(crate) wanted: Wanted,
    /// The preferred one first; at least one.
    pub(crate) assignors: Vec<Arc<dyn Assignor>>,
    /// How long it may go without a poll before it is expelled.
    pub(crate) poll_interval: Duration,
    /// How long a static member may be away before its partitions go to others.
    pub(crate) session_timeout: Duration,
}

/// What a poll says to a member, in this order: lost, to be given up, assigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GroupEvent {
    /// These are gone: others may have them already. No commit of them is accepted any more.
    Lost(Vec<TopicPartition>),
    /// These are to be given up by [`GroupMember::gave_up`], after a commit. Said once.
    Revoke(Vec<TopicPartition>),
    /// These are the member's from now on, each with where to go on.
    Assigned(Vec<(TopicPartition, Resume)>),
}

/// Where to go on in a partition that was assigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// Where the group has got to.
    At(CommittedOffset),
    /// Wherever the member is told to begin: the group has committed nothing.
    Anew,
    /// At the beginning: the partition was added to a topic that the group reads.
    AtBeginning,
}

/// What to commit for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitPoint {
    /// The next offset to read.
    pub(crate) offset: Offset,
    /// What is to be kept beside it, at most 4096 bytes.
    pub(crate) metadata: Arc<str>,
    /// The leader epoch of the record before it; 0 without leaders.
    pub(crate) leader_epoch: u32,
}

/// Which topics a member wants.
#[derive(Clone)]
pub(crate) enum Wanted {
    /// Those of these names. They need not exist yet.
    Names(BTreeSet<Arc<str>>),
    /// All whose name this says yes to, now and later; never an internal one.
    Matching(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

impl Wanted {
    /// The names it comes to now. Calls the user's code.
    pub(in crate::broker) fn names(&self, core: &Core) -> BTreeSet<Arc<str>> {
        match self {
            Self::Names(names) => names.clone(),
            Self::Matching(is_wanted) => core
                .topics()
                .iter()
                .filter(|topic| !topic.is_internal() && is_wanted(topic.name()))
                .map(|topic| topic.name_arc())
                .collect(),
        }
    }
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Names(names) => f.debug_tuple("Names").field(names).finish(),
            Self::Matching(_) => f.write_str("Matching(..)"),
        }
    }
}

/// A member of a group. Dropping it leaves the group.
pub(crate) trait GroupMember: fmt::Debug + Send + Sync {
    /// Says that the member makes progress, and what is new. Never waits for other members.
    ///
    /// A member that was expelled meanwhile hears that all it had is lost, and has joined anew.
    ///
    /// # Errors
    /// - `Fenced`: another has taken over the instance id; for good.
    /// - `Conflict`, `TooLarge`: it was expelled, and has no place in the group any more; for good.
    /// - `InvalidInput`: the assignor gave no assignment that can be used; until the group changes.
    /// - `Closed`; those of the log of commits.
    fn poll(&self) -> Result<Vec<GroupEvent>>;

    /// Gives partitions up: others may have them at once. The work is done when what was committed before is
    /// durable.
    fn gave_up(&self, partitions: &[TopicPartition]) -> Pending<()>;

    /// Commits offsets: all or none are accepted. What is accepted holds at once; the work is done when it is as
    /// durable as `level` says. It is stored once the data before it is durable.
    ///
    /// # Errors
    /// Through the returned work:
    /// - `Fenced`: the member was expelled, or does not have one of the partitions any more.
    /// - `OutOfRange`: an offset lies beyond the end of its log. `TooLarge`: its metadata is.
    /// - `Closed`; those of the log of commits, and of syncing the data.
    fn commit(&self, points: Vec<(TopicPartition, CommitPoint)>, level: Durability) -> Pending<()>;

    /// What the group has committed for partitions, be they the member's or not.
    ///
    /// # Errors
    /// `NotFound` when there is no such topic; `Closed`.
    fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<Option<CommittedOffset>>>;

    /// Wants other topics from now on.
    ///
    /// # Errors
    /// `Closed`, `Fenced`.
    fn subscribe(&self, wanted: Wanted) -> Result<()>;

    /// Leaves the group; a static member stays one until its session runs out. The work is done when what was
    /// committed is durable. Any later call says `Closed`.
    fn leave(&self) -> Pending<()>;

    /// Whether the next poll has anything to look for.
    fn is_called(&self) -> bool;

    /// Has `waker` called once when the member should poll. Whoever registers looks at
    /// [`GroupMember::is_called`] after that, and registers anew when it was woken.
    fn register(&self, waker: &Waker);

    /// A waker that calls `waker`, to be woken with while it waits: so its group knows that it is woken.
    fn noting(&self, waker: &Waker) -> Waker;

    /// Begins to wait for records: however long that takes, the member makes progress until it is woken. The next poll
    /// ends it, as does [`GroupMember::wait_ends`].
    fn wait_begins(&self);

    /// Has ended to wait: from now on the poll interval runs.
    fn wait_ends(&self);

    /// Whether it is a member no more, and all that it had is lost: it was fenced, could not join anew, or has left.
    fn is_over(&self) -> bool;

    /// The id of this life of the member.
    fn id(&self) -> Arc<str>;
}
