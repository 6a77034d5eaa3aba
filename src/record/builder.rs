//! Records on their way into one batch.

use super::batch_header::{HEADER_LEN, at};
use super::limits::HEADER_COUNT_MAX;
use super::varint::{Gather, VARINT_LEN_MAX, VARLONG_LEN_MAX, varint_len, varlong_len};
use super::{Batch, BatchLimits, Header, Record};
use crate::{Error, ErrorKind, Result, Timestamp};

/// Bytes of a record before its key: length, attributes, timestamp delta, offset delta, length of the key.
const PREFIX_LEN_MAX: usize = 1 + VARLONG_LEN_MAX + 3 * VARINT_LEN_MAX;

/// The most that is allocated before it is known to be needed.
const RESERVE_LEN_MAX: usize = 64 << 10;

/// Gathers records for one batch, already encoded.
///
/// ```text
///     BatchBuilder --push--> ... --finish--> Batch --stamp--> stored --into_builder--> BatchBuilder
/// ```
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    /// Room for the header, then the records section.
    buf: Vec<u8>,
    limits: BatchLimits,
    record_count: u32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// An empty one.
    pub(crate) fn new(limits: BatchLimits) -> Self {
        Self::reusing(Vec::new(), limits)
    }

    /// An empty one that writes into `buf`, whose content is dropped.
    pub(crate) fn reusing(mut buf: Vec<u8>, limits: BatchLimits) -> Self {
        buf.clear();
        Self { buf, limits, record_count: 0, base_timestamp: 0, max_timestamp: i64::MIN }
    }

    /// How many records it holds.
    pub(crate) const fn record_count(&self) -> u32 {
        self.record_count
    }

    /// Bytes the batch would have now.
    pub(crate) fn len(&self) -> usize {
        self.buf.len().max(HEADER_LEN)
    }

    /// Adds a record; one without a time of its own gets `now`. On an error nothing was added.
    ///
    /// # Errors
    /// - `TooLarge`: with it the batch would pass its limit, or it has too many headers.
    /// - `InvalidInput`: its time is too far from the first record's to be expressed.
    pub(crate) fn push(&mut self, record: &Record<'_>, now: Timestamp) -> Result<()> {
        self.push_of(record, now, 1)
    }

    /// Adds a record that is the first of about `count` like it.
    fn push_of(&mut self, record: &Record<'_>, now: Timestamp, count: usize) -> Result<()> {
        let timestamp = record.timestamp.unwrap_or(now).as_millis();
        let base = if self.record_count == 0 { timestamp } else { self.base_timestamp };
        let timestamp_delta = timestamp.checked_sub(base).ok_or_else(|| too_far(base, timestamp))?;
        let offset_delta = i32::try_from(self.record_count).unwrap_or(i32::MAX);
        let body_len = body_len(record, timestamp_delta, offset_delta);
        let len = varint_len(as_i32(body_len)).saturating_add(body_len);
        self.limits.admit(self.len().saturating_add(len))?;
        admit_headers(record.headers.len())?;
        self.make_room(len, count);
        write(&mut self.buf, record, body_len, timestamp_delta, offset_delta);
        self.base_timestamp = base;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.record_count += 1;
        Ok(())
    }

    /// Room for the header and for `count` records of `len` bytes, within reason.
    fn make_room(&mut self, len: usize, count: usize) {
        if self.buf.is_empty() {
            let most = RESERVE_LEN_MAX.max(len);
            self.buf.reserve(HEADER_LEN + len.saturating_mul(count).min(most));
            self.buf.extend_from_slice(&[0; HEADER_LEN]);
        }
    }

    /// The batch, with offsets from 0.
    ///
    /// # Errors
    /// `InvalidInput` when it holds no record.
    pub(crate) fn finish(mut self) -> Result<Batch> {
        let last_offset_delta = self
            .record_count
            .checked_sub(1)
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "a batch without records"))?;
        let length = u32::try_from(self.buf.len()).expect("the limit of a batch is below 4 GiB");
        let head: &mut [u8; HEADER_LEN] = self.buf.first_chunk_mut().expect("room was made for the header");
        head[at::LENGTH].copy_from_slice(&length.to_le_bytes());
        head[at::LAST_OFFSET_DELTA].copy_from_slice(&last_offset_delta.to_le_bytes());
        head[at::RECORD_COUNT].copy_from_slice(&self.record_count.to_le_bytes());
        head[at::BASE_TIMESTAMP].copy_from_slice(&self.base_timestamp.to_le_bytes());
        head[at::MAX_TIMESTAMP].copy_from_slice(&self.max_timestamp.to_le_bytes());
        Ok(Batch::sealed(self.buf))
    }

    /// A batch of all `records`.
    pub(super) fn build<'r>(
        records: impl IntoIterator<Item = Record<'r>>,
        now: Timestamp,
        limits: BatchLimits,
    ) -> Result<Batch> {
        let records = records.into_iter();
        let count = records.size_hint().0.max(1);
        let mut builder = Self::new(limits);
        for record in records {
            builder.push_of(&record, now, count)?;
        }
        builder.finish()
    }
}

