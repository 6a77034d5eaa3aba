//! What a coordinator knows of the topics.

use crate::TopicId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which topics there are, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Topics {
    /// Grows with each change of the topics.
    pub(crate) version: u64,
    facts: BTreeMap<Arc<str>, TopicFacts>,
}

/// What is known of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopicFacts {
    pub(crate) id: TopicId,
    pub(crate) partition_count: u32,
}

impl Topics {
    pub(crate) fn new(version: u64, facts: impl IntoIterator<Item = (Arc<str>, TopicFacts)>) -> Self {
        Self { version, facts: facts.into_iter().collect() }
    }

    pub(crate) fn get(&self, name: &str) -> Option<TopicFacts> {
        self.facts.get(name).copied()
    }

    /// Whether the topic of this name is not the one it is in `later`.
    pub(super) fn is_another(&self, name: &str, later: &Self) -> bool {
        self.get(name).map(|facts| facts.id) != later.get(name).map(|facts| facts.id)
    }
}
