//! What a topic is set to, and what a caller names of it.

use crate::partition::check_sizes;
use crate::{Durability, Error, ErrorKind, PartitionOptions, ReadLevel, Result, Retention, TimestampSource};
use std::time::Duration;

/// Most partitions that a topic can have.
pub(crate) const PARTITIONS_MAX: u32 = 100_000;

/// What a topic is to be.
///
/// What is named here is set, all else is left as it is.
///
/// Options are kept in the catalog, so they survive reopening, and they hold for all partitions of the topic.
///
/// ```
/// use annals::{Broker, Retention, TopicOptions};
/// use std::time::Duration;
///
/// let broker = Broker::options().open_in_memory()?;
/// let week = Retention::Age(Duration::from_secs(7 * 86_400));
/// let orders = broker.ensure_topic("orders", TopicOptions::new().partitions(3).retention(week))?;
/// // Names nothing but the segments' size: the rest stays as it is.
/// let orders = broker.ensure_topic("orders", TopicOptions::new().segment_bytes_max(8 << 20))?;
/// assert_eq!(orders.partition_count(), 3);
/// assert_eq!(orders.settings().retention, week);
/// assert_eq!(orders.settings().segment_bytes_max, 8 << 20);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicOptions {
    pub(crate) partitions: Option<u32>,
    segment_bytes_max: Option<u64>,
    segment_age_max: Option<Duration>,
    batch_bytes_max: Option<u32>,
    retention: Option<Retention>,
    timestamps: Option<TimestampSource>,
    durability: Option<Durability>,
    read_level: Option<ReadLevel>,
}

/// All that a topic is set to. See [`crate::Topic::settings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicSettings {
    /// Largest segment file, in bytes.
    pub segment_bytes_max: u64,
    /// Age at which a segment is left for a new one, in whole milliseconds.
    pub segment_age_max: Duration,
    /// Largest batch as stored, in bytes.
    pub batch_bytes_max: u32,
    /// How long records are kept.
    pub retention: Retention,
    /// Where timestamps come from.
    pub timestamps: TimestampSource,
    /// What an append waits for.
    pub durability: Durability,
    /// What [`Partition::read`](crate::Partition::read) shows. Consumers have a [level of their own].
    ///
    /// [level of their own]: crate::ConsumerOptions::read_level
    pub read_level: ReadLevel,
}

impl TopicOptions {
    /// Options that name nothing. A topic that is created with them gets one partition and the defaults of
    /// [`PartitionOptions`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many partitions. Default of a new topic 1; 1 to 100,000. It can grow and never shrinks. Keys go to
    /// other partitions once it has grown.
    #[doc(alias = "num.partitions")]
    #[must_use]
    pub fn partitions(mut self, count: u32) -> Self {
        self.partitions = Some(count);
        self
    }

    /// Largest segment file, in bytes: see [`PartitionOptions::segment_bytes_max`]. Holds for segments that
    /// are begun from then on.
    #[doc(alias = "segment.bytes")]
    #[must_use]
    pub fn segment_bytes_max(mut self, bytes: u64) -> Self {
        self.segment_bytes_max = Some(bytes);
        self
    }

    /// Age at which a segment is left for a new one: see [`PartitionOptions::segment_age_max`].
    #[doc(alias = "segment.ms")]
    #[must_use]
    pub fn segment_age_max(mut self, age: Duration) -> Self {
        self.segment_age_max = Some(whole_millis(age));
        self
    }

    /// Largest batch as stored, in bytes: see [`PartitionOptions::batch_bytes_max`].
    #[doc(alias = "max.message.bytes")]
    #[must_use]
    pub fn batch_bytes_max(mut self, bytes: u32) -> Self {
        self.batch_bytes_max = Some(bytes);
        self
    }

