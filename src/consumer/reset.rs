//! What to do with a position that is not in the log.

use crate::StartAt;
use crate::sync::{Bug, planted};

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
