//! What a catalog must say to make sense.

use super::{Catalog, TopicEntry};
use crate::topic::settings::PARTITIONS_MAX;
use std::collections::BTreeSet;

/// Why a catalog makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CatalogFlaw {
    #[error("topic {name:?} follows {before:?}: expected each name once, in order")]
    Order { before: String, name: String },
    #[error("topic {name:?} has the identity of another one")]
    SharedId { name: String },
    #[error(
        "topic {name:?}: expected at most {PARTITIONS_MAX} partitions, {ready} of them ready, found {count}"
    )]
    Partitions { name: String, count: u32, ready: u32 },
    #[error("topic {name:?}: an option is outside its bounds")]
    Settings { name: String },
}

impl Catalog {
    pub(crate) fn check(&self) -> Result<(), CatalogFlaw> {
        let mut ids = BTreeSet::new();
        for entry in &self.topics {
            entry.check()?;
            if !ids.insert(entry.id) {
                return Err(CatalogFlaw::SharedId { name: entry.name.to_string() });
            }
        }
        for (before, entry) in self.topics.iter().zip(self.topics.iter().skip(1)) {
            if before.name >= entry.name {
                let (before, name) = (before.name.to_string(), entry.name.to_string());
                return Err(CatalogFlaw::Order { before, name });
            }
        }
        Ok(())
    }
}

impl TopicEntry {
    fn check(&self) -> Result<(), CatalogFlaw> {
        let (name, count, ready) = (self.name.to_string(), self.partition_count, self.ready_count);
        if !(1..=PARTITIONS_MAX).contains(&count) || ready > count {
            return Err(CatalogFlaw::Partitions { name, count, ready });
        }
        self.settings.check().map_err(|_| CatalogFlaw::Settings { name })
    }
}
