//! One number for all the batch checksums of a segment, in order.

/// Folds batch checksums into one number. Not cryptographic: each batch is already checked by itself, and
/// this tells a batch that is missing, doubled or older from the one that was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest(u64);

impl Digest {
    /// The digest that a manifest has kept.
    pub(crate) const fn from_u64(value: u64) -> Self {
        Self(value)
    }

    /// The number to keep.
    pub(crate) const fn to_u64(self) -> u64 {
        self.0
    }

    /// The digest with one more batch.
    #[must_use]
    pub(crate) fn with(self, crc32: u32) -> Self {
        // The odd constant is 2^64 divided by the golden ratio: multiplying by it spreads every bit upward.
        Self((self.0.rotate_left(23) ^ u64::from(crc32)).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(crcs: &[u32]) -> Digest {
        crcs.iter().fold(Digest::default(), |digest, crc| digest.with(*crc))
    }

    #[test]
    fn order_and_count_matter() {
        assert_ne!(digest(&[1, 2]), digest(&[2, 1]));
        assert_ne!(digest(&[1]), digest(&[1, 1]));
        assert_ne!(digest(&[0]), digest(&[]).with(1));
    }
}
