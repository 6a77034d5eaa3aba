//! What is staged for one partition, and how it is carried there.
//!
//! ```text
//!     Staged:  full, full, open      the front goes first; the open one when it is due
//!              │
//!              └─carry──▶ append ──▶ landed                   the next may go
//!                           └──────▶ failed: all that was staged behind it fails too
//! ```

use super::depot::Depot;
use super::fate::{Fate, Landed};
use super::open_batch::OpenBatch;
use super::topic_lines::TopicLines;
use super::unsynced::Unsynced;
use crate::broker::backend::BackendPartition;
use crate::partition::Remaining;
use crate::record::{Batch, BatchBuilder};
use crate::sync::{Bug, Carrier, Relay, planted};
use crate::{Durability, Error, ErrorKind, Result, TopicPartition};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Largest empty buffer that a line keeps for itself.
const SPARE_LEN_MAX: usize = 4 << 10;

/// One partition, as one producer sends to it.
pub(super) struct Line {
    destination: Arc<Destination>,
    pub(super) relay: Relay<Staged>,
}

/// Where the records of a line go: what the fates of its batches know of it.
pub(super) struct Destination {
    pub(super) place: TopicPartition,
    /// Gone with the producer.
    pub(super) lines: Weak<TopicLines>,
}

impl Line {
    pub(super) fn new(place: TopicPartition, lines: Weak<TopicLines>) -> Self {
        Self { destination: Arc::new(Destination { place, lines }), relay: Relay::default() }
    }

    pub(super) fn destination(&self) -> &Arc<Destination> {
        &self.destination
    }

    pub(super) fn place(&self) -> &TopicPartition {
        &self.destination.place
    }
}

/// What is staged for a partition.
#[derive(Default)]
pub(super) struct Staged {
    /// Goes first, in this order.
    pub(super) full: VecDeque<OpenBatch>,
    /// Is added to. Never empty.
    pub(super) open: Option<OpenBatch>,
    /// Whether the open one is due whatever the linger says.
    pub(super) is_urgent: bool,
    /// When the timers thread will look at the line, as far as it was asked to.
    pub(super) listed: Option<Duration>,
    /// Bytes without a key that have come since the sticky partition became this one.
    pub(super) sticky_bytes: usize,
    /// What becomes of the batches that were taken and not yet told of. A later one may be told of first.
    untold: Vec<Arc<Fate>>,
    unsynced: Unsynced,
    /// Held while it is sent to; not here while a batch is being appended.
    partition: Option<Arc<dyn BackendPartition>>,
    /// Whether anything was appended since somebody last looked.
    was_used: bool,
    spare: Vec<u8>,
}

impl Staged {
    pub(super) fn is_empty(&self) -> bool {
        self.full.is_empty() && self.open.is_none()
    }

    /// What a flush waits for: when all of these are done, all that was sent is.
    pub(super) fn fates(&self) -> impl Iterator<Item = &Arc<Fate>> {
        let staged = self.full.iter().chain(&self.open).map(|batch| &batch.fate);
        self.unsynced.fates().chain(&self.untold).chain(staged).filter(|fate| !fate.is_told())
    }

    /// A buffer for the next batch.
    pub(super) fn take_buffer(&mut self, lines: &TopicLines) -> Vec<u8> {
        if self.spare.capacity() > 0 { std::mem::take(&mut self.spare) } else { lines.depot().buffer() }
    }

    /// Lets go of what it does not need, if nothing was sent since the last call. Says whether it holds anything.
    pub(super) fn rest(&mut self, depot: &Depot) -> bool {
        if std::mem::take(&mut self.was_used) || !self.is_empty() {
            return true;
        }
        self.untold.retain(|fate| !fate.is_settled());
        self.unsynced.judge(depot);
        self.partition = None;
        self.spare = Vec::new();
        !self.unsynced.is_empty()
    }
}

/// Who carries the batches of a line.
pub(super) struct Carrying<'a> {
    pub(super) lines: &'a TopicLines,
    pub(super) line: &'a Line,
}

/// A batch that is taken to its partition.
pub(super) struct Load {
    batch: OpenBatch,
    partition: Option<Arc<dyn BackendPartition>>,
}

/// A batch that arrived, or did not.
pub(super) struct Arrived {
    fate: Arc<Fate>,
    claimed: usize,
    result: Result<Landed>,
    partition: Option<Arc<dyn BackendPartition>>,
    buffer: Vec<u8>,
}

/// Whom to tell what.
pub(super) struct News {
    fate: Arc<Fate>,
    result: Result<Landed>,
    freed: usize,
    buffer: Vec<u8>,
    /// What was staged behind a batch that failed.
    behind: Vec<OpenBatch>,
}

