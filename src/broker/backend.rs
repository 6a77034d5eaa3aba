//! What handles talk to: a broker in this process today, a cluster of them or a simulator later.
//!
//! ```text
//!     Producer, Consumer ──▶ Backend ──▶ BackendTopic ──▶ BackendPartition ──▶ BackendReader
//!                               │               └────▶ BackendWatch       keeps nothing open
//!                               │
//!                               └── attend ──▶ Guest::do_due      by the timers thread, or by `maintain`
//!                                              Guest::broker_closes
//! ```

use super::group_member::{GroupMember, MemberOptions};
use crate::clock::Clock;
use crate::partition::{Landmark, StoredBatch};
use crate::record::Batch;
use crate::sync::Ticket;
use crate::topic::{Extent, TopicSettings};
use crate::upkeep::Chore;
use crate::{Durability, Maintenance, Offset, ReadLevel, Records, Result, TimedOffset, Timestamp, TopicId};
use std::fmt;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

/// Where handles find topics.
pub(crate) trait Backend: fmt::Debug + Send + Sync {
    /// The identity of the topic of this name.
    ///
    /// # Errors
    /// `NotFound` when there is none; `InvalidInput` when the name is not a valid one; `Closed`.
    fn topic_id(&self, name: &str) -> Result<TopicId>;

    /// The topic of this name.
    ///
    /// # Errors
    /// As [`Backend::topic_id`].
    fn topic(&self, name: &str) -> Result<Arc<dyn BackendTopic>>;

    /// Grows whenever a topic is created or deleted or is given partitions: who subscribes to names that do not
    /// exist yet looks anew when it has changed.
    fn topics_version(&self) -> u64;

    /// # Errors
    /// `Closed` when it is.
    fn usable(&self) -> Result<()>;

    /// Has `waker` woken when it is closed. Whoever enrolls looks at [`Backend::usable`] after that.
    fn await_close(&self, waker: Waker) -> Ticket;

    /// Waits for that no longer.
    fn leave_close(&self, ticket: Ticket);

    /// Where time comes from.
    fn clock(&self) -> &Arc<dyn Clock>;

    /// Whether due work is left to the caller: then blocking calls do themselves what they wait for.
    fn maintenance(&self) -> Maintenance;

    /// Joins a group. What the member gets it is told when it polls. Blocks while the committed offsets are
    /// opened for the first time.
    ///
    /// # Errors
    /// - `InvalidInput`: a name that a group cannot have, an instance id that is none, or no assignor.
    /// - `Conflict`: there is no assignor that the member has in common with the others.
    /// - `TooLarge`: the group has as many members as it can, or there are too many groups.
    /// - `Closed`; else what the log of commits says.
    fn join_group(self: Arc<Self>, options: MemberOptions) -> Result<Box<dyn GroupMember>>;

    /// Takes in a handle that has work at its own times. With threads, the timers thread is started if it does not
    /// run yet, and the guest's line is connected to it; else [`crate::Broker::maintain`] does what is due. A
    /// guest that is dropped is forgotten.
    ///
    /// # Errors
    /// `Closed`; `Io` when the thread cannot be started.
    fn attend(&self, guest: Weak<dyn Guest>) -> Result<()>;
}

/// A handle that a backend keeps in touch with.
pub(crate) trait Guest: Chore {
    /// The broker is about to close its partitions: the last moment to write. Must not wait for other threads:
    /// the caller may be anybody's waker.
    fn broker_closes(&self);

    /// The same guest as a chore.
    fn as_chore(self: Arc<Self>) -> Arc<dyn Chore>;
}

/// A topic, as handles see it.
pub(crate) trait BackendTopic: fmt::Debug + Send + Sync {
    fn id(&self) -> TopicId;

    fn name(&self) -> Arc<str>;

    /// Whether it is one that the crate keeps for itself.
    fn is_internal(&self) -> bool;

