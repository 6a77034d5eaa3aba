//! T6: the power is cut under a process that writes to a real file system.
//!
//! ```text
//!     this process ──spawns──▶ the writer: topics come and go, records are appended ── what it begins, what was
//!                                          acknowledged ──▶ pipe
//!                  ──shuts the file system down, kills the writer, mounts anew
//!                  ──opens broker and log, compares with what the pipe said
//! ```
//!
//! Every value says where it belongs: the identity of its topic, partition and offset.

use crate::figure;
use crate::load::Load;
use crate::loop_disk::{Journal, Kind, LoopDisk};
use crate::own_process;
use crate::proof::{Count, Rate, Seed, Size};
use annals::{
    Broker, BrokerOptions, Durability, Maintenance, Offset, Partition, ReadLevel, Record, RecoveryOutcome,
    Retention, Topic, TopicOptions, WriteMode,
};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const CHILD: [&str; 3] = ["ANNALS_POWER_CUT_DIR", "ANNALS_POWER_CUT_SEED", "ANNALS_POWER_CUT_LOAD"];
const NAMES: [&str; 3] = ["a", "b", "c"];
/// The one that sheds what is old.
const SHEDDING: &str = "b";
/// Most partitions of a topic.
const PARTITIONS_MAX: u32 = 4;
/// What the log beside the broker is called.
const LOG: &str = "log";

fn options(seed: u64) -> BrokerOptions {
    let mode = if seed.is_multiple_of(4) { WriteMode::Pwrite } else { WriteMode::Automatic };
    Broker::options().write_mode(mode)
}

/// How many batches a life has at most: what it writes has to fit onto the disk, however long the life is.
fn batches_max(load: Load) -> u64 {
    match load {
        Load::Light => u64::MAX,
        Load::Heavy => 1_500,
    }
}

/// How many records the next batch has, and its level.
fn batch_of(load: Load, random: &mut fastrand::Rng) -> (u64, Durability) {
    let (records, is_written) = match load {
        Load::Light => (random.u64(1..6), random.u8(0..4) == 0),
        Load::Heavy => (random.u64(30..36), random.u8(0..32) != 0),
    };
    (records, if is_written { Durability::Written } else { Durability::Durable })
}

fn open_log(dir: &Path, load: Load, seed: u64) -> annals::Result<Partition> {
    let mode = if seed.is_multiple_of(3) { WriteMode::Pwrite } else { WriteMode::Automatic };
    let options = Partition::options().segment_bytes_max(load.segment_bytes_max()).batch_bytes_max(16 << 10);
    options.write_mode(mode).open(dir.join(LOG))
}

fn value(owner: &str, number: u32, offset: u64) -> String {
    format!("{owner}/{number}/{offset} {}", "v".repeat(usize::try_from(offset * 37 % 700).expect("small")))
}

/// Says a line at once, whole.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("somebody listens");
}

/// Appends one batch to the log beside the broker, and says what became of it.
fn append(log: &Partition, load: Load, random: &mut fastrand::Rng) {
    let end = log.log_end_offset().get();
    let (records, level) = batch_of(load, random);
    let values: Vec<_> = (end..end + records).map(|offset| value(LOG, 0, offset)).collect();
    let appended = log.append_with(level, values.iter().map(Record::new)).wait().expect("there is room");
    if appended.durability() == Durability::Durable {
        say(&format!("acknowledged {LOG} 0 {}", appended.next_offset()));
    }
}

/// The part of the process that loses its disk: works for as long as it can.
#[test]
#[ignore = "the part of another process: run by the tests below"]
fn the_writer() {
    let [Ok(dir), Ok(seed), Ok(load)] = CHILD.map(std::env::var) else { return };
    let seed = seed.parse().expect("a number");
    let load = Load::named(&load);
    let broker = options(seed).open(Path::new(&dir).join("broker")).expect("it opens after every power cut");
    let log = open_log(Path::new(&dir), load, seed).expect("it opens after every power cut");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = fastrand::Rng::with_seed(seed ^ 1);
            for _ in 0..batches_max(load) {
                append(&log, load, &mut random);
            }
        });
        for thread in 2..4 {
            let broker = &broker;
            scope.spawn(move || append_to_topics(broker, thread, seed ^ thread));
        }
        change_topics(&broker, seed);
    });
}

