//! The threads in the background: they do what is due and nobody waits for.
//!
//! ```text
//!     append, future, dropped receipt ──Upkeep::call──▶ channel ──▶ Worker ──▶ Chore::do_due
//!                                                                   ▲    │       sync, seal, prepare,
//!                                                                   └────┘       reserve, retention, linger
//!                                                               next due, of each
//! ```
//!
//! A partition that is opened by itself has a thread of its own, for the disk; all partitions of a broker share
//! one. What goes by the clock and must not wait for a disk has another: see [`Task`].

use crate::clock::Clock;
use crate::sync::{AtomicBool, Mutex, OnceLock, Ordering};
use crate::{Error, ErrorKind, Result};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

/// The longest the thread sleeps while anything is due at any time: retention goes by a clock that may jump.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// What a thread in the background is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Syncs, segment changes, retention: work that may be stuck in a slow disk.
    Disk,
    /// Lingering batches, sessions: work that is due at its time, however slow a sync or an unlink is.
    Timers,
}

impl Task {
    /// What the thread is called in a debugger.
    const fn thread_name(self) -> &'static str {
        match self {
            Self::Disk => "annals-disk",
            Self::Timers => "annals-timers",
        }
    }
}

/// Who has work for a thread in the background.
pub(crate) trait Chore: Send + Sync {
    /// The line by which the thread is called.
    fn upkeep(&self) -> &Upkeep;
    /// Does what is due and says how long nothing will be; [`Duration::MAX`]: nothing until the next call.
    fn do_due(&self) -> Duration;
    /// Is told that `do_due` panicked.
    fn panicked(&self);
}

/// Whose thread does the work.
#[derive(Clone, Debug)]
pub(crate) enum Attendance {
    /// One that lives as long as the line.
    Own,
    /// One that others call too.
    Shared(Arc<Worker>),
}

/// A line to a worker; nobody is at its other end until it is connected.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    line: OnceLock<Line>,
    /// Whether a call is under way that the thread has not yet begun to answer: so a chore has at most one
    /// call in the channel.
    called: AtomicBool,
    stopped: AtomicBool,
    /// Held by the thread while it works for this chore.
    at_work: Mutex<()>,
}

struct Line {
    chore: Weak<dyn Chore>,
    thread: Arc<Worker>,
    is_own: bool,
}

impl Upkeep {
    /// Connects the line, and has the thread look for the first time.
    pub(crate) fn connect(
        &self,
        chore: Weak<dyn Chore>,
        attendance: &Attendance,
        clock: &Arc<dyn Clock>,
    ) -> Result<()> {
        let (thread, is_own) = match attendance {
            Attendance::Own => (Worker::start(Task::Disk, clock.clone())?, true),
            Attendance::Shared(thread) => (thread.clone(), false),
        };
        drop(self.line.set(Line { chore, thread, is_own }));
        self.call();
        Ok(())
    }

    /// Has the thread look for what is due. Never blocks.
    pub(crate) fn call(&self) {
        // A look first: whoever calls has changed something under a lock that the thread takes after it began to
        // answer. So a call that is seen to be under way will find that change.
        if let Some(line) = self.line.get()
            && !self.called.load(Ordering::Acquire)
            && !self.called.swap(true, Ordering::AcqRel)
        {
            // One that has ended needs no calls.
            let _ended = line.thread.send(Call::Look(line.chore.clone()));
        }
    }

    /// Has the thread look once more at a chore that is being given up by whoever held it. Never blocks. False
    /// when nobody is at the other end.
    pub(crate) fn call_last(&self, chore: Arc<dyn Chore>) -> bool {
        let line = self.line.get();
        line.is_some_and(|line| line.thread.send(Call::LookLast(chore)))
    }

