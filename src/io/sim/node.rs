//! What a power cut can tell apart: a file's cache and disk, a directory's names now and after a crash.
//!
//! ```text
//!     FileNode    live ──sync──▶ durable      dirty: the sectors in which they may differ
//!     FolderNode  live ──sync──▶ durable      pending: the changes that lead from one to the other
//! ```

use crate::io::pages::{Content, SECTOR_BYTES, Sector, mix};
use std::collections::BTreeMap;
use std::sync::Arc;

const SECTOR: u64 = SECTOR_BYTES as u64;

/// How many earlier contents of one unsynced sector are remembered.
const VERSIONS_MAX: usize = 16;

/// The number of a file or directory, for as long as the disk lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodeId(pub(super) usize);

/// The directory in which all others lie.
pub(super) const ROOT: NodeId = NodeId(0);

/// What happens to the page cache when a sync fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailedSync {
    /// The cache keeps the new bytes, marked clean (ext4, XFS).
    ///
    /// Reads show what is not on disk.
    #[default]
    CacheKeeps,
    /// The cache goes back to what is on disk: reads show the old bytes (btrfs).
    CacheReverts,
    /// About half of the sectors were stored before the device failed; the cache of the others goes back to
    /// what is on disk. The number chooses which, and whether a new length was stored: the same for the same
    /// number.
    HalfReverts(u64),
}

impl FailedSync {
    /// Whether a sync that failed has stored the part of this number all the same.
    fn stores(self, part: u64) -> bool {
        match self {
            Self::CacheKeeps | Self::CacheReverts => false,
            Self::HalfReverts(seed) => mix(seed ^ mix(part)) & 1 == 0,
        }
    }
}

/// Stands for the length among the parts of a file that a failed sync may have stored; no sector has this number.
const LENGTH: u64 = u64::MAX;

/// A file, whatever its name.
#[derive(Clone, Debug)]
pub(super) struct FileNode {
    /// The page cache: what every read sees.
    pub(super) live: Arc<Content>,
    /// What is there after a power cut that loses all it may.
    pub(super) durable: Arc<Content>,
    /// The sectors in which `live` may differ from `durable`, by number.
    pub(super) dirty: BTreeMap<u64, DirtySector>,
    /// Whether a failed sync gave the length up: later syncs do not write it, until it changes again.
    length_given_up: bool,
}

/// A sector that was written since it was last synced.
#[derive(Clone, Debug, Default)]
pub(super) struct DirtySector {
    /// What it held in between, oldest first: write-back may have stored any of it.
    pub(super) older: Vec<Arc<Sector>>,
    /// Whether a failed sync gave it up: later syncs do not write it, until it is written again.
    given_up: bool,
}

impl FileNode {
    /// A file that survived: the cache and the disk hold the same.
    pub(super) fn settled(content: Content) -> Self {
        let live = Arc::new(content);
        let durable = Arc::clone(&live);
        Self { live, durable, dirty: BTreeMap::new(), length_given_up: false }
    }

    /// Whether a power cut can change nothing.
    pub(super) fn is_settled(&self) -> bool {
        Arc::ptr_eq(&self.live, &self.durable)
    }

    pub(super) fn write(&mut self, bytes: &[u8], position: u64) {
        self.dirty_range(position, position + bytes.len() as u64);
        Arc::make_mut(&mut self.live).write_at(bytes, position);
    }

    pub(super) fn allocate(&mut self, from: u64, to: u64) {
        self.length_given_up &= to <= self.live.len();
        Arc::make_mut(&mut self.live).allocate(from, to);
    }

    pub(super) fn punch(&mut self, from: u64, to: u64) {
        self.dirty_range(from, to.min(self.live.len()));
        Arc::make_mut(&mut self.live).punch(from, to);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.dirty_range(len, self.live.len());
        self.length_given_up = false;
        Arc::make_mut(&mut self.live).set_len(len);
    }

    fn dirty_range(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        // Bytes that a sync stores beyond the durable length take the length with them.
        self.length_given_up &= to <= self.durable.len();
        for number in from / SECTOR..to.div_ceil(SECTOR) {
            let before = self.live.sector(number);
            self.dirty.entry(number).and_modify(|dirty| dirty.touch(before)).or_default().given_up = false;
        }
    }

    pub(super) fn sync(&mut self) {
        self.dirty.retain(|_, dirty| dirty.given_up);
        if self.dirty.is_empty() && !self.length_given_up {
            self.durable = Arc::clone(&self.live);
            return;
        }
        let mut durable = Content::clone(&self.live);
        for number in self.dirty.keys() {
            durable.set_sector(*number, self.durable.sector(*number));
        }
        if self.length_given_up {
            durable.set_len(self.durable.len());
        }
        self.durable = Arc::new(durable);
    }

