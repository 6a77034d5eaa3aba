//! One slot of the manifest.
//!
//! ```text
//!     frame [16] │ capacity u32 │ length u32 │ generation u64 │ topic [16] │ partition u32 │ leader_epoch u32
//!     │ log_start u64 │ next_sequence u64 │ segment_count u32 │ lost_count u32 │ segments │ lost │ zeros
//!     segment: sequence u64 │ first_offset u64 │ end_offset u64 │ digest u64 │ last_append_time i64
//!              │ max_timestamp i64 │ end u32 │ state u8 │ layout u8 │ zero u16
//!     lost:    from u64 │ to u64
//! ```
//!
//! The checksum covers the whole slot, zeros included. Frame and capacity keep their places in every version.

use super::{LostRange, Manifest, SegmentEntry, SegmentState, SlotFlaw};
use crate::segment::{FRAME_LEN, Fields, Frame, Layout};
use crate::{Offset, Timestamp};

pub(super) const FRAME: Frame = Frame { magic: *b"ANNALMAN", version: 1 };

/// Bytes before the first segment.
const HEAD_LEN: usize = FRAME_LEN + 64;
const SEGMENT_LEN: usize = 56;
const LOST_LEN: usize = 16;

impl Manifest {
    /// How many bytes of a slot it takes.
    pub(super) fn encoded_len(&self) -> usize {
        let segments_len = self.segments.len().saturating_mul(SEGMENT_LEN);
        let lost_len = self.lost.len().saturating_mul(LOST_LEN);
        HEAD_LEN.saturating_add(segments_len).saturating_add(lost_len)
    }

    /// A whole slot of this capacity.
    ///
    /// # Panics
    /// If the manifest does not fit it.
    pub(super) fn encode(&self, capacity: u32) -> Vec<u8> {
        let slot_len = usize::try_from(capacity).unwrap_or(usize::MAX);
        // So counts and lengths have 32 bits too.
        assert!(self.encoded_len() <= slot_len, "a manifest of {} bytes does not fit", self.encoded_len());
        let mut bytes = FRAME.begin(slot_len);
        bytes.extend_from_slice(&capacity.to_le_bytes());
        bytes.extend_from_slice(&to_u32(self.encoded_len()).to_le_bytes());
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(&self.topic.to_bytes());
        bytes.extend_from_slice(&self.partition.to_le_bytes());
        bytes.extend_from_slice(&self.leader_epoch.to_le_bytes());
        bytes.extend_from_slice(&self.log_start.get().to_le_bytes());
        bytes.extend_from_slice(&self.next_sequence.to_le_bytes());
        bytes.extend_from_slice(&to_u32(self.segments.len()).to_le_bytes());
        bytes.extend_from_slice(&to_u32(self.lost.len()).to_le_bytes());
        self.segments.iter().for_each(|segment| segment.encode(&mut bytes));
        for range in &self.lost {
            bytes.extend_from_slice(&range.from.get().to_le_bytes());
            bytes.extend_from_slice(&range.to.get().to_le_bytes());
        }
        bytes.resize(slot_len, 0);
        FRAME.seal(&mut bytes);
        bytes
    }

    /// Reads a slot; `bytes` are all of it.
    ///
    /// # Errors
    /// When anything is wrong with it, its meaning included.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, SlotFlaw> {
        let mut fields = FRAME.open(bytes)?;
        let short = SlotFlaw::Short { expected: HEAD_LEN as u64, found: bytes.len() as u64 };
        let (Some(capacity), Some(length), Some(generation)) = (fields.u32(), fields.u32(), fields.u64())
        else {
            return Err(short);
        };
        if u64::from(capacity) != bytes.len() as u64 {
            return Err(SlotFlaw::Short { expected: u64::from(capacity), found: bytes.len() as u64 });
        }
        let (Some(topic), Some(partition), Some(leader_epoch)) = (fields.topic(), fields.u32(), fields.u32())
        else {
            return Err(short);
        };
        let (log_start, Some(next_sequence)) = (offset("log start", &mut fields)?, fields.u64()) else {
            return Err(short);
        };
        let (Some(segment_count), Some(lost_count)) = (fields.u32(), fields.u32()) else {
            return Err(short);
        };
        check_length(length, segment_count, lost_count, bytes.len())?;
        let segments =
            (0..segment_count).map(|_| SegmentEntry::decode(&mut fields)).collect::<Result<_, _>>()?;
        let lost = (0..lost_count).map(|_| LostRange::decode(&mut fields)).collect::<Result<_, _>>()?;
        if let Some(byte) = fields.rest().iter().find(|byte| **byte != 0) {
            return Err(SlotFlaw::Field { field: "rest", expected: "zeros", found: u64::from(*byte) });
        }
        let manifest =
            Self { generation, topic, partition, log_start, next_sequence, leader_epoch, segments, lost };
        manifest.check().map_err(SlotFlaw::Meaning)?;
        Ok(manifest)
    }
}

