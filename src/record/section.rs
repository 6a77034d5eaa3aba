//! The records section of a batch, byte for byte Kafka's.
//!
//! ```text
//!     section = record*
//!     record  = length varint | attributes u8 | timestamp_delta varlong | offset_delta varint
//!               | key bytes | value bytes | header count varint | header*
//!     header  = name bytes | value bytes
//!     bytes   = length varint (-1: null) | that many bytes
//! ```

use super::limits::{HEADER_COUNT_MAX, RECORD_COUNT_MAX};
use super::varint::Cursor;
use super::view::{Headers, RecordRef};
use super::{BatchHeader, Flaw};
use crate::{Offset, Timestamp};

/// What a batch's header says of each of its records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    base_offset: Offset,
    base_timestamp: i64,
    append_time: Option<Timestamp>,
    leader_epoch: u32,
}

/// Where a part of a record lies in its buffer. None: the part is null.
pub(super) type Span = Option<(usize, usize)>;

/// A record, taken apart and not yet looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) offset: Offset,
    pub(super) timestamp: Timestamp,
    pub(super) leader_epoch: u32,
    pub(super) key: Span,
    pub(super) value: Span,
    pub(super) headers: (usize, usize),
    pub(super) header_count: u32,
}

impl Frame {
    pub(super) fn of(header: &BatchHeader) -> Self {
        Self {
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp.as_millis(),
            append_time: header.append_time(),
            leader_epoch: header.leader_epoch,
        }
    }

    /// The record at `cursor`, which moves to its end; what is wrong with it otherwise. The insides of its
    /// headers are left alone.
    #[inline]
    pub(super) fn read(&self, cursor: &mut Cursor<'_>) -> Result<Fields, &'static str> {
        let len = cursor.varint().ok_or("its length cannot be read")?;
        let len = usize::try_from(len).map_err(|_| "its length is negative")?;
        let mut body = cursor.fork(len).ok_or("it reaches beyond the batch's end")?;
        body.byte().ok_or("its attributes are cut off")?;
        let timestamp_delta = body.varlong().ok_or("its timestamp cannot be read")?;
        let offset_delta = body.varint().ok_or("its offset cannot be read")?;
        let key = span(&mut body).ok_or("its key cannot be read")?;
        let value = span(&mut body).ok_or("its value cannot be read")?;
        let header_count = body.varint().ok_or("its header count cannot be read")?;
        let header_count = u32::try_from(header_count).map_err(|_| "its header count is negative")?;
        let offset_delta = u32::try_from(offset_delta).map_err(|_| "its offset delta is negative")?;
        let timestamp = match self.append_time {
            Some(time) => time,
            None => self
                .base_timestamp
                .checked_add(timestamp_delta)
                .map(Timestamp::from_millis)
                .ok_or("its timestamp overflows")?,
        };
        Ok(Fields {
            offset: self.base_offset.saturating_add(u64::from(offset_delta)),
            timestamp,
            leader_epoch: self.leader_epoch,
            key,
            value,
            headers: (body.at(), body.end()),
            header_count,
        })
    }
}

impl Fields {
    /// Bytes of its key, its value and its headers.
    pub(super) fn len(&self) -> usize {
        let len = |(from, to): (usize, usize)| to.saturating_sub(from);
        let (key, value) = (self.key.map_or(0, len), self.value.map_or(0, len));
        key.saturating_add(value).saturating_add(len(self.headers))
    }

    /// The record's parts in `buffer`, which it was read from.
    #[inline]
    pub(super) fn resolve<'a>(&self, buffer: &'a [u8]) -> RecordRef<'a> {
        let part = |(from, to): (usize, usize)| buffer.get(from..to).unwrap_or_default();
        RecordRef {
            offset: self.offset,
            timestamp: self.timestamp,
            leader_epoch: self.leader_epoch,
            key: self.key.map(part),
            value: self.value.map(part),
            headers: Headers::new(part(self.headers), self.header_count),
        }
    }
}

/// A length and that many bytes. The outer none: the bytes end early, or the length is below -1.
#[inline]
fn span(cursor: &mut Cursor<'_>) -> Option<Span> {
    let len = cursor.varint()?;
    if len == -1 {
        return Some(None);
    }
    let from = cursor.at();
    cursor.take(usize::try_from(len).ok()?)?;
    Some(Some((from, cursor.at())))
}

/// Whether `batch`, whose header is `header`, holds the records that its header promises, and nothing else.
/// A compressed section is left alone.
pub(super) fn verify(batch: &[u8], header: &BatchHeader) -> Result<(), Flaw> {
    if header.codec().is_some() {
        return Ok(());
    }
    let frame = Frame::of(header);
    let cursor = &mut Cursor::new(batch, header.records_at());
    let mut least = header.base_offset;
    for index in 0..header.record_count {
        let wrong = |what| Flaw::Records { index, what };
        let fields = frame.read(cursor).map_err(wrong)?;
        if fields.offset < least {
            return Err(wrong("its offset is not above that of the record before it"));
        }
        if fields.offset >= header.next_offset() {
            return Err(wrong("its offset is beyond the batch's last"));
        }
        if fields.timestamp > header.max_timestamp {
            return Err(wrong("its timestamp is later than the batch's latest"));
        }
        verify_headers(batch, &fields).map_err(wrong)?;
        least = fields.offset.next();
    }
    if cursor.left() > 0 {
        return Err(Flaw::Records { index: header.record_count, what: "bytes follow the last record" });
    }
    Ok(())
}

/// Whether a record's headers fill their place exactly, each with a name in UTF-8.
fn verify_headers(batch: &[u8], fields: &Fields) -> Result<(), &'static str> {
    let (from, to) = fields.headers;
    if fields.header_count == 0 {
        return if from == to { Ok(()) } else { Err("bytes follow its last header") };
    }
    if usize::try_from(fields.header_count).map_or(true, |count| count > HEADER_COUNT_MAX) {
        return Err("it has more headers than are allowed");
    }
    let cursor = &mut Cursor::new(batch.get(..to).unwrap_or_default(), from);
    for _ in 0..fields.header_count {
        Headers::read(cursor).ok_or("a header cannot be read, or its name is not UTF-8")?;
    }
    if cursor.left() > 0 { Err("bytes follow its last header") } else { Ok(()) }
}

const _: () = assert!(RECORD_COUNT_MAX <= i32::MAX.cast_unsigned(), "offset deltas are an i32");
