//! The door to everything that threads share: locks, and the small publish points built on atomics.
//!
//! All other floors take their locks and atomics from here, so that a model checker can stand in for them.
//!
//! ```text
//!     writer --store bytes--> file --Publisher::advance--> Published::get --> readers
//! ```

mod bell;
mod budget;
mod gate;
mod group_commit;
#[cfg(all(test, annals_loom))]
mod interleavings;
mod outcome;
mod pending;
mod planted;
mod primitives;
mod published;
mod relay;
mod restarts;
mod table;
mod wake;

pub(crate) use bell::{Bell, Rope};
pub(crate) use budget::{Budget, PlaceInLine};
pub(crate) use gate::{Gate, Ticket};
pub(crate) use group_commit::{GroupCommit, Leader};
pub(crate) use outcome::{Audience, Outcome};
pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};
pub use pending::Pending;
pub(crate) use pending::{Deadline, Place, Progress, Promise, Share, block_on};
#[cfg(annals_planted)]
pub use planted::Bug;
#[cfg(not(annals_planted))]
pub(crate) use planted::Bug;
pub(crate) use planted::planted;
pub use published::{Published, Publisher};
pub(crate) use relay::{Carrier, Left, Relay, Stage};
pub(crate) use restarts::Goal;
pub(crate) use std::sync::OnceLock;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
pub(crate) use table::Table;
#[cfg(test)]
pub(crate) use wake::Count;
pub(crate) use wake::wake_each;
