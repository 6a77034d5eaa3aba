//! Things that many bring, and one of those who bring them carries away for all.
//!
//! ```text
//!     lock ──stage──▶ carry ──nobody carries──▶ take a load ──▶ carry it, without the lock ──▶ land ──▶ tell ──┐
//!                       └── somebody does: done             ▲                                                  │
//!                                                           └──────────── as long as there is more ────────────┘
//! ```

use super::primitives::{Mutex, MutexGuard};
use std::ops::{Deref, DerefMut};

/// What is staged, and whether somebody is carrying a load of it away.
///
/// Loads are carried one at a time, in the order in which they were taken. Whoever stages calls
/// [`Relay::carry`] then; whoever carries looks again after each load. So nothing that is due stays behind.
#[derive(Debug, Default)]
pub(crate) struct Relay<S> {
    state: Mutex<State<S>>,
}

#[derive(Debug, Default)]
struct State<S> {
    staged: S,
    is_carried: bool,
}

/// The lock of what is staged, held.
pub(crate) struct Stage<'a, S>(MutexGuard<'a, State<S>>);

/// How a load is carried.
pub(crate) trait Carrier {
    type Staged;
    type Load;
    type Landed;
    type Told;

    /// Whether there is a load that is due. Called under the lock.
    fn is_due(&self, staged: &Self::Staged) -> bool;
    /// The next load that is due. Called under the lock.
    fn take(&self, staged: &mut Self::Staged) -> Option<Self::Load>;
    /// Carries it, without the lock. Must not panic.
    fn carry(&self, load: Self::Load) -> Self::Landed;
    /// Notes what has become of it, under the lock, before the next load is taken.
    fn land(&self, staged: &mut Self::Staged, landed: Self::Landed) -> Self::Told;
    /// Tells who waits. Called without the lock and while nobody carries, so that it may do anything.
    fn tell(&self, told: Self::Told);
}

/// Whether something that is due was left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Left {
    /// Nothing, or what somebody else carries.
    Nothing,
    /// There may be more, and nobody carries it: somebody has to be found who does.
    More,
}

impl<S> Relay<S> {
    /// The lock of what is staged.
    pub(crate) fn lock(&self) -> Stage<'_, S> {
        Stage(self.state.lock())
    }

    /// Carries what is due, unless somebody else does, who then looks again. After `loads_max` loads the rest is
    /// left, so that nobody carries for others for ever.
    pub(crate) fn carry<'a, C: Carrier<Staged = S>>(
        &'a self,
        mut stage: Stage<'a, S>,
        carrier: &C,
        loads_max: u32,
    ) -> Left {
        for _ in 0..loads_max {
            if stage.is_carried() {
                return Left::Nothing;
            }
            let Some(load) = carrier.take(&mut stage) else { return Left::Nothing };
            stage.0.is_carried = true;
            drop(stage);
            let landed = carrier.carry(load);
            stage = self.lock();
            let told = carrier.land(&mut stage, landed);
            stage.0.is_carried = false;
            // From here on whoever stages something carries it.
            let is_over = !carrier.is_due(&stage);
            drop(stage);
            carrier.tell(told);
            if is_over {
                return Left::Nothing;
            }
            stage = self.lock();
        }
        Left::More
    }
}

impl<S> Stage<'_, S> {
    /// Whether somebody is carrying a load away.
    pub(crate) fn is_carried(&self) -> bool {
        self.0.is_carried
    }
}

impl<S> Deref for Stage<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0.staged
    }
}

impl<S> DerefMut for Stage<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.0.staged
    }
}
