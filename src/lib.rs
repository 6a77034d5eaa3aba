//! An embeddable commit log: Kafka's model as a library, with nothing to run beside it.
//!
//! A [`Broker`] is a directory of topics. A [`Producer`] sends records to them, a [`Consumer`] polls them, by
//! itself or as a member of a group whose members share the partitions.
//!
//! ```
//! use annals::{Broker, Record, TopicOptions};
//! use std::time::Duration;
//!
//! # let dir = std::env::temp_dir().join(format!("annals-lib-doc-broker-{}", std::process::id()));
//! let broker = Broker::open(&dir)?; // creates it, or recovers it
//! let orders = broker.ensure_topic("orders", TopicOptions::new().partitions(3))?;
//!
//! let producer = broker.producer().build()?;
//! let receipt = producer.send(&orders, Record::new("42").key("alice"))?;
//! let stored = receipt.wait()?; // or `.await`; a sync covers it now
//! producer.send(&orders, Record::new("43").key("alice"))?; // whoever does not look at the receipt
//! producer.flush().wait()?; // hears of it here
//!
//! let mut billing = broker.consumer().group("billing").subscribe(["orders"]).build()?;
//! let records = billing.poll(Duration::from_secs(10))?;
//! for record in &records {
//!     println!("{} {}", record.offset(), record.value().escape_ascii());
//! }
//! assert_eq!(records.len(), 2);
//! billing.commit().wait()?; // where the group goes on, whoever its members are then
//! assert_eq!(billing.committed((&orders, stored.partition()))?.map(|committed| committed.offset.get()), Some(2));
//! broker.close()?;
//! # drop(std::fs::remove_dir_all(&dir));
//! # Ok::<(), annals::Error>(())
//! ```
//!
//! Beneath it, and of use by itself, is the [`Partition`]: a log of records with consecutive offsets, in a
//! directory of its own. What it has acknowledged as durable is there after a power cut; what is damaged is found
//! and named, never served.
//!
//! ```
//! use annals::{Durability, Offset, Partition, Record};
//!
//! # let dir = std::env::temp_dir().join(format!("annals-lib-doc-{}", std::process::id()));
//! let log = Partition::open(&dir)?;
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
//! - [`Producer`] and [`ProducerOptions`]: batches, linger, the bounded buffer, partitioners.
//! - [`Consumer`] and [`ConsumerOptions`]: polling, seeking, groups and their commits; [`group`]: who reads what.
//! - [`BrokerOptions`] and [`TopicOptions`]: what a broker is told when it is opened, what a topic is set to.
//! - [`PartitionOptions`]: sizes, retention, levels, write and read modes, clocks.
//! - [`Durability`] and [`ReadLevel`]: what an append waits for, what a reader may see.
//! - [`Pending`]: work that has begun; wait for it, await it, or leave it alone.
//! - [`Follower`]: reading beside a writer, also from another process.
//! - [`io`]: the disk behind two traits; [`io::SimDisk`] crash-tests your code as it does ours.
//! - [`dump`]: what is in a file, part by part; [`Follower::verify`]: whether it is good.
//! - [`mod@format`]: every byte on disk; [`mod@durability`]: what survives which accident, and what recovery does.
//!
//! # What it is not
//!
//! Not a server, and not distributed: one process writes a directory at a time, others may read beside it. There
//! are no transactions, no compaction and no compression yet. Calls block, and say so; nothing names an async
//! runtime, but whatever can be waited for is a [`Future`]. An open broker, or a partition opened by itself, runs
//! one thread for the disk work nobody waits for, and a broker a second one for timers once it has producers or
//! groups; with [`Maintenance::Manual`] there is none. Nothing is printed or logged.
//!
//! # The floors
//!
//! ```text
//!     producer     Producer: gathers records into batches; receipts
//!     consumer     Consumer: polls partitions, fairly; sleeps while there is nothing
//!     broker       Broker: a directory of topics, one lock, two threads; its groups; what handles talk to
//!     group        who reads which partition: assignors, coordinator, committed offsets; pure
//!     dump         FileDump: any file as it lies, for people
//!     topic        Topic: its partitions, open or at rest; settings, catalog, key partitioner
//!     partition    Partition: one writer, many readers, one immutable view between them; recovery, retention
//!     segment      ActiveSegment ──seal──▶ Segment; header, tail mark, sparse indexes
//!     record       Record, Batch, Records: the format, its builder, its verified views
//!     io           Dir, File: the real disk, memory, the simulated disk
//!     error units clock sync upkeep
//! ```

mod broker;
pub mod clock;
mod consumer;
pub mod dump;
mod error;
pub mod group;
pub mod io;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod oracle;
mod partition;
mod producer;
mod record;
mod segment;
mod sync;
mod topic;
mod units;
mod upkeep;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use broker::{
    Broker, BrokerFollower, BrokerOptions, BrokerReport, BrokerStats, OnRefusal, TopicDescription,
};
pub use consumer::{
    Consumer, ConsumerOptions, ConsumerRecord, ConsumerRecords, ConsumerRecordsIntoIter, ConsumerRecordsIter,
    ConsumerStream, OffsetAndMetadata, OwnedConsumerRecord, PartitionsAssigned, PartitionsRevoked, Rebalance,
    Reset, Wakeup,
};
pub use error::{Error, ErrorKind, Result};
pub use partition::{
    Appended, DamagedPlace, Durability, Follower, Maintenance, OnDamage, Partition, PartitionOptions,
    PartitionStats, ReadLevel, ReadMode, Reader, RecoveryOutcome, RecoveryReport, Retention, StartAt,
    TimedOffset, TimestampSource, TornBytes, VerifyReport, WriteMode, durability,
};
pub use producer::{
    OnFullBuffer, Partitioner, Placement, Producer, ProducerOptions, Receipt, RecordMetadata, Routing,
    SendDurability, Target,
};
pub use record::{
    Batch, BatchLimits, Header, OwnedRecord, Record, RecordRef, Records, RecordsIntoIter, RecordsIter, format,
};
pub use segment::Segment;
#[cfg(annals_planted)]
#[doc(hidden)]
pub use sync::Bug;
pub use sync::Pending;
pub use topic::{KeyHash, Topic, TopicOptions, TopicPartition, TopicSettings};
pub use units::{Offset, Position, Timestamp, TopicId};
