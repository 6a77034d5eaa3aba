//! Topics: names, options, the catalog that keeps them, and the rule that spreads keys over partitions.
//!
//! ```text
//!     data/
//!       LOCK              one writer
//!       catalog           Catalog: name, identity, partitions, settings of every topic
//!       orders/0/         a partition of topic "orders"
//!       orders/1/
//! ```

pub(crate) mod catalog;
pub(crate) mod name;
pub(crate) mod partitioner;
mod settings;

pub use settings::{TopicOptions, TopicSettings};
