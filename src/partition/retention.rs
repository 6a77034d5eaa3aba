//! How long records are kept: the policy, and the pure rule which segments it no longer wants.

use crate::Timestamp;
use crate::sync::{Bug, planted};
use std::time::Duration;

/// How long records are kept. Only whole segments are deleted, oldest first.
///
/// Age is counted from a segment's last append. So a record may stay for up to
/// [`segment_age_max`](crate::PartitionOptions::segment_age_max), by default 7 days, longer than the age that is named
/// here; lower both where that matters. The segment that is appended to goes by age as well, and never by bytes.
#[doc(alias = "retention.ms")]
#[doc(alias = "retention.bytes")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retention {
    /// Nothing is deleted.
    #[default]
    Forever,
    /// A segment is deleted this long after its last append, by the wall clock.
    ///
    /// Where that is set while the partition is open, nothing goes by it before it has shown the new time for an hour.
    Age(Duration),
    /// A segment is deleted while the rest still has at least this many bytes.
    Bytes(u64),
    /// A segment is deleted for either reason.
    ///
    /// This long after its last append, or with at least this many bytes left.
    AgeOrBytes(Duration, u64),
}

/// What the rule looks at in one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentFacts {
    /// When it was last appended to, by the wall clock of that moment.
    pub(crate) last_append_time: Timestamp,
    pub(crate) bytes: u64,
    pub(crate) is_empty: bool,
}

/// How many of the oldest of `segments` the policy no longer wants at `now`. The last is the active one; it
/// counts as unwanted only by age, and only when all before it are.
///
/// A clock that was ahead for a while left append times in the future. Segments are appended to one after the
/// other, so none of these is younger than any later one, whatever its stamp says. A clock that was behind left
/// stamps in the past, and makes nothing old that lies before them.
pub(crate) fn expired(segments: &[SegmentFacts], now: Timestamp, policy: &Retention) -> usize {
    let (age, bytes) = match *policy {
        Retention::Forever => return 0,
        Retention::Age(age) => (Some(age), None),
        Retention::Bytes(bytes) => (None, Some(bytes)),
        Retention::AgeOrBytes(age, bytes) => (Some(age), Some(bytes)),
    };
    let by_age = age.map_or(0, |age| expired_by_age(segments, now, age));
    let by_bytes = bytes.map_or(0, |bytes| expired_by_bytes(segments, bytes));
    by_age.max(by_bytes)
}

fn expired_by_age(segments: &[SegmentFacts], now: Timestamp, age: Duration) -> usize {
    let is_old = |segment: &SegmentFacts| segment.last_append_time.saturating_add(age) < now;
    let with_data = match segments.split_last() {
        Some((active, sealed)) if active.is_empty => sealed,
        _ => segments,
    };
    if planted(Bug::YoungStampKeepsAll) {
        return with_data.iter().take_while(|segment| is_old(segment)).count();
    }
    let is_ahead = |segment: &SegmentFacts| segment.last_append_time > now;
    let in_question = with_data.iter().take_while(|segment| is_old(segment) || is_ahead(segment)).count();
    with_data[..in_question].iter().rposition(is_old).map_or(0, |newest| newest + 1)
}

/// The append time that must be old before age takes anything; none where there are no records.
pub(crate) fn oldest_append_time(segments: &[SegmentFacts], now: Timestamp) -> Option<Timestamp> {
    let with_data = segments.iter().filter(|segment| !segment.is_empty);
    let mut stamps = with_data.map(|segment| segment.last_append_time);
    let least = stamps.clone().min();
    stamps.find(|stamp| *stamp <= now).or(least)
}

