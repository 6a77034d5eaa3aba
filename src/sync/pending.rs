//! Work that has begun: it can be waited for, awaited, or left alone.

use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::Goal;
use super::gate::Ticket;

/// Work that has begun and will end by itself.
///
/// Call [`Pending::wait`] to block until it is done, [`Pending::wait_for`] to block for a while, or `.await`
/// it on any executor. Dropping it cancels nothing. A waker that panics harms nobody else.
///
/// ```
/// use annals::{Partition, Record};
/// let log = Partition::options().open_in_memory()?;
/// let appended = log.append([Record::new("a")]).wait()?;
/// assert_eq!(appended.base_offset().get(), 0);
///
/// async fn store(log: &Partition, line: &str) -> annals::Result<()> {
///     log.append([Record::new(line)]).await?;
///     Ok(())
/// }
/// # Ok::<(), annals::Error>(())
/// ```
pub struct Pending<T>(Step<T>);

enum Step<T> {
    Ready(Result<T>),
    Waiting {
        until: Arc<dyn Progress>,
        goal: Goal,
        value: T,
        place: Place,
    },
    /// The value is not known before the work is done.
    Promised {
        promise: Arc<dyn Promise<T>>,
        share: Share,
        place: Place,
    },
    Taken,
}

/// Where a future stands in the queues of what it waits for. The queues number their tickets each for itself.
#[derive(Debug, Default)]
pub(crate) struct Place {
    pub(crate) written: Option<Ticket>,
    pub(crate) durable: Option<Ticket>,
}

/// Something that advances towards goals.
pub(crate) trait Progress: Send + Sync {
    /// Blocks until `goal` is reached, or until `deadline`; says whether it was reached.
    fn wait(&self, goal: Goal, deadline: Deadline) -> Result<bool>;
    /// Asks whether `goal` is reached, and to be woken when it may be.
    fn poll(&self, goal: Goal, place: &mut Place, context: &mut Context<'_>) -> Poll<Result<()>>;
    /// The waiter is gone before the goal was reached.
    fn abandon(&self, goal: Goal, place: &mut Place);
}

/// Work that is done for many at once, each of whom has a share in it and a result of his own.
pub(crate) trait Promise<T>: Send + Sync {
    /// Blocks until the work is done, or until `deadline`: then none.
    fn wait(&self, share: Share, deadline: Deadline) -> Result<Option<T>>;
    /// Asks whether the work is done, and to be woken when it may be.
    fn poll(&self, share: Share, place: &mut Place, context: &mut Context<'_>) -> Poll<Result<T>>;
    /// The holder of a share is gone before he heard.
    fn abandon(&self, share: Share, place: &mut Place);
}

/// Which part of the work a waiter asks about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    /// Its place in the whole.
    pub(crate) index: u32,
    /// The timestamp it came with, in milliseconds.
    pub(crate) millis: i64,
}

/// How long a blocking wait may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// As long as it takes.
    Never,
    /// Until this moment.
    At(Instant),
}

impl Deadline {
    /// The moment `limit` from now; a limit beyond what the clock can count is none.
    pub(crate) fn after(limit: Duration) -> Self {
        Instant::now().checked_add(limit).map_or(Self::Never, Self::At)
    }
}

impl<T> Pending<T> {
    /// Work that is done.
    pub(crate) fn ready(value: T) -> Self {
        Self(Step::Ready(Ok(value)))
    }

    /// Work that could not begin.
    pub(crate) fn failed(error: Error) -> Self {
        Self(Step::Ready(Err(error)))
    }

    /// Work that is done when `until` has reached `goal`.
    pub(crate) fn until(until: Arc<dyn Progress>, goal: Goal, value: T) -> Self {
        Self(Step::Waiting { until, goal, value, place: Place::default() })
    }

    /// Work that `promise` does for many.
    pub(crate) fn promised(promise: Arc<dyn Promise<T>>, share: Share) -> Self {
        Self(Step::Promised { promise, share, place: Place::default() })
    }

    /// Blocks until the work is done.
    ///
    /// # Errors
    /// Those of the work itself.
    pub fn wait(mut self) -> Result<T> {
        if let Step::Ready(_) = self.0 {
            return self.take();
        }
        let done = self.wait_until(Deadline::Never)?;
        Ok(done.expect("a wait without a deadline does not run out of time"))
    }

    /// Blocks until the work is done, at most `limit`.
    ///
    /// `None` when the time is up first. Then whether the work will succeed is unknown: it goes on.
    ///
    /// # Errors
    /// Those of the work itself; `InvalidInput` when the result was taken already.
    pub fn wait_for(&mut self, limit: Duration) -> Result<Option<T>> {
        self.wait_until(Deadline::after(limit))
    }

    pub(crate) fn wait_until(&mut self, deadline: Deadline) -> Result<Option<T>> {
        let reached = match &self.0 {
            Step::Waiting { until, goal, .. } => until.wait(*goal, deadline),
            Step::Promised { promise, share, .. } => {
                let done = promise.wait(*share, deadline);
                if !matches!(done, Ok(None)) {
                    self.forget();
                }
                return done;
            }
            Step::Ready(_) | Step::Taken => Ok(true),
        };
        match reached {
            Ok(true) => self.take().map(Some),
            Ok(false) => Ok(None),
            Err(error) => {
                self.forget();
                Err(error)
            }
        }
    }

    /// The result of work that is done.
    fn take(&mut self) -> Result<T> {
        match std::mem::replace(&mut self.0, Step::Taken) {
            Step::Ready(result) => result,
            Step::Waiting { value, .. } => Ok(value),
            Step::Promised { .. } | Step::Taken => {
                Err(Error::new(ErrorKind::InvalidInput, "the result was taken already"))
            }
        }
    }

    /// Leaves the queues without abandoning the goal.
    fn forget(&mut self) {
        self.0 = Step::Taken;
    }
}

impl<T: Unpin> Future for Pending<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        if let Step::Waiting { until, goal, place, .. } = &mut self.0 {
            match until.poll(*goal, place, context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    self.forget();
                    return Poll::Ready(Err(error));
                }
            }
        }
        if let Step::Promised { promise, share, place } = &mut self.0 {
            let done = promise.poll(*share, place, context);
            if done.is_ready() {
                self.forget();
            }
            return done;
        }
        Poll::Ready(self.take())
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        match &mut self.0 {
            Step::Waiting { until, goal, place, .. } => until.abandon(*goal, place),
            Step::Promised { promise, share, place } => promise.abandon(*share, place),
            Step::Ready(_) | Step::Taken => {}
        }
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Step::Ready(Ok(_)) => "Pending(done)",
            Step::Ready(Err(_)) => "Pending(failed)",
            Step::Waiting { .. } | Step::Promised { .. } => "Pending(waiting)",
            Step::Taken => "Pending(taken)",
        })
    }
}

/// A blocked thread as a waker.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks this thread until `poll` is ready or the deadline has passed; `None` when it has.
pub(crate) fn block_on<T>(
    deadline: Deadline,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = poll(&mut context) {
            return Some(value);
        }
        match deadline {
            Deadline::Never => thread::park(),
            Deadline::At(moment) => match moment.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => thread::park_timeout(left),
                _ => return None,
            },
        }
    }
}
