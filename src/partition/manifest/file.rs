//! The manifest file: two slots that are never both at risk.
//!
//! ```text
//!     commit 6: write 0, sync, write 1, sync     slot 0 holds 6 on the disk before slot 1 is touched
//!     commit 7: write 1, sync, write 0, sync     slot 1 is the one whose last sync may have failed unseen
//! ```
//!
//! The generation says which slot is written first: the one that the commit before it wrote last. So the slot
//! that is overwritten is never the only one known to have reached the disk, even when a sync failed, its pages
//! stayed in the cache, and the process came back and found both slots good.

use super::codec;
use super::slots::{Found, read_slots};
use super::{Manifest, Slot, SlotFlaw};
use crate::io::{Access, Dir, File, write_all};
use crate::sync::{Bug, planted};
use crate::{Error, ErrorKind, Result};
use std::io;
use std::sync::Arc;

/// The name of the manifest.
pub(crate) const MANIFEST: &str = "manifest";
/// The name of a manifest that is being written and is not valid yet. May be removed at any time.
pub(crate) const MANIFEST_NEW: &str = "manifest-new";

/// How often a reader beside a writer looks again when it caught both slots in the middle of being written.
const READ_ATTEMPTS_MAX: usize = 8;

/// The open manifest of a partition that this process writes.
#[derive(Debug)]
pub(crate) struct ManifestFile {
    dir: Arc<dyn Dir>,
    file: Arc<dyn File>,
    capacity: u32,
    /// What the next load would find.
    current: Manifest,
    /// The slot that the next commit writes first: never the only one that is known to be on the disk.
    first: Slot,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The name may be in the cache alone, given up by a sync that failed before this process began: the next
    /// commit begins with a new file under a new name.
    NameUnsure,
    Good,
    /// What is on the disk is unknown since this happened.
    Poisoned(Error),
}

/// In what state the two slots were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SlotReport {
    /// Both hold the same.
    Even,
    /// A commit was cut off between the two. Commit before acting on what the newer one says.
    Uneven { newer: Slot },
    /// One cannot be used. The other one may be the older. Commit before acting on what it says.
    OneBad { bad: Slot, flaw: SlotFlaw },
}

impl ManifestFile {
    /// Makes the manifest of a new partition.
    ///
    /// # Errors
    /// `AlreadyExists` when there is one; `InvalidInput` when `manifest` makes no sense; else what the disk
    /// says.
    pub(crate) fn create(dir: &Arc<dyn Dir>, manifest: &Manifest) -> Result<Self> {
        match dir.open(MANIFEST, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::replace(dir, manifest),
            Err(error) => Err(refused(&**dir, "open", MANIFEST, error)),
            Ok(_) => Err(refused(&**dir, "create", MANIFEST, io::ErrorKind::AlreadyExists.into())),
        }
    }

    /// Puts a manifest in place of whatever is there, in one step.
    ///
    /// # Errors
    /// `InvalidInput` when `manifest` makes no sense; else what the disk says.
    pub(crate) fn replace(dir: &Arc<dyn Dir>, manifest: &Manifest) -> Result<Self> {
        let capacity = fitting_capacity(manifest)?;
        write_new(&**dir, manifest, capacity)?;
        let file = put_in_place(&**dir)?;
        let first = Slot::first_of(manifest.generation).other();
        let current = manifest.clone();
        Ok(Self { dir: Arc::clone(dir), file, capacity, current, first, state: State::Good })
    }

    /// Opens the manifest and reads the newest state from it. Writes nothing.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Unsupported` when either slot is of a newer version, `Corrupt` when both
    /// are damaged; else what the disk says.
    pub(crate) fn load(dir: &Arc<dyn Dir>) -> Result<(Self, Manifest, SlotReport)> {
        let file = open(&**dir, Access::ReadWrite)?;
        let Found { manifest, capacity, report } = read_slots(&*file)?.choose(&*file)?;
        let first = match &report {
            SlotReport::Even => Slot::first_of(manifest.generation).other(),
            // The newer one may never have reached the disk; the older one did before the newer was written.
            SlotReport::Uneven { newer } => *newer,
            SlotReport::OneBad { bad, .. } => *bad,
        };
        let (dir, current, state) = (Arc::clone(dir), manifest.clone(), State::NameUnsure);
        Ok((Self { dir, file, capacity, current, first, state }, manifest, report))
    }

