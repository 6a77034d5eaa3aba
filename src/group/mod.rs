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
//!                                                  Assignment, checked
//!                                                        │
//!     join, poll, gave up, leave, time ──▶ Coordinator: targets against holdings
//!                                              │ may commit?
//!     commit, expiry, deletion ──▶ Entry ──▶ Ledger, and the records of __consumer_offsets
//! ```

mod assignor;
pub(crate) mod coordinator;
mod description;
mod generation;
pub(crate) mod name;
pub(crate) mod offsets;
mod state;
pub(crate) mod wire;

pub use assignor::{
    Assignment, Assignor, CooperativeSticky, GroupSubscription, Handover, Range, RebalanceProtocol,
    RoundRobin, Sticky, Subscription,
};
pub use description::{GroupDescription, GroupListing, GroupPartition, MemberDescription};
pub use generation::Generation;
pub use offsets::CommittedOffset;
pub use state::GroupState;
