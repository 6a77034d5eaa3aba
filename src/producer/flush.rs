//! Waiting for all that a producer has sent.

use super::depot::Depot;
use super::fate::Fate;
use crate::sync::{Deadline, Mutex, Place, Promise, Share};
use crate::{Error, Result};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The batches of all partitions at one moment that are not known to be done, and have not been told of. Of those
/// that are stored the last of a stretch speaks for all before it.
pub(super) struct Flushing {
    depot: Arc<Depot>,
    fates: Vec<Arc<Fate>>,
    /// Which of them are done, for who polls.
    done: Mutex<Done>,
}

#[derive(Default)]
struct Done {
    count: usize,
    first_error: Option<Error>,
    /// Where the poller stands in the queues of the first that is not done.
    place: Place,
}

impl Flushing {
    pub(super) fn new(depot: Arc<Depot>, fates: Vec<Arc<Fate>>) -> Self {
        Self { depot, fates, done: Mutex::default() }
    }

    /// All are done: tells what is to be told, of these and of what failed before them, and that once.
    fn tell(&self, first_error: Option<Error>) -> Result<()> {
        self.fates.iter().for_each(|fate| fate.set_told());
        self.depot.take_failure().and(first_error.map_or(Ok(()), Err))
    }
}

impl Promise<()> for Flushing {
    fn wait(&self, _: Share, deadline: Deadline) -> Result<Option<()>> {
        let mut first_error = None;
        for fate in &self.fates {
            let done = fate.wait_done(deadline);
            if matches!(done, Ok(None)) {
                return Ok(None);
            }
            first_error = first_error.or(fate.error_to_tell(done.map(drop)).err());
        }
        self.tell(first_error).map(Some)
    }

    fn poll(&self, _: Share, _: &mut Place, context: &mut Context<'_>) -> Poll<Result<()>> {
        let mut done = self.done.lock();
        while let Some(fate) = self.fates.get(done.count) {
            let polled = ready!(fate.poll_done(&mut done.place, context));
            let error = fate.error_to_tell(polled.map(drop)).err();
            done.count += 1;
            done.first_error = done.first_error.take().or(error);
        }
        Poll::Ready(self.tell(done.first_error.take()))
    }

    fn abandon(&self, _: Share, _: &mut Place) {
        let mut done = self.done.lock();
        if let Some(fate) = self.fates.get(done.count) {
            fate.forget(&mut done.place);
        }
    }
}