    /// How long records are kept. Default of a new topic: for ever.
    #[doc(alias = "retention.ms")]
    #[doc(alias = "retention.bytes")]
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = Some(match retention {
            Retention::Age(age) => Retention::Age(whole_millis(age)),
            Retention::AgeOrBytes(age, bytes) => Retention::AgeOrBytes(whole_millis(age), bytes),
            Retention::Forever | Retention::Bytes(_) => retention,
        });
        self
    }

    /// Where timestamps come from. Default of a new topic: [`TimestampSource::CreateTime`].
    #[doc(alias = "message.timestamp.type")]
    #[must_use]
    pub fn timestamps(mut self, source: TimestampSource) -> Self {
        self.timestamps = Some(source);
        self
    }

    /// What an append waits for. Default of a new topic: that of
    /// [`BrokerOptions::durability`](crate::BrokerOptions::durability).
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// What [`Partition::read`](crate::Partition::read) shows. Default of a new topic: [`ReadLevel::Durable`].
    /// Consumers have a [level of their own](crate::ConsumerOptions::read_level).
    #[must_use]
    pub fn read_level(mut self, level: ReadLevel) -> Self {
        self.read_level = Some(level);
        self
    }

    /// What a topic that is set to `before` is set to once these are applied.
    ///
    /// # Errors
    /// `InvalidInput` when a value is outside its bounds.
    pub(crate) fn applied_to(&self, before: TopicSettings) -> Result<TopicSettings> {
        let after = TopicSettings {
            segment_bytes_max: self.segment_bytes_max.unwrap_or(before.segment_bytes_max),
            segment_age_max: self.segment_age_max.unwrap_or(before.segment_age_max),
            batch_bytes_max: self.batch_bytes_max.unwrap_or(before.batch_bytes_max),
            retention: self.retention.unwrap_or(before.retention),
            timestamps: self.timestamps.unwrap_or(before.timestamps),
            durability: self.durability.unwrap_or(before.durability),
            read_level: self.read_level.unwrap_or(before.read_level),
        };
        after.check()?;
        Ok(after)
    }

    /// How many partitions a topic that has `before` of them (0: it is new) is to have.
    ///
    /// # Errors
    /// `InvalidInput` when that is fewer than it has, none, or too many.
    pub(crate) fn partitions_after(&self, before: u32) -> Result<u32> {
        let after = self.partitions.unwrap_or(before.max(1));
        let refuse = |message| Err(Error::new(ErrorKind::InvalidInput, message));
        if !(1..=PARTITIONS_MAX).contains(&after) {
            return refuse(format!("partitions is {after}: it must be 1 to {PARTITIONS_MAX}"));
        }
        if after < before {
            return refuse(format!(
                "partitions is {after}: the topic has {before}, and none can be taken away"
            ));
        }
        Ok(after)
    }
}

impl TopicSettings {
    /// What a new topic is set to where nothing is named.
    pub(crate) fn new() -> Self {
        let options = PartitionOptions::default();
        Self {
            segment_bytes_max: options.segment_bytes_max,
            segment_age_max: options.segment_age_max,
            batch_bytes_max: options.batch_bytes_max,
            retention: options.retention,
            timestamps: options.timestamps,
            durability: options.durability,
            read_level: options.read_level,
        }
    }

    /// Refuses what is outside its bounds.
    pub(crate) fn check(&self) -> Result<()> {
        check_sizes(self.segment_bytes_max, self.batch_bytes_max, self.segment_age_max)
    }

    /// The options of a partition of such a topic, in all else those of `base`.
    pub(crate) fn partition_options(&self, base: &PartitionOptions) -> PartitionOptions {
        base.clone()
            .segment_bytes_max(self.segment_bytes_max)
            .segment_age_max(self.segment_age_max)
            .batch_bytes_max(self.batch_bytes_max)
            .retention(self.retention)
            .timestamps(self.timestamps)
            .durability(self.durability)
            .read_level(self.read_level)
    }
}

/// Only whole milliseconds are kept, and no more than 64 bits of them.
fn whole_millis(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_changes() {
        let before = TopicSettings::new();
        assert_eq!(TopicOptions::new().applied_to(before).expect("nothing is named"), before);
        let all = TopicOptions::new()
            .segment_bytes_max(1 << 20)
            .segment_age_max(Duration::from_millis(1_500))
            .batch_bytes_max(2_000)
            .retention(Retention::AgeOrBytes(Duration::from_micros(2_000_700), 9))
            .timestamps(TimestampSource::LogAppendTime)
            .durability(Durability::Written)
            .read_level(ReadLevel::Written);
        let after = all.applied_to(before).expect("all within bounds");
        let expected = TopicSettings {
            segment_bytes_max: 1 << 20,
            segment_age_max: Duration::from_millis(1_500),
            batch_bytes_max: 2_000,
            retention: Retention::AgeOrBytes(Duration::from_millis(2_000), 9),
            timestamps: TimestampSource::LogAppendTime,
            durability: Durability::Written,
            read_level: ReadLevel::Written,
        };
        assert_eq!(after, expected);
        let one = TopicOptions::new().retention(Retention::Forever).applied_to(after).expect("in bounds");
        assert_eq!(one, TopicSettings { retention: Retention::Forever, ..after });
    }

    #[test]
    fn what_is_outside_its_bounds_is_refused() {
        let refused = |options: TopicOptions| {
            let error = options.applied_to(TopicSettings::new()).expect_err("outside its bounds");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        };
        refused(TopicOptions::new().segment_bytes_max(1));
        refused(TopicOptions::new().batch_bytes_max(1));
        refused(TopicOptions::new().segment_age_max(Duration::from_millis(999)));
        let count = |named: u32, before| TopicOptions::new().partitions(named).partitions_after(before);
        assert_eq!(TopicOptions::new().partitions_after(0).expect("a new topic"), 1);
        assert_eq!(TopicOptions::new().partitions_after(7).expect("none is named"), 7);
        assert_eq!(count(7, 3).expect("it grows"), 7);
        for (named, before) in [(0, 0), (PARTITIONS_MAX + 1, 0), (2, 3)] {
            assert_eq!(count(named, before).expect_err("refused").kind(), ErrorKind::InvalidInput);
        }
    }
}
