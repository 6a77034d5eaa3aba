//! Consumer groups: which member of a group reads which partition.
//!
//! Everything here is pure: a function, or a state machine, of what is known. Nothing waits, writes or asks
//! for the time; the broker does that.
//!
//! ```text
//!     members, subscriptions, what each owned ─┐
//!     topics, partition counts ────────────────┴▶ GroupSubscription
//!                                                        │
//!                                                     Assignor    Range, RoundRobin, Sticky,
//!                                                        │        CooperativeSticky, a user's own
//!                                                        ▼
//!     in one generation ◀──eager── checked ◀─────── Assignment
//!     in two, for what moves ◀──cooperative── Handover ◀─┘
//! ```

mod assignor;
mod generation;

pub use assignor::{
    Assignment, Assignor, CooperativeSticky, GroupSubscription, Handover, Range, RebalanceProtocol,
    RoundRobin, Sticky, Subscription,
};
pub use generation::Generation;
