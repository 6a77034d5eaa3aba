//! What a broker can be told when it is opened.

use super::handle::Broker;
use crate::clock::Clock;
use crate::io::Dir;
use crate::{
    Durability, Error, ErrorKind, Maintenance, OnDamage, PartitionOptions, ReadMode, Result, WriteMode,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long the offsets of an empty group are kept, if nothing else is said: Kafka's default.
const OFFSETS_RETENTION: Duration = Duration::from_secs(7 * 86_400);

/// The least cap on what a broker takes.
const DISK_BYTES_LEAST: u64 = 256 << 10;

/// Whether a broker opens when one of its partitions cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnRefusal {
    /// It opens; that partition alone is refused, each time it is asked for.
    #[default]
    ServeOthers,
    /// It does not open, and says why.
    FailOpen,
}

/// The options of a broker. See [`Broker::options`].
///
/// ```
/// use annals::clock::ManualClock;
/// use annals::{Broker, Maintenance, Timestamp, TopicOptions};
///
/// let broker = Broker::options()
///     .clock(ManualClock::new(Timestamp::from_millis(0)))
///     .maintenance(Maintenance::Manual)
///     .open_in_memory()?;
/// broker.create_topic("orders", TopicOptions::new())?;
/// broker.maintain()?;
/// broker.close()?;
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    pub(super) partition: PartitionOptions,
    pub(super) durability: Durability,
    pub(super) on_refusal: OnRefusal,
    pub(super) disk_bytes_max: u64,
    pub(super) offsets_retention: Duration,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            partition: PartitionOptions::default(),
            durability: Durability::default(),
            on_refusal: OnRefusal::default(),
            disk_bytes_max: u64::MAX,
            offsets_retention: OFFSETS_RETENTION,
        }
    }
}

impl BrokerOptions {
    /// What appends wait for in topics that are created without naming it. Default [`Durability::Durable`]. A
    /// topic keeps what it was created with.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How bytes get into segments. Default [`WriteMode::Automatic`].
    #[must_use]
    pub fn write_mode(mut self, mode: WriteMode) -> Self {
        self.partition = self.partition.write_mode(mode);
        self
    }

    /// How bytes get out of segments. Default [`ReadMode::Automatic`].
    #[must_use]
    pub fn read_mode(mut self, mode: ReadMode) -> Self {
        self.partition = self.partition.read_mode(mode);
        self
    }

    /// Who does the work in the background. Default [`Maintenance::Threads`]: one thread for all partitions,
    /// and one for producers and groups once there are any.
    #[must_use]
    pub fn maintenance(mut self, maintenance: Maintenance) -> Self {
        self.partition = self.partition.maintenance(maintenance);
        self
    }

    /// What to do where acknowledged history of a partition is damaged. Default [`OnDamage::Refuse`].
    #[must_use]
    pub fn on_damage(mut self, on_damage: OnDamage) -> Self {
        self.partition = self.partition.on_damage(on_damage);
        self
    }

    /// Whether the broker opens when a partition cannot. Default [`OnRefusal::ServeOthers`].
    #[must_use]
    pub fn on_refusal(mut self, on_refusal: OnRefusal) -> Self {
        self.on_refusal = on_refusal;
        self
    }

    /// How long the committed offsets of a group are kept once it has no members.
    ///
    /// Default 7 days; any other time will do. It begins when the last member has gone, or with a later commit: a group
    /// that has members keeps them, as in Kafka since [KIP-211].
    ///
    /// [KIP-211]: https://cwiki.apache.org/confluence/display/KAFKA/KIP-211%3A+Revise+Expiration+Semantics+of+Consumer+Group+Offsets
    #[doc(alias = "offsets.retention.minutes")]
    #[must_use]
    pub fn offsets_retention(mut self, retention: Duration) -> Self {
        self.offsets_retention = retention;
        self
    }

    /// Most bytes of disk that all topics together may take.
    ///
    /// What is reserved ahead, indexes, the catalog and deleted segments that readers still hold are counted.
    /// Default no cap; at least 256 KiB.
    ///
    /// At the cap an append, or the creation of a topic, has readers let go of deleted segments, and then
    /// deletes the oldest segments there are in topics whose retention permits any deletion
    /// ([`Retention::Forever`] does not), however young they are. The segment that a partition appends to is
    /// never deleted so: leave room for one of each partition. What else is over the cap fails with `NoSpace`,
    /// and goes on once records or topics were deleted. A deleted topic counts until the last handle of its
    /// partitions is dropped.
    ///
    /// It is a hard cap, with one exception: a directory that is above it opens nevertheless, and opening one
    /// after a power cut may copy what was not synced. Then nothing more is taken before it is below it again.
    ///
    /// ```
    /// use annals::{Broker, ErrorKind, Record, TopicOptions};
    ///
    /// let broker = Broker::options().disk_bytes_max(1 << 20).open_in_memory()?;
    /// let audit = broker.create_topic("audit", TopicOptions::new())?.partition(0)?;
    /// let full = (0..2_000).find_map(|_| audit.append([Record::new(&[7; 1_000])]).wait().err());
    /// assert_eq!(full.map(|error| error.kind()), Some(ErrorKind::NoSpace));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// [`Retention::Forever`]: crate::Retention::Forever
    #[must_use]
    pub fn disk_bytes_max(mut self, bytes: u64) -> Self {
        self.disk_bytes_max = bytes;
        self
    }

    /// Where time comes from. Default the machine's clocks.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.partition = self.partition.clock(clock);
        self
    }

    /// Draws salts and identities from this seed, so that a simulation can be repeated.
    ///
    /// Default: from the operating system. Never use it for data to keep.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.partition = self.partition.seed(seed);
        self
    }

    /// Opens the broker in the directory at `path`, or creates it there.
    ///
    /// The directory is created if it does not exist. All partitions are recovered first: blocks.
    ///
    /// # Errors
    /// - `Locked`: another handle or process has it open; the message says who.
    /// - `InvalidInput`: the directory is that of a single partition, or `disk_bytes_max` is below 256 KiB.
    /// - `Corrupt`: the catalog is damaged, or is gone while there are topics. Nothing was changed.
    /// - `Unsupported`: it was written by a newer version.
    /// - `ReadOnly`, `NoSpace`, `Io`: the file system refused.
    /// - with [`OnRefusal::FailOpen`] also what opening a partition says.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Broker> {
        let path = path.as_ref();
        let dir = crate::io::DiskDir::open_or_create(path)
            .map_err(|error| Error::io("open the directory", path, error))?;
        self.open_in(dir)
    }

    /// Opens the broker in `dir`, on whatever disk that is.
    ///
    /// # Errors
    /// As [`BrokerOptions::open`].
    pub fn open_in(self, dir: Arc<dyn Dir>) -> Result<Broker> {
        if self.disk_bytes_max < DISK_BYTES_LEAST {
            let message =
                format!("disk_bytes_max is {}: the least is {DISK_BYTES_LEAST} bytes", self.disk_bytes_max);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Broker::open_with(dir, self)
    }

    /// Opens a new broker in memory, which is gone with its last handle.
    ///
    /// # Errors
    /// `InvalidInput` when `disk_bytes_max` is below 256 KiB; `Io` when the disk thread cannot be started.
    pub fn open_in_memory(self) -> Result<Broker> {
        self.open_in(crate::io::MemoryDisk::new().root())
    }
}
