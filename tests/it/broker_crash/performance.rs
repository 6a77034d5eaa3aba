//! Opening what a crash has left of a broker, and looking at it.

use super::act::BrokerScript;
use super::history::{Found, FoundPart, History, Promise};
use super::stage::NAMES;
use crate::crash::examine::power_cut;
use crate::crash::history::Crash;
use crate::crash::subject::Subject;
use crate::crash::tally::Tally;
use annals::io::SimDisk;
use annals::{Broker, Durability, ErrorKind, Offset, Partition, ReadLevel, Record, TopicOptions};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// How long after the crash the broker is opened again.
const AFTERWARDS: Duration = Duration::from_secs(10_000);

/// A performance of a script.
#[derive(Clone, Copy)]
pub struct Performance<'a> {
    pub script: &'a BrokerScript,
    pub history: &'a History,
}

impl Performance<'_> {
    fn open(&self, disk: &SimDisk, salt: u64) -> Result<Broker, String> {
        let clock = BrokerScript::clock();
        clock.advance(AFTERWARDS);
        let opened = self.script.options(salt, &clock).open_in(disk.root());
        let broker = opened.map_err(|error| format!("I16: open refused: {:?}: {error}", error.kind()))?;
        let report = broker.recovery_report();
        if !report.refused.is_empty() || !report.not_cleared.is_empty() {
            return Err(format!("I16: refused, or not cleared: {report:?}"));
        }
        Ok(broker)
    }

    /// All that is there.
    fn look(&self, broker: &Broker) -> Result<Found, String> {
        let mut found = BTreeMap::new();
        for topic in broker.topics() {
            let part = |number| {
                let partition = topic.partition(number).map_err(|error| format!("I16: {error}"))?;
                self.read(&partition).map_err(|wrong| format!("{}/{number}: {wrong}", topic.name()))
            };
            let parts = (0..topic.partition_count()).map(part).collect::<Result<_, _>>()?;
            found.insert(topic.name().to_owned(), (topic.settings().retention, parts));
        }
        Ok(Rc::new(found))
    }

    fn read(&self, log: &Partition) -> Result<FoundPart, String> {
        let start = log.log_start_offset().get();
        let mut numbers = Vec::new();
        for records in log.read(log.log_start_offset()).level(ReadLevel::Written) {
            for record in &records.map_err(|error| format!("I14: {error}"))? {
                if record.offset().get() != start + numbers.len() as u64 {
                    return Err(format!("I4: {record:?} behind {} others from {start} on", numbers.len()));
                }
                let number = record.value().first_chunk().map(|number| u32::from_le_bytes(*number));
                let submitted = number.and_then(|number| self.history.records.get(number as usize));
                if submitted.map(Vec::as_slice) != Some(record.value()) {
                    return Err(format!("I2: {record:?} was not submitted so"));
                }
                numbers.extend(number);
            }
        }
        if start + numbers.len() as u64 != log.log_end_offset().get() {
            return Err(format!(
                "I4: {} records from {start} on end at {}",
                numbers.len(),
                log.log_end_offset()
            ));
        }
        Ok(FoundPart { start, numbers })
    }

    /// No directory is there of what is not there.
    fn look_for_remains(&self, disk: &SimDisk, found: &Found) -> Result<(), String> {
        let entries = disk.root().list().map_err(|error| error.to_string())?;
        let mut dirs: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
        dirs.retain(|name| !matches!(name.as_str(), "LOCK" | "catalog"));
        dirs.sort();
        let names: Vec<_> = found.keys().cloned().collect();
        if dirs == names { Ok(()) } else { Err(format!("there is {dirs:?}, and the topics are {names:?}")) }
    }

    /// Makes the topics that are not there, and appends to one partition of each.
    fn go_on(&self, broker: &Broker) -> Result<(), String> {
        let full = |error: &annals::Error| error.kind() == ErrorKind::NoSpace;
        for name in NAMES {
            if broker.topic(name).is_err() {
                match broker.create_topic(name, TopicOptions::new().partitions(2)) {
                    Err(error) if full(&error) => continue,
                    Err(error) => return Err(format!("create {name} afterwards: {error}")),
                    Ok(topic) => {
                        let log = topic.partition(0).map_err(|error| error.to_string())?;
                        if log.log_end_offset() != Offset::ZERO {
                            return Err(format!("a new {name} has an older topic's data"));
                        }
                    }
                }
            }
            let log = broker.topic(name).and_then(|topic| topic.partition(0));
            let log = log.map_err(|error| format!("{name}/0 afterwards: {error}"))?;
            match log.append_with(Durability::Durable, [Record::new("afterwards")]).wait() {
                Err(error) if full(&error) => {}
                other => drop(other.map_err(|error| format!("append to {name}/0 afterwards: {error}"))?),
            }
        }
        Ok(())
    }

    /// Where the partitions end.
    fn ends(&self, broker: &Broker) -> Vec<(String, u64)> {
        let partitions = broker.stats().partitions;
        partitions.iter().map(|(place, stats)| (place.to_string(), stats.log_end_offset.get())).collect()
    }
}

