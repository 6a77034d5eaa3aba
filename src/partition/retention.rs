//! Which segments the policy no longer wants: a pure rule, and the clock it goes by.

use super::options::Retention;
use crate::Timestamp;
use crate::sync::{Bug, planted};
use std::time::Duration;

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
/// other, so none is younger than any later one, whatever its stamp says.
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
    with_data.iter().rposition(is_old).map_or(0, |newest| newest + 1)
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

/// The wall clock as retention sees it: it advances no faster than time passes, so that a clock that jumps
/// ahead deletes nothing early. What it shows when the partition is opened is believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetentionClock {
    wall: Timestamp,
    monotonic: Duration,
}

impl RetentionClock {
    /// Begins with what both clocks show.
    pub(crate) fn new(wall: Timestamp, monotonic: Duration) -> Self {
        Self { wall, monotonic }
    }

    /// The append time to note for now: not earlier than the time that has passed allows, so that a clock that
    /// is set back for a while makes nothing old. One that is ahead is followed, and does no harm: see
    /// [`expired`].
    pub(crate) fn stamp(&self, wall: Timestamp, monotonic: Duration) -> Timestamp {
        wall.max(self.wall.saturating_add(monotonic.saturating_sub(self.monotonic)))
    }

    /// The present, as far as both clocks agree on it.
    pub(crate) fn now(&self, wall: Timestamp, monotonic: Duration) -> Timestamp {
        wall.min(self.wall.saturating_add(monotonic.saturating_sub(self.monotonic)))
    }
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

    #[test]
    fn a_jump_ahead_of_the_clock_expires_nothing() {
        let clock = RetentionClock::new(at(1_000), Duration::from_secs(5));
        let year = 31_536_000_000;
        assert_eq!(clock.now(at(year), Duration::from_secs(7)), at(3_000));
        assert_eq!(clock.now(at(2_500), Duration::from_secs(7)), at(2_500));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_old() {
        let clock = RetentionClock::new(at(1_000), Duration::from_secs(5));
        assert_eq!(clock.stamp(at(-9_000), Duration::from_secs(7)), at(3_000));
        assert_eq!(clock.stamp(at(4_000), Duration::from_secs(7)), at(4_000));
    }

    #[test]
    fn either_reason_is_enough() {
        let segments = [segment(0, 10), segment(5_000, 10), segment(5_000, 10)];
        let policy = |bytes| Retention::AgeOrBytes(Duration::from_secs(1), bytes);
        assert_eq!(expired(&segments, at(2_000), &policy(1_000)), 1);
        assert_eq!(expired(&segments, at(0), &policy(5)), 2);
    }
}
