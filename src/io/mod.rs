//! Everything the crate asks of a disk, behind two small traits.
//!
//! ```text
//!     Dir ──open, create──▶ File ──map──▶ MapWriter   the one writer's half of a mapped file
//!                             │           MapReader   what everybody else holds
//!                             └─read_at, write_at, allocate, sync
//! ```
//!
//! The calls happen once per group commit, per mapping and per reserve step, and at most once per append
//! ([`MapWriter::store`]), so a dynamic call costs nothing that can be measured. Implementations: the real
//! disk, memory (throw-away logs and tests), and the simulated disk.
//!
//! All of them return [`std::io::Error`]; the floors above add what they were doing, to which file and where.

mod bounds;
mod closed;
#[cfg(test)]
mod differential;
mod disk;
mod growth;
mod map;
mod memory;
mod mmap;
mod name;
mod pages;
pub mod sim;
mod slot;
mod space;
#[cfg(test)]
mod suite;

pub(crate) use closed::ClosedFile;
pub use disk::DiskDir;
pub use memory::MemoryDisk;
pub use sim::{
    Atom, Counts, EntryOrder, FailedSync, Failure, Fate, Fault, Images, Maps, Op, PowerCuts, RecordedStep,
    Recording, Replay, SimDisk,
};

pub use crate::sync::{Published, Publisher};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// One directory.
///
/// A created, renamed or removed name survives a power cut only after [`Dir::sync`]. Names are single path
/// components. Symbolic links are never followed.
///
/// # Errors
/// Every call that takes a name says `InvalidInput` for one that is no plain name. What has no room says
/// `StorageFull` or `QuotaExceeded`, what may not be changed `PermissionDenied` or `ReadOnlyFilesystem`: the floors
/// above go by these and by the kinds below, and take any other for a failure of the device.
pub trait Dir: fmt::Debug + Send + Sync {
    /// Where it is, for messages.
    fn path(&self) -> &Path;

    /// What is in it, in no particular order.
    ///
    /// # Errors
    /// That it cannot be read.
    fn list(&self) -> io::Result<Vec<Entry>>;

    /// Opens the regular file `name`.
    ///
    /// # Errors
    /// `NotFound` when there is none; `InvalidInput` when it is not a regular file.
    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn File>>;

    /// Creates the empty file `name` and opens it for reading and writing.
    ///
    /// Its owner alone may read it.
    ///
    /// # Errors
    /// `AlreadyExists` when something of that name is there.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Gives the file `from` the name `to`.
    ///
    /// A file of that name is replaced in one step.
    ///
    /// # Errors
    /// `NotFound` when there is no `from`; `InvalidInput` when it is not a regular file.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes the name of a file. Who has it open or mapped keeps it.
    ///
    /// # Errors
    /// `NotFound` when there is none; any other when it is no file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names as they are now survive a power cut.
    ///
    /// # Errors
    /// Whatever keeps them from it. Then which of them survive is unknown.
    fn sync(&self) -> io::Result<()>;

    /// Opens the directory `name` in this one.
    ///
    /// # Errors
    /// `NotFound` when there is none; `NotADirectory` when something else is there.
    fn open_dir(&self, name: &str) -> io::Result<Arc<dyn Dir>>;

    /// Creates the directory `name` in this one, accessible to its owner alone.
    ///
    /// # Errors
    /// `AlreadyExists` when something of that name is there.
    fn create_dir(&self, name: &str) -> io::Result<Arc<dyn Dir>>;

    /// Removes the empty directory `name`.
    ///
    /// # Errors
    /// `NotFound` when there is none; `NotADirectory` when it is none; `DirectoryNotEmpty`.
    fn remove_dir(&self, name: &str) -> io::Result<()>;

    /// Takes the exclusive lock on the file `name`, which is created if need be.
    ///
    /// None when another handle or process holds it. Dropping the lock releases it, and so does the end of the
    /// process.
    ///
    /// # Errors
    /// `InvalidInput` when it is not a regular file; else that it cannot be made, opened or locked. That somebody
    /// holds it is no error.
    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Lock>>>;
}

