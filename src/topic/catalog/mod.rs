//! The catalog: which topics there are, and what each is set to.
//!
//! ```text
//!     create    commit (n partitions, 0 ready) ──▶ make directories, sync ──▶ commit (n ready)
//!     add       commit (n, k ready)            ──▶ make directories, sync ──▶ commit (n ready)
//!     delete    commit (deleting)              ──▶ remove files, sync     ──▶ commit (gone)
//! ```
//!
//! What lies between two commits is named in the catalog with the identity of the topic, so whoever opens the
//! directory next knows which files an interrupted change may have left, and whose they are. It is a two-slot
//! file, as the manifest is; a deletion makes it shorter, so it needs no room on a full disk.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod codec;
mod meaning;

use super::name::TopicName;
use super::settings::TopicSettings;
use crate::TopicId;
use crate::partition::slots::{self, Slotted};
use crate::segment::Frame;
pub(crate) use meaning::CatalogFlaw;

/// The name of the catalog.
pub(crate) const CATALOG: &str = "catalog";
/// The name of a catalog that is being written and is not valid yet. May be removed at any time.
pub(crate) const CATALOG_NEW: &str = "catalog-new";

/// The open catalog of a broker that this process writes.
pub(crate) type CatalogFile = slots::SlotFile<Catalog>;
/// In what state its two slots were found.
pub(crate) type CatalogReport = slots::SlotReport<CatalogFlaw>;

/// All topics of a broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Catalog {
    /// Grows with each commit.
    pub(crate) generation: u64,
    /// In the order of their names, each name once.
    pub(crate) topics: Vec<TopicEntry>,
}

/// What the catalog says of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicEntry {
    pub(crate) name: TopicName,
    /// No other topic, of whatever name, has or had it.
    pub(crate) id: TopicId,
    pub(crate) state: TopicState,
    /// How many partitions may have files.
    pub(crate) partition_count: u32,
    /// How many of them, from the first on, were made completely. Of the others nothing was ever acknowledged.
    pub(crate) ready_count: u32,
    pub(crate) settings: TopicSettings,
}

/// Whether a topic can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TopicState {
    Live,
    /// It was deleted, and its files may still be there.
    Deleting,
}

impl Catalog {
    pub(crate) fn get(&self, name: &TopicName) -> Option<&TopicEntry> {
        self.place(name).ok().and_then(|at| self.topics.get(at))
    }

    /// Puts an entry in its place, instead of one of that name.
    pub(crate) fn put(&mut self, entry: TopicEntry) {
        match self.place(&entry.name) {
            Ok(at) => self.topics.splice(at..=at, [entry]).for_each(drop),
            Err(at) => self.topics.insert(at, entry),
        }
    }

    pub(crate) fn remove(&mut self, name: &TopicName) {
        self.topics.retain(|entry| entry.name != *name);
    }

    fn place(&self, name: &TopicName) -> Result<usize, usize> {
        self.topics.binary_search_by(|entry| entry.name.cmp(name))
    }
}

impl TopicEntry {
    /// Whether it is a topic that anybody may see.
    pub(crate) fn is_usable(&self) -> bool {
        self.state == TopicState::Live && self.ready_count > 0
    }

    /// Whether an interrupted change may have left files that nobody must see.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.state == TopicState::Deleting || self.ready_count < self.partition_count
    }
}

impl Slotted for Catalog {
    type Flaw = CatalogFlaw;

    const FRAME: Frame = Frame { magic: *b"ANNALCAT", version: 1 };
    const NAME: &'static str = CATALOG;
    const NEW_NAME: &'static str = CATALOG_NEW;

    fn generation(&self) -> u64 {
        self.generation
    }

    fn set_generation(&mut self, generation: u64) {
        self.generation = generation;
    }

    fn check(&self) -> Result<(), CatalogFlaw> {
        self.check()
    }

    fn describe(&self) -> String {
        format!("a catalog of {} topics", self.topics.len())
    }

    fn encoded_len(&self) -> usize {
        self.encoded_len()
    }

    fn encode(&self, capacity: u32) -> Vec<u8> {
        self.encode(capacity)
    }

    fn decode(bytes: &[u8]) -> Result<Self, slots::SlotFlaw<CatalogFlaw>> {
        Self::decode(bytes)
    }
}

#[cfg(test)]
mod documented;
#[cfg(test)]
mod tests;
