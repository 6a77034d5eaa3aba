//! The simulated disk itself: what it is told to do, and what it counts.

use super::counts::{Counts, Op};
use super::cut::{Atom, Fate, Plan};
use super::dir::SimDir;
use super::fault::Fault;
use super::images::{Images, PowerCuts};
use super::node::{FailedSync, ROOT};
use super::recording::Recording;
use super::shared::{Inner, Maps, Settings, Shared};
use super::state::State;
use crate::io::Dir;
use crate::sync::MutexGuard;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A disk in memory that can lose power, fill up and fail. See the [module](super).
///
/// Clones are handles on the same disk. Used from one thread it is deterministic.
#[derive(Clone)]
pub struct SimDisk {
    shared: Arc<Shared>,
}

impl SimDisk {
    /// An empty disk without limits.
    #[must_use]
    pub fn new() -> Self {
        Self::from_state(State::new(), Settings::default())
    }

    pub(super) fn from_state(state: State, settings: Settings) -> Self {
        Self { shared: Arc::new(Shared::new(state, settings)) }
    }

    /// The directory in which everything lies.
    #[must_use]
    pub fn root(&self) -> Arc<dyn Dir> {
        Arc::new(SimDir::new(Arc::clone(&self.shared), ROOT, Path::new("sim:").into()))
    }

    /// How many operations of each kind there were.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Orders a failure. Several orders are tried in turn, and the first that applies wins.
    pub fn inject(&self, fault: Fault) {
        self.lock().faults.add(fault);
    }

    /// Takes back all orders to fail.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// How many operations failed on order.
    #[must_use]
    pub fn faults_hit(&self) -> u64 {
        self.lock().faults.hit()
    }

    /// Says what the cache does when a sync fails. Default [`FailedSync::CacheKeeps`].
    pub fn set_failed_sync(&self, mode: FailedSync) {
        self.lock().settings.failed_sync = mode;
    }

    /// Says whether files can be mapped. Default [`Maps::Offered`].
    pub fn set_maps(&self, maps: Maps) {
        self.lock().settings.maps = maps;
    }

    /// Sets how many bytes of space there are, in pages of 4 KiB.
    ///
    /// Every file and directory takes one more page.
    ///
    /// A full disk refuses writes to new pages, allocations, new names and renames, and lets everything be
    /// removed. The default is no limit. May be below what is used.
    pub fn set_budget(&self, bytes: u64) {
        self.lock().settings.budget = bytes;
    }

    /// How many bytes of space are used: see [`SimDisk::set_budget`].
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.lock().used()
    }

    /// Lets every operation of kind `op` take so long, in real time. Its effect comes first: what others write
    /// while a slow sync runs is not part of it.
    pub fn set_latency(&self, op: Op, latency: Duration) {
        let mut inner = self.lock();
        inner.latency.retain(|(slow, _)| *slow != op);
        inner.latency.push((op, latency));
    }

    /// How many steps (changes and syncs) were taken since the disk was made.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.lock().steps
    }

    /// Cuts the disk off at step number `step`, counted from 0.
    ///
    /// Of a write it does the first `bytes` bytes, of any other step nothing. From then on every operation fails,
    /// and stores do nothing.
    pub fn cut_at(&self, step: u64, bytes: usize) {
        self.lock().cut = Some((step, bytes));
    }

    /// Cuts the disk off now.
    pub fn cut_now(&self) {
        self.lock().dead = true;
    }

    /// Whether the disk is cut off.
    ///
    /// An acknowledgement that comes after that was never seen by anybody.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// Begins a new recording, which starts with the disk as it is.
    pub fn record(&self) {
        let mut inner = self.lock();
        inner.recording = Some((inner.state.clone(), Vec::new()));
    }

    /// How many steps were recorded so far. What was acknowledged by now must be there in every image that a
    /// [`Replay`](super::Replay) makes after as many steps, or more.
    #[must_use]
    pub fn steps_recorded(&self) -> usize {
        self.lock().recording.as_ref().map_or(0, |(_, steps)| steps.len())
    }

    /// Ends the recording and returns it; empty if none was begun.
    #[must_use]
    pub fn recording(&self) -> Recording {
        let mut inner = self.lock();
        let (start, steps) = inner.recording.take().unwrap_or_else(|| (inner.state.clone(), Vec::new()));
        Recording::new(start, inner.settings, steps)
    }

    /// The disk as the next process finds it when this one is killed now.
    ///
    /// The cache is kept, dirty or clean, and the locks are free. Faults, latency and counts are not handed on.
    #[must_use]
    pub fn kill(&self) -> Self {
        let inner = self.lock();
        Self::from_state(inner.state.clone(), inner.settings)
    }

    /// How many atoms a power cut could keep or lose now.
    #[must_use]
    pub fn atoms(&self) -> usize {
        Plan::new(&self.lock().state).keys().len()
    }

    /// The disks that a power cut can leave now, as `cuts` chooses them.
    ///
    /// Each is different from the others.
    #[must_use]
    pub fn power_cuts(&self, cuts: &PowerCuts) -> Images {
        let inner = self.lock();
        Images::new(&inner.state, inner.settings, cuts)
    }

    /// The disk that one particular power cut leaves now.
    ///
    /// ```
    /// use annals::io::{Atom, Fate, SimDisk};
    /// # fn main() -> std::io::Result<()> {
    /// let disk = SimDisk::new();
    /// let file = disk.root().create("a")?;
    /// disk.root().sync()?;
    /// file.write_at(b"hello", 0)?;
    /// let image = disk.power_cut(|atom| match atom {
    ///     Atom::Sector { .. } => Fate::Lost,
    ///     _ => Fate::Kept,
    /// });
    /// assert_eq!(image.read("a")?, [0; 5]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn power_cut(&self, mut choose: impl FnMut(&Atom) -> Fate) -> Self {
        let inner = self.lock();
        let plan = Plan::new(&inner.state);
        let fates: Vec<_> = plan.keys().iter().map(|key| choose(&plan.atom(*key))).collect();
        Self::from_state(plan.image(&fates), inner.settings)
    }

    /// A hash of all that can be read: names, sizes and bytes. Equal disks have equal hashes.
    #[must_use]
    pub fn content_hash(&self) -> u64 {
        self.lock().state.hash()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner()
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}
