//! Moving the recovery point along behind the end of what is synced.
//!
//! ```text
//!     active segment   │ header │ batches, listed in the manifest │ batches, synced │ batches, written │
//!                                                                 ▲ recovery point  ▲ moves to here
//! ```
//!
//! What lies before it need not be walked when the partition is opened after a kill, so that opening takes no
//! longer when segments are large. The index is written with it, for the same reason.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use super::manifest::{Manifest, SegmentEntry, SegmentState};
use super::shared::Shared;
use super::state::State;
use crate::segment::{SEGMENT_HEADER_LEN, Seal, Segment};
use crate::{Position, Result};

/// Synced bytes behind the recovery point at which it is moved; a quarter of a segment, if that is less.
const STEP: u64 = 8 << 20;

impl Shared {
    /// Moves the recovery point to the end of what is synced, when that is far behind it.
    pub(super) fn advance_recovery_point(&self) -> Result<()> {
        if !self.is_recovery_point_due() {
            return Ok(());
        }
        let mut admin = self.administer()?;
        let mut changed = admin.manifest.clone();
        if self.is_recovery_point_due() && self.list_synced(&mut changed) {
            self.commit_manifest(&mut admin, changed)?;
        }
        Ok(())
    }

    fn is_recovery_point_due(&self) -> bool {
        let step = STEP.min(self.options.segment_bytes_max / 4);
        let writer = self.writer.lock();
        let behind = writer.active.durable_end().position.since(writer.recovery_point);
        u64::from(behind) >= step && writer.sealing.is_none() && matches!(writer.state, State::Open)
    }

    /// Lists the active segment in `changed` as far as it is synced, and writes its index up to there. Says
    /// whether it could: while the segment before it is not sealed, the manifest lists it as prepared.
    pub(super) fn list_synced(&self, changed: &mut Manifest) -> bool {
        let (active, synced) = {
            let writer = self.writer.lock();
            if writer.sealing.is_some() {
                return false;
            }
            (writer.active.segment().clone(), *writer.active.durable_end())
        };
        let seal = Seal::from(synced);
        if let Some(listed) = changed.segments.iter_mut().find(|listed| listed.sequence == active.sequence())
        {
            *listed = SegmentEntry::at_end(active.header(), SegmentState::Open, active.first_offset(), &seal);
            changed.leader_epoch = synced.leader_epoch;
            self.store_index(&active, &seal);
        }
        true
    }
}

impl Manifest {
    /// Where a walk of `segment` begins: behind its header, if it is not listed with an end of its own.
    pub(super) fn recovery_point_of(&self, segment: &Segment) -> Position {
        let listed = self.segments.iter().find(|entry| entry.sequence == segment.sequence());
        listed.map_or(Position::new(SEGMENT_HEADER_LEN), |entry| entry.end)
    }
}
