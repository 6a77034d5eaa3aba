//! Whether a log was cut below an offset since somebody was there.

use super::Partition;
use super::shared::Shared;
use crate::Offset;
use crate::sync::{Bug, Goal, planted};
use std::sync::{Arc, Weak};

/// A moment in the life of an open partition, which has another each time that it is opened. Offsets are given again
/// after a cut, so that an offset alone does not say whether it still means what it meant then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Landmark {
    /// None as long as nobody has been there; dangling where the partition was at rest.
    life: Option<Weak<Shared>>,
    /// How often the log had begun anew.
    restarts: u64,
}

impl Landmark {
    /// Whether the log has been cut below `offset` since. If it has not, this moment is the landmark from now on: what
    /// was read up to `offset` still stands, and only later cuts can change that. Of a partition that was closed since
    /// nothing is known until it is followed.
    pub(crate) fn is_cut_below(&mut self, offset: Offset) -> bool {
        let Some(shared) = self.life.as_ref().and_then(Weak::upgrade) else { return false };
        // In this order: a cut in between is looked at again.
        let now = shared.commit.goal(offset.get());
        if now.restarts == self.restarts || planted(Bug::CutNotNoticed) {
            return false;
        }
        let is_cut = shared.commit.is_taken_back(Goal { restarts: self.restarts, ..now });
        if !is_cut {
            self.restarts = now.restarts;
        }
        is_cut
    }

    /// Whether it lies in no life that goes on: the log is to be followed into the next.
    pub(crate) fn is_over(&self) -> bool {
        self.life.as_ref().is_none_or(|life| life.strong_count() == 0)
    }

    /// Follows the log into the life that it has as `partition`, unless it lies in that already. What was read in an
    /// earlier one is cut by any cut of this.
    pub(crate) fn follow(&mut self, partition: &Partition) {
        let shared = partition.shared();
        let restarts = match &self.life {
            Some(life) if life.as_ptr() == Arc::as_ptr(shared) => return,
            Some(_) => 0,
            None => shared.commit.goal(0).restarts,
        };
        *self = Self { life: Some(Arc::downgrade(shared)), restarts };
    }

    /// The partition is at rest: any cut of its next life comes after this moment.
    pub(crate) fn follow_to_rest(&mut self) {
        self.life.get_or_insert_default();
    }
}