/// Bytes of `record` behind its own length. Saturates, far above every limit.
#[inline]
fn body_len(record: &Record<'_>, timestamp_delta: i64, offset_delta: i32) -> usize {
    let fixed = 1 + varlong_len(timestamp_delta) + varint_len(offset_delta);
    let parts = bytes_len(record.key).saturating_add(bytes_len(record.value));
    let headers = record.headers.iter().map(header_len).fold(0, usize::saturating_add);
    let count = varint_len(as_i32(record.headers.len()));
    parts.saturating_add(headers).saturating_add(fixed + count)
}

fn header_len(header: &Header<'_>) -> usize {
    bytes_len(Some(header.key().as_bytes())).saturating_add(bytes_len(header.value()))
}

/// Bytes that a length and the bytes it speaks of take.
#[inline]
fn bytes_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varint_len(as_i32(bytes.len())).saturating_add(bytes.len()))
}

/// Lengths that no limit admits become the largest.
#[inline]
fn as_i32(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}

fn write(buf: &mut Vec<u8>, record: &Record<'_>, body_len: usize, timestamp_delta: i64, offset_delta: i32) {
    let mut prefix = Gather::<PREFIX_LEN_MAX>::new();
    prefix.varint(as_i32(body_len));
    prefix.byte(0); // Kafka defines no attributes of a record
    prefix.varlong(timestamp_delta);
    prefix.varint(offset_delta);
    prefix.varint(record.key.map_or(-1, |key| as_i32(key.len())));
    buf.extend_from_slice(prefix.as_slice());
    buf.extend_from_slice(record.key.unwrap_or_default());
    write_bytes(buf, record.value);
    let mut count = Gather::<VARINT_LEN_MAX>::new();
    count.varint(as_i32(record.headers.len()));
    buf.extend_from_slice(count.as_slice());
    for header in &record.headers {
        write_bytes(buf, Some(header.key().as_bytes()));
        write_bytes(buf, header.value());
    }
}

#[inline]
fn write_bytes(buf: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let mut len = Gather::<VARINT_LEN_MAX>::new();
    len.varint(bytes.map_or(-1, |bytes| as_i32(bytes.len())));
    buf.extend_from_slice(len.as_slice());
    buf.extend_from_slice(bytes.unwrap_or_default());
}

fn admit_headers(count: usize) -> Result<()> {
    if count <= HEADER_COUNT_MAX {
        return Ok(());
    }
    let message = format!("record with {count} headers: the limit is {HEADER_COUNT_MAX}");
    Err(Error::new(ErrorKind::TooLarge, message))
}

fn too_far(base: i64, timestamp: i64) -> Error {
    let message = format!("timestamps {base} ms and {timestamp} ms are too far apart for one batch");
    Error::new(ErrorKind::InvalidInput, message)
}
