//! Which partition a record goes to where its sender does not say.

use crate::KeyHash;

/// Chooses the partition of each record that is sent without one.
///
/// A [`KeyHash`] is one, and so is a closure of [`Routing`]. It is called by the sending thread, for every such record,
/// without any lock.
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
    /// To one that stays the same until a batch's worth of bytes has gone there.
    ///
    /// Then to the next: that spreads bytes evenly and keeps batches large. So it is in Kafka since [KIP-480]; that
    /// bytes are counted, and not batches, is of [KIP-794].
    ///
    /// [KIP-480]: https://cwiki.apache.org/confluence/display/KAFKA/KIP-480%3A+Sticky+Partitioner
    /// [KIP-794]: https://cwiki.apache.org/confluence/display/KAFKA/KIP-794%3A+Strictly+Uniform+Sticky+Partitioner
    Sticky,
}

/// By the hash of the key, also of the empty one; sticky without a key. [`KeyHash::Murmur2`] is Kafka's own rule, and
/// the default.
impl Partitioner for KeyHash {
    #[inline]
    fn place(&self, routing: &Routing<'_>) -> Placement {
        let count = routing.partition_count;
        routing.key.map_or(Placement::Sticky, |key| Placement::Partition(self.partition(key, count)))
    }
}

impl<F: Fn(&Routing<'_>) -> Placement + Send + Sync> Partitioner for F {
    fn place(&self, routing: &Routing<'_>) -> Placement {
        self(routing)
    }
}
