//! Listing, describing, resetting and deleting groups.

use super::book::Commit;
use super::registry::Groups;
use crate::broker::core::Core;
use crate::group::coordinator::Refusal;
use crate::group::name::GroupName;
use crate::group::offsets::{CommittedOffset, Entry, GroupFacts};
use crate::group::{
    Generation, GroupDescription, GroupListing, GroupPartition, GroupState, MemberDescription,
};
use crate::topic::SlotStats;
use crate::{Durability, Error, ErrorKind, Offset, Result, StartAt, Topic, TopicId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Core {
    /// All groups that have members or have committed anything, by name.
    pub(in crate::broker) fn list_groups(self: &Arc<Self>) -> Result<Vec<GroupListing>> {
        let groups = self.groups()?;
        groups.store.open_if_there(self)?;
        groups.follow_topics(self);
        let known = |book: &super::book::Book| book.ledger.groups().cloned().collect::<Vec<_>>();
        let kept: Vec<Arc<str>> = groups.store.look(known).unwrap_or_default();
        let mut states: BTreeMap<Arc<str>, GroupState> =
            kept.into_iter().map(|name| (name, GroupState::Empty)).collect();
        for group in groups.all_live() {
            let state = group.with(&groups, |coordinator, _| coordinator.state());
            if !matches!(state, GroupState::Empty | GroupState::Dead) {
                states.insert(group.name.clone(), state);
            }
        }
        let listing = |(name, state): (Arc<str>, GroupState)| GroupListing { name: name.to_string(), state };
        Ok(states.into_iter().map(listing).collect())
    }

    /// What can be said of a group.
    pub(in crate::broker) fn describe_group(self: &Arc<Self>, name: &str) -> Result<GroupDescription> {
        let name = GroupName::new(name)?;
        let groups = self.groups()?;
        groups.store.open_if_there(self)?;
        groups.follow_topics(self);
        let mut described = groups.described(&name)?;
        let mut holders: BTreeMap<TopicPartition, String> = BTreeMap::new();
        for member in &described.members {
            let held = member.assignment.iter().cloned();
            holders.extend(held.map(|place| (place, member.member_id.clone())));
        }
        described.partitions = groups.partitions(self, &name.to_arc(), &mut holders);
        Ok(described)
    }

    /// Sets what a group without members has committed.
    pub(in crate::broker) fn reset_group_offsets(
        self: &Arc<Self>,
        name: &str,
        offsets: &[(TopicPartition, StartAt)],
    ) -> Result<()> {
        let name = GroupName::new(name)?;
        let groups = self.groups()?;
        let group = groups.group(&name, self)?;
        let timestamp = groups.wall_now();
        let mut commits = Vec::new();
        for (place, start) in offsets {
            let topic = self.topic(place.topic())?;
            let data = topic.partition(place.partition())?;
            let offset = data.offset_at(*start)?;
            let (leader_epoch, metadata) = (0, Arc::from(""));
            let committed = CommittedOffset { offset, leader_epoch, metadata, timestamp };
            commits.push(Commit { topic: topic.id(), partition: place.partition(), committed, data });
        }
        let committed = group.with(&groups, |coordinator, _| {
            if coordinator.state() != GroupState::Empty {
                return Err(Refusal::NotEmpty.to_error(name.as_str()));
            }
            let note = |facts| groups.store.note(|_| vec![Entry::Group { group: name.to_arc(), facts }]);
            let facts = groups.store.facts(name.as_str());
            let is_new = facts.is_none_or(|facts| facts.empty_since.is_none());
            if is_new {
                let generation = coordinator.generation();
                note(Some(GroupFacts { generation, empty_since: Some(timestamp) }));
            }
            let committed = groups.store.commit(&name.to_arc(), commits, Durability::Durable);
            if is_new && committed.is_err() {
                note(facts);
            }
            committed
        });
        committed?.wait()
    }

    /// Deletes a group without members, with all that it has committed.
    pub(in crate::broker) fn delete_group(self: &Arc<Self>, name: &str) -> Result<()> {
        let name = GroupName::new(name)?;
        let groups = self.groups()?;
        if !groups.store.open_if_there(self)? {
            return Err(no_group(&name));
        }
        // Also one that is not live is made so: whoever joins it meanwhile has to find it dead, and begins with another
        // when all of this one is gone.
        let group = groups.group(&name, self)?;
        let forgotten = group.with(&groups, |coordinator, _| {
            coordinator.delete().map_err(|refusal| refusal.to_error(name.as_str()))?;
            Ok(groups.store.forget_group(&group.name))
        })?;
        groups.forget(&group);
        forgotten?.ok_or_else(|| no_group(&name))?.wait()
    }
}

impl Groups {
    /// What the coordinator says of a group, or the book where it has no members.
    fn described(&self, name: &GroupName) -> Result<GroupDescription> {
        let facts = self.store.facts(name.as_str());
        let has_offsets = self.store.look(|book| book.has_offsets(name.as_str())).unwrap_or_default();
        let mut described = GroupDescription {
            name: name.to_string(),
            state: GroupState::Empty,
            generation: facts.map_or(Generation::NONE, |facts| facts.generation),
            assignor: String::new(),
            members: Vec::new(),
            partitions: Vec::new(),
        };
        let live = self.live(name.as_str());
        if let Some(group) = &live {
            group.with(self, |coordinator, _| {
                described.state = coordinator.state();
                described.generation = coordinator.generation();
                if described.state != GroupState::Empty {
                    described.assignor = coordinator.assignor().to_string();
                }
                let member =
                    |(id, member): (&Arc<str>, &crate::group::coordinator::Member)| MemberDescription {
                        member_id: id.to_string(),
                        instance_id: member.instance_id.as_ref().map(ToString::to_string),
                        client_id: member.client_id.to_string(),
                        assignment: member.held.keys().cloned().collect(),
                    };
                described.members = coordinator.members().map(member).collect();
            });
        }
        let is_known = facts.is_some() || has_offsets || !described.members.is_empty();
        if is_known { Ok(described) } else { Err(no_group(name)) }
    }

    /// How far a group has read, in all partitions that it has committed or that are held.
    fn partitions(
        &self,
        core: &Core,
        group: &Arc<str>,
        holders: &mut BTreeMap<TopicPartition, String>,
    ) -> Vec<GroupPartition> {
        let topics: BTreeMap<TopicId, Topic> =
            core.topics().into_iter().map(|topic| (topic.id(), topic)).collect();
        let mut places: BTreeSet<TopicPartition> = holders.keys().cloned().collect();
        let offsets =
            self.store.look(|book| book.ledger.offsets(group).map(|(place, _)| place).collect::<Vec<_>>());
        for (id, number) in offsets.unwrap_or_default() {
            if let Some(topic) = topics.get(&id) {
                places.insert(TopicPartition::new(topic.name_arc(), number));
            }
        }
        let mut ends: BTreeMap<Arc<str>, (TopicId, Vec<Option<Offset>>)> = BTreeMap::new();
        for topic in topics.into_values() {
            if places.iter().any(|place| place.topic() == topic.name()) {
                ends.insert(topic.name_arc(), (topic.id(), log_ends(&topic)));
            }
        }
        let mut partitions = Vec::new();
        for place in places {
            let Some((id, ends)) = ends.get(place.topic()) else { continue };
            let committed = self.store.committed(group, *id, place.partition());
            let at = usize::try_from(place.partition()).unwrap_or(usize::MAX);
            let log_end_offset = ends.get(at).copied().flatten();
            let member_id = holders.remove(&place);
            partitions.push(GroupPartition { partition: place, committed, log_end_offset, member_id });
        }
        partitions
    }
}

/// The ends of the logs of a topic, by partition, without opening any; none of one that cannot be opened.
fn log_ends(topic: &Topic) -> Vec<Option<Offset>> {
    let end = |slot| match slot {
        SlotStats::Open(stats) | SlotStats::Resting(stats) => Some(stats.log_end_offset),
        SlotStats::Refused(_) => None,
    };
    topic.slot_stats().into_iter().map(end).collect()
}

fn no_group(name: &GroupName) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no group {name}"))
}
