//! Waiting for a partition's next record without keeping the partition open.
//!
//! ```text
//!     Watch ──▶ Open       in the queues of the partition, which may be put to rest meanwhile
//!           ──▶ Resting    in the queue of the slot, until somebody opens it to append
//!           ──▶ Over       an error
//! ```
//!
//! Nobody appends to a partition at rest, so who waits for its next record waits for somebody to open it. That a
//! partition is put to rest wakes those who wait in its queues, once, and they wait in the slot's.

use super::handle::SharedTopic;
use super::slot::{Extent, Glance, PartitionSlot};
use crate::partition::{Landmark, Lookout};
use crate::sync::Ticket;
use crate::{Offset, Partition, ReadLevel, Result, Topic};
use std::sync::Arc;
use std::task::{Context, Poll};

impl PartitionSlot {
    /// Has a landmark follow the log to where it is now, as far as that can be seen.
    fn lead(&self, landmark: &mut Landmark) {
        match self.look() {
            Glance::Open(partition) => landmark.follow(&partition),
            Glance::Resting(_) => landmark.follow_to_rest(),
            Glance::Refused | Glance::Over(_) => {}
        }
    }
}

/// One who waits for a partition to grow.
pub(crate) struct Watch {
    topic: Arc<SharedTopic>,
    slot: Arc<PartitionSlot>,
    level: ReadLevel,
    /// Its place in the queues of the partition, while that is open.
    lookout: Lookout,
    /// Its place in the queue of the slot.
    ticket: Option<Ticket>,
    /// When its reader began where it is, or the log was last seen not to have been cut.
    landmark: Landmark,
}

impl Topic {
    /// A place from which to watch one of its partitions, for a reader at `level`.
    ///
    /// # Errors
    /// `NotFound` when there is no such partition, or the topic was deleted. `Closed`.
    pub(crate) fn watch(&self, number: u32, level: ReadLevel) -> Result<Watch> {
        let slot = self.slot(number)?;
        let (topic, lookout) = (self.shared().clone(), Lookout::default());
        Ok(Watch { topic, slot, level, lookout, ticket: None, landmark: Landmark::default() })
    }
}

impl Watch {
    /// The partition, which is opened if it rests. Blocks meanwhile.
    ///
    /// # Errors
    /// As [`Topic::partition`].
    pub(crate) fn open(&mut self) -> Result<Partition> {
        let partition = self.slot.wake(&self.topic)?;
        // Cuts before this moment count as well.
        self.landmark.follow(&partition);
        Ok(partition)
    }

    /// This moment, for [`Watch::count_cuts_from`]. To be asked for before the end is looked at.
    pub(crate) fn landmark(&self) -> Landmark {
        let mut landmark = Landmark::default();
        self.slot.lead(&mut landmark);
        landmark
    }

    /// What was cut before this moment does not matter.
    pub(crate) fn count_cuts_from(&mut self, landmark: Landmark) {
        self.landmark = landmark;
    }

    /// Whether the log has been cut below `offset` since the moment from which cuts count, or since the answer was
    /// last that it was not. Of one that was closed meanwhile, only what was cut since it was opened is known.
    pub(crate) fn is_cut_below(&mut self, offset: Offset) -> bool {
        if self.landmark.is_over() {
            self.slot.lead(&mut self.landmark);
        }
        self.landmark.is_cut_below(offset)
    }

    /// From where to where it reaches for a reader of the watch's level. It is opened only if nothing is known of
    /// it.
    ///
    /// # Errors
    /// As [`Topic::partition`].
    pub(crate) fn extent(&self) -> Result<Extent> {
        let partition = match self.slot.look() {
            Glance::Over(error) => return Err(error),
            Glance::Resting(extent) => return Ok(extent),
            Glance::Open(partition) if !partition.is_closed() => partition,
            Glance::Open(_) | Glance::Refused => self.slot.wake(&self.topic)?,
        };
        let end = match self.level {
            ReadLevel::Written => partition.log_end_offset(),
            ReadLevel::Durable => partition.durable_offset(),
        };
        // The start may have passed the end that was looked at before it.
        let start = partition.log_start_offset();
        Ok(Extent { start, end: end.max(start) })
    }

    /// Makes durable what is written from `offset` on, if that is what the level waits for; says whether it was.
    ///
    /// # Errors
    /// When the sync failed.
    pub(crate) fn serve(&self, offset: Offset) -> Result<bool> {
        let Glance::Open(partition) = self.slot.look() else { return Ok(false) };
        let is_wanted = self.level == ReadLevel::Durable
            && partition.durable_offset() <= offset
            && partition.log_end_offset() > offset;
        if is_wanted {
            partition.flush().wait()?;
        }
        Ok(is_wanted)
    }

    /// Asks whether there may be something at `offset` or behind it, or something to say of the partition, and to be
    /// woken when there may be.
    ///
    /// # Errors
    /// `NotFound` when the topic was deleted. `Closed`; `Io`, `Poisoned` when what is there cannot become durable.
    pub(crate) fn poll(&mut self, offset: Offset, context: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            let seen = self.slot.stirred.reached();
            match self.slot.look() {
                Glance::Over(error) => return Poll::Ready(Err(error)),
                // Who opens it hears what is wrong.
                Glance::Refused => return Poll::Ready(Ok(())),
                // Closed by a user, and not to rest: the next to ask for it opens it.
                Glance::Open(partition) if partition.is_closed() => return Poll::Ready(Ok(())),
                Glance::Open(partition) => {
                    // Who sleeps at the end reads nothing, and hears of a cut all the same.
                    self.landmark.follow(&partition);
                    match self.lookout.poll(&partition, (self.level, offset), context) {
                        // It has been put to rest, or come to its end, since.
                        Poll::Ready(Err(_)) if partition.is_closed() => {}
                        polled => return polled,
                    }
                }
                Glance::Resting(extent) if extent.end > offset => return Poll::Ready(Ok(())),
                Glance::Resting(_) => {
                    self.leave();
                    let goal = seen.wrapping_add(1);
                    self.ticket = Some(self.slot.stirred.enroll(goal, context.waker().clone()));
                    if self.slot.stirred.reached() == seen {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Waits no longer.
    pub(crate) fn leave(&mut self) {
        self.lookout.leave();
        if let Some(ticket) = self.ticket.take() {
            self.slot.stirred.leave(ticket);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.leave();
    }
}