/// A held lock: the file that carries it, to leave a note in.
pub trait Lock: fmt::Debug + Send + Sync {
    /// Replaces the content of the lock file with `note`, which says who holds the lock.
    ///
    /// # Errors
    /// That it cannot be written: the lock is held all the same.
    fn write_note(&self, note: &str) -> io::Result<()>;
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name. One that is not UTF-8 is not ours and is left out of listings.
    pub name: String,
    /// What it names.
    pub kind: EntryKind,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// Anything else: a link, a pipe, a device. Never opened.
    Other,
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Reading; works in a directory that others write.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// One open file.
///
/// # Errors
/// Of every call that changes it: `StorageFull` or `QuotaExceeded` when there is no room, and any error when it was
/// opened by [`Access::Read`].
#[expect(clippy::len_without_is_empty, reason = "a size can fail, and nobody asks whether a file is empty")]
pub trait File: fmt::Debug + Send + Sync {
    /// Where it was opened or created, for messages. A later rename does not change it.
    fn path(&self) -> &Path;

    /// Reads into `buf` from byte `position` on; returns how many bytes were read.
    ///
    /// 0 at the end of the file. May read less than was asked for, and may be interrupted: see [`read_full`].
    ///
    /// # Errors
    /// `Interrupted`, which is tried again; else that the device failed. The end of the file is no error.
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize>;

    /// Writes a prefix of `bytes` at byte `position` and returns its length. May write less than was asked
    /// for, and may be interrupted: see [`write_all`].
    ///
    /// # Errors
    /// `Interrupted`, which is tried again; `StorageFull` or `QuotaExceeded` when there is no room; else that the
    /// device failed. Nothing was written then.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize>;

    /// The size, in bytes. Says nothing about how much of it was ever written.
    ///
    /// # Errors
    /// That the device failed.
    fn len(&self) -> io::Result<u64>;

    /// How many bytes of the disk the file occupies.
    ///
    /// # Errors
    /// That the device failed.
    fn allocated_bytes(&self) -> io::Result<u64>;

    /// Takes disk space for the bytes `from..to`.
    ///
    /// A file that is shorter than `to` grows to it, with zeros. What is stored in the range stays. Where the file
    /// system cannot reserve space, the file grows and a later write may still find the disk full. Never called twice
    /// at once for one file, nor beside a write beyond its end: the size may be looked at first and set then.
    ///
    /// # Errors
    /// `StorageFull` or `QuotaExceeded` when there is no room. Some of the space may have been taken.
    fn allocate(&self, from: u64, to: u64) -> io::Result<()>;

    /// Gives the disk space of the bytes `from..to` back.
    ///
    /// They read as zeros, and the size stays. Does nothing where the file system cannot, and unless it is
    /// implemented: then the space stays taken.
    ///
    /// # Errors
    /// That the device failed. That it cannot be done is none.
    fn punch(&self, from: u64, to: u64) -> io::Result<()> {
        let _ = (from, to);
        Ok(())
    }

    /// Makes the content survive a power cut.
    ///
    /// And as much of the size as is needed to read it. Covers what was stored through a map.
    ///
    /// # Errors
    /// Whatever keeps it from it. Then what survives of all that was stored since the last sync is unknown, and a
    /// later sync that succeeds says nothing about it.
    fn sync(&self) -> io::Result<()>;

