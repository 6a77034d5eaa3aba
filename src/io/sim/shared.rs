//! What all handles on a simulated disk share, and the one way every operation takes.
//!
//! ```text
//!     operation ──▶ counted ──▶ cut off? ──▶ to fail on order? ──▶ act ──▶ perform: one step, recorded
//! ```

use super::counts::{Counts, Op};
use super::fault::{Failure, Faults};
use super::node::{FailedSync, NodeId};
use super::recording::RecordedStep;
use super::state::State;
use super::step::Step;
use crate::io::bounds;
use crate::io::pages::PAGE_BYTES;
use crate::sync::{Mutex, MutexGuard};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const PAGE: u64 = PAGE_BYTES as u64;

/// What all handles on one disk share.
pub(super) struct Shared {
    inner: Mutex<Inner>,
}

/// What a disk has in common with the disks that crashes make of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) budget: u64,
    pub(super) maps: Maps,
    pub(super) failed_sync: FailedSync,
}

/// Whether files can be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Maps {
    /// As on ext4, XFS and tmpfs.
    Offered,
    /// As everywhere else: [`File::map`](crate::io::File::map) says `Unsupported`.
    Refused,
}

pub(super) struct Inner {
    pub(super) state: State,
    pub(super) settings: Settings,
    pub(super) counts: Counts,
    pub(super) faults: Faults,
    pub(super) latency: Vec<(Op, Duration)>,
    /// How many steps were taken since the disk was made.
    pub(super) steps: u64,
    pub(super) recording: Option<(State, Vec<RecordedStep>)>,
    /// At which step the power goes, and after how many bytes of it.
    pub(super) cut: Option<(u64, usize)>,
    pub(super) dead: bool,
    /// How many handles each file has: a removed file takes space until the last is gone.
    pub(super) handles: HashMap<NodeId, usize>,
    pub(super) locks: HashSet<NodeId>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { budget: u64::MAX, maps: Maps::Offered, failed_sync: FailedSync::CacheKeeps }
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
    pub(super) fn new(state: State, settings: Settings) -> Self {
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
        Self { inner: Mutex::new(inner) }
    }

    /// Runs one operation of kind `op` on `path`; `act` is told whether it is to fall short.
    ///
    /// A failure on order comes before `act`, which therefore has no effect; but for one by half, which comes
    /// behind half of it.
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
            Some(failure @ (Failure::HalfThenIo | Failure::HalfThenNoSpace)) => {
                act(&mut inner, Extent::Part).and_then(|_| Err(failure.error()))
            }
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

    pub(super) fn used(&self) -> u64 {
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

    /// Writes as many of `bytes` as there is room for; returns how many.
    pub(super) fn write(
        &mut self,
        op: Op,
        path: &Arc<Path>,
        node: NodeId,
        bytes: &[u8],
        position: u64,
    ) -> io::Result<usize> {
        let end = bounds::end_of(bytes.len(), position)?;
        let count = self.room(node, position, end)?.min(bytes.len());
        if count > 0 {
            let bytes = bytes[..count].into();
            self.perform(op, path, Step::Write { node, position, bytes })?;
        }
        Ok(count)
    }

    /// Stops a store into space that was never reserved, or was given back, however empty the disk is: on a
    /// real one it ends the process with a signal as soon as the disk is full.
    pub(super) fn assert_room(&self, node: NodeId, position: u64, bytes: &[u8]) {
        let cost = self.state.file(node).live.cost(position, position + bytes.len() as u64);
        assert_eq!(cost, 0, "bytes of space that a store at {position} takes, and nobody has reserved");
    }

    /// How many bytes of `position..end` fit on the disk.
    ///
    /// # Errors
    /// `StorageFull` when not one of them does.
    fn room(&self, node: NodeId, position: u64, mut end: u64) -> io::Result<usize> {
        let content = &self.state.file(node).live;
        let start = position;
        if content.cost(start, end) > 0 {
            let free = self.free();
            while content.cost(start, end) > free {
                end = (end - 1) / PAGE * PAGE;
                if end <= start {
                    return Err(io::ErrorKind::StorageFull.into());
                }
            }
        }
        Ok(usize::try_from(end - start).expect("it is at most the length of a slice"))
    }
}

fn cut_off() -> io::Error {
    io::Error::other("the simulated disk was cut off")
}
