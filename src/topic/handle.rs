//! The handle of a topic.

use super::catalog::TopicEntry;
use super::home::Home;
use super::name::TopicName;
use super::partitioner::KeyHash;
use super::settings::TopicSettings;
use super::slot::{PartitionSlot, SlotStats};
use super::topic_partition::TopicPartition;
use crate::sync::{AtomicU64, Mutex, OnceLock, Ordering, RwLock};
use crate::{
    Error, ErrorKind, Maintenance, Partition, PartitionOptions, ReadMode, RecoveryReport, Result, Retention,
    Timestamp, TopicId, WriteMode,
};
use std::fmt;
use std::sync::Arc;

/// One topic of an open broker: a name, some settings, and partitions.
///
/// Handles are cheap to clone and live no longer than the broker: once that is closed, or its last handle is
/// dropped, they say `Closed`. A handle to a topic that was deleted says `NotFound`, also when there is a new
/// topic of that name.
///
/// ```
/// use annals::{Broker, Record, TopicOptions};
/// let broker = Broker::options().open_in_memory()?;
/// let orders = broker.ensure_topic("orders", TopicOptions::new().partitions(3))?;
/// let number = orders.partition_for_key(b"alice");
/// let partition = orders.partition(number)?;
/// partition.append([Record::new("42").key("alice")]).wait()?;
/// assert_eq!(partition.log_end_offset().get(), 1);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone)]
pub struct Topic(Arc<SharedTopic>);

/// What all handles of a topic share.
pub(crate) struct SharedTopic {
    pub(super) home: Arc<Home>,
    name: TopicName,
    id: TopicId,
    settings: Mutex<TopicSettings>,
    /// In the order of their numbers. Only grows.
    slots: RwLock<Vec<Arc<PartitionSlot>>>,
    /// How many slots there are, for who asks often.
    partition_count: AtomicU64,
    /// Why it cannot be used any more.
    over: OnceLock<Error>,
}

/// The partitions of a topic that has ended, for those who wait for them.
#[must_use = "nobody else wakes them"]
pub(crate) struct Ended(Vec<(Arc<PartitionSlot>, Option<Partition>)>);

impl Ended {
    /// Wakes them. To be called without any lock: a waker may do anything.
    pub(crate) fn wake(self) {
        self.0.into_iter().for_each(|(slot, partition)| slot.wake_ended(partition));
    }
}

/// What opening the partitions of a topic found.
pub(crate) type Found = Vec<(TopicPartition, Result<Arc<RecoveryReport>>)>;

impl Topic {
    /// Opens the partitions of a topic in the catalog.
    pub(crate) fn open(home: &Arc<Home>, entry: &TopicEntry) -> (Self, Found) {
        let topic = Self(Arc::new(SharedTopic {
            home: home.clone(),
            name: entry.name.clone(),
            id: entry.id,
            settings: Mutex::new(entry.settings),
            slots: RwLock::new(Vec::new()),
            partition_count: AtomicU64::new(0),
            over: OnceLock::new(),
        }));
        let found = topic.grow_to(entry.ready_count);
        (topic, found)
    }

    /// Adds partitions that have been made, up to `count` of them.
    pub(crate) fn grow_to(&self, count: u32) -> Found {
        let mut found = Vec::new();
        for number in self.partition_count()..count {
            let (slot, report) = PartitionSlot::open(number, &self.0);
            self.0.slots.write().push(Arc::new(slot));
            self.0.partition_count.store(u64::from(number) + 1, Ordering::Release);
            found.push((TopicPartition::new(self.0.name.to_arc(), number), report));
        }
        found
    }

    /// Has it go by other settings.
    pub(crate) fn set(&self, settings: TopicSettings) {
        *self.0.settings.lock() = settings;
        self.slots().iter().for_each(|slot| slot.change_policy(&self.0));
    }

    /// Closes its partitions; from now on it says `why`. Whoever waits for them is told by [`Ended::wake`].
    pub(crate) fn end(&self, why: &Error) -> (Result<()>, Ended) {
        drop(self.0.over.set(why.clone()));
        let (mut closed, mut asleep) = (Vec::new(), Vec::new());
        for slot in self.slots() {
            let (result, partition) = slot.end(why);
            closed.push(result);
            asleep.push((slot, partition));
        }
        (closed.into_iter().collect(), Ended(asleep))
    }

    /// Does what is due in its partitions.
    pub(crate) fn maintain(&self) -> Result<()> {
        let done = self.slots().iter().map(|slot| slot.maintain(&self.0)).collect::<Vec<_>>();
        done.into_iter().collect()
    }

    /// Lets idle partitions rest.
    pub(crate) fn sweep(&self) {
        self.slots().iter().for_each(|slot| slot.sweep(&self.0));
    }

    /// Has its open partitions book the disk that they take now.
    pub(crate) fn recount(&self) {
        self.slots().iter().filter_map(|slot| slot.open_now()).for_each(|partition| partition.recount());
    }

    /// Has readers of its partitions let go of what was deleted.
    pub(crate) fn let_go(&self) {
        self.slots().iter().filter_map(|slot| slot.open_now()).for_each(|partition| partition.let_go());
    }

    /// The numbers of its partitions that have a segment which can be deleted, and when the oldest was last
    /// appended to.
    pub(crate) fn oldest_sealed(&self) -> Vec<(u32, Timestamp)> {
        let oldest = |slot: &Arc<PartitionSlot>| Some((slot.number(), slot.oldest_sealed()?));
        self.slots().iter().filter_map(oldest).collect()
    }

