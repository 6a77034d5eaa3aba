//! The 56 bytes that every batch begins with, and the 24 that may follow them.
//!
//! ```text
//!     0        4        8        12       16                24       28       32
//!     | crc32  | check  | length | synced | base_offset     | last   | record |
//!     |        |        |        |        |                 | delta  | count  |
//!     32                40                48       52   54  56
//!     | base_timestamp  | max_timestamp   | epoch  |attr|zero|
//!     56                64       68   70   72       76       80    if the identity bit is set
//!     | producer_id     |sequence|epoc|zero| crc32c | zero   |
//! ```

use super::Flaw;
use super::limits::RECORD_COUNT_MAX;
use crate::{Offset, Position, Timestamp};

/// Bytes of the header.
pub(crate) const HEADER_LEN: usize = 56;

/// Bytes of the identity block.
pub(crate) const IDENTITY_LEN: usize = 24;

/// Where the fields that are set on a finished batch lie.
pub(super) mod at {
    use std::ops::Range;

    pub(in crate::record) const CRC32: Range<usize> = 0..4;
    pub(in crate::record) const CHECK: Range<usize> = 4..8;
    pub(in crate::record) const LENGTH: Range<usize> = 8..12;
    pub(in crate::record) const SYNCED: Range<usize> = 12..16;
    pub(in crate::record) const BASE_OFFSET: Range<usize> = 16..24;
    pub(in crate::record) const LAST_OFFSET_DELTA: Range<usize> = 24..28;
    pub(in crate::record) const RECORD_COUNT: Range<usize> = 28..32;
    pub(in crate::record) const BASE_TIMESTAMP: Range<usize> = 32..40;
    pub(in crate::record) const MAX_TIMESTAMP: Range<usize> = 40..48;
    pub(in crate::record) const LEADER_EPOCH: Range<usize> = 48..52;
    pub(in crate::record) const ATTRIBUTES: Range<usize> = 52..54;
}

/// Bits of `attributes`.
pub(super) mod bit {
    pub(in crate::record) const COMPRESSION: u16 = 0x0007;
    pub(in crate::record) const LOG_APPEND_TIME: u16 = 0x0008;
    pub(in crate::record) const TRANSACTIONAL: u16 = 0x0010;
    pub(in crate::record) const CONTROL: u16 = 0x0020;
    pub(in crate::record) const DELETE_HORIZON: u16 = 0x0040;
    pub(in crate::record) const IDENTITY: u16 = 0x0100;
    pub(in crate::record) const KAFKA_CRC: u16 = 0x0200;
    pub(in crate::record) const KNOWN: u16 =
        COMPRESSION | LOG_APPEND_TIME | TRANSACTIONAL | CONTROL | DELETE_HORIZON | IDENTITY | KAFKA_CRC;
}

/// A batch's header, each field within its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) crc32: u32,
    pub(crate) check: u32,
    /// Exact bytes of the batch, header included, padding not.
    pub(crate) length: u32,
    /// End (exclusive) of what was known to be synced in this segment when the batch was stored.
    pub(crate) synced: Position,
    pub(crate) base_offset: Offset,
    pub(crate) last_offset_delta: u32,
    pub(crate) record_count: u32,
    pub(crate) base_timestamp: Timestamp,
    pub(crate) max_timestamp: Timestamp,
    pub(crate) leader_epoch: u32,
    pub(crate) attributes: u16,
    pub(crate) identity: Option<Identity>,
}

/// Who wrote a batch, and what Kafka's checksum of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// None (-1 on disk): the block is there for the checksum alone.
    pub(crate) producer: Option<Producer>,
    /// None: a field that it covers was changed since.
    pub(crate) kafka_crc32c: Option<u32>,
}

/// An idempotent producer and its place in its own sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    pub(crate) base_sequence: i32,
}