impl Subject for Performance<'_> {
    type Promise = Promise;
    type Found = Found;

    fn promise(&self, steps: usize) -> Promise {
        self.history.promise(steps)
    }

    fn promise_of(&self, found: &Found) -> Promise {
        self.history.promise_of(found)
    }

    fn check(&self, promise: &Promise, found: &Found, crash: Crash) -> Result<(), String> {
        self.history.check(promise, found, crash)
    }

    fn recover(&self, disk: &SimDisk, salt: u64, tally: &mut Tally) -> Result<Found, String> {
        let broker = self.open(disk, salt)?;
        broker.recovery_report().recovered.iter().for_each(|(_, report)| tally.count(report));
        let found = self.look(&broker)?;
        // It is looked at and thrown away: closing it would only cost time.
        disk.cut_now();
        Ok(found)
    }

    fn open_and_close(&self, disk: &SimDisk, salt: u64) -> Result<(Found, usize), String> {
        let broker = self.open(disk, salt)?;
        // A name that a dead process has left in the cache is made sure of when something is shown.
        let found = self.look(&broker)?;
        let shown = disk.steps_recorded();
        broker.close().map_err(|error| format!("close: {error}"))?;
        Ok((found, shown))
    }

    fn cut_after_open(&self, disk: &SimDisk, salt: u64, found: &Found, cuts: u64) -> Result<(), String> {
        let broker = self.open(disk, salt)?;
        let again = self.look(&broker)?;
        if again != *found {
            return Err(format!("I18: the same disk recovered twice: {again:?}, and before {found:?}"));
        }
        let promise = self.promise_of(found);
        for cut in 0..=cuts {
            let image = power_cut(disk, salt ^ cut, cut == 0);
            let after = self.recover(&image, salt ^ cut << 8 ^ 5, &mut Tally::default())?;
            self.check(&promise, &after, Crash::PowerCut)
                .map_err(|wrong| format!("shown after recovery, then lost: {wrong}"))?;
        }
        disk.cut_now();
        Ok(())
    }

    fn examine(&self, disk: &SimDisk, salt: u64, found: &Found) -> Result<(), String> {
        let broker = self.open(disk, salt)?;
        self.look_for_remains(disk, found)?;
        broker.close().map_err(|error| format!("close: {error}"))?;
        for round in 1..=2 {
            let before = disk.counts();
            self.open(disk, salt ^ round)?.close().map_err(|error| format!("close: {error}"))?;
            let done = disk.counts() - before;
            if round == 2 && done.mutations() > 0 {
                return Err(format!("I18: opening and closing wrote: {done:?}"));
            }
        }
        let broker = self.open(disk, salt ^ 3)?;
        if self.look(&broker)? != *found {
            return Err(format!("I18: opened again, and no longer {found:?}"));
        }
        self.go_on(&broker)?;
        let ends = self.ends(&broker);
        let image = power_cut(disk, salt, true);
        disk.cut_now();
        let broker = self.open(&image, salt ^ 4)?;
        let after = self.ends(&broker);
        image.cut_now();
        if after == ends {
            Ok(())
        } else {
            Err(format!("I1: what was acknowledged afterwards: {ends:?}, {after:?}"))
        }
    }
}
