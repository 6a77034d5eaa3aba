//! Who gets what.

use super::{Assignor, GroupSubscription, check};
use crate::{Result, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which partitions each member of a group gets.
///
/// ```
/// use annals::group::Assignment;
/// use annals::TopicPartition;
/// let mut assignment = Assignment::new();
/// assignment.give("a", TopicPartition::new("orders", 1));
/// assignment.give("a", TopicPartition::new("orders", 0));
/// assert_eq!(assignment.of("a")[0], TopicPartition::new("orders", 0));
/// assert!(assignment.of("b").is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// Of members that get anything. Each list is sorted.
    partitions: BTreeMap<Arc<str>, Vec<TopicPartition>>,
}

impl Assignment {
    /// Nothing for anybody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What `assignor` assigns, after a check that it can be carried out.
    ///
    /// # Errors
    /// `InvalidInput`, with the assignor's name in the message, when it gave anything to a member that is not
    /// in the group, gave a partition that does not exist, gave one to a member that is not subscribed to its
    /// topic, gave one twice, or left one without an owner that has a subscriber.
    pub fn by(assignor: &dyn Assignor, group: &GroupSubscription) -> Result<Self> {
        let assignment = assignor.assign(group);
        check::check(assignor.name(), &assignment, group)?;
        Ok(assignment)
    }

    /// Gives one more partition to a member.
    pub fn give(&mut self, member: impl Into<Arc<str>>, partition: TopicPartition) {
        let partitions = self.partitions.entry(member.into()).or_default();
        // Behind its equals: giving in order costs no moving.
        let place = partitions.partition_point(|other| *other <= partition);
        partitions.insert(place, partition);
    }

    /// What this member gets, sorted.
    #[must_use]
    pub fn of(&self, member: &str) -> &[TopicPartition] {
        self.partitions.get(member).map_or(&[], Vec::as_slice)
    }

    /// The members that get anything, by id, with what they get, sorted.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &[TopicPartition])> {
        self.partitions.iter().map(|(member, partitions)| (member, partitions.as_slice()))
    }
}

impl FromIterator<(Arc<str>, TopicPartition)> for Assignment {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, TopicPartition)>>(given: I) -> Self {
        let mut partitions: BTreeMap<Arc<str>, Vec<TopicPartition>> = BTreeMap::new();
        for (member, partition) in given {
            partitions.entry(member).or_default().push(partition);
        }
        partitions.values_mut().for_each(|list| list.sort_unstable());
        Self { partitions }
    }
}
