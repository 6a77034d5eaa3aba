//! Directories of the simulated disk, and the locks in them.

use super::counts::Op;
use super::file::{Handle, SimFile};
use super::node::NodeId;
use super::shared::{Inner, Shared};
use super::state::Node;
use super::step::Step;
use crate::io::name::{check_name, not_a_file};
use crate::io::pages::PAGE_BYTES;
use crate::io::{Access, Dir, Entry, EntryKind, File, Lock};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The disk space of a name, in bytes.
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
        let handle = Handle { disk: Arc::clone(&self.disk), node, path: Arc::clone(path) };
        Arc::new(SimFile::new(handle, access))
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
            inner.write(Op::Note, &self.path, self.node, note.as_bytes(), 0).map(drop)
        })
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.inner().locks.remove(&self.node);
    }
}
