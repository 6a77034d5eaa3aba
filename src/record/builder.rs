//! Records on their way into one batch.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "it encodes: what it counts it has written itself, below the limit of a batch"
)]

use super::batch_header::{HEADER_LEN, at};
use super::limits::HEADER_COUNT_MAX;
use super::pen::Pen;
use super::varint::{VARINT_LEN_MAX, VARLONG_LEN_MAX, varint_len, varlong_len};
use super::{Batch, BatchLimits, Header, Record};
use crate::{Error, ErrorKind, Result, Timestamp};

/// The most that is allocated before it is known to be needed.
const RESERVE_LEN_MAX: usize = 64 << 10;

/// Gathers records for one batch, already encoded.
///
/// ```text
///     BatchBuilder --push--> ... --finish--> Batch --stamp--> stored --into_buffer, reusing--> BatchBuilder
/// ```
#[derive(Debug)]
pub(crate) struct BatchBuilder {
    /// Room for the header, then the records section, then bytes of no meaning: growing in steps and
    /// writing by slice is faster than pushing.
    buf: Vec<u8>,
    /// Where the next record goes.
    end: usize,
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

    /// An empty one that writes over what is in `buf`.
    pub(crate) const fn reusing(buf: Vec<u8>, limits: BatchLimits) -> Self {
        Self { buf, end: HEADER_LEN, limits, record_count: 0, base_timestamp: 0, max_timestamp: i64::MIN }
    }

    /// How many records it holds.
    pub(crate) const fn record_count(&self) -> u32 {
        self.record_count
    }

    /// Bytes the batch would have now.
    pub(crate) const fn len(&self) -> usize {
        self.end
    }

    /// Adds a record; one without a time of its own gets `now`. On an error nothing was added.
    ///
    /// # Errors
    /// - `TooLarge`: with it the batch would pass its limit, or it has too many headers.
    /// - `InvalidInput`: its time is too far from the first record's to be expressed.
    #[cfg(test)]
    pub(crate) fn push(&mut self, record: &Record<'_>, now: Timestamp) -> Result<()> {
        self.push_of(record, now, 1, usize::MAX).map(|added| assert!(added, "no other limit was set"))
    }

    /// The same, unless the batch would be larger than `bytes_wanted` with it, or cannot express its time: then
    /// nothing was added, and it goes into the next batch. An empty batch takes any record below the limit.
    ///
    /// # Errors
    /// `TooLarge`: the record is above the limit of a batch, or has too many headers. Nothing was added.
    #[inline]
    pub(crate) fn push_within(
        &mut self,
        record: &Record<'_>,
        now: Timestamp,
        bytes_wanted: usize,
    ) -> Result<bool> {
        self.push_of(record, now, 1, bytes_wanted)
    }

    /// Adds a record that is the first of about `count` like it.
    #[inline]
    fn push_of(
        &mut self,
        record: &Record<'_>,
        now: Timestamp,
        count: usize,
        bytes_wanted: usize,
    ) -> Result<bool> {
        let timestamp = record.timestamp.unwrap_or(now).as_millis();
        let base = if self.record_count == 0 { timestamp } else { self.base_timestamp };
        let is_next = self.record_count > 0 && bytes_wanted < usize::MAX;
        let Some(timestamp_delta) = timestamp.checked_sub(base) else {
            return if is_next { Ok(false) } else { Err(too_far(base, timestamp)) };
        };
        let offset_delta = i32::try_from(self.record_count).unwrap_or(i32::MAX);
        let body_len = body_len(record, timestamp_delta, offset_delta);
        let len = varint_len(as_i32(body_len)).saturating_add(body_len);
        let end = self.end.saturating_add(len);
        if end > bytes_wanted && is_next {
            return Ok(false);
        }
        self.limits.admit(end)?;
        admit_headers(record.headers.len())?;
        self.make_room(end, len, count);
        write(&mut self.buf[self.end..end], record, body_len, timestamp_delta, offset_delta);
        self.end = end;
        self.base_timestamp = base;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.record_count += 1;
        Ok(true)
    }

