//! The tool, run as a process: every command, every error, a round trip of awkward lines, and kills at every moment.
//!
//! How much the heavy ones do is set by `ANNALS_PROOF`; see [`proof`].

#![allow(unreachable_pub, reason = "nothing outside can reach into a test binary")]

mod awkward;
mod commands;
mod errors;
mod kills;
mod process;
#[path = "../it/proof.rs"]
mod proof;
