//! Taking records back from the end.
//!
//! No stored byte changes. The manifest gives the segment that the cut goes through an end, lists a new, empty
//! segment behind it, and forgets the rest; that one commit is the truncation. What lies beyond the end in the
//! old file never comes back: nothing is appended there again, and the new segment has a salt of its own.

use super::manifest::{Manifest, SegmentEntry, SegmentState};
use super::shared::{Admin, Shared};
use super::view::check_range;
use super::writer::{ATTEMPTS_MAX, Writer};
use crate::segment::{
    ActiveSegment, Checkpoint, FileName, PreparedSegment, SEGMENT_HEADER_LEN, Seal, Segment, Track, walk,
};
use crate::sync::{Bug, planted};
use crate::{Error, ErrorKind, Offset, Partition, Result};
use std::sync::Arc;

impl Partition {
    /// Takes back all batches that reach beyond `to`, for good.
    ///
    /// Returns the new log end, which is smaller than `to` when that lies inside a batch. Blocks, and holds appends up.
    ///
    /// ```
    /// use annals::{Offset, Partition, Record};
    ///
    /// let log = Partition::options().open_in_memory()?;
    /// log.append([Record::new("a")]).wait()?;
    /// log.append([Record::new("b"), Record::new("c")]).wait()?;
    ///
    /// // Offset 2 lies inside of the second batch, which goes as a whole.
    /// assert_eq!(log.truncate(Offset::from(2))?.get(), 1);
    /// assert_eq!(log.append([Record::new("d")]).wait()?.base_offset().get(), 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// `OutOfRange` when `to` lies beyond the log end or below the log start. `NoSpace` when there is no room
    /// for a new segment, and none can be made as an append makes it; nothing was taken back. `Poisoned`, `Closed`,
    /// `Io`; `ReadOnly` of an internal topic.
    pub fn truncate(&self, to: Offset) -> Result<Offset> {
        self.writable()?.truncate(to)
    }
}

/// What a truncation leaves.
struct Cut {
    /// How many segments stay as they are.
    whole: usize,
    /// The segment that the cut goes through, and where it ends then; none when the cut is between two.
    through: Option<(Arc<Segment>, Checkpoint)>,
    /// The new log end.
    end: Checkpoint,
}

impl Shared {
    /// Takes back the batches that reach beyond `to`; returns the new log end.
    pub(super) fn truncate(&self, to: Offset) -> Result<Offset> {
        let result = self.take_back(to);
        // Who waited at the old end is to hear now that it is no more, and not when the log has passed it again.
        self.end.wake_all();
        result
    }

    fn take_back(&self, to: Offset) -> Result<Offset> {
        for _ in 0..ATTEMPTS_MAX {
            if let Some(end) = self.take_back_if_fits(to)? {
                return Ok(end);
            }
            self.make_room(u64::from(SEGMENT_HEADER_LEN))?;
        }
        Err(self.overtaken())
    }

    /// The same; none when the new segment is over the cap. Others may have to give space back, and no lock is held
    /// meanwhile.
    fn take_back_if_fits(&self, to: Offset) -> Result<Option<Offset>> {
        check_range(to, self.view().log_start, self.log_end())?;
        let mut admin = self.administer()?;
        // What is reserved is given back, and nothing more may be in that file by then.
        let _growing = self.growing.lock();
        let mut writer = loop {
            let writer = self.settled_writer(&mut admin)?;
            let end = writer.active.end().next_offset;
            // Another truncation or a deletion may have come first.
            check_range(to, self.view().log_start, end)?;
            if to == end {
                return Ok(Some(end));
            }
            // What appends have brought since it was settled may still be cut off, but not be kept: the new end
            // counts as durable.
            if to <= writer.active.durable_end().next_offset {
                break writer;
            }
        };
        if !self.fits_cap(&writer, u64::from(SEGMENT_HEADER_LEN)) {
            return Ok(None);
        }
        writer.changed = true;
        let cut = self.cut(&writer, to)?;
        // From here on no append may come in between, so the append lock stays taken.
        let known_before = admin.doubtful_from;
        admin.doubtful_from = known_before.min(cut.end.next_offset);
        let result = self.carry_out(&mut admin, &mut writer, cut);
        match &result {
            Err(error) if error.kind() != ErrorKind::NoSpace || !admin.file.is_usable() => {
                self.poison_locked(&mut writer, error);
            }
            // It took place, or nothing did.
            _ => admin.doubtful_from = known_before,
        }
        result.map(Some)
    }

