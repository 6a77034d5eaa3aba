//! Moving the recovery point along behind the end of what is synced.
//!
//! ```text
//!     active segment   │ header │ batches, listed in the manifest │ batches, synced │ batches, written │
//!                                                                 ▲ recovery point  ▲ moves to here
//! ```
//!
//! What lies before it need not be walked when the partition is opened after a kill, so that opening takes no
//! longer when segments are large. The index is written with it, for the same reason.

use super::manifest::{Manifest, SegmentEntry, SegmentState};
use super::shared::Shared;
use super::writer::{State, Writer};
use crate::segment::{SEGMENT_HEADER_LEN, Seal, Segment};
use crate::{Position, Result};

/// Synced bytes behind the recovery point at which it is moved; a quarter of a segment, if that is less.
const STEP: u64 = 16 << 20;

impl Shared {
    /// Moves the recovery point to the end of what is synced, when that is far behind it.
    pub(super) fn advance_recovery_point(&self) -> Result<()> {
        if !self.is_recovery_point_due(&self.writer.lock()) {
            return Ok(());
        }
        let mut admin = self.admin.lock();
        let (active, synced) = {
            let writer = self.writer.lock();
            if !self.is_recovery_point_due(&writer) {
                return Ok(());
            }
            (writer.active.segment().clone(), *writer.active.durable_end())
        };
        let seal = Seal::from(synced);
        let entry = SegmentEntry::at_end(active.header(), SegmentState::Open, active.first_offset(), &seal);
        let mut changed = admin.manifest.clone();
        for listed in changed.segments.iter_mut().filter(|listed| listed.sequence == active.sequence()) {
            *listed = entry.clone();
        }
        changed.leader_epoch = synced.leader_epoch;
        self.store_index(&active, &seal);
        self.commit_manifest(&mut admin, changed)
    }

    /// While the segment before is not sealed, the manifest lists the active one as one that is prepared.
    fn is_recovery_point_due(&self, writer: &Writer) -> bool {
        let step = STEP.min(self.options.segment_bytes_max / 4);
        let behind = writer.active.durable_end().position.since(writer.recovery_point);
        u64::from(behind) >= step && writer.sealing.is_none() && matches!(writer.state, State::Open)
    }
}

impl Manifest {
    /// Where a walk of `segment` begins: behind its header, if it is not listed with an end of its own.
    pub(super) fn recovery_point_of(&self, segment: &Segment) -> Position {
        let listed = self.segments.iter().find(|entry| entry.sequence == segment.sequence());
        listed.map_or(Position::new(SEGMENT_HEADER_LEN), |entry| entry.end)
    }
}