    /// Ends the work for this chore without waiting for what is under way.
    pub(crate) fn halt(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Ends the work for this chore, and waits for what is under way, unless it is the thread itself that
    /// calls.
    pub(crate) fn stop(&self) {
        self.halt();
        let Some(line) = self.line.get() else { return };
        if !line.thread.is_this() {
            drop(self.at_work.lock());
        }
        if line.is_own {
            line.thread.end();
        }
    }

    /// Ends the work for this chore unless some is under way, and says whether it did. Never blocks: what is under
    /// way may wait for a lock that the caller holds.
    pub(crate) fn stop_if_idle(&self) -> bool {
        let idle = self.at_work.try_lock();
        if idle.is_some() {
            self.stopped.store(true, Ordering::Release);
        }
        idle.is_some()
    }

    /// Begins to answer: calls from now on are new ones.
    fn answer(&self) {
        self.called.store(false, Ordering::Release);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("thread", &self.thread).field("is_own", &self.is_own).finish()
    }
}

/// A thread in the background. It ends when it is told to, or when nobody has a line to it any more.
#[derive(Debug)]
pub(crate) struct Worker {
    calls: Sender<Call>,
    id: ThreadId,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Call {
    Look(Weak<dyn Chore>),
    /// The same for a chore that nobody else holds any more: it lives until this is answered.
    LookLast(Arc<dyn Chore>),
    End,
}

impl Worker {
    /// Starts one. Its due times go by `clock`.
    pub(crate) fn start(task: Task, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        let (calls, inbox) = unbounded();
        let name = task.thread_name();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&inbox, &*clock))
            .map_err(|error| Error::with_source(ErrorKind::Io, format!("cannot start {name}"), error))?;
        Ok(Arc::new(Self { calls, id: thread.thread().id(), thread: Mutex::new(Some(thread)) }))
    }

    /// False when it has ended.
    fn send(&self, call: Call) -> bool {
        self.calls.send(call).is_ok()
    }

    fn is_this(&self) -> bool {
        self.id == thread::current().id()
    }

    /// Ends the thread and waits for it, unless it is the thread itself that calls.
    pub(crate) fn end(&self) {
        let _ended = self.send(Call::End);
        let thread = self.thread.lock().take();
        if let Some(thread) = thread.filter(|_| !self.is_this()) {
            drop(thread.join());
        }
    }
}

