//! Which partition a record goes to where its sender does not say.

use crate::topic::{crc32_partition_for_key, partition_for_key};

/// Chooses the partition of each record that is sent without one.
///
/// A closure of [`Routing`] is one too. It is called by the sending thread, for every such record, without any lock.
///
/// ```
/// use annals::{Broker, Placement, Record, Routing, TopicOptions};
/// let broker = Broker::options().open_in_memory()?;
/// let orders = broker.ensure_topic("orders", TopicOptions::new().partitions(3))?;
/// let by_first_byte = |routing: &Routing<'_>| match routing.key.and_then(<[u8]>::first) {
///     Some(first) => Placement::Partition(u32::from(*first) % routing.partition_count),
///     None => Placement::Sticky,
/// };
/// let producer = broker.producer().partitioner(by_first_byte).build()?;
/// let stored = producer.send(&orders, Record::new("42").key(&[4_u8]))?.wait()?;
/// assert_eq!(stored.partition(), 1);
/// # Ok::<(), annals::Error>(())
/// ```
#[doc(alias = "partitioner.class")]
pub trait Partitioner: Send + Sync {
    /// Where this record goes. A number that the topic does not have fails the send with `NotFound`.
    fn place(&self, routing: &Routing<'_>) -> Placement;
}

/// What a partitioner goes by.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Routing<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// How many partitions it has now; they are numbered from 0.
    pub partition_count: u32,
    /// The record's key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its value; none of a tombstone.
    pub value: Option<&'a [u8]>,
}

/// Where a record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// To the partition of this number.
    Partition(u32),
    /// To one that stays the same until a batch's worth of bytes has gone there, then to the next: spreads
    /// records evenly and keeps batches large.
    Sticky,
}

/// Kafka's own rule: by murmur2 of the key, also of the empty one; sticky without a key. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Murmur2Partitioner;

impl Partitioner for Murmur2Partitioner {
    #[inline]
    fn place(&self, routing: &Routing<'_>) -> Placement {
        routing.key.map_or(Placement::Sticky, |key| {
            Placement::Partition(partition_for_key(key, routing.partition_count))
        })
    }
}

/// The rule of librdkafka's `consistent_random`: by CRC-32 of the key; sticky without one, or with an empty one.
#[doc(alias = "consistent_random")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Crc32Partitioner;

impl Partitioner for Crc32Partitioner {
    fn place(&self, routing: &Routing<'_>) -> Placement {
        match routing.key {
            Some(key) if !key.is_empty() => {
                Placement::Partition(crc32_partition_for_key(key, routing.partition_count))
            }
            _ => Placement::Sticky,
        }
    }
}

impl<F: Fn(&Routing<'_>) -> Placement + Send + Sync> Partitioner for F {
    fn place(&self, routing: &Routing<'_>) -> Placement {
        self(routing)
    }
}
