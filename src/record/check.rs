//! The word that ties a batch to its place: which segment, where in it, how long.

use crate::Position;

/// Where a batch claims to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The segment's random number.
    pub(crate) salt: u64,
    pub(crate) position: Position,
}

impl Place {
    /// The place `len` bytes on; none at 4 GiB or above.
    pub(crate) fn checked_add(self, len: usize) -> Option<Self> {
        Some(Self { position: self.position.checked_add(len)?, ..self })
    }
}

/// The check word of `length` bytes that begin at `place`. Never zero, so that no blank passes.
///
/// The salt goes through a mix of its own first: two segments whose salts are close by chance or by a test's
/// choice share no check words that a shift of position could explain.
#[inline]
pub(crate) fn check(place: Place, length: u32) -> u32 {
    let span = u64::from(length) << 32 | place.position.to_u64();
    let mixed = mix(mix(place.salt.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ span);
    // The upper half; a shift by 32 leaves 32 bits.
    match u32::try_from(mixed >> 32) {
        Ok(0) | Err(_) => 1,
        Ok(word) => word,
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): each bit of `x` moves half of the result's.
#[inline]
const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