/// Each thread appends to partitions of its own.
fn append_to_topics(broker: &Broker, thread: u64, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    loop {
        let Ok(topic) = broker.topic(NAMES[random.usize(0..NAMES.len())]) else { continue };
        let number = random.u32(0..topic.partition_count());
        if u64::from(number) % 2 != thread % 2 {
            continue;
        }
        // The topic may be deleted at any time.
        let Ok(log) = topic.partition(number) else { continue };
        let end = log.log_end_offset().get();
        let owner = topic.id().to_string();
        let values: Vec<_> = (end..end + random.u64(1..6)).map(|at| value(&owner, number, at)).collect();
        if let Ok(appended) = log.append_with(Durability::Durable, values.iter().map(Record::new)).wait() {
            say(&format!("acknowledged {owner} {number} {}", appended.next_offset()));
        } else if broker.topic(topic.name()).is_ok_and(|now| now.id() == topic.id()) {
            // The disk is gone.
            return;
        }
    }
}

fn change_topics(broker: &Broker, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    loop {
        let name = NAMES[random.usize(0..NAMES.len())];
        let options = TopicOptions::new().segment_bytes_max(64 << 10).batch_bytes_max(16 << 10);
        let retention = if name == SHEDDING { Retention::Bytes(100_000) } else { Retention::Forever };
        let done = match broker.topic(name) {
            Err(_) => {
                let count = random.u32(1..3);
                say(&format!("begun create {name} {count}"));
                broker.create_topic(name, options.retention(retention).partitions(count)).map(drop)
            }
            Ok(topic) if random.bool() && topic.partition_count() < PARTITIONS_MAX => {
                let count = topic.partition_count() + 1;
                say(&format!("begun grow {name} {count}"));
                broker.ensure_topic(name, options.partitions(count)).map(drop)
            }
            Ok(_) if random.u8(0..3) == 0 => {
                say(&format!("begun delete {name} 0"));
                broker.delete_topic(name)
            }
            Ok(_) => Ok(()),
        };
        match done {
            Ok(()) => {
                let id =
                    broker.topic(name).map_or_else(|_| "none".to_owned(), |topic| topic.id().to_string());
                say(&format!("done {name} {id}"));
            }
            Err(_) => return,
        }
        std::thread::sleep(Duration::from_micros(random.u64(0..3_000)));
    }
}

/// What a topic must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    /// Empty while it is not known yet.
    id: String,
    partitions: u32,
}

type Topics = BTreeMap<String, Known>;

/// Whether a line was read before the power was cut. What the writer says later may have come too late: a sync
/// that is under way when a file system is shut down can return without an error and without effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    InTime,
    Perhaps,
}

/// What was acknowledged, over all cycles.
#[derive(Debug)]
struct Model {
    /// As the topics may be: as they were acknowledged last, and with what was begun since.
    possible: Vec<Topics>,
    /// Where the partitions end at least, by the identity of the topic and the number.
    ends: BTreeMap<(String, u32), u64>,
}

impl Model {
    fn new() -> Self {
        Self { possible: vec![Topics::new()], ends: BTreeMap::new() }
    }

    fn newest(&mut self) -> &mut Topics {
        self.possible.last_mut().expect("it is never empty")
    }

