//! The clock that retention goes by.
//!
//! ```text
//!     wall clock     ──────────┐set            ┌── believed
//!                              └───────────────┼─────────────
//!     as it should be ─────────────────────────┘ an hour later
//! ```

use crate::Timestamp;
use crate::sync::{AtomicBool, AtomicI64, Mutex, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// How long, of time that passes, a wall clock that was set has to differ before it is believed.
const HOLD_OFF: Duration = Duration::from_secs(3_600);
/// A difference of less, in milliseconds, is none: the two clocks are not looked at in one moment.
const TOLERANCE_MS: i64 = 60_000;

/// The wall clock as retention sees it: it advances no faster than time passes, so that a clock that is set for a
/// while deletes nothing early. What it shows when the partition is opened is believed, and what it has shown for
/// an hour. Clones are the same clock.
#[derive(Clone, Debug)]
pub(crate) struct RetentionClock(Arc<Shown>);

#[derive(Debug)]
struct Shown {
    /// What is believed: the wall clock less the monotonic one, in milliseconds.
    ahead_ms: AtomicI64,
    /// What is not believed yet.
    doubt: Mutex<Option<Doubt>>,
    /// Whether there is any; changed under its lock.
    is_doubted: AtomicBool,
}

/// A wall clock that differs from what it should show.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    /// The least that it was ahead, or, below zero, behind.
    by_ms: i64,
    /// Since when (monotonic).
    since: Duration,
}

impl RetentionClock {
    /// Begins with what both clocks show.
    pub(crate) fn new(wall: Timestamp, monotonic: Duration) -> Self {
        let ahead_ms = wall.as_millis().saturating_sub(millis(monotonic));
        let (doubt, is_doubted) = (Mutex::new(None), AtomicBool::new(false));
        Self(Arc::new(Shown { ahead_ms: AtomicI64::new(ahead_ms), doubt, is_doubted }))
    }

    /// The append time to note for now: not earlier than the time that has passed allows, so that a clock that
    /// is set back for a while makes nothing old. One that is ahead is followed, and does no harm: see
    /// [`expired`](super::retention::expired).
    pub(crate) fn stamp(&self, wall: Timestamp, monotonic: Duration) -> Timestamp {
        wall.max(self.expected(wall, monotonic))
    }

    /// The present, as far as both clocks agree on it.
    pub(crate) fn now(&self, wall: Timestamp, monotonic: Duration) -> Timestamp {
        wall.min(self.expected(wall, monotonic))
    }

    /// What the wall clock should show.
    fn expected(&self, wall: Timestamp, monotonic: Duration) -> Timestamp {
        let expected = self.0.expected(monotonic);
        // An append comes this way, so no lock is taken where there is nothing to doubt.
        let agrees = differs_ms(wall, expected).saturating_abs() < TOLERANCE_MS;
        if agrees && !self.0.is_doubted.load(Ordering::Relaxed) {
            return expected;
        }
        let mut doubt = self.0.doubt.lock();
        // Others may have come to believe it meanwhile.
        let by_ms = differs_ms(wall, self.0.expected(monotonic));
        *doubt = Doubt::after(*doubt, by_ms, monotonic);
        let believed = doubt.take_if(|doubt| monotonic.saturating_sub(doubt.since) >= HOLD_OFF);
        if let Some(believed) = believed {
            self.0.ahead_ms.fetch_add(believed.by_ms, Ordering::Relaxed);
        }
        self.0.is_doubted.store(doubt.is_some(), Ordering::Relaxed);
        self.0.expected(monotonic)
    }
}

impl Shown {
    fn expected(&self, monotonic: Duration) -> Timestamp {
        Timestamp::from_millis(millis(monotonic).saturating_add(self.ahead_ms.load(Ordering::Relaxed)))
    }
}

fn differs_ms(wall: Timestamp, expected: Timestamp) -> i64 {
    wall.as_millis().saturating_sub(expected.as_millis())
}

impl Doubt {
    /// What is doubted when it differs by so much at `now` (monotonic). A clock that gains with each suspend of the
    /// machine is ahead by its first gain for as long as it gains.
    fn after(before: Option<Self>, by_ms: i64, now: Duration) -> Option<Self> {
        let before = before.filter(|doubt| doubt.by_ms.signum() == by_ms.signum());
        match before {
            _ if by_ms.saturating_abs() < TOLERANCE_MS => None,
            None => Some(Self { by_ms, since: now }),
            Some(doubt) => {
                let least = if by_ms < 0 { doubt.by_ms.max(by_ms) } else { doubt.by_ms.min(by_ms) };
                Some(Self { by_ms: least, ..doubt })
            }
        }
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = HOLD_OFF;
    const YEAR_MS: i64 = 31_536_000_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_jump_ahead_of_the_clock_expires_nothing() {
        let clock = RetentionClock::new(at(1_000), SECOND * 5);
        assert_eq!(clock.now(at(YEAR_MS), SECOND * 7), at(3_000));
        assert_eq!(clock.now(at(2_500), SECOND * 7), at(2_500));
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_old() {
        let clock = RetentionClock::new(at(1_000), SECOND * 5);
        assert_eq!(clock.stamp(at(-9_000), SECOND * 7), at(3_000));
        assert_eq!(clock.stamp(at(4_000), SECOND * 7), at(4_000));
    }

    /// A machine without a battery starts in 1970, and is told the time a little later; another starts a year ahead.
    #[test]
    fn a_clock_that_was_set_right_is_believed_after_an_hour() {
        for off_ms in [-YEAR_MS, YEAR_MS] {
            let clock = RetentionClock::new(at(YEAR_MS + off_ms), Duration::ZERO);
            let shown = |passed: Duration| at(YEAR_MS + millis(passed));
            for passed in [SECOND, HOUR / 2, HOUR] {
                let expected = at(YEAR_MS + off_ms + millis(passed));
                assert_eq!(clock.now(shown(passed), passed), shown(passed).min(expected));
                assert_eq!(clock.stamp(shown(passed), passed), shown(passed).max(expected));
            }
            for passed in [HOUR + SECOND, HOUR * 9] {
                assert_eq!(clock.now(shown(passed), passed), shown(passed), "{off_ms}");
                assert_eq!(clock.stamp(shown(passed), passed), shown(passed), "{off_ms}");
            }
        }
    }

    #[test]
    fn a_clock_that_is_wrong_now_and_then_is_never_believed() {
        let clock = RetentionClock::new(at(0), Duration::ZERO);
        for minute in 0..600 {
            let passed = SECOND * 60 * minute;
            let wrong = at(if minute % 50 < 40 { YEAR_MS } else { 0 } + millis(passed));
            assert_eq!(clock.now(wrong, passed), at(millis(passed)), "minute {minute}");
        }
    }

    /// The monotonic clock stands still while a machine is suspended, here for nine minutes of ten.
    #[test]
    fn a_machine_that_is_often_suspended_lags_by_no_more_than_its_last_two_hours_awake() {
        let clock = RetentionClock::new(at(0), Duration::ZERO);
        for minute in 0..6_000 {
            let (passed, wall) = (SECOND * 60 * minute, SECOND * 600 * minute);
            let now = clock.now(at(millis(wall)), passed);
            let lag = wall.saturating_sub(Duration::from_millis(now.as_millis().unsigned_abs()));
            assert!(lag <= HOUR * 20, "minute {minute}: {lag:?}");
        }
    }
}
