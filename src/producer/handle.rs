//! The handle that users hold.

use super::depot::Depot;
use super::metadata::Receipt;
use super::options::Settings;
use super::partitioner::Partitioner;
use super::shared::Shared;
use super::staging::Manner;
use super::target::Target;
use crate::broker::backend::Backend;
use crate::{Pending, Record, Result};
use std::fmt;
use std::sync::Arc;

/// Sends records to topics, gathered into batches.
///
/// Handles are cheap to clone, and all clones are the same producer; many threads may share one. It does not keep
/// its broker open.
///
/// ```
/// use annals::{Broker, Record, TopicOptions};
///
/// # let data = std::env::temp_dir().join(format!("annals-doc-producer-{}", std::process::id()));
/// let broker = Broker::open(&data)?;
/// let orders = broker.ensure_topic("orders", TopicOptions::new().partitions(3))?;
/// let producer = broker.producer().build()?;
/// let receipt = producer.send(&orders, Record::new("42").key("alice"))?; // "orders" works too
/// let stored = receipt.wait()?; // or receipt.await
/// assert_eq!((stored.topic(), stored.offset().get()), ("orders", 0));
/// producer.send(&orders, Record::new("43").key("alice"))?; // nobody waits for this one
/// producer.flush().wait()?; // it is durable; also the first error of any dropped receipt
/// # producer.close()?;
/// # drop(broker);
/// # drop(std::fs::remove_dir_all(&data));
/// # Ok::<(), annals::Error>(())
/// ```
///
/// # Order, and what an error does to it
///
/// Records of one producer are stored in each partition in the order in which they were sent; across partitions,
/// and across threads that do not wait for each other, no order is promised. A batch is stored whole or not at all.
///
/// When a batch cannot be written, its records fail, and so do all records of that producer that are staged behind
/// it for the same partition at that moment: none of them is written, their receipts say why. A record that is
/// sent after that is tried anew. So a record that was not written may be missing before later ones, but is never
/// written after them, unless its sender sends it again. Nothing is tried again by itself.
///
/// # Closing
///
/// [`Producer::close`] writes all that is staged, waits, and reports. Dropping the last clone hands over what is
/// staged, and never blocks; nobody hears of an error then. When the broker closes, producers hand over what they
/// have; what another thread is just writing, and what is staged behind that, may fail with `Closed`.
#[derive(Clone)]
pub struct Producer {
    handle: Arc<Handle>,
}

/// Gives up the producer when the last clone is dropped.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

impl Producer {
    pub(super) fn new(
        backend: Arc<dyn Backend>,
        settings: Settings,
        partitioner: Arc<dyn Partitioner>,
    ) -> Result<Self> {
        let shared = Shared::new(Depot::new(backend, settings, partitioner))?;
        Ok(Self { handle: Arc::new(Handle(shared)) })
    }

    /// Sends a record to a topic, or to one of its partitions: see [`Target`].
    ///
    /// The record is copied. Without linger, and unless another thread is just appending to that partition, it is
    /// also written when this returns. Blocks while the buffer is full, as [`OnFullBuffer`] says, and while the
    /// disk makes it wait.
    ///
    /// An async task that must not block calls [`Producer::try_send`] and awaits the receipt.
    ///
    /// The receipt is done when the producer's [durability] is reached; dropping it cancels nothing.
    ///
    /// # Errors
    /// At once, and nothing was staged:
    /// - `NotFound`: there is no such topic or partition, or the topic was deleted.
    /// - `InvalidInput`: the topic's name is not a valid one, or it is internal; or the producer has sent to 100,000
    ///   topics in its life, deleted ones included: build another.
    /// - `TooLarge`: the record is above the topic's `batch_bytes_max` or the producer's `buffer_bytes`.
    /// - `BufferFull`: there was no room for it in time. `Closed`.
    ///
    /// Through the receipt those of [`Topic::partition`], which is opened only for the append, and those of
    /// [`Partition::append`], of which `Conflict` and a failed sync mean that it was written and taken back, or that its
    /// fate is unknown. After all others it is not written.
    ///
    /// [durability]: crate::ProducerOptions::durability
    /// [`OnFullBuffer`]: crate::OnFullBuffer
    /// [`Topic::partition`]: crate::Topic::partition
    /// [`Partition::append`]: crate::Partition::append
    pub fn send<'a>(&self, target: impl Into<Target<'a>>, record: Record<'_>) -> Result<Receipt> {
        self.handle.0.send(target.into(), &record, Manner::MayBlock)
    }

    /// The same without ever blocking: the record is staged.
    ///
    /// It is written by the broker's second thread, or by whoever is just appending to that partition. With
    /// [`Maintenance::Manual`] it is left to [`Broker::maintain`], [`Producer::flush`] or whoever waits.
    ///
    /// # Errors
    /// As [`Producer::send`]; `BufferFull` at once, after which room is made in the background.
    ///
    /// [`Maintenance::Manual`]: crate::Maintenance::Manual
    /// [`Broker::maintain`]: crate::Broker::maintain
    pub fn try_send<'a>(&self, target: impl Into<Target<'a>>, record: Record<'_>) -> Result<Receipt> {
        self.handle.0.send(target.into(), &record, Manner::NeverBlocks)
    }

    /// Writes all that is staged. The returned work is done when everything that was sent before this call has
    /// reached the producer's durability.
    ///
    /// # Errors
    /// Through the returned work:
    /// - the first error since the last flush that nobody has heard of: of a record whose receipt was dropped, or
    ///   has not told it yet.
    /// - that of a sync, or that records were taken back before theirs, told once and whether anybody heard of it
    ///   or not. Which of the records are durable is unknown then.
    #[must_use = "the work goes on, but nobody will hear whether it succeeded"]
    pub fn flush(&self) -> Pending<()> {
        self.handle.0.flush()
    }

    /// Writes all that is staged, waits for it, and closes, for all clones. Blocks.
    ///
    /// It waits until all has reached the producer's durability. Sends say `Closed` from then on, also those that
    /// were waiting for room.
    ///
    /// # Errors
    /// As [`Producer::flush`]. It is closed nevertheless.
    pub fn close(&self) -> Result<()> {
        self.handle.0.close()
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let depot = &self.handle.0.depot;
        f.debug_struct("Producer")
            .field("settings", &depot.settings)
            .field("bytes_staged", &depot.budget.in_use())
            .finish_non_exhaustive()
    }
}
