//! The simulated disk itself: what it is told to do, and what it counts.

use super::counts::{Counts, Op};
use super::cut::{Atom, Fate, Plan};
use super::fault::{Failure, Fault, Faults};
use super::handle::SimDir;
use super::images::{Images, PowerCuts};
use super::node::{FailedSync, NodeId, ROOT};
use super::recording::{RecordedStep, Recording};
use super::state::State;
use super::step::Step;
use crate::io::Dir;
use crate::sync::{Mutex, MutexGuard};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
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

/// What all handles on one disk share.
pub(super) struct Shared {
    inner: Mutex<Inner>,
}

/// What a disk has in common with the disks that crashes make of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    budget: u64,
    maps: Maps,
    failed_sync: FailedSync,
}

/// Whether files can be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maps {
    /// As on ext4, XFS and tmpfs.
    Offered,
    /// As everywhere else: [`File::map`](crate::io::File::map) says `Unsupported`.
    Refused,
}

pub(super) struct Inner {
    pub(super) state: State,
    pub(super) settings: Settings,
    counts: Counts,
    faults: Faults,
    latency: Vec<(Op, Duration)>,
    /// How many steps were taken since the disk was made.
    steps: u64,
    recording: Option<(State, Vec<RecordedStep>)>,
    /// At which step the power goes, and after how many bytes of it.
    cut: Option<(u64, usize)>,
    dead: bool,
    /// How many handles each file has: a removed file takes space until the last is gone.
    pub(super) handles: HashMap<NodeId, usize>,
    pub(super) locks: HashSet<NodeId>,
}

impl SimDisk {
    /// An empty disk without limits.
    #[must_use]
    pub fn new() -> Self {
        let settings =
            Settings { budget: u64::MAX, maps: Maps::Offered, failed_sync: FailedSync::CacheKeeps };
        Self::from_state(State::new(), settings)
    }

    pub(super) fn from_state(state: State, settings: Settings) -> Self {
        let inner = Inner {
            state,
            settings,
            counts: Counts::default(),
            faults: Faults::default(),
            latency: Vec::new(),
            steps: 0,
            recording: None,
            cut: None,
            dead: false,
            handles: HashMap::new(),
            locks: HashSet::new(),
        };
        Self { shared: Arc::new(Shared { inner: Mutex::new(inner) }) }
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

    /// Sets how many bytes of space there are, in pages of 4 KiB; every file and directory takes one more page.
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

    /// Cuts the disk off at step number `step` (counted from 0), of which it does the first `bytes` bytes if it
    /// is a write and else nothing. From then on every operation fails, and stores do nothing.
    pub fn cut_at(&self, step: u64, bytes: usize) {
        self.lock().cut = Some((step, bytes));
    }

    /// Cuts the disk off now.
    pub fn cut_now(&self) {
        self.lock().dead = true;
    }

    /// Whether the disk is cut off: an acknowledgement that comes after that was never seen by anybody.
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

    /// The disk as the next process finds it when this one is killed now: the cache is kept, dirty or clean,
    /// and the locks are free. Faults, latency and counts are not handed on.
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

    /// The disks that a power cut can leave now, as `cuts` chooses them, each different from the others.
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
        self.shared.inner.lock()
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

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.lock();
        f.debug_struct("SimDisk")
            .field("steps", &inner.steps)
            .field("dead", &inner.dead)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Runs one operation of kind `op` on `path`; `act` is told whether it is to fall short.
    ///
    /// A failure on order comes before `act`, which therefore has no effect.
    pub(super) fn operate<T>(
        &self,
        op: Op,
        path: &Path,
        act: impl FnOnce(&mut Inner, Extent) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut inner = self.inner.lock();
        let result = inner.begin(op, path).and_then(|failure| match failure {
            None => act(&mut inner, Extent::Whole),
            Some(Failure::Short) => act(&mut inner, Extent::Part),
            Some(failure) => Err(failure.error()),
        });
        inner.release(op);
        result
    }

    /// Runs a sync: `step` if it succeeds, `failed` if it fails on order.
    pub(super) fn sync(&self, op: Op, path: &Arc<Path>, node: NodeId) -> io::Result<()> {
        let mut inner = self.inner.lock();
        let result = inner.begin(op, path).and_then(|failure| {
            let step = match (op, failure) {
                (Op::SyncDir, None) => Step::SyncFolder { folder: node },
                (_, None) => Step::Sync { node },
                // Nothing was tried yet when a signal came, or there was no room for the journal.
                (_, Some(Failure::Interrupted)) => return Err(Failure::Interrupted.error()),
                (Op::SyncDir, Some(_)) => Step::FailSyncFolder { folder: node },
                (_, Some(_)) => Step::FailSync { node, cache: inner.settings.failed_sync },
            };
            inner.perform(op, path, step)?;
            failure.map_or(Ok(()), |failure| Err(failure.error()))
        });
        inner.release(op);
        result
    }

    /// Looks at the disk beside all counting and failing: for the care of handles.
    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}

/// How much of a read or a write is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Whole,
    Part,
}

impl Extent {
    /// How many of `len` bytes are done: half, but one at least.
    pub(super) fn of(self, len: usize) -> usize {
        match self {
            Self::Whole => len,
            Self::Part => len.div_ceil(2),
        }
    }
}

trait Release {
    fn release(self, op: Op);
}

impl Release for MutexGuard<'_, Inner> {
    /// Lets go of the disk, then waits as long as the operation is to take.
    fn release(self, op: Op) {
        let latency = self.latency.iter().find(|(slow, _)| *slow == op).map(|(_, latency)| *latency);
        drop(self);
        if let Some(latency) = latency {
            std::thread::sleep(latency);
        }
    }
}

impl Inner {
    /// Counts an operation, and says how it is to fail.
    fn begin(&mut self, op: Op, path: &Path) -> io::Result<Option<Failure>> {
        self.counts.add(op);
        if self.dead {
            return Err(cut_off());
        }
        Ok(self.faults.check(op, &path.to_string_lossy()))
    }

    /// Takes one step, unless the disk is cut off before it or inside of it.
    pub(super) fn perform(&mut self, op: Op, path: &Arc<Path>, step: Step) -> io::Result<()> {
        if self.dead {
            return Err(cut_off());
        }
        if let Some((_, bytes)) = self.cut.filter(|(at, _)| *at == self.steps) {
            self.dead = true;
            if let Some(part) = step.cut(bytes) {
                self.take(op, path, part);
            }
            return Err(cut_off());
        }
        self.take(op, path, step);
        Ok(())
    }

    fn take(&mut self, op: Op, path: &Arc<Path>, step: Step) {
        step.apply(&mut self.state);
        self.steps += 1;
        if let Some((_, steps)) = &mut self.recording {
            steps.push(RecordedStep::new(op, path, step));
        }
    }

    /// Whether files can be mapped.
    pub(super) fn maps(&self) -> Maps {
        self.settings.maps
    }

    fn used(&self) -> u64 {
        let mut counted = self.state.linked();
        counted.extend(self.handles.keys());
        self.state.space(counted)
    }

    /// How many bytes of space are left.
    pub(super) fn free(&self) -> u64 {
        match self.settings.budget {
            u64::MAX => u64::MAX,
            budget => budget.saturating_sub(self.used()),
        }
    }

    /// # Errors
    /// `StorageFull` when less than `bytes` are free.
    pub(super) fn check_free(&self, bytes: u64) -> io::Result<()> {
        if bytes == 0 || bytes <= self.free() { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }
}

fn cut_off() -> io::Error {
    io::Error::other("the simulated disk was cut off")
}
