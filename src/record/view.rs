//! A stored record, borrowed from the buffer it was read into.

use super::Header;
use super::varint::Cursor;
use crate::{Offset, Timestamp};

/// A stored record, borrowed from its [`Records`](crate::Records).
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    pub(super) offset: Offset,
    pub(super) timestamp: Timestamp,
    pub(super) leader_epoch: u32,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Headers<'a>,
}

impl<'a> RecordRef<'a> {
    /// Its number in the partition.
    #[must_use]
    pub const fn offset(&self) -> Offset {
        self.offset
    }

    /// When it was made; or stored, where the log's own time overwrites the producers'.
    #[must_use]
    pub const fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The term of office of the leader that stored it; 0 without leaders.
    #[must_use]
    pub const fn leader_epoch(&self) -> u32 {
        self.leader_epoch
    }

    /// Its key. None is not the empty key.
    #[must_use]
    pub const fn key(&self) -> Option<&'a [u8]> {
        self.key
    }

    /// Its value; empty for a tombstone, which [`is_tombstone`](Self::is_tombstone) tells from empty.
    #[must_use]
    pub fn value(&self) -> &'a [u8] {
        self.value.unwrap_or_default()
    }

    /// Whether its value is null.
    #[must_use]
    pub const fn is_tombstone(&self) -> bool {
        self.value.is_none()
    }

    /// Its headers, in the order in which they were added.
    #[must_use]
    pub fn headers(&self) -> impl ExactSizeIterator<Item = Header<'a>> + Clone + use<'a> {
        self.headers
    }
}

/// The headers of one record, in order, repeated names included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Headers<'a> {
    cursor: Cursor<'a>,
    left: u32,
}

impl<'a> Headers<'a> {
    /// The `count` headers that `bytes` hold.
    pub(super) const fn new(bytes: &'a [u8], count: u32) -> Self {
        Self { cursor: Cursor::new(bytes, 0), left: count }
    }

    /// The header at `cursor`, which moves behind it.
    pub(super) fn read(cursor: &mut Cursor<'a>) -> Option<Header<'a>> {
        let name_len = usize::try_from(cursor.varint()?).ok()?;
        let name = std::str::from_utf8(cursor.take(name_len)?).ok()?;
        match cursor.varint()? {
            -1 => Some(Header::new(name, None)),
            len => Some(Header::new(name, Some(cursor.take(usize::try_from(len).ok()?)?))),
        }
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.left = self.left.checked_sub(1)?;
        Self::read(&mut self.cursor)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Headers<'_> {}
