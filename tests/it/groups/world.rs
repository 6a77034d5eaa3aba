//! The model: who has what, what was handled, what was committed.

use super::driver::{Driver, Fence, Heard, Owned, Wants, listener};
use super::step::{SEATS, Step, TOPICS};
use annals::clock::{Clock, ManualClock};
use annals::group::{Assignor, CooperativeSticky, GroupState, Range, RoundRobin, Sticky};
use annals::io::MemoryDisk;
use annals::{
    Broker, Durability, ErrorKind, Maintenance, Offset, Record, Timestamp, TopicOptions, TopicPartition,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const GROUP: &str = "workers";
const INTERVAL: Duration = Duration::from_secs(300);
const SESSION: Duration = Duration::from_secs(45);
/// How often members commit that do so by themselves.
const AUTO_COMMIT: Duration = Duration::from_secs(5);
/// How many rounds a group may take to settle.
const ROUNDS: usize = 3;
/// Most partitions that a topic grows to.
const PARTITIONS: usize = 6;

/// A topic that exists.
#[derive(Debug)]
struct Topic {
    /// How many topics of this name there were before.
    life: u32,
    partitions: Vec<Log>,
}

/// A partition.
#[derive(Clone, Debug, Default)]
struct Log {
    end: u64,
    committed: Option<u64>,
    /// How often each record was handled.
    handled: Vec<u32>,
    /// How many records may have been handled more than once: those beyond what was committed when the
    /// partition changed hands.
    tail: u64,
    twice: u64,
}

impl Log {
    /// The end of what was handled at least once.
    fn handled_end(&self) -> u64 {
        self.handled.len() as u64
    }
}

/// All there is.
pub struct World {
    disk: MemoryDisk,
    clock: ManualClock,
    broker: Broker,
    assignor: Arc<dyn Assignor>,
    topics: Vec<Option<Topic>>,
    lives: u32,
    drivers: Vec<Option<Driver>>,
    /// What has happened, for whoever has to find out why.
    pub trace: Vec<String>,
    pub handled: u64,
    pub twice: u64,
    pub expelled: u64,
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for line in self.trace.iter().rev().take(60).rev() {
                eprintln!("{line}");
            }
        }
    }
}

/// Each life of the broker draws other identities.
fn open(disk: &MemoryDisk, clock: &ManualClock, seed: u64) -> Broker {
    let options = Broker::options().clock(clock.clone()).maintenance(Maintenance::Manual).seed(seed);
    options.durability(Durability::Written).open_in(disk.root()).expect("memory")
}

fn name(topic: usize) -> String {
    format!("t{topic}")
}

fn number(place: &TopicPartition) -> usize {
    place.topic()[1..].parse().expect("all names are made here")
}

impl World {
    pub fn new(rng: &mut fastrand::Rng) -> Self {
        let disk = MemoryDisk::new();
        let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
        let broker = open(&disk, &clock, rng.u64(..));
        let assignor: Arc<dyn Assignor> = match rng.u32(..4) {
            0 => Arc::new(Range),
            1 => Arc::new(RoundRobin),
            2 => Arc::new(Sticky),
            _ => Arc::new(CooperativeSticky),
        };
        let topics = (0..TOPICS).map(|_| None).collect();
        let drivers = (0..SEATS).map(|_| None).collect();
        let trace = vec![format!("{assignor:?}")];
        let (lives, handled, twice, expelled) = (0, 0, 0, 0);
        Self { disk, clock, broker, assignor, topics, lives, drivers, trace, handled, twice, expelled }
    }

    fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    pub fn take(&mut self, step: Step, rng: &mut fastrand::Rng) {
        match step {
            Step::Join(seat) => self.join(seat, None, rng),
            Step::JoinStatic(seat, instance) => self.join(seat, Some(instance), rng),
            Step::Close(seat) => self.close(seat),
            Step::Crash(seat) => drop(self.drivers[seat].take()),
            Step::Poll(seat) => self.poll(seat),
            Step::PollAll => (0..SEATS).for_each(|seat| self.poll(seat)),
            Step::Commit(seat) => self.commit(seat),
            Step::CommitPart(seat) => self.commit_part(seat, rng),
            Step::CommitForeign(seat) => self.commit_foreign(seat, rng),
            Step::Subscribe(seat) => self.subscribe(seat, rng),
            Step::Append(topic) => self.append(topic, rng),
            Step::Grow(topic) => self.grow(topic, rng),
            Step::Delete(topic) => self.delete(topic),
            Step::Wait => self.clock.advance(Duration::from_millis(rng.u64(1..4_000))),
            Step::Stall => self.clock.advance(INTERVAL),
            Step::Maintain => self.broker.maintain().expect("memory"),
            Step::Describe => self.describe(),
            Step::CalmDown => self.calm_down(),
            Step::Restart => self.restart(rng),
        }
    }

