//! Reading from any offset to the end: verified copies, a run of batches at a time.
//!
//! ```text
//!     next offset ──locate──▶ segment, position ──copy──▶ buffer ──verify──▶ Records
//!          ▲                                                                   │
//!          └──────────────────────────── advance ◀─────────────────────────────┘
//! ```

use super::ReadLevel;
use super::lookup;
use super::shared::Shared;
use super::view::{View, check_range};
use crate::record::{
    Damage, Flaw, HEADER_LEN, Place, Records, Verified, verify_chunk, verify_compacted_chunk,
};
use crate::segment::{Hold, IndexEntry, Layout, Segment};
use crate::sync::{Bug, planted};
use crate::{Error, ErrorKind, Offset, Position, Result};
use std::fmt;
use std::sync::Arc;

/// Bytes that are copied and verified at once, unless a batch is larger.
const CHUNK_LEN: usize = 128 << 10;
/// How often a reader beside a writer looks anew when the writer deletes what it was about to open.
const ATTEMPTS_MAX: usize = 16;
/// The first bytes of a chunk that is read to look for something.
pub(super) const PROBE_LEN: usize = 8 << 10;

/// Goes through a partition's records in order, to the end it may see.
///
/// It begins at any offset.
///
/// An iterator of [`Records`], some batches at a time. It ends at the end of the log as that is then; asked
/// again later, it goes on with what has come meanwhile. See [`crate::Partition::read`].
///
/// # Errors
/// As items:
/// - `OutOfRange`: the offset lies below the log start or beyond the end.
/// - `Corrupt`: what lies there is damaged; the message names file, position and offset. Or the records were lost
///   to damage before: see [`Error::lost_range`].
/// - `Unsupported`: a batch is compressed in a way that is not compiled in.
/// - `Io`: a read failed.
///
/// Behind a lost range the reader goes on. After any other error it has not moved, and the iteration ends, so
/// that who skips errors does not meet the same one for ever; asked again, it tries again.
#[derive(Debug)]
pub struct Reader {
    source: Arc<dyn Source>,
    level: ReadLevel,
    cursor: Cursor,
    /// Whether the last item was an error that the next one would be again.
    is_stuck: bool,
}

/// A log that can be read: one that this handle writes, or one that it follows.
pub(super) trait Source: fmt::Debug + Send + Sync {
    /// The segments of this moment.
    fn view(&self) -> Arc<View>;
    /// The end of what a reader at `level` may see. What lies before it is in a view that is taken later.
    fn end_at(&self, level: ReadLevel) -> Offset;
    /// Looks whether the end has moved, where that is not known by itself.
    fn look_again(&self, level: ReadLevel) -> Result<bool>;
    /// Looks at all of it anew, when a segment was gone before it was opened; says whether that is of use.
    fn look_anew(&self) -> Result<bool>;
}

impl Source for Shared {
    fn view(&self) -> Arc<View> {
        Shared::view(self)
    }

    fn end_at(&self, level: ReadLevel) -> Offset {
        Shared::end_at(self, level)
    }

    fn look_again(&self, _: ReadLevel) -> Result<bool> {
        Ok(false)
    }

    fn look_anew(&self) -> Result<bool> {
        Ok(false)
    }
}

/// Where a reader is.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) next: Offset,
    /// The segment it is in, and where in it; looked up anew when there is none.
    pub(super) held: Option<Held>,
    pub(super) rewinds: u64,
}

/// A place in a segment.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) segment: Arc<Segment>,
    pub(super) position: Position,
    /// The base offset of the batch at the position.
    pub(super) base_offset: Offset,
    /// Keeps the file open, also when the segment is deleted meanwhile.
    _hold: Hold,
}

impl Reader {
    pub(super) fn new(source: Arc<dyn Source>, level: ReadLevel, from: Offset) -> Self {
        let rewinds = source.view().rewinds;
        Self { source, level, cursor: Cursor { next: from, held: None, rewinds }, is_stuck: false }
    }

    /// Sees what this level allows. Default: the partition's [`read_level`].
    ///
    /// [`read_level`]: crate::PartitionOptions::read_level
    #[must_use]
    pub fn level(mut self, level: ReadLevel) -> Self {
        self.level = level;
        self
    }

    /// The offset of the next record it will return.
    ///
    /// Or a smaller one where offsets have gaps.
    #[must_use]
    pub fn position(&self) -> Offset {
        self.cursor.next
    }

    /// Goes on from `offset`, which may lie anywhere in the log.
    pub fn seek(&mut self, offset: Offset) {
        self.cursor.next = offset;
        self.cursor.held = None;
        self.is_stuck = false;
    }

    /// The same as `next`, for who takes the errors one by one: after one that is no lost range it has not moved,
    /// and asked again it tries again at once.
    pub(crate) fn read_on(&mut self) -> Result<Option<Records>> {
        self.read_next()
    }

    /// The records that come next, at most some 128 KiB of batches, but at least one batch.
    fn read_next(&mut self) -> Result<Option<Records>> {
        for _ in 1..ATTEMPTS_MAX {
            match self.read_seen() {
                Ok(None) if self.source.look_again(self.level)? => return self.read_seen(),
                Err(error) if error.kind() == ErrorKind::NotFound && self.source.look_anew()? => {}
                found => return found,
            }
        }
        self.read_seen()
    }

