//! What all handles of one open partition share.
//!
//! Locks, in the order in which they are taken:
//!
//! ```text
//!     admin    structural change: manifest, roll, deletion, truncation, reopen, close
//!     growing  taking space ahead for the active segment, beside the append lock
//!     writer   the append lock: the active segment and what is about to replace it
//!     view     replaced whole; held for no longer than it takes to clone an Arc
//! ```
//!
//! The turns of the group commit are a lock of their own, taken after these and never held while another is.
//! Wakers are the user's code and may do anything, even drop the last handle: none is called under any of
//! these locks.

use super::account::Booking;
use super::manifest::{Manifest, ManifestFile};
use super::options::{Maintenance, PartitionOptions};
use super::policy::Policy;
use super::retention_clock::RetentionClock;
use super::space::Pinned;
use super::view::View;
use super::writer::Writer;
use super::{ReadLevel, RecoveryReport};
use crate::io::{Dir, Lock};
use crate::sync::{
    AtomicBool, Bug, Deadline, Gate, Goal, GroupCommit, Mutex, MutexGuard, Ordering, Place, Progress, RwLock,
    planted,
};
use crate::upkeep::Upkeep;
use crate::{Error, ErrorKind, Offset, Result, TopicId};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

/// One open partition.
pub(crate) struct Shared {
    pub(super) me: Weak<Self>,
    /// Whose partition it is, and which.
    pub(super) identity: (TopicId, u32),
    pub(super) dir: Arc<dyn Dir>,
    pub(super) options: PartitionOptions,
    pub(super) admin: Mutex<Admin>,
    /// Held from the choice of a step of the reserve until it is taken, which may write zeros: by then the file
    /// must not have gone on in other hands. So whoever recovers, cuts or closes it takes this first.
    pub(super) growing: Mutex<()>,
    pub(super) writer: Mutex<Writer>,
    pub(super) view: RwLock<Arc<View>>,
    /// The log end offset, and those who wait for it to grow.
    pub(super) end: Gate,
    /// The durable offset, and those who wait for it to grow.
    pub(super) commit: GroupCommit,
    /// Whether futures may have been left asleep whose goal was reached.
    pub(super) left_asleep: AtomicBool,
    pub(super) pinned: Pinned,
    /// Covers all the disk that it takes, at any moment.
    pub(super) booking: Arc<Booking>,
    /// What of the options has changed since, or may.
    pub(super) policy: Policy,
    pub(super) upkeep: Upkeep,
    pub(super) report: Mutex<Arc<RecoveryReport>>,
    pub(super) retention_clock: RetentionClock,
}

/// What structural changes work on.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(super) file: ManifestFile,
    pub(super) manifest: Manifest,
    /// What a truncation may have taken back that failed: beyond it nothing is known to be durable.
    pub(super) doubtful_from: Offset,
    /// Held until the partition is closed.
    pub(super) lock: Option<Box<dyn Lock>>,
}

/// What becomes of those who wait for a change, or for its failure. A waker may do anything, so it is never called by
/// somebody who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiters {
    Wake,
    /// Whoever asks for that wakes them once the last lock is released.
    LeaveAsleep,
}

/// The lock of structural changes, held. Futures whose goal was reached under it are woken when it is gone, if they
/// are not to be left asleep.
pub(crate) struct Administration<'a> {
    admin: Option<MutexGuard<'a, Admin>>,
    shared: &'a Shared,
    waiters: Waiters,
}

impl Deref for Administration<'_> {
    type Target = Admin;

    fn deref(&self) -> &Admin {
        self.admin.as_ref().expect("it is held until it is dropped")
    }
}

impl DerefMut for Administration<'_> {
    fn deref_mut(&mut self) -> &mut Admin {
        self.admin.as_mut().expect("it is held until it is dropped")
    }
}

impl Drop for Administration<'_> {
    fn drop(&mut self) {
        self.admin = None;
        match self.waiters {
            Waiters::Wake => self.shared.commit.wake_futures(),
            Waiters::LeaveAsleep => self.shared.left_asleep.store(true, Ordering::Release),
        }
    }
}

