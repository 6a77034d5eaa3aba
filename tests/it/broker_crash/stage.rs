//! A script while it is performed.

use super::act::{Act, BrokerScript};
use super::history::{Certainty, History, Moment, Part, Promise, Topic, Topics};
use annals::clock::ManualClock;
use annals::io::{Recording, SimDisk};
use annals::{
    Broker, BrokerOptions, Durability, ErrorKind, Maintenance, Offset, Partition, Record, Result, Timestamp,
    TopicOptions,
};
use std::rc::Rc;

/// The wall clock when a script begins.
const BEGIN: i64 = 1_700_000_000_000;

/// The names that topics have.
pub const NAMES: [&str; 3] = ["a", "b", "c"];

/// A broker, and what was done to it.
pub struct Stage<'s> {
    script: &'s BrokerScript,
    pub disk: SimDisk,
    clock: ManualClock,
    broker: Broker,
    pub history: History,
    /// As all should be now.
    topics: Topics,
    random: fastrand::Rng,
    seed: u64,
    opens: u64,
}

/// What is left of a performance.
pub struct Rehearsal {
    pub recording: Recording,
    pub history: History,
}

/// Performs `script` on a disk that is well, with all chance from `seed`.
pub fn rehearse(script: &BrokerScript, seed: u64) -> Rehearsal {
    let disk = SimDisk::new();
    disk.record();
    let mut stage = Stage::open(script, seed, disk).expect("the disk is well");
    for _ in 0..script.length {
        let act = script.act(&mut stage.random);
        stage.perform(act).unwrap_or_else(|error| panic!("{}, {act:?}: {error}", script.name));
    }
    let recording = stage.disk.recording();
    stage.disk.cut_now();
    Rehearsal { recording, history: stage.history }
}

impl BrokerScript {
    /// The options to open it with; two opens with different seeds never share a salt.
    pub fn options(&self, seed: u64, clock: &ManualClock) -> BrokerOptions {
        let options = Broker::options().maintenance(Maintenance::Manual).clock(clock.clone()).seed(seed);
        options.write_mode(self.write).disk_bytes_max(self.disk_bytes_max)
    }

    pub fn clock() -> ManualClock {
        ManualClock::new(Timestamp::from_millis(BEGIN))
    }
}

impl<'s> Stage<'s> {
    pub fn open(script: &'s BrokerScript, seed: u64, disk: SimDisk) -> Result<Self> {
        let clock = BrokerScript::clock();
        let broker = script.options(seed, &clock).open_in(disk.root())?;
        let random = fastrand::Rng::with_seed(seed);
        let (history, topics) = (History::default(), Topics::new());
        let mut stage = Self { script, disk, clock, broker, history, topics, random, seed, opens: 0 };
        stage.note();
        Ok(stage)
    }

    /// The next thing to do.
    pub fn next_act(&mut self) -> Act {
        self.script.act(&mut self.random)
    }

    /// What must hold now, after a call has failed.
    pub fn promise(&self) -> Promise {
        let before = self.history.moments.last().map_or_else(Rc::default, |last| last.topics.clone());
        Promise { before, after: Rc::new(self.topics.clone()), certainty: Certainty::Doubtful }
    }

    /// Does it. When that fails, what may have come of it is in [`Stage::promise`].
    pub fn perform(&mut self, act: Act) -> Result<()> {
        let done = match act {
            Act::Create => self.create(),
            Act::Grow => self.grow(),
            Act::Change => self.change(),
            Act::Delete => self.delete(),
            Act::Append => self.append(Durability::Durable),
            Act::AppendWritten => self.append(Durability::Written),
            Act::Flush => self.flush(),
            Act::Maintain => self.broker.maintain(),
            Act::Pass(time) => {
                self.clock.advance(time);
                self.broker.maintain()
            }
            Act::DeleteRecords => self.delete_records(),
            Act::Reopen => self.reopen(),
        };
        // A full cap is no failure.
        let is_full = |error: &annals::Error| {
            error.kind() == ErrorKind::NoSpace && error.to_string().contains("disk_bytes_max")
        };
        match done {
            Err(error) if !is_full(&error) => Err(error),
            _ => {
                self.note();
                Ok(())
            }
        }
    }

    /// Notes what the broker says of itself now.
    fn note(&mut self) {
        let stats = self.broker.stats();
        for (place, stats) in &stats.partitions {
            let topic = self.topics.get_mut(place.topic()).expect("it has the topics that it should have");
            let part = &mut topic.parts[place.partition() as usize];
            let start = stats.log_start_offset.get();
            assert!(start >= part.start, "I9: the log start went from {} back to {start}", part.start);
            part.start = start;
            part.durable = stats.durable_offset.get();
            part.written = stats.log_end_offset.get();
            assert!(part.written <= part.end, "{place}: {part:?}");
        }
        let steps = self.disk.steps_recorded();
        self.history.moments.push(Moment { steps, topics: Rc::new(self.topics.clone()) });
    }

    fn new_part(&mut self) -> Part {
        self.history.lines.push(Vec::new());
        Part { line: self.history.lines.len() - 1, start: 0, written: 0, durable: 0, end: 0 }
    }

