//! Verified records, owned together with the buffer they were read into.

use super::section::{Fields, Frame};
use super::varint::Cursor;
use super::{BATCH_ALIGN, BatchHeader, RecordRef};
use crate::Offset;
use std::fmt;
use std::sync::Arc;

/// One or more batches' records, verified, sharing one buffer. Clones share it too.
///
/// ```
/// use annals::{Batch, BatchLimits, Record, Timestamp};
/// let now = Timestamp::from_millis(0);
/// let batch = Batch::from_records([Record::new("a"), Record::new("b").key("k")], now, BatchLimits::default())?;
/// let records = batch.records()?;
/// assert_eq!(records.len(), 2);
/// for record in &records {
///     println!("{} {}", record.offset(), record.value().escape_ascii());
/// }
/// let kept: Vec<annals::OwnedRecord> = records.into_iter().collect();
/// assert_eq!(kept[1].key(), Some(&b"k"[..]));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone)]
pub struct Records {
    buffer: Arc<Vec<u8>>,
    /// From the first record on; the buffer may begin with records that were not asked for.
    walk: Walk,
    /// Where the first batch begins that reaches the offset asked for, be there records in it or not.
    batches_at: usize,
    base_offset: Offset,
    next_offset: Offset,
}

impl Records {
    /// The records from `from` on that follow `walk` in `buffer`, which was verified up to `walk`'s end;
    /// `next_offset` is that of its last batch.
    pub(super) fn from_verified(buffer: Arc<Vec<u8>>, walk: Walk, from: Offset, next_offset: Offset) -> Self {
        let batches_at = walk.batch_at;
        let (walk, first) = walk.skip_to(&buffer, from);
        Self { buffer, walk, batches_at, base_offset: first.unwrap_or(next_offset), next_offset }
    }

    /// No records, at the end of a log whose next offset is `next`.
    pub(crate) fn empty(next: Offset) -> Self {
        Self::from_verified(Arc::default(), Walk::default(), next, next)
    }

    /// Takes out the records at the front that fit into `count` records of `bytes` bytes, but at least one, and
    /// keeps the others. Says how many bytes of keys, values and headers it took.
    pub(crate) fn split_to(&mut self, count: usize, bytes: usize) -> (Self, usize) {
        let (mut taken, mut taken_bytes) = (0_usize, 0_usize);
        let mut rest = self.walk;
        let mut next = rest;
        while let Some(fields) = next.next(&self.buffer) {
            let len = fields.len();
            let fits = taken < count && taken_bytes.saturating_add(len) <= bytes;
            if taken > 0 && !fits {
                return (self.cut(rest, next.batch_at, taken, fields.offset), taken_bytes);
            }
            taken = taken.saturating_add(1);
            taken_bytes = taken_bytes.saturating_add(len);
            rest = next;
        }
        let nothing = Self::empty(self.next_offset);
        (std::mem::replace(self, nothing), taken_bytes)
    }

    /// Bytes of key, value and headers of the first record; 0 when there is none.
    pub(crate) fn first_len(&self) -> usize {
        let mut walk = self.walk;
        walk.next(&self.buffer).map_or(0, |fields| fields.len())
    }

    /// Cuts before the record at `offset`, which is the first of `rest`, in the batch at `batch_at`; `taken` lie
    /// before it.
    fn cut(&mut self, rest: Walk, batch_at: usize, taken: usize, offset: Offset) -> Self {
        let mut head = self.clone();
        head.walk.left = taken;
        head.walk.end = rest.section_end;
        head.next_offset = offset;
        self.walk = rest;
        self.batches_at = batch_at;
        self.base_offset = offset;
        head
    }

