//! What was tried, and what was found.

use super::subject::Script;
use crate::proof::Count;
use annals::{RecoveryOutcome, RecoveryReport};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many threads share the workloads.
const THREADS: usize = 2;

/// Runs `work` on every workload and adds up what was tried. Panics when any went wrong, with all that did.
pub fn on_all<W: Script>(scripts: &[W], work: impl Fn(&W) -> Result<Tally, String> + Sync) -> Tally {
    let asked = std::env::var("ANNALS_WORKLOAD").unwrap_or_default();
    let workloads: Vec<&W> = scripts.iter().filter(|script| script.name().contains(&asked)).collect();
    let (total, wrong) = (Mutex::new(Tally::default()), Mutex::new(Vec::new()));
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(workload) = workloads.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match catch_unwind(AssertUnwindSafe(|| work(workload))) {
                        Ok(Ok(tally)) => total.lock().expect("nobody panics here").add(&tally),
                        Ok(Err(text)) => {
                            wrong.lock().expect("nobody panics here").push((workload.name(), text))
                        }
                        Err(_) => {
                            wrong.lock().expect("nobody panics here").push((workload.name(), "panic".into()))
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
    pub reopened: u64,
    /// Those that were examined at length as well.
    pub examined: u64,
    pub crash_points: u64,
    /// New partitions, where the crash had come before there was one.
    created: u64,
    /// How often each row of the recovery table was applied.
    rows: [u64; ROWS],
}

/// The rows are numbered from 1.
const ROWS: usize = 13;

impl Tally {
    pub fn count(&mut self, report: &RecoveryReport) {
        self.created += u64::from(report.outcome == RecoveryOutcome::Created);
        for row in &report.rows {
            assert!([3, 7, 8, 10].contains(row), "a crash is no damage, and row {row} is for that");
            self.rows[usize::from(*row)] += 1;
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.images += other.images;
        self.reopened += other.reopened;
        self.examined += other.examined;
        self.crash_points += other.crash_points;
        self.created += other.created;
        self.rows.iter_mut().zip(other.rows).for_each(|(row, more)| *row += more);
    }

    /// Whether each way in which an open can end well was met.
    pub fn met_all(&self) -> bool {
        self.created > 0 && [3, 7, 8, 10].iter().all(|row| self.rows[*row] > 0)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} images at {} crash points, {} of them reopened, the others equal to one of those ({} found nothing yet; row 3 of the \
             recovery table {}, row 7 {}, row 8 {}, row 10 {}), {} examined at length",
            Count(self.images),
            Count(self.crash_points),
            Count(self.reopened),
            Count(self.created),
            Count(self.rows[3]),
            Count(self.rows[7]),
            Count(self.rows[8]),
            Count(self.rows[10]),
            Count(self.examined),
        )
    }
}
