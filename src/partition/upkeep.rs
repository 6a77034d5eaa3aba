//! The disk thread: it does what is due and nobody waits for.
//!
//! ```text
//!     append, future, dropped receipt ──call──▶ channel ──▶ disk thread ──▶ Shared::upkeep
//!                                                             ▲    │           sync, seal, prepare,
//!                                                             └────┘           reserve, retention
//!                                                            next due
//! ```

use super::shared::Shared;
use crate::sync::{AtomicBool, Mutex, Ordering};
use crate::{Error, ErrorKind, Result};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Weak;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The longest the thread sleeps when nothing is due: retention by age goes by a clock that may jump.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// A partition's line to its disk thread; there is none where maintenance is manual.
#[derive(Debug)]
pub(crate) struct Upkeep {
    calls: Sender<()>,
    /// Whether a call is under way that the thread has not yet begun to answer.
    called: AtomicBool,
    stopped: AtomicBool,
    inbox: Mutex<Option<Receiver<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Upkeep {
    /// A line with nobody at its other end yet.
    pub(super) fn new() -> Self {
        let (calls, inbox) = bounded(1);
        Self {
            calls,
            called: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            inbox: Mutex::new(Some(inbox)),
            thread: Mutex::new(None),
        }
    }

    /// Starts the thread.
    pub(super) fn start(&self, shared: Weak<Shared>) -> Result<()> {
        let Some(inbox) = self.inbox.lock().take() else { return Ok(()) };
        let thread = thread::Builder::new()
            .name("annals-disk".to_owned())
            .spawn(move || run(&inbox, &shared))
            .map_err(|error| Error::with_source(ErrorKind::Io, "cannot start the disk thread", error))?;
        *self.thread.lock() = Some(thread);
        Ok(())
    }

    /// Has the thread look for what is due. Never blocks.
    pub(super) fn call(&self) {
        // A look first: whoever calls has changed something under a lock that the thread takes after it began to
        // answer. So a call that is seen to be under way will find that change.
        if !self.called.load(Ordering::Acquire) && !self.called.swap(true, Ordering::AcqRel) {
            // A full channel means that a call is on its way already.
            let _ = self.calls.try_send(());
        }
    }

    /// Begins to answer: calls from now on are new ones.
    fn answer(&self) {
        self.called.store(false, Ordering::Release);
    }

    /// Ends the thread and waits for it, unless it is the thread itself that calls.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        let _ = self.calls.try_send(());
        let thread = self.thread.lock().take();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            drop(thread.join());
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

/// The disk thread.
fn run(inbox: &Receiver<()>, shared: &Weak<Shared>) {
    let mut idle = Duration::ZERO;
    loop {
        match inbox.recv_timeout(idle) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let Some(shared) = shared.upgrade() else { return };
        if shared.upkeep.is_stopped() {
            return;
        }
        shared.upkeep.answer();
        let next = catch_unwind(AssertUnwindSafe(|| shared.upkeep_due()));
        let Ok(next) = next else {
            let message = "the disk thread panicked: reopen the partition";
            shared.poison_locked(&mut shared.writer.lock(), &Error::new(ErrorKind::Poisoned, message));
            shared.commit.wake_futures();
            continue;
        };
        idle = next.min(SLEEP_MAX);
    }
}
