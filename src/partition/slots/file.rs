//! The file: two slots that are never both at risk.
//!
//! ```text
//!     commit 6: write 0, sync, write 1, sync     slot 0 holds 6 on the disk before slot 1 is touched
//!     commit 7: write 1, sync, write 0, sync     slot 1 is the one whose last sync may have failed unseen
//! ```
//!
//! The generation says which slot is written first: the one that the commit before it wrote last. So the slot
//! that is overwritten is never the only one known to have reached the disk, even when a sync failed, its pages
//! stayed in the cache, and the process came back and found both slots good.

use super::Slotted;
use super::pair::{Found, SlotReport, Slots};
use super::slot::{CAPACITY_MAX, Slot, capacity_for};
use crate::io::{Access, ClosedFile, Dir, File, write_all};
use crate::sync::{Bug, planted};
use crate::{Error, ErrorKind, Result};
use std::io;
use std::sync::Arc;

/// An open two-slot file that this process writes.
#[derive(Debug)]
pub(crate) struct SlotFile<S> {
    dir: Arc<dyn Dir>,
    file: Arc<dyn File>,
    capacity: u32,
    /// What the next load would find.
    current: S,
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

impl<S: Slotted> SlotFile<S> {
    /// Makes a new file.
    ///
    /// # Errors
    /// `AlreadyExists` when there is one; `InvalidInput` when `content` makes no sense; else what the disk
    /// says.
    pub(crate) fn create(dir: &Arc<dyn Dir>, content: &S) -> Result<Self> {
        match dir.open(S::NAME, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::replace(dir, content),
            Err(error) => Err(refused(&**dir, "open", S::NAME, error)),
            Ok(_) => Err(refused(&**dir, "create", S::NAME, io::ErrorKind::AlreadyExists.into())),
        }
    }

    /// Puts a file in place of whatever is there, in one step.
    ///
    /// # Errors
    /// `InvalidInput` when `content` makes no sense; else what the disk says.
    pub(crate) fn replace(dir: &Arc<dyn Dir>, content: &S) -> Result<Self> {
        let capacity = fitting_capacity(content)?;
        write_new(&**dir, [content, content], capacity)?;
        let file = put_in_place::<S>(&**dir)?;
        let first = Slot::first_of(content.generation()).other();
        let current = content.clone();
        Ok(Self { dir: Arc::clone(dir), file, capacity, current, first, state: State::Good })
    }

    /// Opens the file and reads the newest state from it. Writes nothing.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Unsupported` when either slot is of a newer version, `Corrupt` when both
    /// are damaged; else what the disk says.
    pub(crate) fn load(dir: &Arc<dyn Dir>) -> Result<(Self, S, SlotReport<S::Flaw>)> {
        let file = open::<S>(&**dir, Access::ReadWrite)?;
        let Found { content, capacity, report } = Slots::<S>::read(&*file)?.choose(&*file)?;
        let first = match &report {
            SlotReport::Even => Slot::first_of(content.generation()).other(),
            // The newer one may never have reached the disk; the older one did before the newer was written.
            SlotReport::Uneven { newer } => *newer,
            SlotReport::OneBad { bad, .. } => *bad,
        };
        let (dir, current, state) = (Arc::clone(dir), content.clone(), State::NameUnsure);
        Ok((Self { dir, file, capacity, current, first, state }, content, report))
    }

    /// Makes `content` what the next load finds, power cut or not, and gives it its generation.
    ///
    /// # Errors
    /// `InvalidInput` and `TooLarge` when `content` makes no sense or is too long. What the disk says: when
    /// it had no room for a longer file, the old state stands and all can go on; after any other failure the
    /// next load finds the old state or the new one, and until then every commit is `Poisoned`.
    pub(crate) fn commit(&mut self, content: &mut S) -> Result<()> {
        self.refuse_poisoned()?;
        let capacity = fitting_capacity(content)?;
        let generation = self.next_generation()?;
        let before = content.generation();
        content.set_generation(generation);
        match self.put(content, capacity) {
            Ok(()) => {
                self.current.clone_from(content);
                self.first = Slot::first_of(generation).other();
                Ok(())
            }
            Err(error) => {
                content.set_generation(before);
                Err(error)
            }
        }
    }

