//! Waiting for records that are not there yet.

use super::ReadLevel;
use super::shared::Shared;
use crate::Result;
use crate::sync::{Deadline, Place, Progress, block_on};
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
    fn wait(&self, goal: u64, deadline: Deadline) -> Result<bool> {
        let mut place = Place::default();
        let written = block_on(deadline, |context| self.poll_written(goal, &mut place, context));
        self.leave(&mut place);
        match (written.transpose()?, self.level) {
            (None, _) => Ok(false),
            (Some(()), ReadLevel::Written) => Ok(true),
            (Some(()), ReadLevel::Durable) => self.shared.wait(goal, deadline),
        }
    }

    fn poll(&self, goal: u64, place: &mut Place, context: &mut Context<'_>) -> Poll<Result<()>> {
        if self.shared.log_end().get() < goal {
            // It may be written by the time the waiter is on the list, which is not yet durable.
            match self.poll_written(goal, place, context) {
                Poll::Ready(Ok(())) => {}
                other => return other,
            }
        }
        match self.level {
            ReadLevel::Written => Poll::Ready(Ok(())),
            ReadLevel::Durable => {
                self.leave(place);
                Progress::poll(&*self.shared, goal, place, context)
            }
        }
    }

    fn abandon(&self, _: u64, place: &mut Place) {
        self.leave(place);
        self.shared.commit.forget(place);
    }
}

impl EndPassed {
    fn poll_written(&self, goal: u64, place: &mut Place, context: &mut Context<'_>) -> Poll<Result<()>> {
        let end = &self.shared.end;
        self.leave(place);
        place.written = Some(end.enroll(goal, context.waker().clone()));
        if end.reached() >= goal {
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
