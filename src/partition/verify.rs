//! Scrub: reading everything and comparing it with what is known of it.

use super::TornBytes;
use super::manifest::{SegmentEntry, SegmentState};
use super::recovery::{Inventory, Judgement, SegmentFile, Whose, judge, ranges};
use super::shared::Shared;
use crate::io::Dir;
use crate::segment::{Checkpoint, FileName, Segment, Stop, Track, index, walk};
use crate::{ErrorKind, Offset, Position, Result, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// A writer that is met in the middle of something has moved on by then.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// Damage is what is seen as often as this, one look after the other, the same each time.
const LOOKS_ALIKE: usize = 3;
/// How often it is looked at in all; a writer may keep it moving.
const LOOKS_MAX: usize = 50;

/// What [`crate::Partition::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Bytes that were read and are good.
    pub good_bytes: u64,
    /// How many offsets good batches span, with the gaps that lie inside of a segment.
    ///
    /// It is no count of records: an offset whose record is gone counts as well.
    pub good_offsets: u64,
    /// What is not good, in the order of the log.
    pub damage: Vec<DamagedPlace>,
    /// Why an open would be refused; empty when it would not.
    ///
    /// Empty also of a partition that is open.
    pub refusal: String,
    /// What is wrong with one of the manifest's two slots; empty when nothing is.
    ///
    /// The other one is good, and the next open for writing mends it.
    pub manifest_damage: String,
    /// Bytes behind the end that are no whole batches.
    ///
    /// What a process that died was writing, or one that lives is writing now. The next open for writing keeps
    /// them aside.
    pub torn: Vec<TornBytes>,
    /// Index files that are of no use, for whatever reason. They are made anew when they are needed.
    pub bad_indexes: Vec<PathBuf>,
    /// Offsets whose records an earlier salvage has given up.
    pub lost: Vec<std::ops::Range<Offset>>,
}

impl VerifyReport {
    /// Whether anything that was acknowledged is damaged, or the manifest in part. What was lost to damage before,
    /// and given up, is not counted.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        !self.damage.is_empty() || !self.refusal.is_empty() || !self.manifest_damage.is_empty()
    }
}

/// A place that is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DamagedPlace {
    /// The file.
    pub segment: PathBuf,
    /// Where in it.
    pub position: Position,
    /// The offset that should be there.
    pub offset: Offset,
    /// What is wrong.
    pub what: String,
}

impl Shared {
    pub(super) fn verify(&self) -> Result<VerifyReport> {
        let mut report = VerifyReport::default();
        for segment in &self.view().segments {
            match verify_segment(segment, &mut report) {
                // Nobody misses it.
                Err(_) if segment.is_deleted() => {}
                verified => verified?,
            }
        }
        Ok(report)
    }
}

fn verify_segment(segment: &Arc<Segment>, report: &mut VerifyReport) -> Result<()> {
    let opened = segment.opened()?;
    let end = segment.written();
    let track =
        Track { file: &*opened.file, salt: segment.salt(), layout: segment.layout(), len: end.to_u64() };
    let start = Checkpoint::start(segment.first_offset(), 0, Timestamp::MIN);
    let found = walk(track, start, &mut |_| {})?;
    report.good_bytes += u64::from(found.end.position.since(start.position));
    report.good_offsets += found.end.next_offset.since(start.next_offset);
    let what = match found.stop {
        Stop::Flaw(flaw) => flaw.to_string(),
        Stop::End => match segment.seal_facts() {
            Some(seal) if seal.digest != found.end.digest => {
                "each batch is good, but they are not the ones that were sealed".to_owned()
            }
            _ => return Ok(()),
        },
    };
    report.damage.push(DamagedPlace {
        segment: segment.path(),
        position: found.end.position,
        offset: found.end.next_offset,
        what,
    });
    Ok(())
}

/// The same of a partition that is not open here, and that somebody may be writing.
///
/// # Errors
/// As [`crate::Follower::verify`].
pub(super) fn verify_beside(dir: &Arc<dyn Dir>) -> Result<VerifyReport> {
    let Judgement { manifest, manifest_damage, refusal, torn } = settled_judgement(dir)?;
    let lost = ranges(&manifest.lost);
    let torn = torn.into_iter().map(|(segment, position, to)| TornBytes {
        segment,
        position,
        len: to.saturating_sub(position.to_u64()),
        kept_in: None,
    });
    let torn = torn.collect();
    let mut report = VerifyReport { refusal, manifest_damage, torn, lost, ..VerifyReport::default() };
    let inventory = Inventory::take(dir, Whose::Of(&manifest))?;
    for entry in &manifest.segments {
        match inventory.listed(&**dir, entry) {
            // A copy, which is closed again behind the look.
            Ok(file) => verify_listed(&**dir, &file.clone(), entry, &mut report)?,
            // Deleted since the manifest was read, or what the refusal says already.
            Err(error) if error.kind() == ErrorKind::Corrupt => {}
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

/// A judgement that a writer beside does not change any more, if it finds fault.
fn settled_judgement(dir: &Arc<dyn Dir>) -> Result<Judgement> {
    let fault = |judged: &Result<Judgement>| match judged {
        Ok(judgement) => judgement.refusal.clone(),
        Err(error) => error.to_string(),
    };
    let mut judged = judge(dir);
    let mut alike = 1;
    for _ in 1..LOOKS_MAX {
        let before = fault(&judged);
        if before.is_empty() || alike >= LOOKS_ALIKE {
            break;
        }
        thread::sleep(LOOK_AGAIN_AFTER);
        judged = judge(dir);
        alike = if fault(&judged) == before { alike + 1 } else { 1 };
    }
    judged
}

/// Reads one segment that the manifest lists.
fn verify_listed(
    dir: &dyn Dir,
    file: &SegmentFile,
    entry: &SegmentEntry,
    report: &mut VerifyReport,
) -> Result<()> {
    let is_sealed = entry.state == SegmentState::Sealed;
    let track = if is_sealed { Track { len: entry.end.to_u64(), ..file.track()? } } else { file.track()? };
    let start = Checkpoint::start(entry.first_offset, 0, Timestamp::MIN);
    if entry.state == SegmentState::Prepared {
        // Where it begins is known only from the one before it, and what is in it the judgement has read.
        return Ok(());
    }
    let found = walk(track, start, &mut |_| {})?;
    report.good_bytes += u64::from(found.end.position.since(start.position));
    report.good_offsets += found.end.next_offset.since(start.next_offset);
    let what = match found.stop {
        Stop::Flaw(flaw) if found.end.position < entry.end => flaw.to_string(),
        _ if is_sealed && found.end.digest.to_u64() != entry.digest => {
            "each batch is good, but they are not the ones that were sealed".to_owned()
        }
        _ => String::new(),
    };
    if !what.is_empty() {
        let (position, offset) = (found.end.position, found.end.next_offset);
        let segment = dir.path().join(&file.name);
        report.damage.push(DamagedPlace { segment, position, offset, what });
    } else if is_sealed {
        let owner = file.header.index_owner(entry.first_offset);
        if !matches!(index::load(dir, owner, entry.end), Ok((_, covered)) if covered == entry.end) {
            report.bad_indexes.push(dir.path().join(FileName::Index(entry.first_offset).to_string()));
        }
    }
    Ok(())
}
