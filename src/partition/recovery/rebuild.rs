//! Carrying out what the table decided.
//!
//! ```text
//!     keep     attach to the open segment and append in place           writes nothing
//!     extend   copy [F, W) into a new segment, sync, commit             the old one ends at F
//!     cut      put what is torn aside, then as extend
//! ```

use super::copy::Copy;
use super::{End, Inventory, Recovered, Recovery, RecoveryOutcome, SegmentFile, TornBytes};
use crate::io::{self, Access};
use crate::partition::manifest::{Manifest, ManifestFile, SegmentEntry, SegmentState};
use crate::segment::{
    ActiveSegment, Checkpoint, Digest, FileName, Layout, Origin, PreparedSegment, SEGMENT_HEADER_LEN, Seal,
    Segment, SegmentHeader, SegmentParts, Track, punch_beyond, read_range, walk,
};
use crate::sync::{Bug, Publisher, planted};
use crate::{Error, ErrorKind, Offset, Position, Result};
use std::sync::Arc;

/// Bytes that are put aside at once.
const ASIDE_LEN: usize = 1 << 20;

/// Makes a new partition: a segment first, then the manifest that lists it. Until that is in place there is no
/// partition, and the next open begins anew.
pub(super) fn create(recovery: &mut Recovery<'_>) -> Result<Recovered> {
    let options = recovery.options;
    let topic = match options.topic {
        crate::partition::options::Identity::Topic(topic) => topic,
        crate::partition::options::Identity::Any => options.entropy.topic()?,
    };
    recovery.changed = true;
    recovery.report.outcome = RecoveryOutcome::Created;
    let mut manifest = Manifest {
        generation: 1,
        topic,
        partition: options.number,
        log_start: Offset::ZERO,
        next_sequence: 0,
        leader_epoch: 0,
        segments: Vec::new(),
        lost: Vec::new(),
    };
    let header = recovery.new_header(&mut manifest, Origin::Appended)?;
    let name = FileName::Log(Offset::ZERO).to_string();
    let plan = options.segment_plan(recovery.dir.clone(), header.clone(), name);
    let prepared = PreparedSegment::create(plan)?;
    manifest.segments.push(SegmentEntry::empty(&header, SegmentState::Open, Offset::ZERO));
    let file = ManifestFile::create(recovery.dir, &manifest)?;
    let active = begin(prepared, Offset::ZERO, 0, header.created_at);
    Ok(recovery.recovered(file, manifest, Vec::new(), active))
}

/// An empty segment behind which everything is synced.
fn begin(
    prepared: PreparedSegment,
    first_offset: Offset,
    epoch: u32,
    last_append_time: crate::Timestamp,
) -> ActiveSegment {
    let mut active = prepared.begin(first_offset, epoch, last_append_time);
    let start = *active.end();
    active.advance_durable(&start);
    active
}

/// All that is good is synced: goes on where the log ends.
pub(super) fn keep(
    recovery: &mut Recovery<'_>,
    mut file: ManifestFile,
    mut manifest: Manifest,
    inventory: &Inventory,
    end: End,
) -> Result<Recovered> {
    recovery.report.outcome = RecoveryOutcome::Clean;
    let last = end.last;
    if last > 0 {
        // A roll was not finished; what it still had to write is the end of the segment before.
        manifest.segments.retain(|entry| entry.state == SegmentState::Sealed);
        for (at, (file, entry, tail)) in end.tails.iter().enumerate() {
            let state = if at == last { SegmentState::Open } else { SegmentState::Sealed };
            let first = if at == last { tail.first_offset() } else { entry.first_offset };
            let seal = recovery.seal_at(tail.walk.end, entry);
            manifest.segments.push(SegmentEntry::at_end(&file.header, state, first, &seal));
            manifest.leader_epoch = tail.walk.end.leader_epoch;
        }
        file.commit(&mut manifest)?;
        recovery.changed = true;
        for (found, _, tail) in end.tails.iter().take(last) {
            recovery.give_back(found, tail.beyond.used_to)?;
        }
    }
    let sealed = recovery.sealed(&manifest, inventory)?;
    let mut tails = end.tails.into_iter().skip(last);
    let Some((found, entry, tail)) = tails.next() else {
        return Err(Error::new(ErrorKind::Corrupt, "the manifest lists no open segment"));
    };
    let next = match tails.next() {
        Some((prepared, ..)) => Some(recovery.attach(&prepared, u64::from(SEGMENT_HEADER_LEN))?),
        None => None,
    };
    let first_offset = if last > 0 { tail.first_offset() } else { entry.first_offset };
    let mut checkpoint = tail.walk.end;
    if let Some(mark) = &tail.beyond.mark {
        checkpoint.last_append_time = checkpoint.last_append_time.max(mark.last_append_time);
        if planted(Bug::ForgetsAppendTime) {
            checkpoint.last_append_time = recovery.options.clock.now();
        }
    } else if checkpoint.position > entry.end {
        checkpoint.last_append_time = checkpoint.last_append_time.max(recovery.options.clock.now());
    }
    let synced = checkpoint.position;
    let attached = recovery.attach(&found, synced.to_u64())?;
    let active = attached.activate(first_offset, checkpoint, tail.index, synced);
    Ok(Recovered { next, ..recovery.recovered(file, manifest, sealed, active) })
}

