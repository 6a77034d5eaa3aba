//! A partition's place in its topic: open while it is used, at rest otherwise.
//!
//! ```text
//!                     ┌───────── wake ◀────────┐
//!     open ──▶ Open ──┤                        ├── Resting     no file, no map, no thread: some numbers
//!                     └─ nobody holds it, idle ▶┘
//!     open ──▶ Refused(why)                                    tried again when it is asked for
//!     close, delete ──▶ Over(why)
//! ```

use super::handle::SharedTopic;
use crate::PartitionStats;
use crate::sync::{Bug, Gate, Mutex, MutexGuard, planted};
use crate::{Error, Offset, Partition, RecoveryReport, Result, Retention, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// How long a partition stays open that nobody holds.
const REST_AFTER: Duration = Duration::from_secs(30);

/// One partition of a topic.
#[derive(Debug)]
pub(crate) struct PartitionSlot {
    number: u32,
    place: Mutex<Place>,
    /// How often it was opened or ended, and those who wait for either without keeping it open.
    pub(super) stirred: Gate,
}

#[derive(Debug)]
enum Place {
    /// Closed, and nobody notices.
    Resting(Box<Rest>),
    /// Open; when (monotonic) somebody was last seen to hold it.
    Open { partition: Partition, used: Duration },
    /// It could not be opened.
    Refused(Error),
    /// The topic was deleted or the broker closed.
    Over(Error),
}

/// What is known of a partition at rest.
#[derive(Debug)]
struct Rest {
    stats: PartitionStats,
    /// When the oldest segment with records was last appended to.
    oldest_append_time: Option<Timestamp>,
    /// When the oldest segment that can be deleted was last appended to.
    oldest_sealed: Option<Timestamp>,
}

impl PartitionSlot {
    /// Opens a partition to see what has become of it, and lets it rest.
    pub(super) fn open(number: u32, topic: &SharedTopic) -> (Self, Result<Arc<RecoveryReport>>) {
        let slot = |place| Self { number, place: Mutex::new(place), stirred: Gate::default() };
        match topic.look_at_partition(number) {
            Err(error) => {
                topic.book_refused(number);
                (slot(Place::Refused(error.clone())), Err(error))
            }
            Ok(partition) => {
                let report = partition.recovery_report();
                (slot(Place::to_rest(&partition)), Ok(report))
            }
        }
    }

    /// The partition, which is opened if it rests.
    ///
    /// # Errors
    /// As [`crate::Topic::partition`].
    pub(super) fn wake(&self, topic: &SharedTopic) -> Result<Partition> {
        topic.home.confirm()?;
        let now = topic.home.monotonic();
        let mut place = self.place.lock();
        match &mut *place {
            Place::Over(error) => return Err(error.clone()),
            Place::Open { partition, used } if !partition.is_closed() => {
                *used = now;
                return Ok(partition.clone());
            }
            // Somebody is about to close it, and has its directory locked until then.
            Place::Open { partition, .. } => partition.wait_until_closed(),
            Place::Resting(_) | Place::Refused(_) => {}
        }
        match topic.open_partition(self.number) {
            Ok(partition) => {
                let opened = Place::Open { partition: partition.clone(), used: now };
                let before = std::mem::replace(&mut *place, opened);
                self.stir(place);
                // Without the lock: it may be the last handle of what was closed.
                drop(before);
                Ok(partition)
            }
            Err(error) => {
                *place = Place::Refused(error.clone());
                self.stir(place);
                Err(error)
            }
        }
    }

    /// Tells those who wait that it is in another place now.
    fn stir(&self, place: MutexGuard<'_, Place>) {
        self.stir_quietly(place);
        // A waker is the user's code, and is called without the lock.
        self.wake_stirred();
    }

    fn stir_quietly(&self, _place: MutexGuard<'_, Place>) {
        self.stirred.store(self.stirred.reached().wrapping_add(1));
    }

    fn wake_stirred(&self) {
        if !planted(Bug::SlotNotStirred) {
            self.stirred.wake();
        }
    }

    /// How it is, without opening it.
    pub(super) fn look(&self) -> Glance {
        match &*self.place.lock() {
            Place::Open { partition, .. } => Glance::Open(partition.clone()),
            Place::Resting(rest) => Glance::Resting(Extent::of(&rest.stats)),
            Place::Refused(_) => Glance::Refused,
            Place::Over(error) => Glance::Over(error.clone()),
        }
    }

    /// Does what is due.
    pub(super) fn maintain(&self, topic: &SharedTopic) -> Result<()> {
        self.expire(topic)?;
        let open = match &*self.place.lock() {
            Place::Open { partition, .. } => Some(partition.clone()),
            _ => None,
        };
        open.map_or(Ok(()), |partition| partition.maintain())
    }

    /// Lets it rest if it has been idle for long enough; has it shed what is too old if it rests.
    pub(super) fn sweep(&self, topic: &SharedTopic) {
        // What fails now fails again when somebody asks for the partition, who then hears of it.
        drop(self.expire(topic));
        let now = topic.home.monotonic();
        let mut place = self.place.lock();
        let Place::Open { partition, used } = &mut *place else { return };
        if !partition.is_unheld() {
            *used = now;
            return;
        }
        if now.saturating_sub(*used) < REST_AFTER || !partition.stop_idle_upkeep() {
            return;
        }
        let partition = partition.clone();
        *place = Place::to_rest(&partition);
        // A waker is the user's code, and is called without the lock.
        drop(place);
        partition.wake_closed();
    }

    /// Has a partition at rest delete what has become too old.
    fn expire(&self, topic: &SharedTopic) -> Result<()> {
        let mut place = self.place.lock();
        match &*place {
            Place::Resting(rest) if rest.has_expired(topic) => self.tend(&mut place, topic),
            _ => Ok(()),
        }
    }

    /// Its number in the topic.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// The partition, if it is open.
    pub(super) fn open_now(&self) -> Option<Partition> {
        match &*self.place.lock() {
            Place::Open { partition, .. } if !partition.is_closed() => Some(partition.clone()),
            _ => None,
        }
    }

    /// When the oldest segment that can be deleted was last appended to; none where there is none.
    pub(super) fn oldest_sealed(&self) -> Option<Timestamp> {
        match &*self.place.lock() {
            Place::Open { partition, .. } if !partition.is_closed() => partition.oldest_sealed(),
            Place::Resting(rest) => rest.oldest_sealed,
            Place::Open { .. } | Place::Refused(_) | Place::Over(_) => None,
        }
    }

    /// Deletes the oldest segment; says whether it did.
    pub(super) fn shed_oldest(&self, topic: &SharedTopic) -> bool {
        if let Some(partition) = self.open_now() {
            return partition.shed_oldest().unwrap_or(false);
        }
        let mut place = self.place.lock();
        if !matches!(&*place, Place::Resting(_)) {
            return false;
        }
        match topic.look_at_partition(self.number) {
            Ok(partition) => {
                let shed = partition.shed_oldest().unwrap_or(false);
                *place = Place::to_rest(&partition);
                shed
            }
            Err(error) => {
                *place = Place::Refused(error);
                false
            }
        }
    }

    /// Goes by what the topic is set to now.
    pub(super) fn change_policy(&self, topic: &SharedTopic) {
        let options = topic.options();
        let mut place = self.place.lock();
        match &*place {
            Place::Open { partition, .. } => partition.change_policy(&options),
            // What fails now fails again when somebody asks for the partition, who then hears of it.
            Place::Resting(_) if options.retention != Retention::Forever => {
                drop(self.tend(&mut place, topic));
            }
            Place::Resting(_) | Place::Refused(_) | Place::Over(_) => {}
        }
    }

    /// Opens a partition at rest, does what is due, and lets it rest again: so only one is open at a time,
    /// however many are due.
    fn tend(&self, place: &mut Place, topic: &SharedTopic) -> Result<()> {
        match topic.look_at_partition(self.number) {
            Ok(partition) => {
                let done = partition.maintain();
                *place = Place::to_rest(&partition);
                done
            }
            Err(error) => {
                *place = Place::Refused(error.clone());
                Err(error)
            }
        }
    }

    /// Closes it for good; whoever asks from now on gets `why`. Nobody is woken before [`PartitionSlot::wake_ended`] is
    /// called with the partition.
    pub(super) fn end(&self, why: &Error) -> (Result<()>, Option<Partition>) {
        let mut place = self.place.lock();
        let ended = std::mem::replace(&mut *place, Place::Over(why.clone()));
        self.stir_quietly(place);
        match ended {
            Place::Open { partition, .. } => (partition.close_quietly(), Some(partition)),
            Place::Resting(_) | Place::Refused(_) | Place::Over(_) => (Ok(()), None),
        }
    }

    /// Wakes whoever waited for what there was.
    pub(super) fn wake_ended(&self, partition: Option<Partition>) {
        self.wake_stirred();
        partition.iter().for_each(Partition::wake_closed);
    }

    /// Sizes and pointers; of a partition at rest those it had when it was closed. None of one that is refused.
    pub(super) fn stats(&self) -> SlotStats {
        match &*self.place.lock() {
            Place::Open { partition, .. } => SlotStats::Open(partition.stats()),
            Place::Resting(rest) => SlotStats::Resting(rest.stats.clone()),
            Place::Refused(error) | Place::Over(error) => SlotStats::Refused(error.clone()),
        }
    }
}

/// A look at a slot that opens nothing.
pub(super) enum Glance {
    Open(Partition),
    Resting(Extent),
    /// It could not be opened when that was tried last.
    Refused,
    Over(Error),
}

/// From where to where a partition reaches. At rest all of it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start: Offset,
    /// Exclusive.
    pub(crate) end: Offset,
}

