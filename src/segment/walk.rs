//! Walking the batches of a segment file one by one, by system calls alone.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use super::{Checkpoint, IndexWriter, Layout};
use crate::io::{self, File};
use crate::record::{BATCH_ALIGN, BatchHeader, Flaw, HEADER_LEN, Place, read_batch};
use crate::sync::{Bug, planted};
use crate::{Error, ErrorKind, Position, Result};

/// Bytes that are read at once.
const WINDOW_LEN: usize = 256 << 10;

/// What a walk came to.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    /// The end of the last good batch, and what the batches before it add up to.
    pub(crate) end: Checkpoint,
    /// The furthest position that a batch names as synced; zero when none does.
    pub(crate) furthest: Position,
    /// Why the walk went no further.
    pub(crate) stop: Stop,
}

impl Walk {
    /// Refuses to take a good batch of a newer version for the end of the log, or for damage.
    ///
    /// # Errors
    /// `Unsupported` when the walk ended at one.
    pub(crate) fn check_version(&self, track: Track<'_>) -> Result<()> {
        match self.stop {
            Stop::Flaw(flaw) if flaw.kind() == ErrorKind::Unsupported => {
                let (path, end) = (track.file.path().display(), &self.end);
                let message = format!(
                    "{path}: at position {}, where offset {} should be: {flaw}",
                    end.position, end.next_offset
                );
                Err(Error::new(ErrorKind::Unsupported, message))
            }
            _ => Ok(()),
        }
    }
}

/// Why a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// At the end of what was to be walked.
    End,
    /// At bytes that are not the next good batch.
    Flaw(Flaw),
}

/// What is walked: a file, or the first part of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Track<'a> {
    pub(crate) file: &'a dyn File,
    pub(crate) salt: u64,
    pub(crate) layout: Layout,
    /// End (exclusive) of what may be read.
    pub(crate) len: u64,
}

/// A good batch on the way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'a> {
    pub(crate) header: &'a BatchHeader,
    pub(crate) position: Position,
    /// What is known of the batches before it.
    pub(crate) before: &'a Checkpoint,
    /// From its header to its last record, as it lies.
    pub(crate) bytes: &'a [u8],
    /// Where the next one begins.
    next: Position,
}

impl Step<'_> {
    /// What is known of the batches up to and with this one.
    pub(crate) fn after(&self) -> Checkpoint {
        self.before.behind(self.header, self.next)
    }
}

/// Walks from `from` to the first place that is not a good batch, and shows each good one to `each`.
///
/// *Good*: check word, bounds, checksum and fields hold, the offset is the next one (in a compacted segment
/// any later one), and the leader epoch does not fall.
///
/// # Errors
/// When a read fails.
pub(crate) fn walk(track: Track<'_>, from: Checkpoint, each: &mut dyn FnMut(Step<'_>)) -> Result<Walk> {
    let mut window = Window::new(track);
    let mut walk = Walk { end: from, furthest: Position::ZERO, stop: Stop::End };
    loop {
        let at = walk.end.position;
        if at.to_u64() >= track.len {
            walk.stop = Stop::End;
            return Ok(walk);
        }
        let (header, bytes, next) = match window.batch(at)? {
            Ok(found) => found,
            Err(flaw) => {
                walk.stop = Stop::Flaw(flaw);
                return Ok(walk);
            }
        };
        if let Err(flaw) = follows(&walk.end, &header, track.layout) {
            walk.stop = Stop::Flaw(flaw);
            return Ok(walk);
        }
        each(Step { header: &header, position: at, before: &walk.end, bytes, next });
        walk.furthest = walk.furthest.max(header.synced);
        walk.end = walk.end.behind(&header, next);
    }
}

impl Checkpoint {
    /// The place behind one more batch, at `position`.
    pub(crate) fn behind(&self, batch: &BatchHeader, position: Position) -> Self {
        Self {
            position,
            next_offset: batch.next_offset(),
            digest: self.digest.with(batch.crc32),
            leader_epoch: batch.leader_epoch,
            max_timestamp: self.max_timestamp.max(batch.max_timestamp),
            last_append_time: self.last_append_time,
        }
    }
}

