//! An embeddable commit log: Kafka's model as a library, with nothing to run beside it.
//!
//! A [`Partition`] is a log of records with consecutive offsets, in a directory of its own. What it has
//! acknowledged as durable is there after a power cut; what is damaged is found and named, never served.
//!
//! ```
//! use annals::{Durability, Offset, Partition, Record};
//!
//! # let dir = std::env::temp_dir().join(format!("annals-lib-doc-{}", std::process::id()));
//! let log = Partition::open(&dir)?; // creates it, or recovers it
//! let appended = log.append([Record::new("42").key("alice"), Record::new("7").key("bob")]).wait()?;
//! log.append_with(Durability::Written, [Record::new("43").key("alice")]).wait()?; // survives a kill
//! log.flush().wait()?; // and now a power cut
//!
//! for records in log.read(appended.base_offset()) {
//!     for record in &records? {
//!         println!("{} {}", record.offset(), record.value().escape_ascii());
//!     }
//! }
//! assert_eq!(log.log_end_offset(), Offset::from(3));
//! log.close()?;
//! # drop(std::fs::remove_dir_all(&dir));
//! # Ok::<(), annals::Error>(())
//! ```
//!
//! # Where to look
//!
//! - [`PartitionOptions`]: sizes, retention, levels, write and read modes, clocks.
//! - [`Durability`] and [`ReadLevel`]: what an append waits for, what a reader may see.
//! - [`Pending`]: work that has begun; wait for it, await it, or leave it alone.
//! - [`Follower`]: reading beside a writer, also from another process.
//! - [`io`]: the disk behind two traits; [`io::SimDisk`] crash-tests your code as it does ours.
//! - [`mod@format`]: every byte on disk.
//!
//! # What it is not
//!
//! Not a broker, and no consumer groups yet: topics, producers and groups stand on this floor and come next. One
//! process writes a directory at a time. Calls block, and say so; nothing names an async runtime, but whatever can
//! be waited for is a [`Future`]. An open partition runs one thread, for the disk work nobody waits for; with
//! [`Maintenance::Manual`] there is none. Nothing is printed or logged.
//!
//! # The floors
//!
//! ```text
//!     partition    Partition: one writer, many readers, one immutable view between them; recovery, retention
//!     segment      ActiveSegment ──seal──▶ Segment; header, tail mark, sparse indexes
//!     record       Record, Batch, Records: the format, its builder, its verified views
//!     io           Dir, File: the real disk, memory, the simulated disk
//!     error units clock sync
//! ```

mod broker;
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
mod topic;
mod units;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use broker::{
    Broker, BrokerFollower, BrokerOptions, BrokerReport, BrokerStats, OnRefusal, TopicDescription,
};
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
pub use sync::Pending;
pub use topic::{Topic, TopicOptions, TopicPartition, TopicSettings};
pub use units::{Offset, Position, Timestamp, TopicId};
