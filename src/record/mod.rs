//! Records and the batches they are stored in: the format, its builder, its verified views.
//!
//! ```text
//!     Record ──Batch::from_records──▶ Batch ──stamp──▶ bytes in a segment
//!     (borrows)                       (one buffer)         │
//!                                                    verify_chunk, on a copy
//!                                                          │
//!     RecordRef ◀──(&records).into_iter()── Records ◀──────┘
//!     OwnedRecord ◀──records.into_iter()──  (shares the buffer)
//! ```
//!
//! The bytes are described once, in `docs/format.md`, which is [the format](self::format).

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "bytes from a disk are not to be trusted"
    )
)]

mod batch;
mod batch_header;
mod builder;
mod check;
mod checksum;
mod chunk;
mod flaw;
mod flip;
mod header;
mod limits;
#[cfg(any(test, fuzzing))]
pub(crate) mod oracle;
mod owned;
mod pen;
mod records;
mod section;
mod shown;
mod varint;
mod verify;
mod view;

pub use batch::Batch;
pub use header::Header;
pub use limits::BatchLimits;
pub use owned::{OwnedRecord, RecordsIntoIter};
pub use records::{Records, RecordsIter};
pub use view::RecordRef;

pub(crate) use {
    batch::{Stamp, Times, stamp_verified},
    batch_header::{BatchHeader, HEADER_LEN},
    builder::{BatchBuilder, len_bound},
    check::{Place, check},
    checksum::crc32,
    chunk::{Damage, Verified, verify_chunk, verify_compacted_chunk},
    flaw::Flaw,
    flip::one_bit_from_good,
    verify::{looks_like_batch, read_batch},
};

use crate::Timestamp;
use shown::Shown;
use std::fmt;

/// Bytes at multiples of which batches begin.
pub(crate) const BATCH_ALIGN: usize = 8;

/// A record to be appended or sent. It borrows everything; what takes it copies.
///
/// ```
/// use annals::{Record, Timestamp};
/// let plain = Record::new("42");
/// let full = Record::new(&[1_u8, 2, 3])
///     .key("alice")
///     .header("trace", "7f")
///     .null_header("dry-run")
///     .timestamp(Timestamp::from_millis(1_357_034_400_000));
/// let deleted = Record::tombstone().key("alice");
/// # let _ = (plain, full, deleted);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Record<'a> {
    key: Option<&'a [u8]>,
    /// None: a tombstone, which is not the empty value.
    value: Option<&'a [u8]>,
    headers: Vec<Header<'a>>,
    /// None: the time at which the record's batch is built.
    timestamp: Option<Timestamp>,
}

impl<'a> Record<'a> {
    /// A record with this value, which may be empty, and no key.
    #[must_use]
    pub fn new(value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self { value: Some(value.as_ref()), ..Self::default() }
    }

    /// A record without a value: on a compacted topic, "forget this key".
    #[must_use]
    pub fn tombstone() -> Self {
        Self::default()
    }

    /// Sets the key. The empty key is a key; without this call there is none.
    #[must_use]
    pub fn key(mut self, key: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.key = Some(key.as_ref());
        self
    }

    /// Adds a header. Names may repeat; the order is kept.
    #[must_use]
    pub fn header(mut self, name: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.headers.push(Header::new(name, Some(value.as_ref())));
        self
    }

    /// Adds a header that has a name and no value, not even an empty one.
    #[must_use]
    pub fn null_header(mut self, name: &'a str) -> Self {
        self.headers.push(Header::new(name, None));
        self
    }

    /// Sets the record's own time. Default: the moment its batch is built.
    #[must_use]
    pub fn timestamp(mut self, timestamp: Timestamp) -> Self {
        self.timestamp = Some(timestamp);
        self
    }
}

impl Record<'_> {
    pub(crate) fn key_bytes(&self) -> Option<&[u8]> {
        self.key
    }

    pub(crate) fn value_bytes(&self) -> Option<&[u8]> {
        self.value
    }

    pub(crate) fn own_timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("key", &self.key.map(Shown))
            .field("value", &self.value.map(Shown))
            .field("headers", &self.headers)
            .field("timestamp", &self.timestamp)
            .finish()
    }
}

impl<'a> From<RecordRef<'a>> for Record<'a> {
    /// The same key, value, headers and timestamp, to be appended elsewhere.
    fn from(record: RecordRef<'a>) -> Self {
        Self {
            key: record.key(),
            value: (!record.is_tombstone()).then(|| record.value()),
            headers: record.headers().collect(),
            timestamp: Some(record.timestamp()),
        }
    }
}

#[doc = include_str!("../../docs/format.md")]
pub mod format {}

#[cfg(test)]
mod tests;