/// The thread.
fn run(inbox: &Receiver<Call>, clock: &dyn Clock) {
    let mut schedule = Schedule::default();
    let mut now = Duration::ZERO;
    loop {
        now = read(clock, now);
        let waiting = match schedule.next() {
            Some(due) => inbox.recv_timeout(due.saturating_sub(now).min(SLEEP_MAX)),
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match waiting {
            Ok(Call::Look(chore)) => attend(&chore, &mut schedule, (clock, now)),
            Ok(Call::LookLast(chore)) => attend(&Arc::downgrade(&chore), &mut schedule, (clock, now)),
            Err(RecvTimeoutError::Timeout) => {
                // Its time has passed, whatever a clock says that somebody holds still.
                if let Some(chore) = schedule.pop() {
                    attend(&chore, &mut schedule, (clock, now));
                }
            }
            Ok(Call::End) | Err(RecvTimeoutError::Disconnected) => return,
        }
        // However many calls come in, what is due has its turn.
        while schedule.next().is_some_and(|due| due <= now) {
            if let Some(chore) = schedule.pop() {
                attend(&chore, &mut schedule, (clock, now));
            }
        }
    }
}

/// What the clock says; `last` where it panics: it is the user's, and others are due as well.
fn read(clock: &dyn Clock, last: Duration) -> Duration {
    catch_unwind(AssertUnwindSafe(|| clock.monotonic())).unwrap_or(last)
}

/// Works for one chore and notes when it is due again. The clock was read a moment ago.
fn attend(weak: &Weak<dyn Chore>, schedule: &mut Schedule, (clock, now): (&dyn Clock, Duration)) {
    schedule.remove(weak);
    let Some(chore) = weak.upgrade() else { return };
    let upkeep = chore.upkeep();
    let at_work = upkeep.at_work.lock();
    if upkeep.is_stopped() {
        return;
    }
    upkeep.answer();
    match catch_unwind(AssertUnwindSafe(|| chore.do_due())) {
        Ok(Duration::MAX) => {}
        Ok(next) => schedule.add(weak, read(clock, now).saturating_add(next.min(SLEEP_MAX))),
        Err(_) => chore.panicked(),
    }
    drop(at_work);
}

/// Which chore is due when. A chore is known by its address, which is its own while it is in here.
#[derive(Default)]
struct Schedule {
    times: BTreeMap<(Duration, usize), Weak<dyn Chore>>,
    places: HashMap<usize, Duration>,
}

impl Schedule {
    fn next(&self) -> Option<Duration> {
        self.times.first_key_value().map(|((due, _), _)| *due)
    }

    fn pop(&mut self) -> Option<Weak<dyn Chore>> {
        let ((_, address), chore) = self.times.pop_first()?;
        self.places.remove(&address);
        Some(chore)
    }

    fn add(&mut self, chore: &Weak<dyn Chore>, due: Duration) {
        let address = chore.as_ptr().addr();
        self.places.insert(address, due);
        self.times.insert((due, address), chore.clone());
    }

    fn remove(&mut self, chore: &Weak<dyn Chore>) {
        let address = chore.as_ptr().addr();
        if let Some(due) = self.places.remove(&address) {
            self.times.remove(&(due, address));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::sync::AtomicU64;

    /// A chore that counts, and is due again after a while.
    struct Counter {
        upkeep: Upkeep,
        done: AtomicU64,
        panicked: AtomicU64,
        again: Duration,
    }

    impl Chore for Counter {
        fn upkeep(&self) -> &Upkeep {
            &self.upkeep
        }

        fn do_due(&self) -> Duration {
            assert_ne!(self.done.fetch_add(1, Ordering::AcqRel), 2, "the third time it panics");
            self.again
        }

        fn panicked(&self) {
            self.panicked.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn counter(again: Duration, thread: &Arc<Worker>) -> Arc<Counter> {
        let (done, panicked) = (AtomicU64::new(0), AtomicU64::new(0));
        let counter = Arc::new(Counter { upkeep: Upkeep::default(), done, panicked, again });
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let chore: Weak<dyn Chore> = Arc::<Counter>::downgrade(&counter);
        counter.upkeep.connect(chore, &Attendance::Shared(thread.clone()), &clock).expect("a thread runs");
        counter
    }

    fn wait_for(number: &AtomicU64, goal: u64) {
        while number.load(Ordering::Acquire) < goal {
            thread::yield_now();
        }
    }

    #[test]
    fn one_thread_serves_many_until_they_stop() {
        let thread = Worker::start(Task::Disk, Arc::new(SystemClock)).expect("threads can be had");
        let often = counter(Duration::from_millis(1), &thread);
        let seldom = counter(Duration::MAX, &thread);
        wait_for(&seldom.done, 1);
        wait_for(&often.panicked, 1);
        assert_eq!(often.done.load(Ordering::Acquire), 3, "a chore that panicked waits for a call");
        often.upkeep.call();
        wait_for(&often.done, 10);
        assert_eq!(seldom.done.load(Ordering::Acquire), 1);
        seldom.upkeep.call();
        wait_for(&seldom.done, 2);
        often.upkeep.stop();
        let done = often.done.load(Ordering::Acquire);
        seldom.upkeep.call();
        wait_for(&seldom.done, 3);
        thread::sleep(Duration::from_millis(20));
        assert_eq!(often.done.load(Ordering::Acquire), done);
        thread.end();
    }

    #[test]
    fn a_chore_that_is_given_up_is_looked_at_once_more() {
        let thread = Worker::start(Task::Timers, Arc::new(SystemClock)).expect("threads can be had");
        let chore = counter(Duration::MAX, &thread);
        wait_for(&chore.done, 1);
        let watched = Arc::downgrade(&chore);
        let same = Arc::clone(&chore);
        assert!(chore.upkeep.call_last(chore.clone()));
        drop(chore);
        wait_for(&same.done, 2);
        drop(same);
        thread.end();
        assert_eq!(watched.strong_count(), 0);
    }
}
