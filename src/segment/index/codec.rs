//! The two index files.
//!
//! ```text
//!     frame [16] │ salt u64 │ sequence u64 │ first_offset u64 │ max_timestamp i64 │ end u32 │ count u32 │ entries
//!     .index      an entry: relative_offset u32 │ position u32
//!     .timeindex  an entry: before i64 │ relative_offset u32 │ position u32
//! ```
//!
//! Both are written together and are good together or not at all.

use super::table::{Place, Table};
use super::{INDEX_INTERVAL_BYTES, Index, IndexOwner, IndexWriter};
use crate::segment::{FRAME_LEN, Fields, Frame, FrameFlaw, SEGMENT_HEADER_LEN};
use crate::sync::{Bug, planted};
use crate::{Error, Position, Timestamp};
use std::fmt;

pub(crate) const OFFSETS: Frame = Frame { magic: *b"ANNALIDX", version: 1 };
pub(crate) const TIMES: Frame = Frame { magic: *b"ANNALTIX", version: 1 };

/// Bytes before the first entry.
const HEAD_LEN: usize = FRAME_LEN + 40;
const OFFSET_ENTRY_LEN: usize = 8;
const TIME_ENTRY_LEN: usize = 16;

/// The content of both files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EncodedIndex {
    pub(crate) offsets: Vec<u8>,
    pub(crate) times: Vec<u8>,
}

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Offsets,
    Times,
}

/// Why an index is not used and must be rebuilt.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum IndexFlaw {
    #[error("{0}")]
    Unread(#[from] Error),
    #[error("{which}: {flaw}")]
    Frame { which: Which, flaw: FrameFlaw },
    #[error("{which}: expected {expected} bytes, found {found}")]
    Len { which: Which, expected: u64, found: u64 },
    #[error("{which}: {field}: expected {expected}, found {found}")]
    Field { which: Which, field: &'static str, expected: String, found: String },
}

/// What both files say before their entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) owner: IndexOwner,
    pub(super) max_timestamp: Timestamp,
    pub(super) end: Position,
    count: u32,
}

impl Index {
    /// Both files for the batches before `end`, none of which is later than `max_timestamp`.
    pub(crate) fn encode(&self, end: Position, max_timestamp: Timestamp) -> EncodedIndex {
        let table = self.0.read();
        let places = table.places.get(..table.count_before(end)).unwrap_or_default();
        // Entries are 4 KiB apart in less than 4 GiB, so their number has 32 bits.
        let count = u32::try_from(places.len()).unwrap_or(u32::MAX);
        let head = Head { owner: table.owner, max_timestamp, end, count };
        let mut offsets = head.encode(OFFSETS, file_len(places.len(), OFFSET_ENTRY_LEN));
        let mut times = head.encode(TIMES, file_len(places.len(), TIME_ENTRY_LEN));
        for (place, before) in places.iter().zip(&table.before) {
            let place = place.encode();
            offsets.extend_from_slice(&place);
            times.extend_from_slice(&before.as_millis().to_le_bytes());
            times.extend_from_slice(&place);
        }
        OFFSETS.seal(&mut offsets);
        TIMES.seal(&mut times);
        EncodedIndex { offsets, times }
    }
}

impl EncodedIndex {
    /// The most bytes that the two files of a segment with this `end` can have.
    pub(super) fn len_max(end: Position) -> (usize, usize) {
        let count = count_max(end);
        (file_len(count, OFFSET_ENTRY_LEN), file_len(count, TIME_ENTRY_LEN))
    }

    /// Reads the index of `owner`, whose batches end at `end`. Returns it with the position (exclusive) up to
    /// which it covers them: `push` what lies from there to `end`.
    ///
    /// # Errors
    /// When anything is wrong with either file, or they are not of this segment.
    pub(crate) fn decode(
        &self,
        owner: IndexOwner,
        end: Position,
    ) -> Result<(IndexWriter, Position), IndexFlaw> {
        let (head, places) = Self::decode_offsets(&self.offsets, owner, end)?;
        let before = Self::decode_times(&self.times, head, &places)?;
        let mut table = Table::new(owner);
        table.places = places;
        table.before = before;
        Ok((IndexWriter::resume(table, head.max_timestamp), head.end))
    }

    fn decode_offsets(
        bytes: &[u8],
        owner: IndexOwner,
        end: Position,
    ) -> Result<(Head, Vec<Place>), IndexFlaw> {
        let which = Which::Offsets;
        let (head, mut fields) = Head::decode(bytes, which)?;
        if head.owner != owner && !planted(Bug::IndexTrusted) {
            return Err(which.field("owner", format!("{owner:?}"), format!("{:?}", head.owner)));
        }
        if (head.end > end && !planted(Bug::IndexTrusted)) || head.end.get() < SEGMENT_HEADER_LEN {
            let expected = format!("{SEGMENT_HEADER_LEN} to {end}");
            return Err(which.field("end", expected, head.end.to_string()));
        }
        let count = which.entries(head, fields, OFFSET_ENTRY_LEN)?;
        let mut places: Vec<Place> = Vec::with_capacity(count);
        while let Some(place) = Place::decode(&mut fields) {
            if !place.can_follow(places.last(), head.end) {
                let expected = format!("one behind {:?} and before {}", places.last(), head.end);
                return Err(which.field("entry", expected, format!("{place:?}")));
            }
            places.push(place);
        }
        Ok((head, places))
    }

