//! The half of a segment that its one writer holds.
//!
//! ```text
//!     PreparedSegment ──activate──▶ ActiveSegment ──append──▶ ... ──seal──▶ Segment
//!     header on disk, no offset yet
//! ```

use super::{
    Digest, IndexWriter, Opened, ReserveSteps, SEGMENT_HEADER_LEN, Seal, Segment, SegmentAccess,
    SegmentHeader, SegmentParts, TAIL_MARK_LEN, TailMark,
};
use crate::io::{self, Dir, File, MapWriter};
use crate::record::{Batch, Place, Stamp, Times};
use crate::sync::Publisher;
use crate::{Error, Offset, Position, Result, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Batches of this length and more are written by a system call even where there is a map: large stores into
/// fresh pages make large folios, and then syncing a few bytes writes a megabyte.
const STORE_LEN_MAX: usize = 64 << 10;

/// How a writer gets bytes into a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentWrite {
    /// Through a map, where the file offers one.
    Map,
    /// By system calls.
    Pwrite,
}

/// A segment that is on disk and waits to be appended to.
#[derive(Debug)]
pub(crate) struct PreparedSegment {
    dir: Arc<dyn Dir>,
    header: SegmentHeader,
    name: String,
    access: SegmentAccess,
    tail: Tail,
    opened: Arc<Opened>,
    capacity: u64,
}

/// The segment that batches are appended to.
#[derive(Debug)]
pub(crate) struct ActiveSegment {
    segment: Arc<Segment>,
    opened: Arc<Opened>,
    tail: Tail,
    /// Moves the end of what is synced.
    durable: Publisher,
    index: IndexWriter,
    /// Where the next batch goes, a multiple of 8, and what is known of those before it.
    end: Checkpoint,
    /// The proof that the next batch carries: what is synced here once all before this segment is synced too,
    /// else 0.
    synced: Position,
    capacity: u64,
    steps: ReserveSteps,
}

/// A place between two batches, and what the batches before it add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) position: Position,
    pub(crate) next_offset: Offset,
    pub(crate) digest: Digest,
    pub(crate) leader_epoch: u32,
    pub(crate) max_timestamp: Timestamp,
    pub(crate) last_append_time: Timestamp,
}

impl Checkpoint {
    /// Before the first batch of a segment.
    pub(crate) fn start(first_offset: Offset, leader_epoch: u32, last_append_time: Timestamp) -> Self {
        Self {
            position: Position::new(SEGMENT_HEADER_LEN),
            next_offset: first_offset,
            digest: Digest::default(),
            leader_epoch,
            max_timestamp: Timestamp::MIN,
            last_append_time,
        }
    }
}

/// Where bytes go.
#[derive(Debug)]
enum Tail {
    Mapped(Box<dyn MapWriter>),
    Plain(Publisher),
}

/// Whether a batch can be appended as things are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It fits into what is reserved.
    Ready,
    /// Space must be reserved first: up to `to`, or where that is too much, up to `least`.
    Reserve { to: u64, least: u64 },
    /// It belongs into the next segment.
    Full,
}

/// What a new segment is made of.
#[derive(Debug)]
pub(crate) struct SegmentPlan {
    pub(crate) dir: Arc<dyn Dir>,
    pub(crate) header: SegmentHeader,
    pub(crate) name: String,
    pub(crate) write: SegmentWrite,
    pub(crate) access: SegmentAccess,
    /// The largest the file may become.
    pub(crate) capacity: u64,
}

impl PreparedSegment {
    /// Creates the file, writes its header, and syncs both it and its name.
    pub(crate) fn create(plan: SegmentPlan) -> Result<Self> {
        let path = plan.dir.path().join(&plan.name);
        let file =
            plan.dir.create(&plan.name).map_err(|error| Error::io("create the segment", &path, error))?;
        let written = io::write_all(&*file, &plan.header.encode(), 0)
            .and_then(|()| file.sync())
            .map_err(|error| Error::io("write the segment header of", &path, error));
        if let Err(error) = written {
            // Nothing refers to the file yet, so a half-written one need not stay. If it does, the next open
            // removes it.
            drop(plan.dir.remove(&plan.name));
            return Err(error);
        }
        plan.dir.sync().map_err(|error| Error::io("sync the directory", plan.dir.path(), error))?;
        Self::attach(plan, file, u64::from(SEGMENT_HEADER_LEN))
    }

    /// Takes over a file whose first `end` bytes are in place.
    pub(crate) fn attach(plan: SegmentPlan, file: Arc<dyn File>, end: u64) -> Result<Self> {
        let capacity = plan.capacity.max(end);
        let len = file.len().map_err(|error| Error::io("read the size of", file.path(), error))?;
        let mapped = match plan.write {
            SegmentWrite::Pwrite => None,
            SegmentWrite::Map => match file.map(end, capacity) {
                Ok(halves) => Some(halves),
                Err(error) if error.kind() == std::io::ErrorKind::Unsupported => None,
                Err(error) => return Err(Error::io("map", file.path(), error)),
            },
        };
        let (tail, map) = match mapped {
            Some((writer, reader)) => (Tail::Mapped(writer), Some(reader)),
            None => (Tail::Plain(Publisher::new(end)), None),
        };
        Ok(Self {
            dir: plan.dir,
            header: plan.header,
            name: plan.name,
            access: plan.access,
            tail,
            opened: Arc::new(Opened::new(file, map, len)),
            capacity,
        })
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.header.sequence
    }

    pub(crate) fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// The name it was created under.
    pub(crate) fn name_on_disk(&self) -> &str {
        &self.name
    }

    /// How far space is reserved.
    pub(crate) fn reserved(&self) -> u64 {
        self.opened.reserved()
    }

