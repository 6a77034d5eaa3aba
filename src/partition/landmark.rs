//! Whether a log was cut below an offset since somebody was there.

use super::Partition;
use super::shared::Shared;
use crate::Offset;
use crate::sync::{Bug, planted};
use std::sync::{Arc, Weak};

/// A moment in the life of an open partition. Offsets are given again after a cut, so that an offset alone does
/// not say whether it still means what it meant then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Landmark {
    partition: Weak<Shared>,
    /// How often the log had begun anew.
    restarts: u64,
}

impl Landmark {
    /// Whether the log has been cut below `offset` since. Of a partition that was closed since nothing is known.
    pub(crate) fn is_cut_below(&self, offset: Offset) -> bool {
        self.partition.upgrade().is_some_and(|shared| {
            let now = shared.commit.goal(offset.get());
            now.restarts != self.restarts
                && !planted(Bug::CutNotNoticed)
                && shared.commit.is_taken_back(crate::sync::Goal { restarts: self.restarts, ..now })
        })
    }
}

impl Partition {
    /// This moment. To be asked for before the end is looked at.
    pub(crate) fn landmark(&self) -> Landmark {
        let restarts = self.shared().commit.goal(0).restarts;
        Landmark { partition: Arc::downgrade(self.shared()), restarts }
    }
}
