//! The mark behind the last batch that says how far everything was synced.
//!
//! ```text
//!     crc32 u32 │ check u32 │ length u32 = 40 │ synced u32
//!     │ durable_offset u64 │ last_append_time i64 │ manifest_generation u64
//! ```
//!
//! It is stored after each sync and overwritten by the next batch: the one thing in a segment that is ever
//! overwritten, and never seen by a reader.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use super::{Fields, SEGMENT_HEADER_LEN};
use crate::record::{Place, check};
use crate::{Offset, Position, Timestamp};

/// Length of a tail mark, in bytes.
pub(crate) const TAIL_MARK_LEN: u32 = 40;

/// The same, as memory counts.
const LEN: usize = 40;

/// How far a segment, and all before it, was synced when the mark was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TailMark {
    /// The end (exclusive) of what was synced in this segment; at most where the mark lies.
    pub(crate) synced: Position,
    /// The offset (exclusive) that goes with `synced`.
    pub(crate) durable_offset: Offset,
    pub(crate) last_append_time: Timestamp,
    /// The newest manifest when the mark was stored.
    pub(crate) manifest_generation: u64,
}

/// Why bytes are not a tail mark of this segment at this position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TailMarkFlaw {
    #[error("tail mark: expected {LEN} bytes, found {found}")]
    Short { found: usize },
    #[error("tail mark: expected length {LEN}, found {found}")]
    Length { found: u32 },
    /// Not of this segment, or not stored at this position.
    #[error("tail mark: expected check {expected:#010x}, found {found:#010x}")]
    Check { expected: u32, found: u32 },
    #[error("tail mark: expected checksum {expected:#010x}, found {found:#010x}")]
    Checksum { expected: u32, found: u32 },
    #[error(
        "tail mark: synced: expected a multiple of 8 from {SEGMENT_HEADER_LEN} to {position}, found {found}"
    )]
    Synced { position: Position, found: Position },
    #[error("tail mark: durable offset: expected at most {}, found {found}", Offset::MAX)]
    Offset { found: u64 },
}

impl TailMark {
    /// The mark as it lies at `place`.
    pub(crate) fn encode(&self, place: Place) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let fields = [
            u64::from(TAIL_MARK_LEN) | u64::from(self.synced.get()) << 32,
            self.durable_offset.get(),
            self.last_append_time.as_millis().cast_unsigned(),
            self.manifest_generation,
        ];
        let (crc_and_check, rest) = bytes.split_at_mut(8);
        for (place, field) in rest.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        let (crc_place, check_place) = crc_and_check.split_at_mut(4);
        check_place.copy_from_slice(&check(place, TAIL_MARK_LEN).to_le_bytes());
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(check_place);
        hasher.update(rest);
        crc_place.copy_from_slice(&hasher.finalize().to_le_bytes());
        bytes
    }

    /// Reads the mark that lies at `place`; looks at no more than its length.
    ///
    /// # Errors
    /// When there is none: see [`TailMarkFlaw`].
    pub(crate) fn decode(bytes: &[u8], place: Place) -> Result<Self, TailMarkFlaw> {
        let bytes: &[u8; LEN] = bytes.first_chunk().ok_or(TailMarkFlaw::Short { found: bytes.len() })?;
        let short = TailMarkFlaw::Short { found: LEN };
        let mut fields = Fields::new(bytes);
        let crc = fields.u32().ok_or(short.clone())?;
        let covered = fields.rest();
        let (Some(found_check), Some(length), Some(synced)) = (fields.u32(), fields.u32(), fields.position())
        else {
            return Err(short);
        };
        if length != TAIL_MARK_LEN {
            return Err(TailMarkFlaw::Length { found: length });
        }
        let expected = check(place, TAIL_MARK_LEN);
        if found_check != expected {
            return Err(TailMarkFlaw::Check { expected, found: found_check });
        }
        let expected = crc32fast::hash(covered);
        if crc != expected {
            return Err(TailMarkFlaw::Checksum { expected, found: crc });
        }
        if !synced.get().is_multiple_of(8) || synced.get() < SEGMENT_HEADER_LEN || synced > place.position {
            return Err(TailMarkFlaw::Synced { position: place.position, found: synced });
        }
        let (Some(offset), Some(last_append_time), Some(manifest_generation)) =
            (fields.u64(), fields.timestamp(), fields.u64())
        else {
            return Err(short);
        };
        let durable_offset = Offset::new(offset).ok_or(TailMarkFlaw::Offset { found: offset })?;
        Ok(Self { synced, durable_offset, last_append_time, manifest_generation })
    }
}

#[cfg(test)]
mod tests;
