//! From an offset or a time to a place in a segment, through the sparse indexes.

use super::ReadLevel;
use super::reader::{Held, PROBE_LEN, read_chunk};
use super::shared::Shared;
use super::view::View;
use crate::record::RecordRef;
use crate::segment::{Checkpoint, Index, IndexEntry, IndexWriter, Segment, Track, index, walk};
use crate::sync::{Bug, planted};
use crate::{Error, ErrorKind, Offset, Position, Result, Timestamp};
use std::sync::Arc;

/// The record that a look-up by time found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOffset {
    offset: Offset,
    timestamp: Timestamp,
}

impl TimedOffset {
    /// Its offset.
    #[must_use]
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// Its timestamp, at or after the time that was asked for.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }
}

/// The place from which the record at `offset`, or the next one there is, is found by reading on.
pub(super) fn locate(view: &View, offset: Offset) -> Result<Held> {
    let Some(segment) = view.segment_of(offset) else {
        return Err(Error::new(ErrorKind::OutOfRange, format!("offset {offset}: the log has no segment")));
    };
    let entry = if offset <= segment.first_offset() {
        segment.first_entry()
    } else {
        index_of(segment)?.floor(offset)
    };
    Ok(Held::new(segment, entry))
}

/// The index of a segment: from memory, from its files, or by walking it.
pub(super) fn index_of(segment: &Arc<Segment>) -> Result<Index> {
    if let Some(loaded) = segment.loaded_index() {
        return Ok(loaded);
    }
    let end = segment.written();
    let owner = segment.header().index_owner(segment.first_offset());
    let index = match index::load(&**segment.dir(), owner, end) {
        Ok((writer, covered)) if covered == end || planted(Bug::IndexTrusted) => writer.seal(),
        _ => rebuild(segment, end)?.seal(),
    };
    segment.set_index(Some(index.clone()));
    Ok(index)
}

/// Walks the whole segment up to `end`.
fn rebuild(segment: &Segment, end: Position) -> Result<IndexWriter> {
    let opened = segment.opened()?;
    let track =
        Track { file: &*opened.file, salt: segment.salt(), layout: segment.layout(), len: end.to_u64() };
    let mut writer = IndexWriter::new(segment.header().index_owner(segment.first_offset()));
    let start = Checkpoint::start(segment.first_offset(), 0, Timestamp::MIN);
    // A walk that stops early leaves an index that is short, not wrong: the reader meets the damage itself.
    walk(track, start, &mut |step| writer.push_step(step))?;
    Ok(writer)
}

impl Shared {
    /// The first record with a timestamp at or after `t` that a reader at `level` may see.
    pub(super) fn offset_for_time(&self, t: Timestamp, level: ReadLevel) -> Result<Option<TimedOffset>> {
        loop {
            // In this order: an end from before a truncation does not go with a view from behind it.
            let rewinds = self.view().rewinds;
            let end = self.end_at(level);
            let view = self.view();
            let found = find_time(&view, t, end);
            let now = self.view();
            if now.rewinds != rewinds {
                // Records were taken back meanwhile, and others may have their offsets.
                continue;
            }
            match found {
                // A segment of the view was deleted before it was opened: what is left now is looked at. The log
                // start has grown then, so this comes to an end.
                Err(error) if error.kind() == ErrorKind::OutOfRange && now.log_start > view.log_start => {}
                found => return found,
            }
        }
    }
}

/// The first record with a timestamp at or after `t` and an offset before `end`.
pub(super) fn find_time(view: &View, t: Timestamp, end: Offset) -> Result<Option<TimedOffset>> {
    for segment in &view.segments {
        if segment.seal_facts().is_some_and(|seal| seal.max_timestamp < t) {
            continue;
        }
        let Some(entry) = index_of(segment)?.first_candidate(t) else { continue };
        if let Some(found) = scan(segment, entry, t, view.log_start, end)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Scans a segment from `entry` on, record by record.
fn scan(
    segment: &Arc<Segment>,
    entry: IndexEntry,
    t: Timestamp,
    from: Offset,
    until: Offset,
) -> Result<Option<TimedOffset>> {
    let mut held = Held::new(segment, entry);
    while held.position < segment.written() && held.base_offset < until {
        let found = read_chunk(&held, from, until, segment.written(), PROBE_LEN)?;
        let is_late = |record: &RecordRef<'_>| {
            record.timestamp() >= t && !(planted(Bug::TimeStrictlyAfter) && record.timestamp() == t)
        };
        if let Some(record) = found.records.iter().find(is_late) {
            return Ok(Some(TimedOffset { offset: record.offset(), timestamp: record.timestamp() }));
        }
        held.advance(&found)?;
    }
    Ok(None)
}
