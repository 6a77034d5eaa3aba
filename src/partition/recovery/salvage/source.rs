//! The files that are kept aside, and the good batches in them.

use super::aside::{KEPT, kept_name};
use super::{Found, Recovery};
use crate::io::{Access, EntryKind, File};
use crate::partition::manifest::{Manifest, SegmentState};
use crate::partition::options::Identity;
use crate::record::{BatchHeader, HEADER_LEN, Place, looks_like_batch, read_batch};
use crate::segment::{
    FileName, SEGMENT_HEADER_LEN, SegmentHeader, TAIL_MARK_LEN, TailMark, Track, read_header, read_range,
};
use crate::{Error, ErrorKind, Offset, Position, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes that are searched at once.
const WINDOW_LEN: usize = 1 << 20;

/// The files that are kept aside.
pub(super) struct Kept {
    /// Those with a good header, in the order in which they were made.
    pub(super) sources: Vec<Source>,
    /// The offsets that files were named by, even where the header is damaged.
    pub(super) named: Vec<Offset>,
}

/// A segment file to look for good batches in.
pub(super) struct Source {
    pub(super) header: SegmentHeader,
    /// Where its name says that it begins.
    named: Option<Offset>,
    file: Arc<dyn File>,
    /// End of what may count: behind it lies what recovery or truncation has cut off.
    end: u64,
}

/// What the sources hold.
pub(super) struct Yield {
    /// All good batches, by base offset.
    pub(super) batches: BTreeMap<Offset, Found>,
    /// The furthest offset that a tail mark names as synced.
    pub(super) marked: Offset,
}

/// Looks through the files that are kept aside.
pub(super) fn kept(recovery: &Recovery<'_>, manifest: Option<&Manifest>) -> Result<Kept> {
    let dir = &**recovery.dir;
    let mut sources: BTreeMap<u64, Source> = BTreeMap::new();
    let mut named = Vec::new();
    for entry in dir.list().map_err(|error| Error::io("list", dir.path(), error))? {
        if entry.kind != EntryKind::File || !entry.name.starts_with(KEPT) {
            continue;
        }
        let path = dir.path().join(&entry.name);
        let file = dir.open(&entry.name, Access::Read).map_err(|error| Error::io("open", &path, error))?;
        let len = file.len().map_err(|error| Error::io("read the size of", &path, error))?;
        let header = read_header(&*file)?.ok();
        let end = header.as_ref().map(|header| recovery.end_of(header, len, manifest));
        let begins = match kept_name(&entry.name) {
            Some(FileName::Log(offset)) => Some(offset),
            _ => None,
        };
        // What a manifest does not list was deleted, or it says more than the name.
        named.extend(begins.filter(|_| manifest.is_none() && end != Some(None)));
        if let (Some(header), Some(Some(end))) = (header, end) {
            sources.insert(header.sequence, Source { header, named: begins, file, end });
        }
    }
    let sources: Vec<Source> = sources.into_values().collect();
    check_one_owner(recovery, &sources)?;
    Ok(Kept { sources, named })
}

impl Recovery<'_> {
    /// How much of a file with this header may count; none where nothing of it does.
    fn end_of(&self, header: &SegmentHeader, len: u64, manifest: Option<&Manifest>) -> Option<u64> {
        let Some(manifest) = manifest else {
            let is_wanted = match self.options.topic {
                Identity::Any => true,
                Identity::Topic(topic) => topic == header.topic,
            };
            return (is_wanted && header.partition == self.options.number).then_some(len);
        };
        if !super::super::is_ours(header, manifest) {
            return None;
        }
        match manifest.segments.iter().find(|listed| listed.sequence == header.sequence) {
            Some(listed) if listed.state == SegmentState::Sealed => Some(len.min(listed.end.to_u64())),
            Some(_) => Some(len),
            // Made after this manifest, which is an older one then.
            None if header.sequence >= manifest.next_sequence => Some(len),
            // Deleted or cut off: nothing of it counts any more.
            None => None,
        }
    }
}

/// Without a manifest only the headers say whose partition it is: they must agree.
fn check_one_owner(recovery: &Recovery<'_>, sources: &[Source]) -> Result<()> {
    let mut owners = sources.iter().map(|source| source.header.topic);
    let first = owners.next();
    match owners.find(|owner| Some(*owner) != first) {
        None => Ok(()),
        Some(other) => {
            let message = format!(
                "{}: segments of topic {other} lie beside those of others: say which topic it is",
                recovery.dir.path().display()
            );
            Err(Error::new(ErrorKind::InvalidInput, message))
        }
    }
}

