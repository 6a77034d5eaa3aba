//! What becomes of a batch: all receipts of its records have a share in it.
//!
//! ```text
//!     staged ──append──▶ landed ──sync──▶ done          Written: done when landed
//!                  └───▶ failed                          Buffered: done when staged
//! ```

use super::line::Destination;
use super::metadata::RecordMetadata;
use super::options::SendDurability;
use crate::partition::{Remaining, StoredBatch};
use crate::record::Times;
use crate::sync::{
    AtomicBool, AtomicU64, Audience, Bug, Deadline, Ordering, Outcome, Place, Promise, Share, block_on,
    planted,
};
use crate::{Durability, Offset, Result, Timestamp};
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// What becomes of one batch.
pub(super) struct Fate {
    outcome: Outcome<Result<Landed>>,
    destination: Arc<Destination>,
    level: SendDurability,
    /// How many receipts were given out. Changed under the lock of the line.
    receipt_count: AtomicU64,
    /// How many of them have told their holders of a failure.
    heard_count: AtomicU64,
    /// Whether a flush has told of it, well or not.
    is_told: AtomicBool,
}

/// A batch that is stored.
#[derive(Clone, Debug)]
pub(super) struct Landed {
    base_offset: Offset,
    times: Times,
    remaining: Remaining,
}

impl Landed {
    pub(super) fn of(stored: StoredBatch) -> Self {
        let remaining = if planted(Bug::ReceiptBeforeSync) { Remaining::Nothing } else { stored.remaining };
        Self { base_offset: stored.appended.base_offset(), times: stored.times, remaining }
    }

    pub(super) fn remaining(&self) -> &Remaining {
        &self.remaining
    }
}

impl Fate {
    pub(super) fn new(destination: Arc<Destination>, level: SendDurability) -> Arc<Self> {
        // At `Buffered` nobody waits for it.
        let outcome = if level == SendDurability::Buffered { Outcome::abandoned() } else { Outcome::new() };
        let (receipt_count, heard_count) = (AtomicU64::new(0), AtomicU64::new(0));
        let is_told = AtomicBool::new(false);
        Arc::new(Self { outcome, destination, level, receipt_count, heard_count, is_told })
    }

    /// A record of the batch gets a receipt. To be called under the lock of the line.
    #[inline]
    pub(super) fn count_receipt(&self) {
        let count = self.receipt_count.load(Ordering::Relaxed);
        self.receipt_count.store(count.saturating_add(1), Ordering::Relaxed);
    }

    /// The level that receipts wait for.
    pub(super) fn level(&self) -> SendDurability {
        self.level
    }

    /// The level to append at.
    pub(super) fn append_level(&self) -> Durability {
        match self.level {
            SendDurability::Durable | SendDurability::OfTopic => Durability::Durable,
            SendDurability::Buffered | SendDurability::Written => Durability::Written,
        }
    }

    /// Says what has become of it. To be called without any lock.
    pub(super) fn settle(self: &Arc<Self>, result: Result<Landed>) {
        if result.is_err()
            && let Some(lines) = self.destination.lines.upgrade()
        {
            lines.depot().note_failure(self);
        }
        if self.outcome.settle(result.clone()) == Audience::Left {
            Self::act_for_the_absent(result);
        }
    }

    /// Somebody dropped his receipt: the record is to reach its level all the same.
    fn act_for_the_absent(result: Result<Landed>) {
        if let Ok(Landed { remaining: Remaining::Sync(until, goal), .. }) = result {
            until.abandon(goal, &mut Place::default());
        }
    }

