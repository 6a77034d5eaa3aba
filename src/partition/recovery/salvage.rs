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

mod aside;
mod source;

use super::copy::Copy;
use super::{Recovered, Recovery, RecoveryOutcome};
use crate::partition::manifest::{LostRange, Manifest, ManifestFile, SegmentEntry, SegmentState};
use crate::segment::{FileName, Origin, Seal, SegmentHeader};
use crate::{Error, ErrorKind, Offset, Position, Result};
pub(crate) use aside::KEPT;
pub(crate) use aside::UNFINISHED;
pub(super) use aside::kept_name;
use source::{Source, Yield, good_batches, kept};

/// A good batch, and where it was found.
#[derive(Clone, Copy)]
struct Found {
    source: usize,
    position: Position,
    length: u32,
    next_offset: Offset,
    leader_epoch: u32,
}

/// The offsets that the partition had, as far as anything says so.
#[derive(Clone, Copy)]
struct Known {
    start: Offset,
    /// What was acknowledged ends here or later: no offset before it may be given again.
    end: Offset,
}

/// Salvages what is in the directory. `known_durable` is what this process itself has seen synced.
pub(super) fn salvage(recovery: &mut Recovery<'_>, known_durable: Offset) -> Result<Recovered> {
    recovery.changed = true;
    recovery.report.outcome = RecoveryOutcome::Salvaged;
    let manifest = match ManifestFile::load(recovery.dir) {
        Ok((_, manifest, _)) => Some(manifest),
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => None,
        Err(error) => return Err(error),
    };
    aside::keep_aside(&**recovery.dir, manifest.as_ref())?;
    let source::Kept { sources, named } = kept(recovery, manifest.as_ref())?;
    let found = good_batches(&sources)?;
    let mut known = known_offsets(manifest.as_ref(), &named, &found);
    known.end = known.end.max(known_durable);
    let mut fresh = blank_manifest(recovery, manifest, &sources)?;
    copy_all(recovery, &mut fresh, known, &sources, &found)?;
    drop(ManifestFile::replace(recovery.dir, &fresh)?);
    aside::finished(&**recovery.dir);
    // From here on it is a partition like any other.
    let report = recovery.report.clone();
    let mut recovered = Recovery { dir: recovery.dir, options: recovery.options, report, changed: true }
        .run_without_salvage()?;
    recovered.report.outcome = RecoveryOutcome::Salvaged;
    recovered.report.rows = recovery.report.rows.clone();
    Ok(recovered)
}

/// Where the log began and at least ended: by the manifest, by the files' names, by tail marks, by the batches.
fn known_offsets(manifest: Option<&Manifest>, named: &[Offset], found: &Yield) -> Known {
    let first_batch = found.batches.keys().next().copied();
    let named = named.iter().copied();
    let start = match manifest {
        Some(manifest) => manifest.log_start,
        None => named.clone().chain(first_batch).min().unwrap_or(found.marked),
    };
    let listed = manifest.iter().flat_map(|manifest| &manifest.segments);
    let listed = listed.map(|entry| entry.end_offset).chain(manifest.map(|manifest| manifest.log_start));
    let end = listed.chain(named).chain([found.marked, start]).max().unwrap_or(start);
    Known { start, end }
}

/// What is known of the partition, without its segments.
fn blank_manifest(
    recovery: &Recovery<'_>,
    manifest: Option<Manifest>,
    sources: &[Source],
) -> Result<Manifest> {
    let newest = sources.last();
    let next_sequence = newest.map_or(0, |newest| newest.header.sequence.saturating_add(1));
    if let Some(manifest) = manifest {
        let next_sequence = next_sequence.max(manifest.next_sequence);
        let generation = manifest.generation.saturating_add(1);
        return Ok(Manifest { generation, next_sequence, segments: Vec::new(), ..manifest });
    }
    let Some(newest) = newest else {
        let message = format!("{}: no segment with a good header is left", recovery.dir.path().display());
        return Err(Error::new(ErrorKind::Corrupt, message));
    };
    Ok(Manifest {
        generation: 1,
        topic: newest.header.topic,
        partition: newest.header.partition,
        log_start: Offset::ZERO,
        next_sequence,
        leader_epoch: 0,
        segments: Vec::new(),
        lost: Vec::new(),
    })
}

/// Copies the batches into new segments and lists those.
fn copy_all(
    recovery: &mut Recovery<'_>,
    manifest: &mut Manifest,
    known: Known,
    sources: &[Source],
    found: &Yield,
) -> Result<()> {
    manifest.log_start = known.start;
    // Batches that begin below the log start may end behind it.
    let mut expected = found.batches.keys().next().map_or(known.start, |first| known.start.min(*first));
    let mut into: Option<(SegmentHeader, Offset, Copy)> = None;
    for (base_offset, found) in &found.batches {
        let is_full = into.as_ref().is_some_and(|(_, _, copy)| {
            copy.position().to_u64().saturating_add(u64::from(found.length))
                > recovery.options.segment_bytes_max
                || copy.leader_epoch() > found.leader_epoch
        });
        if *base_offset > expected || is_full {
            finish(manifest, into.take(), SegmentState::Sealed)?;
        }
        manifest.lose(expected, *base_offset);
        let (_, _, copy) = match &mut into {
            Some(open) => open,
            None => into.insert(begin(recovery, manifest, *base_offset)?),
        };
        if let Some(source) = sources.get(found.source) {
            copy.take_one(source.track(), found.position, found.length)?;
        }
        expected = found.next_offset;
    }
    if known.end > expected {
        finish(manifest, into.take(), SegmentState::Sealed)?;
        manifest.lose(expected, known.end);
        expected = known.end;
    }
    let last = match into {
        Some(open) => Some(open),
        None => Some(begin(recovery, manifest, expected)?),
    };
    finish(manifest, last, SegmentState::Open)
}

impl Manifest {
    /// Notes that the offsets from `from` to `to` (exclusive) are lost, with those that were lost before.
    fn lose(&mut self, from: Offset, to: Offset) {
        let mut range = LostRange { from: from.max(self.log_start), to };
        if range.from >= range.to {
            return;
        }
        self.lost.retain(|other| {
            let touches = other.from <= range.to && range.from <= other.to;
            if touches {
                range = LostRange { from: range.from.min(other.from), to: range.to.max(other.to) };
            }
            !touches
        });
        self.lost.push(range);
        self.lost.sort_unstable_by_key(|range| range.from);
    }
}

fn begin(
    recovery: &mut Recovery<'_>,
    manifest: &mut Manifest,
    first_offset: Offset,
) -> Result<(SegmentHeader, Offset, Copy)> {
    let header = recovery.new_header(manifest, Origin::Copied)?;
    let name = FileName::Log(first_offset).to_string();
    let copy = Copy::create(&header, first_offset, manifest.leader_epoch, recovery.dir, &name)?;
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
