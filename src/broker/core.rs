//! What all handles of one open broker share.

use super::groups::Groups;
use super::guests::Guests;
use super::report::BrokerReport;
use crate::sync::{AtomicBool, AtomicU64, Gate, OnceLock, Ordering, RwLock};
use crate::topic::home::Home;
use crate::topic::name::TopicName;
use crate::topic::{Ended, Topic, TopicSettings};
use crate::upkeep::{Chore, Upkeep, Worker};
use crate::{Error, ErrorKind, Maintenance, Result};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How often idle partitions are put to rest, and those at rest are looked at for retention.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// One open broker.
pub(crate) struct Core {
    pub(super) home: Arc<Home>,
    /// What a new topic is set to where nothing is named.
    pub(super) defaults: TopicSettings,
    /// Those that can be used. Changed under the lock of the catalog.
    pub(super) topics: RwLock<BTreeMap<TopicName, Topic>>,
    pub(super) report: Arc<BrokerReport>,
    pub(super) upkeep: Upkeep,
    /// None where maintenance is manual.
    pub(super) thread: Option<Arc<Worker>>,
    /// Producers and whoever else has work at its own times.
    pub(super) guests: Guests,
    /// Grows with every change of the topics or of how many partitions they have.
    pub(super) topics_version: AtomicU64,
    /// How long committed offsets are kept once their group is empty.
    pub(super) offsets_retention: Duration,
    /// Made when the first is asked for.
    pub(super) groups: OnceLock<Arc<Groups>>,
    pub(super) is_closed: AtomicBool,
    /// 1 once it is closed, and those who wait for that.
    pub(super) closing: Gate,
}

impl Core {
    /// # Errors
    /// `Closed` when it is.
    pub(super) fn usable(&self) -> Result<()> {
        if self.is_closed.load(Ordering::Acquire) { Err(self.home.closed()) } else { Ok(()) }
    }

    pub(super) fn topics(&self) -> Vec<Topic> {
        self.topics.read().values().cloned().collect()
    }

    pub(super) fn topic(&self, name: &str) -> Result<Topic> {
        self.usable()?;
        let name = TopicName::new(name)?;
        self.topics.read().get(&name).cloned().ok_or_else(|| no_topic(&name))
    }

    /// Has whoever follows the names of topics look anew.
    pub(super) fn note_change(&self) {
        self.topics_version.fetch_add(1, Ordering::AcqRel);
        if let Some(groups) = self.groups.get() {
            groups.upkeep().call();
        }
    }

    /// Does all that is due.
    pub(super) fn maintain(&self) -> Result<()> {
        self.usable()?;
        if self.home.maintenance() == Maintenance::Manual {
            self.guests.do_due();
        }
        let topics = self.topics();
        let done = topics.iter().map(Topic::maintain).collect::<Vec<_>>();
        topics.iter().for_each(Topic::sweep);
        let tidied = self.tidy_offsets();
        done.into_iter().chain([tidied]).collect()
    }

    /// Has committed offsets expire, and their log begin anew where it has become long.
    fn tidy_offsets(&self) -> Result<()> {
        self.groups.get().map_or(Ok(()), |groups| groups.tidy(self.offsets_retention))
    }

    /// Closes for all handles. A second call does nothing.
    pub(super) fn close(&self) -> Result<()> {
        if self.is_closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.closing.store(1);
        self.closing.wake();
        self.guests.dismiss();
        self.upkeep.stop();
        // Changes of topics that are under way come to their end first.
        let mut catalog = self.home.catalog();
        let topics = self.topics();
        let why = self.home.closed();
        let (ends, ended): (Vec<_>, Vec<_>) = topics.iter().map(|topic| topic.end(&why)).unzip();
        // Whoever waits for it now makes no topic any more: that would outlive the lock of the directory.
        let open = catalog.take();
        drop(catalog);
        ended.into_iter().for_each(Ended::wake);
        drop(open);
        self.guests.end();
        if let Some(thread) = &self.thread {
            thread.end();
        }
        ends.into_iter().collect()
    }
}

pub(super) fn no_topic(name: &TopicName) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no topic {name}"))
}

impl Chore for Core {
    fn upkeep(&self) -> &Upkeep {
        &self.upkeep
    }

    fn do_due(&self) -> Duration {
        self.topics().iter().for_each(Topic::sweep);
        // What fails now fails again when somebody commits, who then hears of it.
        drop(self.tidy_offsets());
        SWEEP_EVERY
    }

    fn panicked(&self) {
        // Something of the user's did, a clock or a disk; what it was called for is not the only thing that is due.
        self.upkeep.call();
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("dir", &self.home.root)
            .field("topics", &self.topics.read().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
