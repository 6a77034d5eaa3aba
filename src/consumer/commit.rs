//! Committing: how far the group has got.

use super::handle::Consumer;
use super::membership::Membership;
use super::records::ConsumerRecord;
use crate::broker::group_member::CommitPoint;
use crate::group::CommittedOffset;
use crate::sync::{Bug, planted};
use crate::{Durability, Error, ErrorKind, Offset, Pending, Result, TopicPartition};
use std::sync::Arc;

/// An offset to commit, with something to be kept beside it.
///
/// ```
/// use annals::{Offset, OffsetAndMetadata};
/// let marked = OffsetAndMetadata::new(Offset::from(42)).with_metadata("checksum 7f");
/// assert_eq!((marked.offset().get(), marked.metadata()), (42, "checksum 7f"));
/// assert_eq!(marked, OffsetAndMetadata::from(Offset::from(42)).with_metadata("checksum 7f"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    offset: Offset,
    metadata: Arc<str>,
}

impl OffsetAndMetadata {
    /// This offset, which is that of the next record to read, and nothing beside it.
    #[must_use]
    pub fn new(offset: Offset) -> Self {
        Self { offset, metadata: "".into() }
    }

    /// Keeps this text beside it, at most 4,096 bytes.
    #[must_use]
    pub fn with_metadata(mut self, metadata: impl Into<Arc<str>>) -> Self {
        self.metadata = metadata.into();
        self
    }

    /// The offset, which is that of the next record to read.
    #[must_use]
    pub const fn offset(&self) -> Offset {
        self.offset
    }

    /// What is kept beside it; empty when nothing is.
    #[must_use]
    pub fn metadata(&self) -> &str {
        &self.metadata
    }
}

impl From<Offset> for OffsetAndMetadata {
    fn from(offset: Offset) -> Self {
        Self::new(offset)
    }
}

impl From<CommittedOffset> for OffsetAndMetadata {
    /// The same offset and metadata, to be committed anew. The leader epoch and the time of the commit are not kept.
    fn from(committed: CommittedOffset) -> Self {
        Self { offset: committed.offset, metadata: committed.metadata }
    }
}

/// What to commit, as the group takes it.
pub(super) fn points<P: Into<TopicPartition>, O: Into<OffsetAndMetadata>>(
    offsets: impl IntoIterator<Item = (P, O)>,
) -> Vec<(TopicPartition, CommitPoint)> {
    let point = |(partition, marked): (P, O)| {
        let OffsetAndMetadata { offset, metadata } = marked.into();
        (partition.into(), CommitPoint { offset, metadata, leader_epoch: 0 })
    };
    offsets.into_iter().map(point).collect()
}

impl Consumer {
    /// Commits the position of every partition it has: all that polls returned. The work is done when the commit is
    /// durable; commits in flight share a sync.
    ///
    /// What is accepted holds at once: whoever gets the partition next goes on from there. It is stored once the
    /// records before it are durable, so that no commit is ahead of its data.
    ///
    /// # Errors
    /// Through the returned work:
    /// - `Fenced`: the member was expelled, or has one of the partitions no more. The next poll says what it has.
    /// - `OutOfRange`: a position lies beyond the end of its log.
    /// - `NotFound`: a topic was deleted. `InvalidInput`: the consumer is in no group. `Closed`.
    /// - `NoSpace`, `Poisoned`, `Io`: the commit, or its data, cannot be stored. Else as
    ///   [`Topic::partition`](crate::Topic::partition).
    #[doc(alias = "commitSync")]
    #[doc(alias = "commitAsync")]
    #[must_use = "the commit goes on, but nobody will hear whether it is stored; `drop` it if nobody needs to"]
    pub fn commit(&self) -> Pending<()> {
        let commit = |member: &Membership| member.commit(self.lanes.all_commit_points(), Durability::Durable);
        self.member().map(commit).unwrap_or_else(Pending::failed)
    }

    /// Commits that this record and all before it need not be read again.
    ///
    /// That is, all before it in its partition: records of others are not concerned.
    ///
    /// # Errors
    /// As [`Consumer::commit`].
    #[must_use = "the commit goes on, but nobody will hear whether it is stored; `drop` it if nobody needs to"]
    pub fn commit_through(&self, record: &ConsumerRecord<'_>) -> Pending<()> {
        let read = record.offset();
        let point = CommitPoint {
            offset: if planted(Bug::CommitThroughAgain) { read } else { read.next() },
            metadata: "".into(),
            leader_epoch: record.leader_epoch(),
        };
        let point = [(record.topic_partition().clone(), point)];
        let commit = |member: &Membership| member.commit(point, Durability::Durable);
        self.member().map(commit).unwrap_or_else(Pending::failed)
    }

    /// Commits these offsets, each that of the next record to read: all or none.
    ///
    /// An [`Offset`] will do, or an [`OffsetAndMetadata`].
    ///
    /// ```
    /// use annals::{Broker, Record, TopicOptions};
    /// use std::time::Duration;
    ///
    /// let broker = Broker::options().open_in_memory()?;
    /// let orders = broker.create_topic("orders", TopicOptions::new())?;
    /// orders.partition(0)?.append(["a", "b"].map(Record::new)).wait()?;
    ///
    /// let mut billing = broker.consumer().group("billing").subscribe(["orders"]).build()?;
    /// let records = billing.poll(Duration::from_secs(5))?;
    /// let worked_on = records.iter().next().expect("within five seconds");
    /// billing.commit_offsets([(("orders", 0), worked_on.offset().next())]).wait()?;
    /// let committed = billing.committed(("orders", 0))?.expect("it was committed just now");
    /// assert_eq!(committed.offset.get(), 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Consumer::commit`]; `TooLarge` when metadata is.
    #[must_use = "the commit goes on, but nobody will hear whether it is stored; `drop` it if nobody needs to"]
    pub fn commit_offsets<P: Into<TopicPartition>, O: Into<OffsetAndMetadata>>(
        &self,
        offsets: impl IntoIterator<Item = (P, O)>,
    ) -> Pending<()> {
        let commit = |member: &Membership| member.commit(points(offsets), Durability::Durable);
        self.member().map(commit).unwrap_or_else(Pending::failed)
    }

    /// What the group has committed of a partition; none when it has not.
    ///
    /// It may be this member's or another's.
    ///
    /// # Errors
    /// `NotFound` when there is no such topic. `InvalidInput` when the consumer is in no group. `Closed`.
    pub fn committed(&self, partition: impl Into<TopicPartition>) -> Result<Option<CommittedOffset>> {
        self.member()?.committed(&partition.into())
    }

    pub(super) fn member(&self) -> Result<&Membership> {
        let none =
            || Error::new(ErrorKind::InvalidInput, "the consumer is in no group: name one with `group`");
        self.membership.as_ref().ok_or_else(none)
    }
}
