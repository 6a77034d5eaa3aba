//! A segment: one log file and the two sparse indexes over it.
//!
//! ```text
//!     00000000000000004200.log
//!     ┌────────────────┬─────────┬─────────┬── ─ ─┬─────────┬───────────┬─────────────────
//!     │ header, 4 KiB  │ batch   │ batch   │      │ batch   │ tail mark │ reserve (zeros)
//!     └────────────────┴─────────┴─────────┴── ─ ─┴─────────┴───────────┴─────────────────
//! ```

mod active;
mod checkpoint;
mod digest;
mod fields;
mod frame;
mod handle;
mod header;
pub(crate) mod index;
mod name;
mod opened;
#[cfg(any(test, fuzzing))]
pub(crate) mod oracle;
mod prepared;
mod reserve;
mod seal;
mod shelf;
mod tail;
mod tail_mark;
mod walk;

pub(crate) use active::{ActiveSegment, Room, SealedTail, punch_beyond};
pub(crate) use checkpoint::Checkpoint;
pub(crate) use digest::Digest;
pub use handle::Segment;
pub(crate) use handle::{SegmentAccess, SegmentParts, read_header};
pub(crate) use prepared::{PreparedSegment, SegmentPlan, SegmentWrite, sync_name};
pub(crate) use reserve::ReserveSteps;
pub(crate) use seal::Seal;
pub(crate) use shelf::{Hold, Shelf};
pub(crate) use walk::{Step, Stop, Track, Walk, read_range, walk};

pub(crate) use fields::Fields;
pub(crate) use frame::{FRAME_LEN, Frame, FrameFlaw};
pub(crate) use header::{
    FRAME as SEGMENT_FRAME, HeaderFlaw, Layout, Origin, SEGMENT_HEADER_LEN, SegmentHeader,
};
pub(crate) use index::{INDEX_INTERVAL_BYTES, Index, IndexEntry, IndexOwner, IndexWriter};
pub(crate) use name::FileName;
pub(crate) use opened::Opened;
pub(crate) use tail_mark::{TAIL_MARK_LEN, TailMark};
