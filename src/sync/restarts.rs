//! Where a log has begun anew, and whom that concerns.

/// An end (exclusive) that somebody waits for, and when it was set. Offsets are given again after the log was
/// cut, so a number alone does not say which records are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Goal {
    pub(crate) end: u64,
    /// How often the log had begun anew by then.
    pub(crate) restarts: u64,
}

/// How many restarts are told apart. Of more, the oldest are taken together, and some who waited all through
/// them hear that their records were taken back where they were not.
const RESTARTS_MAX: usize = 1_024;

/// How often a log has begun anew, and where it ended then.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    count: u64,
    /// Those that are not outdone by a later one that cut deeper: both their numbers and their ends grow.
    deepest: Vec<(u64, u64)>,
}

impl Restarts {
    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The log begins anew, and ends at `end` now.
    pub(super) fn add(&mut self, end: u64) {
        self.count += 1;
        while self.deepest.pop_if(|(_, earlier)| *earlier >= end).is_some() {}
        self.deepest.push((self.count, end));
        if self.deepest.len() > RESTARTS_MAX {
            let (_, end) = self.deepest.remove(0);
            if let Some((_, oldest)) = self.deepest.first_mut() {
                *oldest = end;
            }
        }
    }

    /// Where the log was cut below `goal` since that was set, if it was.
    pub(super) fn cut_below(&self, goal: Goal) -> Option<u64> {
        let since = self.deepest.partition_point(|(number, _)| *number <= goal.restarts);
        self.deepest.get(since).map(|(_, end)| *end).filter(|end| *end < goal.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_below(restarts: &Restarts, end: u64, set_after: u64) -> Option<u64> {
        restarts.cut_below(Goal { end, restarts: set_after })
    }

    #[test]
    fn a_goal_is_taken_back_by_any_cut_below_it_since_it_was_set() {
        let mut restarts = Restarts::default();
        assert_eq!(cut_below(&restarts, 10, 0), None);
        for end in [5, 15, 12] {
            restarts.add(end);
        }
        let cases = [
            (10, 0, Some(5)),
            (5, 0, None),
            (10, 1, None),
            (13, 1, Some(12)),
            (13, 2, Some(12)),
            (20, 3, None),
        ];
        for (end, set_after, cut) in cases {
            assert_eq!(cut_below(&restarts, end, set_after), cut, "{end} since {set_after}");
        }
        restarts.add(0);
        assert_eq!(cut_below(&restarts, 10, 2), Some(0));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_errs_on_the_safe_side() {
        let mut restarts = Restarts::default();
        for end in 0..5_000 {
            restarts.add(end);
        }
        assert_eq!(restarts.deepest.len(), RESTARTS_MAX);
        assert_eq!(cut_below(&restarts, 10, 0), Some(0));
        assert_eq!(cut_below(&restarts, 5_000, 4_998), Some(4_998));
    }
}
