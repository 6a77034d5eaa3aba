//! Opening a partition: what lies on disk, what it proves, and what is done about it.
//!
//! ```text
//!     manifest ──▶ inventory ──▶ tail of the open segments ──▶ facts ──table──▶ decision ──▶ rebuild
//!     two slots    headers       walk, search                          pure               one manifest commit
//! ```
//!
//! Recovery changes no byte of a file that is there. What is good and not proved to be synced is copied into a
//! new segment; one commit of the manifest puts that in place. Cut off anywhere, it begins anew.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod copy;
mod end;
mod inventory;
mod judge;
mod rebuild;
mod report;
mod salvage;
mod table;
mod tail;
mod taken;
mod tear;
mod unproved;

use super::PartitionOptions;
use super::manifest::{LostRange, Manifest, ManifestFile, SegmentState, SlotReport};
use super::on_damage::OnDamage;
use super::opening::Absence;
use super::options::Identity;
use crate::io::Dir;
use crate::segment::{
    ActiveSegment, Checkpoint, FileName, Origin, PreparedSegment, SEGMENT_HEADER_LEN, Segment, SegmentHeader,
    Track, walk,
};
use crate::sync::{Bug, planted};
use crate::{Error, ErrorKind, Offset, Position, Result};
use end::End;
pub(crate) use inventory::{Inventory, SegmentFile, Whose};
pub(crate) use judge::{Judgement, judge};
pub use report::{RecoveryOutcome, RecoveryReport, TornBytes};
pub(crate) use salvage::{KEPT, UNFINISHED};
use std::sync::Arc;
use table::{Act, Committed, Facts, Later, Read, Salvage, Segments, Slots, Version, decide};
pub(crate) use tail::{Tail, furthest_beyond};
pub(crate) use taken::refused_bytes;

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
    /// Bytes of disk that files take which recovery or salvage put aside, now or earlier.
    pub(crate) aside_bytes: u64,
}

/// What is being recovered.
pub(super) struct Recovery<'a> {
    pub(super) dir: &'a Arc<dyn Dir>,
    pub(super) options: &'a PartitionOptions,
    pub(super) report: RecoveryReport,
    pub(super) changed: bool,
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
    if options.is_capped() {
        recovered.aside_bytes = taken::aside_bytes(&**dir)?;
    }
    recovered.report.elapsed = options.clock.monotonic().saturating_sub(started);
    Ok(recovered)
}

