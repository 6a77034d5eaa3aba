//! All files and directories of the disk, in a form that is cheap to copy.

use super::node::{FileNode, FolderNode, NodeId, ROOT};
use crate::io::pages::{PAGE_BYTES, mix};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The files and directories by number. A copy shares all of them until one is changed.
#[derive(Clone, Debug)]
pub(super) struct State {
    nodes: Vec<Node>,
}

/// A file or a directory. Removed ones stay until the disk is dropped.
#[derive(Clone, Debug)]
pub(super) enum Node {
    File(Arc<FileNode>),
    Folder(Arc<FolderNode>),
}

impl State {
    /// A disk with nothing but its root.
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::Folder(Arc::default())] }
    }

    /// The number the next file or directory gets.
    pub(super) fn next_id(&self) -> NodeId {
        NodeId(self.nodes.len())
    }

    pub(super) fn insert(&mut self, id: NodeId, node: Node) {
        debug_assert_eq!(id, self.next_id(), "numbers are given in order");
        self.nodes.push(node);
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    pub(super) fn replace(&mut self, id: NodeId, node: Node) {
        self.nodes[id.0] = node;
    }

    pub(super) fn file(&self, id: NodeId) -> &FileNode {
        match self.node(id) {
            Node::File(file) => file,
            Node::Folder(_) => unreachable!("handles of files carry numbers of files"),
        }
    }

    pub(super) fn folder(&self, id: NodeId) -> &FolderNode {
        match self.node(id) {
            Node::Folder(folder) => folder,
            Node::File(_) => unreachable!("handles of directories carry numbers of directories"),
        }
    }

    pub(super) fn file_mut(&mut self, id: NodeId) -> &mut FileNode {
        match &mut self.nodes[id.0] {
            Node::File(file) => Arc::make_mut(file),
            Node::Folder(_) => unreachable!("handles of files carry numbers of files"),
        }
    }

    pub(super) fn folder_mut(&mut self, id: NodeId) -> &mut FolderNode {
        match &mut self.nodes[id.0] {
            Node::Folder(folder) => Arc::make_mut(folder),
            Node::File(_) => unreachable!("handles of directories carry numbers of directories"),
        }
    }

    /// The paths of all files, from the root, each with its number.
    pub(super) fn files(&self) -> Vec<(String, NodeId)> {
        let mut files = Vec::new();
        self.collect_files(ROOT, "", &mut files);
        files
    }

    fn collect_files(&self, folder: NodeId, prefix: &str, files: &mut Vec<(String, NodeId)>) {
        for (name, id) in &self.folder(folder).live {
            let path = if prefix.is_empty() { name.to_string() } else { format!("{prefix}/{name}") };
            match self.node(*id) {
                Node::File(_) => files.push((path, *id)),
                Node::Folder(_) => self.collect_files(*id, &path, files),
            }
        }
    }

    /// Every file and directory that has a name now, the root included.
    pub(super) fn linked(&self) -> BTreeSet<NodeId> {
        self.reach(|folder, found| found.extend(folder.live.values()))
    }

    /// Every file and directory that can have a name after a power cut, the root included.
    pub(super) fn reachable(&self) -> BTreeSet<NodeId> {
        self.reach(|folder, found| {
            found.extend(folder.durable.values());
            found.extend(folder.pending.iter().map(|pending| pending.change.node()));
        })
    }

    fn reach(&self, children: impl Fn(&FolderNode, &mut Vec<NodeId>)) -> BTreeSet<NodeId> {
        let mut seen = BTreeSet::new();
        let mut open = vec![ROOT];
        while let Some(id) = open.pop() {
            if let (true, Node::Folder(folder)) = (seen.insert(id), self.node(id)) {
                children(folder, &mut open);
            }
        }
        seen
    }

    /// The disk space of the files and directories `of`: their pages, and one page each for the name.
    pub(super) fn space(&self, of: impl IntoIterator<Item = NodeId>) -> u64 {
        of.into_iter()
            .filter(|id| *id != ROOT)
            .map(|id| match self.node(id) {
                Node::File(file) => PAGE_BYTES as u64 + file.live.allocated_bytes(),
                Node::Folder(_) => PAGE_BYTES as u64,
            })
            .sum()
    }

    /// A hash of all that can be read: names, sizes and bytes, not what is dirty.
    pub(super) fn hash(&self) -> u64 {
        self.hash_of(ROOT)
    }

    fn hash_of(&self, id: NodeId) -> u64 {
        match self.node(id) {
            Node::File(file) => file.live.hash(),
            Node::Folder(folder) => folder.live.iter().fold(1, |sum: u64, (name, id)| {
                sum.wrapping_add(mix(hash_name(name) ^ mix(self.hash_of(*id))))
            }),
        }
    }
}

/// FNV-1a, which is good enough for names.
fn hash_name(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
