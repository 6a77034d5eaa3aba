//! What a workload submitted and what it was told, by the step of the disk at which it heard of it.
//!
//! ```text
//!     steps     0 ········ 7 ···· 9 ·············· 31
//!     moments      open      append    truncate           each ends at a step; a crash falls into one of them
//! ```

use annals::Offset;

/// A record that was submitted.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// Begins with its number in the history.
    pub value: Vec<u8>,
    pub key: Option<[u8; 4]>,
    pub timestamp: i64,
    pub ends_batch: bool,
    pub epoch: u32,
}

/// The state of the log when a call had returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// How many steps the disk had taken.
    pub steps: usize,
    /// Which of the logs that ever were this is a prefix of: a truncation begins a new one.
    pub line: usize,
    /// End (exclusive) of all that may be there: more than `written` after a failed append.
    pub end: u64,
    /// End of what was acknowledged, or shown, as written.
    pub written: u64,
    /// End of what was acknowledged, or shown, as durable.
    pub durable: u64,
    pub start: u64,
}

/// What was submitted and acknowledged.
#[derive(Debug, Default)]
pub struct History {
    pub records: Vec<Submitted>,
    /// The numbers of the records of each log that ever was, by offset.
    pub lines: Vec<Vec<u32>>,
    pub moments: Vec<Moment>,
}

/// What must hold of the log after a crash.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    before: Moment,
    after: Moment,
}

/// How the process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The page cache is gone.
    PowerCut,
    /// The page cache is kept.
    Kill,
}

/// What an open found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub start: u64,
    pub end: u64,
    /// Which lines this is a prefix of, one bit each.
    pub lines: u64,
}

impl History {
    pub fn new() -> Self {
        let nothing = Moment { steps: 0, line: 0, end: 0, written: 0, durable: 0, start: 0 };
        Self { records: Vec::new(), lines: vec![Vec::new()], moments: vec![nothing] }
    }

    pub fn last(&self) -> Moment {
        *self.moments.last().expect("the first moment is there from the beginning")
    }

    /// The records of the log as it is now, if all that was submitted was stored.
    pub fn line(&self) -> &[u32] {
        &self.lines[self.last().line]
    }

    pub fn line_mut(&mut self) -> &mut Vec<u32> {
        let at = self.last().line;
        &mut self.lines[at]
    }

    /// Begins a line that goes as far as `end` with the last one.
    pub fn branch(&mut self, end: u64) -> usize {
        let line = self.line()[..usize::try_from(end).expect("few records")].to_vec();
        self.lines.push(line);
        assert!(self.lines.len() <= 64, "the bits of Found::lines number the lines");
        self.lines.len() - 1
    }

    /// What must hold after a crash with `steps` steps behind.
    pub fn promise(&self, steps: usize) -> Promise {
        let at = self.moments.partition_point(|moment| moment.steps <= steps);
        let before = self.moments[at.max(1) - 1];
        let after = self.moments.get(at).copied().unwrap_or(before);
        Promise { before, after }
    }

    /// The lines of which the records `start..` are a part, one bit each. They must end with a batch; a log that
    /// shows none may begin, and end, inside of one.
    pub fn lines_with(&self, start: u64, ids: &[u32]) -> u64 {
        let start = usize::try_from(start).expect("few records");
        let end = start + ids.len();
        let fits = |line: &Vec<u32>| {
            let whole =
                ids.is_empty() || line.get(end - 1).is_some_and(|id| self.records[*id as usize].ends_batch);
            whole && line.get(start..end) == Some(ids)
        };
        self.lines.iter().enumerate().filter(|(_, line)| fits(line)).fold(0, |bits, (at, _)| bits | 1 << at)
    }
}

impl Promise {
    /// The promise of a log that was found so and has been shown since.
    pub fn of(found: &Found) -> Self {
        let line = found.lines.trailing_zeros() as usize;
        let (end, start) = (found.end, found.start);
        let moment = Moment { steps: 0, line, end, written: end, durable: end, start };
        Self { before: moment, after: moment }
    }

    /// The promise while the log goes from one state to another.
    pub fn between(before: Moment, after: Moment) -> Self {
        Self { before, after }
    }

    /// Whether `found` is allowed; else why not.
    pub fn check(&self, found: &Found, crash: Crash) -> Result<(), String> {
        let Self { before, after } = self;
        let (first, last) = (before.start.min(after.start), before.start.max(after.start));
        if !(first..=last).contains(&found.start) {
            return Err(format!("I9: the log start is {}, not in {first}..={last}", found.start));
        }
        let least = match crash {
            Crash::PowerCut => before.durable,
            Crash::Kill => before.written,
        };
        let is_prefix_of = |moment: &Moment| {
            found.lines & 1 << moment.line != 0
                && found.end <= moment.end
                && found.end >= least.min(moment.end)
        };
        if is_prefix_of(before) || is_prefix_of(after) {
            return Ok(());
        }
        let what = if found.end < least.min(after.end) {
            "I1: acknowledged records are gone"
        } else {
            "I2, I3, I7: not what was submitted, or not whole batches of it, or cut off before"
        };
        Err(format!("{what}: {found:?} after {crash:?}, and the log was {before:?} and would be {after:?}"))
    }
}

/// An offset that came from a test.
pub fn offset(number: u64) -> Offset {
    Offset::new(number).expect("tests do not come near the largest offset")
}
