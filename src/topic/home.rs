//! What all topics of one open broker share: the directory, the catalog, and how partitions are opened.

use super::catalog::{Catalog, CatalogFile};
use super::name::TopicName;
use super::settings::TopicSettings;
use super::space::Space;
use crate::clock::Clock;
use crate::io::{Dir, Lock};
use crate::partition::{Absence, Entropy, RetentionClock};
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering};
use crate::{Error, ErrorKind, Maintenance, Partition, PartitionOptions, Result, TopicId};
use std::io;
use std::sync::Arc;

/// The directory of a broker.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) root: Arc<dyn Dir>,
    /// What holds for all partitions, whatever their topic is set to.
    base: PartitionOptions,
    /// The disk that all of them take.
    pub(crate) space: Arc<Space>,
    /// Taken before the lock of any slot; held through a change of topics. None once the broker is closed.
    catalog: Mutex<Option<OpenCatalog>>,
    /// Whether the catalog is known to be found after a power cut. One that was loaded may have been put in
    /// place by a process that failed to sync its name.
    confirmed: AtomicBool,
}

/// The catalog, as long as this process may write it.
#[derive(Debug)]
pub(crate) struct OpenCatalog {
    file: CatalogFile,
    pub(crate) catalog: Catalog,
    space: Arc<Space>,
    /// Keeps other writers out.
    _lock: Box<dyn Lock>,
}

impl OpenCatalog {
    pub(crate) fn new(file: CatalogFile, catalog: Catalog, space: Arc<Space>, lock: Box<dyn Lock>) -> Self {
        space.set_catalog(CatalogFile::disk_bytes_for(&catalog));
        Self { file, catalog, space, _lock: lock }
    }

    /// Changes the catalog, on the disk and then here.
    ///
    /// # Errors
    /// Those of the disk; `TooLarge` when there are too many topics. It says here what it said before; what a
    /// later open finds is that or the new one, unless the error is `NoSpace` or `TooLarge`.
    pub(crate) fn commit(&mut self, change: impl FnOnce(&mut Catalog)) -> Result<()> {
        let mut changed = self.catalog.clone();
        change(&mut changed);
        self.space.book_catalog(CatalogFile::disk_bytes_for(&changed))?;
        self.file.commit(&mut changed)?;
        self.catalog = changed;
        Ok(())
    }
}

impl Home {
    pub(crate) fn new(root: Arc<dyn Dir>, base: PartitionOptions, catalog: OpenCatalog) -> Self {
        let clock = RetentionClock::new(base.clock.now(), base.clock.monotonic());
        let base = PartitionOptions { retention_clock: Some(clock), ..base };
        let confirmed = AtomicBool::new(catalog.file.is_confirmed());
        let space = catalog.space.clone();
        Self { root, base, space, catalog: Mutex::new(Some(catalog)), confirmed }
    }

