//! Whether a wrong bit is what a torn write leaves.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use crate::Position;

/// What a disk writes whole, or tears inside.
const SECTOR_LEN: u64 = 512;

/// Whether a power cut explains that the `batch` found at `position` has only this bit wrong (bit `n % 8` of
/// byte `n / 8`, the lowest is 0).
///
/// A tear leaves zeros from some byte to the end of its sector. So the bit must read 0 where a 1 belongs, and
/// with it all that follows in its sector, as far as the batch goes. Such a batch may have been cut off within
/// its last byte that is not zero, and is no proof of damage.
pub(crate) fn is_tear(batch: &[u8], position: Position, bit: u64) -> bool {
    let Ok(at) = usize::try_from(bit / 8) else {
        return false;
    };
    let Some(from_bit) = batch.get(at..).filter(|bytes| !bytes.is_empty()) else {
        return false;
    };
    let in_sector = position.to_u64().saturating_add(bit / 8) % SECTOR_LEN;
    let sector_len = usize::try_from(SECTOR_LEN.saturating_sub(in_sector)).unwrap_or(usize::MAX);
    from_bit.iter().take(sector_len).all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch of 600 bytes at 4096 + 8, in the last sector of which only one byte is not zero.
    fn batch() -> Vec<u8> {
        let mut batch = vec![0xa5; 600];
        batch[504..].fill(0);
        batch[520] = 0x10;
        batch
    }

    const AT: Position = Position::new(4096 + 8);

    fn flipped(batch: &[u8], at: usize, bit: u64) -> (Vec<u8>, u64) {
        let mut flipped = batch.to_vec();
        flipped[at] ^= 1 << bit;
        (flipped, at as u64 * 8 + bit)
    }

    #[test]
    fn a_lost_one_with_zeros_behind_it_is_a_tear() {
        let (found, bit) = flipped(&batch(), 520, 4);
        assert!(is_tear(&found, AT, bit));
        // The last byte of the sector before: what follows is in the next sector.
        let mut short = batch();
        short[503] = 0x01;
        let (found, bit) = flipped(&short, 503, 0);
        assert!(is_tear(&found, AT, bit));
        // Eight bytes on, the same sector goes on with a byte that is there.
        assert!(!is_tear(&found, Position::new(4096 + 16), bit));
    }

    #[test]
    fn no_tear_sets_a_bit_or_leaves_bytes_behind_it() {
        let (found, bit) = flipped(&batch(), 540, 3);
        assert!(!is_tear(&found, AT, bit), "a 0 that reads 1");
        let (found, bit) = flipped(&batch(), 100, 0);
        assert!(!is_tear(&found, AT, bit), "bytes follow in the sector");
        let mut two_bits = batch();
        two_bits[520] = 0x11;
        let (found, bit) = flipped(&two_bits, 520, 4);
        assert!(!is_tear(&found, AT, bit), "the other bit of the byte is there");
        assert!(!is_tear(&batch(), AT, 600 * 8), "a bit outside the batch");
        assert!(!is_tear(&batch(), AT, u64::MAX), "a bit outside all batches");
    }
}
