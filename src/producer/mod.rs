//! The producer: records are staged, gathered into batches, and appended by whoever comes along.
//!
//! ```text
//!     send ──▶ Topics ──▶ TopicLines ──partitioner──▶ Line ──stage──▶ OpenBatch ──┐
//!       │                                                                         │ full, lingered, flushed,
//!       ▼                                                                         │ or linger is zero
//!     Receipt ◀── a share in ── Fate ◀──settle── append ◀──carry, one at a time───┘
//!
//!     Depot: what all lines of a producer share: options, buffer, what is due when, whose errors nobody heard
//! ```
//!
//! A send with nobody else about appends at once, by itself. While one thread is inside the append, others stage
//! behind it, and it takes along what they have staged: so batches form by the load itself.

mod depot;
mod fate;
mod flush;
mod handle;
mod line;
mod metadata;
mod open_batch;
mod options;
mod partitioner;
mod shared;
mod staging;
mod target;
mod topic_lines;
mod topics;
mod unsynced;

pub use handle::Producer;
pub use metadata::{Receipt, RecordMetadata};
pub use options::{OnFullBuffer, ProducerOptions, SendDurability};
pub use partitioner::{Partitioner, Placement, Routing};
pub use target::Target;

#[cfg(test)]
mod tests;
