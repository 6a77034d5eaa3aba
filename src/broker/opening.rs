//! From a directory to an open broker.
//!
//! ```text
//!     lock ──▶ catalog ──▶ end what was interrupted ──▶ recover every partition, let it rest
//! ```

use super::core::Core;
use super::guests::Guests;
use super::handle::Broker;
use super::options::{BrokerOptions, OnRefusal};
use super::report::BrokerReport;
use crate::io::{Dir, Entry, EntryKind};
use crate::partition::manifest::MANIFEST;
use crate::partition::{Shedder, take_lock};
use crate::sync::{AtomicBool, AtomicU64, Gate, OnceLock, RwLock};
use crate::topic::catalog::{CATALOG_NEW, Catalog, CatalogFile, CatalogReport, TopicEntry};
use crate::topic::home::{Home, OpenCatalog};
use crate::topic::name::TopicName;
use crate::topic::space::Space;
use crate::topic::{Topic, TopicSettings};
use crate::upkeep::{Attendance, Chore, Task, Upkeep, Worker};
use crate::{Error, ErrorKind, Maintenance, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

impl Broker {
    /// Opens or creates the broker in `dir`.
    pub(super) fn open_with(dir: Arc<dyn Dir>, options: BrokerOptions) -> Result<Self> {
        let started = options.partition.clock.monotonic();
        refuse_partition(&*dir)?;
        let lock = take_lock(&*dir)?;
        let mut report = BrokerReport::default();
        let (file, catalog) = open_catalog(&dir, &mut report)?;
        remove_unfinished_catalog(&*dir)?;
        let thread = match options.partition.maintenance {
            Maintenance::Threads => Some(Worker::start(Task::Disk, options.partition.clock.clone())?),
            Maintenance::Manual => None,
        };
        let base = match &thread {
            Some(thread) => options.partition.clone().disk_thread(thread),
            None => options.partition.clone(),
        };
        let space = Arc::new(Space::new(options.disk_bytes_max));
        let home = Arc::new(Home::new(dir, base, OpenCatalog::new(file, catalog, space, lock)));
        let mut core = Core {
            home,
            defaults: TopicSettings { durability: options.durability, ..TopicSettings::new() },
            topics: RwLock::new(BTreeMap::new()),
            report: Arc::default(),
            upkeep: Upkeep::default(),
            thread,
            guests: Guests::default(),
            topics_version: AtomicU64::new(0),
            offsets_retention: options.offsets_retention,
            groups: OnceLock::new(),
            is_closed: AtomicBool::new(false),
            closing: Gate::default(),
        };
        core.clear_unfinished(&mut report)?;
        core.open_topics(&mut report)?;
        if let (OnRefusal::FailOpen, Some((place, error))) = (options.on_refusal, report.refused.first()) {
            let message = format!("partition {place} cannot be opened: {error}");
            return Err(Error::with_source(error.kind(), message, error.clone()));
        }
        report.elapsed = options.partition.clock.monotonic().saturating_sub(started);
        core.report = Arc::new(report);
        Self::start(core, &options)
    }

    fn start(core: Core, options: &BrokerOptions) -> Result<Self> {
        let core = Arc::new(core);
        let shedder: Weak<dyn Shedder> = Arc::<Core>::downgrade(&core);
        core.home.space.account().connect(shedder);
        if let Some(thread) = &core.thread {
            let chore: Weak<dyn Chore> = Arc::<Core>::downgrade(&core);
            let attendance = Attendance::Shared(thread.clone());
            core.upkeep.connect(chore, &attendance, &options.partition.clock)?;
        }
        Ok(Self::from_core(core))
    }
}

impl Core {
    /// Opens every topic of the catalog.
    fn open_topics(&self, report: &mut BrokerReport) -> Result<()> {
        let mut catalog = self.home.catalog();
        let entries = self.home.opened(&mut catalog)?.catalog.topics.clone();
        drop(catalog);
        let mut topics = self.topics.write();
        for entry in entries.into_iter().filter(TopicEntry::is_usable) {
            let (topic, found) = Topic::open(&self.home, &entry);
            topics.insert(entry.name, topic);
            found.into_iter().for_each(|(place, found)| report.add(place, found));
        }
        Ok(())
    }
}

/// Removes a catalog that was being written when the process before this one ended. It was never valid.
fn remove_unfinished_catalog(dir: &dyn Dir) -> Result<()> {
    if list(dir)?.iter().any(|entry| entry.name == CATALOG_NEW && entry.kind == EntryKind::File) {
        dir.remove(CATALOG_NEW).map_err(|error| Error::io("remove", &dir.path().join(CATALOG_NEW), error))?;
    }
    Ok(())
}

/// Reads the catalog, or makes one where nothing ever was.
fn open_catalog(dir: &Arc<dyn Dir>, report: &mut BrokerReport) -> Result<(CatalogFile, Catalog)> {
    let (mut file, mut catalog, slots) = match CatalogFile::load(dir) {
        Ok(loaded) => loaded,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            refuse_orphans(&**dir)?;
            let catalog = Catalog::default();
            return Ok((CatalogFile::create(dir, &catalog)?, catalog));
        }
        Err(error) => return Err(error),
    };
    match slots {
        CatalogReport::Even => return Ok((file, catalog)),
        CatalogReport::Uneven { .. } => {}
        CatalogReport::OneBad { flaw, .. } => report.catalog_damage = flaw.to_string(),
    }
    // Nothing is built upon a state that only one slot holds.
    file.commit(&mut catalog)?;
    Ok((file, catalog))
}

/// Refuses a directory that holds a partition itself.
fn refuse_partition(dir: &dyn Dir) -> Result<()> {
    if list(dir)?.iter().any(|entry| entry.name == MANIFEST) {
        let message =
            format!("{}: this is a single partition, not a broker's directory", dir.path().display());
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    Ok(())
}

/// Refuses to begin anew where partitions lie that a lost catalog has listed.
fn refuse_orphans(dir: &dyn Dir) -> Result<()> {
    let is_topic = |entry: &&Entry| entry.kind == EntryKind::Dir && TopicName::new(&entry.name).is_ok();
    for topic in list(dir)?.iter().filter(is_topic) {
        let topic = open_dir(dir, &topic.name)?;
        let is_partition = |entry: &&Entry| entry.kind == EntryKind::Dir && entry.name.parse::<u32>().is_ok();
        for partition in list(&*topic)?.iter().filter(is_partition) {
            let partition = open_dir(&*topic, &partition.name)?;
            if list(&*partition)?.iter().any(|entry| entry.name == MANIFEST) {
                let message = format!(
                    "{}: there is no catalog, and {} holds a partition",
                    dir.path().display(),
                    partition.path().display()
                );
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
        }
    }
    Ok(())
}

fn list(dir: &dyn Dir) -> Result<Vec<Entry>> {
    dir.list().map_err(|error| Error::io("list", dir.path(), error))
}

fn open_dir(parent: &dyn Dir, name: &str) -> Result<Arc<dyn Dir>> {
    parent.open_dir(name).map_err(|error| Error::io("open the directory", &parent.path().join(name), error))
}
