//! Many power cuts at one point: every subset of what may be lost, or a sample of them.

use super::cut::{Fate, Key, Plan};
use super::disk::SimDisk;
use super::shared::Settings;
use super::state::State;
use crate::io::pages::{SECTOR_BYTES, to_usize};
use std::collections::HashSet;
use std::fmt::Write;

/// Which changes of names a power cut may keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryOrder {
    /// Of each directory the first few, in order: what a journal gives (ext4, XFS, btrfs).
    #[default]
    Prefix,
    /// Any of them.
    AnySubset,
}

/// How to choose among the power cuts that are possible at one point.
///
/// ```
/// use annals::io::{PowerCuts, SimDisk};
/// # fn main() -> std::io::Result<()> {
/// let disk = SimDisk::new();
/// disk.root().create("a")?.write_at(&[1; 600], 0)?;
/// // Four atoms: the name, the length and two sectors. Without the name nothing else shows, and without the
/// // length no sector does.
/// let cuts = PowerCuts::new(7).torn(0);
/// assert_eq!(disk.power_cuts(&cuts).count(), 1 + 1 + 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PowerCuts {
    seed: u64,
    exhaustive_max: usize,
    samples: usize,
    torn: usize,
    entries: EntryOrder,
}

impl PowerCuts {
    /// All subsets up to 12 atoms, and 64 samples above.
    ///
    /// And 8 more with torn sectors; the same for every `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, exhaustive_max: 12, samples: 64, torn: 8, entries: EntryOrder::Prefix }
    }

    /// Up to how many atoms all subsets are tried. Default 12; at most 24.
    #[must_use]
    pub fn exhaustive_max(mut self, atoms: usize) -> Self {
        self.exhaustive_max = atoms.min(24);
        self
    }

    /// How many subsets are drawn when there are more atoms. Default 64. The first two are all lost and all
    /// kept; one in four of the others has torn, older or garbage sectors among the kept.
    #[must_use]
    pub fn samples(mut self, count: usize) -> Self {
        self.samples = count;
        self
    }

    /// How many cuts with torn, older or garbage sectors are drawn. Default 8.
    ///
    /// They come on top of all subsets.
    #[must_use]
    pub fn torn(mut self, count: usize) -> Self {
        self.torn = count;
        self
    }

    /// Which changes of names can survive. Default [`EntryOrder::Prefix`].
    #[must_use]
    pub fn entries(mut self, entries: EntryOrder) -> Self {
        self.entries = entries;
        self
    }
}

/// The disks that may be left by a power cut. See [`SimDisk::power_cuts`].
///
/// Each is different from all before it.
#[derive(Debug)]
pub struct Images {
    plan: Plan,
    settings: Settings,
    cuts: PowerCuts,
    /// How many choices each digit of a counter has; with all of them one counter runs through all subsets.
    digits: Vec<Digit>,
    fates: Vec<Fate>,
    next: u64,
    subsets: u64,
    end: u64,
    seen: HashSet<u64>,
}

/// Atoms whose fates hang together: one by itself, or the names of one directory in order.
#[derive(Debug)]
struct Digit {
    first: usize,
    count: usize,
}

impl Images {
    pub(super) fn new(state: &State, settings: Settings, cuts: &PowerCuts) -> Self {
        let plan = Plan::new(state);
        let digits = digits(plan.keys(), cuts.entries);
        let atoms = plan.keys().len();
        let exhaustive = atoms <= cuts.exhaustive_max;
        let subsets =
            if exhaustive { digits.iter().map(|digit| digit.count as u64 + 1).product() } else { 0 };
        let drawn = if exhaustive { cuts.torn.min(atoms * 512) } else { cuts.samples };
        Self {
            plan,
            settings,
            cuts: cuts.clone(),
            digits,
            fates: vec![Fate::Lost; atoms],
            next: 0,
            subsets,
            end: subsets + drawn as u64,
            seen: HashSet::new(),
        }
    }

