//! Sizes and durations as people write them.

use jiff::{SignedDuration, Span, SpanRelativeTo};
use std::time::Duration;

/// Units of bytes; the letters alone count in powers of two as well.
const UNITS: [(&str, u64); 10] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("T", 1 << 40),
    ("B", 1),
    ("", 1),
];

/// A number of bytes: `1048576`, `64MiB`, `64M`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let factor = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor);
    let number = digits.trim_end().parse::<u64>().ok();
    number
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .ok_or_else(|| "expected a number of bytes, as in 1048576, 64MiB or 10GiB".to_owned())
}

/// A number of bytes that has 32 bits.
pub(crate) fn bytes_u32(text: &str) -> Result<u32, String> {
    u32::try_from(bytes(text)?).map_err(|_| "expected less than 4GiB".to_owned())
}

/// A duration: `500ms`, `90s`, `7d 12h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let span = text.parse::<Span>().ok();
    let length = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    length
        .and_then(|length: SignedDuration| Duration::try_from(length).ok())
        .ok_or_else(|| "expected a duration, as in 500ms, 90s, 12h or 7d".to_owned())
}

/// Bytes in the largest unit that leaves a number from 1 on.
pub(crate) fn show_bytes(bytes: u64) -> String {
    let unit = UNITS.get(..4).unwrap_or_default().iter().rev().find(|(_, factor)| bytes >= *factor);
    match unit {
        None => format!("{bytes} B"),
        Some((name, factor)) if bytes.is_multiple_of(*factor) => format!("{} {name}", bytes / factor),
        Some((name, factor)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(*factor);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
    }
}

/// A duration in whole units.
pub(crate) fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms")];
    let whole = units.iter().find(|(factor, _)| millis >= *factor && millis.is_multiple_of(*factor));
    let (factor, unit) = whole.copied().unwrap_or((1, "ms"));
    format!("{} {unit}", millis / factor)
}

/// A count with its digits in groups: 1,000,000.
pub(crate) fn show_count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, expected) in
            [("0", 0), ("17", 17), ("1k", 1 << 10), ("64MiB", 64 << 20), ("10 GiB", 10 << 30), ("3B", 3)]
        {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for wrong in ["", "MiB", "-1", "1.5G", "1X", "99999999999T", "1 2"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
        assert!(bytes_u32("4GiB").is_err());
        for (count, text) in
            [(17, "17 B"), (64 << 20, "64 MiB"), (1_536, "1.5 KiB"), (u64::MAX, "16777215.9 TiB")]
        {
            assert_eq!(show_bytes(count), text);
        }
        assert_eq!([show_count(7), show_count(1_234), show_count(1_000_000)], ["7", "1,234", "1,000,000"]);
    }

    #[test]
    fn durations_are_read_and_written() {
        for (text, seconds, shown) in [
            ("90s", 90, "90 s"),
            ("7d", 7 * 86_400, "7 d"),
            ("1d 12h", 36 * 3_600, "36 h"),
            ("2min", 120, "2 min"),
        ] {
            let found = duration(text);
            assert_eq!(found, Ok(Duration::from_secs(seconds)), "{text}");
            assert_eq!(found.map(show_duration), Ok(shown.to_owned()));
        }
        assert_eq!(duration("1500ms").map(show_duration), Ok("1500 ms".to_owned()));
        for wrong in ["", "7", "-7d", "1mo", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
