//! What is crashed: something that was performed on a disk that records, and can be opened again.
//!
//! ```text
//!     Crasher (T1), Nest (T2) ──▶ dyn-free: Subject ◀── a partition's workload, a broker's workload
//! ```

use super::history::Crash;
use super::tally::Tally;
use annals::io::SimDisk;

/// A performance, and how its disk is opened and looked at after a crash.
pub trait Subject {
    /// What must hold after a crash at some step.
    type Promise: Clone;
    /// What an open finds.
    type Found: Clone;

    /// What must hold with `steps` steps behind.
    fn promise(&self, steps: usize) -> Self::Promise;

    /// What must hold of a disk that was found so and has been shown since.
    fn promise_of(&self, found: &Self::Found) -> Self::Promise;

    /// Whether what was found is allowed; else why not.
    fn check(&self, promise: &Self::Promise, found: &Self::Found, crash: Crash) -> Result<(), String>;

    /// Opens the disk, looks at all of it and throws it away. No disk is opened twice with the same `salt`.
    fn recover(&self, disk: &SimDisk, salt: u64, tally: &mut Tally) -> Result<Self::Found, String>;

    /// Opens a disk that records, looks at it and closes it. Says how many steps the open took.
    fn open_and_close(&self, disk: &SimDisk, salt: u64) -> Result<(Self::Found, usize), String>;

    /// Opens the disk and cuts the power: what was shown as durable must be there.
    fn cut_after_open(&self, disk: &SimDisk, salt: u64, found: &Self::Found, cuts: u64)
    -> Result<(), String>;

    /// All that takes longer.
    fn examine(&self, disk: &SimDisk, salt: u64, found: &Self::Found) -> Result<(), String>;

    /// Whether an image is examined at length, when one in `every` is.
    fn is_examined(&self, hash: u64, every: u64) -> bool {
        hash.is_multiple_of(every)
    }
}

/// Whose performances are crashed: one of many.
pub trait Script: Sync {
    fn name(&self) -> &'static str;
}