/// A count or length that was checked to have 32 bits.
fn to_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Checks that a slot of `slot_len` bytes has room for what it counts, before anything is allocated for it.
fn check_length(length: u32, segment_count: u32, lost_count: u32, slot_len: usize) -> Result<(), SlotFlaw> {
    let segments_len = u64::from(segment_count).saturating_mul(SEGMENT_LEN as u64);
    let lost_len = u64::from(lost_count).saturating_mul(LOST_LEN as u64);
    let expected = (HEAD_LEN as u64).saturating_add(segments_len).saturating_add(lost_len);
    if u64::from(length) != expected {
        return Err(SlotFlaw::Length { expected, found: u64::from(length) });
    }
    if expected > slot_len as u64 {
        return Err(SlotFlaw::Short { expected, found: slot_len as u64 });
    }
    Ok(())
}

impl SegmentEntry {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.first_offset.get().to_le_bytes());
        bytes.extend_from_slice(&self.end_offset.get().to_le_bytes());
        bytes.extend_from_slice(&self.digest.to_le_bytes());
        bytes.extend_from_slice(&self.last_append_time.as_millis().to_le_bytes());
        bytes.extend_from_slice(&self.max_timestamp.as_millis().to_le_bytes());
        bytes.extend_from_slice(&self.end.get().to_le_bytes());
        bytes.extend_from_slice(&[self.state.code(), self.layout.code(), 0, 0]);
    }

    fn decode(fields: &mut Fields<'_>) -> Result<Self, SlotFlaw> {
        let sequence = number("sequence", fields)?;
        let first_offset = offset("first offset", fields)?;
        let end_offset = offset("end offset", fields)?;
        let digest = number("digest", fields)?;
        let last_append_time = Timestamp::from_millis(number("last append time", fields)?.cast_signed());
        let max_timestamp = Timestamp::from_millis(number("max timestamp", fields)?.cast_signed());
        let cut =
            SlotFlaw::Field { field: "segment", expected: "56 bytes", found: fields.rest().len() as u64 };
        let (Some(end), Some(state), Some(layout), Some(zero)) =
            (fields.position(), fields.u8(), fields.u8(), fields.u16())
        else {
            return Err(cut);
        };
        let field = |field, expected, found| SlotFlaw::Field { field, expected, found };
        let state = SegmentState::from_code(state)
            .ok_or_else(|| field("segment state", "0 to 2", u64::from(state)))?;
        let layout = Layout::from_code(layout).ok_or_else(|| field("layout", "0 or 1", u64::from(layout)))?;
        if zero != 0 {
            return Err(field("segment", "zeros at its end", u64::from(zero)));
        }
        Ok(Self {
            sequence,
            state,
            first_offset,
            end_offset,
            end,
            digest,
            last_append_time,
            max_timestamp,
            layout,
        })
    }
}

impl LostRange {
    fn decode(fields: &mut Fields<'_>) -> Result<Self, SlotFlaw> {
        Ok(Self { from: offset("lost from", fields)?, to: offset("lost to", fields)? })
    }
}

impl SegmentState {
    fn code(self) -> u8 {
        match self {
            Self::Sealed => 0,
            Self::Open => 1,
            Self::Prepared => 2,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Sealed),
            1 => Some(Self::Open),
            2 => Some(Self::Prepared),
            _ => None,
        }
    }
}

fn number(field: &'static str, fields: &mut Fields<'_>) -> Result<u64, SlotFlaw> {
    let left = fields.rest().len() as u64;
    fields.u64().ok_or(SlotFlaw::Field { field, expected: "8 bytes", found: left })
}

fn offset(field: &'static str, fields: &mut Fields<'_>) -> Result<Offset, SlotFlaw> {
    let found = number(field, fields)?;
    Offset::new(found).ok_or(SlotFlaw::Field { field, expected: "at most 2^63 - 1", found })
}
