//! T1: every step of every workload is a crash point, and bytes inside of writes.

use super::examine::Examiner;
use super::history::Crash;
use super::rehearsal::rehearse;
use super::subject::Subject;
use super::tally::{Tally, hash_of, on_all};
use super::workload::Workload;
use super::workloads::WORKLOADS;
use crate::figure;
use crate::proof::{Rate, Seed, Size};
use annals::io::{EntryOrder, Images, PowerCuts, Recording, Replay, SimDisk};
use std::collections::HashMap;
use std::time::Instant;

/// How thoroughly the crashes at one point are gone through.
#[derive(Clone, Copy, Debug)]
pub struct Depth {
    /// One step in so many is a crash point.
    pub stride: usize,
    /// Up to how many atoms all subsets are tried.
    pub exhaustive_max: usize,
    pub samples: usize,
    pub torn: usize,
    /// At how many bytes inside a write the crash falls; all where there are no more.
    pub insides: usize,
    /// One in so many distinct images is examined at length.
    pub examine_every: u64,
    /// Distinct images of each workload; it is performed anew, with other chance, until there are so many.
    pub reopened: u64,
}

impl Depth {
    fn of(size: Size) -> Self {
        let quick = Self {
            stride: 9,
            exhaustive_max: 2,
            samples: 4,
            torn: 1,
            insides: 1,
            examine_every: 16,
            reopened: 1,
        };
        let ci = Self {
            stride: 1,
            exhaustive_max: 6,
            samples: 24,
            torn: 6,
            insides: 6,
            examine_every: 32,
            reopened: 21_000,
        };
        let full = Self {
            stride: 1,
            exhaustive_max: 12,
            samples: 64,
            torn: 32,
            insides: 160,
            examine_every: 64,
            reopened: 210_000,
        };
        size.pick(quick, ci, full)
    }
}

/// Crashes one performance of a workload everywhere.
pub struct Crasher<S: Subject> {
    subject: S,
    depth: Depth,
    seed: u64,
    random: fastrand::Rng,
    /// What was found on disks that had been seen before.
    known: HashMap<u64, S::Found>,
    pub tally: Tally,
}

impl<S: Subject> Crasher<S> {
    pub fn new(subject: S, depth: Depth, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { subject, depth, seed, random, known: HashMap::new(), tally: Tally::default() }
    }

    pub fn crash_everywhere(&mut self, recording: &Recording) -> Result<(), String> {
        let mut replay = recording.replay();
        let phase = self.random.usize(0..self.depth.stride);
        loop {
            if (replay.done() + phase).is_multiple_of(self.depth.stride) {
                self.crash_at(&replay).map_err(|wrong| {
                    let step = replay.upcoming().map(|step| (step.op(), step.path(), step.bytes()));
                    format!("{wrong}\nafter {} steps, before {step:?}", replay.done())
                })?;
            }
            if !replay.advance() {
                return Ok(());
            }
        }
    }

    /// Crashes before the next step, and inside of it.
    fn crash_at(&mut self, replay: &Replay) -> Result<(), String> {
        let promise = self.subject.promise(replay.done());
        let cuts = PowerCuts::new(self.random.u64(..))
            .exhaustive_max(self.depth.exhaustive_max)
            .samples(self.depth.samples)
            .torn(self.depth.torn);
        self.crash(&replay.disk(), &promise, &cuts)?;
        let inside = replay.upcoming().map_or(0, |step| step.bytes().saturating_sub(1));
        let few = cuts.exhaustive_max(2).samples(4).torn(2);
        for bytes in insides(inside, self.depth.insides, &mut self.random) {
            self.crash(&replay.disk_inside(bytes), &promise, &few)
                .map_err(|wrong| format!("{wrong}\nbyte {bytes}"))?;
        }
        Ok(())
    }

    fn crash(&mut self, disk: &SimDisk, promise: &S::Promise, cuts: &PowerCuts) -> Result<(), String> {
        self.tally.crash_points += 1;
        self.check(&disk.kill(), promise, Crash::Kill).map_err(|wrong| format!("{wrong}\nkilled"))?;
        for order in [EntryOrder::Prefix, EntryOrder::AnySubset] {
            let mut images = disk.power_cuts(&cuts.clone().entries(order));
            while let Some(image) = images.next() {
                self.check(&image, promise, Crash::PowerCut).map_err(|wrong| told(&wrong, &images))?;
            }
        }
        Ok(())
    }

    /// Opens one image, unless its like has been opened, and compares what is found with the promise.
    fn check(&mut self, image: &SimDisk, promise: &S::Promise, crash: Crash) -> Result<(), String> {
        self.tally.images += 1;
        let hash = image.content_hash();
        let known = self.known.get(&hash).cloned();
        let is_new = known.is_none();
        let salt = hash ^ self.seed;
        let is_examined = is_new && self.subject.is_examined(hash, self.depth.examine_every);
        let copy = if crash == Crash::Kill || is_examined { Some(image.kill()) } else { None };
        let found = match known {
            Some(found) => found,
            None => {
                let found = self.subject.recover(image, salt, &mut self.tally)?;
                self.tally.reopened += 1;
                self.known.insert(hash, found.clone());
                found
            }
        };
        self.subject.check(promise, &found, crash)?;
        let Some(copy) = copy else { return Ok(()) };
        if crash == Crash::Kill {
            self.subject.cut_after_open(&copy.kill(), salt ^ 7, &found, 2)?;
        }
        if is_examined {
            self.tally.examined += 1;
            self.subject.examine(&copy, salt ^ 11, &found)?;
        }
        Ok(())
    }
}

fn told(wrong: &str, images: &Images) -> String {
    format!("{wrong}\nthe power cut:\n{}", images.describe())
}

/// Places inside a write of `end` bytes and one more: all, or so many of them.
fn insides(end: usize, most: usize, random: &mut fastrand::Rng) -> Vec<usize> {
    if end <= most {
        return (1..=end).collect();
    }
    (0..most).map(|_| random.usize(1..=end)).collect()
}

/// Performs `workload` and crashes it, again and again until there were images enough.
fn crash_workload(workload: &Workload, depth: Depth, seed: &Seed) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let mut round = 0;
    while tally.reopened < depth.reopened {
        let seed = seed.rng(round).u64(..) ^ hash_of(workload.name);
        let rehearsal = rehearse(workload, seed);
        let subject = Examiner { workload, history: &rehearsal.history };
        let mut crasher = Crasher::new(subject, depth, seed);
        crasher.crash_everywhere(&rehearsal.recording).map_err(|wrong| format!("round {round}: {wrong}"))?;
        tally.add(&crasher.tally);
        round += 1;
    }
    Ok(tally)
}

#[test]
fn what_was_acknowledged_survives_a_crash_at_any_step() {
    let seed = Seed::of("T1 power cuts");
    let depth = Depth::of(Size::asked());
    let started = Instant::now();
    let total = on_all(WORKLOADS, |workload| crash_workload(workload, depth, &seed));
    assert!(total.met_all(), "a row of the table was never met: {total}");
    let rate = Rate(total.images, started.elapsed());
    figure!("T1 power cuts: {} workloads, {total}, 0 violations, {rate}", WORKLOADS.len());
}