    fn wants(rng: &mut fastrand::Rng) -> Wants {
        if rng.u32(..4) == 0 { Wants::All } else { Wants::Some(rng.u8(1..1 << TOPICS)) }
    }

    fn join(&mut self, seat: usize, instance: Option<u8>, rng: &mut fastrand::Rng) {
        if self.drivers[seat].is_some() {
            return;
        }
        let wants = Self::wants(rng);
        let commits_by_itself = rng.bool();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let options = self.broker.consumer().group(GROUP).assignors([self.assignor.clone()]);
        let options = match wants {
            Wants::All => options.subscribe_matching(|name| name.starts_with('t')),
            Wants::Some(_) => options.subscribe((0..TOPICS).filter(|topic| wants.topic(*topic)).map(name)),
        };
        let options = match instance {
            Some(instance) => options.group_instance_id(format!("static-{instance}")),
            None => options,
        };
        let options = if commits_by_itself { options.auto_commit_every(AUTO_COMMIT) } else { options };
        let consumer = options
            .poll_interval_max(INTERVAL)
            .session_timeout(SESSION)
            .poll_records_max(rng.usize(1..40))
            .read_level(annals::ReadLevel::Written)
            .on_rebalance(listener(&heard, !commits_by_itself && rng.bool()))
            .build()
            .expect("it may join");
        self.fence(instance);
        let (owned, polled_at) = (BTreeMap::new(), self.now());
        let fence = Fence::No;
        let driver = Driver { consumer, heard, wants, instance, commits_by_itself, owned, polled_at, fence };
        self.drivers[seat] = Some(driver);
    }

    /// A static member of this name joins: those before it are over.
    fn fence(&mut self, instance: Option<u8>) {
        let now = self.now();
        for other in self.drivers.iter_mut().flatten() {
            if instance.is_some() && other.instance == instance && other.fence != Fence::Yes {
                let is_expelled = now >= other.polled_at + INTERVAL;
                other.fence = if is_expelled { Fence::Perhaps } else { Fence::Yes };
                other.owned.values_mut().for_each(|owned| owned.is_stale = true);
            }
        }
    }

    fn close(&mut self, seat: usize) {
        let Some(mut driver) = self.drivers[seat].take() else { return };
        let is_member = driver.fence == Fence::No && !self.is_expelled(&driver);
        let heard = driver.heard.clone();
        let closed = driver.consumer.close();
        if driver.commits_by_itself {
            let is_whole = self.has_all(&driver.owned);
            let may = is_member && is_whole;
            assert!(closed.is_ok() == may || driver.owned.is_empty(), "{closed:?} {:?}", driver.owned);
            if closed.is_ok() {
                let points = driver.owned.iter().map(|(place, owned)| (place.clone(), owned.next));
                points.collect::<Vec<_>>().into_iter().for_each(|(place, next)| self.accept(&place, next));
            }
        }
        for event in std::mem::take(&mut *heard.lock().expect("no listener panics")) {
            let Heard::Revoked(positions, committed) = event else { panic!("a close revokes: {event:?}") };
            for (place, position) in positions {
                let owned = driver.owned.remove(&place).expect("it had it");
                assert_eq!(position.get(), owned.next);
                if committed {
                    self.accept(&place, owned.next);
                }
            }
        }
        assert!(driver.owned.is_empty(), "{:?}", driver.owned);
    }

    /// Whether the group no longer takes it for a member: it has not polled for too long.
    fn is_expelled(&self, driver: &Driver) -> bool {
        self.now() >= driver.polled_at + INTERVAL
    }

    /// Whether all of these are of topics that still exist.
    fn has_all(&self, owned: &BTreeMap<TopicPartition, Owned>) -> bool {
        owned.iter().all(|(place, owned)| self.is_alive(place, owned))
    }

    fn is_alive(&self, place: &TopicPartition, owned: &Owned) -> bool {
        self.topics[number(place)].as_ref().is_some_and(|topic| topic.life == owned.life)
    }

    fn log(&mut self, place: &TopicPartition) -> &mut Log {
        let topic = self.topics[number(place)].as_mut().expect("the topic exists");
        &mut topic.partitions[place.partition() as usize]
    }

    /// A commit was accepted.
    fn accept(&mut self, place: &TopicPartition, next: u64) {
        let log = self.log(place);
        assert!(
            next <= log.handled_end(),
            "{place}: {next} was committed, {} was handled",
            log.handled_end()
        );
        log.committed = Some(next);
    }

