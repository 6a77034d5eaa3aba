//! An embeddable commit log: Kafka's model as a library.

pub mod clock;
mod error;
pub mod io;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod oracle;
#[allow(dead_code, unused_imports, reason = "the floors above are being built")]
mod partition;
mod record;
#[allow(dead_code, unused_imports, reason = "the floors above are being built")]
mod segment;
mod sync;
mod units;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use error::{Error, ErrorKind, Result};
pub use record::{Batch, BatchLimits, Header, OwnedRecord, Record, RecordRef, Records, format};
pub use sync::{Published, Publisher};
pub use units::{Offset, Position, Timestamp, TopicId};
