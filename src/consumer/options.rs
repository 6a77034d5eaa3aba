//! What a consumer is told when it is made.

use super::group_options::GroupOptions;
use super::handle::Consumer;
use super::limits::Limits;
use super::reset::{Reset, Resets};
use crate::broker::backend::Backend;
use crate::{Broker, ReadLevel, Result, StartAt, TopicPartition};
use std::sync::Arc;

/// The options of a consumer. See [`Broker::consumer`].
///
/// ```
/// use annals::{Broker, ReadLevel, Record, StartAt, TopicOptions};
/// use std::time::Duration;
/// let broker = Broker::options().open_in_memory()?;
/// let orders = broker.create_topic("orders", TopicOptions::new().partitions(2))?;
/// orders.partition(1)?.append([Record::new("a")]).wait()?;
///
/// let mut consumer = broker
///     .consumer()
///     .assign([(&orders, 0), (&orders, 1)])
///     .start_at(StartAt::Earliest)
///     .read_level(ReadLevel::Written)
///     .poll_records_max(100)
///     .build()?;
/// assert_eq!(consumer.poll(Duration::from_secs(1))?.len(), 1);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) assigned: Vec<TopicPartition>,
    pub(super) start_at: StartAt,
    pub(super) read_level: ReadLevel,
    pub(super) limits: Limits,
    pub(super) resets: Resets,
    pub(super) group: GroupOptions,
}

impl Broker {
    /// The options to make a consumer with.
    ///
    /// One that is assigned partitions by hand, with [`assign`](ConsumerOptions::assign), or a member of a group, with
    /// [`group`](ConsumerOptions::group) and [`subscribe`](ConsumerOptions::subscribe).
    #[must_use]
    pub fn consumer(&self) -> ConsumerOptions {
        ConsumerOptions {
            backend: self.backend(),
            assigned: Vec::new(),
            start_at: StartAt::default(),
            read_level: ReadLevel::default(),
            limits: Limits::default(),
            resets: Resets::default(),
            group: GroupOptions::default(),
        }
    }
}

impl ConsumerOptions {
    /// Reads these partitions, by hand: nobody else takes them over. Calls add up.
    ///
    /// Each is a topic, or its name, and a number; or a [`TopicPartition`]. No other can be added later.
    #[must_use]
    pub fn assign<P: Into<TopicPartition>>(mut self, partitions: impl IntoIterator<Item = P>) -> Self {
        self.assigned.extend(partitions.into_iter().map(Into::into));
        self
    }

    /// Where to begin in partitions of which no position is known.
    ///
    /// Default [`StartAt::Earliest`], so that no record is passed over.
    #[must_use]
    pub fn start_at(mut self, start: impl Into<StartAt>) -> Self {
        self.start_at = start.into();
        self
    }

    /// What it sees. Default [`ReadLevel::Durable`]: nothing that a power cut could take back.
    #[doc(alias = "isolation.level")]
    #[must_use]
    pub fn read_level(mut self, level: ReadLevel) -> Self {
        self.read_level = level;
        self
    }

    /// What to do when the position lies below the log start.
    ///
    /// What was to be read next was deleted then. Default [`Reset::To`] the [earliest](StartAt::Earliest) record.
    #[doc(alias = "auto.offset.reset")]
    #[must_use]
    pub fn reset_below_start(mut self, reset: Reset) -> Self {
        self.resets.below_start = reset;
        self
    }

    /// What to do when the position lies beyond the log end. Default [`Reset::Fail`].
    ///
    /// The log was cut then, or is not the one it was.
    #[doc(alias = "auto.offset.reset")]
    #[must_use]
    pub fn reset_beyond_end(mut self, reset: Reset) -> Self {
        self.resets.beyond_end = reset;
        self
    }

    /// Most records that one poll returns. Default 500; at least 1. Partitions that have records get equal shares.
    #[doc(alias = "max.poll.records")]
    #[must_use]
    pub fn poll_records_max(mut self, count: usize) -> Self {
        self.limits.records_max = count;
        self
    }

    /// Most bytes of keys, values and headers that one poll returns.
    ///
    /// Default 50 MiB; at least 1. The first record comes even if it is larger.
    #[doc(alias = "fetch.max.bytes")]
    #[must_use]
    pub fn poll_bytes_max(mut self, bytes: usize) -> Self {
        self.limits.bytes_max = bytes;
        self
    }

    /// The same of one partition, in each poll. Default 1 MiB; at least 1.
    #[doc(alias = "max.partition.fetch.bytes")]
    #[must_use]
    pub fn partition_bytes_max(mut self, bytes: usize) -> Self {
        self.limits.partition_bytes_max = bytes;
        self
    }

    /// Makes the consumer. A member of a group gets its partitions when it polls.
    ///
    /// Blocks while partitions that rest are opened, if their start is looked up by time, and while the committed
    /// offsets are read for the first time.
    ///
    /// # Errors
    /// - `NotFound`: an assigned partition does not exist.
    /// - `InvalidInput`: a limit or [`poll_interval_max`](ConsumerOptions::poll_interval_max) is 0, or there is no
    ///   assignor; a partition is assigned twice; the group or the static member cannot have its name.
    /// - `InvalidInput`: a group without a subscription, a subscription without a group, or either beside an assignment
    ///   by hand; none of them, or an assignment of no partition, so that there is nothing to read, now or later.
    /// - `InvalidInput`: an option for members is given outside of a group: `assignor`, `assignors`, `auto_commit_every`,
    ///   `client_id`, `group_instance_id`, `on_rebalance`, `poll_interval_max` or `session_timeout`.
    /// - `Conflict`: the member has no assignor in common with the others of its group.
    /// - `TooLarge`: the group has as many members as it can, or there are too many groups.
    /// - `Closed`: the broker was closed.
    /// - else as [`Topic::partition`](crate::Topic::partition).
    pub fn build(self) -> Result<Consumer> {
        self.limits.check()?;
        let wanted = self.group.check(!self.assigned.is_empty())?;
        Consumer::new(self, wanted)
    }
}