    /// Reserves the first step, so that the first appends find it ready.
    pub(crate) fn reserve_ahead(&self, bytes: u64) -> Result<()> {
        let to = (u64::from(SEGMENT_HEADER_LEN) + bytes).min(self.capacity);
        self.opened.reserve(to)
    }

    /// Begins the segment behind another one, which may not be synced yet.
    pub(crate) fn begin(
        self,
        first_offset: Offset,
        epoch: u32,
        last_append_time: Timestamp,
    ) -> ActiveSegment {
        let start = Checkpoint::start(first_offset, epoch, last_append_time);
        let index = IndexWriter::new(self.header.index_owner(first_offset));
        self.activate(first_offset, start, index, Position::ZERO)
    }

    /// The first batch will go behind `end`. `synced` is the proof it will carry.
    pub(crate) fn activate(
        self,
        first_offset: Offset,
        end: Checkpoint,
        index: IndexWriter,
        synced: Position,
    ) -> ActiveSegment {
        let durable = Publisher::new(synced.to_u64().max(u64::from(SEGMENT_HEADER_LEN)));
        let parts = SegmentParts {
            dir: self.dir,
            header: self.header,
            first_offset,
            name: self.name,
            access: self.access,
            written: self.tail.published(),
            durable: durable.published(),
        };
        let readable = match self.access {
            SegmentAccess::Map => self.opened.clone(),
            SegmentAccess::Pread => Arc::new(Opened::new(self.opened.file.clone(), None, 0)),
        };
        let segment = Arc::new(Segment::open(parts, readable, index.index()));
        let steps = ReserveSteps::new();
        let capacity = self.capacity;
        ActiveSegment {
            segment,
            opened: self.opened,
            tail: self.tail,
            durable,
            index,
            end,
            synced,
            capacity,
            steps,
        }
    }
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

    /// Whether `len` bytes more find room, at `now` (monotonic).
    pub(crate) fn room_for(&mut self, len: usize, offset_count: u64, now: Duration) -> Room {
        let end = self.end.position.to_u64();
        let needed = end + len as u64 + u64::from(TAIL_MARK_LEN) + 8;
        let relative = self.end.next_offset.since(self.segment.first_offset()) + offset_count;
        let overflows = relative > u64::from(u32::MAX);
        if (needed > self.capacity && !self.is_empty()) || overflows {
            return Room::Full;
        }
        let reserved = self.reserved();
        if needed <= reserved {
            return Room::Ready;
        }
        let to = (reserved + self.steps.take(now)).min(self.capacity).max(needed);
        Room::Reserve { to, least: needed }
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
        let stamp =
            Stamp { salt, position: at, synced: self.synced, base_offset, leader_epoch: epoch, times };
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
            last_append_time: now,
        };
        Ok(())
    }

    /// Notes that all before `synced` is durable, here and in earlier segments.
    pub(crate) fn advance_durable(&mut self, synced: Position) {
        if synced > self.synced {
            self.synced = synced;
        }
        if synced.to_u64() > self.durable.get() {
            self.durable.advance(synced.to_u64());
        }
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

    /// What is known of the segment if it ends here.
    pub(crate) fn seal_facts(&self) -> Seal {
        Seal::from(self.end)
    }

    /// Ends the segment. What is not durable yet becomes so by [`SealedTail::advance_durable`].
    pub(crate) fn seal(self) -> SealedTail {
        self.segment.seal(self.seal_facts());
        self.segment.set_index(Some(self.index.seal()));
        SealedTail {
            segment: self.segment,
            opened: self.opened,
            durable: self.durable,
            reserved: self.capacity,
        }
    }
}

/// A sealed segment that may still have to be synced.
#[derive(Debug)]
pub(crate) struct SealedTail {
    segment: Arc<Segment>,
    opened: Arc<Opened>,
    durable: Publisher,
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

    /// End of its offsets.
    pub(crate) fn end_offset(&self) -> Offset {
        self.segment.end_offset().unwrap_or(self.segment.first_offset())
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
    let from = end.next_multiple_of(4096);
    let to = file.len().map_err(|error| Error::io("read the size of", file.path(), error))?.min(reserved);
    if from >= to {
        return Ok(());
    }
    file.punch(from, to).map_err(|error| {
        Error::io(format_args!("give back the space from position {from} of"), file.path(), error)
    })
}

impl Tail {
    fn published(&self) -> crate::sync::Published {
        match self {
            Self::Mapped(map) => map.published(),
            Self::Plain(published) => published.published(),
        }
    }

    /// Writes `bytes` at `at` and moves the published end to `end`.
    fn append(&mut self, opened: &Opened, bytes: &[u8], at: u64, end: u64) -> std::io::Result<()> {
        match self {
            Self::Mapped(map) if bytes.len() < STORE_LEN_MAX => {
                if at + bytes.len() as u64 == end {
                    map.append(bytes, at);
                } else {
                    map.store(bytes, at);
                    map.publish(end);
                }
            }
            Self::Mapped(map) => {
                io::write_all(&*opened.file, bytes, at)?;
                map.publish(end);
            }
            Self::Plain(published) => {
                io::write_all(&*opened.file, bytes, at)?;
                published.advance(end);
            }
        }
        Ok(())
    }

    fn store(&mut self, opened: &Opened, bytes: &[u8], at: u64) -> std::io::Result<()> {
        match self {
            Self::Mapped(map) => {
                map.store(bytes, at);
                Ok(())
            }
            Self::Plain(_) => io::write_all(&*opened.file, bytes, at),
        }
    }
}

fn write_error(opened: &Opened, at: Position, error: std::io::Error) -> Error {
    Error::io(format_args!("write at position {at} of"), opened.file.path(), error)
}
