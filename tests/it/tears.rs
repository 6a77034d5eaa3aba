//! What of a batch can be a torn write's work, by the words of `docs/durability.md`: the oracle for damage that
//! recovery may cut off. It looks at the undamaged file too, and shares no code with the library.

use std::ops::Range;

const SECTOR_LEN: usize = 512;
/// Bytes of a tail mark, which the batch may have overwritten.
const MARK_LEN: u8 = 40;

/// What lay at a byte before the batch was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Was(u8),
    /// One of the mark's fields that nobody knows any more.
    Unknown,
    /// What says that the mark lay here, which is never what says so of a batch.
    Different,
}

fn zeros(_: usize) -> Before {
    Before::Was(0)
}

fn mark(at: usize) -> Before {
    match at {
        0..4 | 12..40 => Before::Unknown,
        4..8 => Before::Different,
        8 => Before::Was(MARK_LEN),
        _ => Before::Was(0),
    }
}

/// Whether a tear may have left the batch of `whole` that lies in `batch` as it is with this bit of the file flipped:
/// something in it looks as if it had not been written.
pub fn may_have_left(whole: &[u8], batch: &Range<usize>, bit: u64) -> bool {
    let wrong = usize::try_from(bit / 8).expect("samples are small");
    assert!(batch.contains(&wrong), "the bit is one of the batch");
    let mut found = whole.to_vec();
    found[wrong] ^= 1 << (bit % 8);
    let is_before = |at: usize, before: fn(usize) -> Before| match before(at - batch.start) {
        Before::Was(byte) => found[at] == byte,
        Before::Unknown => true,
        Before::Different => false,
    };
    let known = |range: Range<usize>, before: fn(usize) -> Before| {
        range.filter(|at| before(at - batch.start) != Before::Unknown).count()
    };
    sectors(batch).any(|piece| {
        [zeros, mark as fn(usize) -> Before].into_iter().any(|before| {
            let all = |mut range: Range<usize>| range.all(|at| is_before(at, before));
            let is_beside = piece.contains(&wrong) && (all(wrong..piece.end) || all(piece.start..wrong + 1));
            let ahead = piece.clone().take_while(|at| is_before(*at, before)).count();
            let behind = piece.clone().rev().take_while(|at| is_before(*at, before)).count();
            let known_ahead = known(piece.start..piece.start + ahead, before);
            let known_behind = known(piece.end - behind..piece.end, before);
            let is_last = piece.end == batch.end || behind == piece.len();
            is_beside || known_ahead >= 16 || known_behind >= if is_last { 4 } else { 16 }
        })
    })
}

/// What of the batch lies in each sector.
fn sectors(batch: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let first = batch.start / SECTOR_LEN;
    (first..batch.end.div_ceil(SECTOR_LEN)).map(|sector| {
        let (from, to) = (sector * SECTOR_LEN, (sector + 1) * SECTOR_LEN);
        from.max(batch.start)..to.min(batch.end)
    })
}
