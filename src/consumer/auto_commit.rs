//! When to commit by itself.
//!
//! ```text
//!     poll returns ──▶ in work ──next poll begins──▶ to be committed ──interval──▶ committed
//! ```
//!
//! What a poll returned is being worked on until the next one begins: only then is it committed.

use crate::sync::{Bug, planted};
use std::time::Duration;

/// How far committing by itself has got.
#[derive(Clone, Copy, Debug)]
pub(super) struct AutoCommit {
    interval: Duration,
    /// When (monotonic) the next one is due.
    due: Duration,
    progress: Progress,
}

/// What has become of records since the last commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// None were returned.
    None,
    /// All that were returned came with the poll before, and may be worked on still.
    InWork,
    /// Some were returned, and all of them have been worked on.
    Done,
}

impl AutoCommit {
    pub(super) fn new(interval: Duration, now: Duration) -> Self {
        Self { interval, due: now.saturating_add(interval), progress: Progress::None }
    }

    /// A poll begins: what was returned before has been worked on.
    pub(super) fn poll_begins(&mut self) {
        if self.progress == Progress::InWork {
            self.progress = Progress::Done;
        }
    }

    /// A poll returns records.
    pub(super) fn returned(&mut self) {
        self.progress = if planted(Bug::WorkInHandCommitted) { Progress::Done } else { Progress::InWork };
    }

    /// Whether to commit now, within a poll that has not returned anything yet.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.progress == Progress::Done && now >= self.due
    }

    /// When to look again, if the poll goes on to wait.
    pub(super) fn due(&self) -> Option<Duration> {
        (self.progress == Progress::Done).then_some(self.due)
    }

    /// A commit is tried: no other is due before the interval is over.
    pub(super) fn put_off(&mut self, now: Duration) {
        self.due = now.saturating_add(self.interval);
    }

    /// Everything was committed.
    pub(super) fn settled(&mut self) {
        self.progress = Progress::None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn only_what_an_earlier_poll_returned_is_committed_and_once_an_interval() {
        let mut auto = AutoCommit::new(5 * SECOND, Duration::ZERO);
        auto.poll_begins();
        assert!(!auto.is_due(9 * SECOND), "there is nothing");
        auto.returned();
        assert_eq!((auto.is_due(9 * SECOND), auto.due()), (false, None), "it is being worked on");
        auto.poll_begins();
        assert_eq!((auto.is_due(4 * SECOND), auto.due()), (false, Some(5 * SECOND)));
        assert!(auto.is_due(5 * SECOND));
        auto.settled();
        auto.put_off(6 * SECOND);
        auto.poll_begins();
        assert!(!auto.is_due(20 * SECOND), "it was committed");
        auto.returned();
        auto.poll_begins();
        assert!(!auto.is_due(10 * SECOND) && auto.is_due(11 * SECOND));
    }
}
