//! A partition: one writer, many readers, and what must be known to find its records again.
//!
//! ```text
//!                    ┌───────────────── Shared ─────────────────┐
//!     append ──────▶ │ Writer   append lock, active segment     │
//!     wait, await ─▶ │ GroupCommit   who syncs, for whom        │ ──▶ segment ──▶ io
//!     Reader ──────▶ │ View     immutable, replaced whole       │
//!     maintain ────▶ │ Admin    manifest; roll, delete, cut     │
//!                    └──────────────────────────────────────────┘
//!     open ──▶ recovery ──▶ all of the above
//! ```
//!
//! In every partition (ends are exclusive: the next offset to be written):
//!
//! ```text
//!     log_start_offset <= durable_offset <= log_end_offset
//! ```

mod account;
mod appended;
mod closing;
mod deletion;
mod due;
mod entropy;
mod follower;
mod handle;
mod landmark;
mod lookup;
pub(crate) mod manifest;
mod on_damage;
mod opening;
mod options;
mod policy;
mod reader;
mod recovery;
mod recovery_point;
mod removal;
mod resting;
mod retention;
mod retention_clock;
mod roll;
mod round;
mod shared;
pub(crate) mod slots;
mod space;
mod start_at;
mod state;
mod stats;
mod truncation;
mod verify;
mod view;
mod waiting;
mod writer;

pub(crate) use account::{Account, Booking, Books, Shedder};
pub use appended::Appended;
pub(crate) use appended::{Remaining, StoredBatch};
pub(crate) use entropy::Entropy;
pub use follower::Follower;
pub use handle::Partition;
pub(crate) use landmark::Landmark;
pub use lookup::TimedOffset;
pub use on_damage::OnDamage;
pub(crate) use opening::Absence;
pub(crate) use opening::take_lock;
pub(crate) use options::check_sizes;
pub use options::{
    Durability, Maintenance, PartitionOptions, ReadLevel, ReadMode, TimestampSource, WriteMode,
};
pub use reader::Reader;
pub(crate) use recovery::refused_bytes;
pub use recovery::{RecoveryOutcome, RecoveryReport, TornBytes};
pub(crate) use removal::remove_partition;
pub use retention::Retention;
pub(crate) use retention_clock::RetentionClock;
pub(crate) use space::new_partition_bytes;
pub use start_at::StartAt;
pub use stats::PartitionStats;
pub use verify::{DamagedPlace, VerifyReport};
pub(crate) use waiting::Lookout;

/// [format.md]: mod@crate::format
#[doc = include_str!("../../docs/durability.md")]
pub mod durability {}
