//! What all lines of one producer share.

use super::fate::Fate;
use super::options::Settings;
use super::partitioner::Partitioner;
use super::topic_lines::TopicLines;
use crate::broker::backend::Backend;
use crate::clock::Clock;
use crate::sync::{AtomicBool, Budget, Mutex, MutexGuard, OnceLock, Ordering};
use crate::upkeep::Upkeep;
use crate::{Error, Maintenance, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Empty buffers of a batch's size that are kept.
const BUFFERS_MAX: usize = 16;
/// Failed batches that are kept until a flush asks for them.
const FAILED_MAX: usize = 1_024;
/// Batches that a sender appends for others before it leaves the rest to the timers thread.
const LOADS_MAX: u32 = 8;
/// How often partitions that are not sent to any more are let go of.
const REST_EVERY: Duration = Duration::from_secs(10);

/// What all lines of one producer share.
pub(super) struct Depot {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Settings,
    pub(super) partitioner: Arc<dyn Partitioner>,
    /// Bytes of records that are staged and not yet written.
    pub(super) budget: Budget,
    pub(super) upkeep: Upkeep,
    is_manual: bool,
    /// Whether any line holds a partition that is to be let go of once it is idle.
    is_holding: AtomicBool,
    /// Why nothing can be sent any more. Looked at under the lock of each line; set before those are gone through.
    over: OnceLock<Error>,
    /// Held where a topic or a line is added, so that a close sees all of them.
    growing: Mutex<()>,
    buffers: Mutex<Vec<Vec<u8>>>,
    /// Failures, oldest first, that a flush has not yet told of.
    failed: Mutex<Vec<Failure>>,
    agenda: Mutex<Agenda>,
}

/// What a flush is to tell of.
enum Failure {
    /// Not written.
    Unwritten(Arc<Fate>),
    /// Written, and lost before it was synced.
    Lost(Error),
}

/// What is due when, for the timers thread. No other lock is taken while this one is held.
#[derive(Default)]
struct Agenda {
    /// By the monotonic clock, and in the order of listing.
    lines: BTreeMap<(Duration, u64), (Weak<TopicLines>, u32)>,
    count: u64,
    rest_at: Option<Duration>,
    /// Whether somebody found the buffer full and did not wait: everything is to be appended.
    is_pressed: bool,
}

/// What is due now.
pub(super) struct Due {
    pub(super) lines: Vec<(Weak<TopicLines>, u32)>,
    pub(super) rests: bool,
    pub(super) is_pressed: bool,
}

impl Failure {
    fn to_tell(&self) -> Result<()> {
        match self {
            Self::Unwritten(fate) => fate.unheard_error(),
            Self::Lost(error) => Err(error.clone()),
        }
    }

    /// Whether it can be told: a batch is noted before it is told itself what has become of it.
    fn is_known(&self) -> bool {
        match self {
            Self::Unwritten(fate) => fate.is_settled(),
            Self::Lost(_) => true,
        }
    }

    fn set_told(&self) {
        if let Self::Unwritten(fate) = self {
            fate.set_told();
        }
    }
}

impl Depot {
    pub(super) fn new(
        backend: Arc<dyn Backend>,
        settings: Settings,
        partitioner: Arc<dyn Partitioner>,
    ) -> Arc<Self> {
        Arc::new(Self {
            clock: backend.clock().clone(),
            is_manual: backend.maintenance() == Maintenance::Manual,
            backend,
            settings,
            partitioner,
            budget: Budget::new(settings.buffer_bytes),
            upkeep: Upkeep::default(),
            is_holding: AtomicBool::new(false),
            over: OnceLock::new(),
            growing: Mutex::new(()),
            buffers: Mutex::new(Vec::new()),
            failed: Mutex::new(Vec::new()),
            agenda: Mutex::new(Agenda::default()),
        })
    }

    /// Whether due work is left to the callers.
    pub(super) fn is_manual(&self) -> bool {
        self.is_manual
    }

    /// How many batches one thread appends for others.
    pub(super) fn loads_max(&self) -> u32 {
        // With nobody to leave the rest to, there is nobody who stages meanwhile either, for long.
        if self.is_manual { u32::MAX } else { LOADS_MAX }
    }

    /// # Errors
    /// `Closed` when the producer or its broker was.
    #[inline]
    pub(super) fn usable(&self) -> Result<()> {
        self.over.get().map_or(Ok(()), |over| Err(over.clone()))
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.get().is_some()
    }

    /// Refuses all that is sent from now on. What was staged before is in a line that is there when this returns.
    pub(super) fn close(&self, why: &Error) {
        drop(self.over.set(why.clone()));
        drop(self.growing.lock());
        self.budget.close(why);
    }

    /// The right to add a topic or a line.
    ///
    /// # Errors
    /// `Closed`.
    pub(super) fn grow(&self) -> Result<MutexGuard<'_, ()>> {
        let growing = self.growing.lock();
        self.usable()?;
        Ok(growing)
    }

    /// A buffer for a batch: an empty one that was used before, if there is any.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.buffers.lock().pop().unwrap_or_default()
    }

    /// Keeps a buffer for a later batch.
    pub(super) fn keep_buffer(&self, buffer: Vec<u8>) {
        if buffer.capacity() <= 2 * self.settings.batch_bytes {
            let mut buffers = self.buffers.lock();
            if buffers.len() < BUFFERS_MAX {
                buffers.push(buffer);
            }
        }
    }

    /// Keeps a batch that was not written for the next flush.
    pub(super) fn note_failure(&self, fate: &Arc<Fate>) {
        self.note(Failure::Unwritten(fate.clone()));
    }

    /// Keeps for the next flush why records were lost that had been written.
    pub(super) fn note_lost(&self, error: Error) {
        self.note(Failure::Lost(error));
    }

    fn note(&self, failure: Failure) {
        let mut failed = self.failed.lock();
        if failed.len() >= FAILED_MAX {
            failed.retain(|failure| !failure.is_known() || failure.to_tell().is_err());
        }
        if failed.len() < FAILED_MAX {
            failed.push(failure);
        }
    }

    /// The first error since the last flush that nobody has heard of. What is not known yet is left to the next.
    pub(super) fn take_failure(&self) -> Result<()> {
        let failed: Vec<_> = self.failed.lock().extract_if(.., |failure| failure.is_known()).collect();
        let first = failed.iter().try_for_each(Failure::to_tell);
        failed.iter().for_each(Failure::set_told);
        first
    }

    /// Has the timers thread look at this line at `due` (monotonic); zero: at once.
    pub(super) fn list(&self, line: (Weak<TopicLines>, u32), due: Duration) {
        let mut agenda = self.agenda.lock();
        let is_first = agenda.lines.first_key_value().is_none_or(|((first, _), _)| due < *first);
        agenda.count += 1;
        let place = (due, agenda.count);
        agenda.lines.insert(place, line);
        drop(agenda);
        if is_first {
            self.upkeep.call();
        }
    }

    /// Has the timers thread append all that is staged.
    pub(super) fn press(&self) {
        self.agenda.lock().is_pressed = true;
        self.upkeep.call();
    }

    /// A line holds a partition, which is to be let go of when it is idle.
    pub(super) fn note_held(&self) {
        if self.is_holding.load(Ordering::Acquire) {
            return;
        }
        // Read first: a clock is the user's, and may panic.
        let rest_at = self.clock.monotonic().saturating_add(REST_EVERY);
        if !self.is_holding.swap(true, Ordering::AcqRel) {
            self.agenda.lock().rest_at = Some(rest_at);
            self.upkeep.call();
        }
    }

    /// What is due at `now` (monotonic), which is taken off the list. Whoever looks for idle partitions then calls
    /// [`Depot::note_held`] if any is left.
    pub(super) fn take_due(&self, now: Duration) -> Due {
        let mut agenda = self.agenda.lock();
        let later = agenda.lines.split_off(&(now, u64::MAX));
        let lines = std::mem::replace(&mut agenda.lines, later).into_values().collect();
        let rests = agenda.rest_at.is_some_and(|rest_at| rest_at <= now);
        if rests {
            agenda.rest_at = None;
            self.is_holding.store(false, Ordering::Release);
        }
        Due { lines, rests, is_pressed: std::mem::take(&mut agenda.is_pressed) }
    }

    /// How long nothing is due.
    pub(super) fn next_due(&self) -> Duration {
        let agenda = self.agenda.lock();
        let line = agenda.lines.first_key_value().map(|((due, _), _)| *due);
        let next = line.into_iter().chain(agenda.rest_at).min();
        next.map_or(Duration::MAX, |next| next.saturating_sub(self.clock.monotonic()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::producer::line::Line;
    use crate::{Broker, ErrorKind, KeyHash, OnFullBuffer, SendDurability, TopicOptions, TopicPartition};

    fn depot(broker: &Broker) -> Arc<Depot> {
        let settings = Settings {
            linger: Duration::ZERO,
            batch_bytes: 16 << 10,
            buffer_bytes: 1 << 20,
            durability: SendDurability::OfTopic,
            on_full_buffer: OnFullBuffer::Refuse,
        };
        Depot::new(broker.backend(), settings, Arc::new(KeyHash::Murmur2))
    }

    /// It was taken off the list while it seemed to be well, and the next flush did not tell of it either.
    ///
    /// SEMANTICS 28
    #[test]
    fn a_flush_leaves_what_is_not_yet_known_to_the_next() {
        let broker = Broker::options().maintenance(Maintenance::Manual).open_in_memory().expect("memory");
        broker.create_topic("t", TopicOptions::new()).expect("a new topic");
        let depot = depot(&broker);
        let lines = TopicLines::new(&depot, broker.backend().topic("t").expect("it is there"), 0);
        let line = Line::new(TopicPartition::new("t", 0), lines.downgrade());
        let fate = Fate::new(line.destination().clone(), SendDurability::Buffered);
        fate.count_receipt();
        // It is about to be told.
        depot.note_failure(&fate);
        depot.take_failure().expect("nothing is known yet");
        assert!(!fate.is_told(), "so a flush waits for it");
        fate.settle(Err(Error::new(ErrorKind::NoSpace, "the disk is full")));
        assert_eq!(depot.take_failure().expect_err("nobody heard").kind(), ErrorKind::NoSpace);
        depot.take_failure().expect("it was told");
    }
}
