//! Hearing that the broker is closed, also with nothing to read: without partitions, or with all of them paused.

use crate::Result;
use crate::broker::backend::Backend;
use crate::sync::{Bell, Rope, Ticket};
use std::sync::Arc;

/// The number of this rope.
const CLOSING: u64 = u64::MAX - 2;

/// One who rings when the broker is closed.
pub(super) struct Closing {
    backend: Arc<dyn Backend>,
    ticket: Ticket,
}

impl Closing {
    /// Rings `bell` when `backend` is closed.
    ///
    /// # Errors
    /// `Closed` when it is.
    pub(super) fn new(backend: &Arc<dyn Backend>, bell: &Arc<Bell>) -> Result<Self> {
        let ticket = backend.await_close(Rope::waker(bell, CLOSING));
        let closing = Self { backend: backend.clone(), ticket };
        closing.check()?;
        Ok(closing)
    }

    /// # Errors
    /// `Closed` when the broker is.
    pub(super) fn check(&self) -> Result<()> {
        self.backend.usable()
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.backend.leave_close(self.ticket);
    }
}
