//! Consumer groups: which member of a group reads which partition.
//!
//! Everything here is pure: a function, or a state machine, of what is known. Nothing waits, writes or asks
//! for the time; the broker does that.
//!
//! ```text
//!     members, subscriptions, what each owned ─┐
//!     topics, partition counts ────────────────┴▶ GroupSubscription
//!                                                        │
//!                                         Assignor: Range, or a user's own
//!                                                        │
//!                  checked ◀─────────────────────── Assignment ──▶ Handover: what moves waits for its
//!                                                                  old owner (cooperative)
//! ```

mod assignor;
mod generation;

pub use assignor::{
    Assignment, Assignor, GroupSubscription, Handover, Range, RebalanceProtocol, Subscription,
};
pub use generation::Generation;
