//! What a broker's users ask of its consumer groups.

use super::handle::Broker;
use crate::group::{GroupDescription, GroupListing};
use crate::{Result, StartAt, TopicPartition};

impl Broker {
    /// All consumer groups that have members or have committed offsets, by name. Blocks while the committed
    /// offsets are read for the first time.
    ///
    /// ```
    /// use annals::group::GroupState;
    /// use annals::{Broker, Offset, Record, TopicOptions};
    /// let broker = Broker::options().open_in_memory()?;
    /// let orders = broker.create_topic("orders", TopicOptions::new())?;
    /// orders.partition(0)?.append([Record::new("a"), Record::new("b")]).wait()?;
    /// broker.reset_group_offsets("billing", [((&orders, 0), Offset::from(1))])?;
    ///
    /// let groups = broker.groups()?;
    /// assert_eq!((groups[0].name.as_str(), groups[0].state), ("billing", GroupState::Empty));
    /// let billing = broker.describe_group("billing")?;
    /// assert_eq!(billing.lag(), 1);
    /// broker.delete_group("billing")?;
    /// assert!(broker.groups()?.is_empty());
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Closed`; `Corrupt`, `Unsupported` or `Io` when the committed offsets cannot be read.
    #[doc(alias = "listGroups")]
    pub fn groups(&self) -> Result<Vec<GroupListing>> {
        self.arc_core().list_groups()
    }

    /// The state of a group, its members, and how far it has read.
    ///
    /// Blocks while the committed offsets are read for the first time.
    ///
    /// # Errors
    /// `NotFound` when there is no such group; `InvalidInput` when the name is not a valid one; else as
    /// [`Broker::groups`].
    #[doc(alias = "describeGroups")]
    pub fn describe_group(&self, name: &str) -> Result<GroupDescription> {
        self.arc_core().describe_group(name)
    }

    /// Sets where a group that has no members goes on, in each of these partitions. Blocks.
    ///
    /// An [`Offset`](crate::Offset) will do, a time, or any [`StartAt`]; each is looked up among all that is written,
    /// and committed as an offset. All of them hold or none does, and when this returns they are durable. A group that
    /// does not exist is made.
    ///
    /// ```
    /// use annals::{Broker, Record, StartAt, TopicOptions};
    /// let broker = Broker::options().open_in_memory()?;
    /// let orders = broker.create_topic("orders", TopicOptions::new())?;
    /// orders.partition(0)?.append([Record::new("a"), Record::new("b")]).wait()?;
    ///
    /// broker.reset_group_offsets("billing", [(("orders", 0), StartAt::Latest)])?;
    /// assert_eq!(broker.describe_group("billing")?.lag(), 0);
    /// broker.reset_group_offsets("billing", [(("orders", 0), StartAt::Earliest)])?;
    /// assert_eq!(broker.describe_group("billing")?.lag(), 2);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// - `Conflict`: the group has members. Nothing was changed.
    /// - `OutOfRange`: an offset lies beyond the end of its log. Nothing was changed.
    /// - `NotFound`: there is no such topic or partition. `InvalidInput`: the group's name is not a valid one.
    /// - `TooLarge`: there are 100,000 groups.
    /// - `NoSpace`, `Poisoned`, `Io`: the offsets, or the records below them, could not be stored or synced.
    /// - else as [`Broker::groups`].
    #[doc(alias = "alterConsumerGroupOffsets")]
    pub fn reset_group_offsets<P: Into<TopicPartition>, S: Into<StartAt>>(
        &self,
        group: &str,
        offsets: impl IntoIterator<Item = (P, S)>,
    ) -> Result<()> {
        let offsets = offsets.into_iter().map(|(partition, start)| (partition.into(), start.into()));
        self.arc_core().reset_group_offsets(group, &offsets.collect::<Vec<_>>())
    }

    /// Deletes a group that has no members, with all that it has committed. Blocks.
    ///
    /// # Errors
    /// - `Conflict`: the group has members. `NotFound`: there is no such group.
    /// - `TooLarge`: there are too many groups with members.
    /// - `NoSpace`, `Poisoned`, `Io`: that could not be stored.
    /// - else as [`Broker::groups`].
    #[doc(alias = "deleteGroups")]
    pub fn delete_group(&self, name: &str) -> Result<()> {
        self.arc_core().delete_group(name)
    }
}
