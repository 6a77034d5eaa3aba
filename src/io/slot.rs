//! Room for one map writer on a file handle.

use crate::sync::{AtomicBool, Ordering};
use std::io;
use std::sync::Arc;

/// Whether a file handle has a map writer.
#[derive(Debug, Default)]
pub(super) struct WriterSlot(AtomicBool);

/// The slot while it is taken; dropping it frees it.
#[derive(Debug)]
pub(super) struct HeldSlot(Arc<WriterSlot>);

impl WriterSlot {
    /// Takes the slot.
    ///
    /// # Errors
    /// `ResourceBusy` while another writer lives.
    pub(super) fn take(slot: &Arc<Self>) -> io::Result<HeldSlot> {
        let free = !slot.0.swap(true, Ordering::AcqRel);
        if free { Ok(HeldSlot(Arc::clone(slot))) } else { Err(io::ErrorKind::ResourceBusy.into()) }
    }
}

impl Drop for HeldSlot {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Release);
    }
}
