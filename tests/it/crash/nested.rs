//! T2: crashes while recovery from a crash runs, and again while it recovers from that.
//!
//! ```text
//!     crash ──▶ open ── crash at each step ──▶ open ── crash at each step ──▶ open
//!                depth 1                        depth 2                        depth 3, sampled
//! ```

use super::examine::Examiner;
use super::history::Crash;
use super::rehearsal::rehearse;
use super::subject::Subject;
use super::tally::{Tally, hash_of, on_all};
use super::workload::Workload;
use super::workloads::WORKLOADS;
use crate::figure;
use crate::proof::{Count, Rate, Seed, Size};
use annals::io::{EntryOrder, PowerCuts, Recording, SimDisk};
use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// How many crashes are nested.
const DEPTH_MAX: u32 = 3;

/// What the nested crashes of one performance go through.
pub struct Nest<S: Subject> {
    subject: S,
    random: fastrand::Rng,
    seed: u64,
    /// Disks whose recovery has been crashed.
    crashed: HashSet<u64>,
    known: HashMap<u64, S::Found>,
    pub tally: Tally,
    thoroughness: Thoroughness,
}

/// How much of each performance is gone through.
#[derive(Clone, Copy, Debug)]
pub struct Thoroughness {
    /// How many first crashes there are.
    pub points: usize,
    /// One step of a recovery in so many is a crash point.
    pub stride: usize,
    /// Images of each workload; it is performed anew, with other chance, until there are so many.
    pub images: u64,
}

impl Thoroughness {
    fn of(size: Size) -> Self {
        let quick = Self { points: 2, stride: 12, images: 1 };
        let ci = Self { points: 6, stride: 2, images: 2_200 };
        let full = Self { points: 8, stride: 1, images: 22_000 };
        size.pick(quick, ci, full)
    }
}

impl<S: Subject> Nest<S> {
    pub fn new(subject: S, thoroughness: Thoroughness, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        let (crashed, known, tally) = (HashSet::new(), HashMap::new(), Tally::default());
        Self { subject, random, seed, crashed, known, tally, thoroughness }
    }

    /// Crashes the workload at random steps, and then what recovers from that at each.
    pub fn crash_anywhere(&mut self, recording: &Recording) -> Result<(), String> {
        let steps = recording.steps().len();
        let mut points: Vec<usize> = (0..=steps).collect();
        self.random.shuffle(&mut points);
        points.truncate(self.thoroughness.points);
        points.sort_unstable();
        let mut replay = recording.replay();
        for point in points {
            while replay.done() < point && replay.advance() {}
            let promise = self.subject.promise(point);
            let inside = replay.upcoming().map_or(0, |step| step.bytes());
            let disk = match inside {
                2.. if self.random.bool() => replay.disk_inside(self.random.usize(1..inside)),
                _ => replay.disk(),
            };
            let cuts = PowerCuts::new(self.random.u64(..)).exhaustive_max(1).samples(3).torn(1);
            self.nest(&disk.kill(), &promise, Crash::Kill, 1)
                .map_err(|wrong| format!("{wrong}\nkilled at {point}"))?;
            let mut images = disk.power_cuts(&cuts);
            while let Some(image) = images.next() {
                self.nest(&image, &promise, Crash::PowerCut, 1).map_err(|wrong| {
                    format!("{wrong}\nfirst crash: after {point} steps\n{}", images.describe())
                })?;
            }
        }
        Ok(())
    }

