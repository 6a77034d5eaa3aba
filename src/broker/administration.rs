//! Creating, changing and deleting topics: two commits of the catalog with the files' work between them.

use super::core::{Core, no_topic};
use super::report::BrokerReport;
use crate::topic::catalog::{TopicEntry, TopicState};
use crate::topic::home::OpenCatalog;
use crate::topic::name::TopicName;
use crate::topic::{Topic, TopicOptions};
use crate::{Error, ErrorKind, Result};

impl Core {
    pub(super) fn create_topic(&self, name: &str, options: &TopicOptions) -> Result<Topic> {
        self.usable()?;
        let name = TopicName::new(name)?;
        refuse_internal(&name)?;
        let mut catalog = self.home.catalog();
        let catalog = self.home.opened(&mut catalog)?;
        if self.topics.read().contains_key(&name) {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("there is a topic {name} already")));
        }
        self.create_locked(catalog, name, options)
    }

    pub(super) fn ensure_topic(&self, name: &str, options: &TopicOptions) -> Result<Topic> {
        let name = TopicName::new(name)?;
        refuse_internal(&name)?;
        self.ensure_any_topic(name, options)
    }

    /// Creates a topic that the crate keeps for itself, if it does not exist.
    pub(super) fn make_internal_topic(&self, name: &str, options: &TopicOptions) -> Result<Topic> {
        self.ensure_any_topic(TopicName::new(name)?, options)
    }

    fn ensure_any_topic(&self, name: TopicName, options: &TopicOptions) -> Result<Topic> {
        self.usable()?;
        self.home.confirm()?;
        let mut catalog = self.home.catalog();
        let catalog = self.home.opened(&mut catalog)?;
        let known = self.topics.read().get(&name).cloned();
        match known {
            None => self.create_locked(catalog, name, options),
            Some(topic) => {
                self.change_locked(catalog, &topic, options)?;
                Ok(topic)
            }
        }
    }

    fn create_locked(
        &self,
        catalog: &mut OpenCatalog,
        name: TopicName,
        options: &TopicOptions,
    ) -> Result<Topic> {
        let entry = TopicEntry {
            id: self.home.entropy().topic()?,
            state: TopicState::Live,
            partition_count: options.partitions_after(0)?,
            ready_count: 0,
            settings: options.applied_to(self.defaults)?,
            name,
        };
        // What an earlier topic of this name has left goes first.
        if let Some(left) = catalog.catalog.get(&entry.name).cloned() {
            self.clear_locked(catalog, &left)?;
        }
        catalog.commit(|catalog| catalog.put(entry.clone()))?;
        let made =
            self.home.make_partitions(&entry.name, entry.id, 0..entry.partition_count, &entry.settings);
        if let Err(error) = made {
            // If that fails too, the next open does it.
            drop(self.clear_locked(catalog, &entry));
            return Err(error);
        }
        let ready = TopicEntry { ready_count: entry.partition_count, ..entry };
        catalog.commit(|catalog| catalog.put(ready.clone()))?;
        let (topic, _) = Topic::open(&self.home, &ready);
        self.topics.write().insert(ready.name, topic.clone());
        self.note_change();
        Ok(topic)
    }

    fn change_locked(&self, catalog: &mut OpenCatalog, topic: &Topic, options: &TopicOptions) -> Result<()> {
        let name = TopicName::new(topic.name())?;
        let Some(before) = catalog.catalog.get(&name).cloned() else { return Err(no_topic(&name)) };
        let count = options.partitions_after(before.ready_count)?;
        let after = TopicEntry {
            settings: options.applied_to(before.settings)?,
            partition_count: count,
            ready_count: count,
            ..before.clone()
        };
        if after == before {
            return Ok(());
        }
        if before.partition_count > before.ready_count {
            // What an attempt to add partitions has left.
            self.clear_added_locked(catalog, &before)?;
        }
        let added = before.ready_count..count;
        if !added.is_empty() {
            let begun = TopicEntry { partition_count: count, ..before };
            catalog.commit(|catalog| catalog.put(begun.clone()))?;
            let made = self.home.make_partitions(&begun.name, begun.id, added, &after.settings);
            if let Err(error) = made {
                drop(self.clear_added_locked(catalog, &begun));
                return Err(error);
            }
        }
        catalog.commit(|catalog| catalog.put(after.clone()))?;
        topic.set(after.settings);
        topic.grow_to(after.ready_count);
        self.note_change();
        Ok(())
    }

    pub(super) fn delete_topic(&self, name: &str) -> Result<()> {
        self.usable()?;
        let name = TopicName::new(name)?;
        refuse_internal(&name)?;
        let mut guard = self.home.catalog();
        let catalog = self.home.opened(&mut guard)?;
        let topic = self.topics.read().get(&name).cloned().ok_or_else(|| no_topic(&name))?;
        let Some(entry) = catalog.catalog.get(&name).cloned() else { return Err(no_topic(&name)) };
        let deleting = TopicEntry { state: TopicState::Deleting, ..entry };
        catalog.commit(|catalog| catalog.put(deleting.clone()))?;
        self.topics.write().remove(&name);
        self.note_change();
        // Whether its last records reach the disk is nobody's concern any more.
        let why = Error::new(ErrorKind::NotFound, format!("topic {name} was deleted"));
        let (_closed, ended) = topic.end(&why);
        let cleared = self.clear_locked(catalog, &deleting);
        drop(guard);
        ended.wake();
        cleared.map_err(|error| {
            let message =
                format!("topic {name} was deleted, but not all its files could be removed: {error}");
            Error::with_source(error.kind(), message, error)
        })
    }

    /// Removes what is left of a topic that cannot be used, and then its entry.
    fn clear_locked(&self, catalog: &mut OpenCatalog, entry: &TopicEntry) -> Result<()> {
        self.home.remove_partitions(&entry.name, entry.id, 0..entry.partition_count)?;
        catalog.commit(|catalog| catalog.remove(&entry.name))
    }

    /// Removes the partitions of a topic that were not all made.
    fn clear_added_locked(&self, catalog: &mut OpenCatalog, entry: &TopicEntry) -> Result<()> {
        let kept = entry.ready_count;
        self.home.remove_partitions(&entry.name, entry.id, kept..entry.partition_count)?;
        let before = TopicEntry { partition_count: kept, ..entry.clone() };
        catalog.commit(|catalog| catalog.put(before))
    }

    /// Ends what an earlier process has begun and not ended. What cannot be removed is left for later, since
    /// nobody sees it.
    pub(super) fn clear_unfinished(&self, report: &mut BrokerReport) -> Result<()> {
        let mut catalog = self.home.catalog();
        let catalog = self.home.opened(&mut catalog)?;
        let unfinished = catalog.catalog.topics.iter().filter(|entry| entry.is_unfinished());
        for entry in unfinished.cloned().collect::<Vec<_>>() {
            let name = entry.name.to_string();
            let cleared = if entry.is_usable() {
                self.clear_added_locked(catalog, &entry)
            } else {
                self.clear_locked(catalog, &entry)
            };
            match cleared {
                Ok(()) => report.cleared_topics.push(name),
                Err(error) => report.not_cleared.push((name, error)),
            }
        }
        Ok(())
    }
}

/// Users neither make nor delete what the crate keeps for itself.
fn refuse_internal(name: &TopicName) -> Result<()> {
    if !name.is_internal() {
        return Ok(());
    }
    let message = format!("the topic {name} is internal: it is made and kept by the broker");
    Err(Error::new(ErrorKind::InvalidInput, message))
}
