//! What a member of a group hears when partitions come and go.

use super::commit::OffsetAndMetadata;
use super::lanes::Lanes;
use crate::broker::group_member::GroupMember;
use crate::{Durability, Offset, Pending, Result, StartAt, TopicPartition};
use std::fmt;
use std::sync::Arc;

/// What a member's listener is called with, from within its polls and its close.
///
/// ```
/// use annals::{Broker, Rebalance, TopicOptions};
/// use std::time::Duration;
/// let broker = Broker::options().open_in_memory()?;
/// broker.create_topic("orders", TopicOptions::new().partitions(2))?;
/// let mut billing = broker
///     .consumer()
///     .group("billing")
///     .subscribe(["orders"])
///     .on_rebalance(|event| match event {
///         Rebalance::Assigned(assigned) => println!("got {:?}", assigned.partitions()),
///         // The last moment to commit what has been worked on.
///         Rebalance::Revoked(revoked) => drop(revoked.commit()),
///         // Others may have them already: undo what was not committed.
///         Rebalance::Lost(partitions) => println!("lost {partitions:?}"),
///         _ => {}
///     })
///     .build()?;
/// billing.poll(Duration::ZERO)?;
/// assert_eq!(billing.assignment().len(), 2);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Rebalance<'a> {
    /// These are the member's from now on.
    Assigned(PartitionsAssigned<'a>),
    /// These are to go to others, who get them when the listener returns. It may commit first.
    Revoked(PartitionsRevoked<'a>),
    /// These are gone: the member was expelled, or the topic was deleted. Nothing of them can be committed any
    /// more.
    Lost(&'a [TopicPartition]),
}

/// What is called with each [`Rebalance`].
pub(super) type Listener = Arc<dyn Fn(Rebalance<'_>) + Send + Sync>;

/// Partitions that a member was given.
pub struct PartitionsAssigned<'a> {
    pub(super) partitions: &'a [TopicPartition],
    pub(super) lanes: &'a mut Lanes,
}

impl PartitionsAssigned<'_> {
    /// Which they are.
    #[must_use]
    pub fn partitions(&self) -> &[TopicPartition] {
        self.partitions
    }

    /// Begins elsewhere than at the committed offset.
    ///
    /// For positions that are kept with the results of the work, so that each record is worked on once:
    ///
    /// ```
    /// use annals::{Broker, Offset, Rebalance, Record, TopicOptions, TopicPartition};
    /// use std::collections::BTreeMap;
    /// use std::time::Duration;
    ///
    /// let broker = Broker::options().open_in_memory()?;
    /// let orders = broker.create_topic("orders", TopicOptions::new())?;
    /// orders.partition(0)?.append(["a", "b", "c"].map(Record::new)).wait()?;
    ///
    /// // Read from the database that the results of "a" and "b" are in.
    /// let kept = BTreeMap::from([(TopicPartition::new("orders", 0), Offset::from(2))]);
    /// let options = broker.consumer().group("billing").subscribe(["orders"]).on_rebalance(move |event| {
    ///     let Rebalance::Assigned(mut assigned) = event else { return };
    ///     for partition in assigned.partitions().to_vec() {
    ///         if let Some(position) = kept.get(&partition) {
    ///             assigned.seek(partition, *position).expect("it was assigned just now");
    ///         }
    ///     }
    /// });
    /// let mut billing = options.build()?;
    /// let records = billing.poll(Duration::from_secs(5))?;
    /// assert_eq!(records.iter().map(|record| record.value().to_vec()).collect::<Vec<_>>(), [b"c"]);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Consumer::seek`](crate::Consumer::seek).
    pub fn seek(&mut self, partition: impl Into<TopicPartition>, start: impl Into<StartAt>) -> Result<()> {
        self.lanes.stir(&partition.into())?.seek(start.into())
    }
}

/// Partitions that a member is to give up.
pub struct PartitionsRevoked<'a> {
    pub(super) partitions: &'a [TopicPartition],
    pub(super) lanes: &'a Lanes,
    pub(super) member: &'a dyn GroupMember,
}

impl PartitionsRevoked<'_> {
    /// Which they are.
    #[must_use]
    pub fn partitions(&self) -> &[TopicPartition] {
        self.partitions
    }

    /// The offset of the next record that polls would have returned.
    ///
    /// # Errors
    /// As [`Consumer::position`](crate::Consumer::position).
    pub fn position(&self, partition: impl Into<TopicPartition>) -> Result<Offset> {
        Ok(self.lanes.get(&partition.into())?.position())
    }

    /// Commits all that polls returned of them.
    ///
    /// # Errors
    /// As [`Consumer::commit`](crate::Consumer::commit).
    #[must_use = "the commit goes on, but nobody will hear whether it is stored; `drop` it if nobody needs to"]
    pub fn commit(&self) -> Pending<()> {
        self.member.commit(self.lanes.commit_points(self.partitions), Durability::Durable)
    }

    /// Commits these offsets.
    ///
    /// # Errors
    /// As [`Consumer::commit_offsets`](crate::Consumer::commit_offsets).
    #[must_use = "the commit goes on, but nobody will hear whether it is stored; `drop` it if nobody needs to"]
    pub fn commit_offsets<P: Into<TopicPartition>, O: Into<OffsetAndMetadata>>(
        &self,
        offsets: impl IntoIterator<Item = (P, O)>,
    ) -> Pending<()> {
        self.member.commit(super::commit::points(offsets), Durability::Durable)
    }
}

impl fmt::Debug for PartitionsAssigned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PartitionsAssigned").field(&self.partitions).finish()
    }
}

impl fmt::Debug for PartitionsRevoked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PartitionsRevoked").field(&self.partitions).finish()
    }
}
