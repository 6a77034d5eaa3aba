//! What lies at the end of the log: how far it is good, how far it was synced, and what follows.
//!
//! ```text
//!     recovery point            F                        W
//!     ─────┬────────────────────┬────────────────────────┬───────────────────────
//!          │ batches, synced    │ batches, not proved    │ blank │ tail mark │ other
//!     ─────┴────────────────────┴────────────────────────┴───────────────────────
//! ```

use super::table::Rest;
use super::tear::is_tear;
use super::unproved::Unproved;
use crate::io::File;
use crate::partition::manifest::SegmentEntry;
use crate::record::{Place, looks_like_batch, one_bit_from_good, read_batch};
use crate::segment::{
    Checkpoint, IndexOwner, IndexWriter, TAIL_MARK_LEN, TailMark, Track, Walk, index, read_range, walk,
};
use crate::{Offset, Position, Result, Timestamp};

/// Bytes that are searched at once.
const WINDOW_LEN: usize = 1 << 20;
/// Bytes from one waypoint to the next, at least.
const WAYPOINT_EVERY: u32 = 1 << 20;
/// Batches begin at multiples of this.
const STRIDE: usize = 8;

/// One open segment, walked to its end and searched beyond it.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) walk: Walk,
    pub(crate) beyond: Beyond,
    pub(crate) index: IndexWriter,
    owner: IndexOwner,
    /// Places on the way from the recovery point to the end, some way apart; the first is the recovery point.
    waypoints: Vec<Checkpoint>,
    unproved: Unproved,
}

/// What follows the last good batch of a segment.
#[derive(Clone, Debug)]
pub(crate) struct Beyond {
    pub(crate) rest: Rest,
    /// The furthest position that a batch or a tail mark there names as synced; zero when none does.
    pub(crate) furthest: Position,
    /// The tail mark that lies right behind the last batch.
    pub(crate) mark: Option<TailMark>,
    /// End of the bytes that are not zero.
    pub(crate) used_to: u64,
}

impl Tail {
    /// Walks a segment from its recovery point and looks at all that follows.
    ///
    /// # Errors
    /// When a read fails.
    pub(crate) fn read(
        track: Track<'_>,
        dir: &dyn crate::io::Dir,
        owner: IndexOwner,
        from: Checkpoint,
    ) -> Result<Self> {
        let mut index = index_up_to(track, dir, owner, from.position)?;
        let mut waypoints = vec![from];
        let mut due = from.position;
        let mut unproved = Unproved::new(from);
        let walk = walk(track, from, &mut |step| {
            index.push_step(step);
            unproved.push(step);
            if step.position.since(due) >= WAYPOINT_EVERY {
                due = step.position;
                waypoints.push(*step.before);
            }
        })?;
        let beyond = Beyond::search(track, walk.end.position)?;
        Ok(Self { walk, beyond, index, owner, waypoints, unproved })
    }

    /// Whether the log goes on in this segment behind the one before it: by a batch that follows, or by a
    /// mark that says that all before it was synced, and up to the offset that was reached.
    pub(crate) fn follows(&self, entry: &SegmentEntry) -> bool {
        let has_batches = self.walk.end.position > entry.end;
        let reached = self.walk.end.next_offset;
        let is_marked = self.beyond.mark.is_some_and(|mark| mark.durable_offset == reached);
        has_batches || is_marked
    }

    /// Whether nothing but zeros or a tail mark follows, and the walk ended for that reason.
    pub(crate) fn is_clean(&self) -> bool {
        matches!(self.beyond.rest, Rest::Blank | Rest::TailMark)
    }

    /// The first offset of the segment.
    pub(crate) fn first_offset(&self) -> Offset {
        self.owner.first_offset
    }

    /// What is known of the batches before `position`, and those behind it as they were verified, unless they
    /// were too many to be kept.
    pub(crate) fn kept_behind(&self, position: Position) -> Option<(Checkpoint, &[u8])> {
        self.unproved.behind(position)
    }

    /// A place at or before `position` to walk there from, none but the recovery point when that is behind it.
    pub(crate) fn waypoint_before(&self, position: Position) -> Option<Checkpoint> {
        let after = self.waypoints.partition_point(|waypoint| waypoint.position <= position);
        self.waypoints.get(after.saturating_sub(1)).copied()
    }

    /// The furthest position that anything here names as synced.
    pub(crate) fn furthest(&self) -> Position {
        self.walk.furthest.max(self.beyond.furthest)
    }

    /// The bytes behind the last good batch that are not zero, and where they end.
    pub(crate) fn torn(&self) -> Option<(Position, u64)> {
        let from = self.walk.end.position;
        (!self.is_clean() && self.beyond.used_to > from.to_u64()).then_some((from, self.beyond.used_to))
    }
}

/// The index of what lies before the recovery point: from its files, or by walking.
fn index_up_to(
    track: Track<'_>,
    dir: &dyn crate::io::Dir,
    owner: IndexOwner,
    end: Position,
) -> Result<IndexWriter> {
    let start = Checkpoint::start(owner.first_offset, 0, Timestamp::MIN);
    if end <= start.position {
        return Ok(IndexWriter::new(owner));
    }
    if let Ok((index, covered)) = index::load(dir, owner, end)
        && covered == end
    {
        return Ok(index);
    }
    let mut index = IndexWriter::new(owner);
    let track = Track { len: end.to_u64(), ..track };
    walk(track, start, &mut |step| index.push_step(step))?;
    Ok(index)
}

