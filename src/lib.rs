//! An embeddable commit log: Kafka's model as a library.

pub mod clock;
mod error;
pub mod io;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod oracle;
mod partition;
mod record;
mod segment;
mod sync;
mod units;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use error::{Error, ErrorKind, Result};
pub use partition::{
    Appended, DamagedPlace, Durability, Follower, Maintenance, OnDamage, Partition, PartitionOptions,
    PartitionStats, ReadLevel, ReadMode, Reader, RecoveryOutcome, RecoveryReport, Retention, TimedOffset,
    TimestampSource, TornBytes, VerifyReport, WriteMode,
};
pub use record::{Batch, BatchLimits, Header, OwnedRecord, Record, RecordRef, Records, format};
pub use segment::Segment;
#[cfg(annals_planted)]
#[doc(hidden)]
pub use sync::Bug;
pub use sync::{Pending, Published, Publisher};
pub use units::{Offset, Position, Timestamp, TopicId};