    /// Makes sure that the content, as it was loaded, is still found after a power cut. A commit does so by
    /// itself; call this before anything is acknowledged that no commit came before.
    ///
    /// # Errors
    /// As [`SlotFile::commit`].
    pub(crate) fn confirm(&mut self) -> Result<()> {
        self.refuse_poisoned()?;
        if matches!(self.state, State::Good) {
            return Ok(());
        }
        let current = self.current.clone();
        match self.move_to_new_file(&current, self.capacity) {
            Err(error) if self.may_stay(&error) => self.sync_name(),
            result => result,
        }
    }

    /// Whether what was loaded is known to be found after a power cut: see [`SlotFile::confirm`].
    pub(crate) fn is_confirmed(&self) -> bool {
        matches!(self.state, State::Good)
    }

    /// Whether a commit may still succeed.
    pub(crate) fn is_usable(&self) -> bool {
        !matches!(self.state, State::Poisoned(_))
    }

    /// Most bytes of disk that `content` takes, and the file that it is in before.
    pub(crate) fn disk_bytes_for(content: &S) -> u64 {
        4 * u64::from(capacity_for(content.encoded_len()).unwrap_or(CAPACITY_MAX))
    }

    /// Bytes of disk that the file takes.
    #[cfg(test)]
    pub(crate) fn disk_bytes(&self) -> u64 {
        2 * u64::from(self.capacity)
    }

    /// Closes the file. Nothing is committed any more.
    pub(crate) fn close(&mut self) {
        self.file = ClosedFile::of(&*self.file);
    }

    /// # Errors
    /// `Poisoned` when it is unknown what the next load finds.
    pub(crate) fn refuse_poisoned(&self) -> Result<()> {
        match &self.state {
            State::Poisoned(cause) => {
                let message = format!("the {} must be loaded again: {cause}", S::NAME);
                Err(Error::with_source(ErrorKind::Poisoned, message, cause.clone()))
            }
            State::NameUnsure | State::Good => Ok(()),
        }
    }

    /// The next generation whose first slot is the one that may be overwritten.
    fn next_generation(&self) -> Result<u64> {
        let generation = self.current.generation();
        let skip = if Slot::first_of(generation.wrapping_add(1)) == self.first { 1 } else { 2 };
        generation.checked_add(skip).ok_or_else(|| {
            let message = format!("{}: no generation follows {generation}", self.file.path().display());
            Error::new(ErrorKind::Corrupt, message)
        })
    }

    /// Makes `content` the state on the disk, in slots of this capacity or of a larger one.
    fn put(&mut self, content: &S, capacity: u32) -> Result<()> {
        let fits = capacity <= self.capacity;
        if fits && matches!(self.state, State::Good) {
            return self.overwrite(content);
        }
        match self.move_to_new_file(content, capacity.max(self.capacity)) {
            Err(error) if fits && self.may_stay(&error) => {
                self.sync_name()?;
                self.overwrite(content)
            }
            result => result,
        }
    }

    /// Whether there was no room for a new file, and nothing has changed. What fits must not need room, or a
    /// full disk could not be relieved by deleting segments.
    fn may_stay(&self, error: &Error) -> bool {
        error.kind() == ErrorKind::NoSpace && self.is_usable()
    }

    fn sync_name(&mut self) -> Result<()> {
        sync_dir(&*self.dir).inspect_err(|error| self.state = State::Poisoned(error.clone()))
    }

    /// Writes one slot, then the other.
    fn overwrite(&mut self, content: &S) -> Result<()> {
        self.overwrite_slots(content, &[self.first, self.first.other()])
            .inspect_err(|error| self.state = State::Poisoned(error.clone()))
    }

