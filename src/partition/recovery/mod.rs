//! Opening a partition: what lies on disk, what it proves, and what is done about it.
//!
//! ```text
//!     manifest ──▶ inventory ──▶ tail of the open segments ──▶ facts ──table──▶ decision ──▶ rebuild
//!     two slots    headers       walk, search                          pure               one manifest commit
//! ```
//!
//! Recovery changes no byte of a file that is there. What is good and not proved to be synced is copied into a
//! new segment; one commit of the manifest puts that in place. Cut off anywhere, it begins anew.

mod inventory;
mod rebuild;
mod report;
mod salvage;
mod table;
mod tail;
mod tear;

use super::PartitionOptions;
use super::manifest::{LostRange, Manifest, ManifestFile, SegmentEntry, SegmentState, SlotReport};
use super::options::{Identity, OnDamage};
use crate::io::Dir;
use crate::segment::{
    ActiveSegment, Checkpoint, Digest, FileName, PreparedSegment, Segment, SegmentHeader, Track,
};
use crate::{Error, ErrorKind, Offset, Position, Result};
pub(crate) use inventory::{Inventory, SegmentFile};
pub use report::{RecoveryOutcome, RecoveryReport, TornBytes};
use std::sync::Arc;
use table::{Act, Committed, Facts, Later, Read, Salvage, Segments, Slots, Version, decide};
pub(crate) use tail::Tail;

/// A partition that is ready to be used.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) file: ManifestFile,
    pub(crate) manifest: Manifest,
    /// In the order of the log; the active one is not among them.
    pub(crate) sealed: Vec<Arc<Segment>>,
    pub(crate) active: ActiveSegment,
    pub(crate) next: Option<PreparedSegment>,
    pub(crate) report: RecoveryReport,
    /// Whether anything was written.
    pub(crate) changed: bool,
}

/// What is being recovered.
pub(super) struct Recovery<'a> {
    pub(super) dir: &'a Arc<dyn Dir>,
    pub(super) options: &'a PartitionOptions,
    pub(super) report: RecoveryReport,
    pub(super) changed: bool,
}

/// The open segments, from the recovery point to the end of the log.
pub(super) struct End {
    /// One, or two where a roll was not finished; in the order of the log.
    pub(super) tails: Vec<(SegmentFile, SegmentEntry, Tail)>,
    /// The last good batch ends in this one of them.
    pub(super) last: usize,
    /// The furthest place that anything names as synced: which of them, and where in it.
    pub(super) synced: (usize, Position),
}

/// Opens what is in `dir`, or creates a partition there. `known_durable` is what this process itself has seen
/// synced, if the partition was open before.
///
/// # Errors
/// As [`PartitionOptions::open`].
pub(crate) fn recover(
    dir: &Arc<dyn Dir>,
    options: &PartitionOptions,
    known_durable: Offset,
) -> Result<Recovered> {
    let started = options.clock.monotonic();
    let mut recovery = Recovery { dir, options, report: RecoveryReport::default(), changed: false };
    let mut recovered = recovery.run(known_durable)?;
    recovered.report.elapsed = options.clock.monotonic().saturating_sub(started);
    Ok(recovered)
}