impl BatchHeader {
    /// The header at the start of `bytes`, with its fields held to their bounds. The checksum, and whether
    /// the batch belongs where it lies, are not looked at here.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Flaw> {
        let short = Flaw::Incomplete { needed: HEADER_LEN };
        let mut header = Self::fields(bytes).ok_or(short)??;
        header.hold_to_bounds()?;
        if header.attributes & bit::IDENTITY != 0 {
            // The length that leaves no room for the block was proved: more bytes would not help.
            let no_room = Flaw::Field { name: "length", found: u64::from(header.length) };
            let block = bytes.get(HEADER_LEN..).unwrap_or_default();
            header.identity = Some(Identity::decode(block, header.attributes).ok_or(no_room)??);
        }
        Ok(header)
    }

    /// The fields as they lie; none when the bytes end early.
    fn fields(bytes: &[u8]) -> Option<Result<Self, Flaw>> {
        let rest = &mut &*bytes;
        let crc32 = u32::from_le_bytes(take(rest)?);
        let check = u32::from_le_bytes(take(rest)?);
        let length = u32::from_le_bytes(take(rest)?);
        let synced = Position::new(u32::from_le_bytes(take(rest)?));
        let offset = u64::from_le_bytes(take(rest)?);
        let last_offset_delta = u32::from_le_bytes(take(rest)?);
        let record_count = u32::from_le_bytes(take(rest)?);
        let base_timestamp = Timestamp::from_millis(i64::from_le_bytes(take(rest)?));
        let max_timestamp = Timestamp::from_millis(i64::from_le_bytes(take(rest)?));
        let leader_epoch = u32::from_le_bytes(take(rest)?);
        let attributes = u16::from_le_bytes(take(rest)?);
        let zero = u16::from_le_bytes(take(rest)?);
        if zero != 0 {
            return Some(Err(Flaw::Field { name: "zero", found: u64::from(zero) }));
        }
        let Some(base_offset) = Offset::new(offset) else {
            return Some(Err(Flaw::Field { name: "base_offset", found: offset }));
        };
        Some(Ok(Self {
            crc32,
            check,
            length,
            synced,
            base_offset,
            last_offset_delta,
            record_count,
            base_timestamp,
            max_timestamp,
            leader_epoch,
            attributes,
            identity: None,
        }))
    }

    fn hold_to_bounds(&self) -> Result<(), Flaw> {
        let field = |name, found| Err(Flaw::Field { name, found });
        if self.attributes & !bit::KNOWN != 0 {
            return Err(Flaw::Newer { attributes: self.attributes });
        }
        let needs_identity = bit::TRANSACTIONAL | bit::KAFKA_CRC;
        if self.attributes & needs_identity != 0 && self.attributes & bit::IDENTITY == 0 {
            return field("attributes", u64::from(self.attributes));
        }
        let span = u64::from(self.last_offset_delta) + 1;
        if self.last_offset_delta > RECORD_COUNT_MAX || self.base_offset.checked_add(span).is_none() {
            return field("last_offset_delta", u64::from(self.last_offset_delta));
        }
        if u64::from(self.record_count) > span {
            return field("record_count", u64::from(self.record_count));
        }
        Ok(())
    }

    /// The offset after the batch's last, whether or not a record of that offset is still in it.
    pub(crate) const fn next_offset(&self) -> Offset {
        self.base_offset.saturating_add(self.last_offset_delta as u64).next()
    }

    /// Where the records section begins.
    pub(crate) const fn records_at(&self) -> usize {
        if self.attributes & bit::IDENTITY == 0 { HEADER_LEN } else { HEADER_LEN + IDENTITY_LEN }
    }

    /// Whether the batch holds marks of transactions instead of records.
    pub(crate) const fn is_control(&self) -> bool {
        self.attributes & bit::CONTROL != 0
    }

    /// The name of what its records are compressed with.
    pub(crate) const fn codec(&self) -> Option<&'static str> {
        codec_name(self.attributes)
    }

    /// The one timestamp of all its records, where the log gave it.
    pub(crate) const fn append_time(&self) -> Option<Timestamp> {
        if self.attributes & bit::LOG_APPEND_TIME == 0 { None } else { Some(self.max_timestamp) }
    }
}

impl Identity {
    fn decode(block: &[u8], attributes: u16) -> Option<Result<Self, Flaw>> {
        let rest = &mut &*block;
        let id = i64::from_le_bytes(take(rest)?);
        let base_sequence = i32::from_le_bytes(take(rest)?);
        let epoch = i16::from_le_bytes(take(rest)?);
        let zero_16 = u16::from_le_bytes(take(rest)?);
        let crc32c = u32::from_le_bytes(take(rest)?);
        let zero_32 = u32::from_le_bytes(take(rest)?);
        if zero_16 != 0 || zero_32 != 0 {
            let found = u64::from(zero_16) << 32 | u64::from(zero_32);
            return Some(Err(Flaw::Field { name: "identity zero", found }));
        }
        Some(Ok(Self {
            producer: (id >= 0).then_some(Producer { id, epoch, base_sequence }),
            kafka_crc32c: (attributes & bit::KAFKA_CRC != 0).then_some(crc32c),
        }))
    }
}

/// What the lowest three bits of `attributes` stand for; none for records as they are.
const fn codec_name(attributes: u16) -> Option<&'static str> {
    match attributes & bit::COMPRESSION {
        0 => None,
        1 => Some("gzip"),
        2 => Some("snappy"),
        3 => Some("lz4"),
        4 => Some("zstd"),
        _ => Some("unknown"),
    }
}

/// Takes the first `N` bytes off `rest`.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, left) = rest.split_first_chunk::<N>()?;
    *rest = left;
    Some(*taken)
}
