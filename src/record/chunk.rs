//! A run of batches, copied out of a segment and verified before anything of it is shown.

use super::records::{Records, Walk};
use super::verify::read_batch;
use super::{BATCH_ALIGN, BatchHeader, Flaw, Place};
use crate::sync::{Bug, planted};
use crate::{Error, Offset, Position};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// What a chunk held.
#[derive(Clone, Debug)]
pub(crate) struct Verified {
    /// From the first record at or above the offset that was asked for.
    pub(crate) records: Records,
    /// Bytes from the chunk's start to where the next batch begins. The padding of the last batch counts,
    /// even when the chunk ends before it does.
    pub(crate) consumed: usize,
    /// The base offset that the next batch must have; at least that, where offsets may have gaps.
    pub(crate) next_offset: Offset,
}

/// The first bad batch of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) flaw: Flaw,
    pub(crate) position: Position,
    /// The offset that a good batch would have had there.
    pub(crate) offset: Offset,
}

/// Verifies the whole batches that `buf`, read at `place`, begins with: at least one, else what is wrong with
/// it. Offsets follow each other without a gap, from `expected` on. A bad or cut batch behind a good one ends
/// the chunk, and is the first of the next. The records shown begin at the first offset wanted; no batch is
/// looked at that begins at the end of what is wanted, or behind it.
pub(crate) fn verify_chunk(
    buf: Vec<u8>,
    place: Place,
    expected: Offset,
    wanted: Range<Offset>,
    batch_len_max: u32,
) -> Result<Verified, Damage> {
    verify(buf, place, expected, wanted, batch_len_max, |found, expected| found == expected)
}

/// The same for a compacted segment, where offsets grow and may have gaps.
pub(crate) fn verify_compacted_chunk(
    buf: Vec<u8>,
    place: Place,
    least: Offset,
    wanted: Range<Offset>,
    batch_len_max: u32,
) -> Result<Verified, Damage> {
    verify(buf, place, least, wanted, batch_len_max, |found, least| found >= least)
}

fn verify(
    buf: Vec<u8>,
    place: Place,
    expected: Offset,
    wanted: Range<Offset>,
    batch_len_max: u32,
    follows: fn(Offset, Offset) -> bool,
) -> Result<Verified, Damage> {
    let mut run = Run::new(expected);
    while run.next_at < buf.len() && run.expected < wanted.end {
        let Err(flaw) = run.step(&buf, place, wanted.start, batch_len_max, follows) else { continue };
        if run.batches > 0 {
            break;
        }
        return Err(Damage { flaw, position: place.position, offset: expected });
    }
    if run.batches == 0 {
        return Err(Damage { flaw: Flaw::Blank, position: place.position, offset: expected });
    }
    Ok(run.finish(buf, wanted.start))
}

/// How far a chunk is verified, and what of it was asked for.
struct Run {
    batches: usize,
    expected: Offset,
    leader_epoch: u32,
    /// Where the next batch begins.
    next_at: usize,
    /// The end of the last good batch.
    end: usize,
    /// The first batch that reaches the offset asked for.
    first_at: Option<usize>,
    /// Records in it and after it.
    record_count: usize,
}

impl Run {
    const fn new(expected: Offset) -> Self {
        Self { batches: 0, expected, leader_epoch: 0, next_at: 0, end: 0, first_at: None, record_count: 0 }
    }

    /// Takes in the batch at `next_at`, or says why not and stays as it is.
    fn step(
        &mut self,
        buf: &[u8],
        place: Place,
        from: Offset,
        batch_len_max: u32,
        follows: fn(Offset, Offset) -> bool,
    ) -> Result<(), Flaw> {
        let at = self.next_at;
        // A position that no file has cannot be the place of a batch.
        let beyond = Flaw::NotABatch { length: 0, expected: 0, found: 0 };
        let place = place.checked_add(at).ok_or(beyond)?;
        let (header, batch) = read_batch(buf.get(at..).unwrap_or_default(), place, batch_len_max)?;
        self.follow(&header, follows)?;
        let end = at.saturating_add(batch.len());
        self.batches = self.batches.saturating_add(1);
        self.expected = header.next_offset();
        self.leader_epoch = header.leader_epoch;
        self.end = end;
        self.next_at = end.checked_next_multiple_of(BATCH_ALIGN).ok_or(beyond)?;
        if header.next_offset() > from {
            self.first_at = self.first_at.or(Some(at));
            let count = if header.is_control() { 0 } else { header.record_count };
            self.record_count = self.record_count.saturating_add(usize::try_from(count).unwrap_or(0));
        }
        Ok(())
    }

    /// Whether a good batch belongs after those before it, and its records can be read.
    fn follow(&self, header: &BatchHeader, follows: fn(Offset, Offset) -> bool) -> Result<(), Flaw> {
        let (expected, found) = (self.expected, header.base_offset);
        if !follows(found, expected) && !planted(Bug::OffsetNotChecked) {
            return Err(Flaw::Offset { expected, found });
        }
        if header.leader_epoch < self.leader_epoch {
            return Err(Flaw::Epoch { previous: self.leader_epoch, found: header.leader_epoch });
        }
        match header.codec() {
            Some(codec) if !header.is_control() => Err(Flaw::Compressed { codec }),
            _ => Ok(()),
        }
    }

    fn finish(self, buf: Vec<u8>, from: Offset) -> Verified {
        let start = self.first_at.unwrap_or(self.end);
        let walk = Walk::new(start, self.end, self.record_count);
        let records = Records::from_verified(Arc::new(buf), walk, from, self.expected);
        Verified { records, consumed: self.next_at, next_offset: self.expected }
    }
}

impl Damage {
    /// The same as an error about the file `name`.
    pub(crate) fn to_error(self, name: impl fmt::Display) -> Error {
        Error::new(self.flaw.kind(), format!("{name}: {self}"))
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at position {}, where offset {} should be: {}", self.position, self.offset, self.flaw)
    }
}
