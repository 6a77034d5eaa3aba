//! Reading topics beside a broker that writes them.

use crate::io::{Dir, DiskDir};
use crate::partition::slots::load_read_only;
use crate::sync::Mutex;
use crate::topic::TopicSettings;
use crate::topic::catalog::{Catalog, CatalogReport, TopicEntry};
use crate::topic::name::TopicName;
use crate::{Error, ErrorKind, Follower, Result, TopicId};
use std::path::Path;
use std::sync::Arc;

/// A directory of topics, opened for reading beside a broker that may be writing it.
///
/// Clones are cheap, and know the same: a refresh of one is one of all.
///
/// It takes no lock, starts no thread and writes nothing. It knows the topics as they were when it was opened
/// or [refreshed](BrokerFollower::refresh) last.
///
/// ```
/// use annals::{Broker, Offset, Record, TopicOptions};
/// # let data = std::env::temp_dir().join(format!("annals-doc-broker-follower-{}", std::process::id()));
/// let broker = Broker::open(&data)?;
/// let orders = broker.create_topic("orders", TopicOptions::new().partitions(2))?;
/// orders.partition(1)?.append([Record::new("a")]).wait()?;
///
/// let beside = Broker::open_read_only(&data)?; // in another process, most often
/// assert_eq!(beside.topic("orders")?.partition_count, 2);
/// let follower = beside.partition("orders", 1)?;
/// let mut count = 0;
/// for records in follower.read(Offset::ZERO) {
///     count += records?.into_iter().count();
/// }
/// assert_eq!(count, 1);
/// # drop(broker);
/// # drop(std::fs::remove_dir_all(&data));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BrokerFollower {
    root: Arc<dyn Dir>,
    seen: Arc<Mutex<Seen>>,
}

/// The catalog when it was looked at last.
#[derive(Debug)]
struct Seen {
    catalog: Catalog,
    /// What is wrong with one of its slots; empty when nothing is.
    damage: String,
}

/// What is known of a topic beside the broker that writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its identity, which no other topic has or had.
    pub id: TopicId,
    /// How many partitions it has. They are numbered from 0.
    pub partition_count: u32,
    /// All that it is set to.
    pub settings: TopicSettings,
}

impl BrokerFollower {
    /// Opens the broker's directory at `path`, as [`Broker::open_read_only`](crate::Broker::open_read_only) does. Blocks.
    ///
    /// # Errors
    /// `NotFound` when there is no catalog; `Corrupt` when it is damaged; `Unsupported` when it was written by
    /// a newer version; `ReadOnly` when it may not be read; `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let root = DiskDir::open(path).map_err(|error| Error::io("open the directory", path, error))?;
        Self::open_in(root)
    }

    /// The same in `dir`, on whatever disk that is.
    ///
    /// # Errors
    /// As [`BrokerFollower::open`].
    pub fn open_in(dir: Arc<dyn Dir>) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Seen::load(&*dir)?));
        Ok(Self { root: dir, seen })
    }

    /// Looks at which topics there are now.
    ///
    /// # Errors
    /// As [`BrokerFollower::open`].
    pub fn refresh(&self) -> Result<()> {
        let fresh = Seen::load(&*self.root)?;
        *self.seen.lock() = fresh;
        Ok(())
    }

    /// What is wrong with one of the catalog's two slots; empty when nothing is.
    ///
    /// The other one is good, and the next open for writing mends it.
    #[must_use]
    pub fn catalog_damage(&self) -> String {
        self.seen.lock().damage.clone()
    }

    /// All topics that can be used, in the order of their names.
    #[must_use]
    pub fn topics(&self) -> Vec<TopicDescription> {
        self.seen.lock().catalog.topics.iter().filter_map(TopicDescription::of).collect()
    }

    /// The topic of this name.
    ///
    /// # Errors
    /// `NotFound` when there was none; `InvalidInput` when the name is not a valid one.
    pub fn topic(&self, name: &str) -> Result<TopicDescription> {
        let name = TopicName::new(name)?;
        let found = self.seen.lock().catalog.get(&name).and_then(TopicDescription::of);
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no topic {name}")))
    }

    /// Follows one of the partitions of a topic. Blocks.
    ///
    /// # Errors
    /// `NotFound` when there is no such topic or partition, or it has been deleted meanwhile. Else as
    /// [`Follower::open`].
    pub fn partition(&self, topic: &str, number: u32) -> Result<Follower> {
        let topic = self.topic(topic)?;
        if number >= topic.partition_count {
            let (name, count) = (topic.name, topic.partition_count);
            let message =
                format!("topic {name} has {count} partitions, numbered from 0: there is no {number}");
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        let path = self.root.path().join(&topic.name).join(number.to_string());
        let dir = self.root.open_dir(&topic.name).and_then(|dir| dir.open_dir(&number.to_string()));
        let dir = dir.map_err(|error| Error::io("open the directory", &path, error))?;
        Follower::open_of(dir, (topic.id, number))
    }
}

impl Seen {
    fn load(root: &dyn Dir) -> Result<Self> {
        let (catalog, slots) = load_read_only(root)?;
        let damage = match slots {
            CatalogReport::OneBad { flaw, .. } => flaw.to_string(),
            CatalogReport::Even | CatalogReport::Uneven { .. } => String::new(),
        };
        Ok(Self { catalog, damage })
    }
}

impl TopicDescription {
    /// Of a topic that can be used.
    fn of(entry: &TopicEntry) -> Option<Self> {
        entry.is_usable().then(|| Self {
            name: entry.name.to_string(),
            id: entry.id,
            partition_count: entry.ready_count,
            settings: entry.settings,
        })
    }
}