    /// The catalog, for a change.
    pub(crate) fn catalog(&self) -> MutexGuard<'_, Option<OpenCatalog>> {
        self.catalog.lock()
    }

    /// The catalog behind a lock that is held, for a change.
    ///
    /// # Errors
    /// `Closed` when the broker is; `Poisoned` after a failed commit: it is not known then what the catalog on
    /// the disk says, and whose files may go.
    pub(crate) fn opened<'c>(&self, catalog: &'c mut Option<OpenCatalog>) -> Result<&'c mut OpenCatalog> {
        let opened = catalog.as_mut().ok_or_else(|| self.closed())?;
        opened.file.refuse_poisoned()?;
        Ok(opened)
    }

    /// Makes sure that the catalog survives a power cut, before anything is acknowledged that needs it.
    ///
    /// # Errors
    /// `Closed`, or what the disk says.
    pub(crate) fn confirm(&self) -> Result<()> {
        if !self.confirmed.load(Ordering::Acquire) {
            let mut catalog = self.catalog.lock();
            catalog.as_mut().ok_or_else(|| self.closed())?.file.confirm()?;
            self.confirmed.store(true, Ordering::Release);
        }
        Ok(())
    }

    pub(crate) fn closed(&self) -> Error {
        Error::new(ErrorKind::Closed, format!("{}: the broker was closed", self.root.path().display()))
    }

    /// The present, as retention sees it.
    pub(crate) fn retention_now(&self) -> crate::Timestamp {
        let (wall, monotonic) = (self.base.clock.now(), self.base.clock.monotonic());
        self.base.retention_clock.as_ref().map_or(wall, |clock| clock.now(wall, monotonic))
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.base.clock
    }

    pub(crate) fn maintenance(&self) -> Maintenance {
        self.base.maintenance
    }

    pub(crate) fn monotonic(&self) -> std::time::Duration {
        self.base.clock.monotonic()
    }

    pub(crate) fn entropy(&self) -> &Entropy {
        &self.base.entropy
    }

    /// The options of a partition of a topic that is set so.
    pub(crate) fn options(&self, settings: &TopicSettings) -> PartitionOptions {
        settings.partition_options(&self.base)
    }

    /// The directory of a topic.
    pub(crate) fn topic_dir(&self, name: &TopicName) -> Result<Arc<dyn Dir>> {
        self.root
            .open_dir(name.as_str())
            .map_err(|error| Error::io("open the directory", &self.root.path().join(name.as_str()), error))
    }

    /// Opens a partition that was made.
    ///
    /// # Errors
    /// As [`PartitionOptions::open`]; `Corrupt` when it is gone.
    pub(crate) fn open_partition(
        &self,
        name: &TopicName,
        (id, number): (TopicId, u32),
        options: PartitionOptions,
    ) -> Result<Partition> {
        let topic = self.topic_dir(name).map_err(gone)?;
        let directory = number.to_string();
        let path = topic.path().join(&directory);
        let dir = topic
            .open_dir(&directory)
            .map_err(|error| gone(Error::io("open the directory", &path, error)))?;
        let books = self.space.books((id, number));
        let options = PartitionOptions { absence: Absence::Refuse, books, ..options };
        options.topic(id).number(number).open_in(dir)
    }

    /// Books what the files of a partition take that cannot be opened, as far as that can be found out.
    pub(super) fn book_refused(&self, name: &TopicName, owner: (TopicId, u32)) {
        if self.space.account().is_capped()
            && let Ok(dir) = self.topic_dir(name)
            && let Ok(dir) = dir.open_dir(&owner.1.to_string())
            && let Ok(bytes) = crate::partition::refused_bytes(&*dir)
        {
            self.space.set(owner, bytes);
        }
    }

    /// Makes the partitions of these numbers, for good.
    ///
    /// # Errors
    /// `AlreadyExists` when something else is where a partition is to be; else what the disk says.
    pub(crate) fn make_partitions(
        &self,
        name: &TopicName,
        id: TopicId,
        numbers: std::ops::Range<u32>,
        settings: &TopicSettings,
    ) -> Result<()> {
        let topic = make_dir(&*self.root, name.as_str())?;
        sync_dir(&*self.root)?;
        for number in numbers {
            let directory = number.to_string();
            let dir = make_dir(&*topic, &directory)?;
            let path = dir.path().to_owned();
            if !dir.list().map_err(|error| Error::io("list", &path, error))?.is_empty() {
                let message = format!("{}: there is something that is not of this topic", path.display());
                return Err(Error::new(ErrorKind::AlreadyExists, message));
            }
            self.space.book_new((id, number))?;
            let options = self.options(settings).maintenance(Maintenance::Manual);
            let books = self.space.books((id, number));
            PartitionOptions { books, ..options }.topic(id).number(number).open_in(dir)?.close()?;
        }
        sync_dir(&*topic)
    }

    /// Removes what there is of the partitions of these numbers, for good, and the topic's directory when all
    /// of them go and nothing else is in it.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub(crate) fn remove_partitions(
        &self,
        name: &TopicName,
        id: TopicId,
        numbers: std::ops::Range<u32>,
    ) -> Result<()> {
        let topic = match self.topic_dir(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                numbers.for_each(|number| self.space.forget((id, number)));
                return sync_dir(&*self.root);
            }
            found => found?,
        };
        let takes_all = numbers.start == 0;
        for number in numbers {
            crate::partition::remove_partition(&*topic, &number.to_string(), (id, number))?;
            self.space.forget((id, number));
        }
        sync_dir(&*topic)?;
        drop(topic);
        if takes_all {
            match self.root.remove_dir(name.as_str()) {
                Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                    let path = self.root.path().join(name.as_str());
                    return Err(Error::io("remove the directory", &path, error));
                }
                _ => sync_dir(&*self.root)?,
            }
        }
        Ok(())
    }
}

/// The error for a partition whose directory the catalog lists and that is not there.
fn gone(error: Error) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    Error::with_source(ErrorKind::Corrupt, format!("the partition is gone: {error}"), error)
}

/// Makes a directory, or opens the one that is there.
fn make_dir(parent: &dyn Dir, name: &str) -> Result<Arc<dyn Dir>> {
    match parent.create_dir(name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => parent.open_dir(name),
        made => made,
    }
    .map_err(|error| Error::io("make the directory", &parent.path().join(name), error))
}

fn sync_dir(dir: &dyn Dir) -> Result<()> {
    dir.sync().map_err(|error| Error::io("sync the directory", dir.path(), error))
}
