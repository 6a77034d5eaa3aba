//! How far ahead of the log end disk space is taken.

use std::time::Duration;

/// The first step, in bytes.
const STEP_MIN: u64 = 64 << 10;
/// The largest step, in bytes.
const STEP_MAX: u64 = 1 << 20;
/// A step that lasts less than this is followed by one twice as large.
const STEP_LASTS: Duration = Duration::from_secs(1);

/// The size of the next step: it doubles while steps are used up quickly, so that a busy log seldom waits and
/// an idle one holds little.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReserveSteps {
    step: u64,
    taken_at: Option<Duration>,
}

impl ReserveSteps {
    /// Before the first step.
    pub(crate) const fn new() -> Self {
        Self { step: STEP_MIN, taken_at: None }
    }

    /// The size of the step that is taken at `now` (monotonic).
    pub(crate) fn take(&mut self, now: Duration) -> u64 {
        if let Some(before) = self.taken_at {
            let quick = now.saturating_sub(before) < STEP_LASTS;
            self.step = if quick { (self.step * 2).min(STEP_MAX) } else { STEP_MIN };
        }
        self.taken_at = Some(now);
        self.step
    }

    /// The size of the last step.
    pub(crate) const fn last(&self) -> u64 {
        self.step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_double_while_they_are_used_up_quickly() {
        let mut steps = ReserveSteps::new();
        let quick: Vec<u64> = (0..7).map(|at| steps.take(Duration::from_millis(at)) >> 10).collect();
        assert_eq!(quick, [64, 128, 256, 512, 1024, 1024, 1024]);
        assert_eq!(steps.take(Duration::from_secs(9)) >> 10, 64);
    }
}