    /// Maps the first `capacity` bytes for one writer and many readers.
    ///
    /// They may reach beyond the end of the file. Not offered unless it is implemented. The bytes up to `published`
    /// are what is in the file already. Nothing beyond them counts as reserved, however long the file is: space that
    /// was given back leaves the length as it was.
    ///
    /// # Errors
    /// `Unsupported` where mapped stores are not safe or not offered: use `write_at`. `InvalidInput` unless
    /// `published` lies within the file and the capacity, which is not 0. `ResourceBusy` while a writer that
    /// was made by this handle lives.
    fn map(&self, published: u64, capacity: u64) -> io::Result<(Box<dyn MapWriter>, Arc<dyn MapReader>)> {
        let _ = (published, capacity);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Maps the first `len` bytes for reading; all of them count as published. Nobody may write them any
    /// more. Not offered unless it is implemented.
    ///
    /// # Errors
    /// `Unsupported` where maps are not offered: use `read_at`. `UnexpectedEof` when the file is shorter.
    fn map_read(&self, len: u64) -> io::Result<Arc<dyn MapReader>> {
        let _ = len;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The writer's half of a mapped file: the only one that can store into it.
///
/// Bytes below the published end never change again, so readers may copy them at any time. Bytes from there
/// on belong to this half alone.
pub trait MapWriter: fmt::Debug + Send {
    /// Copies `bytes` to `position`, which lies at or after the published end.
    ///
    /// # Panics
    /// If the range begins before the published end or reaches beyond what is reserved: a bug of the caller.
    fn store(&mut self, bytes: &[u8], position: u64);

    /// Copies `bytes` to `position` and publishes the end behind them, in one call.
    ///
    /// # Panics
    /// As [`MapWriter::store`].
    fn append(&mut self, bytes: &[u8], position: u64) {
        self.store(bytes, position);
        self.publish(position + bytes.len() as u64);
    }

    /// Moves the published end to `end`.
    ///
    /// The bytes before it were stored or written by `write_at`.
    ///
    /// # Panics
    /// If the end would go back, or beyond what is reserved.
    fn publish(&mut self, end: u64);

    /// The published end, for readers.
    fn published(&self) -> Published;
}

/// The shared half of a mapped file.
pub trait MapReader: fmt::Debug + Send + Sync {
    /// Copies bytes from `position` on into the whole of `buf`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the range reaches beyond the published end.
    fn read(&self, buf: &mut [u8], position: u64) -> io::Result<()>;

    /// Reserves disk space up to byte `to` and makes its pages present.
    ///
    /// So stores below it neither fail nor wait. Does nothing for what is reserved already. Can run beside the
    /// writer's stores.
    ///
    /// # Errors
    /// `StorageFull` when there is no room; what was reserved before stays. `InvalidInput` beyond the capacity.
    fn reserve(&self, to: u64) -> io::Result<()>;

    /// How far the file is reserved: stores may reach up to here (exclusive).
    fn reserved(&self) -> u64;
}

/// How often one call is tried again after an interruption before it counts as failed.
const INTERRUPTIONS_MAX: usize = 1_000;

/// Reads until `buf` is full or the file ends; returns how many bytes were read.
///
/// # Errors
/// The first failure that is not an interruption; some of `buf` may have been overwritten.
pub fn read_full(file: &dyn File, buf: &mut [u8], position: u64) -> io::Result<usize> {
    let mut done = 0;
    let mut interruptions = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, position + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count.min(rest.len()),
            Err(error) => interrupted(error, &mut interruptions)?,
        }
    }
    Ok(done)
}

/// Writes all of `bytes` at `position`, however many calls it takes.
///
/// # Errors
/// The first failure that is not an interruption; some of the bytes may have been written.
pub fn write_all(file: &dyn File, bytes: &[u8], position: u64) -> io::Result<()> {
    let mut done = 0;
    let mut interruptions = 0;
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        match file.write_at(rest, position + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => done += count.min(rest.len()),
            Err(error) => interrupted(error, &mut interruptions)?,
        }
    }
    Ok(())
}

/// Lets a call be tried again after an interruption, but not for ever.
fn interrupted(error: io::Error, seen: &mut usize) -> io::Result<()> {
    *seen += 1;
    if error.kind() == io::ErrorKind::Interrupted && *seen <= INTERRUPTIONS_MAX { Ok(()) } else { Err(error) }
}
