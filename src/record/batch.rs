//! One batch: the unit that is stored whole or not at all.

#![allow(clippy::expect_used, reason = "a batch's own header was written or verified when it was made")]

use super::batch_header::{HEADER_LEN, at, bit};
use super::check::{Place, check};
use super::checksum::{SPLIT_LEN_MIN, TailSum, checksum};
use super::records::{Records, Walk};
use super::verify::{verify_batch, word};
use super::{BatchBuilder, BatchHeader, BatchLimits, Flaw, Record};
use crate::{Error, ErrorKind, Offset, Position, Result, Timestamp};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Why reading a batch's header cannot fail.
const VERIFIED: &str = "a batch's header was written or verified by us";

/// Records that are stored together or not at all.
///
/// It holds the bytes that they are stored in.
///
/// ```
/// use annals::{Batch, BatchLimits, Offset, Record, Timestamp};
/// let limits = BatchLimits::default();
/// let batch = Batch::from_records([Record::new("a"), Record::new("b")], Timestamp::from_millis(7), limits)?
///     .with_base_offset(Offset::from(40))?;
/// assert_eq!(batch.next_offset(), Offset::from(42));
/// let copy = Batch::from_bytes(batch.as_bytes(), limits)?;
/// assert_eq!(copy.records()?.iter().last().map(|record| record.value()), Some(&b"b"[..]));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone)]
pub struct Batch {
    /// Always begins with a header that decodes, and ends with its last record.
    buf: Vec<u8>,
    /// Of a large batch: what its checksum is behind the header, which no call here changes.
    tail: Option<TailSum>,
}

/// What only the segment that stores a batch can say of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) salt: u64,
    pub(crate) position: Position,
    pub(crate) synced: Position,
    /// The batch's last offset, counted from here, must not pass the largest; see [`Batch::offset_count`].
    pub(crate) base_offset: Offset,
    pub(crate) leader_epoch: u32,
    pub(crate) times: Times,
}

/// Which time the records of a batch have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    /// What the batch says already.
    AsGiven,
    /// The time at which the log stores them.
    LogAppend(Timestamp),
}

impl Batch {
    /// Encodes `records` into one batch, with offsets from 0. Records without a time get `now`.
    ///
    /// # Errors
    /// - `InvalidInput`: there is no record, or two are more than an `i64` of milliseconds apart.
    /// - `TooLarge`: the batch would pass `limits`, or a record has more than 65,535 headers. The message
    ///   names size and limit; nothing of that size was allocated.
    pub fn from_records<'r>(
        records: impl IntoIterator<Item = Record<'r>>,
        now: Timestamp,
        limits: BatchLimits,
    ) -> Result<Self> {
        Ok(BatchBuilder::build(records, now, limits)?.sealed())
    }

    /// Takes one batch verbatim: `bytes` from its header to its last record. Compressed records stay so.
    ///
    /// What the batch says of the segment it was stored in is cleared.
    ///
    /// # Errors
    /// - `TooLarge`: the batch is above `limits`.
    /// - `Corrupt`: the bytes are not one whole batch whose checksum, fields and records hold.
    /// - `Unsupported`: the batch has attributes of a newer version.
    pub fn from_bytes(bytes: &[u8], limits: BatchLimits) -> Result<Self> {
        limits.admit(bytes.len())?;
        let length = word(bytes, at::LENGTH).unwrap_or(0);
        if usize::try_from(length).ok() != Some(bytes.len()) {
            let message = format!("{} bytes for a batch whose length field says {length}", bytes.len());
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        verify_batch(bytes).map_err(|flaw| refused(&flaw))?;
        Ok(Self::unsealed(bytes.to_vec()).sealed())
    }

    /// A batch that was verified where it was stored; what is local to that segment is cleared.
    ///
    /// # Errors
    /// As [`Batch::from_bytes`], of which only damage that has come since can be one.
    pub(crate) fn from_stored(bytes: &[u8]) -> Result<Self> {
        Self::from_bytes(bytes, BatchLimits::most())
    }

    /// The batch in `buf`, whose header decodes but for the checksum, which is worked out when the batch is
    /// sealed or stamped: the way to a segment needs it only once. What is local to a segment is cleared.
    pub(super) fn unsealed(buf: Vec<u8>) -> Self {
        let tail = (buf.len() >= SPLIT_LEN_MIN).then(|| TailSum::of(&buf));
        let mut batch = Self { buf, tail };
        let head = batch.head_mut();
        head[at::CHECK].fill(0);
        head[at::SYNCED].fill(0);
        batch
    }

    /// The same batch with its checksum in place.
    pub(crate) fn sealed(mut self) -> Self {
        self.seal();
        self
    }

    /// The batch from its header to its last record, without padding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.buf
    }

    /// How many bytes it has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a batch always has a header")]
    pub fn len(&self) -> usize {
        self.buf.len()
    }

    /// How many records it has.
    #[must_use]
    pub fn record_count(&self) -> u32 {
        self.u32_at(at::RECORD_COUNT)
    }

    /// The offset of its first record.
    #[must_use]
    pub fn base_offset(&self) -> Offset {
        Offset::new(u64::from_le_bytes(self.field(at::BASE_OFFSET))).expect(VERIFIED)
    }

    /// The offset after its last.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.base_offset().saturating_add(self.offset_count())
    }

    /// How many offsets it takes up: at least as many as it has records.
    pub(crate) fn offset_count(&self) -> u64 {
        u64::from(self.u32_at(at::LAST_OFFSET_DELTA)) + 1
    }

    /// The term of office of the leader that stored it; 0 without leaders.
    #[must_use]
    pub fn leader_epoch(&self) -> u32 {
        self.u32_at(at::LEADER_EPOCH)
    }

    /// The latest of its records' timestamps.
    #[must_use]
    pub fn max_timestamp(&self) -> Timestamp {
        Timestamp::from_millis(i64::from_le_bytes(self.field(at::MAX_TIMESTAMP)))
    }

    /// The time at which the log stored it, where that is the time of its records.
    pub(crate) fn append_time(&self) -> Option<Timestamp> {
        let attributes = u16::from_le_bytes(self.field(at::ATTRIBUTES));
        (attributes & bit::LOG_APPEND_TIME != 0).then(|| self.max_timestamp())
    }

    /// The same batch with its first record at `offset`.
    ///
    /// # Errors
    /// `InvalidInput` when its last offset would pass the largest there is.
    pub fn with_base_offset(mut self, offset: Offset) -> Result<Self> {
        let count = self.offset_count();
        if offset.checked_add(count).is_none() {
            let message = format!("{count} offsets from {offset} on: the largest is {}", Offset::MAX);
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        self.head_mut()[at::BASE_OFFSET].copy_from_slice(&offset.get().to_le_bytes());
        self.seal();
        Ok(self)
    }

    /// The same batch, of the leader of this term of office.
    #[must_use]
    pub fn with_leader_epoch(mut self, epoch: u32) -> Self {
        self.head_mut()[at::LEADER_EPOCH].copy_from_slice(&epoch.to_le_bytes());
        self.seal();
        self
    }

    /// Its records, from a copy of its bytes.
    ///
    /// # Errors
    /// `Unsupported` when they are compressed.
    pub fn records(&self) -> Result<Records> {
        let header = self.header();
        if let Some(codec) = header.codec() {
            return Err(refused(&Flaw::Compressed { codec }));
        }
        let count = if header.is_control() { 0 } else { header.record_count };
        let walk = Walk::new(0, self.buf.len(), usize::try_from(count).unwrap_or(0));
        Ok(Records::from_verified(Arc::new(self.buf.clone()), walk, Offset::ZERO, header.next_offset()))
    }

    /// Its checksum.
    pub(crate) fn crc32(&self) -> u32 {
        word(&self.buf, at::CRC32).unwrap_or(0)
    }

    /// The bytes of one field of the header, which is not decoded as a whole: appending asks for few of them.
    #[inline]
    fn field<const N: usize>(&self, range: Range<usize>) -> [u8; N] {
        self.buf.get(range).and_then(|field| field.first_chunk()).copied().expect(VERIFIED)
    }

    #[inline]
    fn u32_at(&self, range: Range<usize>) -> u32 {
        u32::from_le_bytes(self.field(range))
    }

    /// Its header.
    pub(crate) fn header(&self) -> BatchHeader {
        BatchHeader::decode(&self.buf).expect(VERIFIED)
    }

    /// Its buffer, for another batch: see [`BatchBuilder::reusing`].
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buf
    }

    /// Makes this the batch that is stored at `stamp`'s place, and returns its bytes.
    #[inline]
    pub(crate) fn stamp(&mut self, stamp: &Stamp) -> &[u8] {
        stamp_head(self.head_mut(), stamp);
        self.seal();
        &self.buf
    }

    /// Brings the checksum up to date with the header.
    #[inline]
    fn seal(&mut self) {
        let crc32 = match self.tail {
            None => checksum(&self.buf),
            Some(tail) => tail.join(self.head_mut()),
        };
        self.head_mut()[at::CRC32].copy_from_slice(&crc32.to_le_bytes());
    }

    #[inline]
    fn head_mut(&mut self) -> &mut [u8; HEADER_LEN] {
        self.buf.first_chunk_mut().expect("a batch begins with its header")
    }
}

