//! The entries in memory: sixteen bytes for each.

use super::{IndexEntry, IndexOwner};
use crate::segment::SEGMENT_HEADER_LEN;
use crate::{Offset, Position, Timestamp};

/// Two columns of the same length, both in the order of the log.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) owner: IndexOwner,
    /// Strictly growing in both fields.
    pub(super) places: Vec<Place>,
    /// For each place the latest timestamp of all batches before it, or a later one where that was all that an
    /// index file could say. Never falls; begins with the earliest there is.
    pub(super) before: Vec<Timestamp>,
    pub(super) latest: Latest,
}

/// One batch, in eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its base offset, counted from the segment's first offset.
    pub(super) relative_offset: u32,
    pub(super) position: Position,
}

/// What is known of the latest timestamp of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Latest {
    /// Batches may still follow.
    Open,
    /// No batch is later than this.
    AtMost(Timestamp),
}

impl Table {
    pub(super) fn new(owner: IndexOwner) -> Self {
        Self { owner, places: Vec::new(), before: Vec::new(), latest: Latest::Open }
    }

    /// Adds an entry. One whose offset does not fit 32 bits is left out, and so are all after it: look-ups
    /// scan more, and stay right.
    pub(super) fn push(&mut self, offset: Offset, position: Position, latest_before: Timestamp) {
        let relative = offset.get().checked_sub(self.owner.first_offset.get());
        if let Some(relative_offset) = relative.and_then(|relative| u32::try_from(relative).ok()) {
            // Nothing lies before the first batch, though an index file may have named a later timestamp.
            let before = if self.before.is_empty() { Timestamp::MIN } else { latest_before };
            self.places.push(Place { relative_offset, position });
            self.before.push(before);
        }
    }

    /// How many entries lie before `end`.
    pub(super) fn count_before(&self, end: Position) -> usize {
        self.places.partition_point(|place| place.position < end)
    }

    pub(super) fn last_position(&self) -> Option<Position> {
        self.places.last().map(|place| place.position)
    }

    pub(super) fn seal(&mut self, latest: Timestamp) {
        self.latest = Latest::AtMost(latest);
        self.places.shrink_to_fit();
        self.before.shrink_to_fit();
    }

    pub(super) fn floor(&self, offset: Offset) -> IndexEntry {
        let relative = offset.since(self.owner.first_offset);
        let after = self.places.partition_point(|place| u64::from(place.relative_offset) <= relative);
        self.entry(after.saturating_sub(1))
    }

    pub(super) fn first_candidate(&self, t: Timestamp) -> Option<IndexEntry> {
        if matches!(self.latest, Latest::AtMost(latest) if latest < t) {
            return None;
        }
        let at_or_after = self.before.partition_point(|before| *before < t);
        Some(self.entry(at_or_after.saturating_sub(1)))
    }

    #[cfg(test)]
    pub(super) fn entry_count(&self) -> usize {
        self.places.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let places = self.places.capacity().saturating_mul(size_of::<Place>());
        let before = self.before.capacity().saturating_mul(size_of::<Timestamp>());
        places.saturating_add(before)
    }

    /// The entry with this number, or where the first batch will lie.
    fn entry(&self, number: usize) -> IndexEntry {
        self.places.get(number).map_or(
            IndexEntry { offset: self.owner.first_offset, position: Position::new(SEGMENT_HEADER_LEN) },
            |place| IndexEntry {
                offset: self.owner.first_offset.saturating_add(u64::from(place.relative_offset)),
                position: place.position,
            },
        )
    }
}