    /// One of the topics; one is made if there is none.
    fn any_topic(&mut self) -> Result<&'static str> {
        if self.topics.is_empty() {
            self.create()?;
            self.note();
        }
        let names: Vec<_> = self.topics.keys().copied().collect();
        Ok(names[self.random.usize(0..names.len())])
    }

    fn create(&mut self) -> Result<()> {
        let absent: Vec<_> = NAMES.into_iter().filter(|name| !self.topics.contains_key(name)).collect();
        if absent.is_empty() {
            return self.delete();
        }
        let name = absent[self.random.usize(0..absent.len())];
        let count = self.random.u32(1..=self.script.partitions);
        let retention = self.script.retentions[self.random.usize(0..self.script.retentions.len())];
        let parts = (0..count).map(|_| self.new_part()).collect();
        self.topics.insert(name, Topic { retention, parts });
        let options = TopicOptions::new().partitions(count).retention(retention);
        let options = options.segment_bytes_max(16 << 10).batch_bytes_max(6 << 10);
        let made = self.broker.create_topic(name, options);
        self.undo_if_full(made.map(drop), |topics| drop(topics.remove(name)))
    }

    fn grow(&mut self) -> Result<()> {
        let name = self.any_topic()?;
        let before = self.topics[name].parts.len();
        let count = (before + self.random.usize(1..=2)).min(self.script.partitions as usize + 2);
        for _ in before..count {
            let part = self.new_part();
            self.topics.get_mut(name).expect("it is there").parts.push(part);
        }
        let options = TopicOptions::new().partitions(u32::try_from(count.max(before)).expect("few"));
        let grown = self.broker.ensure_topic(name, options);
        self.undo_if_full(grown.map(drop), |topics| {
            topics.get_mut(name).expect("it is there").parts.truncate(before);
        })
    }

    /// A change for which there was no room has not taken place.
    fn undo_if_full(&mut self, done: Result<()>, undo: impl FnOnce(&mut Topics)) -> Result<()> {
        if let Err(error) = &done
            && error.to_string().contains("disk_bytes_max")
        {
            undo(&mut self.topics);
        }
        done
    }

    fn change(&mut self) -> Result<()> {
        let name = self.any_topic()?;
        let retention = self.script.retentions[self.random.usize(0..self.script.retentions.len())];
        self.topics.get_mut(name).expect("it is there").retention = retention;
        self.broker.ensure_topic(name, TopicOptions::new().retention(retention)).map(drop)
    }

    fn delete(&mut self) -> Result<()> {
        let name = self.any_topic()?;
        self.topics.remove(name);
        self.broker.delete_topic(name)
    }

    /// One of the partitions of one of the topics.
    fn any_partition(&mut self) -> Result<(&'static str, usize, Partition)> {
        let name = self.any_topic()?;
        let number = self.random.usize(0..self.topics[name].parts.len());
        let partition = self.broker.topic(name)?.partition(u32::try_from(number).expect("few"))?;
        Ok((name, number, partition))
    }

    fn append(&mut self, level: Durability) -> Result<()> {
        let (name, number, log) = self.any_partition()?;
        let first = self.history.records.len();
        for at in first..first + self.random.usize(1..=2) {
            let mut value = u32::try_from(at).expect("few records").to_le_bytes().to_vec();
            let len = self.random.usize(self.script.value.0..=self.script.value.1).max(4) / 2;
            value.extend(std::iter::repeat_with(|| self.random.u8(..)).take(len));
            self.history.records.push(value);
        }
        let part = &mut self.topics.get_mut(name).expect("it is there").parts[number];
        let line = &mut self.history.lines[part.line];
        let end = line.len();
        // What a failed append has left is not known, so nothing is appended behind it.
        assert_eq!(end as u64, log.log_end_offset().get(), "{name}/{number}");
        let numbers = first..self.history.records.len();
        line.extend(numbers.map(|number| u32::try_from(number).expect("few records")));
        part.end = line.len() as u64;
        let records = self.history.records[first..].iter().map(Record::new);
        let appended = log.append_with(level, records).wait();
        if let Err(error) = &appended
            && error.kind() == ErrorKind::NoSpace
            && log.log_end_offset().get() == end as u64
        {
            part.end = end as u64;
            self.history.lines[part.line].truncate(end);
        }
        let appended = appended?;
        assert_eq!(appended.next_offset().get(), part.end, "{name}/{number}");
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let (_, _, log) = self.any_partition()?;
        log.flush().wait()
    }

    fn delete_records(&mut self) -> Result<()> {
        let (name, number, log) = self.any_partition()?;
        let part = &mut self.topics.get_mut(name).expect("it is there").parts[number];
        let before = self.random.u64(part.start..=part.end);
        let deleted = log.delete_records(Offset::new(before).expect("few records"));
        if deleted.is_err() {
            // It may be on the disk, and then all before it was synced.
            part.durable = part.durable.max(before);
        }
        deleted
    }

    fn reopen(&mut self) -> Result<()> {
        self.broker.close()?;
        self.opens += 1;
        let seed = self.seed ^ self.opens << 32;
        self.broker = self.script.options(seed, &self.clock).open_in(self.disk.root())?;
        Ok(())
    }
}
