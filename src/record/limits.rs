//! How large a batch and its parts may be.

use crate::{Error, ErrorKind, Result};

/// Headers that one record may carry.
pub(crate) const HEADER_COUNT_MAX: usize = 65_535;

/// Records that one batch may carry: Kafka counts them in an `i32`, and so do the offset deltas.
pub(crate) const RECORD_COUNT_MAX: u32 = i32::MAX.cast_unsigned();

/// The largest batch that is built or accepted.
///
/// ```
/// use annals::BatchLimits;
/// let limits = BatchLimits::new(64 * 1024)?;
/// assert_eq!(limits.bytes_max(), 65_536);
/// assert_eq!(BatchLimits::default().bytes_max(), 1 << 20);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    bytes_max: u32,
}

impl BatchLimits {
    /// The least that can be set: 1 KiB.
    pub const BYTES_MAX_LEAST: u32 = 1 << 10;
    /// The most that can be set: 1 GiB.
    pub const BYTES_MAX_MOST: u32 = 1 << 30;

    /// A batch, as stored, has at most `bytes_max` bytes. Default 1 MiB; 1 KiB to 1 GiB.
    ///
    /// That is for batches on their own. Every log takes batches of at most 64 MiB, and of no more than its own
    /// [`batch_bytes_max`](crate::PartitionOptions::batch_bytes_max).
    ///
    /// # Errors
    /// `InvalidInput` when `bytes_max` is outside its bounds.
    pub fn new(bytes_max: u32) -> Result<Self> {
        if (Self::BYTES_MAX_LEAST..=Self::BYTES_MAX_MOST).contains(&bytes_max) {
            return Ok(Self { bytes_max });
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!(
                "a largest batch of {bytes_max} bytes: it must be from {} to {} bytes",
                Self::BYTES_MAX_LEAST,
                Self::BYTES_MAX_MOST
            ),
        ))
    }

    /// What is stored may have been stored under any limit.
    pub(crate) const fn most() -> Self {
        Self { bytes_max: Self::BYTES_MAX_MOST }
    }

    /// The most bytes a batch may have, its header included, as it is stored.
    #[must_use]
    pub const fn bytes_max(&self) -> u32 {
        self.bytes_max
    }

    /// # Errors
    /// `TooLarge` when a batch of `len` bytes is above the limit.
    #[inline]
    pub(crate) fn admit(&self, len: usize) -> Result<()> {
        if u32::try_from(len).is_ok_and(|len| len <= self.bytes_max) { Ok(()) } else { Err(self.refuse(len)) }
    }

    #[cold]
    fn refuse(&self, len: usize) -> Error {
        let message = format!("batch of {len} bytes or more: the limit is {} bytes", self.bytes_max);
        Error::new(ErrorKind::TooLarge, message)
    }
}

impl Default for BatchLimits {
    /// 1 MiB.
    fn default() -> Self {
        Self { bytes_max: 1 << 20 }
    }
}
