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
const SECTOR_LEN: usize = 512;
/// Bytes at an end of a sector that are as they were before, and do not stand there by chance.
const RUN_LEN: usize = 16;
/// The same where the batch has no more bytes in that sector, or ends there: what follows is as it was before, too.
const LAST_RUN_LEN: usize = 4;

/// Whether a tear explains what lies at the beginning of `bytes`, found at `place`: a batch that is good but for
/// this bit (bit `n % 8` of byte `n / 8`, the lowest is 0).
///
/// A torn sector holds on one side of some byte what was to be written, and on the other what was there before:
/// zeros, or the tail mark that the batch overwrote.
///
/// ```text
///     │ written       ▼ before         │     from the bit to the end of the sector, all is as before
///     │ before        ▼ written        │     from the beginning of the sector, or of the batch, to the bit
///     │ before │ written │ before      │     in any sector: at one of its ends, and more than by chance
/// ```
///
/// The third is a tear whose checksum happens to be that of one wrong bit in another place: of 2^32 torn batches as
/// many look so as the batch has bits. If nothing of it can be what was there before, no tear did it. If something
/// can, the batch may have been cut off, and is no proof of damage.
pub(crate) fn is_tear(bytes: &[u8], place: Place, bit: u64) -> bool {
    let (Ok(wrong), Some(batch)) = (usize::try_from(bit / 8), batch_in(bytes, bit)) else {
        return false;
    };
    let before = [Before::Zeros, Before::mark_at(place)];
    pieces(batch, place).any(|piece| {
        before.iter().any(|before| before.may_be_beside(&piece, wrong) || before.fills_an_end_of(&piece))
    })
}

/// The batch that `bytes` begin with, once this bit is mended; less if there is less.
fn batch_in(bytes: &[u8], bit: u64) -> Option<&[u8]> {
    let length = bytes.get(8..12)?.first_chunk().copied().map(u32::from_le_bytes)?;
    let index = bit.checked_sub(8 * 8).and_then(|index| u32::try_from(index).ok());
    let length = length ^ index.and_then(|index| 1_u32.checked_shl(index)).unwrap_or(0);
    bytes.get(..usize::try_from(length).ok()?.min(bytes.len()))
}

/// What of a batch lies in one sector.
struct Piece<'a> {
    /// Where in the batch it begins.
    first: usize,
    bytes: &'a [u8],
    /// Whether the batch ends with it.
    is_last: bool,
}

fn pieces(batch: &[u8], place: Place) -> impl Iterator<Item = Piece<'_>> {
    let in_sector = usize::try_from(place.position.to_u64()).unwrap_or(0) % SECTOR_LEN;
    let head_len = SECTOR_LEN.saturating_sub(in_sector).min(batch.len());
    let (head, behind) = batch.split_at_checked(head_len).unwrap_or((batch, &[]));
    let behind = behind.chunks(SECTOR_LEN).zip((head_len..).step_by(SECTOR_LEN));
    std::iter::once((head, 0)).chain(behind).map(move |(bytes, first)| {
        let is_last = first.saturating_add(bytes.len()) == batch.len();
        Piece { first, bytes, is_last }
    })
}

/// What was there before a batch was written.
enum Before {
    Zeros,
    /// A tail mark with this check, and zeros behind it.
    Mark([u8; 4]),
}

/// How far bytes are as they were before.
struct Run {
    /// Those of which it is known what they were.
    known: usize,
    /// Whether all are.
    is_whole: bool,
}

impl Before {
    fn mark_at(place: Place) -> Self {
        Self::Mark(check(place, TAIL_MARK_LEN).to_le_bytes())
    }

    /// Whether all of the piece from byte `wrong` of the batch on, or all up to it, may be from before.
    fn may_be_beside(&self, piece: &Piece<'_>, wrong: usize) -> bool {
        let Some(at) = wrong.checked_sub(piece.first).filter(|at| *at < piece.bytes.len()) else {
            return false;
        };
        let bytes = || piece.bytes.iter().zip(piece.first..);
        self.run(bytes().skip(at)).is_whole || self.run(bytes().take(at.saturating_add(1))).is_whole
    }

    /// Whether an end of the piece, or all of it, is from before, for longer than by chance.
    fn fills_an_end_of(&self, piece: &Piece<'_>) -> bool {
        let bytes = || piece.bytes.iter().zip(piece.first..piece.first.saturating_add(piece.bytes.len()));
        let (ahead, behind) = (self.run(bytes()), self.run(bytes().rev()));
        let ahead_len = if ahead.is_whole { LAST_RUN_LEN } else { RUN_LEN };
        let behind_len = if behind.is_whole || piece.is_last { LAST_RUN_LEN } else { RUN_LEN };
        ahead.known >= ahead_len || behind.known >= behind_len
    }

