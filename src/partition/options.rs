//! What a partition can be told when it is opened.

use super::account::Books;
use super::entropy::Entropy;
use super::on_damage::OnDamage;
use super::opening::Absence;
use super::retention::Retention;
use super::retention_clock::RetentionClock;
use crate::clock::{Clock, SystemClock};
use crate::io::Dir;
use crate::segment::Shelf;
use crate::upkeep::{Attendance, Worker};
use crate::{Error, ErrorKind, Partition, Result, TopicId};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What an append waits for before it is acknowledged.
#[doc(alias = "acks")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// The record is in the page cache.
    ///
    /// It survives the death of the process, not a power cut.
    Written,
    /// The record is synced: it survives a power cut.
    #[doc(alias = "flush.messages")]
    #[default]
    Durable,
}

/// What a reader may see.
#[doc(alias = "isolation.level")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ReadLevel {
    /// All that is written. A power cut may take back what such a reader saw.
    Written,
    /// Only what is synced. What such a reader saw is never lost.
    #[default]
    Durable,
}

/// Where a record's timestamp comes from.
#[doc(alias = "message.timestamp.type")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimestampSource {
    /// The record's own, or the wall clock at the append where it has none.
    #[default]
    CreateTime,
    /// The wall clock at the append, whatever the record says.
    LogAppendTime,
}

/// How bytes get into a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteMode {
    /// Through a map where that is known to be safe, else by `Pwrite`.
    ///
    /// It is on 64-bit Linux with ext4, XFS or tmpfs.
    #[default]
    Automatic,
    /// By system calls alone. Slower for small appends; a failing device is an error and not a signal, if what is
    /// read is read by [`ReadMode::Pread`] too.
    Pwrite,
}

/// How bytes get out of a segment. Either way they are copied out, and the copy is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadMode {
    /// From a map where there is one, else by `Pread`.
    #[default]
    Automatic,
    /// By system calls alone.
    Pread,
}

/// Who does the work that is due in the background.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Maintenance {
    /// A thread of the crate.
    #[default]
    Threads,
    /// The caller, by [`Partition::maintain`] or [`Broker::maintain`](crate::Broker::maintain), and by blocking waits:
    /// for simulations and tests.
    Manual,
}

/// The options of one partition. See [`Partition::options`].
///
/// ```
/// use annals::{Durability, Partition, Retention};
/// use std::time::Duration;
///
/// let log = Partition::options()
///     .segment_bytes_max(1 << 20)
///     .retention(Retention::Age(Duration::from_secs(86_400)))
///     .durability(Durability::Written)
///     .open_in_memory()?;
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PartitionOptions {
    pub(crate) topic: Identity,
    pub(crate) number: u32,
    pub(crate) segment_bytes_max: u64,
    pub(crate) segment_age_max: Duration,
    pub(crate) batch_bytes_max: u32,
    pub(crate) retention: Retention,
    pub(crate) disk_bytes_max: u64,
    pub(crate) durability: Durability,
    pub(crate) read_level: ReadLevel,
    pub(crate) timestamps: TimestampSource,
    pub(crate) write_mode: WriteMode,
    pub(crate) read_mode: ReadMode,
    pub(crate) maintenance: Maintenance,
    pub(crate) on_damage: OnDamage,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<Entropy>,
    pub(crate) attendance: Attendance,
    pub(crate) books: Books,
    /// The clock that retention goes by, where it must outlast the partition's being open.
    pub(crate) retention_clock: Option<RetentionClock>,
    pub(crate) absence: Absence,
    /// Which segments stay open to be read.
    pub(crate) shelf: Arc<Shelf>,
}

/// Whose partition it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Whoever's it is; a new one draws an identity.
    Any,
    /// This topic's, or it is not opened.
    Topic(TopicId),
}

/// Smallest and largest segment.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = (16 << 10)..=(2 << 30);
/// Smallest and largest limit of a batch.
pub(super) const BATCH_BYTES: std::ops::RangeInclusive<u32> = 1_024..=(64 << 20);

