//! The integration suite: one binary, a module per promise or per kind of fault.
//!
//! How large the heavy suites run is set by `ANNALS_PROOF`; see [`proof`].

#![allow(unreachable_pub, reason = "nothing outside can reach into a test binary")]

mod assignors;
mod bad_input;
mod basics;
mod broker;
mod broker_crash;
mod broker_space;
mod consumer;
mod crash;
mod damage;
mod damage_salvage;
mod damage_sample;
mod faults;
mod faults_run;
mod honest_simulation;
mod idle_consumers;
mod inspection;
mod interplay;
mod loop_disk;
mod many_partitions;
mod model;
mod open_time;
#[cfg(annals_planted)]
mod planted;
mod proof;
mod real_disk;
mod regressions;
mod semantics;
