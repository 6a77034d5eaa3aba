//! A stored record that keeps its buffer alive.

use super::records::Walk;
use super::section::Fields;
use super::{Header, RecordRef, Records};
use crate::{Offset, Timestamp};
use std::fmt;
use std::sync::Arc;

/// A stored record that may be kept and sent to other threads.
///
/// It shares the buffer it was read into.
///
/// It keeps the whole buffer in memory, as large as the read that brought it. As a slice it is its value.
#[derive(Clone)]
pub struct OwnedRecord {
    buffer: Arc<Vec<u8>>,
    fields: Fields,
}

impl OwnedRecord {
    /// The same record, borrowed.
    #[must_use]
    pub fn as_record_ref(&self) -> RecordRef<'_> {
        self.fields.resolve(&self.buffer)
    }

    /// Its number in the partition.
    #[must_use]
    pub const fn offset(&self) -> Offset {
        self.fields.offset
    }

    /// When it was made; or stored, where the log's own time overwrites the producers'.
    #[must_use]
    pub const fn timestamp(&self) -> Timestamp {
        self.fields.timestamp
    }

    /// The term of office of the leader that stored it; 0 without leaders.
    #[must_use]
    pub const fn leader_epoch(&self) -> u32 {
        self.fields.leader_epoch
    }

    /// Its key. None is not the empty key.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.as_record_ref().key()
    }

    /// Its value; empty for a tombstone, which [`is_tombstone`](Self::is_tombstone) tells from empty.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        self.as_record_ref().value()
    }

    /// Whether its value is null.
    #[must_use]
    pub const fn is_tombstone(&self) -> bool {
        self.fields.value.is_none()
    }

    /// Its headers, in the order in which they were added.
    #[must_use]
    pub fn headers(&self) -> impl ExactSizeIterator<Item = Header<'_>> + Clone {
        self.as_record_ref().headers()
    }
}

impl AsRef<[u8]> for OwnedRecord {
    fn as_ref(&self) -> &[u8] {
        self.value()
    }
}

impl fmt::Debug for OwnedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_record_ref().fmt(f)
    }
}

impl PartialEq for OwnedRecord {
    /// What it says counts, and not which buffer it shares.
    fn eq(&self, other: &Self) -> bool {
        self.as_record_ref() == other.as_record_ref()
    }
}

impl Eq for OwnedRecord {}

/// The records of a [`Records`], each sharing its buffer.
#[derive(Clone, Debug)]
pub struct RecordsIntoIter {
    buffer: Arc<Vec<u8>>,
    walk: Walk,
}

impl Iterator for RecordsIntoIter {
    type Item = OwnedRecord;

    fn next(&mut self) -> Option<OwnedRecord> {
        let fields = self.walk.next(&self.buffer)?;
        Some(OwnedRecord { buffer: Arc::clone(&self.buffer), fields })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.walk.size_hint()
    }
}

impl ExactSizeIterator for RecordsIntoIter {}
impl std::iter::FusedIterator for RecordsIntoIter {}

impl IntoIterator for Records {
    type Item = OwnedRecord;
    type IntoIter = RecordsIntoIter;

    fn into_iter(self) -> RecordsIntoIter {
        let (buffer, walk) = self.into_parts();
        RecordsIntoIter { buffer, walk }
    }
}