    /// A sync that fails: what it should have stored counts as clean from now on, and is not on disk.
    pub(super) fn fail_sync(&mut self, cache: FailedSync) {
        if self.is_settled() {
            return;
        }
        self.length_given_up = self.live.len() != self.durable.len();
        match cache {
            FailedSync::CacheKeeps => {
                self.dirty.values_mut().for_each(|dirty| dirty.given_up = true);
            }
            FailedSync::CacheReverts | FailedSync::HalfReverts(_) => self.revert(cache),
        }
    }

    /// Lets the cache go back to what is on disk, but for what the failed sync has stored.
    fn revert(&mut self, cache: FailedSync) {
        let live = Arc::make_mut(&mut self.live);
        let durable = Arc::make_mut(&mut self.durable);
        if self.length_given_up && cache.stores(LENGTH) {
            durable.set_len_like(live.len(), live);
            self.length_given_up = false;
        }
        for (number, dirty) in std::mem::take(&mut self.dirty) {
            if !dirty.given_up && cache.stores(number) {
                durable.set_sector(number, live.sector(number));
            }
            // Of a sector beyond a length that was not stored nothing is there.
            live.set_sector(number, durable.sector(number));
        }
    }

    /// The bytes of dirty sector `number` in its `version`: 0 is what is durable, one more than there are older
    /// ones is what is live.
    pub(super) fn version(&self, number: u64, version: usize) -> &Sector {
        let older = self.dirty.get(&number).map_or(&[][..], |dirty| &dirty.older);
        match version.checked_sub(1) {
            None => self.durable.sector(number),
            Some(index) => older.get(index).map_or_else(|| self.live.sector(number), |sector| &**sector),
        }
    }
}

impl DirtySector {
    fn touch(&mut self, before: &Sector) {
        if self.older.last().is_some_and(|last| **last == *before) {
            return;
        }
        if self.older.len() == VERSIONS_MAX {
            // The first and the last are the likely ones to matter; one from the middle goes.
            self.older.remove(VERSIONS_MAX / 2);
        }
        self.older.push(Arc::new(*before));
    }
}

/// A directory.
#[derive(Clone, Debug, Default)]
pub(super) struct FolderNode {
    /// The names as everybody sees them.
    pub(super) live: Names,
    /// The names after a power cut that loses all it may.
    pub(super) durable: Names,
    /// The changes since the last sync, in order.
    pub(super) pending: Vec<PendingChange>,
}

/// The names in a directory.
pub(super) type Names = BTreeMap<Arc<str>, NodeId>;

/// A change of names that no sync has covered.
#[derive(Clone, Debug)]
pub(super) struct PendingChange {
    pub(super) change: Change,
    /// Whether a failed sync gave it up: later syncs do not write it.
    given_up: bool,
}

/// One change of the names in a directory, which a power cut keeps or loses as a whole.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Link { name: Arc<str>, node: NodeId },
    Unlink { name: Arc<str>, node: NodeId },
    Rename { from: Arc<str>, to: Arc<str>, node: NodeId },
}

impl Change {
    /// Applies the change to `names`, in which earlier changes may be missing.
    pub(super) fn apply(&self, names: &mut Names) {
        let mut unlink = |name: &Arc<str>, node: &NodeId| {
            if names.get(name) == Some(node) {
                names.remove(name);
            }
        };
        match self {
            Self::Link { name, node } => {
                names.insert(Arc::clone(name), *node);
            }
            Self::Unlink { name, node } => unlink(name, node),
            Self::Rename { from, to, node } => {
                unlink(from, node);
                names.insert(Arc::clone(to), *node);
            }
        }
    }

    /// The file or directory whose name it changes.
    pub(super) fn node(&self) -> NodeId {
        match self {
            Self::Link { node, .. } | Self::Unlink { node, .. } | Self::Rename { node, .. } => *node,
        }
    }
}

impl FolderNode {
    /// A directory that survived: the names are on disk.
    pub(super) fn settled(names: Names) -> Self {
        Self { live: names.clone(), durable: names, pending: Vec::new() }
    }

    /// Whether a power cut can change nothing.
    pub(super) fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.live == self.durable
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(PendingChange { change, given_up: false });
    }

    pub(super) fn sync(&mut self) {
        for pending in self.pending.drain(..).filter(|pending| !pending.given_up) {
            pending.change.apply(&mut self.durable);
        }
    }

    /// A sync that fails: the changes stay visible, and no later sync stores them.
    pub(super) fn fail_sync(&mut self) {
        self.pending.iter_mut().for_each(|pending| pending.given_up = true);
    }
}
