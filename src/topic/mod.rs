//! Topics: names, settings, the catalog that keeps them, and their partitions, open or at rest.
//!
//! ```text
//!     data/
//!       LOCK              one writer                                            ┐
//!       catalog           Catalog: name, identity, partitions, settings         ├ Home
//!       orders/0/         a partition of topic "orders" ◀── PartitionSlot ┐     ┘
//!       orders/1/                                       ◀── PartitionSlot ┴ Topic
//! ```

pub(crate) mod catalog;
mod handle;
pub(crate) mod home;
pub(crate) mod name;
mod partitioner;
mod settings;
mod slot;
mod topic_partition;

pub use handle::Topic;
pub(crate) use partitioner::{crc32_partition_for_key, partition_for_key};
pub use settings::{TopicOptions, TopicSettings};
pub(crate) use slot::SlotStats;
pub use topic_partition::TopicPartition;