    /// Makes `manifest` what the next load finds, power cut or not, and gives it its generation.
    ///
    /// # Errors
    /// `InvalidInput` and `TooLarge` when `manifest` makes no sense or is too long. What the disk says: when
    /// it had no room for a longer file, the old state stands and all can go on; after any other failure the
    /// next load finds the old state or the new one, and until then every commit is `Poisoned`.
    pub(crate) fn commit(&mut self, manifest: &mut Manifest) -> Result<()> {
        self.refuse_poisoned()?;
        let capacity = fitting_capacity(manifest)?;
        let generation = self.next_generation()?;
        self.make_room(capacity)?;
        let before = std::mem::replace(&mut manifest.generation, generation);
        match self.overwrite(manifest) {
            Ok(()) => {
                self.current.clone_from(manifest);
                self.first = Slot::first_of(generation).other();
                Ok(())
            }
            Err(error) => {
                self.state = State::Poisoned(error.clone());
                manifest.generation = before;
                Err(error)
            }
        }
    }

    /// Makes sure that the manifest, as it was loaded, is still found after a power cut. A commit does so by
    /// itself; call this before anything is acknowledged that no commit came before.
    ///
    /// # Errors
    /// As [`ManifestFile::commit`].
    pub(crate) fn confirm(&mut self) -> Result<()> {
        self.refuse_poisoned()?;
        self.make_room(self.capacity)
    }

    /// Whether what was loaded is known to be found after a power cut: see [`ManifestFile::confirm`].
    pub(crate) fn is_confirmed(&self) -> bool {
        matches!(self.state, State::Good)
    }

    /// Whether a commit may still succeed.
    pub(crate) fn is_usable(&self) -> bool {
        !matches!(self.state, State::Poisoned(_))
    }

    /// Bytes of disk that the file takes.
    #[cfg(test)]
    pub(crate) fn disk_bytes(&self) -> u64 {
        2 * u64::from(self.capacity)
    }

    fn refuse_poisoned(&self) -> Result<()> {
        match &self.state {
            State::Poisoned(cause) => {
                let message = format!("the manifest must be loaded again: {cause}");
                Err(Error::with_source(ErrorKind::Poisoned, message, cause.clone()))
            }
            State::NameUnsure | State::Good => Ok(()),
        }
    }

    /// The next generation whose first slot is the one that may be overwritten.
    fn next_generation(&self) -> Result<u64> {
        let generation = self.current.generation;
        let skip = if Slot::first_of(generation.wrapping_add(1)) == self.first { 1 } else { 2 };
        generation.checked_add(skip).ok_or_else(|| {
            let message = format!("{}: no generation follows {generation}", self.file.path().display());
            Error::new(ErrorKind::Corrupt, message)
        })
    }

    /// Writes one slot, then the other.
    fn overwrite(&self, manifest: &Manifest) -> Result<()> {
        let bytes = manifest.encode(self.capacity);
        for slot in [self.first, self.first.other()] {
            write(&*self.file, &bytes, slot.position(self.capacity))?;
            if !planted(Bug::SlotNotSynced) && !planted(Bug::BothSlotsAtOnce) {
                sync(&*self.file)?;
            }
        }
        if planted(Bug::BothSlotsAtOnce) { sync(&*self.file) } else { Ok(()) }
    }

    /// Sees to it that the file has a name that is on the disk, and slots of this capacity.
    fn make_room(&mut self, capacity: u32) -> Result<()> {
        let fits = capacity <= self.capacity;
        if fits && matches!(self.state, State::Good) {
            return Ok(());
        }
        match self.move_to_new_file(capacity.max(self.capacity)) {
            // What fits must not need room, or a full disk could not be relieved by deleting segments.
            Err(error) if fits && error.kind() == ErrorKind::NoSpace && self.is_usable() => {
                sync_dir(&*self.dir).inspect_err(|error| self.state = State::Poisoned(error.clone()))
            }
            result => result,
        }
    }

