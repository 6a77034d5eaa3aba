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

use crate::record::{Place, check};
use crate::segment::TAIL_MARK_LEN;

/// What a disk writes whole, or tears inside.
const SECTOR_LEN: u64 = 512;

/// Whether a power cut explains that the `batch` found at `place` has only this bit wrong (bit `n % 8` of byte
/// `n / 8`, the lowest is 0).
///
/// A torn sector holds on one side of some byte what was to be written, and on the other what was there before:
/// zeros, or the tail mark that the batch overwrote.
///
/// ```text
///     │ written       ▼ before              │     from the bit to the end of the sector, all is as before
///     │ before        ▼ written             │     from the beginning of the sector, or of the batch, to the bit
/// ```
///
/// If the bytes on neither side can be what was there before, no tear did it. If they can, the batch may have
/// been cut off, and is no proof of damage.
pub(crate) fn is_tear(batch: &[u8], place: Place, bit: u64) -> bool {
    let Ok(at) = usize::try_from(bit / 8) else {
        return false;
    };
    let start = place.position.to_u64();
    let in_sector = start.saturating_add(bit / 8) % SECTOR_LEN;
    let first = (bit / 8).saturating_sub(in_sector);
    let end = (bit / 8).saturating_add(SECTOR_LEN.saturating_sub(in_sector));
    let (Ok(first), Ok(end)) = (usize::try_from(first), usize::try_from(end)) else {
        return false;
    };
    let behind = batch.get(at..end.min(batch.len())).unwrap_or_default();
    let before = batch.get(first..=at).unwrap_or_default();
    let mark = KnownOfMark::at(place);
    [(at, behind), (first, before)].into_iter().any(|(at, bytes)| {
        !bytes.is_empty() && (bytes.iter().all(|byte| *byte == 0) || mark.may_hold(at, bytes))
    })
}

/// What can be known of the tail mark that lay where a batch was written.
struct KnownOfMark {
    check: [u8; 4],
}

impl KnownOfMark {
    fn at(place: Place) -> Self {
        Self { check: check(place, TAIL_MARK_LEN).to_le_bytes() }
    }

    /// Whether `bytes` may be those from byte `at` of the mark on, and the zeros behind it.
    fn may_hold(&self, at: usize, bytes: &[u8]) -> bool {
        bytes.iter().zip(at..).all(|(byte, index)| match index {
            4..8 => self.check.get(index.saturating_sub(4)) == Some(byte),
            8..12 => TAIL_MARK_LEN.to_le_bytes().get(index.saturating_sub(8)) == Some(byte),
            // Its checksum, how far the log was synced, up to which offset, when, by which manifest.
            0..4 | 12..40 => true,
            _ => *byte == 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Position;

    /// A batch of 600 bytes at 4096 + 8, in the last sector of which only one byte is not zero.
    fn batch() -> Vec<u8> {
        let mut batch = vec![0xa5; 600];
        batch[504..].fill(0);
        batch[520] = 0x10;
        batch
    }

    const AT: Place = at(4096 + 8);

    const fn at(position: u32) -> Place {
        Place { salt: 7, position: Position::new(position) }
    }

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
        assert!(!is_tear(&found, at(4096 + 16), bit));
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

    /// What a crash of the simulated disk left: the sector's first bytes as they were before, the others written.
    #[test]
    fn zeros_in_front_of_what_was_written_are_a_tear() {
        // The second sector begins at byte 16, with the base offset.
        let place = at(4096 + 512 - 16);
        let mut batch = vec![0xa5; 200];
        batch[16..24].copy_from_slice(&8_u64.to_le_bytes());
        let (found, bit) = flipped(&batch, 16, 3);
        assert!(is_tear(&found, place, bit));
        // Behind the forty bytes that a mark may have had there.
        let (found, bit) = flipped(&batch, 60, 0);
        assert!(
            !is_tear(&found, place, bit),
            "what is in front of it was written, and so is what is behind it"
        );
    }

    #[test]
    fn what_is_left_of_the_mark_that_was_overwritten_is_a_tear() {
        let place = at(4096 + 512 - 8);
        let mut batch = vec![0xa5; 200];
        let (found, bit) = flipped(&batch, 2, 0);
        assert!(is_tear(&found, place, bit), "any bytes can have been the mark's checksum");
        // The second sector begins with the length: that of the mark, and one that has a bit more.
        batch[8..12].copy_from_slice(&(TAIL_MARK_LEN | 1 << 6).to_le_bytes());
        let (found, bit) = flipped(&batch, 8, 6);
        assert!(is_tear(&found, place, bit));
        batch[8..12].copy_from_slice(&99_u32.to_le_bytes());
        let (found, bit) = flipped(&batch, 8, 6);
        assert!(!is_tear(&found, place, bit), "a mark has one length");
    }
}