    fn poll(&mut self, seat: usize) {
        let Some(mut driver) = self.drivers[seat].take() else { return };
        let was_expelled = self.is_expelled(&driver);
        let before = driver.owned.clone();
        let polled = driver.consumer.poll(Duration::ZERO);
        let heard = std::mem::take(&mut *driver.heard.lock().expect("no listener panics"));
        if driver.fence == Fence::Yes || (driver.fence == Fence::Perhaps && polled.is_err()) {
            let error = polled.expect_err("another has taken over");
            assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
            driver.fence = Fence::Yes;
            driver.owned.clear();
            self.drivers[seat] = Some(driver);
            return;
        }
        if was_expelled {
            // It has joined anew, and has its name back.
            self.fence(driver.instance);
            driver.fence = Fence::No;
        }
        let records = polled.expect("it is a member");
        driver.polled_at = self.now();
        self.hear(&mut driver, heard, was_expelled, &before);
        if driver.commits_by_itself {
            let before = if was_expelled { BTreeMap::new() } else { before };
            self.learn_commits(&driver, &before);
        }
        for record in &records {
            let place = record.topic_partition();
            let owned = driver.owned.get_mut(place).unwrap_or_else(|| panic!("a record of {place}"));
            assert_eq!(record.offset().get(), owned.next, "{place}: the next record comes");
            owned.next += 1;
            let life = owned.life;
            assert_eq!(record.value(), format!("{life} {place} {}", record.offset()).as_bytes());
            self.handle(&place.clone(), record.offset().get());
        }
        self.drivers[seat] = Some(driver);
    }

    fn handle(&mut self, place: &TopicPartition, offset: u64) {
        let log = self.log(place);
        let at = usize::try_from(offset).expect("logs are short");
        assert!(at <= log.handled.len(), "{place}: {} was skipped", log.handled.len());
        let is_new = at == log.handled.len();
        if is_new {
            log.handled.push(1);
        } else {
            log.handled[at] += 1;
            log.twice += 1;
            assert!(log.twice <= log.tail, "{place}: {offset} came again, and was committed");
        }
        self.handled += 1;
        self.twice += u64::from(!is_new);
    }

    /// What a poll said of partitions that come and go.
    fn hear(
        &mut self,
        driver: &mut Driver,
        heard: Vec<Heard>,
        was_expelled: bool,
        before: &BTreeMap<TopicPartition, Owned>,
    ) {
        let mut lost = BTreeSet::new();
        for event in heard {
            match event {
                Heard::Lost(partitions) => {
                    for place in partitions {
                        let owned = driver.owned.remove(&place).expect("it had it");
                        let is_right = was_expelled || !self.is_alive(&place, &owned);
                        assert!(is_right, "{place} was lost, and need not have been");
                        lost.insert(place);
                    }
                }
                Heard::Revoked(positions, committed) => {
                    for (place, position) in positions {
                        let owned = driver.owned.remove(&place).expect("it had it");
                        assert!(!was_expelled, "{place} was revoked from a member that was expelled");
                        assert_eq!(position.get(), owned.next);
                        if committed {
                            self.accept(&place, owned.next);
                        }
                    }
                }
                Heard::Assigned(partitions) => {
                    partitions.into_iter().for_each(|place| self.assigned(driver, place));
                }
            }
        }
        if was_expelled {
            self.expelled += 1;
            let all: BTreeSet<_> = before.keys().cloned().collect();
            assert_eq!(lost, all, "who was expelled has lost everything");
        }
    }

    /// SEMANTICS 29: nobody else has it; 32: it goes on where the group has got to.
    fn assigned(&mut self, driver: &mut Driver, place: TopicPartition) {
        let now = self.now();
        for other in self.drivers.iter_mut().flatten() {
            let is_gone = now >= other.polled_at + INTERVAL;
            let Some(owned) = other.owned.get_mut(&place) else { continue };
            let is_alive = self.topics[number(&place)].as_ref().is_some_and(|topic| topic.life == owned.life);
            assert!(
                owned.is_stale || is_gone || !is_alive,
                "{place} has two owners: {} and another",
                driver.consumer.member_id().expect("it is a member")
            );
            owned.is_stale = true;
        }
        assert!(driver.wants.topic(number(&place)), "{place} was not wanted");
        let topic = self.topics[number(&place)].as_mut().expect("the topic exists");
        let life = topic.life;
        let log = &mut topic.partitions[place.partition() as usize];
        let next = log.committed.unwrap_or(0);
        log.tail += log.handled_end() - next;
        let position = driver.consumer.position(place.clone()).expect("it has it").get();
        let moved = position.checked_sub(next);
        assert!(moved.is_some(), "{place} begins at {position}, and {next} was committed");
        let owned = driver.owned.insert(place.clone(), Owned { life, next, is_stale: false });
        assert_eq!(owned, None, "{place} was assigned twice");
    }