    /// Moves what is there into a file with slots of this capacity. It says the same, so whichever of the two
    /// files a power cut leaves is right.
    fn move_to_new_file(&mut self, capacity: u32) -> Result<()> {
        write_new(&*self.dir, &self.current, capacity)?;
        let renamed = self.dir.rename(MANIFEST_NEW, MANIFEST);
        if let Err(error) = renamed.map_err(|error| refused(&*self.dir, "rename", MANIFEST_NEW, error)) {
            // For want of room nothing was renamed; after any other failure it is not known.
            if error.kind() != ErrorKind::NoSpace {
                self.state = State::Poisoned(error.clone());
            }
            return Err(error);
        }
        self.file = sync_dir(&*self.dir)
            .and_then(|()| open(&*self.dir, Access::ReadWrite))
            .inspect_err(|error| self.state = State::Poisoned(error.clone()))?;
        self.capacity = capacity;
        self.state = State::Good;
        Ok(())
    }
}

/// Reads the newest state beside a process that may be writing it.
///
/// # Errors
/// As [`ManifestFile::load`].
pub(crate) fn load_read_only(dir: &dyn Dir) -> Result<(Manifest, SlotReport)> {
    let attempt = || {
        let file = open(dir, Access::Read)?;
        read_slots(&*file)?.choose(&*file)
    };
    let is_torn = |found: &Result<Found>| matches!(found, Err(error) if error.kind() == ErrorKind::Corrupt);
    let mut found = attempt();
    for _ in 1..READ_ATTEMPTS_MAX {
        if !is_torn(&found) {
            break;
        }
        found = attempt();
    }
    found.map(|found| (found.manifest, found.report))
}

/// Checks `manifest` and says how large its slots must be.
fn fitting_capacity(manifest: &Manifest) -> Result<u32> {
    manifest.check().map_err(|flaw| {
        let message = format!("a manifest that makes no sense was not written: {flaw}");
        Error::with_source(ErrorKind::InvalidInput, message, flaw)
    })?;
    codec::capacity_for(manifest.encoded_len()).ok_or_else(|| {
        let (found, max) = (manifest.encoded_len(), codec::CAPACITY_MAX);
        let count = manifest.segments.len();
        let message = format!("a manifest of {count} segments takes {found} bytes: the limit is {max} bytes");
        Error::new(ErrorKind::TooLarge, message)
    })
}

/// Writes both slots of a file that is not the manifest yet. When this fails, nothing has changed.
fn write_new(dir: &dyn Dir, manifest: &Manifest, capacity: u32) -> Result<()> {
    match dir.remove(MANIFEST_NEW) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(refused(dir, "remove", MANIFEST_NEW, error));
        }
        _ => {}
    }
    let file = dir.create(MANIFEST_NEW).map_err(|error| refused(dir, "create", MANIFEST_NEW, error))?;
    let len = 2 * u64::from(capacity);
    file.allocate(0, len)
        .map_err(|error| Error::io(format_args!("reserve {len} bytes of"), file.path(), error))?;
    let bytes = manifest.encode(capacity);
    for slot in [Slot::Zero, Slot::One] {
        write(&*file, &bytes, slot.position(capacity))?;
    }
    sync(&*file)
}

/// Makes the new file the manifest, for good. It is opened anew, so that errors call it by its name.
fn put_in_place(dir: &dyn Dir) -> Result<Arc<dyn File>> {
    dir.rename(MANIFEST_NEW, MANIFEST).map_err(|error| refused(dir, "rename", MANIFEST_NEW, error))?;
    if !planted(Bug::ManifestNameNotSynced) {
        sync_dir(dir)?;
    }
    open(dir, Access::ReadWrite)
}

fn open(dir: &dyn Dir, access: Access) -> Result<Arc<dyn File>> {
    dir.open(MANIFEST, access).map_err(|error| refused(dir, "open", MANIFEST, error))
}

fn write(file: &dyn File, bytes: &[u8], position: u64) -> Result<()> {
    write_all(file, bytes, position).map_err(|error| {
        Error::io(format_args!("write {} bytes at position {position} of", bytes.len()), file.path(), error)
    })
}

fn sync(file: &dyn File) -> Result<()> {
    file.sync().map_err(|error| Error::io("sync", file.path(), error))
}

fn sync_dir(dir: &dyn Dir) -> Result<()> {
    dir.sync().map_err(|error| Error::io("sync the directory", dir.path(), error))
}

fn refused(dir: &dyn Dir, action: &'static str, name: &str, error: io::Error) -> Error {
    Error::io(action, &dir.path().join(name), error)
}
