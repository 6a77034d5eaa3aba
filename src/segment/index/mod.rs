//! The sparse indexes of a segment: from an offset, and from a timestamp, to where a scan may begin.
//!
//! ```text
//!     log      │ batch │ batch │ batch │ batch │ batch │ batch │ ...
//!                 ▲               ▲                       ▲          an entry each 4 KiB or more
//!     offsets   (0, 4096)      (31, 8264)             (64, 12408)    offset of the batch, position
//!     times     (MIN)          (t of 0..31)           (t of 0..64)   latest timestamp of all before it
//! ```
//!
//! A time entry holds the latest timestamp of all batches *before* its batch: it never falls from one entry
//! to the next, however timestamps jump, and all records before the last entry below `t` are earlier than `t`.
//! So the first record at or after `t` lies behind that entry, and before the next one.
//!
//! An index is a cache: what is missing or damaged is rebuilt by walking the log.
//!
//! ```text
//!     IndexWriter ──push──▶ shared tables ◀──floor, first_candidate── Index (Clone)
//! ```

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
mod file;
mod listing;
mod table;

use crate::sync::RwLock;
use crate::{Offset, Position, Timestamp};
use std::sync::Arc;

pub(crate) use codec::{EncodedIndex, IndexFlaw, OFFSETS, TIMES};
pub(crate) use file::{load, remove, store};
pub(crate) use listing::IndexListing;
use table::Table;

/// Bytes of log from one entry to the next, at least.
pub(crate) const INDEX_INTERVAL_BYTES: u32 = 4096;

/// Whose index it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IndexOwner {
    /// The salt of the segment.
    pub(crate) salt: u64,
    /// The sequence of the segment.
    pub(crate) sequence: u64,
    /// The offset its first batch has, or a smaller one.
    pub(crate) first_offset: Offset,
}

/// A batch to begin a scan at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IndexEntry {
    /// The base offset of the batch. Of an empty index the segment's first offset.
    pub(crate) offset: Offset,
    /// Where the batch begins.
    pub(crate) position: Position,
}

/// The writer's half: notes batches as they are appended. It is not `Clone`.
#[derive(Debug)]
pub(crate) struct IndexWriter {
    index: Index,
    /// The next batch at or after this position gets an entry.
    due: u64,
    /// The latest timestamp of all batches noted.
    latest: Timestamp,
}

/// Where the next entry is due after one at `position`.
fn due_after(position: Position) -> u64 {
    position.to_u64().saturating_add(u64::from(INDEX_INTERVAL_BYTES))
}

/// The readers' half. Clones share one index; a look-up waits for no more than the noting of one entry.
#[derive(Clone, Debug)]
pub(crate) struct Index(Arc<RwLock<Table>>);

impl IndexWriter {
    /// The index of a segment that holds no batch yet.
    pub(crate) fn new(owner: IndexOwner) -> Self {
        Self::resume(Table::new(owner), Timestamp::MIN)
    }

    /// Goes on behind the entries of `table`, which cover batches no later than `latest`.
    fn resume(table: Table, latest: Timestamp) -> Self {
        let due = table.last_position().map_or(0, due_after);
        Self { index: Index(Arc::new(RwLock::new(table))), due, latest }
    }

    /// Notes the batch at `position`, which lies behind all noted before. Call it before readers may see the
    /// batch. Costs two compares when no entry is due.
    pub(crate) fn push(&mut self, base_offset: Offset, position: Position, max_timestamp: Timestamp) {
        if position.to_u64() >= self.due {
            self.note(base_offset, position);
        }
        self.latest = self.latest.max(max_timestamp);
    }

    #[cold]
    fn note(&mut self, base_offset: Offset, position: Position) {
        self.index.0.write().push(base_offset, position, self.latest);
        self.due = due_after(position);
    }

    /// The latest timestamp of all batches noted; `Timestamp::MIN` when there are none.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn max_timestamp(&self) -> Timestamp {
        self.latest
    }

    /// A handle for readers, who may look up while this half notes more.
    pub(crate) fn index(&self) -> Index {
        self.index.clone()
    }

    /// Ends the index: from now on a look-up knows that nothing is later than the latest timestamp.
    pub(crate) fn seal(self) -> Index {
        self.index.0.write().seal(self.latest);
        self.index
    }
}

impl Index {
    /// The last entry at or before `offset`: a scan from there finds the batch that holds it. When `offset`
    /// lies before all entries, the first; of an empty index the place of the first batch.
    pub(crate) fn floor(&self, offset: Offset) -> IndexEntry {
        self.0.read().floor(offset)
    }

    /// The last entry with no record at or after `t` before it: a scan from there finds the first such record
    /// of the segment, if there is one. None when the index is sealed and knows that all are earlier.
    pub(crate) fn first_candidate(&self, t: Timestamp) -> Option<IndexEntry> {
        self.0.read().first_candidate(t)
    }

    /// How many entries there are.
    #[cfg(test)]
    pub(crate) fn entry_count(&self) -> usize {
        self.0.read().entry_count()
    }

    /// Bytes of memory held by the entries.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.0.read().memory_bytes()
    }
}

#[cfg(test)]
mod tests;
