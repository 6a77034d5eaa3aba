//! Time, replaceable: a wall clock for stamps, a monotonic clock for limits.
//!
//! Offsets and acknowledgements depend on neither. Stamps come from [`Clock::now`], which may jump when the
//! operator sets the time; waits and time-outs come from [`Clock::monotonic`], which never goes back.

use crate::Timestamp;
use crate::sync::Mutex;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Where the crate gets its time from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The wall clock, to the millisecond.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment in the past; never goes back.
    fn monotonic(&self) -> Duration;
}

/// The machine's clocks, at the resolution of the kernel's tick (1 to 10 ms).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[cfg(target_os = "linux")]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        Timestamp::from_millis(t.tv_sec.saturating_mul(1_000).saturating_add(t.tv_nsec / 1_000_000))
    }

    fn monotonic(&self) -> Duration {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
        Duration::new(t.tv_sec.unsigned_abs(), u32::try_from(t.tv_nsec).unwrap_or(0))
    }
}

#[cfg(not(target_os = "linux"))]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from(std::time::SystemTime::now())
    }

    fn monotonic(&self) -> Duration {
        stopwatch()
    }
}

/// Time since the first call, to the nanosecond: to measure by, where no promise depends on it.
pub(crate) fn stopwatch() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// A clock that stands still until it is told to move.
///
/// ```
/// use annals::Timestamp;
/// use annals::clock::{Clock, ManualClock};
/// use std::time::Duration;
///
/// let clock = ManualClock::new(Timestamp::from_millis(1_000));
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.now(), Timestamp::from_millis(6_000));
/// clock.set(Timestamp::from_millis(0)); // the operator sets the time back
/// assert_eq!(clock.monotonic(), Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Hands>>);

#[derive(Debug)]
struct Hands {
    wall: Timestamp,
    monotonic: Duration,
}

impl ManualClock {
    /// A clock that shows `wall`. Clones are the same clock.
    #[must_use]
    pub fn new(wall: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Hands { wall, monotonic: Duration::ZERO })))
    }

    /// Lets `by` pass, on both clocks.
    pub fn advance(&self, by: Duration) {
        let mut hands = self.0.lock();
        hands.wall = hands.wall.saturating_add(by);
        hands.monotonic = hands.monotonic.saturating_add(by);
    }

    /// Sets the wall clock, as an operator or a time server would; no time passes.
    pub fn set(&self, wall: Timestamp) {
        self.0.lock().wall = wall;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().wall
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().monotonic
    }
}
