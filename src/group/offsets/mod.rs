//! Committed offsets: how far each group has read.
//!
//! ```text
//!     commit, expiry, deletion ──▶ Entry ──encode──▶ record of `__consumer_offsets`
//!                                    │                          │ snapshot: all of it again, synced;
//!                                    ▼                          ▼ then the log start moves up to it
//!                                  Ledger  ◀──apply── decode, from the log start to the end: later wins
//! ```

mod codec;
mod entry;
mod ledger;

pub(crate) use codec::EntryFlaw;
pub use entry::CommittedOffset;
pub(crate) use entry::{Entry, GroupFacts};
pub(crate) use ledger::Ledger;

/// The internal topic that holds them.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// Longest metadata of a commit, in bytes; Kafka's default.
pub(crate) const METADATA_LEN_MAX: usize = 4_096;

#[cfg(test)]
mod documented;
#[cfg(test)]
mod tests;
