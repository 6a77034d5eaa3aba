//! Waiting for all that a producer has sent.

use super::depot::Depot;
use super::fate::Fate;
use crate::Result;
use crate::sync::{Deadline, Mutex, Place, Promise, Share};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The last batches of all partitions at one moment. What comes last in a partition is done last, so who waits
/// for these has waited for all before them.
pub(super) struct Flushing {
    depot: Arc<Depot>,
    fates: Vec<Arc<Fate>>,
    /// Which of them are done, for who polls.
    done: Mutex<Done>,
}

#[derive(Default)]
struct Done {
    count: usize,
    /// Where the poller stands in the queues of the first that is not done.
    place: Place,
}

impl Flushing {
    pub(super) fn new(depot: Arc<Depot>, fates: Vec<Arc<Fate>>) -> Self {
        Self { depot, fates, done: Mutex::default() }
    }
}

impl Promise<()> for Flushing {
    fn wait(&self, _: Share, deadline: Deadline) -> Result<Option<()>> {
        for fate in &self.fates {
            // Why a batch could not be written is told below, in the order of the failures.
            let done = fate.wait_done(deadline);
            if matches!(done, Ok(None)) {
                return Ok(None);
            }
            fate.sync_error(done.map(drop))?;
        }
        self.depot.take_failure().map(Some)
    }

    fn poll(&self, _: Share, _: &mut Place, context: &mut Context<'_>) -> Poll<Result<()>> {
        let mut done = self.done.lock();
        while let Some(fate) = self.fates.get(done.count) {
            let polled = ready!(fate.poll_done(&mut done.place, context));
            done.count += 1;
            fate.sync_error(polled.map(drop))?;
        }
        Poll::Ready(self.depot.take_failure())
    }

    fn abandon(&self, _: Share, _: &mut Place) {
        let mut done = self.done.lock();
        if let Some(fate) = self.fates.get(done.count) {
            fate.forget(&mut done.place);
        }
    }
}
