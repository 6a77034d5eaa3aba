//! Handles on the simulated disk: its directories, files, maps and locks.

use super::counts::Op;
use super::disk::{Extent, Inner, Maps, Shared};
use super::node::NodeId;
use super::state::Node;
use super::step::Step;
use crate::io::name::{check_name, not_a_file};
use crate::io::pages::PAGE_BYTES;
use crate::io::slot::{HeldSlot, WriterSlot};
use crate::io::{Access, Dir, Entry, EntryKind, File, Lock, MapReader, MapWriter, bounds};
use crate::sync::{Published, Publisher};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const PAGE: u64 = PAGE_BYTES as u64;

#[derive(Debug)]
pub(super) struct SimDir {
    disk: Arc<Shared>,
    folder: NodeId,
    path: Arc<Path>,
}

impl SimDir {
    pub(super) fn new(disk: Arc<Shared>, folder: NodeId, path: Arc<Path>) -> Self {
        Self { disk, folder, path }
    }

    /// Runs an operation on what `name` stands for in this directory.
    fn operate<T>(
        &self,
        op: Op,
        name: &str,
        act: impl FnOnce(&mut Inner, &Arc<Path>) -> io::Result<T>,
    ) -> io::Result<T> {
        check_name(name)?;
        let path: Arc<Path> = self.path.join(name).into();
        self.disk.operate(op, &path, |inner, _| act(inner, &path))
    }

    fn file(&self, node: NodeId, path: &Arc<Path>, access: Access) -> Arc<dyn File> {
        let handle = Arc::new(Handle { disk: Arc::clone(&self.disk), node, path: Arc::clone(path) });
        Arc::new(SimFile { handle, access, slot: Arc::default() })
    }