impl Default for PartitionOptions {
    fn default() -> Self {
        Self {
            topic: Identity::Any,
            number: 0,
            segment_bytes_max: 64 << 20,
            segment_age_max: Duration::from_secs(7 * 86_400),
            batch_bytes_max: 1 << 20,
            retention: Retention::Forever,
            disk_bytes_max: u64::MAX,
            durability: Durability::default(),
            read_level: ReadLevel::default(),
            timestamps: TimestampSource::default(),
            write_mode: WriteMode::default(),
            read_mode: ReadMode::default(),
            maintenance: Maintenance::default(),
            on_damage: OnDamage::default(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(Entropy::system()),
            attendance: Attendance::Own,
            books: Books::Own,
            retention_clock: None,
            absence: Absence::Create,
            shelf: Arc::default(),
        }
    }
}

impl PartitionOptions {
    /// Refuses to open a partition of any other topic. Default: any; a new partition draws an identity.
    #[must_use]
    pub fn topic(mut self, topic: TopicId) -> Self {
        self.topic = Identity::Topic(topic);
        self
    }

    /// The partition's number in its topic. Default 0.
    #[must_use]
    pub fn number(mut self, number: u32) -> Self {
        self.number = number;
        self
    }

    /// Largest segment file, in bytes. Default 64 MiB; 16 KiB to 2 GiB.
    ///
    /// A batch is never split, so every segment has room for one: where
    /// [`batch_bytes_max`](PartitionOptions::batch_bytes_max) is larger than this, segments grow to it.
    #[doc(alias = "segment.bytes")]
    #[must_use]
    pub fn segment_bytes_max(mut self, bytes: u64) -> Self {
        self.segment_bytes_max = bytes;
        self
    }

    /// Age at which a segment that holds records is left for a new one.
    ///
    /// By the wall clock, and at the next append. Default 7 days; at least 1 second.
    #[doc(alias = "segment.ms")]
    #[must_use]
    pub fn segment_age_max(mut self, age: Duration) -> Self {
        self.segment_age_max = age;
        self
    }

    /// Largest batch as stored, in bytes. Default 1 MiB; 1 KiB to 64 MiB.
    #[doc(alias = "max.message.bytes")]
    #[must_use]
    pub fn batch_bytes_max(mut self, bytes: u32) -> Self {
        self.batch_bytes_max = bytes;
        self
    }

    /// How long records are kept. Default for ever.
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Most bytes of disk the partition may take. Default no cap; at least four segments.
    ///
    /// It is a hard cap that counts what is reserved ahead, indexes, and deleted segments that readers still
    /// hold. At the cap the oldest segments go first if the retention permits any deletion, else appends fail
    /// with `NoSpace`.
    #[must_use]
    pub fn disk_bytes_max(mut self, bytes: u64) -> Self {
        self.disk_bytes_max = bytes;
        self
    }

    /// What an append waits for. Default [`Durability::Durable`].
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// What readers see. Default [`ReadLevel::Durable`].
    #[must_use]
    pub fn read_level(mut self, level: ReadLevel) -> Self {
        self.read_level = level;
        self
    }

    /// Where timestamps come from. Default [`TimestampSource::CreateTime`].
    #[must_use]
    pub fn timestamps(mut self, source: TimestampSource) -> Self {
        self.timestamps = source;
        self
    }

    /// How bytes get into a segment. Default [`WriteMode::Automatic`].
    #[must_use]
    pub fn write_mode(mut self, mode: WriteMode) -> Self {
        self.write_mode = mode;
        self
    }

    /// How bytes get out of a segment. Default [`ReadMode::Automatic`].
    #[must_use]
    pub fn read_mode(mut self, mode: ReadMode) -> Self {
        self.read_mode = mode;
        self
    }

    /// Who does the work in the background. Default [`Maintenance::Threads`].
    #[must_use]
    pub fn maintenance(mut self, maintenance: Maintenance) -> Self {
        self.maintenance = maintenance;
        self
    }

    /// What to do where acknowledged history is damaged. Default [`OnDamage::Refuse`].
    #[must_use]
    pub fn on_damage(mut self, on_damage: OnDamage) -> Self {
        self.on_damage = on_damage;
        self
    }

