//! All that the internal topic says, in memory.

use super::{CommittedOffset, Entry, GroupFacts};
use crate::sync::{Bug, planted};
use crate::{Timestamp, TopicId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How far all groups have read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    groups: BTreeMap<Arc<str>, Page>,
    /// How many entries a snapshot has.
    entry_count: usize,
}

/// What is known of one group.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    facts: Option<GroupFacts>,
    offsets: BTreeMap<(TopicId, u32), CommittedOffset>,
    starts: BTreeMap<TopicId, u32>,
}

impl Page {
    fn len(&self) -> usize {
        self.offsets.len() + self.starts.len() + usize::from(self.facts.is_some())
    }
}

impl Ledger {
    /// Takes note of an entry: it holds from now on.
    pub(crate) fn apply(&mut self, entry: Entry) {
        let group = entry.group().clone();
        let page = self.groups.entry(group.clone()).or_default();
        let before = page.len();
        match entry {
            Entry::Offset { topic, partition, committed: Some(committed), .. } => {
                page.offsets.insert((topic, partition), committed);
            }
            Entry::Offset { topic, partition, committed: None, .. } => {
                page.offsets.remove(&(topic, partition));
            }
            Entry::Group { facts, .. } => page.facts = facts,
            Entry::Start { topic, partition_count: Some(count), .. } => {
                page.starts.insert(topic, count);
            }
            Entry::Start { topic, partition_count: None, .. } => {
                page.starts.remove(&topic);
            }
        }
        let after = page.len();
        self.entry_count = self.entry_count + after - before;
        if after == 0 {
            self.groups.remove(&group);
        }
    }

    /// Whether anything holds of what an entry is about.
    pub(crate) fn says(&self, entry: &Entry) -> bool {
        self.groups.get(entry.group()).is_some_and(|page| match entry {
            Entry::Offset { topic, partition, .. } => page.offsets.contains_key(&(*topic, *partition)),
            Entry::Group { .. } => page.facts.is_some(),
            Entry::Start { topic, .. } => page.starts.contains_key(topic),
        })
    }

    /// How many entries a snapshot has.
    pub(crate) fn entry_count(&self) -> usize {
        self.entry_count
    }

    /// All of it as entries.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.groups.iter().flat_map(|(group, page)| page.entries(group))
    }

    /// The groups of which anything is known, by name.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Arc<str>> {
        self.groups.keys()
    }

    pub(crate) fn facts(&self, group: &str) -> Option<GroupFacts> {
        self.groups.get(group).and_then(|page| page.facts)
    }

    /// What the group has committed for a partition. Offset 0 is one, and is not none.
    pub(crate) fn committed(&self, group: &str, topic: TopicId, partition: u32) -> Option<&CommittedOffset> {
        self.groups.get(group).and_then(|page| page.offsets.get(&(topic, partition)))
    }

    /// All that the group has committed.
    pub(crate) fn offsets(&self, group: &str) -> impl Iterator<Item = ((TopicId, u32), &CommittedOffset)> {
        let page = self.groups.get(group);
        page.into_iter().flat_map(|page| page.offsets.iter().map(|(place, committed)| (*place, committed)))
    }

    /// How many partitions the topic had when the group first read it.
    pub(crate) fn start(&self, group: &str, topic: TopicId) -> Option<u32> {
        self.groups.get(group).and_then(|page| page.starts.get(&topic).copied())
    }

    /// What has to be said so that nothing is left of a group.
    pub(crate) fn without_group(&self, group: &str) -> Vec<Entry> {
        let entries = self.groups.get_key_value(group).into_iter();
        entries.flat_map(|(group, page)| page.entries(group)).map(Entry::undone).collect()
    }

    /// What has to be said so that nothing is left of the topics that do not pass.
    pub(crate) fn without_topics(&self, is_kept: impl Fn(TopicId) -> bool) -> Vec<Entry> {
        let is_gone = |entry: &Entry| match entry {
            Entry::Offset { topic, .. } | Entry::Start { topic, .. } => !is_kept(*topic),
            Entry::Group { .. } => false,
        };
        self.entries().filter(is_gone).map(Entry::undone).collect()
    }

    /// What has to be said of what has expired by `now`: offsets whose group has been empty for this long, and
    /// that were not committed since; and all of the group with its last offset.
    pub(crate) fn expired(&self, now: Timestamp, retention: Duration) -> Vec<Entry> {
        let mut expired = Vec::new();
        for (group, page) in &self.groups {
            let since = match page.facts.and_then(|facts| facts.empty_since) {
                Some(since) => since,
                None if planted(Bug::ExpiryFromCommit) => Timestamp::MIN,
                None => continue,
            };
            let is_over = |since: Timestamp| since.saturating_add(retention) <= now;
            let since = if planted(Bug::ExpiryFromCommit) { Timestamp::MIN } else { since };
            let is_over_for = |committed: &CommittedOffset| is_over(since.max(committed.timestamp));
            if page.offsets.values().all(is_over_for) && is_over(since) {
                expired.extend(page.entries(group).map(Entry::undone));
            } else {
                let over = page.offsets.iter().filter(|(_, committed)| is_over_for(committed));
                expired.extend(over.map(|(&(topic, partition), _)| Entry::Offset {
                    group: group.clone(),
                    topic,
                    partition,
                    committed: None,
                }));
            }
        }
        expired
    }
}

impl Page {
    fn entries(&self, group: &Arc<str>) -> impl Iterator<Item = Entry> {
        let offsets = self.offsets.iter().map(|(&(topic, partition), committed)| Entry::Offset {
            group: group.clone(),
            topic,
            partition,
            committed: Some(committed.clone()),
        });
        let starts = self.starts.iter().map(|(&topic, &count)| Entry::Start {
            group: group.clone(),
            topic,
            partition_count: Some(count),
        });
        let facts =
            self.facts.map(|facts| Entry::Group { group: group.clone(), facts: Some(facts) }).into_iter();
        facts.chain(starts).chain(offsets)
    }
}

impl Entry {
    /// The entry that says that this one no longer holds.
    fn undone(self) -> Self {
        match self {
            Self::Offset { group, topic, partition, .. } => {
                Self::Offset { group, topic, partition, committed: None }
            }
            Self::Group { group, .. } => Self::Group { group, facts: None },
            Self::Start { group, topic, .. } => Self::Start { group, topic, partition_count: None },
        }
    }
}
