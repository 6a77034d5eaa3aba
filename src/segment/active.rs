//! The half of a segment that its one writer holds.
//!
//! ```text
//!     PreparedSegment ──activate──▶ ActiveSegment ──append──▶ ... ──seal──▶ Segment
//!     header on disk, no offset yet
//! ```

use super::tail::Tail;
use super::{
    Checkpoint, IndexWriter, Opened, ReserveSteps, SEGMENT_HEADER_LEN, Seal, Segment, TAIL_MARK_LEN, TailMark,
};
use crate::io::File;
use crate::record::{Batch, Place, Stamp, Times};
use crate::sync::{Bug, Publisher, planted};
use crate::{Error, Offset, Position, Result, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// The segment that batches are appended to.
#[derive(Debug)]
pub(crate) struct ActiveSegment {
    pub(super) segment: Arc<Segment>,
    pub(super) opened: Arc<Opened>,
    pub(super) tail: Tail,
    /// Moves the end of what is synced.
    pub(super) durable: Publisher,
    pub(super) index: IndexWriter,
    /// Where the next batch goes, a multiple of 8, and what is known of those before it.
    pub(super) end: Checkpoint,
    /// When the batches that it was opened with were appended; the earliest time there is where it had none.
    pub(super) found_append_time: Timestamp,
    /// The end of what is synced, and what is known of the batches before it.
    pub(super) durable_end: Checkpoint,
    /// The proof that the next batch carries: what is synced here once all before this segment is synced too,
    /// else 0.
    pub(super) synced: Position,
    /// Where it is full. A batch that is alone may reach beyond.
    pub(super) capacity: u64,
    pub(super) steps: ReserveSteps,
}

/// Whether a batch can be appended as things are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It fits into what is reserved.
    Ready,
    /// Space must be reserved first, up to `least` at least.
    Short { least: u64 },
    /// It belongs into the next segment.
    Full,
}

impl ActiveSegment {
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    pub(crate) fn end(&self) -> &Checkpoint {
        &self.end
    }

    /// End of what is synced here.
    pub(crate) fn durable(&self) -> Position {
        self.segment.durable()
    }

    /// Whether it holds records and was created more than `age` before `now`, by the wall clock.
    pub(crate) fn is_older_than(&self, age: Duration, now: Timestamp) -> bool {
        !self.is_empty() && self.segment.header().created_at.saturating_add(age) < now
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.end.position.get() <= SEGMENT_HEADER_LEN
    }

    /// Whether `len` bytes more find room.
    pub(crate) fn room_for(&self, len: usize, offset_count: u64) -> Room {
        let end = self.end.position.to_u64();
        let needed = end + len as u64 + u64::from(TAIL_MARK_LEN) + 8;
        let relative = self.end.next_offset.since(self.segment.first_offset()) + offset_count;
        let overflows = relative > u64::from(u32::MAX);
        if (needed > self.capacity && !self.is_empty()) || overflows {
            return Room::Full;
        }
        if needed <= self.reserved() || planted(Bug::BatchOverReserve) {
            return Room::Ready;
        }
        Room::Short { least: needed }
    }

    /// How far to reserve, at `now` (monotonic), when `least` is needed: a whole step, if the segment has it.
    pub(crate) fn reserve_to(&mut self, least: u64, now: Duration) -> u64 {
        (self.reserved() + self.steps.take(now)).min(self.capacity).max(least)
    }

    /// How far space is reserved.
    pub(crate) fn reserved(&self) -> u64 {
        self.opened.reserved()
    }

    /// The next step of the reserve, when less than half of the last one is left, and more can follow.
    pub(crate) fn reserve_due(&mut self, now: Duration) -> Option<u64> {
        let reserved = self.reserved();
        let left = reserved.saturating_sub(self.end.position.to_u64());
        if reserved >= self.capacity || left >= self.steps.last() / 2 {
            return None;
        }
        Some((reserved + self.steps.take(now)).min(self.capacity))
    }

    /// Whether more than half of the last step is used up.
    pub(crate) fn is_reserve_low(&self) -> bool {
        let left = self.reserved().saturating_sub(self.end.position.to_u64());
        left < self.steps.last() / 2 && self.reserved() < self.capacity
    }

    /// Reserves space up to `to`. A call that finds no room changes nothing.
    pub(crate) fn reserve(&self, to: u64) -> Result<()> {
        self.opened.reserve(to)
    }

    /// Takes `batch` in behind the last one. There is room: see [`ActiveSegment::room_for`]. Readers at
    /// [`crate::ReadLevel::Written`] may see it as soon as this returns.
    ///
    /// # Errors
    /// Those of the write. The end has not moved; what lies beyond it is undefined.
    pub(crate) fn append(
        &mut self,
        batch: &mut Batch,
        times: Times,
        epoch: u32,
        now: Timestamp,
    ) -> Result<()> {
        let at = self.end.position;
        let base_offset = self.end.next_offset;
        let salt = self.segment.salt();
        let synced = if planted(Bug::ProofClaimsMore) { at } else { self.synced };
        let stamp = Stamp { salt, position: at, synced, base_offset, leader_epoch: epoch, times };
        let bytes = batch.stamp(&stamp);
        let end = at
            .checked_add(bytes.len())
            .and_then(Position::checked_align)
            .expect("room_for keeps segments below 4 GiB");
        self.tail
            .append(&self.opened, bytes, at.to_u64(), end.to_u64())
            .map_err(|error| write_error(&self.opened, at, error))?;
        self.index.push(base_offset, at, batch.max_timestamp());
        self.end = Checkpoint {
            position: end,
            next_offset: batch.next_offset(),
            digest: self.end.digest.with(batch.crc32()),
            leader_epoch: epoch,
            max_timestamp: self.end.max_timestamp.max(batch.max_timestamp()),
            // A clock that is behind since the last start makes nothing older that was here before.
            last_append_time: self.found_append_time.max(now),
        };
        Ok(())
    }