    fn overwrite_slots(&self, content: &S, slots: &[Slot]) -> Result<()> {
        let bytes = content.encode(self.capacity);
        for slot in slots {
            write(&*self.file, &bytes, slot.position(self.capacity))?;
            if !planted(Bug::SlotNotSynced) && !planted(Bug::BothSlotsAtOnce) {
                sync(&*self.file)?;
            }
        }
        if planted(Bug::BothSlotsAtOnce) { sync(&*self.file) } else { Ok(()) }
    }

    /// Makes `content` the state on the disk by a new file with slots of this capacity.
    ///
    /// Until its name is on the disk, the new file holds the old state in its other slot: who finds it before
    /// that, in the cache of a disk that may yet lose the name, sees a commit that was cut off, and does it anew.
    fn move_to_new_file(&mut self, content: &S, capacity: u32) -> Result<()> {
        let last = Slot::first_of(content.generation()).other();
        let slots = match last {
            Slot::Zero => [&self.current, content],
            Slot::One => [content, &self.current],
        };
        write_new(&*self.dir, slots, capacity)?;
        let renamed = self.dir.rename(S::NEW_NAME, S::NAME);
        if let Err(error) = renamed.map_err(|error| refused(&*self.dir, "rename", S::NEW_NAME, error)) {
            // For want of room nothing was renamed; after any other failure it is not known.
            if error.kind() != ErrorKind::NoSpace {
                self.state = State::Poisoned(error.clone());
            }
            return Err(error);
        }
        self.file = sync_dir(&*self.dir)
            .and_then(|()| open::<S>(&*self.dir, Access::ReadWrite))
            .inspect_err(|error| self.state = State::Poisoned(error.clone()))?;
        self.capacity = capacity;
        self.state = State::Good;
        if *content == self.current {
            return Ok(());
        }
        self.overwrite_slots(content, &[last])
            .inspect_err(|error| self.state = State::Poisoned(error.clone()))
    }
}

/// Checks the content and says how large its slots must be.
fn fitting_capacity<S: Slotted>(content: &S) -> Result<u32> {
    content.check().map_err(|flaw| {
        let message = format!("a {} that makes no sense was not written: {flaw}", S::NAME);
        Error::with_source(ErrorKind::InvalidInput, message, flaw)
    })?;
    capacity_for(content.encoded_len()).ok_or_else(|| {
        let (found, max) = (content.encoded_len(), CAPACITY_MAX);
        let message = format!("{} takes {found} bytes: the limit is {max} bytes", content.describe());
        Error::new(ErrorKind::TooLarge, message)
    })
}

/// Writes both slots of a file that is not the valid one yet. When this fails, nothing has changed.
fn write_new<S: Slotted>(dir: &dyn Dir, slots: [&S; 2], capacity: u32) -> Result<()> {
    match dir.remove(S::NEW_NAME) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(refused(dir, "remove", S::NEW_NAME, error));
        }
        _ => {}
    }
    let file = dir.create(S::NEW_NAME).map_err(|error| refused(dir, "create", S::NEW_NAME, error))?;
    let len = 2 * u64::from(capacity);
    file.allocate(0, len)
        .map_err(|error| Error::io(format_args!("reserve {len} bytes of"), file.path(), error))?;
    for (slot, content) in [Slot::Zero, Slot::One].into_iter().zip(slots) {
        write(&*file, &content.encode(capacity), slot.position(capacity))?;
    }
    sync(&*file)
}

/// Makes the new file the valid one, for good. It is opened anew, so that errors call it by its name.
fn put_in_place<S: Slotted>(dir: &dyn Dir) -> Result<Arc<dyn File>> {
    dir.rename(S::NEW_NAME, S::NAME).map_err(|error| refused(dir, "rename", S::NEW_NAME, error))?;
    if !planted(Bug::ManifestNameNotSynced) {
        sync_dir(dir)?;
    }
    open::<S>(dir, Access::ReadWrite)
}

pub(super) fn open<S: Slotted>(dir: &dyn Dir, access: Access) -> Result<Arc<dyn File>> {
    dir.open(S::NAME, access).map_err(|error| refused(dir, "open", S::NAME, error))
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
