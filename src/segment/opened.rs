//! The open file behind a segment, and the space reserved in it.

use crate::io::{ClosedFile, File, MapReader};
use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::{Error, Result};
use std::sync::Arc;

/// The open file behind a segment.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: Arc<dyn File>,
    pub(crate) map: Option<Arc<dyn MapReader>>,
    /// How far space is reserved, where there is no map to keep that.
    reserved: AtomicU64,
    /// Held while the file grows: where space cannot be reserved its size is set, and a size that was chosen before
    /// another took a longer one would cut off what has been written since.
    growth: Mutex<()>,
    /// Bytes of disk it took when it was opened. A process that was killed leaves more than counts as reserved.
    taken: u64,
}

impl Opened {
    pub(crate) fn new(file: Arc<dyn File>, map: Option<Arc<dyn MapReader>>, reserved: u64) -> Self {
        Self { file, map, reserved: AtomicU64::new(reserved), growth: Mutex::new(()), taken: 0 }
    }

    /// The same of a file that is appended to, and takes `taken` bytes of disk already.
    pub(crate) fn taking(self, taken: u64) -> Self {
        Self { taken, ..self }
    }

    /// What is left when the file is closed, which takes `taken` bytes of disk.
    pub(crate) fn closed(&self, taken: u64) -> Self {
        Self::new(ClosedFile::of(&*self.file), None, 0).taking(taken)
    }

    /// Bytes of disk it takes, up to its reserve.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.reserved().max(self.taken)
    }

    /// How far space is reserved.
    pub(crate) fn reserved(&self) -> u64 {
        self.map.as_ref().map_or_else(|| self.reserved.load(Ordering::Acquire), |map| map.reserved())
    }

    /// Reserves space up to `to`, beside whatever is being appended.
    ///
    /// # Errors
    /// `NoSpace` when there is none; what was reserved before stays.
    pub(crate) fn reserve(&self, to: u64) -> Result<()> {
        let reserved = match &self.map {
            Some(map) => map.reserve(to),
            None => self.allocate(to),
        };
        reserved.map_err(|error| {
            Error::io(format_args!("reserve space up to position {to} of"), self.file.path(), error)
        })
    }

    fn allocate(&self, to: u64) -> std::io::Result<()> {
        let _one_at_a_time = self.growth.lock();
        let from = self.reserved.load(Ordering::Acquire);
        if from < to {
            self.file.allocate(from, to)?;
            self.reserved.store(to, Ordering::Release);
        }
        Ok(())
    }
}
