//! Consumers: who reads partitions, fairly, and sleeps while there is nothing.
//!
//! ```text
//!     Consumer ── poll, recv, stream, commit
//!        │
//!        ├──▶ Membership   lost, revoked, assigned ──▶ lanes out and in ──▶ listener; commits
//!        ├──▶ Lanes     queue of those that have something ──▶ ConsumerRecords
//!        │      ├─ Lane orders-0   position ─▶ Reader   while there is something to read
//!        │      └─ Lane orders-1   position ─▶ Watch    while there is not ──rings──┐
//!        └──▶ Bell ◀───────────────────────────────── wakeup ───────────────────────┘
//! ```

mod alarm;
mod auto_commit;
mod closing;
mod commit;
mod group_options;
mod handle;
mod lane;
mod lanes;
mod limits;
mod membership;
mod options;
mod rebalance;
mod records;
mod reset;
mod stream;
mod wakeup;

pub use commit::OffsetAndMetadata;
pub use handle::Consumer;
pub use options::ConsumerOptions;
pub use rebalance::{PartitionsAssigned, PartitionsRevoked, Rebalance};
pub use records::{
    ConsumerRecord, ConsumerRecords, ConsumerRecordsIntoIter, ConsumerRecordsIter, OwnedConsumerRecord,
};
pub use reset::Reset;
pub use stream::ConsumerStream;
pub use wakeup::Wakeup;
