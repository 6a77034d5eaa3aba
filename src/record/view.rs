//! A stored record, borrowed from the buffer it was read into.

use super::Header;
use super::shown::Shown;
use super::varint::Cursor;
use crate::{Offset, Timestamp};
use std::fmt;

/// A stored record, borrowed from its [`Records`](crate::Records).
///
/// Two are equal when all that can be asked of them is. For people, bytes are written as they would be typed:
///
/// ```
/// use annals::{Batch, BatchLimits, Record, Timestamp};
/// let now = Timestamp::from_millis(7);
/// let batch = Batch::from_records([Record::new("42\n").key("alice")], now, BatchLimits::default())?;
/// let records = batch.records()?;
/// let record = records.iter().next().expect("there is one");
/// let printed = format!("{record:?}");
/// assert!(printed.contains(r#"key: Some(b"alice"), value: Some(b"42\n"), headers: []"#), "{printed}");
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
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

impl fmt::Debug for RecordRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordRef")
            .field("offset", &self.offset)
            .field("timestamp", &self.timestamp)
            .field("leader_epoch", &self.leader_epoch)
            .field("key", &self.key.map(Shown))
            .field("value", &self.value.map(Shown))
            .field("headers", &self.headers)
            .finish()
    }
}

/// The headers of one record, in order, repeated names included.
#[derive(Clone, Copy)]
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

impl PartialEq for Headers<'_> {
    /// What they say counts, and not how long their lengths are written.
    fn eq(&self, other: &Self) -> bool {
        Iterator::eq(*self, *other)
    }
}

impl Eq for Headers<'_> {}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Batch, BatchLimits, OwnedRecord, Record, Timestamp};

    fn stored(record: Record<'_>) -> OwnedRecord {
        let batch = Batch::from_records([record], Timestamp::from_millis(7), BatchLimits::default());
        let records = batch.and_then(|batch| batch.records()).expect("it is small");
        records.into_iter().next().expect("there is one")
    }

    #[test]
    fn records_print_their_bytes_as_they_would_be_typed() {
        let draft = Record::new(&[0xff, b'a']).key("k\"").header("h", "v").null_header("n");
        let headers = r#"[Header { key: "h", value: Some(b"v") }, Header { key: "n", value: None }]"#;
        let bytes = format!(r#"key: Some(b"k\""), value: Some(b"\xffa"), headers: {headers}"#);
        assert_eq!(format!("{draft:?}"), format!("Record {{ {bytes}, timestamp: None }}"));
        let where_from = "offset: Offset(0), timestamp: Timestamp(7), leader_epoch: 0";
        assert_eq!(format!("{:?}", stored(draft)), format!("RecordRef {{ {where_from}, {bytes} }}"));
        let tombstone = format!("{:?}", stored(Record::tombstone()));
        assert!(tombstone.contains("key: None, value: None, headers: []"), "{tombstone}");
    }

    #[test]
    fn records_are_equal_when_all_they_say_is() {
        let time = Timestamp::from_millis(3);
        let draft = || Record::new("v").key("k").header("h", "v").timestamp(time);
        assert_eq!(stored(draft()), stored(draft()), "in another buffer");
        let bare = Record::new("v").timestamp(time);
        for other in [
            draft().key(""),
            bare.clone().header("h", "v"),
            bare.clone().key("k"),
            bare.clone().key("k").null_header("h"),
            bare.clone().key("k").header("h", ""),
            bare.clone().key("k").header("i", "v"),
            draft().header("h", "v"),
            draft().timestamp(Timestamp::from_millis(4)),
            Record::new("w").key("k").header("h", "v").timestamp(time),
            Record::tombstone().key("k").header("h", "v").timestamp(time),
        ] {
            let printed = format!("{other:?}");
            assert_ne!(stored(draft()), stored(other), "{printed}");
        }
    }
}
