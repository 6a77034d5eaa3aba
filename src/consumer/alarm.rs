//! A clock that rings a consumer's bell: for what is due while it sleeps.

use crate::Result;
use crate::broker::backend::{Backend, Guest};
use crate::clock::Clock;
use crate::sync::{AtomicU64, Bell, Ordering};
use crate::upkeep::{Chore, Upkeep};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Stands for "never".
const NEVER: u64 = u64::MAX;

/// Rings at its time, by the timers thread or by `maintain`.
pub(super) struct Alarm {
    upkeep: Upkeep,
    clock: Arc<dyn Clock>,
    bell: Arc<Bell>,
    rope: u64,
    /// Nanoseconds by the monotonic clock.
    due: AtomicU64,
}

impl Alarm {
    /// An alarm that rings `bell` as `rope`.
    ///
    /// # Errors
    /// `Closed`; `Io` when the timers thread cannot be started.
    pub(super) fn new(backend: &dyn Backend, bell: &Arc<Bell>, rope: u64) -> Result<Arc<Self>> {
        let (clock, bell) = (backend.clock().clone(), bell.clone());
        let alarm =
            Arc::new(Self { upkeep: Upkeep::default(), clock, bell, rope, due: AtomicU64::new(NEVER) });
        let guest: Weak<dyn Guest> = Arc::<Self>::downgrade(&alarm);
        backend.attend(guest)?;
        Ok(alarm)
    }

    /// The monotonic clock.
    pub(super) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Rings once when it is this time.
    pub(super) fn ring_at(&self, due: Duration) {
        let due = u64::try_from(due.as_nanos()).unwrap_or(NEVER);
        if self.due.swap(due, Ordering::AcqRel) != due {
            self.upkeep.call();
        }
    }
}

impl Chore for Alarm {
    fn upkeep(&self) -> &Upkeep {
        &self.upkeep
    }

    fn do_due(&self) -> Duration {
        let due = self.due.load(Ordering::Acquire);
        if due == NEVER {
            return Duration::MAX;
        }
        let left = Duration::from_nanos(due).saturating_sub(self.now());
        if left.is_zero() {
            // Unless it was set anew meanwhile, which calls.
            let rung = self.due.compare_exchange(due, NEVER, Ordering::AcqRel, Ordering::Acquire);
            if rung.is_ok() {
                self.bell.ring(self.rope);
            }
            return Duration::MAX;
        }
        left
    }

    fn panicked(&self) {
        // The clock did, and it is still due: nobody calls who sets it to the same time.
        self.upkeep.call();
    }
}

impl Guest for Alarm {
    /// The partitions are closed next, which makes durable what was committed; what is being worked on is not.
    fn broker_closes(&self) {}

    fn as_chore(self: Arc<Self>) -> Arc<dyn Chore> {
        self
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("due", &self.due).finish_non_exhaustive()
    }
}
