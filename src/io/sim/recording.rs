//! The steps of a workload, to be gone through again with a crash at each.
//!
//! ```text
//!     workload ──once──▶ Recording ──replay──▶ Replay ──advance──▶ ... ──disk──▶ SimDisk as it was just then
//! ```

use super::counts::Op;
use super::disk::SimDisk;
use super::shared::Settings;
use super::state::State;
use super::step::Step;
use std::path::Path;
use std::sync::Arc;

/// All changes and syncs of a stretch of work. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recording {
    start: State,
    settings: Settings,
    steps: Arc<[RecordedStep]>,
}

/// One change or sync of a [`Recording`].
#[derive(Clone, Debug)]
pub struct RecordedStep {
    op: Op,
    path: Arc<Path>,
    step: Step,
}

impl RecordedStep {
    pub(super) fn new(op: Op, path: &Arc<Path>, step: Step) -> Self {
        Self { op, path: Arc::clone(path), step }
    }

    /// The kind of operation it was part of.
    #[must_use]
    pub fn op(&self) -> Op {
        self.op
    }

    /// The file or directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes it writes.
    ///
    /// A crash can fall inside it after 1 to `bytes - 1` of them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.step.bytes()
    }
}

impl Recording {
    pub(super) fn new(start: State, settings: Settings, steps: Vec<RecordedStep>) -> Self {
        Self { start, settings, steps: steps.into() }
    }

    /// The steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[RecordedStep] {
        &self.steps
    }

    /// Starts before the first step.
    #[must_use]
    pub fn replay(&self) -> Replay {
        Replay { recording: self.clone(), state: self.start.clone(), done: 0 }
    }
}

/// A place in a [`Recording`], with the disk as it was there.
///
/// ```
/// use annals::io::{PowerCuts, SimDisk};
/// # fn main() -> std::io::Result<()> {
/// let disk = SimDisk::new();
/// disk.record();
/// disk.root().create("a")?.write_at(b"hello", 0)?;
/// let recording = disk.recording();
///
/// let mut images = 0;
/// let mut replay = recording.replay();
/// loop {
///     // A process that was killed here leaves replay.disk(); a power cut may leave any of these.
///     for image in replay.disk().power_cuts(&PowerCuts::new(1)) {
///         images += 1;
///         if let Ok(bytes) = image.read("a") {
///             assert!(bytes.len() <= 5);
///         }
///     }
///     if !replay.advance() {
///         break;
///     }
/// }
/// assert!(images > 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Replay {
    recording: Recording,
    state: State,
    done: usize,
}

impl Replay {
    /// How many steps are behind. Compare with [`SimDisk::steps_recorded`] at the time of an acknowledgement.
    #[must_use]
    pub fn done(&self) -> usize {
        self.done
    }

    /// The step that comes next; none at the end.
    #[must_use]
    pub fn upcoming(&self) -> Option<&RecordedStep> {
        self.recording.steps.get(self.done)
    }

    /// Takes the next step; false at the end.
    pub fn advance(&mut self) -> bool {
        let Some(next) = self.recording.steps.get(self.done) else {
            return false;
        };
        next.step.apply(&mut self.state);
        self.done += 1;
        true
    }

    /// The disk as the next process finds it when the first was killed here.
    #[must_use]
    pub fn disk(&self) -> SimDisk {
        SimDisk::from_state(self.state.clone(), self.recording.settings)
    }

    /// The same when the kill fell inside the next step, after it wrote `bytes` bytes.
    #[must_use]
    pub fn disk_inside(&self, bytes: usize) -> SimDisk {
        let mut state = self.state.clone();
        if let Some(part) = self.upcoming().and_then(|next| next.step.cut(bytes)) {
            part.apply(&mut state);
        }
        SimDisk::from_state(state, self.recording.settings)
    }
}
