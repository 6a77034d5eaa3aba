//! Waiting for commits that wait for their data.
//!
//! ```text
//!     look ──some are held──▶ wait for the data of one ──▶ look ... ──none is──▶ wait for the log of commits
//! ```

use super::book::{Fate, Place};
use super::store::OffsetStore;
use crate::sync::{Deadline, Goal, Mutex, Place as Ticket, Progress};
use crate::{Durability, Pending, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Commits of which some wait for their data.
pub(super) struct Committing {
    pub(super) store: Arc<OffsetStore>,
    pub(super) held: Vec<(Place, Fate)>,
    pub(super) level: Durability,
    pub(super) step: Mutex<Step>,
}

/// What is waited for next.
#[derive(Debug)]
pub(super) enum Step {
    /// To be seen.
    Look,
    /// That data, or at last the log of commits, is durable.
    Await(Pending<()>, Then),
    Done,
}

/// What comes after a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Look,
    Done,
}

impl Committing {
    fn look(&self) -> Result<Step> {
        self.store.settle();
        self.store.wake_waiters();
        let awaited = self.store.awaited(&self.held);
        // Only now: what was no longer held then has its fate, if it was not stored.
        if let Some(error) = self.held.iter().find_map(|(_, fate)| fate.get()) {
            return Err(error.clone());
        }
        Ok(match awaited {
            Some(data) => Step::Await(data?, Then::Look),
            None if self.level == Durability::Written => Step::Done,
            // All that is waited for is stored by now, or outdone by what is.
            None => Step::Await(self.store.flush()?, Then::Done),
        })
    }

    /// Goes on as long as `wait` says that what is waited for is done.
    fn advance(&self, mut wait: impl FnMut(&mut Pending<()>) -> Result<bool>) -> Result<bool> {
        let mut step = self.step.lock();
        loop {
            *step = match &mut *step {
                Step::Done => return Ok(true),
                Step::Look => self.look()?,
                Step::Await(pending, then) => {
                    if !wait(pending)? {
                        return Ok(false);
                    }
                    if *then == Then::Look { Step::Look } else { Step::Done }
                }
            };
        }
    }
}

impl Progress for Committing {
    fn wait(&self, _: Goal, deadline: Deadline) -> Result<bool> {
        self.advance(|pending| pending.wait_until(deadline).map(|done| done.is_some()))
    }

    fn poll(&self, _: Goal, _: &mut Ticket, context: &mut Context<'_>) -> Poll<Result<()>> {
        let polled = self.advance(|pending| match Pin::new(pending).poll(context) {
            Poll::Ready(done) => done.map(|()| true),
            Poll::Pending => Ok(false),
        });
        match polled {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// The store goes on by itself: its own wait for the data is a demand too.
    fn abandon(&self, _: Goal, _: &mut Ticket) {
        *self.step.lock() = Step::Done;
    }
}
