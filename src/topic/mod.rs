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
pub(crate) mod space;
mod topic_partition;
mod watch;

pub(crate) use handle::Ended;
pub use handle::Topic;
pub use partitioner::KeyHash;
pub use settings::{TopicOptions, TopicSettings};
pub(crate) use slot::{Extent, SlotStats};
pub use topic_partition::TopicPartition;
pub(crate) use watch::Watch;
