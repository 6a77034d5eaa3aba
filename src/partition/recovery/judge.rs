//! What an open would say, without the open: nothing is locked and nothing is written.

use super::Recovery;
use super::table::{Act, Facts, Slots, decide};
use crate::io::Dir;
use crate::partition::PartitionOptions;
use crate::partition::manifest::{Manifest, SlotReport, load_read_only};
use crate::partition::recovery::RecoveryReport;
use crate::{ErrorKind, Offset, Position, Result};
use std::path::PathBuf;
use std::sync::Arc;

/// What an open would find.
#[derive(Clone, Debug)]
pub(crate) struct Judgement {
    pub(crate) manifest: Manifest,
    /// What is wrong with one of the manifest's slots; empty when nothing is.
    pub(crate) manifest_damage: String,
    /// Why it would be refused; empty when it would not.
    pub(crate) refusal: String,
    /// Bytes behind the end that it would cut off: the file, where they begin, where they end.
    pub(crate) torn: Vec<(PathBuf, Position, u64)>,
}

/// How often it is judged anew because a writer has meanwhile changed what it is judged by.
const ATTEMPTS_MAX: usize = 16;

/// Judges the partition in `dir` as an open would.
///
/// # Errors
/// `NotFound` and `Corrupt` when there is no manifest of use; `Unsupported` and `Io` as an open. All other damage
/// is in the judgement.
pub(crate) fn judge(dir: &Arc<dyn Dir>) -> Result<Judgement> {
    for _ in 1..ATTEMPTS_MAX {
        let judgement = judge_once(dir)?;
        // What a writer has listed since is no segment that the manifest has lost.
        let is_same =
            || Ok::<_, crate::Error>(load_read_only(&**dir)?.0.generation == judgement.manifest.generation);
        if judgement.refusal.is_empty() || is_same()? {
            return Ok(judgement);
        }
    }
    judge_once(dir)
}

fn judge_once(dir: &Arc<dyn Dir>) -> Result<Judgement> {
    let (manifest, slots) = load_read_only(&**dir)?;
    let options = PartitionOptions::default().number(manifest.partition);
    let recovery = Recovery { dir, options: &options, report: RecoveryReport::default(), changed: false };
    let manifest_damage = match &slots {
        SlotReport::OneBad { flaw, .. } => flaw.to_string(),
        SlotReport::Even | SlotReport::Uneven { .. } => String::new(),
    };
    let mut judgement = Judgement { manifest, manifest_damage, refusal: String::new(), torn: Vec::new() };
    let manifest = &judgement.manifest;
    let found = recovery.survey(manifest).and_then(|inventory| {
        let end = recovery.read_end(&inventory, manifest, Offset::ZERO)?;
        recovery.check_generation(&end, manifest)?;
        Ok(end)
    });
    let end = match found {
        Ok(end) => end,
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            judgement.refusal = error.to_string();
            return Ok(judgement);
        }
        Err(error) => return Err(error),
    };
    match decide(&Facts { slots: Slots::Even, ..end.facts() }).act {
        Act::Refuse(_) => judgement.refusal = end.damage(&**dir).to_string(),
        Act::CutAndCopy => {
            let torn = end.tails.iter().filter_map(|(file, _, tail)| Some((file, tail.torn()?)));
            judgement.torn = torn.map(|(file, (from, to))| (dir.path().join(&file.name), from, to)).collect();
        }
        _ => {}
    }
    Ok(judgement)
}
