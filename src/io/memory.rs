//! A disk in memory: for logs that are thrown away, and for tests that do not ask about power cuts.
//!
//! ```text
//!     MemoryDisk ──root──▶ Folder ──▶ Folder ──▶ Node ◀── MemoryFile, and maps of it
//! ```
//!
//! It keeps what the traits promise, maps included: a "map" copies under the file's lock.

use super::bounds;
use super::map::{self, Backing};
use super::name::{check_name, not_a_file};
use super::pages::Content;
use super::slot::WriterSlot;
use super::{Access, Dir, Entry, EntryKind, File, Lock, MapReader, MapWriter};
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering, RwLock};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A disk in memory, which dies with its last handle.
///
/// ```
/// use annals::io::MemoryDisk;
/// # fn main() -> std::io::Result<()> {
/// let disk = MemoryDisk::new();
/// let file = disk.root().create("hello")?;
/// file.write_at(b"world", 0)?;
/// assert_eq!(file.len()?, 5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    root: Arc<Folder>,
}

impl MemoryDisk {
    /// An empty disk, as large as memory.
    #[must_use]
    pub fn new() -> Self {
        Self::with_budget(u64::MAX)
    }

    /// An empty disk with room for `bytes`, counted in pages of 4 KiB.
    ///
    /// Names cost nothing.
    #[must_use]
    pub fn with_budget(bytes: u64) -> Self {
        let space = Arc::new(Space { budget: bytes, used: AtomicU64::new(0) });
        Self { root: Arc::new(Folder::new(PathBuf::from("memory:"), space)) }
    }

    /// Bytes that files take now, counted as by [`MemoryDisk::with_budget`].
    ///
    /// Removed ones count as long as they are open.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.root.space.used.load(Ordering::Relaxed)
    }

    /// The directory in which everything lies.
    #[must_use]
    pub fn root(&self) -> Arc<dyn Dir> {
        Arc::<Folder>::clone(&self.root)
    }
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::new()
    }
}

/// How much room there is.
#[derive(Debug)]
struct Space {
    budget: u64,
    used: AtomicU64,
}

impl Space {
    fn take(&self, bytes: u64) -> io::Result<()> {
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.budget);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A directory: what is in it, or nothing any more once it was removed.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    space: Arc<Space>,
    names: Mutex<Names>,
}

#[derive(Debug, Default)]
struct Names {
    entries: BTreeMap<String, Named>,
    removed: bool,
}

#[derive(Clone, Debug)]
enum Named {
    File(Arc<Node>),
    Dir(Arc<Folder>),
}

/// A file, whatever its name.
#[derive(Debug)]
struct Node {
    content: RwLock<Content>,
    locked: AtomicBool,
    space: Arc<Space>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.space.give_back(self.content.get_mut().allocated_bytes());
    }
}

impl Folder {
    fn new(path: PathBuf, space: Arc<Space>) -> Self {
        Self { path, space, names: Mutex::new(Names::default()) }
    }

    fn new_node(&self) -> Arc<Node> {
        let space = Arc::clone(&self.space);
        Arc::new(Node { content: RwLock::default(), locked: AtomicBool::new(false), space })
    }

    fn handle(&self, name: &str, node: Arc<Node>, access: Access) -> MemoryFile {
        MemoryFile { path: self.path.join(name), node, access, slot: Arc::default() }
    }
}