impl Recovery<'_> {
    fn run(&mut self, known_durable: Offset) -> Result<Recovered> {
        let (file, mut manifest, slots) = match ManifestFile::load(self.dir) {
            Ok(loaded) => loaded,
            Err(error) if error.kind() == ErrorKind::NotFound => return self.create_or_refuse(),
            Err(error) => return self.refuse(Slots::NoneUsable, Segments::AsListed, error),
        };
        self.check_identity(&manifest)?;
        let found = match slots {
            SlotReport::Even => Slots::Even,
            SlotReport::Uneven { .. } | SlotReport::OneBad { .. } => Slots::OneUsable,
        };
        let surveyed = self.survey(&manifest, &slots);
        let (inventory, end) = match surveyed.and_then(|inventory| {
            let end = self.read_end(&inventory, &manifest, known_durable)?;
            self.check_generation(&end, &manifest)?;
            Ok((inventory, end))
        }) {
            Ok(found) => found,
            Err(error) => return self.refuse(found, Segments::Unusable, error),
        };
        let decision = decide(&Facts { slots: found, salvage: self.salvage(), ..end.facts() });
        self.report.scanned_bytes = end.scanned_bytes();
        if let SlotReport::OneBad { flaw, .. } = &slots {
            self.report.manifest_damage = flaw.to_string();
        }
        let mut file = file;
        match decision.act {
            Act::Refuse(_) => return Err(end.damage(&**self.dir)),
            Act::Salvage => return salvage::salvage(self),
            _ => {}
        }
        if decision.slots == table::SlotAct::WriteBothAnew {
            file.commit(&mut manifest)?;
            self.changed = true;
        }
        // First of all, so that their names are free.
        self.remove(self.leftovers(&inventory, &manifest))?;
        let recovered = match decision.act {
            Act::CopyUnproved => rebuild::extend(self, file, manifest, &inventory, end)?,
            Act::CutAndCopy => rebuild::cut(self, file, manifest, &inventory, end)?,
            _ => rebuild::keep(self, file, manifest, &inventory, end)?,
        };
        Ok(Recovered { report: self.report.clone(), changed: self.changed, ..recovered })
    }

    /// Opens what salvage has made. Damage to that is damage.
    fn run_without_salvage(self) -> Result<Recovered> {
        let options = self.options.clone().on_damage(OnDamage::Refuse);
        let mut again = Recovery { dir: self.dir, options: &options, report: self.report, changed: true };
        again.run(Offset::ZERO)
    }

    /// Ends an attempt that came no further, by the table: what damage says may be salvaged.
    fn refuse(&mut self, slots: Slots, segments: Segments, error: Error) -> Result<Recovered> {
        let damaged = error.kind() == ErrorKind::Corrupt;
        let facts = Facts {
            read: if damaged || error.kind() == ErrorKind::Unsupported { Read::Good } else { Read::Failed },
            version: if error.kind() == ErrorKind::Unsupported { Version::Newer } else { Version::Known },
            slots,
            segments,
            end: table::End::AtProof,
            rest: table::Rest::Blank,
            later: Later::Empty,
            salvage: self.salvage(),
            committed: Committed::Within,
        };
        match decide(&facts).act {
            Act::Salvage => salvage::salvage(self),
            _ => Err(error),
        }
    }

    fn salvage(&self) -> Salvage {
        match self.options.on_damage {
            OnDamage::Refuse => Salvage::NotAsked,
            OnDamage::Salvage => Salvage::Asked,
        }
    }

    /// Finds the files that the manifest lists.
    fn survey(&self, manifest: &Manifest, slots: &SlotReport) -> Result<Inventory> {
        let inventory = Inventory::take(&**self.dir, Some((manifest.topic, manifest.partition)))?;
        for entry in &manifest.segments {
            inventory.listed(&**self.dir, entry)?;
        }
        self.check_unlisted(&inventory, manifest, slots)?;
        Ok(inventory)
    }

    /// There is no manifest: nothing was ever here, or it is gone.
    fn create_or_refuse(&mut self) -> Result<Recovered> {
        let inventory = Inventory::take(&**self.dir, None)?;
        if !inventory.is_unborn(&**self.dir)? {
            let message = format!(
                "{}: there are segments with records and no manifest",
                self.dir.path().join(super::manifest::MANIFEST).display()
            );
            let error = Error::new(ErrorKind::Corrupt, message);
            return self.refuse(Slots::NoneUsable, Segments::AsListed, error);
        }
        let names = inventory.segments.into_values().map(|file| file.name);
        self.remove(names.chain(inventory.strange.into_keys()).collect())?;
        rebuild::create(self)
    }

    fn check_identity(&self, manifest: &Manifest) -> Result<()> {
        let refuse = |message: String| Err(Error::new(ErrorKind::InvalidInput, message));
        let place = self.dir.path().display();
        match self.options.topic {
            Identity::Topic(topic) if topic != manifest.topic => {
                refuse(format!("{place}: expected topic {topic}, found {}", manifest.topic))
            }
            _ if self.options.number != manifest.partition => {
                let (expected, found) = (self.options.number, manifest.partition);
                refuse(format!("{place}: expected partition {expected}, found {found}"))
            }
            _ => Ok(()),
        }
    }

    /// A segment that nothing lists is what an interrupted change left, and may go; but not when it was in use
    /// and the manifest has been damaged: then it is the manifest that has lost it.
    fn check_unlisted(&self, inventory: &Inventory, manifest: &Manifest, slots: &SlotReport) -> Result<()> {
        if !matches!(slots, SlotReport::OneBad { .. }) {
            return Ok(());
        }
        for file in inventory.unlisted(manifest) {
            if file.header.sequence >= manifest.next_sequence && self.proves_use(file)? {
                let message = format!(
                    "{}: a segment in use that the manifest, one slot of which is damaged, does not list",
                    self.dir.path().join(&file.name).display()
                );
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
        }
        Ok(())
    }

    fn proves_use(&self, file: &SegmentFile) -> Result<bool> {
        let first_offset = match FileName::parse(&file.name) {
            Some(FileName::Log(offset)) => offset,
            _ => Offset::ZERO,
        };
        let start = Checkpoint::start(first_offset, 0, file.header.created_at);
        let owner = file.header.index_owner(first_offset);
        let tail = Tail::read(file.track(), &**self.dir, owner, start)?;
        Ok(tail.furthest() > Position::ZERO)
    }

    /// Walks the open segments, and searches what follows them.
    fn read_end(&self, inventory: &Inventory, manifest: &Manifest, known_durable: Offset) -> Result<End> {
        let mut tails: Vec<(SegmentFile, SegmentEntry, Tail)> = Vec::new();
        let open = manifest.segments.iter().filter(|entry| entry.state != SegmentState::Sealed);
        for entry in open {
            let file = inventory.listed(&**self.dir, entry)?.clone();
            let from = match tails.last() {
                Some((_, _, before)) => Checkpoint {
                    leader_epoch: before.walk.end.leader_epoch,
                    next_offset: before.walk.end.next_offset,
                    ..entry.checkpoint(manifest)
                },
                None => entry.checkpoint(manifest),
            };
            let owner = file.header.index_owner(entry.start_of(from));
            let tail = Tail::read(file.track(), &**self.dir, owner, from)?;
            tails.push((file, entry.clone(), tail));
        }
        if tails.is_empty() {
            let message = format!("{}: the manifest lists no open segment", self.dir.path().display());
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(End::of(tails, known_durable))
    }

    /// A tail mark that knows a newer manifest than there is says that the manifest has been set back.
    fn check_generation(&self, end: &End, manifest: &Manifest) -> Result<()> {
        let marks = end.tails.iter().filter_map(|(_, _, tail)| tail.beyond.mark.as_ref());
        match marks.map(|mark| mark.manifest_generation).max() {
            Some(newest) if newest > manifest.generation => {
                let message = format!(
                    "{}: expected generation {newest} or later, found {}",
                    self.dir.path().join(super::manifest::MANIFEST).display(),
                    manifest.generation
                );
                Err(Error::new(ErrorKind::Corrupt, message))
            }
            _ => Ok(()),
        }
    }

    /// Names that an interrupted change left and nothing refers to.
    fn leftovers(&self, inventory: &Inventory, manifest: &Manifest) -> Vec<String> {
        let mut names: Vec<String> =
            inventory.unlisted(manifest).into_iter().map(|file| file.name.clone()).collect();
        for (name, _) in &inventory.strange {
            // A file without a good header under a name that only a segment in the making has.
            if let Some(FileName::Next { sequence }) = FileName::parse(name)
                && sequence >= manifest.next_sequence
            {
                names.push(name.clone());
            }
        }
        let is_listed = |offset: &Offset| manifest.segments.iter().any(|entry| entry.first_offset == *offset);
        for offset in inventory.indexes.iter().filter(|offset| !is_listed(offset)) {
            names.push(FileName::Index(*offset).to_string());
            names.push(FileName::TimeIndex(*offset).to_string());
        }
        if inventory.has_new_manifest {
            names.push(super::manifest::MANIFEST_NEW.to_owned());
        }
        names
    }

    /// Removes files by name; that one is gone already is fine.
    pub(super) fn remove(&mut self, names: Vec<String>) -> Result<()> {
        for name in names {
            let path = self.dir.path().join(&name);
            match self.dir.remove(&name) {
                Ok(()) => {
                    self.changed = true;
                    self.report.removed.push(path);
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("remove", &path, error)),
            }
        }
        Ok(())
    }
}

impl SegmentFile {
    pub(crate) fn track(&self) -> Track<'_> {
        Track { file: &*self.file, salt: self.header.salt, layout: self.header.layout, len: self.len }
    }
}

