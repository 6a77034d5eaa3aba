//! What was submitted to a broker and what it said, by the step of the disk at which that was heard.

use crate::crash::history::Crash;
use annals::Retention;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A partition when a call had returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which of the logs that ever were.
    pub line: usize,
    pub start: u64,
    /// End (exclusive) of what was acknowledged as written.
    pub written: u64,
    /// End of what was acknowledged as durable.
    pub durable: u64,
    /// End of all that may be there.
    pub end: u64,
}

/// A topic when a call had returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    pub retention: Retention,
    pub parts: Vec<Part>,
}

pub type Topics = BTreeMap<&'static str, Topic>;

/// The state of the broker when a call had returned, after so many steps of the disk.
#[derive(Clone, Debug)]
pub struct Moment {
    pub steps: usize,
    pub topics: Rc<Topics>,
}

/// What was submitted and acknowledged.
#[derive(Debug, Default)]
pub struct History {
    /// Each begins with its number.
    pub records: Vec<Vec<u8>>,
    /// The numbers of the records of each partition that ever was, by offset.
    pub lines: Vec<Vec<u32>>,
    pub moments: Vec<Moment>,
}

/// How exactly the broker knew what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// Every call succeeded.
    Sure,
    /// One failed: what was only written may be gone, and what may be deleted may have been.
    Doubtful,
}

/// What must hold after a crash.
#[derive(Clone, Debug)]
pub struct Promise {
    pub before: Rc<Topics>,
    pub after: Rc<Topics>,
    pub certainty: Certainty,
}

/// What an open found of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPart {
    pub start: u64,
    pub numbers: Vec<u32>,
}

/// What an open found.
pub type Found = Rc<BTreeMap<String, (Retention, Vec<FoundPart>)>>;

impl History {
    /// What must hold after a crash with `steps` steps behind.
    pub fn promise(&self, steps: usize) -> Promise {
        let at = self.moments.partition_point(|moment| moment.steps <= steps);
        let before = at.checked_sub(1).map_or_else(Rc::default, |before| self.moments[before].topics.clone());
        let after = self.moments.get(at).map_or_else(|| before.clone(), |moment| moment.topics.clone());
        Promise { before, after, certainty: Certainty::Sure }
    }

    /// Whether `found` is allowed; else why not.
    pub fn check(&self, promise: &Promise, found: &Found, crash: Crash) -> Result<(), String> {
        let before = self.check_shape(promise, &promise.before, found, crash);
        let Err(wrong) = before else { return Ok(()) };
        self.check_shape(promise, &promise.after, found, crash).map_err(|also| format!("{wrong}; {also}"))
    }

    /// Whether there are the topics of `shape`, with partitions that hold what is promised.
    fn check_shape(
        &self,
        promise: &Promise,
        shape: &Topics,
        found: &Found,
        crash: Crash,
    ) -> Result<(), String> {
        let names: Vec<&str> = shape.keys().copied().collect();
        if names != found.keys().map(String::as_str).collect::<Vec<_>>() {
            return Err(format!("the topics are {:?}, and were {names:?}", found.keys()));
        }
        for (name, topic) in shape {
            let (retention, parts) = &found[*name];
            if (*retention, parts.len()) != (topic.retention, topic.parts.len()) {
                let count = parts.len();
                return Err(format!("{name} has {retention:?} and {count} partitions, and had {topic:?}"));
            }
            for (number, (part, found)) in topic.parts.iter().zip(parts).enumerate() {
                let of = |topics: &Topics| {
                    let known = topics.get(name).and_then(|topic| topic.parts.get(number));
                    known.filter(|known| known.line == part.line).copied()
                };
                // One that was not there before has nothing to lose yet.
                let nothing = Part { start: 0, written: 0, durable: 0, ..*part };
                let before = of(&promise.before).unwrap_or(nothing);
                let after = of(&promise.after).unwrap_or(before);
                self.check_part(promise.certainty, &before, &after, found, crash)
                    .map_err(|wrong| format!("partition {name}/{number}: {wrong}"))?;
            }
        }
        Ok(())
    }

    fn check_part(
        &self,
        certainty: Certainty,
        before: &Part,
        after: &Part,
        found: &FoundPart,
        crash: Crash,
    ) -> Result<(), String> {
        let (sure, last_start) = match certainty {
            Certainty::Sure => (before.written, after.start.max(before.start)),
            Certainty::Doubtful => (before.durable, before.end.max(after.end)),
        };
        let least = if crash == Crash::Kill { sure } else { before.durable };
        let end = found.start + found.numbers.len() as u64;
        if !(before.start..=last_start).contains(&found.start) {
            return Err(format!("I9: it starts at {}, not in {}..={last_start}", found.start, before.start));
        }
        if end < least.max(found.start) || end > before.end.max(after.end) {
            return Err(format!(
                "I1, I2: it ends at {end} after {crash:?}, and was {before:?}, then {after:?}"
            ));
        }
        let (from, to) = (index(found.start), index(end));
        if self.lines[before.line].get(from..to) != Some(&found.numbers) {
            return Err(format!("I3, I5: not the records of {from}..{to}: {:?}", found.numbers));
        }
        Ok(())
    }

    /// What must hold of a broker that was found so and has been shown since.
    pub fn promise_of(&self, found: &Found) -> Promise {
        let mut topics = Topics::new();
        for (name, (retention, parts)) in &**found {
            let parts = parts.iter().map(|part| {
                let end = part.start + part.numbers.len() as u64;
                let holds = |line: &Vec<u32>| line.get(index(part.start)..index(end)) == Some(&part.numbers);
                let line = self.lines.iter().position(holds).expect("it was checked");
                Part { line, start: part.start, written: end, durable: end, end }
            });
            let name = super::stage::NAMES.into_iter().find(|known| known == name).expect("it was checked");
            topics.insert(name, Topic { retention: *retention, parts: parts.collect() });
        }
        let topics = Rc::new(topics);
        Promise { before: topics.clone(), after: topics, certainty: Certainty::Sure }
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("few records")
}