    /// How many of the bytes, each with its place in the batch, are from before, up to the first that is not.
    fn run<'a>(&self, bytes: impl Iterator<Item = (&'a u8, usize)>) -> Run {
        let mut known = 0_usize;
        for (byte, at) in bytes {
            match self.byte(at) {
                Some(before) if before != *byte => return Run { known, is_whole: false },
                Some(_) => known = known.saturating_add(1),
                None => {}
            }
        }
        Run { known, is_whole: true }
    }

    /// What was at byte `at` of the batch; none where it can have been anything.
    fn byte(&self, at: usize) -> Option<u8> {
        match (self, at) {
            (Self::Mark(check), 4..8) => check.get(at.saturating_sub(4)).copied(),
            (Self::Mark(_), 8..12) => TAIL_MARK_LEN.to_le_bytes().get(at.saturating_sub(8)).copied(),
            // Its checksum, how far the log was synced, up to which offset, when, by which manifest.
            (Self::Mark(_), 0..4 | 12..40) => None,
            _ => Some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Position;

    const LEN: usize = 1_200;
    const AT: Place = at(4096 + 8);
    /// Where its sectors begin there, and where it ends.
    const EDGES: [usize; 4] = [0, 504, 1_016, LEN];

    const fn at(position: u32) -> Place {
        Place { salt: 7, position: Position::new(position) }
    }

    /// Bytes with a batch's length, none of which is zero, and others behind it.
    fn batch() -> Vec<u8> {
        let mut batch = vec![0xa5; LEN + 1_000];
        batch[8..12].copy_from_slice(&u32::try_from(LEN).expect("small").to_le_bytes());
        batch[LEN..].fill(0);
        batch
    }

    /// Whether `batch` with this bit flipped is a tear.
    fn tears(mut batch: Vec<u8>, place: Place, (at, bit): (usize, u64)) -> bool {
        batch[at] ^= 1 << bit;
        is_tear(&batch, place, at as u64 * 8 + bit)
    }

    #[test]
    fn a_bit_among_what_was_written_is_none() {
        // The first four bytes can have been the checksum of any mark.
        for at in (4..8).chain(12..LEN) {
            for bit in 0..8 {
                assert!(!tears(batch(), AT, (at, bit)), "bit {bit} of byte {at}");
            }
        }
        assert!(!is_tear(&batch(), AT, 2_000 * 8), "a bit outside the batch");
        assert!(!is_tear(&batch(), AT, u64::MAX), "a bit outside all batches");
    }

    #[test]
    fn a_lost_one_with_zeros_behind_it_is_a_tear() {
        for end in &EDGES[1..] {
            let mut batch = batch();
            // Fewer than a tear elsewhere would leave.
            let at_bit = end - if *end == LEN { LAST_RUN_LEN } else { RUN_LEN - 1 };
            batch[at_bit..*end].fill(0);
            batch[at_bit] = 0x10;
            assert!(tears(batch.clone(), AT, (at_bit, 4)));
            assert!(!tears(batch.clone(), AT, (at_bit + 1, 4)), "a 0 that reads 1");
            batch[at_bit] = 0x11;
            assert!(!tears(batch.clone(), AT, (at_bit, 4)), "the other bit of the byte is there");
            if *end < LEN {
                // Sixteen bytes on, the same sector goes on with bytes that are there.
                batch[at_bit] = 0x10;
                assert!(!tears(batch, at(4096 + 24), (at_bit, 4)));
            }
        }
    }

    /// What a crash of the simulated disk left: the sector's first bytes as they were before, the others written.
    #[test]
    fn zeros_in_front_of_what_was_written_are_a_tear() {
        let mut batch = batch();
        batch[504..512].copy_from_slice(&8_u64.to_le_bytes());
        assert!(tears(batch.clone(), AT, (504, 3)));
        assert!(
            !tears(batch, AT, (512, 0)),
            "what is in front of it was written, and so is what is behind it"
        );
    }

    #[test]
    fn what_is_left_of_the_mark_that_was_overwritten_is_a_tear() {
        let place = at(4096 + 512 - 8);
        assert!(tears(batch(), place, (2, 0)), "any bytes can have been the mark's checksum");
        // The second sector begins with the length: that of the mark, and one that has a bit more.
        let with_length = |length: u32| {
            let mut batch = vec![0xa5; 200];
            batch[8..12].copy_from_slice(&length.to_le_bytes());
            batch
        };
        assert!(tears(with_length(TAIL_MARK_LEN | 1 << 6), place, (8, 6)));
        assert!(!tears(with_length(99), place, (8, 6)), "a mark has one length");
    }

    /// What full-size runs of the crash suites left, four times in some ninety million images: a torn batch with the
    /// checksum that one wrong bit elsewhere would give.
    #[test]
    fn what_was_not_written_is_a_tear_wherever_the_wrong_bit_would_be() {
        for pair in EDGES.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            let wrong = if from == 504 { 100 } else { 600 };
            let behind_len = if to == LEN { LAST_RUN_LEN } else { RUN_LEN };
            // Of the first sector a batch that is whole but for a bit has its length.
            let ahead = (from > 0).then_some((from..from + RUN_LEN, RUN_LEN));
            for (lost, len) in ahead.into_iter().chain([(to - behind_len..to, behind_len)]) {
                let mut torn = batch();
                torn[lost.clone()].fill(0);
                assert!(tears(torn.clone(), AT, (wrong, 1)), "{lost:?}");
                torn[if lost.end == to { lost.start } else { lost.end - 1 }] = 1;
                assert!(!tears(torn, AT, (wrong, 1)), "{lost:?}: {len} zeros less one stand there by chance");
            }
            let mut torn = batch();
            torn[from.max(12)..to].fill(0);
            assert!(tears(torn, AT, (wrong, 1)), "all of a sector");
        }
        // Few bytes lie in the last sector, and all of them were lost.
        for (lost, is_tear) in [(LAST_RUN_LEN, true), (LAST_RUN_LEN - 1, false)] {
            let place = at(u32::try_from(4096 + 512 * 3 - (LEN - lost)).expect("small"));
            let mut torn = batch();
            torn[LEN - lost..LEN].fill(0);
            assert_eq!(tears(torn, place, (100, 1)), is_tear, "{lost} bytes");
        }
    }
}