impl SegmentEntry {
    /// The recovery point of an open segment.
    pub(crate) fn checkpoint(&self, manifest: &Manifest) -> Checkpoint {
        Checkpoint {
            position: self.end,
            next_offset: self.end_offset,
            digest: Digest::from_u64(self.digest),
            leader_epoch: manifest.leader_epoch,
            max_timestamp: self.max_timestamp,
            last_append_time: self.last_append_time,
        }
    }

    /// The first offset of a segment that is walked from `from`: of a prepared one only that says it.
    fn start_of(&self, from: Checkpoint) -> Offset {
        match self.state {
            SegmentState::Prepared => from.next_offset,
            _ => self.first_offset,
        }
    }
}

impl End {
    fn of(tails: Vec<(SegmentFile, SegmentEntry, Tail)>, known_durable: Offset) -> Self {
        let mut last = 0;
        let mut synced = (0, Position::ZERO);
        for (at, (_, entry, tail)) in tails.iter().enumerate() {
            if at == last + 1 && tail.follows(entry) {
                last = at;
            }
            let named = match entry.state {
                SegmentState::Prepared => tail.furthest(),
                _ => tail.furthest().max(entry.end),
            };
            if named > Position::ZERO {
                synced = synced.max((at, named));
            }
        }
        let mut end = Self { tails, last, synced };
        end.believe(known_durable);
        end
    }

