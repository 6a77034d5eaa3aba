//! The embedded broker: opens a directory of topics, and hands out handles.
//!
//! ```text
//!     Broker ──▶ Core ──▶ Topic, Topic, ...      name ──▶ handle
//!                 │ │
//!                 │ └──▶ Home                     catalog, lock, how partitions are opened
//!                 ├────▶ Worker                   the disk thread, one for all partitions
//!                 └────▶ Guests                   producers and others with work at their own times; their thread
//!
//!     Producer, Consumer ──▶ dyn Backend ◀── Core     so that they serve a cluster as well
//!
//!     BrokerFollower ──▶ catalog ──▶ Follower     beside a broker that writes; no lock, no thread
//! ```

mod administration;
pub(crate) mod backend;
mod core;
mod follower;
mod group_handle;
pub(crate) mod group_member;
mod groups;
mod groups_beside;
mod guests;
mod handle;
mod local;
mod opening;
mod options;
mod report;
mod shedding;
mod stats;

pub use follower::{BrokerFollower, TopicDescription};
pub use handle::Broker;
pub use options::{BrokerOptions, OnRefusal};
pub use report::BrokerReport;
pub use stats::BrokerStats;
