//! One partition as its consumer goes through it.
//!
//! ```text
//!     position ──▶ Reader ──▶ rest ──▶ poll       while there is something to read
//!     position ──▶ Watch                          while there is not: nothing is kept open
//! ```

use super::limits::Room;
use super::reset::{Cause, Reset, Resets};
use crate::broker::backend::{BackendReader, BackendTopic, BackendWatch};
use crate::broker::group_member::CommitPoint;
use crate::partition::Landmark;
use crate::sync::{Bell, Bug, Rope, planted};
use crate::{Error, ErrorKind, Offset, ReadLevel, Records, Result, StartAt, TopicPartition};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// How often a position is reset before that is given up: one that was reset may be out of range again.
const RESETS_MAX: usize = 2;

/// What a consumer does about a partition now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is in the queue of those to be asked.
    Queued,
    /// It rings when there is something.
    Waiting,
    /// It is left alone.
    Paused,
}

/// One partition of a consumer.
pub(super) struct Lane {
    place: TopicPartition,
    level: ReadLevel,
    watch: Box<dyn BackendWatch>,
    /// Rings for this lane.
    waker: Waker,
    pub(super) turn: Turn,
    /// The offset of the next record to return.
    position: Offset,
    /// Where the position is to be, as long as that could not be looked up.
    unresolved: Option<StartAt>,
    /// None while there is nothing to read, so that the partition may be put to rest.
    reader: Option<Box<dyn BackendReader>>,
    /// What was read and not yet returned.
    rest: Option<Records>,
    /// What went wrong and was not yet said.
    pub(super) failed: Option<Error>,
}

/// What a lane had for a poll.
pub(super) enum Taken {
    /// Records, and how many bytes of keys, values and headers.
    Records(Records, usize),
    /// A record that does not fit into what is left of the limits.
    TooLarge,
    /// Nothing now.
    Nothing,
}

impl Lane {
    /// A lane at offset 0 of a partition.
    ///
    /// # Errors
    /// `NotFound` when there is no such partition.
    pub(super) fn new(
        topic: &dyn BackendTopic,
        place: TopicPartition,
        level: ReadLevel,
        (bell, number): (&Arc<Bell>, u64),
    ) -> Result<Self> {
        let watch = topic.watch(place.partition(), level)?;
        Ok(Self {
            place,
            level,
            watch,
            waker: Rope::waker(bell, number),
            turn: Turn::Queued,
            position: Offset::ZERO,
            unresolved: None,
            reader: None,
            rest: None,
            failed: None,
        })
    }

    pub(super) fn place(&self) -> &TopicPartition {
        &self.place
    }

    pub(super) fn position(&self) -> Offset {
        self.position
    }

    /// Goes on from `start`. What was to be said of the position before is not said any more.
    ///
    /// # Errors
    /// As [`Topic::partition`]; for a time also what reading says. The position is as it was.
    pub(super) fn seek(&mut self, start: StartAt) -> Result<()> {
        // Before the end is looked at: what it means may be cut away at once.
        let landmark = self.watch.landmark();
        let position = self.resolve(start)?;
        self.move_to_since(position, landmark);
        Ok(())
    }

    /// Begins at `start`. Where that cannot be looked up, polls say so until it can.
    pub(super) fn begin_at(&mut self, start: StartAt) {
        if self.seek(start).is_err() {
            self.unresolved = Some(start);
        }
    }

    /// What to commit: the position, if there is one.
    pub(super) fn commit_point(&self) -> Option<(TopicPartition, CommitPoint)> {
        let point = CommitPoint { offset: self.position, metadata: "".into(), leader_epoch: 0 };
        self.unresolved.is_none().then(|| (self.place.clone(), point))
    }

    /// Goes on from this offset.
    pub(super) fn move_to(&mut self, position: Offset) {
        let landmark = self.watch.landmark();
        self.move_to_since(position, landmark);
    }

    fn move_to_since(&mut self, position: Offset, landmark: Landmark) {
        self.position = position;
        self.unresolved = None;
        self.reader = None;
        self.rest = None;
        self.watch.count_cuts_from(landmark);
        self.failed = None;
    }

    fn resolve(&mut self, start: StartAt) -> Result<Offset> {
        match start {
            StartAt::Offset(offset) => Ok(offset),
            StartAt::Earliest => Ok(self.watch.extent()?.start),
            StartAt::Latest => Ok(self.watch.extent()?.end),
            StartAt::Time(time) => {
                // In this order: what comes in between is not skipped.
                let end = self.watch.extent()?.end;
                let found = self.watch.open()?.offset_for_time(time, self.level)?;
                Ok(found.map_or(end, |found| found.offset()))
            }
        }
    }

    /// How many offsets lie between the position and the end that this level sees.
    pub(super) fn lag(&self) -> Result<u64> {
        Ok(self.watch.extent()?.end.since(self.position))
    }

