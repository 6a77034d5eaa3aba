//! The end of a segment that somebody else writes: what was found of it so far, and what of that is proved.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use crate::io::Dir;
use crate::partition::manifest::{SegmentEntry, SegmentState};
use crate::partition::recovery::{SegmentFile, furthest_beyond};
use crate::record::{Flaw, Place};
use crate::segment::{
    Checkpoint, IndexWriter, Opened, Segment, Shelf, Stop, TAIL_MARK_LEN, TailMark, Track, read_range, walk,
};
use crate::sync::Publisher;
use crate::{Error, ErrorKind, Offset, Position, Result};
use std::collections::VecDeque;
use std::sync::Arc;

/// The end of a segment that is being written.
#[derive(Debug)]
pub(super) struct OpenEnd {
    file: SegmentFile,
    pub(super) segment: Arc<Segment>,
    written: Publisher,
    durable: Publisher,
    index: IndexWriter,
    pub(super) end: Checkpoint,
    /// What the manifest says is synced; zero when it says nothing.
    recovery_point: Position,
    /// Whether anything says that all before this segment is synced.
    pub(super) follows_synced: bool,
    /// Batches that are not known to be synced: where they begin, and their first offset.
    unproved: VecDeque<(Position, Offset)>,
    /// What keeps the walk from going on to a place that is known to be synced.
    pub(super) damage: Option<Error>,
    /// How often the walk has ended at the same bytes that are no batch and not nothing.
    looks: u32,
}

impl OpenEnd {
    pub(super) fn new(
        place: (&Arc<dyn Dir>, &Arc<Shelf>),
        file: &SegmentFile,
        entry: &SegmentEntry,
        end: Offset,
    ) -> Result<Self> {
        let first_offset = if entry.state == SegmentState::Open { entry.first_offset } else { end };
        // From the first batch, not from the recovery point: the index must know all of it.
        let end = Checkpoint::start(first_offset, 0, entry.last_append_time);
        let (written, durable) =
            (Publisher::new(end.position.to_u64()), Publisher::new(end.position.to_u64()));
        let index = IndexWriter::new(file.header.index_owner(first_offset));
        let parts = file.parts(place, first_offset, written.published(), durable.published());
        let opened = Arc::new(Opened::new(file.file()?.clone(), None, 0));
        let segment = Arc::new(Segment::open(parts, opened, index.index()));
        let follows_synced = entry.state == SegmentState::Open;
        let unproved = VecDeque::new();
        let recovery_point = if follows_synced { entry.end } else { Position::ZERO };
        Ok(Self {
            file: file.clone(),
            segment,
            written,
            durable,
            index,
            end,
            recovery_point,
            follows_synced,
            unproved,
            damage: None,
            looks: 0,
        })
    }

    /// Whether nothing was found in it yet.
    pub(super) fn is_blank(&self) -> bool {
        self.segment.first_entry().position == self.end.position
    }

    /// A prepared segment begins where the one before it ends, wherever that is by now.
    pub(super) fn begin_behind(&mut self, before: Checkpoint) -> Result<()> {
        if self.segment.first_offset() == before.next_offset {
            return Ok(());
        }
        let first_offset = before.next_offset;
        self.index = IndexWriter::new(self.file.header.index_owner(first_offset));
        let (written, durable) = (self.written.published(), self.durable.published());
        let parts =
            self.file.parts((self.segment.dir(), self.segment.shelf()), first_offset, written, durable);
        let opened = Arc::new(Opened::new(self.file.file()?.clone(), None, 0));
        self.segment = Arc::new(Segment::open(parts, opened, self.index.index()));
        self.end = Checkpoint { position: self.end.position, ..before };
        Ok(())
    }

    /// Walks from where it stopped; says whether there was more. `before` was walked already.
    pub(super) fn walk_on(&mut self, before: Option<&mut Self>) -> Result<bool> {
        let path = self.file.path();
        let len = self.file.file()?.len().map_err(|error| Error::io("read the size of", &path, error))?;
        let file = self.file.clone();
        let track = Track { len, ..file.track()? };
        let (index, unproved) = (&mut self.index, &mut self.unproved);
        let found = walk(track, self.end, &mut |step| {
            index.push_step(step);
            unproved.push_back((step.position, step.header.base_offset));
        })?;
        found.check_version(track)?;
        // The writer may have gone on in `before` since, and then left it for this one, whose first batch is a
        // later one then. Now that there is such a batch, nothing is appended to `before` any more.
        if self.is_blank()
            && let Stop::Flaw(Flaw::Offset { .. }) = found.stop
            && let Some(before) = before
            && before.walk_on(None)?
        {
            self.begin_behind(before.end)?;
            return self.walk_on(None);
        }
        let grew = found.end.position > self.end.position;
        self.end = found.end;
        self.written.advance(found.end.position.to_u64());
        self.prove(found.furthest.max(self.recovery_point));
        let mark = read_range(track, found.end.position.to_u64(), TAIL_MARK_LEN as usize)?;
        let place = Place { salt: track.salt, position: found.end.position };
        let mark = TailMark::decode(&mark, place);
        if let Ok(mark) = &mark {
            self.prove(mark.synced);
        }
        self.looks = if grew { 0 } else { self.looks.saturating_add(1) };
        if grew {
            // It was not damage.
            self.damage = None;
        }
        self.damage = match found.stop {
            Stop::Flaw(flaw) if mark.is_err() => self.judge(track, flaw)?,
            _ => None,
        };
        Ok(grew)
    }

    /// Whether what stopped the walk is damage, and not something that is being written: it is when something
    /// says that the log was synced beyond.
    fn judge(&mut self, track: Track<'_>, flaw: Flaw) -> Result<Option<Error>> {
        let at = self.end.position;
        let mut proved = self.recovery_point;
        // A search reads all that is left of the file, so it comes less and less often.
        if proved <= at && flaw != Flaw::Blank && self.looks.is_power_of_two() {
            proved = furthest_beyond(track, at)?;
        }
        if proved <= at {
            return Ok(self.damage.clone());
        }
        // The writer may have completed it since the walk; what is proved to be synced is complete by now.
        let again = walk(track, self.end, &mut |_| {})?;
        if again.end.position > at {
            return Ok(None);
        }
        self.prove(proved);
        let (path, offset) = (track.file.path().display(), self.end.next_offset);
        let message = format!(
            "{path}: at position {at}, where offset {offset} should be: {flaw}; the log was synced up to position {proved}"
        );
        Ok(Some(Error::new(ErrorKind::Corrupt, message)))
    }

    /// Notes that all before `synced` is synced.
    pub(super) fn prove(&mut self, synced: Position) {
        let synced = synced.min(self.end.position);
        if synced == Position::ZERO {
            return;
        }
        self.follows_synced = true;
        while self.unproved.front().is_some_and(|(at, _)| *at < synced) {
            self.unproved.pop_front();
        }
        if synced.to_u64() > self.durable.get() {
            self.durable.advance(synced.to_u64());
        }
    }

    /// End of the offsets that are synced.
    pub(super) fn proved_offset(&self) -> Offset {
        match self.unproved.front() {
            _ if !self.follows_synced => Offset::ZERO,
            Some((_, offset)) => *offset,
            None => self.end.next_offset,
        }
    }
}