/// What is good and not proved to be synced goes into a new segment.
pub(super) fn extend(
    recovery: &mut Recovery<'_>,
    file: ManifestFile,
    manifest: Manifest,
    inventory: &Inventory,
    end: End,
) -> Result<Recovered> {
    recovery.report.outcome = RecoveryOutcome::Extended;
    replace_end(recovery, file, manifest, inventory, &end)
}

/// The same, with what is torn put aside first.
pub(super) fn cut(
    recovery: &mut Recovery<'_>,
    file: ManifestFile,
    manifest: Manifest,
    inventory: &Inventory,
    end: End,
) -> Result<Recovered> {
    recovery.report.outcome = RecoveryOutcome::Torn;
    for (found, _, tail) in end.tails.iter().skip(end.last) {
        if let Some((from, to)) = tail.torn() {
            recovery.put_aside(found, from, to)?;
        }
    }
    replace_end(recovery, file, manifest, inventory, &end)
}

fn replace_end(
    recovery: &mut Recovery<'_>,
    mut file: ManifestFile,
    mut manifest: Manifest,
    inventory: &Inventory,
    end: &End,
) -> Result<Recovered> {
    recovery.changed = true;
    let (synced_in, _) = end.synced;
    let until = proved_end(end)?;
    let header = recovery.new_header(&mut manifest, Origin::Copied)?;
    let name = FileName::Next { sequence: header.sequence }.to_string();
    let copied = Copy::create(&header, until.next_offset, until.leader_epoch, recovery.dir, &name)
        .and_then(|copy| copy_from(copy, until, synced_in, end, &manifest))
        .and_then(|copy| copy.finish(recovery.options.clock.now().max(until.last_append_time)));
    let (copied_to, index) = match copied {
        Ok(copied) => copied,
        Err(error) => {
            // Nothing refers to it, and on a full disk it would take room. If it stays, the next open removes it.
            drop(recovery.dir.remove(&name));
            return Err(error);
        }
    };
    recovery.report.copied_records = copied_to.next_offset.since(until.next_offset);

    manifest.segments.retain(|entry| entry.state == SegmentState::Sealed);
    for (at, (found, entry, tail)) in end.tails.iter().enumerate().take(synced_in.saturating_add(1)) {
        let seal = recovery.seal_at(if at == synced_in { until } else { tail.walk.end }, entry);
        let first = if at == 0 { entry.first_offset } else { tail.first_offset() };
        if seal.end_offset > first {
            manifest.segments.push(SegmentEntry::at_end(&found.header, SegmentState::Sealed, first, &seal));
        }
    }
    let seal = Seal::from(copied_to);
    manifest.segments.push(SegmentEntry::at_end(&header, SegmentState::Open, until.next_offset, &seal));
    manifest.leader_epoch = copied_to.leader_epoch;
    file.commit(&mut manifest)?;

    recovery.remove_dropped(&manifest, end)?;
    let sealed = recovery.sealed(&manifest, inventory)?;
    let reattached = SegmentFile::open(recovery.dir, &header)?;
    let attached = recovery.attach(&reattached, copied_to.position.to_u64())?;
    let active = attached.activate(until.next_offset, copied_to, index, copied_to.position);
    active.segment().name_by_offset()?;
    Ok(recovery.recovered(file, manifest, sealed, active))
}