    /// The same, of what is known to be there.
    fn read_seen(&mut self) -> Result<Option<Records>> {
        let end = self.source.end_at(self.level);
        let view = self.source.view();
        loop {
            self.cursor.follow(&view);
            if self.cursor.next == end {
                return Ok(None);
            }
            if self.cursor.held.is_none() {
                check_range(self.cursor.next, view.log_start, end)?;
                if let Some(lost) = view.lost_at(self.cursor.next) {
                    let from = self.cursor.next;
                    self.cursor.next = lost.to;
                    return Err(Error::lost(from..lost.to));
                }
                self.cursor.held = Some(lookup::locate(&view, self.cursor.next)?);
            }
            match self.cursor.read_held(self.level, end)? {
                Progress::Records(records) => return Ok(Some(records)),
                Progress::Empty => {}
                Progress::SegmentEnd { end_offset } => {
                    self.cursor.next = self.cursor.next.max(end_offset);
                    self.cursor.held = None;
                }
                Progress::LogEnd => return Ok(None),
            }
        }
    }
}

/// What one step came to.
enum Progress {
    Records(Records),
    /// Batches without a record to show.
    Empty,
    /// The segment goes up to this offset (exclusive), and there may be more in the next.
    SegmentEnd {
        end_offset: Offset,
    },
    /// There is no more to see yet.
    LogEnd,
}

impl Cursor {
    /// Lets go of a place that is no longer one.
    fn follow(&mut self, view: &View) {
        let rewound = self.rewinds != view.rewinds;
        self.rewinds = view.rewinds;
        if rewound || self.held.as_ref().is_some_and(|held| held.segment.is_evicted()) {
            self.held = None;
        }
    }

    /// Reads on in the segment that is held.
    fn read_held(&mut self, level: ReadLevel, until: Offset) -> Result<Progress> {
        let Some(held) = &mut self.held else { return Ok(Progress::LogEnd) };
        let limit = match level {
            ReadLevel::Written => held.segment.written(),
            ReadLevel::Durable if planted(Bug::DurableSeesWritten) => held.segment.written(),
            ReadLevel::Durable => held.segment.durable(),
        };
        if held.position >= limit || held.base_offset >= until {
            let is_read = limit == held.segment.written() && held.position >= limit;
            return Ok(match held.segment.end_offset().filter(|_| is_read) {
                Some(end_offset) => Progress::SegmentEnd { end_offset },
                None => Progress::LogEnd,
            });
        }
        let from = if planted(Bug::ReadWholeBatch) { held.base_offset } else { self.next };
        let found = read_chunk(held, from, until, limit, CHUNK_LEN)?;
        held.advance(&found)?;
        self.next = self.next.max(found.next_offset);
        if found.records.is_empty() { Ok(Progress::Empty) } else { Ok(Progress::Records(found.records)) }
    }
}

impl Held {
    pub(super) fn new(segment: &Arc<Segment>, entry: IndexEntry) -> Self {
        let (position, base_offset) = (entry.position, entry.offset);
        Self { segment: segment.clone(), position, base_offset, _hold: segment.hold() }
    }

    /// Moves behind what was found.
    pub(super) fn advance(&mut self, found: &Verified) -> Result<()> {
        let next = self.position.checked_add(found.consumed);
        self.position = next.ok_or_else(|| {
            let path = self.segment.path();
            Error::new(ErrorKind::Corrupt, format!("{}: batches beyond 4 GiB", path.display()))
        })?;
        self.base_offset = found.next_offset;
        Ok(())
    }
}

/// Copies and verifies whole batches from where `held` is: at least one, about `len` bytes of them, none at
/// or beyond the offset `until` or the position `limit`. Shows the records from offset `from` on.
pub(super) fn read_chunk(
    held: &Held,
    from: Offset,
    until: Offset,
    limit: Position,
    len: usize,
) -> Result<Verified> {
    let left = usize::try_from(limit.since(held.position)).unwrap_or(usize::MAX);
    let damaged = |damage: Damage| damage.to_error(held.segment.path().display());
    match read_once(held, from, until, len.min(left))? {
        Err(Damage { flaw: Flaw::Incomplete { needed }, .. }) if needed <= left && len < left => {
            read_once(held, from, until, needed.max(len.min(left)))?.map_err(damaged)
        }
        other => other.map_err(damaged),
    }
}

fn read_once(held: &Held, from: Offset, until: Offset, len: usize) -> Result<Result<Verified, Damage>> {
    let mut buf = vec![0; len];
    held.segment.read(&mut buf, held.position)?;
    let place = Place { salt: held.segment.salt(), position: held.position };
    let verify = match held.segment.layout() {
        Layout::Dense => verify_chunk,
        Layout::Compacted => verify_compacted_chunk,
    };
    Ok(verify(buf, place, held.base_offset, from..until, u32::MAX))
}

impl Iterator for Reader {
    type Item = Result<Records>;

    fn next(&mut self) -> Option<Self::Item> {
        if std::mem::take(&mut self.is_stuck) {
            return None;
        }
        let read = self.read_next();
        self.is_stuck = read.as_ref().is_err_and(|error| error.lost_range().is_none());
        read.transpose()
    }
}

const _: () = assert!(PROBE_LEN > HEADER_LEN);
