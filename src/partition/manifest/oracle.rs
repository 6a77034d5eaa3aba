//! What must hold for any bytes that are read as a slot of the manifest. For the fuzzers; never part of a
//! release.

use super::Manifest;
use crate::partition::slots::{CAPACITY_MIN, probe};
use crate::segment::Frame;

const FRAME: Frame = Frame { magic: *b"ANNALMAN", version: 1 };

/// Reads the bytes as one slot, zeros behind them; the first byte says whether frame, capacity and length are
/// put right first. True when it was good; then it makes sense, and writing it gives the same bytes.
///
/// # Panics
/// When it does not.
pub fn manifest_slot(bytes: &[u8]) -> bool {
    let Some((&mode, bytes)) = bytes.split_first() else { return false };
    let mut slot = bytes.to_vec();
    slot.resize(usize::try_from(CAPACITY_MIN).expect("4096 fits"), 0);
    if mode & 1 == 1 {
        mend(&mut slot);
    }
    let Ok(manifest) = Manifest::decode(&slot) else { return false };
    assert_eq!(probe::<Manifest>(&slot), Ok(CAPACITY_MIN));
    assert_eq!(manifest.check(), Ok(()));
    assert_eq!(manifest.encode(CAPACITY_MIN), slot);
    true
}

fn mend(slot: &mut [u8]) {
    let segment_count = u32::from(slot[72] % 8);
    let lost_count = u32::from(slot[76] % 4);
    let length = 80 + segment_count * 56 + lost_count * 16;
    let fields = [(16, CAPACITY_MIN), (20, length), (72, segment_count), (76, lost_count)];
    for (at, field) in fields {
        slot[at..at + 4].copy_from_slice(&field.to_le_bytes());
    }
    slot[usize::try_from(length).expect("a small number")..].fill(0);
    slot[..16].copy_from_slice(&FRAME.begin(0));
    FRAME.seal(slot);
}