    /// Takes in a line of the writer.
    fn hear(&mut self, line: &str, heard: Heard) {
        let words: Vec<_> = line.split(' ').collect();
        // The harness of the writer says something before its first line, on the same one.
        let Some(from) = words.iter().position(|word| ["acknowledged", "begun", "done"].contains(word))
        else {
            return;
        };
        match words[from..] {
            ["acknowledged", owner, number, end] if heard == Heard::InTime => {
                let place = (owner.to_owned(), number.parse().expect("a number"));
                let end: u64 = end.parse().expect("a number");
                let known = self.ends.entry(place).or_default();
                *known = end.max(*known);
            }
            ["begun", act, name, count] => {
                let mut topics = self.newest().clone();
                if act == "delete" {
                    topics.remove(name);
                } else {
                    let known = topics.entry(name.to_owned());
                    let topic = known.or_insert(Known { id: String::new(), partitions: 0 });
                    topic.partitions = count.parse().expect("a number");
                }
                self.possible.push(topics);
            }
            ["done", name, id] => {
                if let Some(topic) = self.newest().get_mut(name) {
                    id.clone_into(&mut topic.id);
                }
                if heard == Heard::InTime {
                    self.possible = vec![self.newest().clone()];
                }
            }
            // Too late, or the pipe ends in the middle of a line.
            _ => {}
        }
    }

    /// Compares with what is there, and goes by that from now on.
    fn check(&mut self, broker: &Broker, what: &str) {
        let report = broker.recovery_report();
        assert!(report.refused.is_empty() && report.not_cleared.is_empty(), "{what}: {report:?}");
        let mut found = Topics::new();
        for topic in broker.topics() {
            self.check_topic(&topic, what);
            let known = Known { id: topic.id().to_string(), partitions: topic.partition_count() };
            found.insert(topic.name().to_owned(), known);
        }
        let is_found = |topics: &Topics| {
            let is_same = |(name, known): (&String, &Known)| {
                found.get(name).is_some_and(|found| {
                    let is_same_id = known.id.is_empty() || known.id == found.id;
                    is_same_id && known.partitions == found.partitions
                })
            };
            topics.len() == found.len() && topics.iter().all(is_same)
        };
        assert!(self.possible.iter().any(is_found), "{what}: {found:?}, and possible {:?}", self.possible);
        self.possible = vec![found];
    }

    fn check_topic(&mut self, topic: &Topic, what: &str) {
        for number in 0..topic.partition_count() {
            let log = topic.partition(number).unwrap_or_else(|error| panic!("{what}: {error}"));
            let owner = topic.id().to_string();
            self.check_log(&log, &owner, number, &format!("{what}, {}/{number}", topic.name()));
            if topic.name() != SHEDDING {
                assert_eq!(log.log_start_offset().get() % 100, 0, "{what}: nobody else deletes");
            }
        }
    }

    /// Checks that each offset holds its own value, and that nothing acknowledged is missing.
    fn check_log(&mut self, log: &Partition, owner: &str, number: u32, what: &str) {
        let mut next = log.log_start_offset().get();
        for records in log.read(log.log_start_offset()).level(ReadLevel::Written) {
            for record in &records.unwrap_or_else(|error| panic!("{what}: {error}")) {
                assert_eq!(record.offset().get(), next, "{what}");
                assert_eq!(record.value(), value(owner, number, next).as_bytes(), "{what}: offset {next}");
                next += 1;
            }
        }
        assert_eq!(next, log.log_end_offset().get(), "{what}");
        let known = self.ends.entry((owner.to_owned(), number)).or_default();
        assert!(next >= *known, "{what}: it ends at {next}, and {known} was acknowledged");
        // What was shown must stay.
        *known = next;
        // Most of it goes, so that no cycle takes long to check.
        let start = next.saturating_sub(200) / 100 * 100;
        if start > log.log_start_offset().get() {
            log.delete_records(Offset::new(start).expect("small")).expect("it is in the log");
        }
    }
}

fn spawn(dir: &Path, load: Load, seed: u64) -> Child {
    own_process::running("real_power_cuts::the_writer")
        .env(CHILD[0], dir)
        .env(CHILD[1], seed.to_string())
        .env(CHILD[2], load.name())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it can be run again")
}

