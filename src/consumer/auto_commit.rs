//! When to commit by itself.
//!
//! ```text
//!     poll returns ──▶ behind ──next poll begins, and the interval is over──▶ committed
//! ```
//!
//! It is asked only while a poll has returned nothing yet: what an earlier one returned has been worked on by then,
//! and what this one returns is not yet among the positions.

use std::time::Duration;

/// How far committing by itself has got.
#[derive(Clone, Copy, Debug)]
pub(super) struct AutoCommit {
    interval: Duration,
    /// When (monotonic) the next one is due.
    due: Duration,
    /// Whether anything was returned since the last.
    is_behind: bool,
}

impl AutoCommit {
    pub(super) fn new(interval: Duration, now: Duration) -> Self {
        Self { interval, due: now.saturating_add(interval), is_behind: false }
    }

    /// A poll returns records.
    pub(super) fn returned(&mut self) {
        self.is_behind = true;
    }

    /// When to commit, if there is anything to commit.
    pub(super) fn due(&self) -> Option<Duration> {
        self.is_behind.then_some(self.due)
    }

    /// Whether to commit now.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.due().is_some_and(|due| now >= due)
    }

    /// A commit is tried: no other is due before the interval is over.
    pub(super) fn put_off(&mut self, now: Duration) {
        self.due = now.saturating_add(self.interval);
    }

    /// Everything was committed.
    pub(super) fn settled(&mut self) {
        self.is_behind = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_commit_is_due_once_an_interval_and_only_if_there_is_something() {
        let mut auto = AutoCommit::new(5 * SECOND, Duration::ZERO);
        assert_eq!((auto.is_due(9 * SECOND), auto.due()), (false, None));
        auto.returned();
        assert_eq!((auto.is_due(4 * SECOND), auto.due()), (false, Some(5 * SECOND)));
        assert!(auto.is_due(5 * SECOND));
        auto.put_off(6 * SECOND);
        assert!(!auto.is_due(10 * SECOND) && auto.is_due(11 * SECOND), "it failed, and is tried again");
        auto.settled();
        assert!(!auto.is_due(20 * SECOND));
    }
}
