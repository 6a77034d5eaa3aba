//! The embedded broker: opens a directory of topics, and hands out handles.
//!
//! ```text
//!     Broker ──▶ Core ──▶ Topic, Topic, ...      name ──▶ handle
//!                 │ │
//!                 │ └──▶ Home                     catalog, lock, how partitions are opened
//!                 └────▶ DiskThread               one for all partitions
//!
//!     BrokerFollower ──▶ catalog ──▶ Follower     beside a broker that writes; no lock, no thread
//! ```

mod administration;
mod core;
mod follower;
mod handle;
mod opening;
mod options;
mod report;
mod stats;

pub use follower::{BrokerFollower, TopicDescription};
pub use handle::Broker;
pub use options::{BrokerOptions, OnRefusal};
pub use report::BrokerReport;
pub use stats::BrokerStats;
