//! T1 and T2 for brokers: a crash at every step of every script, and while it is recovered from.

use super::act::BrokerScript;
use super::performance::Performance;
use super::scripts::SCRIPTS;
use super::stage::rehearse;
use crate::crash::nested::{Nest, Thoroughness};
use crate::crash::power_cuts::{Crasher, Depth};
use crate::crash::tally::{Tally, hash_of, on_all};
use crate::figure;
use crate::proof::{Count, Rate, Seed, Size};
use std::time::Instant;

fn depth(size: Size) -> Depth {
    let quick = Depth {
        stride: 67,
        exhaustive_max: 1,
        samples: 2,
        torn: 1,
        insides: 1,
        examine_every: 16,
        reopened: 1,
    };
    let ci =
        Depth { stride: 1, exhaustive_max: 3, samples: 4, torn: 1, insides: 1, reopened: 1_500, ..quick };
    let full = Depth { exhaustive_max: 8, samples: 32, torn: 8, insides: 8, reopened: 60_000, ..ci };
    size.pick(quick, ci, full)
}

fn thoroughness(size: Size) -> Thoroughness {
    let quick = Thoroughness { points: 1, stride: 150, images: 1 };
    let ci = Thoroughness { points: 4, stride: 6, images: 2_500 };
    let full = Thoroughness { points: 8, stride: 1, images: 100_000 };
    size.pick(quick, ci, full)
}

fn crash(script: &BrokerScript, depth: Depth, seed: &Seed) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let mut round = 0;
    while tally.reopened < depth.reopened {
        let seed = seed.rng(round).u64(..) ^ hash_of(script.name);
        let rehearsal = rehearse(script, seed);
        let mut crasher = Crasher::new(Performance { script, history: &rehearsal.history }, depth, seed);
        crasher.crash_everywhere(&rehearsal.recording).map_err(|wrong| format!("round {round}: {wrong}"))?;
        tally.add(&crasher.tally);
        round += 1;
    }
    Ok(tally)
}

fn nest(script: &BrokerScript, thoroughness: Thoroughness, seed: &Seed) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let mut round = 0;
    while tally.images < thoroughness.images {
        let seed = seed.rng(round).u64(..) ^ hash_of(script.name);
        let rehearsal = rehearse(script, seed);
        let mut nest = Nest::new(Performance { script, history: &rehearsal.history }, thoroughness, seed);
        nest.crash_anywhere(&rehearsal.recording).map_err(|wrong| format!("round {round}: {wrong}"))?;
        tally.add(&nest.tally);
        round += 1;
    }
    Ok(tally)
}

#[test]
fn topics_survive_a_crash_at_any_step() {
    let seed = Seed::of("T1 broker power cuts");
    let depth = depth(Size::asked());
    let started = Instant::now();
    let total = on_all(SCRIPTS, |script| crash(script, depth, &seed));
    let rate = Rate(total.images, started.elapsed());
    figure!("T1 broker power cuts: {} workloads, {total}, 0 violations, {rate}", SCRIPTS.len());
}

#[test]
fn topics_survive_a_crash_in_recovery() {
    let seed = Seed::of("T2 broker nested crashes");
    let thoroughness = thoroughness(Size::asked());
    let started = Instant::now();
    let total = on_all(SCRIPTS, |script| nest(script, thoroughness, &seed));
    let rate = Rate(total.images, started.elapsed());
    figure!(
        "T2 broker nested crashes: {} workloads, {} cases, {total}, 0 violations, {rate}",
        SCRIPTS.len(),
        Count(total.images)
    );
}
