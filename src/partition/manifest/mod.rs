//! The manifest: which segments there are, where they end, where the log starts, and what was lost.
//!
//! ```text
//!     manifest
//!     ┌──────── slot 0 ────────┬──────── slot 1 ────────┐
//!     │ frame, fields, zeros   │ frame, fields, zeros   │     both hold the newest state that was
//!     └────────────────────────┴────────────────────────┘     acknowledged; each has its own checksum
//!     0                     capacity               2 × capacity
//! ```
//!
//! A commit writes and syncs one slot, then the other, so at any moment one of them is whole. Who loads it
//! takes the newer of the good ones.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod codec;
mod meaning;
#[cfg(any(test, fuzzing))]
pub(crate) mod oracle;

use super::slots::{self, Slotted};
use crate::io::Dir;
use crate::segment::{Frame, Layout};
use crate::{Offset, Position, Result, Timestamp, TopicId};

pub(crate) use meaning::MeaningFlaw;
#[cfg(test)]
pub(crate) use slots::Slot;

/// The name of the manifest.
pub(crate) const MANIFEST: &str = "manifest";
/// The name of a manifest that is being written and is not valid yet. May be removed at any time.
pub(crate) const MANIFEST_NEW: &str = "manifest-new";

/// The open manifest of a partition that this process writes.
pub(crate) type ManifestFile = slots::SlotFile<Manifest>;
/// In what state its two slots were found.
pub(crate) type SlotReport = slots::SlotReport<MeaningFlaw>;
/// Why a slot is not used.
pub(crate) type SlotFlaw = slots::SlotFlaw<MeaningFlaw>;

/// Reads the newest manifest beside a process that may be writing it.
///
/// # Errors
/// As [`ManifestFile::load`].
pub(crate) fn load_read_only(dir: &dyn Dir) -> Result<(Manifest, SlotReport)> {
    slots::load_read_only(dir)
}

/// What a partition consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Grows with each commit. Set by [`ManifestFile`].
    pub(crate) generation: u64,
    pub(crate) topic: TopicId,
    pub(crate) partition: u32,
    /// Readers may see nothing before it.
    pub(crate) log_start: Offset,
    /// The sequence that the next segment file gets; above all that were ever given.
    pub(crate) next_sequence: u64,
    pub(crate) leader_epoch: u32,
    /// In the order of the log: any number of sealed ones, at most one open, at most one prepared.
    pub(crate) segments: Vec<SegmentEntry>,
    /// Records that salvage could not bring back. In order, apart from one another.
    pub(crate) lost: Vec<LostRange>,
}

/// What the manifest says of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentEntry {
    /// Which file it is, whatever its name: the header carries the same number.
    pub(crate) sequence: u64,
    pub(crate) state: SegmentState,
    /// The first offset it covers; the file is named by it. Of a prepared one not yet final.
    pub(crate) first_offset: Offset,
    /// The end (exclusive) of the offsets it covers; of an open one, up to the recovery point.
    pub(crate) end_offset: Offset,
    /// The end (exclusive) of its batches; of an open one, the recovery point.
    pub(crate) end: Position,
    /// Digest of the checksums of the batches before `end`.
    pub(crate) digest: u64,
    pub(crate) last_append_time: Timestamp,
    pub(crate) max_timestamp: Timestamp,
    pub(crate) layout: Layout,
}

/// Whether a segment still grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentState {
    /// Its end is final.
    Sealed,
    /// Batches follow behind its end, or may: the end is the recovery point.
    Open,
    /// A file ready to become the open segment. It may hold batches that are not listed yet.
    Prepared,
}

/// Offsets whose records are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LostRange {
    pub(crate) from: Offset,
    /// Exclusive.
    pub(crate) to: Offset,
}

impl Slotted for Manifest {
    type Flaw = MeaningFlaw;

    const FRAME: Frame = codec::FRAME;
    const NAME: &'static str = MANIFEST;
    const NEW_NAME: &'static str = MANIFEST_NEW;

    fn generation(&self) -> u64 {
        self.generation
    }

    fn set_generation(&mut self, generation: u64) {
        self.generation = generation;
    }

    fn check(&self) -> Result<(), MeaningFlaw> {
        self.check()
    }

    fn describe(&self) -> String {
        format!("a manifest of {} segments", self.segments.len())
    }

    fn encoded_len(&self) -> usize {
        self.encoded_len()
    }

    fn encode(&self, capacity: u32) -> Vec<u8> {
        self.encode(capacity)
    }

    fn decode(bytes: &[u8]) -> Result<Self, SlotFlaw> {
        Self::decode(bytes)
    }
}

#[cfg(test)]
mod tests;
