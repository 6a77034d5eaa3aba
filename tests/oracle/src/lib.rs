//! Oracles for annals: independent implementations of what it has in common with Kafka.
//!
//! ```text
//!     annals::{KeyHash, group} ──partitions──▶ kafka_python.py
//!     annals::Batch ◀──ours::to_kafka, ours::from_kafka──▶ Kafka's bytes ◀──▶ kafka_protocol::records
//! ```
//!
//! The records section is the same in both forms, byte for byte; only the header is written anew. The
//! conversion here goes by `docs/format.md` and uses nothing of annals, so that it is a witness as well.

pub mod ours;

#[cfg(test)]
mod partitions;
#[cfg(test)]
mod records;
