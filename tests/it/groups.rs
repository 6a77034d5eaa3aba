//! Groups against a model: random members on a real broker in memory, whose time stands still until it is told.
//!
//! ```text
//!     step ──▶ Broker, Consumer ──▶ what it says ─┐
//!       └────▶ World: who has what, what was      ├──▶ the same?
//!              handled and committed ─────────────┘
//! ```

mod driver;
mod step;
mod world;

use crate::figure;
use crate::proof::{Count, Rate, Seed, Size};
use std::time::Instant;
use step::Step;
use world::World;

/// How many steps one world lives for.
const LIFE: u64 = 2_000;

/// SEMANTICS 29, 30, 31, 32, 33, 34, 35, 38: one owner at a time, no commit of anybody else, nothing skipped,
/// nothing twice but what was not committed, everything owned again soon after the disturbances stop.
#[test]
fn random_members_share_the_work_as_the_model_says() {
    let steps: u64 = Size::asked().pick(6_000, 100_000, 1_000_000);
    let seed = Seed::of("groups model");
    let started = Instant::now();
    let (mut done, mut handled, mut twice, mut expelled) = (0, 0, 0, 0);
    for life in 0..steps.div_ceil(LIFE) {
        let mut rng = seed.rng(life);
        let mut world = World::new(&mut rng);
        for number in 0..LIFE {
            let step = Step::random(&mut rng);
            world.trace.push(format!("life {life}, step {number}: {step:?}"));
            world.take(step, &mut rng);
            done += 1;
        }
        world.calm_down();
        handled += world.handled;
        twice += world.twice;
        expelled += world.expelled;
    }
    assert!(handled > steps / 10 && twice > 0 && expelled > 0, "{handled} {twice} {expelled}");
    figure!(
        "groups model: {} steps, {}, {} records handled, {} of them again, {} members expelled",
        Count(done),
        Rate(done, started.elapsed()),
        Count(handled),
        Count(twice),
        Count(expelled)
    );
}