/// Makes the whole batch in `bytes`, which was just verified elsewhere, the one that is stored at `stamp`'s
/// place, and returns its checksum.
///
/// # Panics
/// If there is no header.
pub(crate) fn stamp_verified(bytes: &mut [u8], stamp: &Stamp) -> u32 {
    stamp_head(bytes.first_chunk_mut().expect(VERIFIED), stamp);
    let crc32 = checksum(bytes);
    let head: &mut [u8; HEADER_LEN] = bytes.first_chunk_mut().expect(VERIFIED);
    head[at::CRC32].copy_from_slice(&crc32.to_le_bytes());
    crc32
}

#[inline]
fn stamp_head(head: &mut [u8; HEADER_LEN], stamp: &Stamp) {
    let place = Place { salt: stamp.salt, position: stamp.position };
    let length = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
    head[at::CHECK].copy_from_slice(&check(place, length).to_le_bytes());
    head[at::SYNCED].copy_from_slice(&stamp.synced.get().to_le_bytes());
    head[at::BASE_OFFSET].copy_from_slice(&stamp.base_offset.get().to_le_bytes());
    head[at::LEADER_EPOCH].copy_from_slice(&stamp.leader_epoch.to_le_bytes());
    if let Times::LogAppend(time) = stamp.times {
        set_append_time(head, time);
    }
}

/// Kafka's checksum covers both fields that this changes, so that a stored one no longer holds.
fn set_append_time(head: &mut [u8; HEADER_LEN], time: Timestamp) {
    let old = u16::from_le_bytes([head[at::ATTRIBUTES.start], head[at::ATTRIBUTES.start + 1]]);
    let new = (old | bit::LOG_APPEND_TIME) & !bit::KAFKA_CRC;
    head[at::ATTRIBUTES].copy_from_slice(&new.to_le_bytes());
    head[at::MAX_TIMESTAMP].copy_from_slice(&time.as_millis().to_le_bytes());
}

fn refused(flaw: &Flaw) -> Error {
    Error::new(flaw.kind(), format!("batch refused: {flaw}"))
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("base_offset", &self.base_offset())
            .field("record_count", &self.record_count())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