    /// Where time comes from. Default the machine's clocks.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Has this thread do the work in the background, with that of others.
    pub(crate) fn disk_thread(mut self, thread: &Arc<Worker>) -> Self {
        self.attendance = Attendance::Shared(thread.clone());
        self
    }

    /// Draws salts and identities from this seed, so that a simulation can be repeated.
    ///
    /// Default: from the operating system. Two partitions that share a seed share their salts: never use it for
    /// data to keep.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.entropy = Arc::new(Entropy::seeded(seed));
        self
    }

    /// Opens the partition in the directory at `path`, or creates it there. Blocks.
    ///
    /// The directory is created if it does not exist.
    ///
    /// # Errors
    /// - `InvalidInput`: an option is outside its bounds, or the directory holds another topic's partition.
    /// - `Locked`: another handle or process has it open; the message says who.
    /// - `Corrupt`: acknowledged history is damaged; the message says where. Nothing was changed.
    /// - `Unsupported`: it was written by a newer version.
    /// - `ReadOnly`, `NoSpace`, `Io`: the file system refused.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Partition> {
        let path = path.as_ref();
        let dir = crate::io::DiskDir::open_or_create(path)
            .map_err(|error| Error::io("open the directory", path, error))?;
        self.open_in(dir)
    }

    /// Opens the partition in `dir`, on whatever disk that is.
    ///
    /// # Errors
    /// As [`PartitionOptions::open`].
    pub fn open_in(self, dir: Arc<dyn Dir>) -> Result<Partition> {
        self.check()?;
        Partition::open_in(dir, self)
    }

    /// Opens a new partition in memory, which is gone with its last handle.
    ///
    /// # Errors
    /// `InvalidInput` when an option is outside its bounds; `Io` when its thread cannot be started.
    pub fn open_in_memory(self) -> Result<Partition> {
        self.open_in(crate::io::MemoryDisk::new().root())
    }

    /// Refuses what is outside its bounds.
    fn check(&self) -> Result<()> {
        check_sizes(self.segment_bytes_max, self.batch_bytes_max, self.segment_age_max)?;
        let least = self.segment_bytes_max.saturating_mul(4);
        if self.disk_bytes_max < least {
            let found = format!(
                "disk_bytes_max is {}: the least is four segments, {least} bytes",
                self.disk_bytes_max
            );
            return Err(Error::new(ErrorKind::InvalidInput, found));
        }
        Ok(())
    }
}

/// Refuses sizes and an age of segments and batches that are outside their bounds.
pub(crate) fn check_sizes(
    segment_bytes_max: u64,
    batch_bytes_max: u32,
    segment_age_max: Duration,
) -> Result<()> {
    if !SEGMENT_BYTES.contains(&segment_bytes_max) {
        return Err(outside("segment_bytes_max", segment_bytes_max, &SEGMENT_BYTES));
    }
    if !BATCH_BYTES.contains(&batch_bytes_max) {
        return Err(outside("batch_bytes_max", batch_bytes_max, &BATCH_BYTES));
    }
    if segment_age_max < Duration::from_secs(1) {
        let found = format!("segment_age_max is {segment_age_max:?}: the least is 1 s");
        return Err(Error::new(ErrorKind::InvalidInput, found));
    }
    Ok(())
}

fn outside<T: std::fmt::Display>(name: &str, found: T, bounds: &std::ops::RangeInclusive<T>) -> Error {
    let message = format!("{name} is {found}: it must be {} to {}", bounds.start(), bounds.end());
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_outside_their_bounds_are_refused_by_name() {
        let refused = |options: PartitionOptions| {
            let error = options.check().expect_err("it is outside its bounds");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            error.to_string()
        };
        let options = PartitionOptions::default;
        assert!(options().check().is_ok());
        assert!(refused(options().segment_bytes_max(1)).contains("segment_bytes_max is 1"));
        assert!(refused(options().batch_bytes_max(0)).contains("batch_bytes_max is 0"));
        assert!(refused(options().segment_age_max(Duration::ZERO)).contains("segment_age_max"));
        assert!(refused(options().disk_bytes_max(1)).contains("disk_bytes_max is 1"));
    }
}
