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
mod clocks_that_panic;
mod consumer;
mod consumer_crash;
mod crash;
mod damage;
mod damage_salvage;
mod damage_sample;
mod dying_threads;
mod faults;
mod faults_run;
mod group_kills;
mod group_offsets;
mod groups;
mod groups_crash;
mod groups_threads;
mod honest_simulation;
mod idle_consumers;
mod inspection;
mod interplay;
mod large_tails;
mod live_copies;
mod load;
mod loop_disk;
mod manifest_set_back;
mod many_partitions;
mod many_segments;
mod model;
mod open_time;
mod own_disk;
mod own_process;
mod partition_space;
#[cfg(annals_planted)]
mod planted;
mod producer;
mod proof;
mod quickstart;
mod real_disk;
mod real_power_cuts;
mod regressions;
mod semantics;
mod tears;
mod wakers;
mod wakers_that_act;