    /// How many records there are. Not a difference of offsets, which may have gaps.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.walk.left
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.walk.left == 0
    }

    /// The offset of the first record; [`next_offset`](Self::next_offset) when there is none.
    #[must_use]
    pub const fn base_offset(&self) -> Offset {
        self.base_offset
    }

    /// Where to read on: the offset after the last batch's last.
    ///
    /// It may be above that of the last record.
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// The whole batches that were read, as they are stored.
    ///
    /// From the first that reaches the offset asked for, each but the last padded to a multiple of 8 bytes.
    /// Batches without records are among them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.get(self.batches_at..self.walk.end).unwrap_or_default()
    }

    /// The records, one after the other.
    #[must_use]
    pub fn iter(&self) -> RecordsIter<'_> {
        RecordsIter { buffer: &self.buffer, walk: self.walk }
    }

    pub(super) fn into_parts(self) -> (Arc<Vec<u8>>, Walk) {
        (self.buffer, self.walk)
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("base_offset", &self.base_offset)
            .field("next_offset", &self.next_offset)
            .field("len", &self.len())
            .field("bytes", &self.bytes().len())
            .finish()
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = RecordRef<'a>;
    type IntoIter = RecordsIter<'a>;

    fn into_iter(self) -> RecordsIter<'a> {
        self.iter()
    }
}

/// The records of a [`Records`], borrowed.
#[derive(Clone, Debug)]
pub struct RecordsIter<'a> {
    buffer: &'a [u8],
    walk: Walk,
}

impl<'a> Iterator for RecordsIter<'a> {
    type Item = RecordRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<RecordRef<'a>> {
        self.walk.next(self.buffer).map(|fields| fields.resolve(self.buffer))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.walk.size_hint()
    }
}

impl ExactSizeIterator for RecordsIter<'_> {}
impl std::iter::FusedIterator for RecordsIter<'_> {}

/// A place among verified batches, and how many records follow it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walk {
    /// Where the batch begins that the place lies in.
    batch_at: usize,
    /// The next record in it.
    record_at: usize,
    /// The end of its records section.
    section_end: usize,
    /// What its header says of its records; none before the first batch.
    frame: Option<Frame>,
    /// The end of the last batch.
    end: usize,
    /// Records that follow, those of control batches not counted.
    left: usize,
}

impl Walk {
    /// Before the batch at `batch_at`, with `left` records up to `end`.
    pub(super) fn new(batch_at: usize, end: usize, left: usize) -> Self {
        Self { batch_at, record_at: batch_at, section_end: batch_at, frame: None, end, left }
    }

    pub(super) const fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }

    /// The same walk begun at the first record at or above `from` in `buffer`.
    pub(super) fn skip_to(mut self, buffer: &[u8], from: Offset) -> (Self, Option<Offset>) {
        let mut next = self;
        while let Some(fields) = next.next(buffer) {
            if fields.offset >= from {
                return (self, Some(fields.offset));
            }
            self = next;
        }
        (next, None)
    }

    /// The next record of `buffer`, which was verified: that a record cannot be read does not happen, and
    /// ends the walk.
    #[inline]
    pub(super) fn next(&mut self, buffer: &[u8]) -> Option<Fields> {
        let left = self.left.checked_sub(1)?;
        while self.record_at >= self.section_end {
            self.enter_batch(buffer)?;
        }
        let section = buffer.get(..self.section_end)?;
        let mut cursor = Cursor::new(section, self.record_at);
        let fields = self.frame.as_ref()?.read(&mut cursor).ok()?;
        self.record_at = cursor.at();
        self.left = left;
        Some(fields)
    }

    /// Goes on to the next batch; over it, if it has no records for a reader.
    fn enter_batch(&mut self, buffer: &[u8]) -> Option<()> {
        let at = if self.frame.is_none() {
            self.batch_at
        } else {
            self.section_end.checked_next_multiple_of(BATCH_ALIGN)?
        };
        let header = BatchHeader::decode(buffer.get(at..self.end)?).ok()?;
        self.batch_at = at;
        self.section_end = at.checked_add(usize::try_from(header.length).ok()?)?;
        self.record_at = match header.is_control() {
            true => self.section_end,
            false => at.checked_add(header.records_at())?,
        };
        self.frame = Some(Frame::of(&header));
        Some(())
    }
}