fn cut_again_and_again(kind: Kind) {
    let Some(disk) = LoopDisk::new(kind, "T6 power cuts") else { return };
    let cycles = Size::asked().pick(4, 100, 5_000);
    let seed = Seed::of("T6 power cuts");
    let (started, mut model) = (Instant::now(), Model::new());
    let (mut lines, mut copied, mut torn) = (0_u64, 0_u64, 0_u64);
    for cycle in 0..cycles {
        let mut random = seed.rng(cycle);
        let load = Load::of(cycle);
        let what = format!("{kind:?}, {load:?}, cycle {cycle}");
        let mut child = spawn(disk.path(), load, random.u64(..));
        let mut pipe = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut first = String::new();
        // From its first word on its life is counted; the harness says something before.
        while !first.contains("begun ") && !first.contains("acknowledged ") {
            first.clear();
            let len = pipe.read_line(&mut first).expect("the pipe can be read");
            assert!(len > 0, "{what}: the writer could not begin");
        }
        let armed = disk.arm(if random.bool() { Journal::Flushed } else { Journal::Lost });
        let heard = Mutex::new(vec![first]);
        let in_time = std::thread::scope(|scope| {
            let listener = scope.spawn(|| {
                for line in pipe.split(b'\n').map_while(std::io::Result::ok) {
                    heard.lock().expect("nobody panics").push(String::from_utf8_lossy(&line).into_owned());
                }
            });
            // Every other life has shown something when it ends, however slow the machine.
            let is_told =
                || heard.lock().expect("nobody panics").iter().any(|line| line.contains("acknowledged "));
            while cycle.is_multiple_of(2) && !is_told() && !listener.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_micros(random.u64(0..25_000)));
            let in_time = heard.lock().expect("nobody panics").len();
            armed.cut(|| {
                drop(child.kill());
                child.wait().expect("it was killed");
                listener.join().expect("it does not panic");
            });
            in_time
        });
        for (number, line) in heard.into_inner().expect("nobody panics").iter().enumerate() {
            let is_in_time = number < in_time;
            lines += u64::from(is_in_time && line.contains("acknowledged "));
            model.hear(line.trim_end(), if is_in_time { Heard::InTime } else { Heard::Perhaps });
        }
        let options = options(random.u64(..)).maintenance(Maintenance::Manual);
        let broker =
            options.open(disk.path().join("broker")).unwrap_or_else(|error| panic!("{what}: {error}"));
        for (_, report) in &broker.recovery_report().recovered {
            copied += report.copied_records;
            torn += u64::from(report.outcome == RecoveryOutcome::Torn);
        }
        model.check(&broker, &what);
        broker.close().expect("the disk is well");
        let log =
            open_log(disk.path(), load, random.u64(..)).unwrap_or_else(|error| panic!("{what}: {error}"));
        copied += log.recovery_report().copied_records;
        torn += u64::from(log.recovery_report().outcome == RecoveryOutcome::Torn);
        model.check_log(&log, LOG, 0, &format!("{what}, the log"));
        log.close().expect("the disk is well");
    }
    assert!(lines >= cycles / 2, "hardly anything was written: {lines} acknowledgements");
    figure!(
        "T6 power cuts of a writing process on {kind:?}: {} cycles, half under a heavy load, {} acknowledgements, 0 \
         lost; {} records copied, {} torn tails, {}",
        Count(cycles),
        Count(lines),
        Count(copied),
        Count(torn),
        Rate(cycles, started.elapsed())
    );
}

#[test]
fn what_was_acknowledged_survives_power_cuts_on_ext4() {
    cut_again_and_again(Kind::Ext4);
}

#[test]
fn what_was_acknowledged_survives_power_cuts_on_xfs() {
    cut_again_and_again(Kind::Xfs);
}