    /// Its error, if it failed and not all of its receipts have told of that: one was dropped, or is still held.
    pub(super) fn unheard_error(&self) -> Result<()> {
        match self.outcome.get() {
            Some(Err(error)) if !self.is_heard() => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether all of its receipts have told of its failure, once it has failed: no more are given out then.
    fn is_heard(&self) -> bool {
        self.heard_count.load(Ordering::Acquire) >= self.receipt_count.load(Ordering::Relaxed)
    }

    /// What a flush tells of it that was told `done`. Who heard of a failed sync did not hear of it for those before.
    pub(super) fn error_to_tell(&self, done: Result<()>) -> Result<()> {
        match self.outcome.get() {
            Some(Err(_)) => self.unheard_error(),
            _ => done,
        }
    }

    /// A flush has told of it: the next one does not.
    pub(super) fn set_told(&self) {
        self.is_told.store(true, Ordering::Release);
    }

    pub(super) fn is_told(&self) -> bool {
        self.is_told.load(Ordering::Acquire)
    }

    /// Blocks until it is done, at most until `deadline`; what it failed with otherwise.
    pub(super) fn wait_done(&self, deadline: Deadline) -> Result<Option<Landed>> {
        let settled = match self.outcome.get() {
            Some(result) => result,
            None => match self.wait_settled(deadline) {
                Some(result) => result,
                None => return Ok(None),
            },
        };
        let landed = settled?;
        match &landed.remaining {
            Remaining::Sync(until, goal) if !until.wait(*goal, deadline)? => Ok(None),
            _ => Ok(Some(landed)),
        }
    }

    fn wait_settled(&self, deadline: Deadline) -> Option<Result<Landed>> {
        if let Some(lines) = self.destination.lines.upgrade()
            && lines.depot().is_manual()
        {
            // Nobody else would.
            lines.hand_over_number(self.destination.place.partition());
        }
        let mut place = Place::default();
        let settled = block_on(deadline, |context| self.outcome.poll(&mut place, context));
        self.outcome.forget(&mut place);
        settled
    }

    /// Asks whether it is done, and to be woken when it may be.
    pub(super) fn poll_done(&self, place: &mut Place, context: &mut Context<'_>) -> Poll<Result<Landed>> {
        // Also where it is settled: the place goes on to somebody else's queue, which numbers its tickets for itself.
        let settled = ready!(self.outcome.poll(place, context));
        let landed = match settled {
            Ok(landed) => landed,
            Err(error) => return Poll::Ready(Err(error)),
        };
        if let Remaining::Sync(until, goal) = &landed.remaining {
            ready!(until.poll(*goal, place, context))?;
        }
        Poll::Ready(Ok(landed))
    }

    /// Somebody who polled is gone: takes him off the list he is on.
    pub(super) fn forget(&self, place: &mut Place) {
        if place.durable.is_some()
            && let Some(Ok(Landed { remaining: Remaining::Sync(until, goal), .. })) = self.outcome.get()
        {
            until.abandon(goal, place);
        }
        self.outcome.forget(place);
    }

    /// Whether it was told what has become of it.
    pub(super) fn is_settled(&self) -> bool {
        self.outcome.is_settled()
    }

    fn hear(&self, done: Result<Landed>, share: Share) -> Result<RecordMetadata> {
        if done.is_err() {
            // A receipt tells once.
            self.heard_count.fetch_add(1, Ordering::AcqRel);
        }
        let landed = done?;
        let index = if planted(Bug::ShareIgnored) { 0 } else { u64::from(share.index) };
        let timestamp = match landed.times {
            Times::AsGiven => Timestamp::from_millis(share.millis),
            Times::LogAppend(time) => time,
        };
        let offset = landed.base_offset.saturating_add(index);
        let place = self.destination.place.clone();
        Ok(RecordMetadata { place, offset, timestamp, durability: self.level })
    }
}

impl Promise<RecordMetadata> for Fate {
    fn wait(&self, share: Share, deadline: Deadline) -> Result<Option<RecordMetadata>> {
        match self.wait_done(deadline) {
            Ok(None) => Ok(None),
            Ok(Some(landed)) => self.hear(Ok(landed), share).map(Some),
            Err(error) => self.hear(Err(error), share).map(Some),
        }
    }

    fn poll(
        &self,
        share: Share,
        place: &mut Place,
        context: &mut Context<'_>,
    ) -> Poll<Result<RecordMetadata>> {
        let done = ready!(self.poll_done(place, context));
        Poll::Ready(self.hear(done, share))
    }

    fn abandon(&self, _: Share, place: &mut Place) {
        self.forget(place);
        if let Some(result) = self.outcome.abandon() {
            Self::act_for_the_absent(result);
        }
    }
}

impl fmt::Debug for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fate")
            .field("place", &self.destination.place)
            .field("outcome", &self.outcome.get())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::producer::line::Line;
    use crate::sync::Count;
    use crate::{Error, ErrorKind, TopicPartition};
    use std::sync::Weak;
    use std::task::Waker;

    /// A flush that was done with one fate took another's first waiter off its list, since both had ticket 0.
    #[test]
    fn who_goes_on_to_the_next_fate_takes_nobody_off_its_list() {
        let place = TopicPartition::new("t", 0);
        let line = Line::new(place, Weak::new());
        let [first, second] =
            [(); 2].map(|()| Fate::new(line.destination().clone(), SendDurability::Durable));
        let refused = || Err(Error::new(ErrorKind::Closed, "it is over"));
        let receipt = Arc::new(Count::default());
        let waker = Waker::from(receipt.clone());
        let mut own = Place::default();
        assert!(second.poll_done(&mut own, &mut Context::from_waker(&waker)).is_pending());

        let mut shared = Place::default();
        let mut noop = Context::from_waker(Waker::noop());
        assert!(first.poll_done(&mut shared, &mut noop).is_pending());
        first.settle(refused());
        assert!(first.poll_done(&mut shared, &mut noop).is_ready());
        assert!(second.poll_done(&mut shared, &mut noop).is_pending());
        second.settle(refused());
        assert_eq!(receipt.get(), 1);
    }
}
