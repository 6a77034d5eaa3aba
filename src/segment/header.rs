//! The first 4 KiB of a segment file: whose it is.
//!
//! ```text
//!     magic [8] │ version u32 │ crc32 u32 │ topic [16] │ partition u32 │ layout u32
//!     │ sequence u64 │ salt u64 │ created_at i64 │ origin u32 │ zero [4028]
//! ```

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use super::{Fields, Frame, FrameFlaw};
use crate::{Timestamp, TopicId};

/// Length of the header, in bytes; the first batch lies behind it.
pub(crate) const SEGMENT_HEADER_LEN: u32 = 4096;

/// The same, as memory counts.
const LEN: usize = 4096;

pub(crate) const FRAME: Frame = Frame { magic: *b"ANNALSEG", version: 1 };

/// Whose a segment file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) topic: TopicId,
    pub(crate) partition: u32,
    /// The number of this file among all that the partition ever made; never given twice.
    pub(crate) sequence: u64,
    /// Drawn at random for each file, so that batches of another file never pass for its own.
    pub(crate) salt: u64,
    pub(crate) created_at: Timestamp,
    pub(crate) layout: Layout,
    pub(crate) origin: Origin,
}

/// Whether offsets follow one another without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Each batch begins where the one before it ended; a gap is damage.
    Dense,
    /// Compaction has taken records out; gaps are normal.
    Compacted,
}

impl Layout {
    /// The number that stands for it on disk.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Dense => 0,
            Self::Compacted => 1,
        }
    }

    /// What the number stands for; none for a number never given.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Dense),
            1 => Some(Self::Compacted),
            _ => None,
        }
    }
}

/// How the first batches of a segment get in. It says what batches in a file that no manifest lists prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// They are appended, once a manifest lists it.
    Appended,
    /// Recovery or salvage copies them, and a manifest lists it once they are complete.
    Copied,
}

impl Origin {
    /// The number that stands for it on disk.
    fn code(self) -> u32 {
        match self {
            Self::Appended => 0,
            Self::Copied => 1,
        }
    }

    /// What the number stands for; none for a number never given.
    fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::Appended),
            1 => Some(Self::Copied),
            _ => None,
        }
    }
}

/// Why the first bytes of a file are not a segment header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderFlaw {
    /// Too few bytes, as when the file was created and not yet written, or cut.
    #[error("segment header: expected {LEN} bytes, found {found}")]
    Short { found: usize },
    /// All zeros: created and never written, or zeroed.
    #[error("segment header: expected a header, found {LEN} zero bytes")]
    Blank,
    /// Someone else's file.
    #[error("segment header: expected the magic \"{}\", found \"{}\"", FRAME.magic.escape_ascii(), found.escape_ascii())]
    Foreign { found: [u8; 8] },
    /// Ours, and intact, but of a later version.
    #[error("segment header: expected version {}, found {found}, which this build cannot read", FRAME.version)]
    Unsupported { found: u32 },
    /// Ours, and not what was written.
    #[error("segment header: {0}")]
    Damaged(FrameFlaw),
    /// Ours, with a checksum that holds, and a field that has no meaning.
    #[error("segment header: {field}: expected {expected}, found {found}")]
    Field { field: &'static str, expected: &'static str, found: u64 },
}

impl SegmentHeader {
    /// Whose the index of the segment is, when its first batch has this offset or a later one.
    pub(crate) fn index_owner(&self, first_offset: crate::Offset) -> super::IndexOwner {
        super::IndexOwner { salt: self.salt, sequence: self.sequence, first_offset }
    }

    /// The header as it lies on disk.
    pub(crate) fn encode(&self) -> [u8; LEN] {
        let mut bytes = FRAME.begin(LEN);
        bytes.extend_from_slice(&self.topic.to_bytes());
        bytes.extend_from_slice(&self.partition.to_le_bytes());
        bytes.extend_from_slice(&u32::from(self.layout.code()).to_le_bytes());
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.salt.to_le_bytes());
        bytes.extend_from_slice(&self.created_at.as_millis().to_le_bytes());
        bytes.extend_from_slice(&self.origin.code().to_le_bytes());
        bytes.resize(LEN, 0);
        FRAME.seal(&mut bytes);
        let mut header = [0; LEN];
        header.copy_from_slice(&bytes);
        header
    }

    /// Reads the header from the first bytes of a file. All of its bytes are covered by its checksum.
    ///
    /// # Errors
    /// By what the bytes are: see [`HeaderFlaw`].
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderFlaw> {
        let bytes: &[u8; LEN] = bytes.first_chunk().ok_or(HeaderFlaw::Short { found: bytes.len() })?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(HeaderFlaw::Blank);
        }
        Self::read(FRAME.open(bytes)?)
    }

    /// Reads what is behind the frame.
    fn read(mut fields: Fields<'_>) -> Result<Self, HeaderFlaw> {
        let short = HeaderFlaw::Short { found: fields.rest().len() };
        let (Some(topic), Some(partition), Some(layout)) = (fields.topic(), fields.u32(), fields.u32())
        else {
            return Err(short);
        };
        let (Some(sequence), Some(salt), Some(created_at), Some(origin)) =
            (fields.u64(), fields.u64(), fields.timestamp(), fields.u32())
        else {
            return Err(short);
        };
        let unknown = HeaderFlaw::Field { field: "layout", expected: "0 or 1", found: u64::from(layout) };
        let layout = u8::try_from(layout).ok().and_then(Layout::from_code).ok_or(unknown)?;
        let unknown = HeaderFlaw::Field { field: "origin", expected: "0 or 1", found: u64::from(origin) };
        let origin = Origin::from_code(origin).ok_or(unknown)?;
        if let Some(byte) = fields.rest().iter().find(|byte| **byte != 0) {
            return Err(HeaderFlaw::Field { field: "rest", expected: "zeros", found: u64::from(*byte) });
        }
        Ok(Self { topic, partition, sequence, salt, created_at, layout, origin })
    }
}

impl From<FrameFlaw> for HeaderFlaw {
    fn from(flaw: FrameFlaw) -> Self {
        match flaw {
            FrameFlaw::Short { found } => Self::Short { found },
            FrameFlaw::Foreign { found, .. } => Self::Foreign { found },
            FrameFlaw::Unsupported { found, .. } => Self::Unsupported { found },
            FrameFlaw::Version { .. } | FrameFlaw::Checksum { .. } => Self::Damaged(flaw),
        }
    }
}

#[cfg(test)]
mod tests;
