//! Where to begin, as a word, a number or a time.

use super::moment;
use annals::{Offset, StartAt};

/// `earliest`, `latest`, an offset (digits only) or a time (RFC 3339).
pub(crate) fn parse(text: &str) -> Result<StartAt, String> {
    match text {
        "earliest" => Ok(StartAt::Earliest),
        "latest" => Ok(StartAt::Latest),
        digits if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let offset = digits.parse().ok().and_then(Offset::new);
            offset.map(StartAt::Offset).ok_or_else(|| format!("the largest offset is {}", Offset::MAX))
        }
        text => moment::parse(text).map(StartAt::Time).ok_or_else(|| {
            "expected earliest, latest, an offset or a time as in 2026-01-31T08:00:00Z".to_owned()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use annals::Timestamp;

    #[test]
    fn digits_are_an_offset_and_all_else_is_a_time() {
        assert_eq!(parse("latest"), Ok(StartAt::Latest));
        assert_eq!(parse("2026"), Ok(StartAt::Offset(Offset::from(2026))));
        assert_eq!(parse("1970-01-01T00:00:01Z"), Ok(StartAt::Time(Timestamp::from_millis(1_000))));
        for wrong in ["", "-1", "+1", "1.0", "noon", "9223372036854775808"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
