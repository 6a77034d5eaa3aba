//! Why bytes are not a good batch.

use crate::{ErrorKind, Offset};

/// What is wrong with the bytes at a place where a batch should begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    /// Nothing was written here.
    #[error("zero bytes where a batch's header should be")]
    Blank,
    /// The bytes end early. The length is proved by the check word; only where fewer than 12 bytes are there
    /// to be looked at is it not, and `needed` is a header.
    #[error("the bytes end early: {needed} bytes are needed")]
    Incomplete { needed: usize },
    /// The check word or the bounds of the length say that no batch was stored here.
    #[error(
        "no batch was stored here: length {length}, check word {found:#010x} where this place has {expected:#010x}"
    )]
    NotABatch { length: u32, expected: u32, found: u32 },
    /// A batch was stored here, and some of its bytes have changed.
    #[error("checksum {found:#010x} over bytes that have {expected:#010x}")]
    Checksum { expected: u32, found: u32 },
    /// The checksum holds and the field is out of its bounds: whoever wrote it was wrong.
    #[error("field `{name}` holds {found}, which is out of its bounds")]
    Field { name: &'static str, found: u64 },
    /// Attribute bits that this version does not know.
    #[error("attributes {attributes:#06x} have bits of a newer version")]
    Newer { attributes: u16 },
    /// The checksum holds and the records section is not one.
    #[error("record {index} of the batch: {what}")]
    Records { index: u32, what: &'static str },
    /// A good batch, of other offsets than belong here.
    #[error("base offset {found} where {expected} was expected")]
    Offset { expected: Offset, found: Offset },
    /// A good batch, of an earlier leader than the batch before it.
    #[error("leader epoch {found} after {previous}")]
    Epoch { previous: u32, found: u32 },
    /// A good batch whose records cannot be read.
    #[error("the records are compressed with {codec}, which this build cannot read")]
    Compressed { codec: &'static str },
}

impl Flaw {
    /// What a caller who needs the batch can do about it.
    pub(crate) const fn kind(&self) -> ErrorKind {
        match self {
            Self::Newer { .. } | Self::Compressed { .. } => ErrorKind::Unsupported,
            _ => ErrorKind::Corrupt,
        }
    }
}
