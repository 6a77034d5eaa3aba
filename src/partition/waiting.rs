//! Waiting for records that are not there yet.

use super::ReadLevel;
use super::shared::Shared;
use crate::Result;
use crate::sync::{Deadline, Goal, Place, Progress, block_on};
use std::sync::Arc;
use std::task::{Context, Poll};

/// Waits until the end that a reader at `level` sees has passed an offset.
///
/// At [`ReadLevel::Durable`] it waits for the record to be written first and asks for its sync then, so that a
/// reader behind a producer that does not sync is served.
pub(super) struct EndPassed {
    pub(super) shared: Arc<Shared>,
    pub(super) level: ReadLevel,
}

impl Progress for EndPassed {
    fn wait(&self, goal: Goal, deadline: Deadline) -> Result<bool> {
        loop {
            let mut place = Place::default();
            let written = block_on(deadline, |context| self.poll_written(goal, &mut place, context));
            self.leave(&mut place);
            if written.transpose()?.is_none() {
                return Ok(false);
            }
            if self.level == ReadLevel::Written {
                return Ok(true);
            }
            let goal = self.shared.commit.goal(goal.end);
            if self.shared.log_end().get() < goal.end {
                // Cut off again; what is waited for is whatever gets there.
                continue;
            }
            match self.shared.wait(goal, deadline) {
                Err(_) if self.shared.commit.is_taken_back(goal) => {}
                other => return other,
            }
        }
    }

    fn poll(&self, goal: Goal, place: &mut Place, context: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            let goal = self.shared.commit.goal(goal.end);
            if self.shared.log_end().get() < goal.end {
                // It may be written by the time the waiter is on the list, which is not yet durable.
                match self.poll_written(goal, place, context) {
                    Poll::Ready(Ok(())) => continue,
                    other => return other,
                }
            }
            self.leave(place);
            if self.level == ReadLevel::Written {
                return Poll::Ready(Ok(()));
            }
            match Progress::poll(&*self.shared, goal, place, context) {
                Poll::Ready(Err(_)) if self.shared.commit.is_taken_back(goal) => {}
                other => return other,
            }
        }
    }

    fn abandon(&self, _: Goal, place: &mut Place) {
        self.leave(place);
        self.shared.commit.forget(place);
    }
}

impl EndPassed {
    fn poll_written(&self, goal: Goal, place: &mut Place, context: &mut Context<'_>) -> Poll<Result<()>> {
        let end = &self.shared.end;
        self.leave(place);
        place.written = Some(end.enroll(goal.end, context.waker().clone()));
        if end.reached() >= goal.end {
            self.leave(place);
            return Poll::Ready(Ok(()));
        }
        if self.shared.is_closed() {
            self.leave(place);
            return Poll::Ready(Err(self.shared.closed()));
        }
        Poll::Pending
    }

    fn leave(&self, place: &mut Place) {
        if let Some(ticket) = place.written.take() {
            self.shared.end.leave(ticket);
        }
    }
}
