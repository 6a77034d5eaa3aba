//! A small bench harness for a noisy machine: the cases take turns, and medians are compared.
//!
//! ```text
//!     round 1: A B C   round 2: A B C   round 3: A B C  ──▶  median and spread of each, ratios between them
//! ```
//!
//! What slows the machine down for a while slows all cases down alike, so that their ratios stay true. Every
//! result is a line `figure: ..`, which `.ci/run` and `.ci/proof` collect. `ANNALS_PROOF` sets the rounds, and
//! `--quick` makes them few.

#![allow(dead_code, unreachable_pub, reason = "each bench uses its part")]

pub mod limits;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The cases of one bench.
pub struct Bench<'a> {
    title: &'static str,
    cases: Vec<Case<'a>>,
}

/// One thing to measure.
struct Case<'a> {
    name: String,
    /// What the values of a round are, as in "us p50".
    units: &'static [&'static str],
    round: Box<dyn FnMut() -> Vec<f64> + 'a>,
    /// The values of each round so far.
    rounds: Vec<Vec<f64>>,
}

/// What was measured.
pub struct Results {
    title: &'static str,
    medians: Vec<(String, Vec<f64>)>,
}

impl<'a> Bench<'a> {
    /// A bench without cases; the title begins each of its figures.
    pub fn new(title: &'static str) -> Self {
        Self { title, cases: Vec::new() }
    }

    /// Adds a case. Each call of `round` measures once and returns one value per unit.
    pub fn case(
        &mut self,
        name: impl Into<String>,
        units: &'static [&'static str],
        round: impl FnMut() -> Vec<f64> + 'a,
    ) {
        self.cases.push(Case { name: name.into(), units, round: Box::new(round), rounds: Vec::new() });
    }

    /// Runs all cases in turns and prints their medians. One round before the others only warms up.
    pub fn run(mut self) -> Results {
        for round in 0..=rounds() {
            for case in &mut self.cases {
                let values = (case.round)();
                assert_eq!(values.len(), case.units.len(), "{}: a value for each unit", case.name);
                if round > 0 {
                    case.rounds.push(values);
                }
            }
        }
        let medians = self.cases.iter().map(|case| case.report(self.title)).collect();
        Results { title: self.title, medians }
    }
}

impl Case<'_> {
    /// Prints the median and spread of each value, and returns the medians.
    fn report(&self, title: &str) -> (String, Vec<f64>) {
        let mut medians = Vec::new();
        let mut shown = Vec::new();
        for (column, unit) in self.units.iter().enumerate() {
            let mut values: Vec<f64> = self.rounds.iter().map(|round| round[column]).collect();
            values.sort_by(f64::total_cmp);
            let (least, middle, most) = (values[0], values[values.len() / 2], values[values.len() - 1]);
            shown.push(format!("{} {unit} ({} to {})", digits(middle), digits(least), digits(most)));
            medians.push(middle);
        }
        println!("figure: {title}: {}: {}", self.name, shown.join(", "));
        (self.name.clone(), medians)
    }
}

impl Results {
    /// The median of the first value of a case.
    pub fn median(&self, name: &str) -> f64 {
        let found = self.medians.iter().find(|(case, _)| case == name);
        found.unwrap_or_else(|| panic!("no case is called {name}")).1[0]
    }

    /// Prints how the first value of one case compares with that of another.
    pub fn ratio(&self, name: &str, base: &str) {
        let ratio = self.median(name) / self.median(base);
        println!("figure: {}: {name} is {ratio:.2} times {base}", self.title);
    }
}

/// Three digits that matter, whatever the size.
fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// How many rounds are counted.
fn rounds() -> usize {
    sized(3, 5, 11)
}

/// The one of the three that the size of this run asks for: `--quick`, else `ANNALS_PROOF`.
pub fn sized<T>(quick: T, ci: T, full: T) -> T {
    if std::env::args().any(|argument| argument == "--quick") {
        return quick;
    }
    match std::env::var("ANNALS_PROOF").as_deref() {
        Ok("full") => full,
        Ok("quick") => quick,
        _ => ci,
    }
}

/// A new folder on the disk that holds the build, removed with its content when dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder for the bench");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The value below which `share` (0 to 1) of the durations lie, in microseconds.
pub fn percentile_us(durations: &mut [Duration], share: f64) -> f64 {
    durations.sort_unstable();
    let last = durations.len() - 1;
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "a share of a small count")]
    let index = (last as f64 * share).round() as usize;
    durations[index.min(last)].as_secs_f64() * 1e6
}

/// How long `work` took, in seconds.
pub fn seconds(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64()
}
