//! Reading on behind damage, when the options ask for it.
//!
//! ```text
//!     1. give every segment file of ours, and a manifest that is no use, a name that keeps it aside
//!     2. find every good batch in them, in the order in which the files were made
//!     3. copy these into new segments; a gap between two begins a new one and is recorded as lost
//!     4. put a manifest in place that lists the new segments: the one step that counts
//! ```
//!
//! Cut off before the last step, the partition is still damaged, and salvage begins anew with all the files.

use super::copy::Copy;
use super::{Recovered, Recovery, RecoveryOutcome};
use crate::io::{Access, EntryKind};
use crate::partition::manifest::{LostRange, MANIFEST, Manifest, ManifestFile, SegmentEntry, SegmentState};
use crate::record::{BatchHeader, HEADER_LEN, Place, looks_like_batch, read_batch};
use crate::segment::{
    FileName, PreparedSegment, SEGMENT_HEADER_LEN, Seal, SegmentHeader, Track, read_header, read_range,
};
use crate::{Error, ErrorKind, Offset, Position, Result, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the name of a file that is kept aside begins with. None of our names does, so nothing of ours ever
/// removes it, but the deletion of its topic.
pub(crate) const KEPT: &str = "damaged-";
/// Bytes that are searched at once.
const WINDOW_LEN: usize = 1 << 20;

/// A segment file to look for good batches in.
struct Source {
    header: SegmentHeader,
    file: Arc<dyn crate::io::File>,
    /// End of what may count: behind it lies what recovery or truncation has cut off.
    end: u64,
}

/// A good batch, and where it was found.
#[derive(Clone, Copy)]
struct Found {
    source: usize,
    position: Position,
    length: u32,
    next_offset: Offset,
    leader_epoch: u32,
}

pub(super) fn salvage(recovery: &mut Recovery<'_>) -> Result<Recovered> {
    recovery.changed = true;
    recovery.report.outcome = RecoveryOutcome::Salvaged;
    let manifest = ManifestFile::load(recovery.dir).ok().map(|(_, manifest, _)| manifest);
    keep_aside(recovery, manifest.is_none())?;
    let sources = sources(recovery, manifest.as_ref())?;
    let batches = good_batches(&sources)?;
    let mut fresh = blank_manifest(recovery, manifest, &sources)?;
    copy_all(recovery, &mut fresh, &sources, &batches)?;
    let file = ManifestFile::replace(recovery.dir, &fresh)?;
    drop(file);
    // From here on it is a partition like any other.
    let report = recovery.report.clone();
    let mut recovered = Recovery { dir: recovery.dir, options: recovery.options, report, changed: true }
        .run_without_salvage()?;
    recovered.report.outcome = RecoveryOutcome::Salvaged;
    recovered.report.rows = recovery.report.rows.clone();
    Ok(recovered)
}

/// Renames what is there, so that nothing takes it for a part of the log or for a leftover.
fn keep_aside(recovery: &mut Recovery<'_>, manifest_too: bool) -> Result<()> {
    let dir = &**recovery.dir;
    let entries = dir.list().map_err(|error| Error::io("list", dir.path(), error))?;
    let names: BTreeSet<&String> = entries.iter().map(|entry| &entry.name).collect();
    for entry in entries.iter().filter(|entry| entry.kind == EntryKind::File) {
        let is_segment =
            matches!(FileName::parse(&entry.name), Some(FileName::Log(_) | FileName::Next { .. }));
        let is_lost_manifest = manifest_too && entry.name == MANIFEST;
        if !is_segment && !is_lost_manifest {
            continue;
        }
        let mut kept = format!("{KEPT}{}", entry.name);
        while names.contains(&kept) {
            kept.insert_str(0, KEPT);
        }
        dir.rename(&entry.name, &kept).map_err(|error| {
            Error::io(format_args!("rename {} to", entry.name), &dir.path().join(&kept), error)
        })?;
    }
    dir.sync().map_err(|error| Error::io("sync the directory", dir.path(), error))
}

/// The files that are kept aside and have a good header, in the order in which they were made.
fn sources(recovery: &Recovery<'_>, manifest: Option<&Manifest>) -> Result<Vec<Source>> {
    let dir = &**recovery.dir;
    let mut sources = BTreeMap::new();
    for entry in dir.list().map_err(|error| Error::io("list", dir.path(), error))? {
        if entry.kind != EntryKind::File || !entry.name.starts_with(KEPT) {
            continue;
        }
        let path = dir.path().join(&entry.name);
        let file = dir.open(&entry.name, Access::Read).map_err(|error| Error::io("open", &path, error))?;
        let len = file.len().map_err(|error| Error::io("read the size of", &path, error))?;
        let Ok(header) = read_header(&*file)? else { continue };
        if manifest.is_some_and(|manifest| !super::is_ours(&header, manifest)) {
            continue;
        }
        let end = match manifest {
            None => len,
            Some(manifest) => {
                match manifest.segments.iter().find(|listed| listed.sequence == header.sequence) {
                    Some(listed) if listed.state == SegmentState::Sealed => len.min(listed.end.to_u64()),
                    Some(_) => len,
                    // Deleted or cut off, or never listed: nothing of it was acknowledged here.
                    None => continue,
                }
            }
        };
        sources.insert(header.sequence, Source { header, file, end });
    }
    Ok(sources.into_values().collect())
}

/// All good batches, by base offset. Where two files have the same offsets, the younger file counts: the older
/// one was copied from, or cut off there.
fn good_batches(sources: &[Source]) -> Result<BTreeMap<Offset, Found>> {
    let mut batches: BTreeMap<Offset, Found> = BTreeMap::new();
    for (at, source) in sources.iter().enumerate() {
        let mut first = true;
        search(source, at, &mut |base_offset, found| {
            if std::mem::take(&mut first) {
                let overlap = batches.split_off(&base_offset);
                drop(overlap);
            }
            let follows = batches.last_key_value().is_none_or(|(_, last)| last.next_offset <= base_offset);
            if follows {
                batches.insert(base_offset, found);
            }
        })?;
    }
    Ok(batches)
}

/// Shows every good batch of a file to `each`, wherever it begins.
fn search(source: &Source, number: usize, each: &mut dyn FnMut(Offset, Found)) -> Result<()> {
    let track = source.track();
    let mut at = u64::from(SEGMENT_HEADER_LEN);
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
            let batch = batch_at(track, at, window.get(skip..).unwrap_or_default())?;
            let len = batch.map_or(1, |header| u64::from(header.length));
            if let (Some(header), Ok(position)) = (batch, Position::try_from(at)) {
                let (length, next_offset, leader_epoch) =
                    (header.length, header.next_offset(), header.leader_epoch);
                each(
                    header.base_offset,
                    Found { source: number, position, length, next_offset, leader_epoch },
                );
            }
            at = at.saturating_add(len).next_multiple_of(8);
        }
    }
    Ok(())
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
    Ok(read_batch(&bytes, place, len_max).ok().map(|(header, _)| header))
}