/// All good batches. Where two files have the same offsets, the younger file counts: the older one was copied
/// from, or cut off there. So it was where a younger file begins in which nothing was ever written, too: after a
/// truncation nothing need have been appended. One whose batches are all damaged says nothing of the older one's.
pub(super) fn good_batches(sources: &[Source]) -> Result<Yield> {
    let mut found = Yield { batches: BTreeMap::new(), marked: Offset::ZERO };
    for (at, source) in sources.iter().enumerate() {
        let mut first = true;
        let batches = &mut found.batches;
        let Searched { marked, is_blank } = search(source, at, &mut |base_offset, found| {
            if std::mem::take(&mut first) {
                let overlap = batches.split_off(&base_offset);
                drop(overlap);
            }
            let follows = batches.last_key_value().is_none_or(|(_, last)| last.next_offset <= base_offset);
            if follows {
                batches.insert(base_offset, found);
            }
        })?;
        if is_blank && let Some(begins) = source.named {
            drop(found.batches.split_off(&begins));
        }
        found.marked = found.marked.max(marked);
    }
    Ok(found)
}

/// What a file holds beside good batches.
struct Searched {
    /// The furthest offset that a tail mark names as synced.
    marked: Offset,
    /// Whether nothing but tail marks and zeros lies behind the header.
    is_blank: bool,
}

/// Shows every good batch of a file to `each`, wherever it begins.
fn search(source: &Source, number: usize, each: &mut dyn FnMut(Offset, Found)) -> Result<Searched> {
    let track = source.track();
    let mut at = u64::from(SEGMENT_HEADER_LEN);
    let mut searched = Searched { marked: Offset::ZERO, is_blank: true };
    while at < source.end {
        let window = read_range(track, at, WINDOW_LEN)?;
        if window.is_empty() {
            break;
        }
        let window_end = at.saturating_add(window.len() as u64);
        // A header that the window cuts is looked at in the next.
        let last =
            if window_end < source.end { window_end.saturating_sub(HEADER_LEN as u64) } else { window_end };
        let window_at = at;
        while at < last {
            let skip = usize::try_from(at.saturating_sub(window_at)).unwrap_or(usize::MAX);
            let head = window.get(skip..).unwrap_or_default();
            let batch = batch_at(track, at, head)?;
            let mut len = batch.map_or(1, |header| u64::from(header.length));
            if let (Some(header), Ok(position)) = (batch, Position::try_from(at)) {
                let (length, next_offset, leader_epoch) =
                    (header.length, header.next_offset(), header.leader_epoch);
                searched.is_blank = false;
                each(
                    header.base_offset,
                    Found { source: number, position, length, next_offset, leader_epoch },
                );
            } else if let Some(mark) = mark_at(track, at, head) {
                searched.marked = searched.marked.max(mark.durable_offset);
                len = u64::from(TAIL_MARK_LEN);
            } else if head.iter().take(8).any(|byte| *byte != 0) {
                searched.is_blank = false;
            }
            at = at.saturating_add(len).next_multiple_of(8);
        }
    }
    Ok(searched)
}

/// The tail mark at `at`, if one is there.
fn mark_at(track: Track<'_>, at: u64, head: &[u8]) -> Option<TailMark> {
    let head = head.get(..usize::try_from(TAIL_MARK_LEN).ok()?)?;
    let position = Position::try_from(at).ok()?;
    TailMark::decode(head, Place { salt: track.salt, position }).ok()
}

/// The good batch that begins with `head` at `at`, if one does.
fn batch_at(track: Track<'_>, at: u64, head: &[u8]) -> Result<Option<BatchHeader>> {
    let Ok(position) = Position::try_from(at) else { return Ok(None) };
    let place = Place { salt: track.salt, position };
    let len_max = u32::try_from(track.len.saturating_sub(at)).unwrap_or(u32::MAX);
    if !looks_like_batch(head, place, len_max) {
        return Ok(None);
    }
    let length = head.get(8..12).and_then(|field| field.first_chunk()).copied().map_or(0, u32::from_le_bytes);
    let bytes = read_range(track, at, usize::try_from(length).unwrap_or(usize::MAX))?;
    match read_batch(&bytes, place, len_max) {
        Ok((header, _)) => Ok(Some(header)),
        // It is whole: what cannot be understood today is not lost.
        Err(flaw) if flaw.kind() == ErrorKind::Unsupported => {
            let path = track.file.path().display();
            Err(Error::new(ErrorKind::Unsupported, format!("{path}: at position {at}: {flaw}")))
        }
        Err(_) => Ok(None),
    }
}

impl Source {
    pub(super) fn track(&self) -> Track<'_> {
        Track { file: &*self.file, salt: self.header.salt, layout: self.header.layout, len: self.end }
    }
}