impl IndexWriter {
    /// Notes the batch of a step.
    pub(crate) fn push_step(&mut self, step: Step<'_>) {
        self.push(step.header.base_offset, step.position, step.header.max_timestamp);
    }
}

/// Whether a good batch belongs at `end`.
fn follows(end: &Checkpoint, batch: &BatchHeader, layout: Layout) -> Result<(), Flaw> {
    let (expected, found) = (end.next_offset, batch.base_offset);
    let in_order = match layout {
        Layout::Dense => found == expected,
        Layout::Compacted => found >= expected,
    };
    if !in_order && !planted(Bug::OffsetNotChecked) {
        return Err(Flaw::Offset { expected, found });
    }
    if batch.leader_epoch < end.leader_epoch {
        return Err(Flaw::Epoch { previous: end.leader_epoch, found: batch.leader_epoch });
    }
    Ok(())
}

/// A part of the file in memory.
struct Window<'a> {
    track: Track<'a>,
    buf: Vec<u8>,
    /// Where `buf` begins in the file.
    start: u64,
}

/// One batch: its header, its bytes, and where the next one begins.
type Seen<'a> = (BatchHeader, &'a [u8], Position);

impl<'a> Window<'a> {
    fn new(track: Track<'a>) -> Self {
        Self { track, buf: Vec::new(), start: 0 }
    }

    /// The batch at `at`.
    fn batch(&mut self, at: Position) -> Result<Result<Seen<'_>, Flaw>> {
        if self.from(at).len() < HEADER_LEN {
            self.fill(at, WINDOW_LEN)?;
        }
        let left = self.track.len.saturating_sub(at.to_u64());
        let len_max = u32::try_from(left).unwrap_or(u32::MAX);
        let place = Place { salt: self.track.salt, position: at };
        // Large windows make it rare that a batch is cut off by the end of one.
        let mut header = read_batch(self.from(at), place, len_max).map(|(header, _)| header);
        if let Err(Flaw::Incomplete { needed }) = header {
            self.fill(at, needed.max(WINDOW_LEN))?;
            header = read_batch(self.from(at), place, len_max).map(|(header, _)| header);
        }
        Ok(header.and_then(|header| {
            let beyond = Flaw::NotABatch { length: header.length, expected: 0, found: header.check };
            let len = usize::try_from(header.length).map_err(|_| beyond)?;
            let next = at.checked_add(len).and_then(Position::checked_align).ok_or(beyond)?;
            Ok((header, self.from(at).get(..len).ok_or(beyond)?, next))
        }))
    }

    /// What of the window lies at and behind `at`.
    fn from(&self, at: Position) -> &[u8] {
        let skip = at.to_u64().checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.buf.get(skip..)).unwrap_or_default()
    }

    /// Moves the window to `at`.
    fn fill(&mut self, at: Position, len: usize) -> Result<()> {
        self.start = at.to_u64();
        read_range_into(&mut self.buf, self.track, at.to_u64(), len)
    }
}

/// At most `len` bytes of the track from `at` on; fewer at its end.
///
/// # Errors
/// When a read fails.
pub(crate) fn read_range(track: Track<'_>, at: u64, len: usize) -> Result<Vec<u8>> {
    let mut buf = Vec::new();
    read_range_into(&mut buf, track, at, len)?;
    Ok(buf)
}

/// The same in place of what is in `buf`.
fn read_range_into(buf: &mut Vec<u8>, track: Track<'_>, at: u64, len: usize) -> Result<()> {
    let left = usize::try_from(track.len.saturating_sub(at)).unwrap_or(usize::MAX);
    buf.resize(len.min(left), 0);
    let count = io::read_full(track.file, buf, at).map_err(|error| {
        Error::io(format_args!("read {} bytes at position {at} of", len.min(left)), track.file.path(), error)
    })?;
    buf.truncate(count);
    Ok(())
}

const _: () = assert!(BATCH_ALIGN == 8, "positions are aligned to 8");