    /// Opens `disk` and crashes that at each step.
    fn nest(&mut self, disk: &SimDisk, promise: &S::Promise, crash: Crash, depth: u32) -> Result<(), String> {
        let hash = disk.content_hash();
        if !self.crashed.insert(hash ^ u64::from(crash == Crash::Kill)) {
            return Ok(());
        }
        let salt = hash ^ self.seed;
        let copy = disk.kill();
        copy.record();
        let (found, opened) = self.subject.open_and_close(&copy, salt)?;
        self.subject.check(promise, &found, crash)?;
        let recording = copy.recording();
        let mut replay = recording.replay();
        let stride = self.thoroughness.stride;
        loop {
            if self.random.usize(0..stride) > 0 {
                if !replay.advance() {
                    return Ok(());
                }
                continue;
            }
            // Once it is open, what it shows is a promise of its own.
            let shown = replay.done() >= opened;
            let promise = if shown { self.subject.promise_of(&found) } else { promise.clone() };
            self.crash_inside(&replay.disk(), &promise, crash, depth).map_err(|wrong| {
                let step = replay.upcoming().map(|step| (step.op(), step.path(), step.bytes()));
                format!(
                    "{wrong}\nrecovery {depth}: after {} steps of {opened}, before {step:?}",
                    replay.done()
                )
            })?;
            let inside = replay.upcoming().map_or(0, |step| step.bytes());
            if inside > 1 {
                let disk = replay.disk_inside(self.random.usize(1..inside));
                self.crash_inside(&disk, &promise, crash, depth)?;
            }
            if !replay.advance() {
                return Ok(());
            }
        }
    }

    fn crash_inside(
        &mut self,
        disk: &SimDisk,
        promise: &S::Promise,
        before: Crash,
        depth: u32,
    ) -> Result<(), String> {
        self.tally.crash_points += 1;
        self.check(&disk.kill(), promise, before, depth)?;
        let order = if self.random.bool() { EntryOrder::Prefix } else { EntryOrder::AnySubset };
        let cuts = PowerCuts::new(self.random.u64(..)).exhaustive_max(4).samples(8).torn(3).entries(order);
        let mut images = disk.power_cuts(&cuts);
        while let Some(image) = images.next() {
            self.check(&image, promise, Crash::PowerCut, depth).map_err(|wrong| {
                format!("{wrong}\npower cut at depth {}:\n{}", depth + 1, images.describe())
            })?;
        }
        Ok(())
    }

    fn check(
        &mut self,
        image: &SimDisk,
        promise: &S::Promise,
        crash: Crash,
        depth: u32,
    ) -> Result<(), String> {
        self.tally.images += 1;
        let hash = image.content_hash();
        // Most of what follows a crash in the last recovery is the same again.
        let goes_deeper = depth + 1 < DEPTH_MAX && self.random.u8(0..16) == 0;
        let copy = goes_deeper.then(|| image.kill());
        let found = match self.known.get(&hash) {
            Some(found) => found.clone(),
            None => {
                let found = self.subject.recover(image, hash ^ self.seed, &mut self.tally)?;
                self.tally.reopened += 1;
                self.known.insert(hash, found.clone());
                found
            }
        };
        self.subject.check(promise, &found, crash)?;
        match copy {
            Some(copy) => self.nest(&copy, promise, crash, depth + 1),
            None => Ok(()),
        }
    }
}

fn nest_workload(workload: &Workload, thoroughness: Thoroughness, seed: &Seed) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let mut round = 0;
    while tally.images < thoroughness.images {
        let seed = seed.rng(round).u64(..) ^ hash_of(workload.name);
        let rehearsal = rehearse(workload, seed);
        let subject = Examiner { workload, history: &rehearsal.history };
        let mut nest = Nest::new(subject, thoroughness, seed);
        nest.crash_anywhere(&rehearsal.recording).map_err(|wrong| format!("round {round}: {wrong}"))?;
        tally.add(&nest.tally);
        round += 1;
    }
    Ok(tally)
}

#[test]
fn a_crash_in_recovery_loses_nothing_either() {
    let seed = Seed::of("T2 nested crashes");
    let thoroughness = Thoroughness::of(Size::asked());
    let started = Instant::now();
    let total = on_all(WORKLOADS, |workload| nest_workload(workload, thoroughness, &seed));
    assert!(total.met_all(), "a row of the table was never met: {total}");
    let rate = Rate(total.images, started.elapsed());
    figure!(
        "T2 nested crashes: {} workloads, depth 2, 3 sampled, {} cases, {total}, 0 violations, {rate}",
        WORKLOADS.len(),
        Count(total.images)
    );
}
