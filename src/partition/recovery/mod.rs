//! What is done with a partition that is found on the disk: the rules.
//!
//! ```text
//!     walk ──▶ Facts ──decide──▶ Decision ──▶ refuse │ append in place │ copy │ cut and copy │ salvage
//! ```

mod table;
mod tear;

pub(crate) use table::{
    Act, Committed, Decision, End, Facts, Later, Loss, Read, Refusal, Rest, Salvage, Segments, SlotAct,
    Slots, Version, decide,
};
pub(crate) use tear::is_tear;
