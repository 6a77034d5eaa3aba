//! Members and partitions, by number.

use super::super::claims::Claims;
use crate::TopicPartition;
use crate::group::GroupSubscription;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The members of a group in order, and the partitions that anybody wants, in classes.
#[derive(Debug)]
pub(super) struct Roster<'a> {
    /// A member's number is its place here.
    pub(super) members: Vec<&'a Arc<str>>,
    pub(super) classes: Vec<Class>,
}

/// Partitions that the same members want. For balance and for moves, one is as good as another.
#[derive(Debug)]
pub(super) struct Class {
    /// The numbers of the members that want them, ascending. Never empty.
    pub(super) subscribers: Vec<usize>,
    /// What each subscriber owns of them, in the order of `subscribers`.
    pub(super) owned: Vec<Vec<TopicPartition>>,
    /// Those that no subscriber owns.
    pub(super) orphans: Vec<TopicPartition>,
}

impl<'a> Roster<'a> {
    pub(super) fn of(group: &'a GroupSubscription) -> Self {
        let in_order = group.members_in_order();
        let mut subscribers: BTreeMap<&Arc<str>, Vec<usize>> = BTreeMap::new();
        for (number, (_, member)) in in_order.iter().enumerate() {
            for topic in member.topics() {
                subscribers.entry(topic).or_default().push(number);
            }
        }
        let mut topics: BTreeMap<Vec<usize>, Vec<(&Arc<str>, u32)>> = BTreeMap::new();
        for (topic, partition_count) in group.topics().filter(|(_, count)| *count > 0) {
            if let Some(subscribers) = subscribers.remove(topic) {
                topics.entry(subscribers).or_default().push((topic, partition_count));
            }
        }
        let members: Vec<&Arc<str>> = in_order.into_iter().map(|(id, _)| id).collect();
        let numbers: BTreeMap<&Arc<str>, usize> = members.iter().copied().zip(0..).collect();
        let claims = Claims::of(group);
        let owner = |partition: &TopicPartition| numbers.get(claims.owner(partition)?).copied();
        let classes = topics.into_iter().map(|(subscribers, topics)| Class::of(subscribers, &topics, owner));
        let classes = classes.collect();
        Self { members, classes }
    }
}

impl Class {
    fn of(
        subscribers: Vec<usize>,
        topics: &[(&Arc<str>, u32)],
        owner: impl Fn(&TopicPartition) -> Option<usize>,
    ) -> Self {
        let mut owned = vec![Vec::new(); subscribers.len()];
        let mut orphans = Vec::new();
        for (topic, partition_count) in topics {
            for number in 0..*partition_count {
                let partition = TopicPartition::new((*topic).clone(), number);
                let place = owner(&partition).and_then(|owner| subscribers.binary_search(&owner).ok());
                match place.and_then(|place| owned.get_mut(place)) {
                    Some(owned) => owned.push(partition),
                    None => orphans.push(partition),
                }
            }
        }
        Self { subscribers, owned, orphans }
    }
}
