//! Where a group finds a member: how to call it, and what it does now.

use crate::group::coordinator::Presence;
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};
use std::time::Duration;

/// Stands for "inside of a poll".
const WAITING: u64 = u64::MAX;
/// Stands for "not called" and for "not woken".
const NEVER: u64 = u64::MAX;
/// Stands for "woken, and nobody has asked since".
const WOKEN: u64 = u64::MAX - 1;

/// What a member and its group share.
#[derive(Debug)]
pub(super) struct Seat {
    /// When (monotonic, in nanoseconds) the member was called for the first time since it polled: then the next poll
    /// has something to look for. Set before the waker is called.
    called_at: AtomicU64,
    /// Whether another has taken over the instance id. For good, and set before the member is called.
    fenced: AtomicBool,
    /// Whether the member wants topics by a rule of its own, which it asks anew whenever topics have changed.
    goes_by_rule: AtomicBool,
    /// When (monotonic, in nanoseconds) the member polled last.
    polled_at: AtomicU64,
    /// When (monotonic, in nanoseconds) the member was first seen to have been woken while it waited, by whomever: its
    /// partitions, its alarm, its group.
    woken_at: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

/// Notes that a member is woken, and wakes it.
struct Woken {
    /// Which may know of the waker itself, by way of a bell.
    seat: Weak<Seat>,
    waker: Waker,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        // In this order: when it is woken it may wait anew.
        if let Some(seat) = self.seat.upgrade() {
            seat.woken_at.store(WOKEN, Ordering::SeqCst);
        }
        self.waker.wake_by_ref();
    }
}

impl Default for Seat {
    /// The seat of a newcomer, whose first poll always has something to look for: nobody calls a static member that
    /// comes back to what it had.
    fn default() -> Self {
        Self {
            called_at: AtomicU64::new(0),
            fenced: AtomicBool::new(false),
            goes_by_rule: AtomicBool::new(false),
            polled_at: AtomicU64::new(0),
            woken_at: AtomicU64::new(NEVER),
            waker: Mutex::new(None),
        }
    }
}

impl Seat {
    /// Has the member poll. The waker that is returned is to be called without any lock.
    pub(super) fn call(&self, now: Duration) -> Option<Waker> {
        // Called again it has no more time.
        let _earlier = self.called_at.compare_exchange(NEVER, nanos(now), Ordering::SeqCst, Ordering::SeqCst);
        self.waker.lock().take()
    }

    /// Has the member hear that another has taken over its instance id.
    pub(super) fn fence(&self, now: Duration) -> Option<Waker> {
        self.fenced.store(true, Ordering::SeqCst);
        self.call(now)
    }

    pub(super) fn is_fenced(&self) -> bool {
        self.fenced.load(Ordering::SeqCst)
    }

    pub(super) fn set_rule(&self, goes_by_rule: bool) {
        self.goes_by_rule.store(goes_by_rule, Ordering::Release);
    }

    pub(super) fn goes_by_rule(&self) -> bool {
        self.goes_by_rule.load(Ordering::Acquire)
    }

    pub(super) fn is_called(&self) -> bool {
        self.called_at.load(Ordering::SeqCst) != NEVER
    }

    /// Begins to answer: calls from now on are new ones.
    pub(super) fn answer(&self) {
        self.called_at.store(NEVER, Ordering::SeqCst);
    }

    /// Has `waker` called with the next call; whoever registers looks at [`Seat::is_called`] after that.
    pub(super) fn register(&self, waker: &Waker) {
        let before = self.waker.lock().replace(waker.clone());
        // The last waker of a task takes the task along, and that may hold anything.
        drop(before);
    }

    pub(super) fn work_since(&self, now: Duration) {
        self.polled_at.store(nanos(now), Ordering::Release);
    }

    /// Begins to wait; whoever wakes the member does so by [`Seat::noting`].
    pub(super) fn wait(&self) {
        self.woken_at.store(NEVER, Ordering::SeqCst);
        self.polled_at.store(WAITING, Ordering::Release);
    }

    /// A waker that calls `waker`, and has it known before.
    pub(super) fn noting(self: &Arc<Self>, waker: &Waker) -> Waker {
        Arc::new(Woken { seat: Arc::downgrade(self), waker: waker.clone() }).into()
    }

    /// What the member does at `now`. One that waits has made progress up to then, and is asked again when its
    /// time from then on is over: so nobody has to tell the group that it has ended to wait. But one that was called
    /// or woken works from then on: it may be a future that nobody polls. Since when it is awake is not looked at
    /// before somebody asks, lest a waker read a clock.
    pub(super) fn presence(&self, now: Duration) -> Presence {
        let now = nanos(now);
        let polled_at = match self.polled_at.load(Ordering::Acquire) {
            WAITING => {
                let seen = self.woken_at.compare_exchange(WOKEN, now, Ordering::SeqCst, Ordering::SeqCst);
                let (Ok(woken_at) | Err(woken_at)) = seen;
                self.called_at.load(Ordering::SeqCst).min(woken_at).min(now)
            }
            since => since,
        };
        Presence::Working(Duration::from_nanos(polled_at))
    }
}

/// Nanoseconds, for atomics; 584 years at most.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).min(u64::MAX - 1)
}
