//! How often each kind of operation was asked of the disk.

use std::ops::Sub;

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Op {
    /// Opening a file.
    Open,
    /// Opening a directory.
    OpenDir,
    /// Listing a directory.
    List,
    /// Reading from a file by position.
    Read,
    /// Reading from a map.
    MapRead,
    /// Asking for the size of a file, or for the space it takes.
    Size,
    /// Mapping a file.
    Map,
    /// Taking a lock, which creates its file if need be.
    Lock,
    /// Replacing the content of a lock file.
    Note,
    /// Writing to a file by position.
    Write,
    /// Storing into a map.
    Store,
    /// Reserving space, through a file or a map.
    Allocate,
    /// Giving space back.
    Punch,
    /// Syncing a file.
    Sync,
    /// Syncing a directory.
    SyncDir,
    /// Creating a file.
    Create,
    /// Creating a directory.
    CreateDir,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Removing a directory.
    RemoveDir,
}

impl Op {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Open,
        Self::OpenDir,
        Self::List,
        Self::Read,
        Self::MapRead,
        Self::Size,
        Self::Map,
        Self::Lock,
        Self::Note,
        Self::Write,
        Self::Store,
        Self::Allocate,
        Self::Punch,
        Self::Sync,
        Self::SyncDir,
        Self::Create,
        Self::CreateDir,
        Self::Rename,
        Self::Remove,
        Self::RemoveDir,
    ];

    /// Whether it changes or syncs what is on the disk, lock files left aside.
    #[must_use]
    pub fn is_mutation(self) -> bool {
        use Op::{
            Allocate, Create, CreateDir, Punch, Remove, RemoveDir, Rename, Store, Sync, SyncDir, Write,
        };
        matches!(
            self,
            Write
                | Store
                | Allocate
                | Punch
                | Sync
                | SyncDir
                | Create
                | CreateDir
                | Rename
                | Remove
                | RemoveDir
        )
    }

    /// Whether a [`Fault`](super::Fault) can hit it: an access to a map cannot report a failure.
    #[must_use]
    pub fn can_fail(self) -> bool {
        !matches!(self, Self::Store | Self::MapRead)
    }

    /// Whether it can do a part of what it was asked for and say so.
    #[must_use]
    pub fn can_be_short(self) -> bool {
        matches!(self, Self::Read | Self::Write)
    }

    /// The others are in the order of their declaration, so this is the place in [`Op::ALL`].
    fn index(self) -> usize {
        self as usize
    }
}

/// How many operations of each kind there were, the failed ones included.
///
/// ```
/// use annals::io::{Op, SimDisk};
/// # fn main() -> std::io::Result<()> {
/// let disk = SimDisk::new();
/// let before = disk.counts();
/// disk.root().create("a")?.sync()?;
/// let done = disk.counts() - before;
/// assert_eq!((done.of(Op::Create), done.of(Op::Sync), done.mutations()), (1, 1, 2));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; Op::ALL.len()]);

impl Counts {
    /// How many there were of kind `op`.
    #[must_use]
    pub fn of(&self, op: Op) -> u64 {
        self.0[op.index()]
    }

    /// How many there were of all kinds that change or sync something: see [`Op::is_mutation`].
    #[must_use]
    pub fn mutations(&self) -> u64 {
        self.sum(Op::is_mutation)
    }

    /// How many there were that a fault could have hit: see [`Op::can_fail`].
    #[must_use]
    pub fn fallible(&self) -> u64 {
        self.sum(Op::can_fail)
    }

    fn sum(&self, which: impl Fn(Op) -> bool) -> u64 {
        Op::ALL.iter().filter(|op| which(**op)).map(|op| self.of(*op)).sum()
    }

    pub(super) fn add(&mut self, op: Op) {
        self.0[op.index()] += 1;
    }
}

/// What happened between two looks at the counts.
impl Sub for Counts {
    type Output = Self;

    fn sub(mut self, earlier: Self) -> Self {
        self.0.iter_mut().zip(earlier.0).for_each(|(count, before)| *count -= before);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_place_of_its_own() {
        for (place, op) in Op::ALL.iter().enumerate() {
            assert_eq!(op.index(), place);
        }
    }
}