impl Beyond {
    /// Looks at every multiple of 8 from `from` to the end of the track for proofs.
    fn search(track: Track<'_>, from: Position) -> Result<Self> {
        let mut beyond =
            Self { rest: Rest::Blank, furthest: Position::ZERO, mark: None, used_to: from.to_u64() };
        let mut at = from.to_u64();
        while at < track.len {
            let window = read_range(track, at, WINDOW_LEN)?;
            if window.is_empty() {
                break;
            }
            beyond.search_window(track, at, &window)?;
            at = at.saturating_add(window.len() as u64);
        }
        beyond.rest = beyond.classify(track, from)?;
        Ok(beyond)
    }

    /// Looks at the places in one window. What begins in it may end behind it and is read anew then.
    fn search_window(&mut self, track: Track<'_>, start: u64, window: &[u8]) -> Result<()> {
        for (step, word) in window.chunks(STRIDE).enumerate() {
            if word.iter().all(|byte| *byte == 0) {
                continue;
            }
            let skip = step.saturating_mul(STRIDE);
            let at = start.saturating_add(skip as u64);
            let used = word.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
            self.used_to = at.saturating_add(used as u64);
            // The first eight bytes of a header are two checksums: where both are zero, nothing begins.
            self.look_at(track, at, window.get(skip..).unwrap_or_default())?;
        }
        Ok(())
    }

    fn look_at(&mut self, track: Track<'_>, at: u64, bytes: &[u8]) -> Result<()> {
        let Ok(position) = Position::try_from(at) else { return Ok(()) };
        let len_max = u32::try_from(track.len.saturating_sub(at)).unwrap_or(u32::MAX);
        let place = Place { salt: track.salt, position };
        let head = match bytes.get(..TAIL_MARK_LEN as usize) {
            Some(head) => head.to_vec(),
            None => read_range(track, at, TAIL_MARK_LEN as usize)?,
        };
        if let Ok(mark) = TailMark::decode(&head, place) {
            self.furthest = self.furthest.max(mark.synced);
            return Ok(());
        }
        if !looks_like_batch(&head, place, len_max) {
            return Ok(());
        }
        let length =
            head.get(8..12).and_then(|field| field.first_chunk()).copied().map_or(0, u32::from_le_bytes);
        let batch = read_range(track, at, usize::try_from(length).unwrap_or(usize::MAX))?;
        if let Ok((header, _)) = read_batch(&batch, place, len_max) {
            self.furthest = self.furthest.max(header.synced);
        }
        Ok(())
    }

    /// What lies at `from` and behind it.
    fn classify(&mut self, track: Track<'_>, from: Position) -> Result<Rest> {
        if self.used_to == from.to_u64() {
            return Ok(Rest::Blank);
        }
        let mark_len = u64::from(TAIL_MARK_LEN);
        let head = read_range(track, from.to_u64(), TAIL_MARK_LEN as usize)?;
        let place = Place { salt: track.salt, position: from };
        if let Ok(mark) = TailMark::decode(&head, place) {
            self.mark = Some(mark);
            if self.used_to <= from.to_u64().saturating_add(mark_len) {
                return Ok(Rest::TailMark);
            }
        }
        let left = track.len.saturating_sub(from.to_u64());
        let bytes = read_range(
            track,
            from.to_u64(),
            usize::try_from(left).unwrap_or(usize::MAX).min(ONE_BIT_LEN_MAX),
        )?;
        let len_max = u32::try_from(left).unwrap_or(u32::MAX);
        Ok(match one_bit_from_good(&bytes, place, len_max) {
            Some(bit) if !is_tear(&bytes, place, bit) => Rest::OneBitFromGood,
            _ => Rest::Other,
        })
    }
}

/// The furthest position that anything behind `from` names as synced; zero when nothing does.
///
/// # Errors
/// When a read fails.
pub(crate) fn furthest_beyond(track: Track<'_>, from: Position) -> Result<Position> {
    Ok(Beyond::search(track, from)?.furthest)
}

/// Bytes of a damaged batch that are looked at to tell one wrong bit from a tear.
const ONE_BIT_LEN_MAX: usize = 64 << 20;

/// Whether the file has a byte other than zero at or behind `from`.
///
/// # Errors
/// When a read fails.
pub(crate) fn has_bytes_behind(file: &dyn File, from: u64) -> Result<bool> {
    let len = file.len().map_err(|error| crate::Error::io("read the size of", file.path(), error))?;
    let track = Track { file, salt: 0, layout: crate::segment::Layout::Dense, len };
    let mut at = from;
    while at < len {
        let window = read_range(track, at, WINDOW_LEN)?;
        if window.is_empty() || window.iter().any(|byte| *byte != 0) {
            return Ok(!window.is_empty());
        }
        at = at.saturating_add(window.len() as u64);
    }
    Ok(false)
}
