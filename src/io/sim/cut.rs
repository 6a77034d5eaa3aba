//! A power cut: what the disk may have lost, atom by atom, and the disk that is left.

use super::node::{Change, FileNode, FolderNode, NodeId};
use super::state::{Node, State};
use crate::io::pages::{Content, SECTOR_BYTES, Sector};
use std::ops::Range;
use std::sync::Arc;

/// What a power cut does to one atom. The versions of a sector are counted from what is durable (0) to what
/// was written last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It is as it was at the last sync.
    Lost,
    /// It is as it was written last.
    Kept,
    /// A sector holds what it held before it was overwritten once more.
    ///
    /// Anything else is kept.
    Version(usize),
    /// A sector begins with bytes of one version and ends with those of another.
    ///
    /// The first `at` bytes are of the version `head`, the others of the version `tail`. A length moves by `at`
    /// bytes at most. A name is kept.
    Torn {
        /// How many bytes come from `head`.
        at: usize,
        /// The version in front.
        head: usize,
        /// The version behind.
        tail: usize,
    },
    /// A sector's bytes beyond the durable length are noise of this seed.
    ///
    /// Below, they are lost. Anything else is kept.
    Garbage(u64),
}

/// One thing that a power cut keeps or loses by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Atom {
    /// A sector of 512 bytes that was written since the last sync of its file.
    Sector {
        /// The number of the file.
        file: usize,
        /// The number of the sector in the file.
        number: u64,
        /// How many versions there are, the durable and the last one included.
        versions: usize,
        /// Whether it reaches beyond the durable length.
        fresh: bool,
    },
    /// The length of a file that changed.
    Length {
        /// The number of the file.
        file: usize,
        /// The length at the last sync.
        durable: u64,
        /// The length now.
        live: u64,
    },
    /// A name that was created, renamed or removed since the last sync of its directory.
    Entry {
        /// The number of the directory.
        dir: usize,
        /// What happened, as in `create a`, `rename a to b`, `remove a`.
        change: String,
        /// Its place among the unsynced changes of that directory.
        index: usize,
    },
}

/// The atoms of a state, in an order that lets an image be built in one pass.
#[derive(Debug)]
pub(super) struct Plan {
    state: State,
    groups: Vec<Group>,
    keys: Vec<Key>,
}

/// The atoms of one file or directory. There may be none, when a failed sync has given all up.
#[derive(Debug)]
struct Group {
    node: NodeId,
    keys: Range<usize>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Key {
    Sector { node: NodeId, number: u64 },
    Length { node: NodeId },
    Entry { folder: NodeId, index: usize },
}

impl Plan {
    pub(super) fn new(state: &State) -> Self {
        let mut plan = Self { state: state.clone(), groups: Vec::new(), keys: Vec::new() };
        for node in state.reachable() {
            let first = plan.keys.len();
            let settled = match state.node(node) {
                Node::File(file) => plan.add_file(node, file),
                Node::Folder(folder) => plan.add_folder(node, folder),
            };
            if !settled {
                plan.groups.push(Group { node, keys: first..plan.keys.len() });
            }
        }
        plan
    }

    fn add_file(&mut self, node: NodeId, file: &FileNode) -> bool {
        if file.is_settled() {
            return true;
        }
        if file.live.len() != file.durable.len() {
            self.keys.push(Key::Length { node });
        }
        for (number, dirty) in &file.dirty {
            if !dirty.older.is_empty() || file.live.sector(*number) != file.durable.sector(*number) {
                self.keys.push(Key::Sector { node, number: *number });
            }
        }
        false
    }

    fn add_folder(&mut self, folder: NodeId, node: &FolderNode) -> bool {
        self.keys.extend((0..node.pending.len()).map(|index| Key::Entry { folder, index }));
        node.is_settled()
    }

    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The atom behind `key`, described.
    pub(super) fn atom(&self, key: Key) -> Atom {
        match key {
            Key::Sector { node, number } => {
                let file = self.state.file(node);
                let versions = self.versions(node, number);
                let fresh = (number + 1) * SECTOR_BYTES as u64 > file.durable.len();
                Atom::Sector { file: node.0, number, versions, fresh }
            }
            Key::Length { node } => {
                let file = self.state.file(node);
                Atom::Length { file: node.0, durable: file.durable.len(), live: file.live.len() }
            }
            Key::Entry { folder, index } => {
                let change = match &self.state.folder(folder).pending[index].change {
                    Change::Link { name, .. } => format!("create {name}"),
                    Change::Unlink { name, .. } => format!("remove {name}"),
                    Change::Rename { from, to, .. } => format!("rename {from} to {to}"),
                };
                Atom::Entry { dir: folder.0, change, index }
            }
        }
    }