    /// Notes that all before `synced` is durable, here and in earlier segments.
    pub(crate) fn advance_durable(&mut self, synced: &Checkpoint) {
        self.synced = self.synced.max(synced.position);
        if synced.position >= self.durable_end.position {
            self.durable_end = *synced;
        }
        if synced.position.to_u64() > self.durable.get() {
            self.durable.advance(synced.position.to_u64());
        }
    }

    /// The end of what is synced, and what is known of the batches before it.
    pub(crate) fn durable_end(&self) -> &Checkpoint {
        &self.durable_end
    }

    /// Stores the tail mark at the end; the next batch overwrites it. What cannot be reserved or written is
    /// left out: the mark is a proof more, not one that is needed.
    pub(crate) fn store_tail_mark(&mut self, mark: &TailMark) -> Result<()> {
        let at = self.end.position;
        if at.to_u64() + u64::from(TAIL_MARK_LEN) > self.reserved() {
            return Ok(());
        }
        let place = Place { salt: self.segment.salt(), position: at };
        self.tail
            .store(&self.opened, &mark.encode(place), at.to_u64())
            .map_err(|error| write_error(&self.opened, at, error))
    }

    /// The open file, to sync it outside of any lock.
    pub(crate) fn opened(&self) -> &Arc<Opened> {
        &self.opened
    }

    /// Gives back the space beyond the end, if the disk does not refuse; returns how much it takes then. Nothing is
    /// appended any more.
    pub(crate) fn give_back(&self) -> u64 {
        let end = self.end.position.to_u64();
        match punch_beyond(&*self.opened.file, end, u64::MAX) {
            Ok(()) => end,
            Err(_) => self.opened.disk_bytes(),
        }
    }

    /// Closes the file. Readers may have it open.
    pub(crate) fn close(&mut self) {
        let taken = self.opened.file.allocated_bytes().unwrap_or_else(|_| self.opened.disk_bytes());
        self.opened = Arc::new(self.opened.closed(taken));
        self.tail = Tail::closed();
    }

    /// What is known of the segment if it ends here.
    pub(crate) fn seal_facts(&self) -> Seal {
        Seal::from(self.end)
    }

    /// Ends the segment. What is not durable yet becomes so by [`SealedTail::advance_durable`].
    pub(crate) fn seal(self) -> SealedTail {
        self.segment.seal(self.seal_facts());
        self.segment.set_index(Some(self.index.seal()));
        let reserved = self.opened.reserved();
        SealedTail {
            segment: self.segment,
            opened: self.opened,
            durable: self.durable,
            leader_epoch: self.end.leader_epoch,
            reserved: self.capacity.max(reserved),
        }
    }
}

/// A sealed segment that may still have to be synced.
#[derive(Debug)]
pub(crate) struct SealedTail {
    segment: Arc<Segment>,
    opened: Arc<Opened>,
    durable: Publisher,
    /// Of its last batch.
    leader_epoch: u32,
    /// Nothing was reserved beyond this.
    reserved: u64,
}

impl SealedTail {
    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    pub(crate) fn opened(&self) -> &Arc<Opened> {
        &self.opened
    }

    /// Closes the file. Readers may have it open.
    pub(crate) fn close(&mut self) {
        self.opened = Arc::new(self.opened.closed(self.opened.disk_bytes()));
    }

    /// End of its offsets.
    pub(crate) fn end_offset(&self) -> Offset {
        self.segment.end_offset().unwrap_or(self.segment.first_offset())
    }

    /// The leader epoch of its last batch: the least that the next segment may begin with.
    pub(crate) fn leader_epoch(&self) -> u32 {
        self.leader_epoch
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.segment.durable() >= self.segment.written()
    }

    /// Notes that all before `synced` is durable.
    pub(crate) fn advance_durable(&mut self, synced: Position) {
        if synced.to_u64() > self.durable.get() {
            self.durable.advance(synced.to_u64());
        }
    }

    /// Gives back the space beyond the end.
    pub(crate) fn punch_reserve(&self) -> Result<()> {
        let end = self.segment.len_bytes();
        punch_beyond(&*self.opened.file, end, self.reserved)
    }
}

/// Gives back the disk space of a file beyond `end`, up to `reserved` at most; the size stays.
pub(crate) fn punch_beyond(file: &dyn File, end: u64, reserved: u64) -> Result<()> {
    let from = if planted(Bug::PunchIntoLog) { end / 4096 * 4096 } else { end.next_multiple_of(4096) };
    let to = file.len().map_err(|error| Error::io("read the size of", file.path(), error))?.min(reserved);
    if from >= to {
        return Ok(());
    }
    file.punch(from, to).map_err(|error| {
        Error::io(format_args!("give back the space from position {from} of"), file.path(), error)
    })
}

fn write_error(opened: &Opened, at: Position, error: std::io::Error) -> Error {
    Error::io(format_args!("write at position {at} of"), opened.file.path(), error)
}
