//! The names of a partition's segment files, read back strictly: what is not exactly ours is foreign.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use crate::Offset;
use std::fmt;

/// One of our file names.
///
/// Written with [`fmt::Display`]; what [`FileName::parse`] accepts is written back byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum FileName {
    /// The log that begins with this offset.
    Log(Offset),
    /// Its offset index.
    Index(Offset),
    /// Its time index.
    TimeIndex(Offset),
    /// A log whose first offset is not known yet, or whose new name has not been given yet.
    Next { sequence: u64 },
    /// What recovery cut off the log with this sequence at this byte, kept aside.
    Torn { sequence: u64, position: u32 },
}

impl FileName {
    /// What `name` stands for; none for a file that is not ours.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let parsed = if let Some(sequence) = name.strip_prefix("next-") {
            Self::Next { sequence: sequence.parse().ok()? }
        } else if let Some(torn) = name.strip_prefix("torn-") {
            let (sequence, position) = torn.split_once('-')?;
            Self::Torn { sequence: sequence.parse().ok()?, position: position.parse().ok()? }
        } else {
            let (digits, extension) = name.split_once('.')?;
            let offset = Offset::new(digits.parse().ok()?)?;
            match extension {
                "log" => Self::Log(offset),
                "index" => Self::Index(offset),
                "timeindex" => Self::TimeIndex(offset),
                _ => return None,
            }
        };
        // The parser of the standard library is lenient (signs, any number of zeros); the name must be ours.
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(offset) => write!(f, "{:020}.log", offset.get()),
            Self::Index(offset) => write!(f, "{:020}.index", offset.get()),
            Self::TimeIndex(offset) => write!(f, "{:020}.timeindex", offset.get()),
            Self::Next { sequence } => write!(f, "next-{sequence}"),
            Self::Torn { sequence, position } => write!(f, "torn-{sequence}-{position}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_what_the_format_says() {
        let offset = Offset::from(4200);
        assert_eq!(FileName::Log(offset).to_string(), "00000000000000004200.log");
        assert_eq!(FileName::Index(offset).to_string(), "00000000000000004200.index");
        assert_eq!(FileName::TimeIndex(offset).to_string(), "00000000000000004200.timeindex");
        assert_eq!(FileName::Next { sequence: 7 }.to_string(), "next-7");
        assert_eq!(FileName::Torn { sequence: 7, position: 8192 }.to_string(), "torn-7-8192");
        let largest = "09223372036854775807.log";
        assert_eq!(FileName::parse(largest), Some(FileName::Log(Offset::MAX)));
    }

    #[test]
    fn what_is_not_exactly_ours_is_foreign() {
        let foreign = [
            "",
            ".log",
            "log",
            "1.log",
            "0000000000000000420.log",
            "000000000000000004200.log",
            "+0000000000000004200.log",
            "0000000000000000420a.log",
            "00000000000000004200.LOG",
            "00000000000000004200.log ",
            "00000000000000004200.log.bak",
            "00000000000000004200",
            "09223372036854775808.log",
            "99999999999999999999.log",
            "next-",
            "next-07",
            "next-+7",
            "next--7",
            "next-18446744073709551616",
            "torn-7",
            "torn-7-",
            "torn-7-08",
            "torn-7-8-9",
            "torn-7-4294967296",
            "manifest",
            "../00000000000000004200.log",
        ];
        for name in foreign {
            assert_eq!(FileName::parse(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_foreign_or_written_back_as_it_was(name in "(next|torn|[0-9]{19,21})?[-.+]?[0-9a-z.-]{0,22}") {
            if let Some(parsed) = FileName::parse(&name) {
                prop_assert_eq!(parsed.to_string(), name);
            }
        }

        #[test]
        fn every_name_is_read_back(number in 0..=Offset::MAX.get(), position: u32) {
            let offset = Offset::new(number).expect("within the range of offsets");
            for name in [
                FileName::Log(offset),
                FileName::Index(offset),
                FileName::TimeIndex(offset),
                FileName::Next { sequence: number },
                FileName::Torn { sequence: number, position },
            ] {
                prop_assert_eq!(FileName::parse(&name.to_string()), Some(name));
            }
        }
    }
}
