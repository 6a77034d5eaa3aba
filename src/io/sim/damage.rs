//! Damage on purpose, and looks behind the scenes: a file's bytes are read and changed past all handles.
//!
//! Every change hits the cache and the disk alike, so that it is there after a crash too, and none of it is
//! counted or recorded. Paths are relative to the root, as in `orders/0/manifest`.

use super::disk::SimDisk;
use super::node::{Change, FileNode, FolderNode, NodeId, ROOT};
use super::shared::Inner;
use super::state::{Node, State};
use crate::io::pages::{Content, PAGE_BYTES};
use std::io;
use std::ops::Range;
use std::sync::Arc;

impl SimDisk {
    /// The paths of all files, in order.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        self.lock().state.files().into_iter().map(|(path, _)| path).collect()
    }

    /// All bytes of a file, as everybody sees them.
    ///
    /// # Errors
    /// `NotFound` when there is no such file.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let inner = self.lock();
        Ok(inner.state.file(find(&inner.state, path)?).live.to_vec())
    }

    /// All bytes that a file has after a power cut that loses all it may, if its name survives.
    ///
    /// # Errors
    /// `NotFound` when there is no such file.
    pub fn read_durable(&self, path: &str) -> io::Result<Vec<u8>> {
        let inner = self.lock();
        Ok(inner.state.file(find(&inner.state, path)?).durable.to_vec())
    }

    /// Replaces all bytes of a file; creates it, and the directories above it, if need be.
    ///
    /// # Errors
    /// `NotADirectory` when a file stands where a directory is needed, or the other way round.
    pub fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.lock();
        let node = find_or_create(&mut inner.state, path)?;
        let mut content = Content::default();
        content.write_at(bytes, 0);
        *inner.state.file_mut(node) = FileNode::settled(content);
        Ok(())
    }

    /// Flips one bit of a file, counted from the lowest of byte 0.
    ///
    /// # Errors
    /// `NotFound` when there is no such file; `InvalidInput` when the bit lies beyond its end.
    pub fn flip_bit(&self, path: &str, bit: u64) -> io::Result<()> {
        let position = bit / 8;
        let len = {
            let inner = self.lock();
            inner.state.file(find(&inner.state, path)?).live.len()
        };
        if position >= len {
            let message = format!("{path}: expected a bit of {len} bytes, found bit {bit}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        self.damage(path, |content| {
            // What is on the disk may be shorter yet.
            if position < content.len() {
                let mut byte = [0];
                content.read_at(&mut byte, position);
                content.write_at(&[byte[0] ^ (1 << (bit % 8))], position);
            }
        })
    }

    /// Makes the bytes of a range zeros; the size stays.
    ///
    /// # Errors
    /// `NotFound` when there is no such file.
    pub fn zero(&self, path: &str, range: Range<u64>) -> io::Result<()> {
        self.damage(path, |content| content.punch(range.start, range.end))
    }

    /// Cuts a file off, or makes it longer with zeros.
    ///
    /// # Errors
    /// `NotFound` when there is no such file.
    pub fn truncate(&self, path: &str, len: u64) -> io::Result<()> {
        self.damage(path, |content| content.set_len(len))
    }

    /// Swaps two pages of 4 KiB; beyond the end there are zeros, which are not taken over.
    ///
    /// # Errors
    /// `NotFound` when there is no such file.
    pub fn swap_pages(&self, path: &str, first: u64, second: u64) -> io::Result<()> {
        self.damage(path, |content| {
            let page = |content: &Content, number: u64| {
                let mut bytes = [0; PAGE_BYTES];
                content.read_at(&mut bytes, number * PAGE_BYTES as u64);
                bytes
            };
            let len = content.len();
            let (one, other) = (page(content, first), page(content, second));
            content.write_at(&other, first * PAGE_BYTES as u64);
            content.write_at(&one, second * PAGE_BYTES as u64);
            content.set_len(len);
        })
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// `NotFound` when there is no such file.
    pub fn delete(&self, path: &str) -> io::Result<()> {
        let mut inner = self.lock();
        let (folder, name) = find_folder(&inner.state, path)?;
        let node = find(&inner.state, path)?;
        settle(&mut inner.state, folder, Change::Unlink { name: name.into(), node });
        Ok(())
    }

    fn damage(&self, path: &str, change: impl Fn(&mut Content)) -> io::Result<()> {
        let mut inner = self.lock();
        let Inner { state, .. } = &mut *inner;
        let file = state.file_mut(find(state, path)?);
        let shared = file.is_settled();
        change(Arc::make_mut(&mut file.live));
        if shared {
            file.durable = Arc::clone(&file.live);
        } else {
            change(Arc::make_mut(&mut file.durable));
        }
        Ok(())
    }
}

/// The directory a path leads to, and the name in it.
fn find_folder<'a>(state: &State, path: &'a str) -> io::Result<(NodeId, &'a str)> {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut folder = ROOT;
    for part in above.split('/').filter(|part| !part.is_empty()) {
        folder = *state.folder(folder).live.get(part).ok_or(io::ErrorKind::NotFound)?;
        if let Node::File(_) = state.node(folder) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
    }
    Ok((folder, name))
}

fn find(state: &State, path: &str) -> io::Result<NodeId> {
    let (folder, name) = find_folder(state, path)?;
    let node = *state.folder(folder).live.get(name).ok_or(io::ErrorKind::NotFound)?;
    match state.node(node) {
        Node::File(_) => Ok(node),
        Node::Folder(_) => Err(io::ErrorKind::NotFound.into()),
    }
}

fn find_or_create(state: &mut State, path: &str) -> io::Result<NodeId> {
    let parts: Vec<_> = path.split('/').collect();
    let (name, above) = parts.split_last().expect("a split has at least one part");
    let mut folder = ROOT;
    for part in above {
        folder = child(state, folder, part, || Node::Folder(Arc::new(FolderNode::default())));
        if let Node::File(_) = state.node(folder) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
    }
    let node = child(state, folder, name, || Node::File(Arc::new(FileNode::settled(Content::default()))));
    match state.node(node) {
        Node::File(_) => Ok(node),
        Node::Folder(_) => Err(io::ErrorKind::NotADirectory.into()),
    }
}

fn child(state: &mut State, folder: NodeId, name: &str, make: impl FnOnce() -> Node) -> NodeId {
    if let Some(node) = state.folder(folder).live.get(name) {
        return *node;
    }
    let node = state.next_id();
    state.insert(node, make());
    settle(state, folder, Change::Link { name: name.into(), node });
    node
}

/// Changes a name in the cache and on the disk.
fn settle(state: &mut State, folder: NodeId, change: Change) {
    let folder = state.folder_mut(folder);
    change.apply(&mut folder.live);
    change.apply(&mut folder.durable);
}
