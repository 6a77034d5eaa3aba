//! The sixteen bytes that every file and slot of ours begins with.
//!
//! ```text
//!     magic [8] │ version u32 │ crc32 u32 │ what the version says ...
//!     └────────────covered───┘           └────────covered──────────
//! ```
//!
//! Their places are the same in every version, so that a file of the future is told from a damaged one: it
//! has our magic, a higher version, and a checksum that holds.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use super::Fields;

/// Bytes before what is framed.
pub(crate) const FRAME_LEN: usize = 16;

/// Where the checksum lies; it covers all but itself.
const CRC_AT: usize = 12;

/// What a kind of file says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) magic: [u8; 8],
    pub(crate) version: u32,
}

/// Why framed bytes are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameFlaw {
    #[error("expected at least {FRAME_LEN} bytes, found {found}")]
    Short { found: usize },
    #[error("expected the magic \"{}\", found \"{}\"", expected.escape_ascii(), found.escape_ascii())]
    Foreign { expected: [u8; 8], found: [u8; 8] },
    #[error("expected version {expected}, found {found}, which this build cannot read")]
    Unsupported { expected: u32, found: u32 },
    #[error("expected version {expected}, found {found}, which never was")]
    Version { expected: u32, found: u32 },
    #[error("expected checksum {expected:#010x}, found {found:#010x}")]
    Checksum { expected: u32, found: u32 },
}

impl Frame {
    /// Room for the frame, to which the caller appends what is framed before it calls [`Frame::seal`].
    pub(crate) fn begin(self, capacity: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(capacity.max(FRAME_LEN));
        bytes.extend_from_slice(&self.magic);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes
    }

    /// Puts the checksum of all other bytes in its place.
    ///
    /// # Panics
    /// If `bytes` did not come from [`Frame::begin`].
    pub(crate) fn seal(self, bytes: &mut [u8]) {
        let is_framed = bytes.len() >= FRAME_LEN && bytes.starts_with(&self.magic);
        assert!(is_framed, "sealed bytes begin with their frame");
        let crc = checksum(bytes);
        if let Some(place) = bytes.get_mut(CRC_AT..FRAME_LEN) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
    }

    /// Checks the frame of `bytes`, all of which are covered, and returns the fields behind it.
    pub(crate) fn open(self, bytes: &[u8]) -> Result<Fields<'_>, FrameFlaw> {
        let mut fields = Fields::new(bytes);
        let short = FrameFlaw::Short { found: bytes.len() };
        let (Some(magic), Some(version), Some(crc)) = (fields.array(), fields.u32(), fields.u32()) else {
            return Err(short);
        };
        if magic != self.magic {
            return Err(FrameFlaw::Foreign { expected: self.magic, found: magic });
        }
        let expected = checksum(bytes);
        if crc != expected {
            return Err(FrameFlaw::Checksum { expected, found: crc });
        }
        match version {
            version if version > self.version => {
                Err(FrameFlaw::Unsupported { expected: self.version, found: version })
            }
            version if version < self.version => {
                Err(FrameFlaw::Version { expected: self.version, found: version })
            }
            _ => Ok(fields),
        }
    }
}

/// The checksum of all bytes but the four it is kept in.
fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytes.get(..CRC_AT).unwrap_or(bytes));
    hasher.update(bytes.get(FRAME_LEN..).unwrap_or_default());
    hasher.finalize()
}