impl Shared {
    /// The view of this moment.
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.read().clone()
    }

    /// Replaces the view by a changed copy of it.
    pub(super) fn change_view(&self, change: impl FnOnce(&mut View)) {
        let mut view = self.view.write();
        let mut changed = View::clone(&view);
        change(&mut changed);
        *view = Arc::new(changed);
    }

    /// The log end offset.
    pub(crate) fn log_end(&self) -> Offset {
        offset(self.end.reached())
    }

    /// The durable offset.
    pub(crate) fn durable_end(&self) -> Offset {
        offset(self.commit.durable())
    }

    /// The end of what a reader at `level` may see.
    pub(crate) fn end_at(&self, level: ReadLevel) -> Offset {
        match level {
            ReadLevel::Written => self.log_end(),
            ReadLevel::Durable if planted(Bug::DurableSeesWritten) => self.log_end(),
            ReadLevel::Durable => self.durable_end().min(self.log_end()),
        }
    }

    /// Whether due work is left to the caller.
    pub(super) fn is_manual(&self) -> bool {
        self.options.maintenance == Maintenance::Manual
    }

    /// Takes the lock of structural changes.
    ///
    /// # Errors
    /// `Closed`: the directory may be somebody else's by now.
    pub(super) fn administer(&self) -> Result<Administration<'_>> {
        self.administer_for(Waiters::Wake)
    }

    /// The same for somebody who may hold other locks.
    ///
    /// # Errors
    /// As [`Shared::administer`].
    pub(super) fn administer_for(&self, waiters: Waiters) -> Result<Administration<'_>> {
        let admin = self.admin.lock();
        if admin.lock.is_none() {
            return Err(self.closed());
        }
        Ok(Administration { admin: Some(admin), shared: self, waiters })
    }

    /// Refuses all writes from now on, and answers everybody who waits for one, with the cause. The append
    /// lock is held meanwhile, so that a reopen in between does not undo the one half without the other.
    /// Futures are to be woken when it is released: see [`GroupCommit::wake_futures`].
    pub(super) fn poison_locked(&self, writer: &mut Writer, cause: &Error) {
        writer.poison(cause);
        self.commit.fail(cause);
    }

    /// The goal of having all that is written now durable.
    pub(super) fn written_goal(&self) -> Goal {
        // In this order: a cut in between lowers the end, and nobody waits for more than there is.
        let goal = self.commit.goal(0);
        Goal { end: self.log_end().get(), ..goal }
    }

    /// Where it is, for messages.
    pub(crate) fn place(&self) -> String {
        self.dir.path().display().to_string()
    }

    pub(super) fn arc(&self) -> Arc<Self> {
        self.me.upgrade().expect("whoever calls a method holds a handle")
    }
}

/// A number that came from an offset.
fn offset(number: u64) -> Offset {
    Offset::new(number).expect("the number was an offset before it was published")
}

/// Waiting for the durable offset.
impl Progress for Shared {
    fn wait(&self, goal: Goal, deadline: Deadline) -> Result<bool> {
        if deadline == Deadline::Never || self.is_manual() {
            return self.commit.wait(goal, self).map(|()| true);
        }
        self.demand_sync(goal);
        let mut place = Place::default();
        let reached = self.commit.wait_until(goal, deadline, &mut place);
        self.commit.forget(&mut place);
        reached
    }

    fn poll(&self, goal: Goal, place: &mut Place, context: &mut Context<'_>) -> Poll<Result<()>> {
        let polled = self.commit.poll(goal, place, context);
        if polled.is_pending() {
            self.demand_sync(goal);
        }
        polled
    }

    fn abandon(&self, goal: Goal, place: &mut Place) {
        self.commit.forget(place);
        if !planted(Bug::DropForgetsDemand) {
            self.demand_sync(goal);
        }
    }
}

impl Shared {
    /// Asks for a sync up to `goal` without waiting for it.
    pub(super) fn demand_sync(&self, goal: Goal) {
        if self.commit.demand(goal) {
            self.upkeep.call();
        }
    }

    /// The error of a handle that was closed.
    pub(super) fn closed(&self) -> Error {
        Error::new(ErrorKind::Closed, format!("{}: the partition was closed", self.place()))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Partition")
            .field("dir", &self.dir)
            .field("log_start_offset", &self.view().log_start)
            .field("durable_offset", &self.durable_end())
            .field("log_end_offset", &self.log_end())
            .finish_non_exhaustive()
    }
}
