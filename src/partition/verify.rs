//! Scrub: reading everything and comparing it with what is known of it.

use super::shared::Shared;
use crate::segment::{Checkpoint, Segment, Stop, Track, walk};
use crate::{Offset, Position, Result, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;

/// What [`crate::Partition::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Bytes that were read and are good.
    pub good_bytes: u64,
    /// Offsets (exclusive of gaps) in good batches.
    pub good_offsets: u64,
    /// What is not good, in the order of the log.
    pub damage: Vec<DamagedPlace>,
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
            verify_segment(segment, &mut report)?;
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