/// What is known of the batches up to the furthest place that is proved.
fn proved_end(end: &End) -> Result<Checkpoint> {
    let (synced_in, synced) = end.synced;
    let named = end.tails.get(synced_in);
    if let Some((kept, _)) = named.and_then(|(_, _, tail)| tail.kept_behind(synced)) {
        return Ok(kept);
    }
    let Some((found, from)) = named.and_then(|(found, _, tail)| Some((found, tail.waypoint_before(synced)?)))
    else {
        return Err(Error::new(ErrorKind::Corrupt, "nothing says how far the log was synced"));
    };
    Ok(walk(Track { len: synced.to_u64(), ..found.track()? }, from, &mut |_| {})?.end)
}

/// Copies what follows `until`, which lies in the segment `synced_in` of the end.
fn copy_from(
    mut copy: Copy,
    until: Checkpoint,
    synced_in: usize,
    end: &End,
    manifest: &Manifest,
) -> Result<Copy> {
    let good = end.tails.iter().enumerate().take(end.last.saturating_add(1));
    for (at, (found, entry, tail)) in good.skip(synced_in) {
        let start = if at == synced_in { until } else { end.checkpoint_before(at, entry, manifest) };
        copy.take(found, tail, start)?;
    }
    Ok(copy)
}

impl SegmentFile {
    /// The file of a segment that was just made under its first name.
    fn open(dir: &Arc<dyn io::Dir>, header: &SegmentHeader) -> Result<Self> {
        let name = FileName::Next { sequence: header.sequence }.to_string();
        let path = dir.path().join(&name);
        let file = dir.open(&name, Access::ReadWrite).map_err(|error| Error::io("open", &path, error))?;
        Self::new(dir, name, header.clone(), file)
    }
}

