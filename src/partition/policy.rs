//! Those options that can change while the partition is open.

use super::options::{Durability, PartitionOptions, ReadLevel, TimestampSource};
use super::retention::Retention;
use super::shared::Shared;
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};
use std::fmt;
use std::time::Duration;

/// What a partition goes by now. Each value stands for itself, so none is ordered with another.
pub(crate) struct Policy {
    segment_bytes_max: AtomicU64,
    segment_age_max_millis: AtomicU64,
    batch_bytes_max: AtomicU64,
    stamps_appends: AtomicBool,
    acknowledges_durable: AtomicBool,
    shows_durable: AtomicBool,
    retention: Mutex<Retention>,
}

impl Policy {
    pub(super) fn of(options: &PartitionOptions) -> Self {
        let policy = Self {
            segment_bytes_max: AtomicU64::new(0),
            segment_age_max_millis: AtomicU64::new(0),
            batch_bytes_max: AtomicU64::new(0),
            stamps_appends: AtomicBool::new(false),
            acknowledges_durable: AtomicBool::new(true),
            shows_durable: AtomicBool::new(true),
            retention: Mutex::new(Retention::Forever),
        };
        policy.set(options);
        policy
    }

    fn set(&self, options: &PartitionOptions) {
        let age = u64::try_from(options.segment_age_max.as_millis()).unwrap_or(u64::MAX);
        self.segment_bytes_max.store(options.segment_bytes_max, Ordering::Relaxed);
        self.segment_age_max_millis.store(age, Ordering::Relaxed);
        self.batch_bytes_max.store(options.batch_bytes_max.into(), Ordering::Relaxed);
        let stamps_appends = options.timestamps == TimestampSource::LogAppendTime;
        self.stamps_appends.store(stamps_appends, Ordering::Relaxed);
        self.acknowledges_durable.store(options.durability == Durability::Durable, Ordering::Relaxed);
        self.shows_durable.store(options.read_level == ReadLevel::Durable, Ordering::Relaxed);
        *self.retention.lock() = options.retention;
    }

    pub(super) fn segment_bytes_max(&self) -> u64 {
        self.segment_bytes_max.load(Ordering::Relaxed)
    }

    pub(super) fn segment_age_max(&self) -> Duration {
        Duration::from_millis(self.segment_age_max_millis.load(Ordering::Relaxed))
    }

    pub(super) fn batch_bytes_max(&self) -> u32 {
        u32::try_from(self.batch_bytes_max.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }

    pub(super) fn timestamps(&self) -> TimestampSource {
        if self.stamps_appends.load(Ordering::Relaxed) {
            TimestampSource::LogAppendTime
        } else {
            TimestampSource::CreateTime
        }
    }

    pub(super) fn durability(&self) -> Durability {
        if self.acknowledges_durable.load(Ordering::Relaxed) {
            Durability::Durable
        } else {
            Durability::Written
        }
    }

    pub(super) fn read_level(&self) -> ReadLevel {
        if self.shows_durable.load(Ordering::Relaxed) { ReadLevel::Durable } else { ReadLevel::Written }
    }

    pub(super) fn retention(&self) -> Retention {
        *self.retention.lock()
    }
}

impl Shared {
    /// Goes by these options from now on, as far as they can change while the partition is open.
    pub(crate) fn change_policy(&self, options: &PartitionOptions) {
        self.policy.set(options);
        self.upkeep.call();
    }

    /// The options as they are now.
    pub(super) fn options_now(&self) -> PartitionOptions {
        let policy = &self.policy;
        let (segment_bytes, segment_age) = (policy.segment_bytes_max(), policy.segment_age_max());
        let options = self.options.clone().segment_bytes_max(segment_bytes).segment_age_max(segment_age);
        options
            .batch_bytes_max(policy.batch_bytes_max())
            .timestamps(policy.timestamps())
            .durability(policy.durability())
            .read_level(policy.read_level())
            .retention(policy.retention())
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("segment_bytes_max", &self.segment_bytes_max())
            .field("batch_bytes_max", &self.batch_bytes_max())
            .field("retention", &self.retention())
            .finish_non_exhaustive()
    }
}
