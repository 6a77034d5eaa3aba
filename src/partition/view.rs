//! What readers see of a partition: one immutable value, replaced whole.

use super::manifest::LostRange;
use crate::segment::Segment;
use crate::{Error, ErrorKind, Offset, Result};
use std::sync::Arc;

/// The segments of a log at one moment.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The first offset that readers may see. Records below it may still lie in the first segment.
    pub(crate) log_start: Offset,
    /// In the order of the log; the last is the one that is appended to.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// Offsets whose records salvage could not bring back.
    pub(crate) lost: Arc<[LostRange]>,
    /// Grows whenever records at the end were taken back, so that readers look anew where they are.
    pub(crate) rewinds: u64,
}

impl View {
    /// The segment that holds `offset`, or the last.
    pub(crate) fn segment_of(&self, offset: Offset) -> Option<&Arc<Segment>> {
        let after = self.segments.partition_point(|segment| segment.first_offset() <= offset);
        self.segments.get(after.saturating_sub(1))
    }

    /// The range of lost offsets that `offset` lies in.
    pub(crate) fn lost_at(&self, offset: Offset) -> Option<LostRange> {
        let at = self.lost.partition_point(|range| range.to <= offset);
        self.lost.get(at).copied().filter(|range| range.from <= offset)
    }
}

/// Refuses an offset that lies below the log start or beyond the end.
pub(crate) fn check_range(offset: Offset, log_start: Offset, end: Offset) -> Result<()> {
    if offset < log_start {
        let message = format!("offset {offset} is below the log start {log_start}: its record was deleted");
        return Err(Error::new(ErrorKind::OutOfRange, message));
    }
    if offset > end {
        let message = format!("offset {offset} is beyond the log end {end}");
        return Err(Error::new(ErrorKind::OutOfRange, message));
    }
    Ok(())
}
