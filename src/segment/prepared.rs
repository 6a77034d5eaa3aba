//! A segment that is on disk and not in use yet.

use super::tail::Tail;
use super::{
    ActiveSegment, Checkpoint, IndexWriter, Opened, ReserveSteps, SEGMENT_HEADER_LEN, Segment, SegmentAccess,
    SegmentHeader, SegmentParts, Shelf,
};
use crate::io::{self, Dir, File};
use crate::sync::{Bug, Publisher, planted};
use crate::{Error, Offset, Position, Result, Timestamp};
use std::sync::Arc;

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
    shelf: Arc<Shelf>,
    tail: Tail,
    opened: Arc<Opened>,
    capacity: u64,
}

/// What a new segment is made of.
#[derive(Debug)]
pub(crate) struct SegmentPlan {
    pub(crate) dir: Arc<dyn Dir>,
    pub(crate) header: SegmentHeader,
    pub(crate) name: String,
    pub(crate) write: SegmentWrite,
    pub(crate) access: SegmentAccess,
    pub(crate) shelf: Arc<Shelf>,
    /// How large the file may become by more than one batch.
    pub(crate) capacity: u64,
    /// How large it may become by one, whatever the limit of batches is by then. A map of it takes addresses, and
    /// nothing else.
    pub(crate) alone_max: u64,
}

/// Makes the name of a segment in `dir` survive a power cut.
pub(crate) fn sync_name(dir: &dyn Dir) -> Result<()> {
    if planted(Bug::SegmentNameNotSynced) {
        return Ok(());
    }
    dir.sync().map_err(|error| Error::io("sync the directory", dir.path(), error))
}

impl PreparedSegment {
    /// Creates the file, writes its header, and syncs both it and its name.
    pub(crate) fn create(plan: SegmentPlan) -> Result<Self> {
        let path = plan.dir.path().join(&plan.name);
        let file =
            plan.dir.create(&plan.name).map_err(|error| Error::io("create the segment", &path, error))?;
        let made = io::write_all(&*file, &plan.header.encode(), 0)
            .and_then(|()| file.sync())
            .map_err(|error| Error::io("write the segment header of", &path, error))
            .and_then(|()| sync_name(&*plan.dir));
        if let Err(error) = made {
            // Nothing refers to the file yet, so a half-written one need not stay. If it does, the next open
            // removes it.
            drop(plan.dir.remove(&plan.name));
            return Err(error);
        }
        Self::attach(plan, file, u64::from(SEGMENT_HEADER_LEN))
    }

    /// Takes over a file whose first `end` bytes are in place.
    pub(crate) fn attach(plan: SegmentPlan, file: Arc<dyn File>, end: u64) -> Result<Self> {
        let capacity = plan.capacity.max(end);
        let taken = file
            .allocated_bytes()
            .map_err(|error| Error::io("read the allocated size of", file.path(), error))?;
        let mapped = match plan.write {
            SegmentWrite::Pwrite => None,
            SegmentWrite::Map => match file.map(end, capacity.max(plan.alone_max)) {
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
            shelf: plan.shelf,
            tail,
            opened: Arc::new(Opened::new(file, map, end).taking(taken)),
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

    /// Bytes of disk it takes.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.opened.disk_bytes()
    }

    /// Closes the file.
    pub(crate) fn close(&mut self) {
        self.opened = Arc::new(self.opened.closed(self.opened.disk_bytes()));
        self.tail = Tail::closed();
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
            shelf: self.shelf,
            written: self.tail.published(),
            durable: durable.published(),
            taken: 0,
        };
        let readable = match self.access {
            SegmentAccess::Map => self.opened.clone(),
            SegmentAccess::Pread => Arc::new(Opened::new(self.opened.file.clone(), None, 0)),
        };
        let segment = Arc::new(Segment::open(parts, readable, index.index()));
        let steps = ReserveSteps::new();
        let capacity = self.capacity;
        let is_empty = end.position.get() <= SEGMENT_HEADER_LEN;
        let found_append_time = if is_empty { Timestamp::MIN } else { end.last_append_time };
        ActiveSegment {
            segment,
            opened: self.opened,
            tail: self.tail,
            durable,
            index,
            end,
            found_append_time,
            durable_end: end,
            synced,
            capacity,
            steps,
        }
    }
}
