//! The real disk: directories and files of the operating system.
//!
//! ```text
//!     DiskDir ──open, create──▶ DiskFile ──map──▶ mmap::{Writer, Reader}
//! ```
//!
//! Nothing is opened blindly: a link is not followed, and a pipe or a device is refused without waiting for it.
//! Linux is tested. Elsewhere space is not reserved, holes are not punched and maps are not offered; Windows has
//! no directory to sync.

use super::name::{check_name, not_a_file};
use super::slot::WriterSlot;
use super::space::{allocate, check_reservable, punch};
use super::{Access, Dir, Entry, EntryKind, File, Lock, MapReader, MapWriter, mmap};
use std::fs::{self, DirBuilder, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory of the real file system.
///
/// ```
/// use annals::io::DiskDir;
/// # fn main() -> std::io::Result<()> {
/// # let path = std::env::temp_dir().join(format!("annals-doc-disk-{}", std::process::id()));
/// let dir = DiskDir::open_or_create(&path)?;
/// let file = dir.create("hello")?;
/// file.write_at(b"world", 0)?;
/// file.sync()?;
/// dir.sync()?;
/// # std::fs::remove_dir_all(&path)
/// # }
/// ```
#[derive(Debug)]
pub struct DiskDir {
    path: PathBuf,
    /// Open for as long as the directory is in use, so that its syncs hear of every failed write-back.
    #[cfg(unix)]
    handle: fs::File,
}

impl DiskDir {
    /// Opens the directory at `path`, which stays the same when the process changes its working directory.
    ///
    /// # Errors
    /// `NotFound` when there is none; `NotADirectory` when something else is there.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Arc<dyn Dir>> {
        Ok(Arc::new(Self::at(std::path::absolute(path)?)?))
    }

    /// Opens the directory at `path`, or creates it for its owner alone.
    ///
    /// What is missing above it is created too.
    ///
    /// The new names survive a power cut.
    ///
    /// # Errors
    /// As [`DiskDir::open`], and whatever keeps a directory from being created.
    pub fn open_or_create(path: impl AsRef<Path>) -> io::Result<Arc<dyn Dir>> {
        let path = std::path::absolute(path)?;
        let missing: Vec<_> = path.ancestors().take_while(|path| !path.exists()).collect();
        for path in missing.into_iter().rev() {
            match private(&mut DirBuilder::new()).create(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            if let Some(parent) = path.parent() {
                Self::at(parent.to_owned())?.sync()?;
            }
        }
        Self::open(path)
    }

    #[cfg(unix)]
    fn at(path: PathBuf) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::DIRECTORY.bits().cast_signed();
        let handle = OpenOptions::new().read(true).custom_flags(flags).open(&path)?;
        Ok(Self { path, handle })
    }

    #[cfg(not(unix))]
    fn at(path: PathBuf) -> io::Result<Self> {
        if fs::metadata(&path)?.is_dir() {
            Ok(Self { path })
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    /// Where the file `name` lies.
    fn path_of(&self, name: &str) -> io::Result<PathBuf> {
        check_name(name)?;
        Ok(self.path.join(name))
    }

    fn handle(path: PathBuf, file: fs::File) -> Arc<dyn File> {
        Arc::new(DiskFile { path, file: Arc::new(file), slot: Arc::default() })
    }
}

impl Dir for DiskDir {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(Entry { name, kind: kind_of(entry.file_type()?) });
            }
        }
        Ok(entries)
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn File>> {
        let path = self.path_of(name)?;
        let mut options = OpenOptions::new();
        options.read(true).write(access == Access::ReadWrite);
        let file = open_regular(&path, name, &mut options)?;
        Ok(Self::handle(path, file))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let path = self.path_of(name)?;
        let file = private_file(OpenOptions::new().read(true).write(true).create_new(true)).open(&path)?;
        Ok(Self::handle(path, file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (old, new) = (self.path_of(from)?, self.path_of(to)?);
        if !fs::symlink_metadata(&old)?.is_file() {
            return Err(not_a_file(from));
        }
        fs::rename(old, new)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path_of(name)?)
    }

    #[cfg(unix)]
    fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    #[cfg(not(unix))]
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn open_dir(&self, name: &str) -> io::Result<Arc<dyn Dir>> {
        let path = self.path_of(name)?;
        if !fs::symlink_metadata(&path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Self::open(path)
    }

    fn create_dir(&self, name: &str) -> io::Result<Arc<dyn Dir>> {
        let path = self.path_of(name)?;
        private(&mut DirBuilder::new()).create(&path)?;
        Self::open(path)
    }

    fn remove_dir(&self, name: &str) -> io::Result<()> {
        fs::remove_dir(self.path_of(name)?)
    }

    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Lock>>> {
        let path = self.path_of(name)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let file = match open_regular(&path, name, &mut options) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                open_regular_or_create(&path, name, options.create(true))?
            }
            opened => opened?,
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(DiskLock(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Opens what is at `path` if it is a regular file; it is looked at before, since opening a device can do
/// something, and after, since it may have changed in between.
fn open_regular(path: &Path, name: &str, options: &mut OpenOptions) -> io::Result<fs::File> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(not_a_file(name));
    }
    open_regular_or_create(path, name, options)
}

fn open_regular_or_create(path: &Path, name: &str, options: &mut OpenOptions) -> io::Result<fs::File> {
    let file = private_file(options).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_a_file(name)) }
}

/// A file that is made is its owner's alone; a link in its place is not followed, a pipe is not waited for.
#[cfg(unix)]
fn private_file(options: &mut OpenOptions) -> &mut OpenOptions {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    // std adds O_CLOEXEC to every file it opens.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.mode(0o600).custom_flags(flags.bits().cast_signed())
}

#[cfg(windows)]
fn private_file(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::windows::fs::OpenOptionsExt;
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
}

#[cfg(unix)]
fn private(builder: &mut DirBuilder) -> &mut DirBuilder {
    std::os::unix::fs::DirBuilderExt::mode(builder, 0o700)
}

#[cfg(not(unix))]
fn private(builder: &mut DirBuilder) -> &mut DirBuilder {
    builder
}

fn kind_of(kind: fs::FileType) -> EntryKind {
    if kind.is_file() {
        EntryKind::File
    } else if kind.is_dir() {
        EntryKind::Dir
    } else {
        EntryKind::Other
    }
}

/// The locked file. The lock is released by word and not by closing alone: a process that is being started by
/// another thread holds a copy of the descriptor for a moment, and with it the lock.
#[derive(Debug)]
struct DiskLock(fs::File);

impl Drop for DiskLock {
    fn drop(&mut self) {
        // Closing the descriptor does the same, only later.
        let _ = self.0.unlock();
    }
}

impl Lock for DiskLock {
    fn write_note(&self, note: &str) -> io::Result<()> {
        use std::io::{Seek, Write};
        let mut file = &self.0;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(note.as_bytes())
    }
}

#[derive(Debug)]
struct DiskFile {
    path: PathBuf,
    file: Arc<fs::File>,
    slot: Arc<WriterSlot>,
}

impl File for DiskFile {
    fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(unix)]
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&*self.file, buf, position)
    }

    #[cfg(windows)]
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&*self.file, buf, position)
    }

    #[cfg(unix)]
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(&*self.file, bytes, position)
    }

    #[cfg(windows)]
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_write(&*self.file, bytes, position)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    #[cfg(unix)]
    fn allocated_bytes(&self) -> io::Result<u64> {
        // The unit of st_blocks is 512 bytes, whatever the file system's block size is.
        Ok(std::os::unix::fs::MetadataExt::blocks(&self.file.metadata()?) * 512)
    }

    #[cfg(not(unix))]
    fn allocated_bytes(&self) -> io::Result<u64> {
        self.len()
    }

    fn allocate(&self, from: u64, to: u64) -> io::Result<()> {
        if from < to { allocate(&self.file, from, to) } else { Ok(()) }
    }

    fn punch(&self, from: u64, to: u64) -> io::Result<()> {
        if from < to { punch(&self.file, from, to) } else { Ok(()) }
    }

    /// fdatasync on Linux, which covers the map and the size; F_FULLFSYNC on macOS; FlushFileBuffers on Windows.
    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn map(&self, published: u64, capacity: u64) -> io::Result<(Box<dyn MapWriter>, Arc<dyn MapReader>)> {
        check_mappable(&self.file)?;
        check_reservable(&self.file)?;
        mmap::map(&self.file, &self.slot, published, capacity)
    }

    fn map_read(&self, len: u64) -> io::Result<Arc<dyn MapReader>> {
        check_mappable(&self.file)?;
        mmap::map_read(&self.file, len)
    }
}

/// Lets a file be mapped only where reserved space is kept for it, so that no store can fail: not on
/// copy-on-write, network and user-space file systems, and not where a map fills the address space.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn check_mappable(file: &fs::File) -> io::Result<()> {
    const EXT4: u32 = 0xef53;
    const XFS: u32 = 0x5846_5342;
    const TMPFS: u32 = 0x0102_1994;
    let known = [EXT4, XFS, TMPFS].map(i128::from).contains(&rustix::fs::fstatfs(file)?.f_type.into());
    if known { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
}

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
fn check_mappable(_file: &fs::File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