/// A segment goes while what is left without it is still at least `floor`.
fn expired_by_bytes(segments: &[SegmentFacts], floor: u64) -> usize {
    let mut left: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let sealed = segments.len().saturating_sub(1);
    segments
        .iter()
        .take(sealed)
        .take_while(|segment| {
            let rest = left.saturating_sub(segment.bytes);
            let goes = if planted(Bug::RetentionBelowFloor) { left > floor } else { rest >= floor };
            left = rest;
            goes
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(last_append_time: i64, bytes: u64) -> SegmentFacts {
        SegmentFacts {
            last_append_time: Timestamp::from_millis(last_append_time),
            bytes,
            is_empty: bytes == 0,
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    const SECOND: Retention = Retention::Age(Duration::from_secs(1));

    /// SEMANTICS 17
    #[test]
    fn retention_bytes_is_a_floor() {
        let segments = [segment(0, 10), segment(0, 10), segment(0, 10)];
        let cases = [(31, 0), (30, 0), (21, 0), (20, 1), (11, 1), (10, 2), (0, 2)];
        for (floor, count) in cases {
            assert_eq!(expired(&segments, at(0), &Retention::Bytes(floor)), count, "floor {floor}");
        }
        assert_eq!(expired(&[], at(0), &Retention::Bytes(0)), 0);
    }

    #[test]
    fn age_goes_by_append_time_and_takes_only_a_prefix() {
        let segments = [segment(0, 1), segment(500, 1), segment(900, 1)];
        let cases = [(1_000, 0), (1_001, 1), (1_501, 2), (1_901, 3)];
        for (now, count) in cases {
            assert_eq!(expired(&segments, at(now), &SECOND), count, "now {now}");
        }
    }

    /// A partition at rest is opened when this is old: not too late, and not again and again in vain.
    #[test]
    fn the_oldest_append_time_is_the_one_that_age_waits_for() {
        let oldest = |stamps: [i64; 3]| {
            let segments = stamps.map(|stamp| segment(stamp, 1));
            oldest_append_time(&segments, at(1_000)).map(Timestamp::as_millis)
        };
        assert_eq!(oldest([100, 200, 300]), Some(100));
        assert_eq!(oldest([800, -9_000, 900]), Some(800), "a clock was behind");
        assert_eq!(oldest([9_000, 200, 300]), Some(200), "a clock was ahead");
        assert_eq!(oldest([9_000, 8_000, 9_500]), Some(8_000));
        assert_eq!(oldest_append_time(&[segment(0, 0)], at(1_000)), None);
    }

    #[test]
    fn an_empty_active_segment_is_left_alone() {
        assert_eq!(expired(&[segment(0, 1), segment(0, 0)], at(9_999), &SECOND), 1);
    }

    /// A clock that was a year ahead for a while must not keep its segment, and all after it, for a year.
    #[test]
    fn a_stamp_in_the_future_is_no_younger_than_what_follows() {
        let year = 31_536_000_000;
        let segments = [segment(0, 1), segment(year, 1), segment(600, 1)];
        assert_eq!(expired(&segments, at(1_700), &SECOND), 3);
    }

    /// A clock that was behind for one start of the process must not take what was appended before that.
    #[test]
    fn a_stamp_in_the_past_makes_nothing_old_before_it() {
        let year = 31_536_000_000;
        let cases = [([1_000, -year, 1_000], 0), ([1_000, year, -year], 0), ([0, 1_000, -year], 1)];
        for (stamps, count) in cases {
            let segments = stamps.map(|stamp| segment(stamp, 1));
            assert_eq!(expired(&segments, at(1_700), &SECOND), count, "{stamps:?}");
        }
        let segments = [1_000, -year, 1_000].map(|stamp| segment(stamp, 1));
        assert_eq!(expired(&segments, at(2_001), &SECOND), 3, "with what lies before it");
    }

    #[test]
    fn either_reason_is_enough() {
        let segments = [segment(0, 10), segment(5_000, 10), segment(5_000, 10)];
        let policy = |bytes| Retention::AgeOrBytes(Duration::from_secs(1), bytes);
        assert_eq!(expired(&segments, at(2_000), &policy(1_000)), 1);
        assert_eq!(expired(&segments, at(0), &policy(5)), 2);
    }
}
