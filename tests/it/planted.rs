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
/// What the first of them have of that.
const UNAIMED_LIMIT: Duration = Duration::from_secs(25);

/// Random histories, damage, and a failure or the end at every step: no test of these is aimed at anything. Words that
/// their names contain.
const UNAIMED: &[&str] =
    &["model::", "crash::", "faults::", "damage::", "damage_salvage::", "as_the_model_says"];
/// What these suites found once, each as a test of its own.
const AIMED: &str = "crash::mended";
/// One promise a test: not written for these bugs either, but some promises are the opposite of one.
const PROMISES: &[&str] = &["basics", "semantics", "consumer::", "producer", "groups", "group_offsets"];

#[test]
fn every_planted_bug_is_found() {
    let only = std::env::var("ANNALS_BUGS").unwrap_or_default();
    let is_asked = |bug: &&Bug| only.is_empty() || only.split(',').any(|name| format!("{bug:?}") == name);
    let bugs: Vec<Bug> = Bug::ALL.iter().filter(is_asked).copied().collect();
    let asked = only.split(',').count();
    assert!(only.is_empty() || bugs.len() == asked, "ANNALS_BUGS={only}: these are {bugs:?}, of {asked}");
    if only.is_empty() {
        let found = first_failure("none");
        assert!(found.is_none(), "without a bug {} fails", found.map_or(String::new(), |found| found.test));
    }
    let (mut slowest, mut unaimed, mut missed) = (Duration::ZERO, 0, Vec::new());
    for bug in &bugs {
        match first_failure(&format!("{bug:?}")) {
            Some(Found { test, is_unaimed, after }) => {
                println!("{bug:?}: found by {test} in {:.1} s", after.as_secs_f64());
                slowest = slowest.max(after);
                unaimed += usize::from(is_unaimed);
            }
            None => missed.push(*bug),
        }
    }
    let (found, count) = (bugs.len() - missed.len(), bugs.len());
    figure!(
        "T8 planted bugs: {found} of {count} found, {unaimed} of them by crash, fault, damage and model suites alone, \
         slowest {} s",
        slowest.as_secs_f64().ceil()
    );
    assert!(missed.is_empty(), "no suite finds {missed:?}");
}

/// What found a bug.
struct Found {
    test: String,
    /// By a test that is not aimed at anything.
    is_unaimed: bool,
    after: Duration,
}

/// Runs the general suites with this bug until the first test fails; none when all pass or the time is up.
fn first_failure(bug: &str) -> Option<Found> {
    let started = Instant::now();
    let unaimed = first_failure_of(bug, UNAIMED, UNAIMED_LIMIT);
    let is_unaimed = unaimed.is_some();
    let test =
        unaimed.or_else(|| first_failure_of(bug, PROMISES, LIMIT.saturating_sub(started.elapsed())))?;
    Some(Found { test, is_unaimed, after: started.elapsed() })
}

/// The name of the first test of these suites that fails within `limit`.
fn first_failure_of(bug: &str, suites: &[&str], limit: Duration) -> Option<String> {
    let started = Instant::now();
    let mut child = Command::new(std::env::current_exe().expect("a running test has a path"))
        .args(suites)
        .args(["--test-threads=2", "--skip", "planted", "--skip", AIMED])
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