impl Source {
    fn track(&self) -> Track<'_> {
        Track { file: &*self.file, salt: self.header.salt, layout: self.header.layout, len: self.end }
    }
}

/// What is known of the partition, without its segments.
fn blank_manifest(
    recovery: &Recovery<'_>,
    manifest: Option<Manifest>,
    sources: &[Source],
) -> Result<Manifest> {
    if let Some(manifest) = manifest {
        return Ok(Manifest { segments: Vec::new(), ..manifest });
    }
    let Some(newest) = sources.last() else {
        let message = format!("{}: no segment with a good header is left", recovery.dir.path().display());
        return Err(Error::new(ErrorKind::Corrupt, message));
    };
    let topic: TopicId = newest.header.topic;
    Ok(Manifest {
        generation: 1,
        topic,
        partition: newest.header.partition,
        log_start: Offset::ZERO,
        next_sequence: newest.header.sequence.saturating_add(1),
        leader_epoch: 0,
        segments: Vec::new(),
        lost: Vec::new(),
    })
}

/// Copies the batches into new segments and lists those.
fn copy_all(
    recovery: &mut Recovery<'_>,
    manifest: &mut Manifest,
    sources: &[Source],
    batches: &BTreeMap<Offset, Found>,
) -> Result<()> {
    let known_start = manifest.log_start;
    let mut expected = batches.keys().next().copied().unwrap_or(known_start);
    if manifest.log_start < expected && manifest.log_start > Offset::ZERO {
        manifest.lost.push(LostRange { from: manifest.log_start, to: expected });
    } else if manifest.log_start < expected {
        manifest.log_start = expected;
    }
    let mut into: Option<(SegmentHeader, Offset, Copy)> = None;
    for (base_offset, found) in batches {
        if *base_offset > expected {
            manifest.lost.push(LostRange { from: expected, to: *base_offset });
        }
        let is_full = into.as_ref().is_some_and(|(_, _, copy)| {
            copy.position().to_u64().saturating_add(u64::from(found.length))
                > recovery.options.segment_bytes_max
                || copy.leader_epoch() > found.leader_epoch
        });
        if *base_offset > expected || is_full {
            finish(manifest, into.take(), SegmentState::Sealed)?;
        }
        let (_, _, copy) = match &mut into {
            Some(open) => open,
            None => into.insert(begin(recovery, manifest, *base_offset)?),
        };
        if let Some(source) = sources.get(found.source) {
            copy.take_one(source.track(), found.position, found.length)?;
        }
        expected = found.next_offset;
    }
    let last = match into {
        Some(open) => Some(open),
        None => Some(begin(recovery, manifest, expected)?),
    };
    finish(manifest, last, SegmentState::Open)?;
    manifest.lost.sort_unstable_by_key(|range| range.from);
    manifest.lost.dedup();
    Ok(())
}

fn begin(
    recovery: &mut Recovery<'_>,
    manifest: &mut Manifest,
    first_offset: Offset,
) -> Result<(SegmentHeader, Offset, Copy)> {
    let header = recovery.new_header(manifest)?;
    let name = FileName::Log(first_offset).to_string();
    let plan = recovery.options.segment_plan(recovery.dir.clone(), header.clone(), name.clone());
    drop(PreparedSegment::create(plan)?);
    let copy = Copy::new(&header, first_offset, manifest.leader_epoch, recovery.dir, &name)?;
    Ok((header, first_offset, copy))
}

fn finish(
    manifest: &mut Manifest,
    open: Option<(SegmentHeader, Offset, Copy)>,
    state: SegmentState,
) -> Result<()> {
    if let Some((header, first_offset, copy)) = open {
        let (end, _) = copy.finish(header.created_at)?;
        manifest.leader_epoch = end.leader_epoch;
        manifest.segments.push(SegmentEntry::at_end(&header, state, first_offset, &Seal::from(end)));
    }
    Ok(())
}
