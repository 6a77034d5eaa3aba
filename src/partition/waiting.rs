//! Waiting for records that are not there yet.

use super::shared::Shared;
use super::{Partition, ReadLevel};
use crate::sync::{Deadline, Goal, Pending, Place, Progress, block_on};
use crate::{Offset, Result};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

impl Partition {
    /// Work that is done when readers can see a record at `offset` or behind it.
    ///
    /// To wait for what comes next, pass [`Reader::position`](crate::Reader::position). What counts is the partition's
    /// read level. Waiting takes no processor time, and is served even if nobody else syncs.
    ///
    /// ```
    /// use annals::{Offset, Partition, Record};
    ///
    /// let log = Partition::options().open_in_memory()?;
    /// let writer = std::thread::spawn({
    ///     let log = log.clone();
    ///     move || ["a", "b", "c"].map(|value| log.append([Record::new(value)]).wait().is_ok())
    /// });
    ///
    /// // As `tail -f` does: reads to the end, and waits there for more.
    /// let mut tail = log.read(Offset::ZERO);
    /// let mut seen = Vec::new();
    /// while seen.len() < 3 {
    ///     for records in &mut tail {
    ///         seen.extend(records?.iter().map(|record| record.value().to_vec()));
    ///     }
    ///     if seen.len() < 3 {
    ///         log.wait_past(tail.position()).wait()?; // or .await
    ///     }
    /// }
    /// assert_eq!(seen, [b"a", b"b", b"c"]);
    /// # writer.join().expect("it only appends");
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// Nothing is written to a partition whose write or sync has failed: who waits for what is not written yet
    /// goes on waiting, until somebody appends after [`Partition::reopen`], or the partition is closed.
    ///
    /// # Errors
    /// `Closed` when the partition is closed meanwhile. Of a record that is written and waits for its sync:
    /// `Io` when that failed, `Poisoned` when an earlier write or sync had.
    #[must_use = "nobody waits until it is waited for"]
    pub fn wait_past(&self, offset: Offset) -> Pending<()> {
        self.wait_past_at(self.shared().policy.read_level(), offset)
    }

    /// The same for a reader at `level`.
    #[must_use = "nobody waits until it is waited for"]
    pub fn wait_past_at(&self, level: ReadLevel, offset: Offset) -> Pending<()> {
        let until = EndPassed { shared: self.shared().clone(), level };
        let goal = self.shared().commit.goal(offset.get().saturating_add(1));
        Pending::until(Arc::new(until), goal, ())
    }
}

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

/// A place in the queues of a partition that does not keep the partition open: when it is closed, whoever waits
/// here is woken, and looks what has become of it.
#[derive(Debug, Default)]
pub(crate) struct Lookout {
    partition: Weak<Shared>,
    place: Place,
}

impl Lookout {
    /// Asks whether the end of `partition` that a reader at `level` sees has passed `offset`, and to be woken when
    /// it may have.
    ///
    /// # Errors
    /// As [`Partition::wait_past`].
    pub(crate) fn poll(
        &mut self,
        partition: &Partition,
        (level, offset): (ReadLevel, Offset),
        context: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        let shared = partition.shared();
        if self.partition.as_ptr() != Arc::as_ptr(shared) {
            self.leave();
            self.partition = Arc::downgrade(shared);
        }
        let until = EndPassed { shared: shared.clone(), level };
        let goal = shared.commit.goal(offset.get().saturating_add(1));
        until.poll(goal, &mut self.place, context)
    }

    /// Waits no longer. Of a partition that is gone the queues are gone as well.
    pub(crate) fn leave(&mut self) {
        if let Some(shared) = self.partition.upgrade() {
            if let Some(ticket) = self.place.written.take() {
                shared.end.leave(ticket);
            }
            shared.commit.forget(&mut self.place);
        }
        self.place = Place::default();
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        self.leave();
    }
}
