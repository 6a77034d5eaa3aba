//! The units the floors speak in: offsets, positions, timestamps, identities.
//!
//! An [`Offset`] counts records, a [`Position`] counts bytes in one file, a [`Timestamp`] counts
//! milliseconds. They are types of their own so that no floor can hand one where another is meant.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The number of a record in its partition, counted from 0.
///
/// Ends are exclusive: a log's end offset is the number its next record will get. The largest offset is
/// `i64::MAX`, which is also Kafka's.
///
/// ```
/// use annals::Offset;
/// let first = Offset::ZERO;
/// assert_eq!(first.next(), Offset::new(1).unwrap());
/// assert!(Offset::new(u64::MAX).is_none());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(u64);

impl Offset {
    /// The first offset of every partition.
    pub const ZERO: Self = Self(0);
    /// The largest offset, `i64::MAX`.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// The offset with this number; none above `i64::MAX`.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The offset after this one; the largest stays where it is.
    #[must_use]
    pub const fn next(self) -> Self {
        self.saturating_add(1)
    }

    /// The offset `count` records on; none past the largest.
    #[must_use]
    pub const fn checked_add(self, count: u64) -> Option<Self> {
        match self.0.checked_add(count) {
            Some(sum) => Self::new(sum),
            None => None,
        }
    }

    /// The offset `count` records on, or the largest.
    #[must_use]
    pub const fn saturating_add(self, count: u64) -> Self {
        match self.checked_add(count) {
            Some(sum) => sum,
            None => Self::MAX,
        }
    }

    /// How many offsets lie from `earlier` (inclusive) to this one (exclusive).
    ///
    /// 0 when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u32> for Offset {
    fn from(number: u32) -> Self {
        Self(u64::from(number))
    }
}

impl TryFrom<u64> for Offset {
    type Error = crate::Error;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        Self::new(number).ok_or_else(|| {
            crate::Error::new(
                crate::ErrorKind::InvalidInput,
                format!("offset {number} is above the largest, {}", Self::MAX),
            )
        })
    }
}

impl From<Offset> for u64 {
    fn from(offset: Offset) -> Self {
        offset.0
    }
}

/// A byte's place in one segment file. Segment files stay below 4 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u32);

impl Position {
    /// The first byte of a file.
    pub const ZERO: Self = Self(0);

    /// The position of byte `at`.
    #[must_use]
    pub const fn new(at: u32) -> Self {
        Self(at)
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number as file calls want it.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        self.0 as u64
    }

    /// The position `len` bytes on; none at 4 GiB or above.
    #[must_use]
    pub fn checked_add(self, len: usize) -> Option<Self> {
        u32::try_from(len).ok().and_then(|len| self.0.checked_add(len)).map(Self)
    }

    /// This position or the next multiple of 8, where batches begin.
    ///
    /// None at 4 GiB or above.
    #[must_use]
    pub fn checked_align(self) -> Option<Self> {
        self.0.checked_next_multiple_of(8).map(Self)
    }

    /// How many bytes lie from `earlier` (inclusive) to this one (exclusive).
    ///
    /// 0 when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u64> for Position {
    type Error = std::num::TryFromIntError;

    fn try_from(at: u64) -> Result<Self, Self::Error> {
        u32::try_from(at).map(Self)
    }
}

/// A point in time: milliseconds since the Unix epoch, as Kafka counts them. May be negative.
///
/// ```
/// use annals::Timestamp;
/// use std::time::{Duration, UNIX_EPOCH};
/// let t = Timestamp::from(UNIX_EPOCH + Duration::from_secs(2));
/// assert_eq!(t.as_millis(), 2_000);
/// assert_eq!(t.to_system_time(), Some(UNIX_EPOCH + Duration::from_secs(2)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest timestamp there is.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest timestamp there is.
    pub const MAX: Self = Self(i64::MAX);

    /// The timestamp this many milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The same moment as the standard library's clock type; none where that cannot express it.
    #[must_use]
    pub fn to_system_time(self) -> Option<SystemTime> {
        let distance = Duration::from_millis(self.0.unsigned_abs());
        if self.0 >= 0 { UNIX_EPOCH.checked_add(distance) } else { UNIX_EPOCH.checked_sub(distance) }
    }

    /// The timestamp `duration` later, or the latest.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The timestamp `duration` earlier, or the earliest.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl From<SystemTime> for Timestamp {
    /// Rounds down to the millisecond; a time the type cannot hold becomes the nearest it can.
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self(i64::try_from(after.as_millis()).unwrap_or(i64::MAX)),
            Err(before) => {
                let nanos = before.duration().as_nanos();
                Self(i64::try_from(nanos.div_ceil(1_000_000)).map_or(i64::MIN, |millis| -millis))
            }
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// The identity of a topic, drawn once when it is created and never used again.
///
/// Segments carry it, so that a topic that is deleted and created anew under the same name never meets the
/// data of the one before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId([u8; 16]);

impl TopicId {
    /// The identity with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, as they lie on disk.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for TopicId {
    /// As a UUID is written: `8-4-4-4-12` hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_before_the_epoch_round_down() {
        let t = UNIX_EPOCH - Duration::from_micros(1_500);
        assert_eq!(Timestamp::from(t).as_millis(), -2);
        assert_eq!(Timestamp::from_millis(-2).to_system_time(), Some(UNIX_EPOCH - Duration::from_millis(2)));
    }

    #[test]
    fn offsets_stop_at_the_largest() {
        assert_eq!(Offset::MAX.next(), Offset::MAX);
        assert_eq!(Offset::MAX.checked_add(1), None);
        assert!(Offset::try_from(u64::MAX).is_err());
        assert_eq!(Offset::from(7).since(Offset::from(9)), 0);
    }

    #[test]
    fn positions_align_upward_and_stop_below_4_gib() {
        assert_eq!(Position::new(9).checked_align(), Some(Position::new(16)));
        assert_eq!(Position::new(16).checked_align(), Some(Position::new(16)));
        assert_eq!(Position::new(u32::MAX).checked_align(), None);
        assert_eq!(Position::new(1).checked_add(usize::MAX), None);
    }

    #[test]
    fn a_topic_id_reads_as_a_uuid() {
        let id = TopicId::from_bytes([0x0f; 16]);
        assert_eq!(id.to_string(), "0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f");
    }
}