impl Extent {
    fn of(stats: &PartitionStats) -> Self {
        Self { start: stats.log_start_offset, end: stats.durable_offset }
    }
}

/// What can be said of a partition now.
pub(crate) enum SlotStats {
    Open(PartitionStats),
    Resting(PartitionStats),
    Refused(Error),
}

impl Place {
    /// Closes a partition that nobody but the slot holds. Whoever waits in its queues is to be woken when the slot is
    /// released: see [`Partition::wake_closed`].
    fn to_rest(partition: &Partition) -> Self {
        let oldest_append_time = partition.oldest_append_time();
        let oldest_sealed = partition.oldest_sealed();
        match partition.close_quietly() {
            Ok(()) => {
                partition.recount_closed();
                let stats = partition.stats();
                Self::Resting(Box::new(Rest { stats, oldest_append_time, oldest_sealed }))
            }
            // It is closed nevertheless: opening it again recovers it, and says what is wrong.
            Err(error) => Self::Refused(error),
        }
    }
}

impl Rest {
    /// Whether its oldest segment is older than the topic wants.
    fn has_expired(&self, topic: &SharedTopic) -> bool {
        let (Retention::Age(age) | Retention::AgeOrBytes(age, _)) = topic.retention() else {
            return false;
        };
        self.oldest_append_time.is_some_and(|oldest| oldest.saturating_add(age) < topic.home.retention_now())
    }
}