impl Recovery<'_> {
    fn run(&mut self, known_durable: Offset) -> Result<Recovered> {
        let (file, mut manifest, slots) = match ManifestFile::load(self.dir) {
            Ok(loaded) => loaded,
            Err(error) if error.kind() == ErrorKind::NotFound => return self.create_or_refuse(known_durable),
            Err(error) => {
                return self.refuse(Slots::NoneUsable, Segments::AsListed, error, known_durable);
            }
        };
        self.check_identity(&manifest)?;
        let found = match slots {
            SlotReport::Even => Slots::Even,
            SlotReport::Uneven { .. } | SlotReport::OneBad { .. } => Slots::OneUsable,
        };
        let surveyed = self.survey(&manifest);
        let (inventory, end) = match surveyed.and_then(|inventory| {
            let end = self.read_end(&inventory, &manifest, known_durable)?;
            self.check_generation(&end, &manifest)?;
            Ok((inventory, end))
        }) {
            Ok(found) => found,
            Err(error) => return self.refuse(found, Segments::Unusable, error, known_durable),
        };
        let decision = decide(&Facts { slots: found, salvage: self.salvage(), ..end.facts() });
        self.report.scanned_bytes = end.scanned_bytes();
        if let SlotReport::OneBad { flaw, .. } = &slots {
            self.report.manifest_damage = flaw.to_string();
        }
        self.report.rows = decision.rows().collect();
        let mut file = file;
        match decision.act {
            Act::Refuse(_) => return Err(end.damage(&**self.dir)),
            Act::Salvage => return salvage::salvage(self, known_durable),
            _ => {}
        }
        if decision.slots == table::SlotAct::WriteBothAnew {
            file.commit(&mut manifest)?;
            self.changed = true;
        }
        // First of all, so that their names are free.
        self.remove(self.leftovers(&inventory, &manifest))?;
        let recovered = match decision.act {
            Act::CopyUnproved if !planted(Bug::NoCopyOfTail) => {
                rebuild::extend(self, file, manifest, &inventory, end)?
            }
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
    fn refuse(
        &mut self,
        slots: Slots,
        segments: Segments,
        error: Error,
        known_durable: Offset,
    ) -> Result<Recovered> {
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
        let decision = decide(&facts);
        self.report.rows = decision.rows().collect();
        match decision.act {
            Act::Salvage => salvage::salvage(self, known_durable),
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
    fn survey(&self, manifest: &Manifest) -> Result<Inventory> {
        let inventory = Inventory::take(self.dir, Whose::Of(manifest))?;
        for entry in &manifest.segments {
            inventory.listed(&**self.dir, entry)?;
        }
        self.check_unlisted(&inventory, manifest)?;
        if self.options.on_damage == OnDamage::Salvage {
            self.check_listed(&inventory, manifest)?;
        }
        Ok(inventory)
    }

    /// Reads what recovery does not look at otherwise, up to the ends that are listed: who asks for salvage
    /// wants to read on behind damage there too.
    fn check_listed(&self, inventory: &Inventory, manifest: &Manifest) -> Result<()> {
        for entry in manifest.segments.iter().filter(|entry| entry.state != SegmentState::Prepared) {
            // A copy, which is closed again behind the look.
            let found = inventory.listed(&**self.dir, entry)?.clone();
            let start = Checkpoint::start(entry.first_offset, 0, entry.last_append_time);
            let track = Track { len: entry.end.to_u64(), ..found.track()? };
            let walked = walk(track, start, &mut |_| {})?;
            walked.check_version(track)?;
            if walked.end.next_offset != entry.end_offset || walked.end.digest.to_u64() != entry.digest {
                let message = format!(
                    "{}: at position {}, where offset {} should be: not what is listed",
                    self.dir.path().join(&found.name).display(),
                    walked.end.position,
                    walked.end.next_offset
                );
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
        }
        Ok(())
    }

    /// There is no manifest: nothing was ever here, or it is gone.
    fn create_or_refuse(&mut self, known_durable: Offset) -> Result<Recovered> {
        let inventory = Inventory::take(self.dir, Whose::Anyones)?;
        if !inventory.is_unborn(&**self.dir)? {
            let message = format!(
                "{}: there are segments that were in use, and no manifest",
                self.dir.path().join(super::manifest::MANIFEST).display()
            );
            let error = Error::new(ErrorKind::Corrupt, message);
            return self.refuse(Slots::NoneUsable, Segments::AsListed, error, known_durable);
        }
        if self.options.absence == Absence::Refuse {
            let message =
                format!("{}: the partition is gone, nothing of it is left", self.dir.path().display());
            return Err(Error::new(ErrorKind::Corrupt, message));
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

    /// A segment that nothing lists is what an interrupted change left, and may go; but not when it is younger
    /// than the manifest and was in use: then it is the manifest that is not the newest there was.
    fn check_unlisted(&self, inventory: &Inventory, manifest: &Manifest) -> Result<()> {
        for file in inventory.unlisted(manifest) {
            if file.header.sequence >= manifest.next_sequence && self.proves_use(file)? {
                let message = format!(
                    "{}: expected to list {}, which was in use: this is an older manifest, put back",
                    self.dir.path().join(super::manifest::MANIFEST).display(),
                    file.name
                );
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
        }
        Ok(())
    }

    /// Whether a manifest has listed this segment. Nothing is appended before. What is copied is all there before, but
    /// the segment is named by its offset only then, and only what is appended behind says that anything was synced.
    fn proves_use(&self, file: &SegmentFile) -> Result<bool> {
        if file.header.origin == Origin::Appended {
            return tail::has_bytes_behind(&**file.file()?, u64::from(SEGMENT_HEADER_LEN));
        }
        if let Some(FileName::Log(_)) = FileName::parse(&file.name) {
            return Ok(true);
        }
        let start = Checkpoint::start(Offset::ZERO, 0, file.header.created_at);
        let owner = file.header.index_owner(Offset::ZERO);
        let tail = Tail::read(file.track()?, &**self.dir, owner, start)?;
        Ok(tail.furthest() > Position::ZERO)
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
        if planted(Bug::PreparedIsLeftover) {
            names.extend(
                manifest
                    .segments
                    .iter()
                    .filter(|entry| entry.state == SegmentState::Prepared)
                    .map(|entry| FileName::Next { sequence: entry.sequence }.to_string()),
            );
        }
        for name in inventory.strange.keys() {
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
        if inventory.has_unfinished_salvage {
            names.push(salvage::UNFINISHED.to_owned());
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

/// The ranges as the report has them.
pub(super) fn ranges(lost: &[LostRange]) -> Vec<std::ops::Range<Offset>> {
    lost.iter().map(|range| range.from..range.to).collect()
}

/// Whether a header is of the partition that `manifest` describes.
pub(super) fn is_ours(header: &SegmentHeader, manifest: &Manifest) -> bool {
    header.topic == manifest.topic && header.partition == manifest.partition
}