    /// SEMANTICS 33: a member that commits by itself commits no more than an earlier poll returned.
    fn learn_commits(&mut self, driver: &Driver, before: &BTreeMap<TopicPartition, Owned>) {
        // What has just come may be committed with the rest, at where it begins.
        let has_come = |(place, owned): &(&TopicPartition, &Owned)| {
            before.get(*place).is_none_or(|earlier| earlier.life != owned.life)
        };
        let has_come: Vec<_> = driver.owned.iter().filter(has_come).collect();
        for (place, owned) in before.iter().chain(has_come) {
            if !self.is_alive(place, owned) {
                continue;
            }
            let committed = driver.consumer.committed(place.clone()).expect("the topic exists");
            let Some(committed) = committed.map(|committed| committed.offset.get()) else { continue };
            if self.log(place).committed == Some(committed) {
                continue;
            }
            assert!(!owned.is_stale, "{place} was committed by a member that does not have it");
            assert_eq!(committed, owned.next, "{place}: all that earlier polls returned");
            self.accept(place, committed);
        }
    }

    fn commit(&mut self, seat: usize) {
        let Some(driver) = self.drivers[seat].take() else { return };
        let may = self.may_commit(&driver);
        let committed = driver.consumer.commit().wait();
        match &committed {
            Ok(()) => assert!(may, "SEMANTICS 30: a commit of what is another's: {:?}", driver.owned),
            Err(error) => assert!(!may || driver.owned.is_empty(), "{error}: {:?}", driver.owned),
        }
        if committed.is_ok() {
            for (place, owned) in &driver.owned {
                self.accept(place, owned.next);
            }
        }
        self.drivers[seat] = Some(driver);
    }

    /// Whether a commit of all that it has must be accepted; nothing at all may be.
    fn may_commit(&self, driver: &Driver) -> bool {
        let is_member = driver.fence == Fence::No && !self.is_expelled(driver);
        driver.owned.is_empty() || (is_member && self.has_all(&driver.owned))
    }

    fn commit_part(&mut self, seat: usize, rng: &mut fastrand::Rng) {
        let Some(driver) = self.drivers[seat].take() else { return };
        let at = rng.usize(..driver.owned.len().max(1));
        if let Some((place, owned)) = driver.owned.iter().nth(at) {
            let back = rng.u64(..=2).min(owned.next);
            let offset = Offset::try_from(owned.next - back).expect("a small number");
            let is_member = driver.fence == Fence::No && !self.is_expelled(&driver);
            let may = is_member && self.is_alive(place, owned);
            let committed = driver.consumer.commit_offsets([(place.clone(), offset)]).wait();
            assert_eq!(committed.is_ok(), may, "{place}: {committed:?}");
            if committed.is_ok() {
                self.accept(place, offset.get());
            }
        }
        self.drivers[seat] = Some(driver);
    }

    /// SEMANTICS 30.
    fn commit_foreign(&mut self, seat: usize, rng: &mut fastrand::Rng) {
        let Some(driver) = &self.drivers[seat] else { return };
        let topic = rng.usize(..TOPICS);
        let place = TopicPartition::new(name(topic), rng.u32(..PARTITIONS as u32));
        if driver.owned.contains_key(&place) {
            return;
        }
        let error = driver.consumer.commit_offsets([(place, Offset::ZERO)]).wait().expect_err("not its own");
        assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    }

    fn subscribe(&mut self, seat: usize, rng: &mut fastrand::Rng) {
        let wants = Self::wants(rng);
        let Some(driver) = &mut self.drivers[seat] else { return };
        let subscribed = match wants {
            Wants::All => driver.consumer.subscribe_matching(|name| name.starts_with('t')),
            Wants::Some(_) => {
                driver.consumer.subscribe((0..TOPICS).filter(|topic| wants.topic(*topic)).map(name))
            }
        };
        match subscribed {
            Ok(()) => driver.wants = wants,
            Err(error) => assert!(driver.fence != Fence::No && error.kind() == ErrorKind::Fenced, "{error}"),
        }
    }

