//! The batches of a line that are stored, and that nobody has told of as synced or lost.
//!
//! ```text
//!     one stretch:  the records of one opened partition between two times that a suffix of it was taken back.
//!                   Synced in order, so the last batch of a stretch speaks for all of it.
//!
//!     Unsynced:  stretch, stretch, stretch     the last one goes on; an ended one is judged: synced, lost, or neither yet
//! ```

use super::depot::Depot;
use super::fate::Fate;
use crate::Result;
use crate::sync::{Bug, Goal, Place, Progress, planted};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The last batches of all stretches that are not yet told of. More than one only where a suffix was taken back.
#[derive(Default)]
pub(super) struct Unsynced(Vec<Stretch>);

/// The last batch of a stretch, and what it waits for.
struct Stretch {
    fate: Arc<Fate>,
    until: Arc<dyn Progress>,
    goal: Goal,
}

impl Unsynced {
    pub(super) fn fates(&self) -> impl Iterator<Item = &Arc<Fate>> {
        self.0.iter().map(|stretch| &stretch.fate)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A batch was stored that waits for `goal`.
    pub(super) fn add(&mut self, fate: Arc<Fate>, until: &Arc<dyn Progress>, goal: Goal, depot: &Depot) {
        match self.0.last_mut() {
            Some(last) if last.goes_on_to(until, goal) => {
                last.fate = fate;
                last.goal = goal;
            }
            _ => {
                self.judge(depot);
                self.0.push(Stretch { fate, until: until.clone(), goal });
            }
        }
    }

    /// Forgets what is synced; leaves what is lost to the next flush.
    pub(super) fn judge(&mut self, depot: &Depot) {
        self.0.retain(|stretch| !stretch.fate.is_told());
        self.0.retain(|stretch| match stretch.outcome() {
            None => true,
            Some(Ok(())) => false,
            Some(Err(error)) => {
                if !planted(Bug::LossForgotten) {
                    depot.note_lost(error);
                }
                false
            }
        });
    }
}

impl Stretch {
    /// Whether a batch with this goal is of the same stretch.
    fn goes_on_to(&self, until: &Arc<dyn Progress>, goal: Goal) -> bool {
        Arc::ptr_eq(&self.until, until) && self.goal.restarts == goal.restarts
    }

    /// What has become of it, if that is known.
    fn outcome(&self) -> Option<Result<()>> {
        let mut place = Place::default();
        match self.until.poll(self.goal, &mut place, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => {
                self.until.abandon(self.goal, &mut place);
                None
            }
        }
    }
}
