//! One change of the disk, small enough to be recorded and applied again.

use super::node::{Change, FailedSync, FileNode, FolderNode, NodeId};
use super::state::{Node, State};
use crate::io::pages::Content;
use std::sync::Arc;

/// A change or a sync. Applying the same steps to the same state gives the same state.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Write { node: NodeId, position: u64, bytes: Arc<[u8]> },
    Allocate { node: NodeId, from: u64, to: u64 },
    Punch { node: NodeId, from: u64, to: u64 },
    SetLen { node: NodeId, len: u64 },
    Sync { node: NodeId },
    FailSync { node: NodeId, cache: FailedSync },
    Create { folder: NodeId, name: Arc<str>, node: NodeId },
    CreateFolder { folder: NodeId, name: Arc<str>, node: NodeId },
    Remove { folder: NodeId, name: Arc<str>, node: NodeId },
    Rename { folder: NodeId, from: Arc<str>, to: Arc<str>, node: NodeId },
    SyncFolder { folder: NodeId },
    FailSyncFolder { folder: NodeId },
}

impl Step {
    /// How many bytes it writes: a cut can fall behind any of them.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Write { bytes, .. } => bytes.len(),
            _ => 0,
        }
    }

    /// The part of it that was done when the disk is cut off after `bytes` bytes; none for less than one.
    pub(super) fn cut(&self, bytes: usize) -> Option<Self> {
        match self {
            Self::Write { node, position, bytes: all } => {
                let head = all.get(..bytes.min(all.len())).filter(|head| !head.is_empty())?;
                Some(Self::Write { node: *node, position: *position, bytes: head.into() })
            }
            _ => None,
        }
    }

    pub(super) fn apply(&self, state: &mut State) {
        match self {
            Self::Write { node, position, bytes } => state.file_mut(*node).write(bytes, *position),
            Self::Allocate { node, from, to } => state.file_mut(*node).allocate(*from, *to),
            Self::Punch { node, from, to } => state.file_mut(*node).punch(*from, *to),
            Self::SetLen { node, len } => state.file_mut(*node).set_len(*len),
            Self::Sync { node } => state.file_mut(*node).sync(),
            Self::FailSync { node, cache } => state.file_mut(*node).fail_sync(*cache),
            Self::Create { folder, name, node } => {
                state.insert(*node, Node::File(Arc::new(FileNode::settled(Content::default()))));
                state.folder_mut(*folder).change(Change::Link { name: Arc::clone(name), node: *node });
            }
            Self::CreateFolder { folder, name, node } => {
                state.insert(*node, Node::Folder(Arc::new(FolderNode::default())));
                state.folder_mut(*folder).change(Change::Link { name: Arc::clone(name), node: *node });
            }
            Self::Remove { folder, name, node } => {
                state.folder_mut(*folder).change(Change::Unlink { name: Arc::clone(name), node: *node });
            }
            Self::Rename { folder, from, to, node } => {
                let (from, to) = (Arc::clone(from), Arc::clone(to));
                state.folder_mut(*folder).change(Change::Rename { from, to, node: *node });
            }
            Self::SyncFolder { folder } => state.folder_mut(*folder).sync(),
            Self::FailSyncFolder { folder } => state.folder_mut(*folder).fail_sync(),
        }
    }
}
