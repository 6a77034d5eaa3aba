//! The units the floors speak in: offsets, positions, timestamps, identities.
//!
//! An [`Offset`] counts records, a [`Position`] counts bytes in one file, a [`Timestamp`] counts
//! milliseconds. They are types of their own so that no floor can hand one where another is meant.

use crate::{Error, ErrorKind};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
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
/// assert_eq!("42".parse::<Offset>()?, Offset::from(42));
/// # Ok::<(), annals::Error>(())
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
    type Error = Error;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        let refused = || invalid(format!("offset {number} is above the largest, {}", Self::MAX));
        Self::new(number).ok_or_else(refused)
    }
}

impl FromStr for Offset {
    type Err = Error;

    /// Reads what `Display` writes: digits alone.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = digits(text).and_then(|digits| digits.parse().ok()).and_then(Self::new);
        number.ok_or_else(|| invalid(format!("{} is no offset: digits, up to {}", shown(text), Self::MAX)))
    }
}

impl From<Offset> for u64 {
    fn from(offset: Offset) -> Self {
        offset.0
    }
}

impl Error {
    /// A reader's answer where records were lost to damage, and where salvage has given them up.
    pub(crate) fn lost(range: Range<Offset>) -> Self {
        Self::of_lost_numbers(range.start.0..range.end.0)
    }

    /// The offsets that were lost to damage, when that is what the error says. A reader that is asked again
    /// goes on behind them.
    #[must_use]
    pub fn lost_range(&self) -> Option<Range<Offset>> {
        self.lost_numbers().map(|lost| Offset(lost.start)..Offset(lost.end))
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

/// `text` if it is digits alone: no sign, no blanks.
pub(crate) fn digits(text: &str) -> Option<&str> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text)
}

/// How many characters of a text that was refused are repeated in the error.
const SHOWN_MAX: usize = 300;

/// What was refused, in quotes. It may come from anywhere, so no more of it is repeated than helps.
pub(crate) fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(SHOWN_MAX).collect::<String>())
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
    type Error = Error;

    fn try_from(at: u64) -> Result<Self, Self::Error> {
        let refused = |_| invalid(format!("position {at} is above the largest, {}", u32::MAX));
        u32::try_from(at).map(Self).map_err(refused)
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
///
/// ```
/// use annals::TopicId;
/// let id: TopicId = "123e4567-e89b-12d3-a456-426614174000".parse()?;
/// assert_eq!(id.to_bytes()[..4], [0x12, 0x3e, 0x45, 0x67]);
/// assert_eq!(id.to_string(), "123e4567-e89b-12d3-a456-426614174000");
/// # Ok::<(), annals::Error>(())
/// ```
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

impl FromStr for TopicId {
    type Err = Error;

    /// Reads what `Display` writes; letters may be large or small.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || invalid(format!("{} is no topic id: 8-4-4-4-12 hexadecimal digits", shown(text)));
        let mut parts = text.split('-');
        let mut bytes = Vec::with_capacity(16);
        for len in [8, 4, 4, 4, 12] {
            let part = parts.next().filter(|part| part.len() == len).ok_or_else(refused)?;
            for pair in part.as_bytes().chunks(2) {
                bytes.push(byte(pair).ok_or_else(refused)?);
            }
        }
        let bytes: Option<[u8; 16]> = if parts.next().is_none() { bytes.try_into().ok() } else { None };
        bytes.map(Self).ok_or_else(refused)
    }
}

/// The byte that two hexadecimal digits stand for.
fn byte(pair: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
    u8::try_from(digit(0)? << 4 | digit(1)?).ok()
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
    fn a_topic_id_reads_as_a_uuid_and_is_read_from_one() {
        let id = TopicId::from_bytes([0x0f; 16]);
        assert_eq!(id.to_string(), "0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f");
        assert_eq!("0F0f0f0f-0f0f-0F0F-0f0f-0f0f0f0f0f0f".parse::<TopicId>().expect("it is one"), id);
        for refused in [
            "",
            "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
            "0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f",
            "0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f-",
            "0f0f0f-0f0f0f-0f0f-0f0f-0f0f0f0f0f0f",
            "0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f+f",
            "0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0g",
            "\u{e4}f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f",
        ] {
            let error = refused.parse::<TopicId>().expect_err(refused);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
    }

    #[test]
    fn an_offset_is_read_from_digits_alone() {
        for offset in [Offset::ZERO, Offset::from(42), Offset::MAX] {
            assert_eq!(offset.to_string().parse::<Offset>().expect("it is one"), offset);
        }
        for refused in ["", "+1", "-1", " 1", "1.0", "9223372036854775808", "99999999999999999999", "latest"]
        {
            let error = refused.parse::<Offset>().expect_err(refused);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
        let long = "9".repeat(1 << 20).parse::<Offset>().expect_err("it is too long");
        assert!(long.to_string().len() < 500, "no more of it is repeated than helps");
    }

    #[test]
    fn what_is_too_large_for_a_unit_is_invalid_input() {
        let offset = Offset::try_from(1_u64 << 63).expect_err("it is above the largest");
        let position = Position::try_from(1_u64 << 32).expect_err("it is above the largest");
        assert_eq!((offset.kind(), position.kind()), (ErrorKind::InvalidInput, ErrorKind::InvalidInput));
        assert_eq!(position.to_string(), "position 4294967296 is above the largest, 4294967295");
    }

    #[test]
    fn an_error_tells_the_offsets_that_were_lost() {
        let lost = Offset::from(3)..Offset::from(5);
        let error = Error::lost(lost.clone());
        assert_eq!(error.lost_range(), Some(lost.clone()));
        assert_eq!(error.at_partition("orders", 1).lost_range(), Some(lost));
        assert_eq!(invalid(String::new()).lost_range(), None);
    }
}
