//! What a producer can be told when it is built.

use super::handle::Producer;
use super::partitioner::Partitioner;
use crate::broker::backend::Backend;
use crate::{Broker, Durability, Error, ErrorKind, KeyHash, Result};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// When a receipt is done.
#[doc(alias = "acks")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendDurability {
    /// When what the topic is set to has been reached.
    #[default]
    OfTopic,
    /// When the record is staged, in this process: a kill may lose it. Its offset is not known then. If it cannot
    /// be written, only the next flush says so.
    Buffered,
    /// When it is in the page cache.
    ///
    /// It survives the death of the process then, not a power cut.
    Written,
    /// When it is synced: it survives a power cut.
    Durable,
}

impl From<Durability> for SendDurability {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Written => Self::Written,
            Durability::Durable => Self::Durable,
        }
    }
}

/// What a send does when the buffer has no room for its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFullBuffer {
    /// It waits for room, in turn with others, at most this long; then `BufferFull`.
    #[doc(alias = "max.block.ms")]
    Block(Duration),
    /// It fails with `BufferFull`.
    Refuse,
}

impl Default for OnFullBuffer {
    /// To wait for a minute.
    fn default() -> Self {
        Self::Block(Duration::from_secs(60))
    }
}

/// The options of a producer. See [`Broker::producer`].
///
/// ```
/// use annals::{Broker, OnFullBuffer, Record, SendDurability, TopicOptions};
/// use std::time::Duration;
///
/// let broker = Broker::options().open_in_memory()?;
/// let orders = broker.ensure_topic("orders", TopicOptions::new())?;
/// let producer = broker
///     .producer()
///     .durability(SendDurability::Written)
///     .linger(Duration::from_millis(5))
///     .batch_bytes(64 << 10)
///     .buffer_bytes(8 << 20)
///     .on_full_buffer(OnFullBuffer::Refuse)
///     .build()?;
/// producer.send(&orders, Record::new("42"))?;
/// producer.close()?;
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "options do nothing until a producer is built from them"]
pub struct ProducerOptions {
    backend: Arc<dyn Backend>,
    settings: Settings,
    partitioner: Arc<dyn Partitioner>,
}

/// Those options that are plain numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) linger: Duration,
    pub(super) batch_bytes: usize,
    pub(super) buffer_bytes: usize,
    pub(super) durability: SendDurability,
    pub(super) on_full_buffer: OnFullBuffer,
}

/// Longest linger.
const LINGER_MAX: Duration = Duration::from_secs(3_600);
/// Smallest and largest batch that can be aimed at.
const BATCH_BYTES: std::ops::RangeInclusive<usize> = 1_024..=(16 << 20);
/// Smallest and largest buffer.
const BUFFER_BYTES: std::ops::RangeInclusive<usize> = 4_096..=(1 << 40);

impl Broker {
    /// The options to build a producer with, which sends records to topics of this broker.
    ///
    /// It does not keep the broker open. Building the first one starts the broker's second thread.
    pub fn producer(&self) -> ProducerOptions {
        ProducerOptions {
            backend: self.backend(),
            settings: Settings {
                linger: Duration::ZERO,
                batch_bytes: 16 << 10,
                buffer_bytes: 32 << 20,
                durability: SendDurability::default(),
                on_full_buffer: OnFullBuffer::default(),
            },
            partitioner: Arc::new(KeyHash::Murmur2),
        }
    }
}

impl ProducerOptions {
    /// How long a batch waits for more records. Default zero; at most an hour.
    ///
    /// With zero nothing waits: a send appends at once unless another thread is just appending to that partition,
    /// which then takes the record along, so that batches form under load all the same.
    #[doc(alias = "linger.ms")]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.settings.linger = linger;
        self
    }

    /// Bytes at which a batch is full. Default 16 KiB; 1 KiB to 16 MiB, and no more than the topic's limit. A larger
    /// record gets a batch of its own.
    #[doc(alias = "batch.size")]
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.settings.batch_bytes = bytes;
        self
    }

    /// Bytes of records that may be staged and not yet written, over all partitions.
    ///
    /// Default 32 MiB; 4 KiB to 1 TiB, and no less than `batch_bytes`. On top come empty buffers kept for later batches:
    /// up to 4 KiB for each partition in use, and up to sixteen of `batch_bytes`.
    #[doc(alias = "buffer.memory")]
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.settings.buffer_bytes = bytes;
        self
    }

    /// What a send does when the buffer is full. Default [`OnFullBuffer::Block`] for a minute.
    #[doc(alias = "max.block.ms")]
    pub fn on_full_buffer(mut self, policy: OnFullBuffer) -> Self {
        self.settings.on_full_buffer = policy;
        self
    }

    /// When a receipt is done, and what a flush waits for. Default [`SendDurability::OfTopic`]. Takes a
    /// [`Durability`] as well.
    #[doc(alias = "acks")]
    pub fn durability(mut self, durability: impl Into<SendDurability>) -> Self {
        self.settings.durability = durability.into();
        self
    }

    /// Who chooses partitions. Default [`KeyHash::Murmur2`].
    #[doc(alias = "partitioner.class")]
    pub fn partitioner(mut self, partitioner: impl Partitioner + 'static) -> Self {
        self.partitioner = Arc::new(partitioner);
        self
    }

    /// Builds the producer.
    ///
    /// # Errors
    /// - `InvalidInput`: an option is outside its bounds.
    /// - `Closed`: the broker was closed. `Io`: its second thread cannot be started.
    pub fn build(self) -> Result<Producer> {
        self.settings.check()?;
        Producer::new(self.backend, self.settings, self.partitioner)
    }
}

impl Settings {
    fn check(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::new(ErrorKind::InvalidInput, message));
        if self.linger > LINGER_MAX {
            return refuse(format!("a linger of {:?}: it is at most {LINGER_MAX:?}", self.linger));
        }
        for (what, bytes, bounds) in [
            ("batch_bytes", self.batch_bytes, BATCH_BYTES),
            ("buffer_bytes", self.buffer_bytes, BUFFER_BYTES),
        ] {
            if !bounds.contains(&bytes) {
                let (least, most) = (bounds.start(), bounds.end());
                return refuse(format!("{what} of {bytes}: it must be from {least} to {most}"));
            }
        }
        if self.buffer_bytes < self.batch_bytes {
            let (buffer, batch) = (self.buffer_bytes, self.batch_bytes);
            return refuse(format!("a buffer of {buffer} bytes does not hold a batch of {batch}"));
        }
        Ok(())
    }
}

impl fmt::Debug for ProducerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerOptions").field("settings", &self.settings).finish_non_exhaustive()
    }
}