    /// Has a partition delete its oldest segment; says whether it did.
    pub(crate) fn shed_oldest(&self, number: u32) -> bool {
        let slot = usize::try_from(number).ok().and_then(|at| self.0.slots.read().get(at).cloned());
        slot.is_some_and(|slot| slot.shed_oldest(&self.0))
    }

    /// What can be said of its partitions, in the order of their numbers.
    pub(crate) fn slot_stats(&self) -> Vec<SlotStats> {
        self.slots().iter().map(|slot| slot.stats()).collect()
    }

    /// # Errors
    /// `NotFound` when it was deleted; `Closed` when the broker was.
    #[inline]
    pub(crate) fn usable(&self) -> Result<()> {
        self.0.over.get().map_or(Ok(()), |over| Err(over.clone()))
    }

    pub(crate) fn name_arc(&self) -> Arc<str> {
        self.0.name.to_arc()
    }

    /// Whether it is one that the broker keeps for itself.
    ///
    /// Users read it, and neither write nor delete it.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.0.name.is_internal()
    }

    fn slots(&self) -> Vec<Arc<PartitionSlot>> {
        self.0.slots.read().clone()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name.as_str()
    }

    /// Its identity, which no other topic has or had.
    #[must_use]
    pub fn id(&self) -> TopicId {
        self.0.id
    }

    /// How many partitions it has. They are numbered from 0.
    #[must_use]
    pub fn partition_count(&self) -> u32 {
        // It has at most 100,000.
        u32::try_from(self.0.partition_count.load(Ordering::Acquire)).unwrap_or(u32::MAX)
    }

    /// All that it is set to.
    #[must_use]
    pub fn settings(&self) -> TopicSettings {
        *self.0.settings.lock()
    }

    /// One of its partitions. Blocks while one that was idle is opened.
    ///
    /// As long as somebody holds it, or reads from it, it stays open; so keep the handle where it is used
    /// often.
    ///
    /// # Errors
    /// - `NotFound`: it has no partition of this number, or it was deleted.
    /// - `Corrupt`: acknowledged history of the partition is damaged; the message says where. The other
    ///   partitions go on.
    /// - `Locked`: somebody has opened the partition's directory by itself.
    /// - `Closed`: the broker was closed.
    /// - `Unsupported`, `NoSpace`, `ReadOnly`, `Io`: as for opening a partition by itself.
    pub fn partition(&self, number: u32) -> Result<Partition> {
        let partition = self.own_partition(number)?;
        Ok(if self.is_internal() { partition.read_only() } else { partition })
    }

    /// The same for the crate itself, which may also change an internal topic.
    pub(crate) fn own_partition(&self, number: u32) -> Result<Partition> {
        self.slot(number)?.wake(&self.0)
    }

    /// The place of one of its partitions.
    pub(super) fn slot(&self, number: u32) -> Result<Arc<PartitionSlot>> {
        self.usable()?;
        let slot = usize::try_from(number).ok().and_then(|at| self.0.slots.read().get(at).cloned());
        slot.ok_or_else(|| self.no_partition(number))
    }

    pub(super) fn shared(&self) -> &Arc<SharedTopic> {
        &self.0
    }

    fn no_partition(&self, number: u32) -> Error {
        let (name, count) = (self.name(), self.partition_count());
        let message = format!("topic {name} has {count} partitions, numbered from 0: there is no {number}");
        Error::new(ErrorKind::NotFound, message)
    }

    /// The number of the partition that records with this key go to, by [`KeyHash::Murmur2`].
    ///
    /// That is the default of [producers](crate::ProducerOptions::partitioner) and of Kafka's Java client. A producer
    /// with another partitioner, or a client on librdkafka with its default, sends them elsewhere: then
    /// [`KeyHash::partition`] says where. It is another partition once partitions are added.
    ///
    /// A record without a key has no such place; the empty key is a key.
    #[doc(alias = "partitioner.class")]
    #[must_use]
    pub fn partition_for_key(&self, key: &[u8]) -> u32 {
        KeyHash::Murmur2.partition(key, self.partition_count())
    }
}

impl SharedTopic {
    /// Opens a partition for use.
    pub(super) fn open_partition(&self, number: u32) -> Result<Partition> {
        self.home.open_partition(&self.name, (self.id, number), self.options())
    }

    /// Books what the files of a partition take that cannot be opened.
    pub(super) fn book_refused(&self, number: u32) {
        self.home.book_refused(&self.name, (self.id, number));
    }

    /// Opens a partition for a moment: no thread is told of it, and nothing is mapped.
    pub(super) fn look_at_partition(&self, number: u32) -> Result<Partition> {
        let options = self.options().maintenance(Maintenance::Manual);
        let options = options.write_mode(WriteMode::Pwrite).read_mode(ReadMode::Pread);
        self.home.open_partition(&self.name, (self.id, number), options)
    }

    pub(super) fn retention(&self) -> Retention {
        self.settings.lock().retention
    }

    /// The options of its partitions.
    pub(super) fn options(&self) -> PartitionOptions {
        self.home.options(&self.settings.lock())
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic")
            .field("name", &self.0.name)
            .field("id", &self.0.id)
            .field("partition_count", &self.partition_count())
            .finish_non_exhaustive()
    }
}
