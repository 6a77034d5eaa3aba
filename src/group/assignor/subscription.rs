//! What an assignor knows of a group.

use crate::TopicPartition;
use crate::group::Generation;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What one member of a group wants, and what it had before.
///
/// ```
/// use annals::group::{Generation, Subscription};
/// use annals::TopicPartition;
/// let seventh = Generation::new(7).unwrap();
/// let member = Subscription::new(["orders", "refunds"])
///     .with_instance_id("rack-2")
///     .with_owned(seventh, [TopicPartition::new("orders", 0)]);
/// assert!(member.is_subscribed_to("refunds"));
/// assert_eq!(member.instance_id(), Some("rack-2"));
/// assert_eq!(member.owned().len(), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    topics: BTreeSet<Arc<str>>,
    instance_id: Option<Arc<str>>,
    /// Sorted, each once.
    owned: Vec<TopicPartition>,
    /// Of which `owned` was assigned.
    generation: Generation,
}

impl Subscription {
    /// Of a member that wants these topics, has no instance id and owned nothing before.
    pub fn new<T: Into<Arc<str>>>(topics: impl IntoIterator<Item = T>) -> Self {
        Self { topics: topics.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// The same of a static member: one that keeps this id when it comes back.
    #[doc(alias = "group.instance.id")]
    #[must_use]
    pub fn with_instance_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.instance_id = Some(id.into());
        self
    }

    /// The same of a member that was assigned these partitions in this generation.
    #[must_use]
    pub fn with_owned(
        mut self,
        generation: Generation,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Self {
        self.owned = partitions.into_iter().collect();
        self.owned.sort_unstable();
        self.owned.dedup();
        self.generation = generation;
        self
    }

    /// The topics it wants, by name. They need not exist.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.topics.iter()
    }

    /// Whether it wants this topic.
    #[must_use]
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.topics.contains(topic)
    }

    /// The id of a static member.
    #[must_use]
    pub fn instance_id(&self) -> Option<&str> {
        self.instance_id.as_deref()
    }

    /// What it says it owns, sorted, each once. Another member of a later generation may own it since.
    #[must_use]
    pub fn owned(&self) -> &[TopicPartition] {
        &self.owned
    }

    /// The generation in which it was assigned what it owns.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.generation
    }
}

/// What a whole group wants, and what there is to be had.
///
/// ```
/// use annals::group::{GroupSubscription, Subscription};
/// let group = GroupSubscription::new()
///     .with_topic("orders", 3)
///     .with_member("a", Subscription::new(["orders"]));
/// assert_eq!(group.partition_count("orders"), Some(3));
/// assert!(group.member("b").is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupSubscription {
    topics: BTreeMap<Arc<str>, u32>,
    members: BTreeMap<Arc<str>, Subscription>,
}

impl GroupSubscription {
    /// No topics and no members.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with a topic of so many partitions.
    ///
    /// It takes the place of any of its name.
    #[must_use]
    pub fn with_topic(mut self, name: impl Into<Arc<str>>, partition_count: u32) -> Self {
        self.topics.insert(name.into(), partition_count);
        self
    }

    /// The same with this member, in place of any of its id.
    #[must_use]
    pub fn with_member(mut self, id: impl Into<Arc<str>>, subscription: Subscription) -> Self {
        self.members.insert(id.into(), subscription);
        self
    }

    /// The topics that exist, by name, with their partition counts.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, u32)> {
        self.topics.iter().map(|(name, count)| (name, *count))
    }

    /// How many partitions a topic has; none when it does not exist.
    #[must_use]
    pub fn partition_count(&self, topic: &str) -> Option<u32> {
        self.topics.get(topic).copied()
    }

    /// The members, by id.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Subscription)> {
        self.members.iter()
    }

    /// What one member wants; none when there is no such member.
    #[must_use]
    pub fn member(&self, id: &str) -> Option<&Subscription> {
        self.members.get(id)
    }

    /// The members in the order in which Kafka serves them.
    ///
    /// Static ones by instance id, then the others by id. So a static member that comes back under a new member
    /// id is served as before.
    #[must_use]
    pub fn members_in_order(&self) -> Vec<(&Arc<str>, &Subscription)> {
        let mut members: Vec<_> = self.members.iter().collect();
        // The sort is stable: where instance ids do not decide, the ids of members do.
        members.sort_by(|(_, a), (_, b)| match (a.instance_id(), b.instance_id()) {
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        });
        members
    }

    /// Whether there is such a partition.
    #[must_use]
    pub fn has_partition(&self, partition: &TopicPartition) -> bool {
        self.partition_count(partition.topic()).is_some_and(|count| partition.partition() < count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn static_members_come_first_by_instance_id() {
        let dynamic = || Subscription::new(["t"]);
        let group = GroupSubscription::new()
            .with_member("1", dynamic())
            .with_member("2", dynamic().with_instance_id("y"))
            .with_member("3", dynamic())
            .with_member("4", dynamic().with_instance_id("x"));
        let order: Vec<&str> = group.members_in_order().iter().map(|(id, _)| &***id).collect();
        assert_eq!(order, ["4", "2", "1", "3"]);
    }
}