    /// The node behind `name`.
    fn find(&self, inner: &Inner, name: &str) -> io::Result<NodeId> {
        let folder = inner.state.folder(self.folder);
        folder.live.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn find_file(&self, inner: &Inner, name: &str) -> io::Result<NodeId> {
        let node = self.find(inner, name)?;
        match inner.state.node(node) {
            Node::File(_) => Ok(node),
            Node::Folder(_) => Err(not_a_file(name)),
        }
    }

    fn find_folder(&self, inner: &Inner, name: &str) -> io::Result<NodeId> {
        let node = self.find(inner, name)?;
        match inner.state.node(node) {
            Node::Folder(_) => Ok(node),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Whether the new `name` can be given, and the number of what will carry it.
    fn claim(&self, inner: &Inner, name: &str) -> io::Result<NodeId> {
        if !inner.state.linked().contains(&self.folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if inner.state.folder(self.folder).live.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        inner.check_free(PAGE)?;
        Ok(inner.state.next_id())
    }

    fn create_file(&self, inner: &mut Inner, op: Op, path: &Arc<Path>, name: &str) -> io::Result<NodeId> {
        let node = self.claim(inner, name)?;
        inner.perform(op, path, Step::Create { folder: self.folder, name: name.into(), node })?;
        Ok(node)
    }
}

impl Dir for SimDir {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        self.disk.operate(Op::List, &self.path, |inner, _| {
            let kind = |node: NodeId| match inner.state.node(node) {
                Node::File(_) => EntryKind::File,
                Node::Folder(_) => EntryKind::Dir,
            };
            let names = &inner.state.folder(self.folder).live;
            Ok(names.iter().map(|(name, node)| Entry { name: name.to_string(), kind: kind(*node) }).collect())
        })
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn File>> {
        self.operate(Op::Open, name, |inner, path| {
            let node = self.find_file(inner, name)?;
            *inner.handles.entry(node).or_default() += 1;
            Ok(self.file(node, path, access))
        })
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.operate(Op::Create, name, |inner, path| {
            let node = self.create_file(inner, Op::Create, path, name)?;
            *inner.handles.entry(node).or_default() += 1;
            Ok(self.file(node, path, Access::ReadWrite))
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(to)?;
        self.operate(Op::Rename, from, |inner, path| {
            let node = self.find_file(inner, from)?;
            if let Ok(there) = self.find(inner, to) {
                if let Node::Folder(_) = inner.state.node(there) {
                    return Err(io::ErrorKind::IsADirectory.into());
                }
                if there == node {
                    return Ok(());
                }
            }
            // The directory may have to grow for the new name.
            inner.check_free(PAGE)?;
            let step = Step::Rename { folder: self.folder, from: from.into(), to: to.into(), node };
            inner.perform(Op::Rename, path, step)
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.operate(Op::Remove, name, |inner, path| {
            let node = self.find_file(inner, name)?;
            inner.perform(Op::Remove, path, Step::Remove { folder: self.folder, name: name.into(), node })
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.sync(Op::SyncDir, &self.path, self.folder)
    }

    fn open_dir(&self, name: &str) -> io::Result<Arc<dyn Dir>> {
        self.operate(Op::OpenDir, name, |inner, path| {
            let folder = self.find_folder(inner, name)?;
            Ok(Arc::new(Self::new(Arc::clone(&self.disk), folder, Arc::clone(path))) as Arc<dyn Dir>)
        })
    }

    fn create_dir(&self, name: &str) -> io::Result<Arc<dyn Dir>> {
        self.operate(Op::CreateDir, name, |inner, path| {
            let node = self.claim(inner, name)?;
            let step = Step::CreateFolder { folder: self.folder, name: name.into(), node };
            inner.perform(Op::CreateDir, path, step)?;
            Ok(Arc::new(Self::new(Arc::clone(&self.disk), node, Arc::clone(path))) as Arc<dyn Dir>)
        })
    }

    fn remove_dir(&self, name: &str) -> io::Result<()> {
        self.operate(Op::RemoveDir, name, |inner, path| {
            let node = self.find_folder(inner, name)?;
            if !inner.state.folder(node).live.is_empty() {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            inner.perform(Op::RemoveDir, path, Step::Remove { folder: self.folder, name: name.into(), node })
        })
    }

    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Lock>>> {
        self.operate(Op::Lock, name, |inner, path| {
            let node = match self.find_file(inner, name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.create_file(inner, Op::Lock, path, name)?
                }
                found => found?,
            };
            let free = inner.locks.insert(node);
            let lock = || SimLock { disk: Arc::clone(&self.disk), node, path: Arc::clone(path) };
            Ok(free.then(|| Box::new(lock()) as Box<dyn Lock>))
        })
    }
}

#[derive(Debug)]
struct SimLock {
    disk: Arc<Shared>,
    node: NodeId,
    path: Arc<Path>,
}

impl Lock for SimLock {
    fn write_note(&self, note: &str) -> io::Result<()> {
        self.disk.operate(Op::Note, &self.path, |inner, _| {
            inner.perform(Op::Note, &self.path, Step::SetLen { node: self.node, len: 0 })?;
            write(inner, Op::Note, &self.path, self.node, note.as_bytes(), 0).map(drop)
        })
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.inner().locks.remove(&self.node);
    }
}

/// Writes as many of `bytes` as there is room for; returns how many.
fn write(
    inner: &mut Inner,
    op: Op,
    path: &Arc<Path>,
    node: NodeId,
    bytes: &[u8],
    position: u64,
) -> io::Result<usize> {
    let end = bounds::end_of(bytes.len(), position)?;
    let count = room(inner, node, position, end)?.min(bytes.len());
    if count > 0 {
        let bytes = bytes[..count].into();
        inner.perform(op, path, Step::Write { node, position, bytes })?;
    }
    Ok(count)
}

/// How many bytes of `position..end` fit on the disk.
///
/// # Errors
/// `StorageFull` when not one of them does.
fn room(inner: &Inner, node: NodeId, position: u64, mut end: u64) -> io::Result<usize> {
    let content = &inner.state.file(node).live;
    let start = position;
    if content.cost(start, end) > 0 {
        let free = inner.free();
        while content.cost(start, end) > free {
            end = (end - 1) / PAGE * PAGE;
            if end <= start {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
    }
    Ok(usize::try_from(end - start).expect("it is at most the length of a slice"))
}

/// Keeps a removed file's space taken until it is dropped.
#[derive(Debug)]
struct Handle {
    disk: Arc<Shared>,
    node: NodeId,
    path: Arc<Path>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut inner = self.disk.inner();
        if let Some(count) = inner.handles.get_mut(&self.node) {
            *count -= 1;
            if *count == 0 {
                inner.handles.remove(&self.node);
            }
        }
    }
}

impl Handle {
    fn operate<T>(&self, op: Op, act: impl FnOnce(&mut Inner, Extent) -> io::Result<T>) -> io::Result<T> {
        self.disk.operate(op, &self.path, act)
    }

    fn allocate(&self, from: u64, to: u64) -> io::Result<()> {
        bounds::end_of(0, to)?;
        self.operate(Op::Allocate, |inner, _| {
            inner.check_free(inner.state.file(self.node).live.cost(from, to))?;
            inner.perform(Op::Allocate, &self.path, Step::Allocate { node: self.node, from, to })
        })
    }
}

#[derive(Debug)]
struct SimFile {
    handle: Arc<Handle>,
    access: Access,
    slot: Arc<WriterSlot>,
}

impl SimFile {
    fn check_writable(&self) -> io::Result<()> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::Read => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    fn size<T>(&self, of: impl FnOnce(&crate::io::pages::Content) -> T) -> io::Result<T> {
        self.handle.operate(Op::Size, |inner, _| Ok(of(&inner.state.file(self.handle.node).live)))
    }

    /// The present length, if files can be mapped.
    fn mappable_len(&self) -> io::Result<u64> {
        self.handle.operate(Op::Map, |inner, _| match inner.maps() {
            Maps::Offered => Ok(inner.state.file(self.handle.node).live.len()),
            Maps::Refused => Err(io::ErrorKind::Unsupported.into()),
        })
    }
}

impl File for SimFile {
    fn path(&self) -> &Path {
        &self.handle.path
    }

    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.handle.operate(Op::Read, |inner, extent| {
            let count = extent.of(buf.len());
            Ok(inner.state.file(self.handle.node).live.read_at(&mut buf[..count], position))
        })
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        self.check_writable()?;
        self.handle.operate(Op::Write, |inner, extent| {
            let bytes = &bytes[..extent.of(bytes.len())];
            write(inner, Op::Write, &self.handle.path, self.handle.node, bytes, position)
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.size(|content| content.len())
    }

    fn allocated_bytes(&self) -> io::Result<u64> {
        self.size(|content| content.allocated_bytes())
    }

    fn allocate(&self, from: u64, to: u64) -> io::Result<()> {
        self.check_writable()?;
        if from < to { self.handle.allocate(from, to) } else { Ok(()) }
    }

    fn punch(&self, from: u64, to: u64) -> io::Result<()> {
        self.check_writable()?;
        if from >= to {
            return Ok(());
        }
        self.handle.operate(Op::Punch, |inner, _| {
            inner.perform(Op::Punch, &self.handle.path, Step::Punch { node: self.handle.node, from, to })
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.handle.disk.sync(Op::Sync, &self.handle.path, self.handle.node)
    }

    fn map(&self, published: u64, capacity: u64) -> io::Result<(Box<dyn MapWriter>, Arc<dyn MapReader>)> {
        self.check_writable()?;
        let reserved = bounds::check_map(published, capacity, self.mappable_len()?)?;
        let held = WriterSlot::take(&self.slot)?;
        let publisher = Publisher::new(published);
        let reader = Arc::new(SimReader {
            handle: Arc::clone(&self.handle),
            published: publisher.published(),
            reserved: AtomicU64::new(reserved),
            capacity,
        });
        Ok((Box::new(SimWriter { publisher, shared: Arc::clone(&reader), _held: held }), reader))
    }

    fn map_read(&self, len: u64) -> io::Result<Arc<dyn MapReader>> {
        if self.mappable_len()? < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Arc::new(SimReader {
            handle: Arc::clone(&self.handle),
            published: Publisher::new(len).published(),
            reserved: AtomicU64::new(len),
            capacity: len,
        }))
    }
}

#[derive(Debug)]
struct SimWriter {
    publisher: Publisher,
    shared: Arc<SimReader>,
    _held: HeldSlot,
}

#[derive(Debug)]
struct SimReader {
    handle: Arc<Handle>,
    published: Published,
    reserved: AtomicU64,
    capacity: u64,
}

impl MapWriter for SimWriter {
    fn store(&mut self, bytes: &[u8], position: u64) {
        bounds::assert_store(bytes, position, self.publisher.get(), self.shared.reserved());
        let handle = &self.shared.handle;
        // The only error there can be is that the disk was cut off, which a store cannot tell anybody.
        let _ = handle.operate(Op::Store, |inner, _| match bytes {
            [] => Ok(()),
            _ => {
                let step = Step::Write { node: handle.node, position, bytes: bytes.into() };
                inner.perform(Op::Store, &handle.path, step)
            }
        });
    }

    fn publish(&mut self, end: u64) {
        bounds::assert_publish(end, self.shared.reserved());
        self.publisher.advance(end);
    }

    fn published(&self) -> Published {
        self.publisher.published()
    }
}

impl MapReader for SimReader {
    fn read(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        bounds::check_read(buf, position, self.published.get())?;
        self.handle.operate(Op::MapRead, |inner, _| {
            inner.state.file(self.handle.node).live.read_at(buf, position);
            Ok(())
        })
    }

    fn reserve(&self, to: u64) -> io::Result<()> {
        bounds::check_reserve(to, self.capacity)?;
        let from = self.reserved();
        if from < to {
            self.handle.allocate(from, to)?;
            self.reserved.fetch_max(to, Ordering::AcqRel);
        }
        Ok(())
    }

    fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Acquire)
    }
}