    /// Where the batch begins that `to` lies in.
    fn cut(&self, writer: &Writer, to: Offset) -> Result<Cut> {
        let view = self.view();
        let after = view.segments.partition_point(|segment| segment.first_offset() <= to);
        let at = after.saturating_sub(1);
        let Some(segment) = view.segments.get(at) else {
            return Err(Error::new(ErrorKind::OutOfRange, format!("offset {to}: the log has no segment")));
        };
        let last_append_time = writer.active.end().last_append_time;
        let end = walk_to(segment, Checkpoint::start(segment.first_offset(), 0, last_append_time), to)?;
        if end.next_offset < view.log_start {
            // The cut goes through a batch whose first records were deleted: nothing at all is left.
            let end = Checkpoint::start(view.log_start, end.leader_epoch, end.last_append_time);
            return Ok(Cut { whole: 0, through: None, end });
        }
        if end.next_offset > segment.first_offset() {
            return Ok(Cut { whole: at, through: Some((segment.clone(), end)), end });
        }
        // The cut is between two segments: the one before says which epoch the log is in.
        let before = at.checked_sub(1).and_then(|before| view.segments.get(before));
        let leader_epoch = match before {
            Some(before) => {
                let start = Checkpoint::start(before.first_offset(), 0, end.last_append_time);
                walk_to(before, start, to)?.leader_epoch
            }
            None => end.leader_epoch,
        };
        Ok(Cut { whole: at, through: None, end: Checkpoint { leader_epoch, ..end } })
    }

    fn carry_out(&self, admin: &mut Admin, writer: &mut Writer, cut: Cut) -> Result<Offset> {
        let end = cut.end.next_offset;
        let sequence = admin.manifest.take_sequence();
        let name = FileName::Next { sequence }.to_string();
        let prepared = PreparedSegment::create(self.plan(&admin.manifest, sequence, name)?)?;
        let mut changed = admin.manifest.clone();
        changed.cut(&cut, &prepared);
        if !planted(Bug::TruncationNotCommitted)
            && let Err(error) = admin.file.commit(&mut changed)
        {
            if admin.file.is_usable() {
                // Nothing was listed: the file need not stay.
                drop(self.dir.remove(prepared.name_on_disk()));
            }
            return Err(error);
        }
        writer.generation = changed.generation;
        admin.manifest = changed;
        let epoch = admin.manifest.leader_epoch;
        let mut fresh = prepared.begin(end, epoch, cut.end.last_append_time);
        let start = *fresh.end();
        fresh.advance_durable(&start);
        let gone = self.install(writer, fresh, cut);
        // It is done. Files that stay are removed by the next open, and a name is given when it is closed.
        gone.iter().for_each(|segment| drop(self.unlink(segment)));
        drop(writer.active.segment().name_by_offset());
        Ok(end)
    }

    /// Makes the cut what the writer and the readers see; returns the segments that are gone.
    fn install(&self, writer: &mut Writer, fresh: ActiveSegment, cut: Cut) -> Vec<Arc<Segment>> {
        let end = cut.end.next_offset;
        let added = fresh.segment().clone();
        let left = writer.active.give_back();
        let cut_segment = cut.through.map(|(segment, end)| {
            // What is cut off stays in the file.
            let taken = if segment.is_sealed() { segment.disk_bytes() } else { left };
            (segment.sequence(), Arc::new(segment.cut_short(Seal::from(end), taken)))
        });
        writer.recovery_point = fresh.end().position;
        writer.active = fresh;
        writer.unsynced_since = None;
        let mut gone = Vec::new();
        if let Some(next) = writer.next.take() {
            gone.push(next.begin(end, 0, crate::Timestamp::MIN).segment().clone());
        }
        self.end.store(end.get());
        self.commit.restart(end.get());
        self.change_view(|view| {
            let kept = cut_segment.as_ref().map(|(sequence, _)| *sequence);
            let dropped = view.segments.split_off(cut.whole);
            gone.extend(dropped.into_iter().filter(|segment| Some(segment.sequence()) != kept));
            view.segments.extend(cut_segment.map(|(_, segment)| segment));
            view.segments.push(added);
            view.rewinds += 1;
        });
        gone
    }
}

/// Walks to the batch that reaches beyond `to`.
fn walk_to(segment: &Segment, start: Checkpoint, to: Offset) -> Result<Checkpoint> {
    let opened = segment.opened()?;
    let (salt, layout) = (segment.salt(), segment.layout());
    let mut stop = segment.written();
    let track = Track { file: &*opened.file, salt, layout, len: stop.to_u64() };
    let whole = walk(track, start, &mut |step| {
        if step.header.next_offset() > to {
            stop = stop.min(step.position);
        }
    })?;
    if whole.end.position < stop {
        let message = format!(
            "{}: at position {}, where offset {} should be: {:?}",
            segment.path().display(),
            whole.end.position,
            whole.end.next_offset,
            whole.stop
        );
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    let track = Track { len: stop.to_u64(), ..track };
    Ok(walk(track, start, &mut |_| {})?.end)
}

impl Manifest {
    fn cut(&mut self, cut: &Cut, prepared: &PreparedSegment) {
        self.next_sequence = prepared.sequence() + 1;
        let end = cut.end.next_offset;
        self.segments.truncate(cut.whole);
        self.leader_epoch = cut.end.leader_epoch;
        if let Some((segment, at)) = &cut.through {
            let seal = Seal::from(*at);
            let first = segment.first_offset();
            self.segments.push(SegmentEntry::at_end(segment.header(), SegmentState::Sealed, first, &seal));
        }
        self.segments.push(SegmentEntry::empty(prepared.header(), SegmentState::Open, end));
        self.lost.retain(|range| range.to <= end);
    }
}
