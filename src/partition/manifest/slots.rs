//! Reading the two slots, and which of them counts.

use super::codec::{self, PROBE_LEN};
use super::file::SlotReport;
use super::{Manifest, Slot, SlotFlaw};
use crate::io::{File, read_full};
use crate::segment::FrameFlaw;
use crate::{Error, ErrorKind, Result};

/// What the two slots hold.
pub(super) struct Slots {
    zero: Result<Manifest, SlotFlaw>,
    one: Result<Manifest, SlotFlaw>,
    /// The capacity of those that are good.
    capacity: u32,
}

/// The state that counts.
pub(super) struct Found {
    pub(super) manifest: Manifest,
    pub(super) capacity: u32,
    pub(super) report: SlotReport,
}

/// Reads both slots, wherever the second one begins.
///
/// # Errors
/// When a read fails.
pub(super) fn read_slots(file: &dyn File) -> Result<Slots> {
    let (zero, claimed) = match read_probe(file, 0)? {
        Ok(capacity) => (read_slot(file, 0, capacity)?, Some(capacity)),
        Err(flaw) => (Err(flaw), None),
    };
    if let (Ok(_) | Err(SlotFlaw::Frame(FrameFlaw::Unsupported { .. })), Some(capacity)) = (&zero, claimed) {
        let one = read_slot(file, u64::from(capacity), capacity)?;
        return Ok(Slots { zero, one, capacity });
    }
    // Slot 0 is bad and its capacity with it, perhaps: slot 1 can only lie where a capacity says.
    let mut one = Err(SlotFlaw::Frame(FrameFlaw::Short { found: 0 }));
    for capacity in codec::capacities() {
        let position = u64::from(capacity);
        match read_probe(file, position)? {
            Ok(claimed) if claimed == capacity => {
                one = read_slot(file, position, capacity)?;
                if let Ok(_) | Err(SlotFlaw::Frame(FrameFlaw::Unsupported { .. })) = one {
                    return Ok(Slots { zero, one, capacity });
                }
            }
            Ok(claimed) => one = Err(SlotFlaw::Capacity { found: claimed }),
            Err(flaw) if capacity == codec::CAPACITY_MIN => one = Err(flaw),
            Err(_) => {}
        }
    }
    Ok(Slots { zero, one, capacity: codec::CAPACITY_MIN })
}

impl Slots {
    /// Takes the newer of the good ones.
    pub(super) fn choose(self, file: &dyn File) -> Result<Found> {
        let path = file.path().display();
        let Self { zero, one, capacity } = self;
        for slot in [&zero, &one] {
            if let Err(flaw @ SlotFlaw::Frame(FrameFlaw::Unsupported { .. })) = slot {
                return Err(Error::new(ErrorKind::Unsupported, format!("{path}: {flaw}")));
            }
        }
        let (manifest, report) = match (zero, one) {
            (Ok(zero), Ok(one)) if zero == one => (zero, SlotReport::Even),
            (Ok(zero), Ok(one)) if zero.generation > one.generation => {
                (zero, SlotReport::Uneven { newer: Slot::Zero })
            }
            (Ok(zero), Ok(one)) if zero.generation < one.generation => {
                (one, SlotReport::Uneven { newer: Slot::One })
            }
            (Ok(zero), Ok(_)) => {
                let message = format!("{path}: both slots claim generation {} and differ", zero.generation);
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
            (Ok(zero), Err(flaw)) => (zero, SlotReport::OneBad { bad: Slot::One, flaw }),
            (Err(flaw), Ok(one)) => (one, SlotReport::OneBad { bad: Slot::Zero, flaw }),
            (Err(zero), Err(one)) => {
                let message = format!("{path}: both slots are damaged: slot 0: {zero}; slot 1: {one}");
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
        };
        Ok(Found { manifest, capacity, report })
    }
}

/// The capacity that the slot at `position` claims.
fn read_probe(file: &dyn File, position: u64) -> Result<Result<u32, SlotFlaw>> {
    let bytes = read(file, PROBE_LEN, position)?;
    Ok(codec::probe(&bytes))
}

fn read_slot(file: &dyn File, position: u64, capacity: u32) -> Result<Result<Manifest, SlotFlaw>> {
    // The capacity is at most `CAPACITY_MAX`, and no more is allocated than the file has.
    let len = file.len().map_err(|error| Error::io("read the length of", file.path(), error))?;
    let slot_len = u64::from(capacity);
    let left = len.saturating_sub(position);
    if left < slot_len {
        return Ok(Err(SlotFlaw::Short { expected: slot_len, found: left }));
    }
    let bytes = read(file, usize::try_from(capacity).unwrap_or(usize::MAX), position)?;
    Ok(Manifest::decode(&bytes))
}

fn read(file: &dyn File, len: usize, position: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let found = read_full(file, &mut bytes, position).map_err(|error| {
        Error::io(format_args!("read {len} bytes at position {position} of"), file.path(), error)
    })?;
    bytes.truncate(found);
    Ok(bytes)
}
