//! What must hold for any bytes: the oracles of the fuzzers, one for each thing that is decoded.
//!
//! Each takes any bytes, panics when something does not hold, and says whether the bytes got past the checks,
//! so that a fuzzer can tell how much of its work was in vain. Built for tests and for `--cfg fuzzing` alone.

mod damage;
mod history;

pub use crate::partition::manifest::oracle::manifest_slot;
pub use crate::record::oracle::batches;
pub use crate::segment::oracle::{file_name, index, index_of_batches, segment_header, tail_mark};
pub use damage::damage;
pub use history::history;

#[cfg(test)]
mod tests;
