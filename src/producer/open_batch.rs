//! A batch that records are still added to, or that waits for its turn.

use super::fate::Fate;
use crate::record::{BatchBuilder, BatchLimits};
use crate::sync::Budget;
use std::sync::Arc;
use std::time::Duration;

/// Bytes that are claimed at once, if a batch may have as many.
const CLAIM: usize = 4 << 10;

/// Records of one partition, encoded as they came.
pub(super) struct OpenBatch {
    pub(super) builder: BatchBuilder,
    /// What their receipts have a share in.
    pub(super) fate: Arc<Fate>,
    /// Bytes of the producer's buffer that are taken for it.
    pub(super) claimed: usize,
    /// When (monotonic) it has lingered for long enough.
    pub(super) due: Duration,
}

impl OpenBatch {
    pub(super) fn new(buf: Vec<u8>, limits: BatchLimits, fate: Arc<Fate>, due: Duration) -> Self {
        Self { builder: BatchBuilder::reusing(buf, limits), fate, claimed: 0, due }
    }

    /// Claims room for a record of `len_bound` bytes: out of `claim` first, then out of the buffer; and for more like
    /// it while the batch is below `wanted` bytes, so that few have to ask. False when there is too little.
    #[inline]
    pub(super) fn claim_for(&mut self, len_bound: usize, wanted: usize, claim: &mut Claim<'_>) -> bool {
        let needed = self.builder.len().saturating_add(len_bound);
        self.claimed >= needed || self.claim_up_to(needed, wanted, claim)
    }

    fn claim_up_to(&mut self, needed: usize, wanted: usize, claim: &mut Claim<'_>) -> bool {
        self.claimed += std::mem::take(&mut claim.bytes);
        if self.claimed >= needed {
            return true;
        }
        let short = needed - self.claimed;
        let ahead = (2 * needed).max(CLAIM).min(wanted).saturating_sub(self.claimed).max(short);
        for bytes in [ahead, short] {
            if claim.budget.try_take(bytes) {
                self.claimed += bytes;
                return true;
            }
        }
        false
    }

    /// Leaves what it will not use to the batch that follows, or to the buffer: all of it, if it is empty.
    pub(super) fn release_surplus(&mut self, claim: &mut Claim<'_>) {
        let used = if self.builder.record_count() == 0 { 0 } else { self.builder.len() };
        let surplus = self.claimed.saturating_sub(used);
        self.claimed -= surplus;
        claim.bytes += surplus;
    }
}

/// Bytes of the buffer that a sender has in hand. What is left of them goes back.
pub(super) struct Claim<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl<'a> Claim<'a> {
    /// So many bytes, which were taken.
    pub(super) fn of(budget: &'a Budget, bytes: usize) -> Self {
        Self { budget, bytes }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.give_back(self.bytes);
        }
    }
}