impl Recovery<'_> {
    /// What is known of a segment that ends at `end`. When the batches behind the recovery point were appended
    /// nobody has noted: kept too long is better than not long enough.
    fn seal_at(&self, end: Checkpoint, entry: &SegmentEntry) -> Seal {
        let mut seal = Seal::from(end);
        if end.position > entry.end {
            seal.last_append_time = seal.last_append_time.max(self.options.clock.now());
        }
        seal
    }

    /// The header of a segment that is new, with a sequence that was never given.
    pub(super) fn new_header(&self, manifest: &mut Manifest, origin: Origin) -> Result<SegmentHeader> {
        let sequence = manifest.next_sequence;
        manifest.next_sequence = sequence.saturating_add(1);
        Ok(SegmentHeader {
            topic: manifest.topic,
            partition: manifest.partition,
            sequence,
            salt: self.options.entropy.salt()?,
            created_at: self.options.clock.now(),
            layout: Layout::Dense,
            origin,
        })
    }

    pub(super) fn recovered(
        &mut self,
        file: ManifestFile,
        manifest: Manifest,
        sealed: Vec<Arc<Segment>>,
        active: ActiveSegment,
    ) -> Recovered {
        self.report.log_end_offset = active.end().next_offset;
        self.report.lost = super::ranges(&manifest.lost);
        let (report, changed) = (self.report.clone(), self.changed);
        Recovered { file, manifest, sealed, active, next: None, report, changed, aside_bytes: 0 }
    }

    /// Opens a file that is there for appending behind its first `end` bytes.
    fn attach(&self, found: &SegmentFile, end: u64) -> Result<PreparedSegment> {
        let path = self.dir.path().join(&found.name);
        let file = self
            .dir
            .open(&found.name, Access::ReadWrite)
            .map_err(|error| Error::io("open the segment", &path, error))?;
        let plan = self.options.segment_plan(self.dir.clone(), found.header.clone(), found.name.clone());
        PreparedSegment::attach(plan, file, end)
    }

    /// The sealed segments that the manifest lists. Their files are opened when they are read.
    pub(super) fn sealed(&self, manifest: &Manifest, inventory: &Inventory) -> Result<Vec<Arc<Segment>>> {
        let sealed = manifest.segments.iter().filter(|entry| entry.state == SegmentState::Sealed);
        sealed
            .map(|entry| {
                let found = inventory.listed(&**self.dir, entry)?;
                let end = Publisher::new(entry.end.to_u64()).published();
                let taken = self.taken_by(found)?;
                let parts = SegmentParts {
                    dir: self.dir.clone(),
                    header: found.header.clone(),
                    first_offset: entry.first_offset,
                    name: found.name.clone(),
                    access: self.options.access(),
                    shelf: self.options.shelf.clone(),
                    written: end.clone(),
                    durable: end,
                    taken,
                };
                Ok(Arc::new(Segment::sealed(parts, entry.seal())))
            })
            .collect()
    }

    /// Bytes of disk that a file takes, where anybody counts them.
    fn taken_by(&self, found: &SegmentFile) -> Result<u64> {
        if !self.options.is_capped() {
            return Ok(0);
        }
        // A copy, which is closed again behind the look.
        let found = found.clone();
        found
            .file()?
            .allocated_bytes()
            .map_err(|error| Error::io("read the allocated size of", &found.path(), error))
    }

    /// Copies torn bytes into a file of their own.
    fn put_aside(&mut self, found: &SegmentFile, from: Position, to: u64) -> Result<()> {
        let name = FileName::Torn { sequence: found.header.sequence, position: from.get() }.to_string();
        let path = self.dir.path().join(&name);
        // One that is there was left by a recovery that did not come to its end.
        self.remove_quietly(&name)?;
        let aside = self.dir.create(&name).map_err(|error| Error::io("create", &path, error))?;
        let track = Track { len: to, ..found.track()? };
        let mut at = from.to_u64();
        while at < to {
            let bytes = read_range(track, at, ASIDE_LEN)?;
            if bytes.is_empty() {
                break;
            }
            let into = at.saturating_sub(from.to_u64());
            io::write_all(&*aside, &bytes, into)
                .map_err(|error| Error::io(format_args!("write at position {into} of"), &path, error))?;
            at = at.saturating_add(bytes.len() as u64);
        }
        aside.sync().map_err(|error| Error::io("sync", &path, error))?;
        self.dir.sync().map_err(|error| Error::io("sync the directory", self.dir.path(), error))?;
        self.report.torn.push(TornBytes {
            segment: self.dir.path().join(&found.name),
            position: from,
            len: to.saturating_sub(from.to_u64()),
            kept_in: Some(path),
        });
        Ok(())
    }

    fn remove_quietly(&self, name: &str) -> Result<()> {
        match self.dir.remove(name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove", &self.dir.path().join(name), error))
            }
            _ => Ok(()),
        }
    }

    /// Removes the open segments that the manifest no longer lists, and gives back the space behind the end
    /// of those that it still does.
    fn remove_dropped(&mut self, manifest: &Manifest, end: &End) -> Result<()> {
        for (found, _, tail) in &end.tails {
            let entry = manifest.segments.iter().find(|entry| entry.sequence == found.header.sequence);
            match entry {
                None => self.remove(vec![found.name.clone()])?,
                // Only what was never written: readers may have the rest mapped.
                Some(_) => self.give_back(found, tail.beyond.used_to)?,
            }
        }
        Ok(())
    }

    /// Gives back the space that a file takes beyond `end`.
    fn give_back(&self, found: &SegmentFile, end: u64) -> Result<()> {
        let path = self.dir.path().join(&found.name);
        let file =
            self.dir.open(&found.name, Access::ReadWrite).map_err(|error| Error::io("open", &path, error))?;
        punch_beyond(&*file, end, u64::MAX)
    }
}

impl SegmentEntry {
    pub(crate) fn seal(&self) -> Seal {
        Seal {
            end: self.end,
            end_offset: self.end_offset,
            digest: Digest::from_u64(self.digest),
            last_append_time: self.last_append_time,
            max_timestamp: self.max_timestamp,
        }
    }
}
