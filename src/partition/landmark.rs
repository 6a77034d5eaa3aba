//! Whether a log was cut below an offset since somebody was there.

use super::shared::Shared;
use super::{Partition, ReadLevel, TimedOffset};
use crate::{Offset, Result, Timestamp};
use std::sync::Weak;

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
                && shared.commit.is_taken_back(crate::sync::Goal { restarts: self.restarts, ..now })
        })
    }
}

impl Partition {
    /// This moment. To be asked for before the end is looked at.
    pub(crate) fn landmark(&self) -> Landmark {
        let restarts = self.shared().commit.goal(0).restarts;
        Landmark { partition: std::sync::Arc::downgrade(self.shared()), restarts }
    }

    /// [`Partition::offset_for_time`] for a reader at `level`.
    pub(crate) fn offset_for_time_at(
        &self,
        level: ReadLevel,
        time: Timestamp,
    ) -> Result<Option<TimedOffset>> {
        self.shared().offset_for_time(time, level)
    }
}
