//! How large the heavy suites run, which seed they run on, and how they print what they measured.
//!
//! ```text
//!     ANNALS_PROOF=quick|ci|full ──▶ Size   quick is the default, so that a plain `cargo test` stays short
//!     ANNALS_SEED=number         ──▶ Seed   fixed for quick and ci, new for every full run; printed on failure
//!     figure!(..), skip(..)      ──▶ lines `figure: ..` and `skipped: ..`, collected by .ci/run and .ci/proof
//! ```

#![allow(dead_code, reason = "not every suite needs every tool")]

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How much of a heavy suite runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Seconds: what a plain `cargo test` and `.ci/run --quick` run.
    Quick,
    /// Minutes: about a tenth of the full size, for `.ci/run`.
    Ci,
    /// As long as it takes: what `.ci/proof` runs.
    Full,
}

impl Size {
    /// The size this run was asked for.
    pub fn asked() -> Self {
        match std::env::var("ANNALS_PROOF") {
            Ok(name) => Self::named(&name),
            Err(_) => Self::Quick,
        }
    }

    fn named(name: &str) -> Self {
        match name {
            "quick" => Self::Quick,
            "ci" => Self::Ci,
            "full" => Self::Full,
            other => panic!("ANNALS_PROOF={other}: expected quick, ci or full"),
        }
    }

    /// The one of the three that belongs to this size.
    pub fn pick<T>(self, quick: T, ci: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Ci => ci,
            Self::Full => full,
        }
    }
}

/// Whether this run is watched by a memory checker, which keeps what was freed.
pub fn under_memory_checker() -> bool {
    std::env::var_os("ANNALS_MEMORY_CHECKER").is_some()
}

/// Where the chance of a suite comes from. Says how to repeat the run when the test panics.
#[derive(Debug)]
pub struct Seed {
    suite: &'static str,
    value: u64,
}

impl Seed {
    /// The seed for the suite of this name (as in "T1 power cuts").
    pub fn of(suite: &'static str) -> Self {
        let asked = std::env::var("ANNALS_SEED").ok();
        let value = match (asked, Size::asked()) {
            (Some(text), _) => {
                text.parse().unwrap_or_else(|_| panic!("ANNALS_SEED={text}: expected a number"))
            }
            (None, Size::Full) => new_seed(),
            (None, Size::Quick | Size::Ci) => 1,
        };
        Self { suite, value }
    }

    /// The number itself.
    pub fn value(&self) -> u64 {
        self.value
    }

    /// A generator for case number `case`, so that each case can be repeated by itself.
    pub fn rng(&self, case: u64) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.value.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ case)
    }

    /// How to run the same again.
    fn advice(&self) -> String {
        let size = Size::asked().pick("quick", "ci", "full");
        format!("{}: repeat with ANNALS_SEED={} ANNALS_PROOF={size}", self.suite, self.value)
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.advice());
        }
    }
}

/// A seed that no earlier run had.
fn new_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock stands after 1970");
    u64::try_from(since.as_nanos() & u128::from(u32::MAX)).expect("32 bits fit")
}

/// Prints one measured line: `figure!("T1 power cuts: {} images, 0 violations", Count(images))`.
#[macro_export]
macro_rules! figure {
    ($($format:tt)+) => { println!("figure: {}", format_args!($($format)+)) };
}

/// Says that a part of a suite did not run for want of room or of a file system, and why.
pub fn skip(what: &str) {
    println!("skipped: {what}");
}

/// Says that a part of a suite did not run for want of a tool or device. As root under CI that is a failure,
/// because there they can be had.
pub fn skip_for_want_of(tool: &str, what: &str) {
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!(ci && is_root()), "{what}: {tool} is missing, and as root with CI=true that is a failure");
    skip(&format!("{what}: for want of {tool}"));
}

/// Whether this process may do anything.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// A count, with its digits in groups: 1_000_000.
#[derive(Clone, Copy, Debug)]
pub struct Count(pub u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut grouped = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                grouped.push('_');
            }
            grouped.push(digit);
        }
        f.pad(&grouped)
    }
}

/// How many cases ran in a second: `Rate(cases, started.elapsed())` prints 43_000/s.
#[derive(Clone, Copy, Debug)]
pub struct Rate(pub u64, pub Duration);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.1.as_millis().max(1);
        let per_second = u128::from(self.0) * 1_000 / millis;
        write!(f, "{}/s", Count(u64::try_from(per_second).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_go_by_name() {
        assert_eq!(["quick", "ci", "full"].map(|name| Size::named(name).pick(1, 2, 3)), [1, 2, 3]);
    }

    #[test]
    #[should_panic(expected = "expected quick, ci or full")]
    fn an_unknown_size_is_no_default() {
        Size::named("huge");
    }

    #[test]
    fn a_case_has_its_own_chance_and_the_same_again() {
        let seed = Seed { suite: "a suite", value: 7 };
        assert_eq!(seed.rng(1).u64(..), seed.rng(1).u64(..));
        assert_ne!(seed.rng(1).u64(..), seed.rng(2).u64(..));
        assert!(seed.advice().contains("ANNALS_SEED=7"), "{}", seed.advice());
    }

    #[test]
    fn figures_are_easy_to_read() {
        assert_eq!(Count(1_234_567).to_string(), "1_234_567");
        assert_eq!(Count(123).to_string(), "123");
        assert_eq!(Rate(86_000, Duration::from_secs(2)).to_string(), "43_000/s");
    }
}
