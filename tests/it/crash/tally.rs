//! What was tried, and what was found.

use super::workload::Workload;
use super::workloads::WORKLOADS;
use crate::proof::Count;
use annals::RecoveryOutcome;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many threads share the workloads.
const THREADS: usize = 2;

/// Runs `work` on every workload and adds up what was tried. Panics when any went wrong, with all that did.
pub fn on_all_workloads(work: impl Fn(&Workload) -> Result<Tally, String> + Sync) -> Tally {
    let asked = std::env::var("ANNALS_WORKLOAD").unwrap_or_default();
    let workloads: Vec<&Workload> =
        WORKLOADS.iter().filter(|workload| workload.name.contains(&asked)).collect();
    let (total, wrong) = (Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(workload) = workloads.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match catch_unwind(AssertUnwindSafe(|| work(workload))) {
                        Ok(Ok(tally)) => total.lock().expect("nobody panics here").add(&tally),
                        Ok(Err(text)) => {
                            wrong.lock().expect("nobody panics here").push((workload.name, text))
                        }
                        Err(_) => {
                            wrong.lock().expect("nobody panics here").push((workload.name, "panic".into()))
                        }
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("nobody panics here");
    let told: Vec<String> = wrong.iter().map(|(name, text)| format!("--- {name}: {text}")).collect();
    assert!(
        told.is_empty(),
        "{} of {} workloads went wrong:\n{}",
        told.len(),
        workloads.len(),
        told.join("\n")
    );
    total.into_inner().expect("nobody panics here")
}

/// FNV-1a, to give each workload a chance of its own.
pub fn hash_of(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Counts of one suite.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Images that a crash left, whose recovery was compared with the promise of that moment.
    pub images: u64,
    /// Those that no earlier crash of the same workload had left, byte for byte: they were reopened.
    pub distinct: u64,
    /// Those that were examined at length as well.
    pub examined: u64,
    pub crash_points: u64,
    created: u64,
    clean: u64,
    extended: u64,
    torn: u64,
}

impl Tally {
    pub fn count(&mut self, outcome: RecoveryOutcome) {
        match outcome {
            RecoveryOutcome::Created => self.created += 1,
            RecoveryOutcome::Clean => self.clean += 1,
            RecoveryOutcome::Extended => self.extended += 1,
            RecoveryOutcome::Torn => self.torn += 1,
            other => panic!("a crash is no damage, and nothing asked for {other:?}"),
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.images += other.images;
        self.distinct += other.distinct;
        self.examined += other.examined;
        self.crash_points += other.crash_points;
        self.created += other.created;
        self.clean += other.clean;
        self.extended += other.extended;
        self.torn += other.torn;
    }

    /// Whether each way in which an open can end well was met.
    pub fn met_all(&self) -> bool {
        self.created > 0 && self.clean > 0 && self.extended > 0 && self.torn > 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} images at {} crash points, {} of them distinct and reopened ({} created, {} clean: row 7, \
             {} extended: row 8, {} torn: row 10), {} examined at length",
            Count(self.images),
            Count(self.crash_points),
            Count(self.distinct),
            Count(self.created),
            Count(self.clean),
            Count(self.extended),
            Count(self.torn),
            Count(self.examined),
        )
    }
}
