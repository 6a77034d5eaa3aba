//! Times as RFC 3339 writes them.

use annals::Timestamp;

/// The moment that an RFC 3339 text names, with whatever offset from UTC.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let moment = text.parse::<jiff::Timestamp>().ok()?;
    Some(Timestamp::from_millis(moment.as_millisecond()))
}

/// A timestamp in UTC, to the millisecond; none when its year does not have four digits.
pub(crate) fn show(time: Timestamp) -> Option<String> {
    let moment = jiff::Timestamp::from_millisecond(time.as_millis()).ok()?;
    let text = format!("{moment:.3}");
    text.starts_with(|first: char| first.is_ascii_digit()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_there_and_back() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_358_251_200_123, "2013-01-15T12:00:00.123Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(show(time).as_deref(), Some(text));
            assert_eq!(parse(text), Some(time));
        }
        let noon = parse("2013-01-15T12:00:00Z");
        assert!(noon.is_some());
        assert_eq!(parse("2013-01-15T14:00:00+02:00"), noon);
        for wrong in ["2013-01-15", "2013-01-15T12:00", "noon", ""] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        for beyond in [Timestamp::MIN, Timestamp::MAX, Timestamp::from_millis(-100_000_000_000_000)] {
            assert_eq!(show(beyond), None);
        }
    }
}
