//! The consumer groups of an open broker: carries events to their coordinators and keeps what they commit.
//!
//! ```text
//!     Member ──poll, gave_up, commit, leave──▶ Group ──▶ Coordinator       pure; see `group::coordinator`
//!        ▲                                       │  └──▶ OffsetStore ──▶ Book ──▶ __consumer_offsets
//!        └──────────── Seat: called, waker ◀─────┘
//!     timers thread, or `maintain` ──▶ Groups: expiry, changed topics, held commits
//!     disk thread, or `maintain`   ──▶ OffsetStore::tidy: expired offsets, snapshots
//! ```
//!
//! Locks, in the order in which they are taken: a member's own, a group's, the book's, then that of the broker's topics
//! or a partition's. Wakers are called when all of them are gone but a member's own, which no waker can come to: a
//! consumer is not shared.

mod administration;
mod book;
mod committing;
mod group;
mod member;
mod registry;
mod seat;
mod store;
#[cfg(test)]
mod tests;

pub(super) use registry::Groups;
