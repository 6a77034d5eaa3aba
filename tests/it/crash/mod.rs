//! Power cuts, killed processes and failed syncs at every step of many workloads, on the simulated disk.
//!
//! ```text
//!     Workload ──perform──▶ Rehearsal: Recording, and History: what was submitted, acknowledged, and when
//!                              │                      │
//!                        replay, cut              promise at this step
//!                              ▼                      ▼
//!                          SimDisk ──open──▶ Found ──kept?──▶ Tally, or a violation that says how to repeat it
//! ```
//!
//! T1 cuts the power and kills the process at every step, and inside of writes, and at every step of a log that
//! several threads use; T2 does so again while recovery runs; T4 lets each sync fail in turn. What is checked are
//! the invariants of a log of one partition: all acknowledged records are there, with the same bytes at the same
//! offsets (I1); nothing else is (I2); it is a prefix (I3), dense (I4), of whole batches (I7); what was shown
//! stays, as it was (I5, I6); the log starts where it was told to and goes no further back (I9); the index agrees
//! with a scan (I13); a poisoned log acknowledges nothing (I15); it opens (I16); and what was recovered is
//! recovered again, the second time without a write (I18).

pub mod examine;
pub mod failed_syncs;
pub mod history;
pub mod interlude;
mod mended;
pub mod nested;
pub mod power_cuts;
mod rehearsal;
pub mod subject;
pub mod tally;
mod threads;
mod workload;
mod workloads;
