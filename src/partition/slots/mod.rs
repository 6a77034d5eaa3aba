//! Two-slot files: small states that are replaced whole, and of which one is always whole on the disk.
//!
//! ```text
//!     ┌──────── slot 0 ────────┬──────── slot 1 ────────┐
//!     │ frame, fields, zeros   │ frame, fields, zeros   │     both hold the newest state that was
//!     └────────────────────────┴────────────────────────┘     acknowledged; each has its own checksum
//!     0                     capacity               2 × capacity
//! ```
//!
//! The manifest of a partition is one, and so is the catalog of topics. What is in a slot behind its frame and
//! its capacity is up to the [`Slotted`] state.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(test)]
pub(crate) mod dirs;
mod file;
mod pair;
mod slot;

pub(crate) use file::SlotFile;
pub(crate) use pair::{SlotReport, Slots, load_read_only};
pub(crate) use slot::SlotFlaw;
#[cfg(test)]
pub(crate) use slot::{CAPACITY_MAX, Slot};
#[cfg(any(test, fuzzing))]
pub(crate) use slot::{CAPACITY_MIN, probe};

use crate::segment::Frame;
use std::fmt::Debug;

/// A state that is kept in a two-slot file.
pub(crate) trait Slotted: Clone + PartialEq + Debug {
    /// What can be wrong with its meaning.
    type Flaw: std::error::Error + Clone + PartialEq + Send + Sync + 'static;

    /// What every slot begins with; its capacity, a u32, follows.
    const FRAME: Frame;
    /// The name of the file.
    const NAME: &'static str;
    /// The name of one that is being written and is not valid yet. May be removed at any time.
    const NEW_NAME: &'static str;

    /// Grows with each commit.
    fn generation(&self) -> u64;
    fn set_generation(&mut self, generation: u64);
    /// Whether it makes sense.
    fn check(&self) -> Result<(), Self::Flaw>;
    /// What it is and of how many parts, for messages: "a manifest of 3 segments".
    fn describe(&self) -> String;
    /// How many bytes of a slot it takes.
    fn encoded_len(&self) -> usize;
    /// A whole slot of this capacity.
    ///
    /// # Panics
    /// If it does not fit.
    fn encode(&self, capacity: u32) -> Vec<u8>;
    /// Reads a slot; `bytes` are all of it.
    ///
    /// # Errors
    /// When anything is wrong with it, its meaning included.
    fn decode(bytes: &[u8]) -> Result<Self, SlotFlaw<Self::Flaw>>;
}
