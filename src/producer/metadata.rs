//! What is said of a record once it was sent.

use super::options::SendDurability;
use crate::{Offset, Pending, Timestamp, TopicPartition};

/// A record on its way: wait for it, await it, or drop it.
///
/// Dropping it cancels nothing; the record still becomes as durable as the producer promises, and if that fails,
/// the next [`flush`](crate::Producer::flush) says so.
pub type Receipt = Pending<RecordMetadata>;

/// Where a record that was sent is.
///
/// ```
/// use annals::{Broker, Offset, Record, SendDurability, TopicOptions};
/// let broker = Broker::options().open_in_memory()?;
/// let orders = broker.create_topic("orders", TopicOptions::new())?;
/// let stored = broker.producer().build()?.send(&orders, Record::new("a"))?.wait()?;
/// assert!(stored.has_offset() && stored.offset() == Offset::ZERO);
///
/// let hasty = broker.producer().durability(SendDurability::Buffered).build()?;
/// let buffered = hasty.send(&orders, Record::new("b"))?.wait()?;
/// assert!(!buffered.has_offset(), "nobody knows yet where it will be");
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    pub(super) place: TopicPartition,
    pub(super) offset: Offset,
    pub(super) timestamp: Timestamp,
    pub(super) durability: SendDurability,
}

impl RecordMetadata {
    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.place.topic()
    }

    /// The partition's number.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.place.partition()
    }

    /// Topic and partition.
    #[must_use]
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.place
    }

    /// Whether its offset is known: always but at [`SendDurability::Buffered`], where the record is not in the log yet.
    #[doc(alias = "hasOffset")]
    #[must_use]
    pub fn has_offset(&self) -> bool {
        self.offset != Offset::MAX
    }

    /// Its offset; [`Offset::MAX`], which no record has, where it has none yet: see
    /// [`has_offset`](RecordMetadata::has_offset).
    #[must_use]
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// Its timestamp: its own, or the moment it was sent.
    ///
    /// Where the topic says so, it is the moment it was appended.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The level that was reached: never [`SendDurability::OfTopic`].
    #[must_use]
    pub fn durability(&self) -> SendDurability {
        self.durability
    }
}