    /// How many partitions it has now; only grows. Cheap: asked once for every record.
    ///
    /// # Errors
    /// `NotFound` when the topic was deleted; `Closed`.
    fn partition_count(&self) -> Result<u32>;

    /// All that it is set to now.
    fn settings(&self) -> TopicSettings;

    /// One of its partitions, which stays open as long as it is held. Blocks while one that was idle is opened.
    ///
    /// # Errors
    /// As [`crate::Topic::partition`].
    fn partition(&self, number: u32) -> Result<Arc<dyn BackendPartition>>;

    /// A place from which to watch one of its partitions, for a reader at `level`. Opens nothing.
    ///
    /// # Errors
    /// `NotFound` when there is no such partition, or the topic was deleted; `Closed`.
    fn watch(&self, number: u32, level: ReadLevel) -> Result<Box<dyn BackendWatch>>;
}

/// One who waits for a partition to grow, and does not keep it open meanwhile.
pub(crate) trait BackendWatch: Send + Sync {
    /// From where to where the partition reaches. It is opened only if nothing is known of it.
    ///
    /// # Errors
    /// As [`crate::Topic::partition`].
    fn extent(&self) -> Result<Extent>;

    /// The partition, which stays open as long as it is held. Blocks while one that was idle is opened.
    ///
    /// # Errors
    /// As [`crate::Topic::partition`].
    fn open(&mut self) -> Result<Arc<dyn BackendPartition>>;

    /// Whether the log has been cut below `offset` since the moment from which cuts count, or since the answer was last
    /// that it was not. Of a partition that was closed meanwhile only what was cut since it was opened is known.
    fn is_cut_below(&mut self, offset: Offset) -> bool;

    /// This moment, to count cuts from. To be asked for before the end is looked at.
    fn landmark(&self) -> Landmark;

    /// What was cut before this moment does not matter.
    fn count_cuts_from(&mut self, landmark: Landmark);

    /// Asks whether there may be something at `offset` or behind it, or something to say of the partition, and to be
    /// woken when there may be.
    ///
    /// # Errors
    /// `NotFound` when the topic was deleted. `Closed`; `Io`, `Poisoned` when what is there cannot become durable.
    fn poll(&mut self, offset: Offset, context: &mut Context<'_>) -> Poll<Result<()>>;

    /// Does what is needed to see what is written from `offset` on, where no thread does; says whether anything was.
    ///
    /// # Errors
    /// When the sync failed.
    fn serve(&self, offset: Offset) -> Result<bool>;
}

/// A partition, as handles see it.
pub(crate) trait BackendPartition: fmt::Debug + Send + Sync {
    /// Appends a batch that is complete but for its place, which it is given in `batch` itself. The records are
    /// stored when this returns; [`StoredBatch::remaining`] says what is left to wait for.
    ///
    /// # Errors
    /// As [`crate::Partition::append`]. Of these, after `Closed` nothing was stored, and the topic says whether
    /// the partition can be had anew.
    fn append(&self, batch: &mut Batch, level: Durability) -> Result<StoredBatch>;

    /// Reads from `from` on what `level` allows.
    fn reader(&self, from: Offset, level: ReadLevel) -> Box<dyn BackendReader>;

    /// The first record with a timestamp at or after `time` that a reader at `level` can see. May block.
    ///
    /// # Errors
    /// `Corrupt` or `Io` when a segment cannot be read.
    fn offset_for_time(&self, time: Timestamp, level: ReadLevel) -> Result<Option<TimedOffset>>;
}

/// Goes through a partition's records, from an offset to the end of what it may see.
pub(crate) trait BackendReader: fmt::Debug + Send {
    /// The records that come next, some batches at most, and at least one; none at the end, as that is now.
    ///
    /// # Errors
    /// As [`crate::Reader`]. After a lost range it goes on behind it; after any other it has not moved.
    fn next_records(&mut self) -> Result<Option<Records>>;

    /// The offset of the next record, or a smaller one where offsets have gaps.
    fn position(&self) -> Offset;
}