    fn append(&mut self, topic: usize, rng: &mut fastrand::Rng) {
        let handle = self.broker.topic(&name(topic));
        let Some(known) = &mut self.topics[topic] else { return };
        let at = rng.usize(..known.partitions.len());
        let log = &mut known.partitions[at];
        let place = TopicPartition::new(name(topic), u32::try_from(at).expect("few"));
        let count = rng.u64(1..12);
        let values: Vec<String> =
            (log.end..log.end + count).map(|offset| format!("{} {place} {offset}", known.life)).collect();
        log.end += count;
        let partition = handle.and_then(|topic| topic.partition(place.partition())).expect("it exists");
        let appended = partition.append_with(Durability::Written, values.iter().map(Record::new)).wait();
        assert_eq!(appended.expect("memory").next_offset().get(), log.end);
    }

    fn grow(&mut self, topic: usize, rng: &mut fastrand::Rng) {
        let before = self.topics[topic].as_ref().map_or(0, |topic| topic.partitions.len());
        let count = (before + rng.usize(1..3)).min(PARTITIONS);
        let options = TopicOptions::new().partitions(u32::try_from(count).expect("few"));
        self.broker.ensure_topic(&name(topic), options).expect("memory");
        self.lives += 1;
        let life = self.lives;
        let known = self.topics[topic].get_or_insert_with(|| Topic { life, partitions: Vec::new() });
        known.partitions.resize(count.max(before), Log::default());
    }

    fn delete(&mut self, topic: usize) {
        if self.topics[topic].take().is_some() {
            self.broker.delete_topic(&name(topic)).expect("memory");
        }
    }

    /// What the broker says of the group is what the model knows.
    fn describe(&mut self) {
        let described = match self.broker.describe_group(GROUP) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut logs = self.topics.iter().flatten().flat_map(|topic| &topic.partitions);
                assert!(logs.all(|log| log.committed.is_none()), "{error}");
                return;
            }
            described => described.expect("memory"),
        };
        let mut seen = BTreeMap::new();
        for partition in &described.partitions {
            let log = self.log(&partition.partition);
            assert_eq!(partition.log_end_offset.map(Offset::get), Some(log.end));
            let committed = partition.committed.as_ref().map(|committed| committed.offset.get());
            assert_eq!(committed, log.committed, "{}", partition.partition);
            assert_eq!(partition.lag(), committed.map(|committed| log.end - committed));
            seen.insert(partition.partition.clone(), committed);
        }
        for (at, topic) in self.topics.iter().enumerate() {
            let Some(topic) = topic else { continue };
            for (partition, log) in topic.partitions.iter().enumerate() {
                let place = TopicPartition::new(name(at), u32::try_from(partition).expect("few"));
                assert!(log.committed.is_none() || seen.contains_key(&place), "{place} is not described");
            }
        }
    }

    /// The disturbances stop: soon everything that anybody wants has an owner, and only one.
    pub fn calm_down(&mut self) {
        for seat in 0..SEATS {
            if self.drivers[seat].as_ref().is_some_and(|driver| driver.fence != Fence::No) {
                self.drivers[seat] = None;
            }
        }
        // Static members that stay away are expelled, and who was expelled joins anew.
        self.clock.advance(SESSION);
        self.broker.maintain().expect("memory");
        (0..SEATS).for_each(|seat| self.poll(seat));
        for _ in 0..ROUNDS {
            (0..SEATS).for_each(|seat| self.poll(seat));
        }
        let mut owners: BTreeMap<TopicPartition, usize> = BTreeMap::new();
        for driver in self.drivers.iter().flatten() {
            for place in driver.owned.keys() {
                *owners.entry(place.clone()).or_default() += 1;
            }
        }
        for (at, topic) in self.topics.iter().enumerate() {
            let is_wanted = self.drivers.iter().flatten().any(|driver| driver.wants.topic(at));
            for partition in 0..topic.as_ref().map_or(0, |topic| topic.partitions.len()) {
                let place = TopicPartition::new(name(at), u32::try_from(partition).expect("few"));
                let count = owners.remove(&place).unwrap_or(0);
                assert_eq!(count, usize::from(is_wanted), "{place} after {ROUNDS} rounds");
            }
        }
        assert!(owners.is_empty(), "{owners:?} do not exist");
        if self.drivers.iter().flatten().next().is_some() {
            let described = self.broker.describe_group(GROUP).expect("it has members");
            assert_eq!(described.state, GroupState::Stable);
        }
        self.describe();
    }

    /// Committed offsets outlive the broker.
    fn restart(&mut self, rng: &mut fastrand::Rng) {
        self.drivers.iter_mut().for_each(|driver| *driver = None);
        self.broker.close().expect("memory");
        self.broker = open(&self.disk, &self.clock, rng.u64(..));
        self.describe();
    }
}
