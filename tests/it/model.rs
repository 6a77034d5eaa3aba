//! T10: random sequences of steps, on a partition and on a `Vec` beside it that must always say the same.
//!
//! ```text
//!     seed ──▶ steps ──▶ World: partition on a simulated disk ──┐
//!                │              Model: a Vec of records ────────┴──▶ compared after every step
//!                └── when they differ: leave out what is not needed, print the rest
//! ```
//!
//! A step names offsets and times by fractions of what is there, so that it means something wherever it stands,
//! and a sequence stays one when steps are left out.

mod record;
mod step;
mod waiters;
mod world;

use crate::figure;
use crate::proof::{Count, Rate, Seed, Size};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use step::{Settings, Step};
use world::World;

/// How many steps a sequence has.
const STEPS: usize = 100;

#[test]
fn a_partition_is_a_vec() {
    let count = Size::asked().pick(60, 5_000, 50_000);
    let seed = Seed::of("T10 models");
    let started = Instant::now();
    for case in 0..count {
        let mut rng = seed.rng(case);
        let settings = Settings::draw(&mut rng);
        let steps: Vec<Step> = (0..STEPS).map(|_| Step::draw(&mut rng)).collect();
        if let Err(message) = run(&settings, &steps) {
            let steps = shrink(&settings, steps);
            let again = run(&settings, &steps).err().unwrap_or_else(|| message.clone());
            let listed: String = steps.iter().map(|step| format!("    {step:?}\n")).collect();
            panic!("case {case}: {again}\n(at first: {message})\n  {settings:?}\n{listed}");
        }
    }
    let rate = Rate(count * STEPS as u64, started.elapsed());
    figure!("T10 models: {} sequences of {STEPS} steps, {rate} steps, 0 violations", Count(count));
}

/// Runs the steps in a new world; says what went wrong.
fn run(settings: &Settings, steps: &[Step]) -> Result<(), String> {
    let attempt = || {
        let mut world = World::new(settings)?;
        for (at, step) in steps.iter().enumerate() {
            world.take(step).map_err(|message| format!("step {at}, {step:?}: {message}"))?;
        }
        world.end()
    };
    catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panicked: {}", text.unwrap_or_default()))
    })
}

/// Leaves out steps, many at once and then one by one, for as long as something still goes wrong.
fn shrink(settings: &Settings, mut steps: Vec<Step>) -> Vec<Step> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut len = steps.len() / 2;
    while len > 0 {
        let mut from = 0;
        while from < steps.len() {
            let to = (from + len).min(steps.len());
            let fewer = [&steps[..from], &steps[to..]].concat();
            if run(settings, &fewer).is_err() {
                steps = fewer;
            } else {
                from = to;
            }
        }
        len /= 2;
    }
    std::panic::set_hook(hook);
    steps
}