impl Carrier for Carrying<'_> {
    type Staged = Staged;
    type Load = Load;
    type Landed = Arrived;
    type Told = News;

    fn is_due(&self, staged: &Staged) -> bool {
        !staged.full.is_empty() || (staged.open.is_some() && self.is_open_due(staged))
    }

    fn take(&self, staged: &mut Staged) -> Option<Load> {
        let is_due = self.is_open_due(staged);
        let next =
            if planted(Bug::BatchesSwapped) { staged.full.pop_back() } else { staged.full.pop_front() };
        let batch = match next {
            Some(batch) => batch,
            None if is_due => staged.open.take()?,
            None => return None,
        };
        if staged.is_empty() {
            staged.is_urgent = false;
        }
        staged.untold.retain(|fate| !fate.is_settled());
        staged.untold.push(batch.fate.clone());
        staged.was_used = true;
        Some(Load { batch, partition: staged.partition.take() })
    }

    fn carry(&self, load: Load) -> Arrived {
        let Load { batch: OpenBatch { builder, fate, claimed, .. }, mut partition } = load;
        let level = fate.append_level();
        let appended = catch_unwind(AssertUnwindSafe(|| self.append(builder, &mut partition, level)));
        let (result, buffer) = match appended {
            Ok((result, buffer)) => (result, buffer),
            Err(_) => {
                let message = format!("{}: an append panicked", self.line.place());
                (Err(Error::new(ErrorKind::Poisoned, message)), Vec::new())
            }
        };
        Arrived { fate, claimed, result, partition, buffer }
    }

    fn land(&self, staged: &mut Staged, arrived: Arrived) -> News {
        let Arrived { fate, claimed, result, partition, mut buffer } = arrived;
        staged.partition = partition;
        if buffer.capacity() <= SPARE_LEN_MAX {
            staged.spare = std::mem::take(&mut buffer);
        }
        let mut behind = Vec::new();
        if result.is_err() && !planted(Bug::FailureOvertaken) {
            behind.extend(std::mem::take(&mut staged.full));
            behind.extend(staged.open.take());
            staged.is_urgent = false;
        }
        staged.untold.extend(behind.iter().map(|batch| batch.fate.clone()));
        if let Ok(Remaining::Sync(until, goal)) = result.as_ref().map(Landed::remaining) {
            staged.unsynced.add(fate.clone(), until, *goal, self.lines.depot());
        }
        let lost = result.is_err() && planted(Bug::FailureKeepsRoom);
        News { fate, result, freed: if lost { 0 } else { claimed }, buffer, behind }
    }

    fn tell(&self, news: News) {
        let depot = self.lines.depot();
        let News { fate, result, freed, buffer, behind } = news;
        depot.keep_buffer(buffer);
        depot.budget.give_back(freed + behind.iter().map(|batch| batch.claimed).sum::<usize>());
        if let Err(cause) = &result {
            let error = self.overtaken(cause);
            // The first error comes first, for who asks for that.
            fate.settle(result);
            behind.iter().for_each(|batch| batch.fate.settle(Err(error.clone())));
        } else {
            fate.settle(result);
        }
    }
}

impl Carrying<'_> {
    /// Whether the open batch goes, if there is one.
    fn is_open_due(&self, staged: &Staged) -> bool {
        staged.is_urgent || self.lines.depot().settings.linger.is_zero()
    }

    /// Appends a batch, to the partition that is held or to one that is asked for.
    fn append(
        &self,
        builder: BatchBuilder,
        held: &mut Option<Arc<dyn BackendPartition>>,
        level: Durability,
    ) -> (Result<Landed>, Vec<u8>) {
        let mut batch = match builder.finish() {
            Ok(batch) => batch,
            Err(error) => return (Err(error), Vec::new()),
        };
        let result = self.append_batch(&mut batch, held, level);
        (result, batch.into_buffer())
    }

    fn append_batch(
        &self,
        batch: &mut Batch,
        held: &mut Option<Arc<dyn BackendPartition>>,
        level: Durability,
    ) -> Result<Landed> {
        if let Some(partition) = held {
            match partition.append(batch, level) {
                // Nothing was stored. Whether it can be had anew, or why not, the topic knows.
                Err(error) if error.kind() == ErrorKind::Closed => *held = None,
                other => return other.map(Landed::of),
            }
        }
        let partition = self.lines.partition(self.line.place().partition())?;
        self.lines.depot().note_held();
        held.insert(partition).append(batch, level).map(Landed::of)
    }

    /// The error of a record that was staged behind one that failed.
    fn overtaken(&self, cause: &Error) -> Error {
        let place = self.line.place();
        let message = format!("not written, because a record before it was not: {place}: {cause}");
        Error::with_source(cause.kind(), message, cause.clone())
    }
}