impl Names {
    fn get(&self, name: &str) -> io::Result<&Named> {
        check_name(name)?;
        self.entries.get(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn file(&self, name: &str) -> io::Result<Arc<Node>> {
        match self.get(name)? {
            Named::File(node) => Ok(Arc::clone(node)),
            Named::Dir(_) => Err(not_a_file(name)),
        }
    }

    fn add(&mut self, name: &str, named: Named) -> io::Result<()> {
        check_name(name)?;
        if self.removed {
            return Err(io::ErrorKind::NotFound.into());
        }
        if self.entries.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.entries.insert(name.to_owned(), named);
        Ok(())
    }
}

impl Dir for Folder {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        let names = self.names.lock();
        let kind = |named: &Named| match named {
            Named::File(_) => EntryKind::File,
            Named::Dir(_) => EntryKind::Dir,
        };
        Ok(names
            .entries
            .iter()
            .map(|(name, named)| Entry { name: name.clone(), kind: kind(named) })
            .collect())
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn File>> {
        let node = self.names.lock().file(name)?;
        Ok(Arc::new(self.handle(name, node, access)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let node = self.new_node();
        self.names.lock().add(name, Named::File(Arc::clone(&node)))?;
        Ok(Arc::new(self.handle(name, node, Access::ReadWrite)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(to)?;
        let mut names = self.names.lock();
        let node = names.file(from)?;
        if let Some(Named::Dir(_)) = names.entries.get(to) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        names.entries.remove(from);
        names.entries.insert(to.to_owned(), Named::File(node));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut names = self.names.lock();
        names.file(name)?;
        names.entries.remove(name);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn open_dir(&self, name: &str) -> io::Result<Arc<dyn Dir>> {
        match self.names.lock().get(name)? {
            Named::Dir(folder) => Ok(Arc::<Self>::clone(folder)),
            Named::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn create_dir(&self, name: &str) -> io::Result<Arc<dyn Dir>> {
        let folder = Arc::new(Self::new(self.path.join(name), Arc::clone(&self.space)));
        self.names.lock().add(name, Named::Dir(Arc::clone(&folder)))?;
        Ok(folder)
    }

    fn remove_dir(&self, name: &str) -> io::Result<()> {
        let mut names = self.names.lock();
        let Named::Dir(folder) = names.get(name)? else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        let mut inner = folder.names.lock();
        if !inner.entries.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        inner.removed = true;
        drop(inner);
        names.entries.remove(name);
        Ok(())
    }

    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Lock>>> {
        let mut names = self.names.lock();
        let node = match names.file(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let node = self.new_node();
                names.add(name, Named::File(Arc::clone(&node)))?;
                node
            }
            found => found?,
        };
        let free = !node.locked.swap(true, Ordering::AcqRel);
        Ok(free.then(|| Box::new(MemoryLock(node)) as Box<dyn Lock>))
    }
}

#[derive(Debug)]
struct MemoryLock(Arc<Node>);

impl Lock for MemoryLock {
    fn write_note(&self, note: &str) -> io::Result<()> {
        self.0.change(|content| content.set_len(0));
        self.0.write(note.as_bytes(), 0)
    }
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.0.locked.store(false, Ordering::Release);
    }
}

impl Node {
    fn write(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let end = bounds::end_of(bytes.len(), position)?;
        let mut content = self.content.write();
        self.space.take(content.cost(position, end))?;
        content.write_at(bytes, position);
        Ok(())
    }

    fn allocate(&self, from: u64, to: u64) -> io::Result<()> {
        bounds::end_of(0, to)?;
        let mut content = self.content.write();
        self.space.take(content.cost(from, to))?;
        content.allocate(from, to);
        Ok(())
    }

    /// Applies a change that can only free space.
    fn change(&self, change: impl FnOnce(&mut Content)) {
        let mut content = self.content.write();
        let before = content.allocated_bytes();
        change(&mut content);
        self.space.give_back(before - content.allocated_bytes());
    }
}

#[derive(Debug)]
struct MemoryFile {
    path: PathBuf,
    node: Arc<Node>,
    access: Access,
    slot: Arc<WriterSlot>,
}

impl MemoryFile {
    fn check_writable(&self) -> io::Result<()> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::Read => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
}

impl File for MemoryFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        Ok(self.node.content.read().read_at(buf, position))
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        self.check_writable()?;
        self.node.write(bytes, position)?;
        Ok(bytes.len())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.node.content.read().len())
    }

    fn allocated_bytes(&self) -> io::Result<u64> {
        Ok(self.node.content.read().allocated_bytes())
    }

    fn allocate(&self, from: u64, to: u64) -> io::Result<()> {
        self.check_writable()?;
        if from < to { self.node.allocate(from, to) } else { Ok(()) }
    }

    fn punch(&self, from: u64, to: u64) -> io::Result<()> {
        self.check_writable()?;
        self.node.change(|content| content.punch(from, to));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn map(&self, published: u64, capacity: u64) -> io::Result<(Box<dyn MapWriter>, Arc<dyn MapReader>)> {
        self.check_writable()?;
        let len = self.node.content.read().len();
        map::map(self.node.clone(), &self.slot, len, published, capacity)
    }

    fn map_read(&self, len: u64) -> io::Result<Arc<dyn MapReader>> {
        let have = self.node.content.read().len();
        map::map_read(self.node.clone(), have, len)
    }
}

/// What a map of the file copies from and to, under its lock.
impl Backing for Arc<Node> {
    fn store(&self, bytes: &[u8], position: u64) {
        self.content.write().write_at(bytes, position);
    }

    fn load(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        self.content.read().read_at(buf, position);
        Ok(())
    }

    fn allocate(&self, from: u64, to: u64) -> io::Result<()> {
        Node::allocate(self, from, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_so_and_takes_more_once_there_is_room() {
        let disk = MemoryDisk::with_budget(3 * 4096);
        let file = disk.root().create("a").expect("names cost nothing");
        file.allocate(0, 8192).expect("two of three pages");
        let error = file.allocate(8192, 16_385).expect_err("two more do not fit");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(file.len().expect("a size"), 8192);
        file.punch(0, 4096).expect("gives a page back");
        file.allocate(8192, 16_384).expect("now they fit");
        disk.root().remove("a").expect("it is there");
        drop(file);
        disk.root().create("b").expect("a name").allocate(0, 3 * 4096).expect("all room is free again");
    }
}
