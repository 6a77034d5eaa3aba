//! Futures that are polled by hand: when they are due they must have been woken, and not be ready before.

use super::world::Verdict;
use annals::{Appended, Durability, ErrorKind, Pending, ReadLevel, Result};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Whether somebody was woken.
#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A future and its bell.
struct Polled<T> {
    /// Taken when it was ready.
    pending: Option<Pending<T>>,
    bell: Arc<Bell>,
    polls: u32,
}

impl<T: Unpin> Polled<T> {
    fn new(pending: Pending<T>) -> Self {
        Self { pending: Some(pending), bell: Arc::default(), polls: 0 }
    }

    /// Polls for the first time, and then only when the bell rang, as an executor does.
    fn poll(&mut self) -> Option<Result<T>> {
        let rang = self.bell.0.swap(false, Ordering::SeqCst);
        if !rang && self.polls > 0 {
            return None;
        }
        self.polls += 1;
        let waker = Waker::from(self.bell.clone());
        match Pin::new(self.pending.as_mut()?).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => {
                self.pending = None;
                Some(result)
            }
            Poll::Pending => None,
        }
    }
}

/// Waits for a record beyond an offset.
pub struct Waiter {
    polled: Polled<()>,
    pub level: ReadLevel,
    pub offset: u64,
}

impl Waiter {
    pub fn new(past: Pending<()>, level: ReadLevel, offset: u64) -> Self {
        Self { polled: Polled::new(past), level, offset }
    }

    pub fn is_done(&self) -> bool {
        self.polled.pending.is_none()
    }

    /// `end` is what a reader at its level sees now.
    pub fn check(&mut self, end: u64) -> Verdict {
        let (is_due, offset) = (end > self.offset, self.offset);
        match self.polled.poll() {
            None if is_due => {
                Err(format!("the end, {end}, has passed {offset}, and its waiter was not woken"))
            }
            Some(Ok(())) if !is_due => Err(format!("a waiter for {offset} was told, and the end is {end}")),
            Some(Err(error)) => Err(format!("a waiter for {offset} failed: {error}")),
            _ => Ok(()),
        }
    }

    /// The partition was closed when it ended at `end`.
    pub fn closed(&mut self, end: u64) -> Verdict {
        match self.polled.poll() {
            Some(Ok(())) if end > self.offset => Ok(()),
            Some(Err(error)) if error.kind() == ErrorKind::Closed => Ok(()),
            other => Err(format!("after the close a waiter for {} got {other:?}", self.offset)),
        }
    }
}

/// A receipt that was kept.
pub struct Receipt {
    polled: Polled<Appended>,
    level: Durability,
    base: u64,
    pub next: u64,
}

impl Receipt {
    pub fn new(pending: Pending<Appended>, level: Durability, base: u64, next: u64) -> Self {
        Self { polled: Polled::new(pending), level, base, next }
    }

    pub fn is_done(&self) -> bool {
        self.polled.pending.is_none()
    }

    pub fn check(&mut self, durable: u64) -> Verdict {
        let is_due = self.level == Durability::Written || durable >= self.next;
        match self.polled.poll() {
            None if is_due && self.polled.pending.is_some() => {
                Err(format!("{} is durable, and the receipt of {} was not woken", durable, self.base))
            }
            Some(Ok(appended)) if !is_due || appended.base_offset().get() != self.base => {
                Err(format!("the receipt of {} says {appended:?}, durable is {durable}", self.base))
            }
            Some(Err(error)) => Err(format!("the receipt of {} failed: {error}", self.base)),
            _ => Ok(()),
        }
    }
}