    /// Room up to `end`, where the record of `len` bytes will end; and, within reason, for `count` like it.
    #[inline]
    fn make_room(&mut self, end: usize, len: usize, count: usize) {
        if end > self.buf.len() {
            // Later records have longer offset deltas.
            let more = (len + VARINT_LEN_MAX).saturating_mul(count - 1).min(RESERVE_LEN_MAX);
            let doubled = if self.buf.is_empty() { 0 } else { 2 * self.buf.len() };
            self.grow((end + more).max(doubled));
        }
    }

    fn grow(&mut self, len: usize) {
        self.buf.reserve_exact(len - self.buf.len());
        self.buf.resize(len, 0);
    }

    /// The batch, with offsets from 0 and not yet sealed: see [`Batch::unsealed`].
    ///
    /// # Errors
    /// `InvalidInput` when it holds no record.
    pub(crate) fn finish(mut self) -> Result<Batch> {
        let last_offset_delta = self
            .record_count
            .checked_sub(1)
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "a batch without records"))?;
        self.buf.truncate(self.end);
        let length = u32::try_from(self.end).expect("the limit of a batch is below 4 GiB");
        let head: &mut [u8; HEADER_LEN] = self.buf.first_chunk_mut().expect("room was made for the header");
        head.fill(0); // of a batch before this one in the same buffer
        head[at::LENGTH].copy_from_slice(&length.to_le_bytes());
        head[at::LAST_OFFSET_DELTA].copy_from_slice(&last_offset_delta.to_le_bytes());
        head[at::RECORD_COUNT].copy_from_slice(&self.record_count.to_le_bytes());
        head[at::BASE_TIMESTAMP].copy_from_slice(&self.base_timestamp.to_le_bytes());
        head[at::MAX_TIMESTAMP].copy_from_slice(&self.max_timestamp.to_le_bytes());
        Ok(Batch::unsealed(self.buf))
    }

    /// A batch of all `records`, not yet sealed.
    ///
    /// # Errors
    /// As of [`Batch::from_records`].
    pub(crate) fn build<'r>(
        records: impl IntoIterator<Item = Record<'r>>,
        now: Timestamp,
        limits: BatchLimits,
    ) -> Result<Batch> {
        let records = records.into_iter();
        let count = records.size_hint().0.max(1);
        let mut builder = Self::new(limits);
        for record in records {
            builder.push_of(&record, now, count, usize::MAX)?;
        }
        builder.finish()
    }
}

/// No fewer bytes than `record` takes in any batch, and not many more.
#[inline]
pub(crate) fn len_bound(record: &Record<'_>) -> usize {
    let part = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len).saturating_add(VARINT_LEN_MAX);
    let headers = record
        .headers
        .iter()
        .map(|header| part(Some(header.key().as_bytes())).saturating_add(part(header.value())));
    let headers = headers.fold(0, usize::saturating_add);
    // Its length, its attributes, its time, its number, how many headers.
    let fixed = 4 * VARINT_LEN_MAX + VARLONG_LEN_MAX;
    part(record.key).saturating_add(part(record.value)).saturating_add(headers).saturating_add(fixed)
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

#[inline]
fn write(out: &mut [u8], record: &Record<'_>, body_len: usize, timestamp_delta: i64, offset_delta: i32) {
    let len = out.len();
    let mut pen = Pen::new(out);
    pen.varint(as_i32(body_len));
    pen.byte(0); // Kafka defines no attributes of a record
    pen.varlong(timestamp_delta);
    pen.varint(offset_delta);
    write_bytes(&mut pen, record.key);
    write_bytes(&mut pen, record.value);
    pen.varint(as_i32(record.headers.len()));
    for header in &record.headers {
        write_bytes(&mut pen, Some(header.key().as_bytes()));
        write_bytes(&mut pen, header.value());
    }
    assert_eq!(pen.at(), len, "a record's length was computed wrongly");
}

#[inline]
fn write_bytes(pen: &mut Pen<'_>, bytes: Option<&[u8]>) {
    pen.varint(bytes.map_or(-1, |bytes| as_i32(bytes.len())));
    pen.bytes(bytes.unwrap_or_default());
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