    fn decode_times(bytes: &[u8], expected: Head, places: &[Place]) -> Result<Vec<Timestamp>, IndexFlaw> {
        let which = Which::Times;
        let (head, mut fields) = Head::decode(bytes, which)?;
        if head != expected {
            return Err(which.field("head", format!("{expected:?}"), format!("{head:?}")));
        }
        let count = which.entries(head, fields, TIME_ENTRY_LEN)?;
        let mut before: Vec<Timestamp> = Vec::with_capacity(count);
        for place in places {
            let entry = fields.timestamp().zip(Place::decode(&mut fields));
            let earliest = before.last().copied();
            let in_order = |t: Timestamp| match earliest {
                None => t == Timestamp::MIN,
                Some(earliest) => (earliest..=head.max_timestamp).contains(&t),
            };
            match entry {
                Some((t, found)) if found == *place && in_order(t) => before.push(t),
                found => {
                    let expected = format!("{place:?}, not before {earliest:?}");
                    return Err(which.field("entry", expected, format!("{found:?}")));
                }
            }
        }
        Ok(before)
    }
}

/// The length of a file of so many entries.
fn file_len(count: usize, entry_len: usize) -> usize {
    count.saturating_mul(entry_len).saturating_add(HEAD_LEN)
}

/// How many entries the index of a segment with this `end` can have.
fn count_max(end: Position) -> usize {
    let count = end.since(Position::new(SEGMENT_HEADER_LEN)).div_ceil(INDEX_INTERVAL_BYTES);
    usize::try_from(count).unwrap_or(usize::MAX)
}

impl Head {
    /// The bytes before the entries, with room for a file of `len` bytes.
    fn encode(&self, frame: Frame, len: usize) -> Vec<u8> {
        let mut bytes = frame.begin(len);
        bytes.extend_from_slice(&self.owner.salt.to_le_bytes());
        bytes.extend_from_slice(&self.owner.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.owner.first_offset.get().to_le_bytes());
        bytes.extend_from_slice(&self.max_timestamp.as_millis().to_le_bytes());
        bytes.extend_from_slice(&self.end.get().to_le_bytes());
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes
    }

    /// Reads the head; returns it with the entries behind it.
    pub(super) fn decode(bytes: &[u8], which: Which) -> Result<(Self, Fields<'_>), IndexFlaw> {
        let mut fields = which.frame().open(bytes).map_err(|flaw| IndexFlaw::Frame { which, flaw })?;
        let head = Self::read(&mut fields).ok_or_else(|| {
            which.field(
                "head",
                "40 bytes and an offset in range".to_owned(),
                format!("{} bytes", bytes.len()),
            )
        })?;
        Ok((head, fields))
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (salt, sequence, first_offset) = (fields.u64()?, fields.u64()?, fields.offset()?);
        let owner = IndexOwner { salt, sequence, first_offset };
        let (max_timestamp, end, count) = (fields.timestamp()?, fields.position()?, fields.u32()?);
        Some(Self { owner, max_timestamp, end, count })
    }
}

impl Place {
    fn encode(self) -> [u8; OFFSET_ENTRY_LEN] {
        let number = u64::from(self.relative_offset) | u64::from(self.position.get()) << 32;
        number.to_le_bytes()
    }

    pub(super) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let (relative_offset, position) = (fields.u32()?, fields.position()?);
        Some(Self { relative_offset, position })
    }

    /// Whether an entry here can come after `last` in an index that covers batches before `end`.
    fn can_follow(self, last: Option<&Self>, end: Position) -> bool {
        let begins_right = match last {
            None => self.position.get() == SEGMENT_HEADER_LEN,
            Some(last) => {
                self.position.since(last.position) >= INDEX_INTERVAL_BYTES
                    && self.relative_offset > last.relative_offset
            }
        };
        begins_right && self.position < end && self.position.get().is_multiple_of(8)
    }
}

impl Which {
    fn frame(self) -> Frame {
        match self {
            Self::Offsets => OFFSETS,
            Self::Times => TIMES,
        }
    }

    /// The one that these bytes are of, or may be where they are of neither.
    pub(super) fn of(bytes: &[u8]) -> Self {
        if bytes.starts_with(&TIMES.magic) { Self::Times } else { Self::Offsets }
    }

    pub(super) fn entry_len(self) -> usize {
        match self {
            Self::Offsets => OFFSET_ENTRY_LEN,
            Self::Times => TIME_ENTRY_LEN,
        }
    }

    /// Checks that exactly the entries that `head` announces are left; returns their number.
    pub(super) fn entries(self, head: Head, left: Fields<'_>, entry_len: usize) -> Result<usize, IndexFlaw> {
        let count = usize::try_from(head.count).unwrap_or(usize::MAX);
        if count > count_max(head.end) {
            let expected = format!("at most {}", count_max(head.end));
            return Err(self.field("count", expected, count.to_string()));
        }
        let (expected, found) = (count.saturating_mul(entry_len), left.rest().len());
        if expected != found {
            return Err(IndexFlaw::Len { which: self, expected: expected as u64, found: found as u64 });
        }
        Ok(count)
    }

    fn field(self, field: &'static str, expected: String, found: String) -> IndexFlaw {
        IndexFlaw::Field { which: self, field, expected, found }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Offsets => "offset index",
            Self::Times => "time index",
        })
    }
}
