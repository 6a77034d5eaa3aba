//! A segment: one log file and the two sparse indexes over it.
//!
//! ```text
//!     00000000000000004200.log
//!     ┌────────────────┬─────────┬─────────┬── ─ ─┬─────────┬───────────┬─────────────────
//!     │ header, 4 KiB  │ batch   │ batch   │      │ batch   │ tail mark │ reserve (zeros)
//!     └────────────────┴─────────┴─────────┴── ─ ─┴─────────┴───────────┴─────────────────
//! ```

mod fields;
mod frame;
mod header;
pub(crate) mod index;
mod name;
#[cfg(any(test, fuzzing))]
pub(crate) mod oracle;
mod tail_mark;

pub(crate) use fields::Fields;
pub(crate) use frame::{FRAME_LEN, Frame, FrameFlaw};
pub(crate) use header::{HeaderFlaw, Layout, SEGMENT_HEADER_LEN, SegmentHeader};
pub(crate) use index::{
    EncodedIndex, INDEX_INTERVAL_BYTES, Index, IndexEntry, IndexFlaw, IndexOwner, IndexWriter,
};
pub(crate) use name::FileName;
pub(crate) use tail_mark::{TAIL_MARK_LEN, TailMark, TailMarkFlaw};
