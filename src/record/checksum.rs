//! CRC-32 of a batch, in one pass or joined from two.

use super::batch_header::{HEADER_LEN, at};
use crc32fast::Hasher;

/// The checksum of `batch`: over everything behind the field that holds it.
#[inline]
pub(super) fn checksum(batch: &[u8]) -> u32 {
    crc32fast::hash(batch.get(at::CRC32.end..).unwrap_or_default())
}

/// From this length on a batch's records are summed when it is built, outside any lock.
pub(super) const SPLIT_LEN_MIN: usize = 4 << 10;

/// The checksum of all that follows a batch's header, kept to be joined with the header's once that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct TailSum {
    sum: u32,
    len: u64,
}

impl TailSum {
    pub(super) fn of(batch: &[u8]) -> Self {
        let tail = batch.get(HEADER_LEN..).unwrap_or_default();
        Self { sum: crc32fast::hash(tail), len: u64::try_from(tail.len()).unwrap_or(u64::MAX) }
    }

    /// The checksum of the batch that has this tail and now begins with `header`.
    pub(super) fn join(self, header: &[u8]) -> u32 {
        let mut whole = Hasher::new();
        whole.update(header.get(at::CRC32.end..HEADER_LEN).unwrap_or_default());
        whole.combine(&Hasher::new_with_initial_len(self.sum, self.len));
        whole.finalize()
    }
}