    /// What this process saw synced is a proof like any other.
    fn believe(&mut self, known_durable: Offset) {
        let Some((_, _, tail)) = self.tails.get(self.last) else { return };
        let named = match known_durable.cmp(&tail.walk.end.next_offset) {
            std::cmp::Ordering::Less => return,
            std::cmp::Ordering::Equal => tail.walk.end.position,
            std::cmp::Ordering::Greater => Position::new(u32::MAX),
        };
        self.synced = self.synced.max((self.last, named));
    }

    /// Where the last good batch ends.
    fn end(&self) -> (usize, Position) {
        let position =
            self.tails.get(self.last).map_or(Position::ZERO, |(_, _, tail)| tail.walk.end.position);
        (self.last, position)
    }

    fn facts(&self) -> Facts {
        let rest = self.tails.get(self.last).map_or(table::Rest::Blank, |(_, _, tail)| tail.beyond.rest);
        let later = self.tails.iter().skip(self.last + 1);
        let has_later = later.into_iter().any(|(_, _, tail)| !tail.is_clean());
        Facts {
            read: Read::Good,
            version: Version::Known,
            slots: Slots::Even,
            segments: Segments::AsListed,
            end: match self.end().cmp(&self.synced) {
                std::cmp::Ordering::Less => table::End::BeforeProof,
                std::cmp::Ordering::Equal => table::End::AtProof,
                std::cmp::Ordering::Greater => table::End::AfterProof,
            },
            rest,
            later: if has_later { Later::Unproved } else { Later::Empty },
            salvage: Salvage::NotAsked,
            // The partition keeps no consumers' offsets; who does compares them with the report.
            committed: Committed::Within,
        }
    }

    fn scanned_bytes(&self) -> u64 {
        let walked = self.tails.iter().map(|(_, entry, tail)| tail.walk.end.position.since(entry.end));
        walked.map(u64::from).sum()
    }

    /// The error that names the damage.
    fn damage(&self, dir: &dyn Dir) -> Error {
        let Some((file, _, tail)) = self.tails.get(self.last) else {
            return Error::new(ErrorKind::Corrupt, format!("{}: no open segment", dir.path().display()));
        };
        let flaw = match tail.walk.stop {
            crate::segment::Stop::Flaw(flaw) => flaw.to_string(),
            crate::segment::Stop::End => "the file ends".to_owned(),
        };
        let proved = self.tails.get(self.synced.0).map_or(String::new(), |(file, ..)| {
            format!("the log was synced up to position {} of {}", self.synced.1, file.name)
        });
        let message = format!(
            "{}: at position {}, where offset {} should be: {flaw}; {proved}",
            dir.path().join(&file.name).display(),
            tail.walk.end.position,
            tail.walk.end.next_offset,
        );
        Error::new(ErrorKind::Corrupt, message)
    }
}

/// The ranges as the report has them.
pub(super) fn ranges(lost: &[LostRange]) -> Vec<std::ops::Range<Offset>> {
    lost.iter().map(|range| range.from..range.to).collect()
}

/// Whether a header is of the partition that `manifest` describes.
pub(super) fn is_ours(header: &SegmentHeader, manifest: &Manifest) -> bool {
    header.topic == manifest.topic && header.partition == manifest.partition
}
