//! What is said of a batch once it is stored.

use super::options::Durability;
use crate::record::Times;
use crate::sync::{Goal, Progress};
use crate::{Offset, Timestamp};
use std::fmt;
use std::sync::Arc;

/// Where an atomic batch was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub(super) base_offset: Offset,
    pub(super) next_offset: Offset,
    pub(super) timestamp: Timestamp,
    pub(super) level: Durability,
}

impl Appended {
    /// The offset of its first record.
    #[must_use]
    pub fn base_offset(&self) -> Offset {
        self.base_offset
    }

    /// The offset after its last record.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// The latest timestamp among its records.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The level that was reached.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.level
    }
}

/// A batch that was stored for others, each of whom waits for it by himself.
#[derive(Debug)]
pub(crate) struct StoredBatch {
    pub(crate) appended: Appended,
    /// What the level that was asked for still wants.
    pub(crate) remaining: Remaining,
    /// Which time its records have.
    pub(crate) times: Times,
}

/// What is left to wait for once records are stored.
#[derive(Clone)]
pub(crate) enum Remaining {
    Nothing,
    /// That they are synced.
    Sync(Arc<dyn Progress>, Goal),
}

impl fmt::Debug for Remaining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Sync(_, goal) => f.debug_tuple("Sync").field(goal).finish(),
        }
    }
}
