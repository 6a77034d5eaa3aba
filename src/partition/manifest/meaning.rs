//! What a manifest must say to make sense, whoever wrote it.

use super::{LostRange, Manifest, SegmentEntry, SegmentState};
use crate::segment::{Layout, SEGMENT_HEADER_LEN};
use crate::{Offset, Position};
use std::cmp::Ordering;

/// What in a manifest contradicts itself. Segments are named by their sequence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MeaningFlaw {
    #[error("sequence {sequence} is given twice")]
    SequenceTwice { sequence: u64 },
    #[error("sequence: expected below the next, {next}, found {sequence}")]
    Sequence { next: u64, sequence: u64 },
    #[error("segment {sequence}: expected {expected} segment in this place, found {found:?}")]
    State { sequence: u64, expected: &'static str, found: SegmentState },
    #[error("segment {sequence}: end: expected a multiple of 8 from {SEGMENT_HEADER_LEN}, found {end}")]
    End { sequence: u64, end: Position },
    #[error("segment {sequence}: offsets: expected {expected}, found {first} to {end}")]
    Offsets { sequence: u64, expected: &'static str, first: Offset, end: Offset },
    #[error("segment {sequence}: first offset: expected above {before}, found {found}")]
    Order { sequence: u64, before: Offset, found: Offset },
    #[error(
        "segment {sequence}: first offset: expected {expected}, where the one before it ends, found {found}"
    )]
    Gap { sequence: u64, expected: Offset, found: Offset },
    #[error("lost range: expected one from {after} or later that is not empty, found {from} to {to}")]
    Lost { after: Offset, from: Offset, to: Offset },
    #[error("log start: expected {expected}, found {found}")]
    LogStart { expected: String, found: Offset },
}

impl Manifest {
    /// Checks that it makes sense.
    ///
    /// # Errors
    /// The first contradiction.
    pub(crate) fn check(&self) -> Result<(), MeaningFlaw> {
        check_lost(&self.lost)?;
        check_sequences(&self.segments, self.next_sequence)?;
        check_states(&self.segments)?;
        self.segments.iter().try_for_each(SegmentEntry::check)?;
        for (earlier, later) in self.listed().zip(self.listed().skip(1)) {
            check_neighbours(earlier, later, &self.lost)?;
        }
        self.check_log_start()
    }

    /// The segments that hold batches; all but the prepared one.
    fn listed(&self) -> impl Iterator<Item = &SegmentEntry> {
        self.segments.iter().filter(|segment| segment.state != SegmentState::Prepared)
    }

    fn check_log_start(&self) -> Result<(), MeaningFlaw> {
        let (Some(first), Some(last)) = (self.listed().next(), self.listed().last()) else {
            return Ok(());
        };
        let is_uncovered = self.log_start < first.first_offset
            && !is_lost(&self.lost, self.log_start, first.first_offset)
            && first.layout == Layout::Dense;
        // An open segment is listed only up to its recovery point; where it ends, recovery finds out.
        let is_beyond = last.state == SegmentState::Sealed && self.log_start > last.end_offset;
        if is_uncovered || is_beyond {
            let expected = format!("{} to {}", first.first_offset, last.end_offset);
            return Err(MeaningFlaw::LogStart { expected, found: self.log_start });
        }
        Ok(())
    }
}

impl SegmentEntry {
    fn check(&self) -> Result<(), MeaningFlaw> {
        let header_end = Position::new(SEGMENT_HEADER_LEN);
        if self.end < header_end || !self.end.get().is_multiple_of(8) {
            return Err(MeaningFlaw::End { sequence: self.sequence, end: self.end });
        }
        let is_empty = self.end == header_end;
        let expected = match (self.state, self.layout, self.first_offset.cmp(&self.end_offset)) {
            (_, _, Ordering::Greater) => "the first not behind the end",
            (SegmentState::Prepared, ..) if !is_empty => "no batches in a prepared segment",
            (SegmentState::Prepared, _, Ordering::Less) => "no offsets in a prepared segment",
            (_, Layout::Dense, Ordering::Less) if is_empty => "no offsets where there are no batches",
            (_, Layout::Dense, Ordering::Equal) if !is_empty => "offsets where there are batches",
            _ => return Ok(()),
        };
        let (sequence, first, end) = (self.sequence, self.first_offset, self.end_offset);
        Err(MeaningFlaw::Offsets { sequence, expected, first, end })
    }
}

fn check_lost(lost: &[LostRange]) -> Result<(), MeaningFlaw> {
    let mut after = Offset::ZERO;
    for range in lost {
        if range.from < after || range.from >= range.to {
            return Err(MeaningFlaw::Lost { after, from: range.from, to: range.to });
        }
        after = range.to;
    }
    Ok(())
}

fn check_sequences(segments: &[SegmentEntry], next: u64) -> Result<(), MeaningFlaw> {
    let mut sequences: Vec<u64> = segments.iter().map(|segment| segment.sequence).collect();
    sequences.sort_unstable();
    for (sequence, following) in sequences.iter().zip(sequences.iter().skip(1)) {
        if sequence == following {
            return Err(MeaningFlaw::SequenceTwice { sequence: *sequence });
        }
    }
    match sequences.last() {
        Some(sequence) if *sequence >= next => Err(MeaningFlaw::Sequence { next, sequence: *sequence }),
        _ => Ok(()),
    }
}

/// Sealed ones, then at most one open, then at most one prepared.
fn check_states(segments: &[SegmentEntry]) -> Result<(), MeaningFlaw> {
    let mut before = SegmentState::Sealed;
    for segment in segments {
        let (sequence, found) = (segment.sequence, segment.state);
        let expected = match (before, found) {
            (SegmentState::Sealed, _) | (SegmentState::Open, SegmentState::Prepared) => None,
            (SegmentState::Open, _) => Some("a prepared"),
            (SegmentState::Prepared, _) => Some("no"),
        };
        if let Some(expected) = expected {
            return Err(MeaningFlaw::State { sequence, expected, found });
        }
        before = found;
    }
    Ok(())
}

fn check_neighbours(
    earlier: &SegmentEntry,
    later: &SegmentEntry,
    lost: &[LostRange],
) -> Result<(), MeaningFlaw> {
    let sequence = later.sequence;
    let (end, found) = (earlier.end_offset, later.first_offset);
    if found <= earlier.first_offset {
        return Err(MeaningFlaw::Order { sequence, before: earlier.first_offset, found });
    }
    let is_dense = earlier.layout == Layout::Dense && later.layout == Layout::Dense;
    match found.cmp(&end) {
        Ordering::Equal => Ok(()),
        Ordering::Greater if !is_dense || is_lost(lost, end, found) => Ok(()),
        _ => Err(MeaningFlaw::Gap { sequence, expected: end, found }),
    }
}

/// Whether all offsets from `from` to `to` (exclusive) are in ranges of `lost`, which are in order.
fn is_lost(lost: &[LostRange], from: Offset, to: Offset) -> bool {
    let first = lost.partition_point(|range| range.to <= from);
    let mut reached = from;
    for range in lost.get(first..).unwrap_or_default() {
        if range.from > reached || reached >= to {
            break;
        }
        reached = range.to;
    }
    reached >= to
}
