//! One index file by itself, entry by entry, for people who want to see what is in it.

use super::codec::{Head, IndexFlaw, Which};
use super::table::Place;
use super::{EncodedIndex, IndexOwner};
use crate::{Offset, Position, Timestamp};

/// What one of the two files says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexListing {
    pub(crate) owner: IndexOwner,
    pub(crate) max_timestamp: Timestamp,
    pub(crate) end: Position,
    pub(crate) entries: Vec<ListedEntry>,
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListedEntry {
    /// Where in the file it lies.
    pub(crate) at: usize,
    pub(crate) offset: Offset,
    pub(crate) position: Position,
    /// The latest timestamp before it; only a time index says that.
    pub(crate) before: Option<Timestamp>,
}

impl IndexListing {
    /// The most bytes an index file can have.
    pub(crate) fn len_max() -> usize {
        let (offsets, times) = EncodedIndex::len_max(Position::new(u32::MAX));
        offsets.max(times)
    }

    /// Reads either file; `bytes` are all of it. That the entries are in order is not looked at.
    ///
    /// # Errors
    /// When its frame, its head or its length is wrong.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, IndexFlaw> {
        let which = Which::of(bytes);
        let (head, mut fields) = Head::decode(bytes, which)?;
        let count = which.entries(head, fields, which.entry_len())?;
        let mut entries = Vec::with_capacity(count);
        loop {
            let at = bytes.len().saturating_sub(fields.rest().len());
            let before = match which {
                Which::Offsets => None,
                Which::Times => fields.timestamp(),
            };
            let Some(place) = Place::decode(&mut fields) else { break };
            let offset = head.owner.first_offset.saturating_add(u64::from(place.relative_offset));
            entries.push(ListedEntry { at, offset, position: place.position, before });
        }
        Ok(Self { owner: head.owner, max_timestamp: head.max_timestamp, end: head.end, entries })
    }
}