    /// Says what the last disk has lost, one line an atom, for a report.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for (key, fate) in self.plan.keys().iter().zip(&self.fates) {
            let _ = writeln!(text, "{fate:?}: {:?}", self.plan.atom(*key));
        }
        text
    }

    /// Whether all subsets are tried, not a sample.
    #[must_use]
    pub fn is_exhaustive(&self) -> bool {
        self.subsets > 0
    }

    fn choose(&mut self, turn: u64) {
        if turn < self.subsets {
            self.choose_subset(turn);
            return;
        }
        let mut random = fastrand::Rng::with_seed(self.cuts.seed ^ turn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let torn = self.is_exhaustive();
        match (turn - self.subsets, torn) {
            (0, false) => self.fates.fill(Fate::Lost),
            (1, false) => self.fates.fill(Fate::Kept),
            _ => {
                self.choose_some(&mut random);
                if torn || random.u8(0..4) == 0 {
                    self.tear(&mut random);
                }
            }
        }
        self.keep_order();
    }

    fn choose_subset(&mut self, mut number: u64) {
        for digit in &self.digits {
            let radix = digit.count as u64 + 1;
            let kept = to_usize(number % radix);
            number /= radix;
            let fates = &mut self.fates[digit.first..digit.first + digit.count];
            let (first, rest) = fates.split_at_mut(kept);
            first.fill(Fate::Kept);
            rest.fill(Fate::Lost);
        }
    }

    /// Loses some atoms: each by chance, all but one, only one, or all from some place on.
    fn choose_some(&mut self, random: &mut fastrand::Rng) {
        let one = random.usize(..self.fates.len());
        let kind = random.u8(0..8);
        for (index, fate) in self.fates.iter_mut().enumerate() {
            let kept = match kind {
                0..=2 => random.bool(),
                3 => random.u8(0..8) != 0,
                4 => random.u8(0..8) == 0,
                5 => index != one,
                6 => index == one,
                _ => index < one,
            };
            *fate = if kept { Fate::Kept } else { Fate::Lost };
        }
    }

    /// Tears one atom for certain, and some of the others.
    fn tear(&mut self, random: &mut fastrand::Rng) {
        let one = random.usize(..self.fates.len());
        for index in 0..self.fates.len() {
            if index == one || random.u8(0..8) == 0 {
                self.fates[index] = self.odd_fate(self.plan.keys()[index], random);
            }
        }
    }

    fn odd_fate(&self, key: Key, random: &mut fastrand::Rng) -> Fate {
        match key {
            Key::Entry { .. } => {
                if random.bool() {
                    Fate::Kept
                } else {
                    Fate::Lost
                }
            }
            Key::Length { node } => {
                let change = to_usize(self.plan.length_change(node));
                Fate::Torn { at: random.usize(0..=change), head: 1, tail: 0 }
            }
            Key::Sector { node, number } => {
                let versions = self.plan.versions(node, number);
                let at = random.usize(0..=SECTOR_BYTES);
                match random.u8(0..8) {
                    0 => Fate::Garbage(random.u64(..)),
                    1 => Fate::Version(random.usize(..versions)),
                    2 => Fate::Torn { at, head: 0, tail: versions - 1 },
                    3 => Fate::Torn { at, head: random.usize(..versions), tail: random.usize(..versions) },
                    _ => Fate::Torn { at, head: versions - 1, tail: 0 },
                }
            }
        }
    }

    /// Lets no name outlive an earlier change of its directory, if order is asked for.
    fn keep_order(&mut self) {
        if self.cuts.entries == EntryOrder::AnySubset {
            return;
        }
        for digit in self.digits.iter().filter(|digit| digit.count > 1) {
            let fates = &mut self.fates[digit.first..digit.first + digit.count];
            let kept = fates.iter().take_while(|fate| **fate != Fate::Lost).count();
            fates[kept..].fill(Fate::Lost);
        }
    }
}

impl Iterator for Images {
    type Item = SimDisk;

    fn next(&mut self) -> Option<SimDisk> {
        while self.next < self.end {
            let turn = self.next;
            self.next += 1;
            self.choose(turn);
            let image = self.plan.image(&self.fates);
            if self.seen.insert(image.hash()) {
                return Some(SimDisk::from_state(image, self.settings));
            }
        }
        None
    }
}

fn digits(keys: &[Key], order: EntryOrder) -> Vec<Digit> {
    let mut digits: Vec<Digit> = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        match (key, digits.last_mut()) {
            // The entries of a directory follow each other, the one with index 0 first.
            (Key::Entry { index: 1.., .. }, Some(digit)) if order == EntryOrder::Prefix => digit.count += 1,
            _ => digits.push(Digit { first: at, count: 1 }),
        }
    }
    digits
}