    /// How many versions a dirty sector has, the durable and the live one included.
    pub(super) fn versions(&self, node: NodeId, number: u64) -> usize {
        self.state.file(node).dirty.get(&number).map_or(2, |dirty| dirty.older.len() + 2)
    }

    /// How far a length moved.
    pub(super) fn length_change(&self, node: NodeId) -> u64 {
        let file = self.state.file(node);
        file.live.len().abs_diff(file.durable.len())
    }

    /// The disk that is left when each atom meets its fate; the fates are in the order of the keys.
    pub(super) fn image(&self, fates: &[Fate]) -> State {
        let mut image = self.state.clone();
        for group in &self.groups {
            let keys = self.keys[group.keys.clone()].iter().zip(&fates[group.keys.clone()]);
            let node = match self.state.node(group.node) {
                Node::File(file) => Node::File(Arc::new(cut_file(file, keys))),
                Node::Folder(folder) => Node::Folder(Arc::new(cut_folder(folder, keys))),
            };
            image.replace(group.node, node);
        }
        image
    }
}

fn cut_file<'a>(file: &FileNode, keys: impl Iterator<Item = (&'a Key, &'a Fate)>) -> FileNode {
    let mut content = Content::clone(&file.durable);
    for (key, fate) in keys {
        match key {
            // The length comes first among the atoms of a file, so that there is room for the sectors.
            Key::Length { .. } => content.set_len_like(cut_length(file, *fate), &file.live),
            Key::Sector { number, .. } => {
                if let Some(bytes) = cut_sector(file, *number, *fate) {
                    content.set_sector(*number, &bytes);
                }
            }
            Key::Entry { .. } => unreachable!("a file has no entries"),
        }
    }
    FileNode::settled(content)
}

fn cut_length(file: &FileNode, fate: Fate) -> u64 {
    let (durable, live) = (file.durable.len(), file.live.len());
    match fate {
        Fate::Lost => durable,
        Fate::Torn { at, .. } => durable.min(live) + durable.abs_diff(live).min(at as u64),
        Fate::Kept | Fate::Version(_) | Fate::Garbage(_) => live,
    }
}

/// What is left of a sector; none when it is as it was.
fn cut_sector(file: &FileNode, number: u64, fate: Fate) -> Option<Sector> {
    match fate {
        Fate::Lost => None,
        Fate::Kept => Some(*file.live.sector(number)),
        Fate::Version(version) => Some(*file.version(number, version)),
        Fate::Torn { at, head, tail } => {
            let at = at.min(SECTOR_BYTES);
            let mut bytes = *file.version(number, tail);
            bytes[..at].copy_from_slice(&file.version(number, head)[..at]);
            Some(bytes)
        }
        Fate::Garbage(seed) => {
            let start = number * SECTOR_BYTES as u64;
            let durable = file.durable.len().saturating_sub(start).min(SECTOR_BYTES as u64);
            let durable = usize::try_from(durable).unwrap_or(SECTOR_BYTES);
            let mut bytes = *file.durable.sector(number);
            fastrand::Rng::with_seed(seed).fill(&mut bytes[durable..]);
            Some(bytes)
        }
    }
}

fn cut_folder<'a>(folder: &FolderNode, keys: impl Iterator<Item = (&'a Key, &'a Fate)>) -> FolderNode {
    let mut names = folder.durable.clone();
    for (key, fate) in keys {
        match key {
            Key::Entry { index, .. } if *fate != Fate::Lost => {
                folder.pending[*index].change.apply(&mut names)
            }
            _ => {}
        }
    }
    FolderNode::settled(names)
}
