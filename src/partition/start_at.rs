//! Where to begin in a partition.

use super::handle::Partition;
use super::options::ReadLevel;
use crate::{Offset, Result, Timestamp};
use std::time::SystemTime;

/// Where in a partition to begin: at the start, after a seek, after a reset.
#[doc(alias = "auto.offset.reset")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartAt {
    /// At the first record there is.
    #[default]
    Earliest,
    /// Behind the last record that is visible at that moment: only what comes from then on.
    Latest,
    /// At the record of this offset, or the next one there is.
    Offset(Offset),
    /// At the first record with a timestamp at or after this; behind the last where there is none.
    Time(Timestamp),
}

impl From<Offset> for StartAt {
    fn from(offset: Offset) -> Self {
        Self::Offset(offset)
    }
}

impl From<Timestamp> for StartAt {
    fn from(time: Timestamp) -> Self {
        Self::Time(time)
    }
}

impl From<SystemTime> for StartAt {
    fn from(time: SystemTime) -> Self {
        Self::Time(time.into())
    }
}

impl Partition {
    /// The offset that `start` stands for, of all that is written.
    ///
    /// # Errors
    /// As [`Partition::offset_for_time`].
    pub(crate) fn offset_at(&self, start: StartAt) -> Result<Offset> {
        Ok(match start {
            StartAt::Earliest => self.log_start_offset(),
            StartAt::Latest => self.log_end_offset(),
            StartAt::Offset(offset) => offset,
            StartAt::Time(time) => {
                // In this order: what comes in between is not skipped.
                let end = self.log_end_offset();
                self.offset_for_time_at(ReadLevel::Written, time)?.map_or(end, |found| found.offset())
            }
        })
    }
}
