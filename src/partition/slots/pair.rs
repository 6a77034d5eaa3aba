//! Reading the two slots, and taking the newer of the good ones.

use super::file::open;
use super::slot::{CAPACITY_MIN, PROBE_LEN, Slot, capacities, probe};
use super::{SlotFlaw, Slotted};
use crate::io::{Access, Dir, File, read_full};
use crate::segment::FrameFlaw;
use crate::{Error, ErrorKind, Result};

/// How often a reader beside a writer looks again when it caught both slots in the middle of being written.
const READ_ATTEMPTS_MAX: usize = 8;

/// In what state the two slots were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SlotReport<F> {
    /// Both hold the same.
    Even,
    /// A commit was cut off between the two. Commit before acting on what the newer one says.
    Uneven { newer: Slot },
    /// One cannot be used. The other one may be the older. Commit before acting on what it says.
    OneBad { bad: Slot, flaw: SlotFlaw<F> },
}

/// Reads the newest state beside a process that may be writing it.
///
/// # Errors
/// As [`super::SlotFile::load`].
pub(crate) fn load_read_only<S: Slotted>(dir: &dyn Dir) -> Result<(S, SlotReport<S::Flaw>)> {
    let attempt = || {
        let file = open::<S>(dir, Access::Read)?;
        Slots::<S>::read(&*file)?.choose(&*file)
    };
    let is_torn =
        |found: &Result<Found<S>>| matches!(found, Err(error) if error.kind() == ErrorKind::Corrupt);
    let mut found = attempt();
    for _ in 1..READ_ATTEMPTS_MAX {
        if !is_torn(&found) {
            break;
        }
        found = attempt();
    }
    found.map(|found| (found.content, found.report))
}

/// What the two slots hold.
pub(crate) struct Slots<S: Slotted> {
    pub(crate) zero: Result<S, SlotFlaw<S::Flaw>>,
    pub(crate) one: Result<S, SlotFlaw<S::Flaw>>,
    /// The capacity of those that are good.
    pub(crate) capacity: u32,
}

/// The state that counts.
pub(super) struct Found<S: Slotted> {
    pub(super) content: S,
    pub(super) capacity: u32,
    pub(super) report: SlotReport<S::Flaw>,
}

impl<S: Slotted> Slots<S> {
    /// Reads both, whatever they hold.
    ///
    /// # Errors
    /// When a read fails.
    pub(crate) fn read(file: &dyn File) -> Result<Self> {
        let (zero, claimed) = match read_probe::<S>(file, 0)? {
            Ok(capacity) => (read_slot::<S>(file, 0, capacity)?, Some(capacity)),
            Err(flaw) => (Err(flaw), None),
        };
        if let (Ok(_) | Err(SlotFlaw::Frame(FrameFlaw::Unsupported { .. })), Some(capacity)) =
            (&zero, claimed)
        {
            let one = read_slot::<S>(file, u64::from(capacity), capacity)?;
            return Ok(Slots { zero, one, capacity });
        }
        // Slot 0 is bad and its capacity with it, perhaps: slot 1 can only lie where a capacity says.
        let mut one = Err(SlotFlaw::Frame(FrameFlaw::Short { found: 0 }));
        for capacity in capacities() {
            let position = u64::from(capacity);
            match read_probe::<S>(file, position)? {
                Ok(claimed) if claimed == capacity => {
                    one = read_slot::<S>(file, position, capacity)?;
                    if let Ok(_) | Err(SlotFlaw::Frame(FrameFlaw::Unsupported { .. })) = one {
                        return Ok(Slots { zero, one, capacity });
                    }
                }
                Ok(claimed) => one = Err(SlotFlaw::Capacity { found: claimed }),
                Err(flaw) if capacity == CAPACITY_MIN => one = Err(flaw),
                Err(_) => {}
            }
        }
        Ok(Slots { zero, one, capacity: CAPACITY_MIN })
    }

    /// Takes the newer of the good ones.
    pub(super) fn choose(self, file: &dyn File) -> Result<Found<S>> {
        let path = file.path().display();
        let Self { zero, one, capacity } = self;
        for slot in [&zero, &one] {
            if let Err(flaw @ SlotFlaw::Frame(FrameFlaw::Unsupported { .. })) = slot {
                return Err(Error::new(ErrorKind::Unsupported, format!("{path}: {flaw}")));
            }
        }
        let (content, report) = match (zero, one) {
            (Ok(zero), Ok(one)) if zero == one => (zero, SlotReport::Even),
            (Ok(zero), Ok(one)) if zero.generation() > one.generation() => {
                (zero, SlotReport::Uneven { newer: Slot::Zero })
            }
            (Ok(zero), Ok(one)) if zero.generation() < one.generation() => {
                (one, SlotReport::Uneven { newer: Slot::One })
            }
            (Ok(zero), Ok(_)) => {
                let message = format!("{path}: both slots claim generation {} and differ", zero.generation());
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
            (Ok(zero), Err(flaw)) => (zero, SlotReport::OneBad { bad: Slot::One, flaw }),
            (Err(flaw), Ok(one)) => (one, SlotReport::OneBad { bad: Slot::Zero, flaw }),
            (Err(zero), Err(one)) => {
                let message = format!("{path}: both slots are damaged: slot 0: {zero}; slot 1: {one}");
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
        };
        Ok(Found { content, capacity, report })
    }
}

/// The capacity that the slot at `position` claims.
fn read_probe<S: Slotted>(file: &dyn File, position: u64) -> Result<Result<u32, SlotFlaw<S::Flaw>>> {
    let bytes = read(file, PROBE_LEN, position)?;
    Ok(probe::<S>(&bytes))
}

fn read_slot<S: Slotted>(
    file: &dyn File,
    position: u64,
    capacity: u32,
) -> Result<Result<S, SlotFlaw<S::Flaw>>> {
    // The capacity is at most `CAPACITY_MAX`, and no more is allocated than the file has.
    let len = file.len().map_err(|error| Error::io("read the length of", file.path(), error))?;
    let slot_len = u64::from(capacity);
    let left = len.saturating_sub(position);
    if left < slot_len {
        return Ok(Err(SlotFlaw::Short { expected: slot_len, found: left }));
    }
    let bytes = read(file, usize::try_from(capacity).unwrap_or(usize::MAX), position)?;
    Ok(S::decode(&bytes))
}

fn read(file: &dyn File, len: usize, position: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let found = read_full(file, &mut bytes, position).map_err(|error| {
        Error::io(format_args!("read {len} bytes at position {position} of"), file.path(), error)
    })?;
    bytes.truncate(found);
    Ok(bytes)
}
