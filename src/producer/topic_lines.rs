//! The lines to the partitions of one topic, and which of them records without a key go to.

use super::depot::Depot;
use super::line::{Carrying, Line, Staged};
use crate::broker::backend::{BackendPartition, BackendTopic};
use crate::sync::{AtomicU64, Left, Ordering, Stage, Table};
use crate::{Error, ErrorKind, Result, TopicId, TopicPartition, TopicSettings};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// One topic, as one producer sends to it.
pub(super) struct TopicLines {
    me: Weak<Self>,
    depot: Arc<Depot>,
    topic: Arc<dyn BackendTopic>,
    name: Arc<str>,
    id: TopicId,
    /// One for each partition that anything was sent to.
    lines: Table<Line>,
    /// The partition that records without a key go to.
    sticky: AtomicU64,
}

impl TopicLines {
    /// `start` decides where records without a key go first.
    pub(super) fn new(depot: &Arc<Depot>, topic: Arc<dyn BackendTopic>, start: u64) -> Arc<Self> {
        let (id, name) = (topic.id(), topic.name());
        let count = u64::from(topic.partition_count().unwrap_or(1).max(1));
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            depot: depot.clone(),
            topic,
            name,
            id,
            lines: Table::new(),
            sticky: AtomicU64::new(start.checked_rem(count).unwrap_or(0)),
        })
    }

    pub(super) fn depot(&self) -> &Depot {
        &self.depot
    }

    pub(super) fn id(&self) -> TopicId {
        self.id
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn downgrade(&self) -> Weak<Self> {
        self.me.clone()
    }

    pub(super) fn settings(&self) -> TopicSettings {
        self.topic.settings()
    }

    /// # Errors
    /// `NotFound` when the topic was deleted; `Closed`.
    #[inline]
    pub(super) fn partition_count(&self) -> Result<u32> {
        self.topic.partition_count()
    }

    pub(super) fn partition(&self, number: u32) -> Result<Arc<dyn BackendPartition>> {
        self.topic.partition(number)
    }

    /// The line to a partition that there is.
    #[inline]
    pub(super) fn line(&self, number: u32) -> Result<&Line> {
        match self.lines.get(number) {
            Some(line) => Ok(line),
            None => self.add_line(number),
        }
    }

    #[cold]
    fn add_line(&self, number: u32) -> Result<&Line> {
        let growing = self.depot.grow()?;
        let place = TopicPartition::new(self.name.clone(), number);
        let line = self.lines.get_or_set(number, || Line::new(place, self.me.clone()));
        drop(growing);
        line.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("{}: there is no partition {number}", self.name))
        })
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter()
    }

    /// Where records without a key go now, of `count` partitions.
    #[inline]
    pub(super) fn sticky(&self, count: u32) -> u32 {
        let number = u32::try_from(self.sticky.load(Ordering::Relaxed)).unwrap_or(0);
        if number < count { number } else { 0 }
    }

    /// Has them go to the partition after `number`, unless somebody was quicker.
    pub(super) fn turn(&self, number: u32, count: u32) {
        let next = number.saturating_add(1).checked_rem(count).unwrap_or(0);
        let (from, to) = (u64::from(number), u64::from(next));
        let _beaten = self.sticky.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Appends what is due, unless somebody does.
    pub(super) fn carry<'a>(&self, line: &'a Line, mut stage: Stage<'a, Staged>) {
        let carrying = Carrying { lines: self, line };
        while line.relay.carry(stage, &carrying, self.depot.loads_max()) == Left::More {
            // Once it is closed no more comes in, and the timers thread may have ended.
            if !self.depot.is_over() {
                return self.depot.list((self.me.clone(), line.place().partition()), Duration::ZERO);
            }
            stage = line.relay.lock();
        }
    }

    /// Appends all that is staged for a partition, or has whoever appends to it take it along.
    pub(super) fn hand_over(&self, line: &Line) {
        let mut stage = line.relay.lock();
        if !stage.is_empty() {
            stage.is_urgent = true;
            self.carry(line, stage);
        }
    }

    /// The same for the partition of this number, if anything was ever sent to it.
    pub(super) fn hand_over_number(&self, number: u32) {
        if let Some(line) = self.lines.get(number) {
            self.hand_over(line);
        }
    }

    /// Appends what has lingered for long enough at `now` (monotonic); asks to be called again for what has not.
    pub(super) fn look_at(&self, number: u32, now: Duration) {
        let Some(line) = self.lines.get(number) else { return };
        let mut stage = line.relay.lock();
        let due = stage.open.as_ref().map(|open| open.due);
        if due.is_some_and(|due| due <= now) {
            stage.is_urgent = true;
        }
        let later = due.filter(|due| *due > now && !stage.is_urgent);
        stage.listed = later;
        self.carry(line, stage);
        if let Some(later) = later {
            self.depot.list((self.me.clone(), number), later);
        }
    }
}
