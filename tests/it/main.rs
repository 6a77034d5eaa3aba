//! The integration suite: one binary, a module per promise or per kind of fault.
//!
//! How large the heavy suites run is set by `ANNALS_PROOF`; see [`proof`].

#![allow(unreachable_pub, reason = "nothing outside can reach into a test binary")]

mod basics;
mod broker;
mod damage;
mod damage_sample;
mod honest_simulation;
mod loop_disk;
mod proof;
