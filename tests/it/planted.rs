//! T8: bugs that are put in on purpose, one at a time. The general suites have to find each.
//!
//! ```text
//!     this test ──ANNALS_BUG=X──▶ the same binary, its general suites at quick size ──first FAILED──▶ found
//! ```
//!
//! Runs where the library is built with `--cfg annals_planted`: `.ci/run` does.

use crate::figure;
use annals::Bug;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A bug that is not found by then is not found.
const LIMIT: Duration = Duration::from_secs(60);

/// The suites that were written without a thought of these bugs; those first that take little time.
const GENERAL: &[&[&str]] = &[
    &["basics", "semantics", "consumer::", "producer", "groups", "group_offsets"],
    &["model", "crash", "faults", "damage"],
];

#[test]
fn every_planted_bug_is_found() {
    let only = std::env::var("ANNALS_BUGS").unwrap_or_default();
    let is_asked = |bug: &&Bug| only.is_empty() || only.split(',').any(|name| format!("{bug:?}") == name);
    let bugs: Vec<Bug> = Bug::ALL.iter().filter(is_asked).copied().collect();
    if only.is_empty() {
        let found = first_failure("none");
        assert!(found.is_none(), "without a bug {} fails", found.map_or(String::new(), |found| found.test));
    }
    let (mut slowest, mut missed) = (Duration::ZERO, Vec::new());
    for bug in &bugs {
        match first_failure(&format!("{bug:?}")) {
            Some(Found { test, after }) => {
                println!("{bug:?}: found by {test} in {:.1} s", after.as_secs_f64());
                slowest = slowest.max(after);
            }
            None => missed.push(*bug),
        }
    }
    let (found, count) = (bugs.len() - missed.len(), bugs.len());
    figure!("T8 planted bugs: {found} of {count} found, slowest {} s", slowest.as_secs_f64().ceil());
    assert!(missed.is_empty(), "no suite finds {missed:?}");
}

/// What found a bug.
struct Found {
    test: String,
    after: Duration,
}

/// Runs the general suites with this bug until the first test fails; none when all pass or the time is up.
fn first_failure(bug: &str) -> Option<Found> {
    let started = Instant::now();
    let test = GENERAL.iter().find_map(|suites| {
        let left = LIMIT.saturating_sub(started.elapsed());
        first_failure_of(bug, suites, left)
    })?;
    Some(Found { test, after: started.elapsed() })
}

/// The name of the first test of these suites that fails within `limit`.
fn first_failure_of(bug: &str, suites: &[&str], limit: Duration) -> Option<String> {
    let started = Instant::now();
    let mut child = Command::new(std::env::current_exe().expect("a running test has a path"))
        .args(suites)
        .args(["--test-threads=2", "--skip", "planted"])
        .env("ANNALS_BUG", bug)
        .env("ANNALS_PROOF", "quick")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the test can be run again");
    let lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
    let (send, failures) = mpsc::channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            // "test NAME ... FAILED"; a test that prints has its verdict on a line of its own.
            if line.ends_with("FAILED") && line.starts_with("test ") && send.send(line).is_err() {
                return;
            }
        }
    });
    // At its end the sender is gone, which is an answer too.
    let failure = failures.recv_timeout(limit).ok();
    drop(child.kill());
    let status = child.wait().expect("it was started here");
    let aborted = failure.is_none() && started.elapsed() < limit && !status.success();
    let test =
        failure.or_else(|| aborted.then(|| format!("test (the whole process, {status})  ... FAILED")))?;
    Some(test.trim_start_matches("test ").split(" ... ").next().unwrap_or_default().to_owned())
}
