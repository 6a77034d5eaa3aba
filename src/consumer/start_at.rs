//! Where to begin, and what to do with a position that is not in the log.

use crate::sync::{Bug, planted};
use crate::{Offset, Timestamp};
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

/// What to do when a consumer's position is not in the log.
#[doc(alias = "auto.offset.reset")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reset {
    /// Polls say `OutOfRange`, until the consumer seeks.
    Fail,
    /// It goes on from there.
    To(StartAt),
}

/// Why a position is not in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its record was deleted.
    BelowStart,
    /// The log was cut, or it is another log.
    BeyondEnd,
}

/// What to do for each cause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resets {
    pub(super) below_start: Reset,
    pub(super) beyond_end: Reset,
}

impl Default for Resets {
    fn default() -> Self {
        Self { below_start: Reset::To(StartAt::Earliest), beyond_end: Reset::Fail }
    }
}

impl Resets {
    pub(super) fn of(&self, cause: Cause) -> Reset {
        match cause {
            Cause::BelowStart => self.below_start,
            Cause::BeyondEnd if planted(Bug::BeyondEndReset) => self.below_start,
            Cause::BeyondEnd => self.beyond_end,
        }
    }
}