    /// The records that come next, as many as there is room for, but at least one where `alone` says that nothing
    /// else was taken.
    pub(super) fn take(&mut self, room: Room, others: Others, resets: &Resets) -> Result<Taken> {
        for _ in 0..=RESETS_MAX {
            match self.fetch() {
                Ok(true) => return Ok(self.split(room, others)),
                Ok(false) => return Ok(Taken::Nothing),
                Err(Halt::Failed(error)) => return Err(error),
                Err(Halt::OutOfRange(cause, error)) => match resets.of(cause) {
                    Reset::Fail => return Err(error),
                    Reset::To(start) => self.seek(start)?,
                },
            }
        }
        let message = format!("offset {} is out of range again after each reset", self.position);
        Err(Error::new(ErrorKind::OutOfRange, message))
    }

    fn split(&mut self, room: Room, others: Others) -> Taken {
        let Some(rest) = &mut self.rest else { return Taken::Nothing };
        if others == Others::Taken && rest.first_len() > room.bytes {
            return Taken::TooLarge;
        }
        let len = rest.bytes().len();
        let (records, bytes) = if rest.len() <= room.records && len <= room.bytes {
            (rest.clone(), len)
        } else {
            rest.split_to(room.records, room.bytes)
        };
        self.position = if planted(Bug::RestSkipped) { rest.next_offset() } else { records.next_offset() };
        if self.position >= rest.next_offset() {
            self.rest = None;
        }
        Taken::Records(records, bytes)
    }

    /// Has something in `rest`; false when there is nothing now.
    fn fetch(&mut self) -> Result<bool, Halt> {
        if let Some(start) = self.unresolved {
            self.seek(start)?;
        }
        loop {
            // Also of what has just been read: the log may have been cut since the last look.
            self.look_for_cut()?;
            if self.rest.is_some() {
                return Ok(true);
            }
            if self.reader.is_none() && !self.begin()? {
                return Ok(false);
            }
            let Some(reader) = &mut self.reader else { return Ok(false) };
            let read = reader.next_records();
            let reached = reader.position();
            match read {
                Ok(Some(records)) if records.is_empty() => {}
                Ok(Some(records)) => self.rest = Some(records),
                Ok(None) => {
                    // Batches without records may lie at the end.
                    self.position = self.position.max(reached);
                    self.reader = None;
                    return Ok(false);
                }
                Err(error) => {
                    self.reader = None;
                    if error.lost_range().is_some() {
                        self.position = reached;
                        return Err(Halt::Failed(error));
                    }
                    self.judge(error)?;
                }
            }
        }
    }

    /// What was read ahead is worth nothing, and the position may be, if the log was cut meanwhile.
    fn look_for_cut(&mut self) -> Result<(), Halt> {
        let ahead = self.reader.as_ref().map_or(self.position, |reader| reader.position());
        if !self.watch.is_cut_below(ahead) {
            return Ok(());
        }
        self.reader = None;
        self.rest = None;
        if self.watch.is_cut_below(self.position) {
            let message = format!("the log was cut below offset {}, the next to be read", self.position);
            return Err(Halt::OutOfRange(Cause::BeyondEnd, Error::new(ErrorKind::OutOfRange, message)));
        }
        Ok(())
    }

    /// Has a reader where the position is, unless that is the end.
    fn begin(&mut self) -> Result<bool, Halt> {
        let extent = self.watch.extent()?;
        if self.position == extent.end {
            return Ok(false);
        }
        let partition = self.watch.open()?;
        self.reader = Some(partition.reader(self.position, self.level));
        Ok(true)
    }

    /// What an error of a reader means; nothing when it is to be tried again.
    fn judge(&mut self, error: Error) -> Result<(), Halt> {
        match error.kind() {
            ErrorKind::OutOfRange => {
                let extent = self.watch.extent()?;
                if self.position < extent.start {
                    Err(Halt::OutOfRange(Cause::BelowStart, error))
                } else if self.position > extent.end {
                    Err(Halt::OutOfRange(Cause::BeyondEnd, error))
                } else {
                    // It was out of range, and is not any more.
                    Ok(())
                }
            }
            // Whether the topic, the broker or only the partition was closed is seen when it is opened again.
            ErrorKind::Closed => self.watch.open().map(drop).map_err(Halt::Failed),
            _ => Err(Halt::Failed(error)),
        }
    }

    /// Waits for records; ready when there may be some already.
    pub(super) fn wait(&mut self) -> Poll<Result<()>> {
        let mut context = Context::from_waker(&self.waker);
        let polled = self.watch.poll(self.position, &mut context);
        // A cut since the last look has woken nobody who was not yet on the list.
        if polled.is_pending() && self.has_been_cut()? { Poll::Ready(Ok(())) } else { polled }
    }

    /// Whether the position lies in what was taken back.
    fn has_been_cut(&mut self) -> Result<bool> {
        Ok(self.watch.is_cut_below(self.position) || self.watch.extent()?.end < self.position)
    }

    /// Makes durable what this lane waits for, where nobody else does; says whether there was anything.
    pub(super) fn serve(&self) -> Result<bool> {
        self.watch.serve(self.position)
    }

    /// Says of an error that it is about this partition.
    pub(super) fn blame(&self, error: &Error) -> Error {
        error.at_partition(self.place.topic(), self.place.partition())
    }
}

/// Whether anything else was taken in this poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// Nothing yet: the first record comes even if it is above a limit.
    None,
    Taken,
}

/// Why there are no records.
enum Halt {
    /// The position is not in the log.
    OutOfRange(Cause, Error),
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

#[cfg(test)]
mod tests;
