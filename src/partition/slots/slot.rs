//! One slot: where it lies, how large it can be, and why it may be refused.

use super::Slotted;
use crate::segment::{FRAME_LEN, Fields, FrameFlaw};

/// The smallest slot, and the space a new file has for each.
pub(crate) const CAPACITY_MIN: u32 = 4096;
/// The largest slot: room for some 299,000 segments.
pub(crate) const CAPACITY_MAX: u32 = 16 << 20;

/// Bytes of a slot that say how long it is.
pub(super) const PROBE_LEN: usize = FRAME_LEN + 4;

/// One of the two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Zero,
    One,
}

/// Why a slot is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SlotFlaw<F> {
    #[error("{0}")]
    Frame(#[from] FrameFlaw),
    #[error("capacity: expected a power of two from {CAPACITY_MIN} to {CAPACITY_MAX}, found {found}")]
    Capacity { found: u32 },
    #[error("expected {expected} bytes, found {found}")]
    Short { expected: u64, found: u64 },
    #[error("{field}: expected {expected}, found {found}")]
    Field { field: &'static str, expected: &'static str, found: u64 },
    #[error("length: expected {expected}, by its counts, found {found}")]
    Length { expected: u64, found: u64 },
    #[error("{0}")]
    Meaning(F),
}

impl Slot {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Zero => Self::One,
            Self::One => Self::Zero,
        }
    }

    /// The slot that the commit of this generation writes first.
    pub(crate) fn first_of(generation: u64) -> Self {
        if generation.is_multiple_of(2) { Self::Zero } else { Self::One }
    }

    /// Where it begins, in a file whose slots have this capacity.
    pub(super) fn position(self, capacity: u32) -> u64 {
        match self {
            Self::Zero => 0,
            Self::One => u64::from(capacity),
        }
    }
}

/// All capacities that a slot can have.
pub(super) fn capacities() -> impl Iterator<Item = u32> {
    std::iter::successors(Some(CAPACITY_MIN), |capacity| capacity.checked_mul(2))
        .take_while(|capacity| *capacity <= CAPACITY_MAX)
}

/// The capacity of slots that hold `len` bytes; none when that is more than a slot can hold.
pub(super) fn capacity_for(len: usize) -> Option<u32> {
    let capacity = u32::try_from(len).ok()?.max(CAPACITY_MIN).checked_next_power_of_two()?;
    (capacity <= CAPACITY_MAX).then_some(capacity)
}

/// The capacity that the first bytes of a slot claim.
///
/// # Errors
/// When they are not of a slot, or claim what no slot has.
pub(crate) fn probe<S: Slotted>(bytes: &[u8]) -> Result<u32, SlotFlaw<S::Flaw>> {
    let mut fields = Fields::new(bytes);
    let (Some(magic), Some(_version), Some(_crc), Some(capacity)) =
        (fields.array(), fields.u32(), fields.u32(), fields.u32())
    else {
        return Err(SlotFlaw::Short { expected: PROBE_LEN as u64, found: bytes.len() as u64 });
    };
    if magic != S::FRAME.magic {
        return Err(FrameFlaw::Foreign { expected: S::FRAME.magic, found: magic }.into());
    }
    if !(CAPACITY_MIN..=CAPACITY_MAX).contains(&capacity) || !capacity.is_power_of_two() {
        return Err(SlotFlaw::Capacity { found: capacity });
    }
    Ok(capacity)
}
