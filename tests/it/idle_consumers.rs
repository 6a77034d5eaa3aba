//! Consumers that wait cost nothing, however many: processor time, wake-ups and descriptors of a process that does
//! nothing else; and how long it takes to wake one of them.

use crate::figure;
use crate::many_partitions::quick_disk;
use crate::own_process;
use crate::proof::{Count, Size, skip, under_memory_checker};
use annals::{Broker, Consumer, Durability, ReadLevel, Record, Topic, TopicOptions};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Says to a process of its own which directory it is to open.
const CHILD: &str = "ANNALS_IDLE_CONSUMERS";
/// How long a sleeper may take to wake.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many of the sleepers are woken.
const WOKEN: usize = 20;
/// A process of a thousand threads needs little of each.
const STACK_BYTES: usize = 128 << 10;

/// SEMANTICS 40
#[test]
fn waiting_consumers_cost_nothing() {
    if !cfg!(target_os = "linux") {
        return skip("idle consumers: processor time and wake-ups are counted on Linux");
    }
    let dir = quick_disk();
    let mut child = own_process::running("idle_consumers::asleep_in_a_process_of_its_own");
    child.env(CHILD, &dir);
    own_process::relay_figures(child);
    drop(std::fs::remove_dir_all(&dir));
}

/// Does nothing unless it is run by the test above.
#[test]
fn asleep_in_a_process_of_its_own() {
    let Some(dir) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let (count, window) = Size::asked().pick((100, 1), (1_000, 10), (1_000, 10));
    let options = Broker::options().durability(Durability::Written);
    let broker = options.open(&dir).expect("there is room");
    let topics = make_topics(&broker, count);
    let sleepers = Sleepers::start(&broker, &topics, |number| {
        if number.is_multiple_of(2) { ReadLevel::Written } else { ReadLevel::Durable }
    });
    // They fall asleep, and whatever opening the broker has left is done.
    thread::sleep(Duration::from_millis(500));

    let before = wake_ups();
    let used_before = processor_time();
    thread::sleep(Duration::from_secs(window));
    let used = processor_time().saturating_sub(used_before);
    let woken = wake_ups_since(&before);
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("this is Linux").count();
    let open = broker.stats().open_count;
    figure!(
        "{} waiting consumers on as many topics, half of them in groups: {} us of processor time and {woken} wake-ups in {window} s; {open} \
         partitions open, {descriptors} descriptors",
        Count(count as u64),
        used.as_micros()
    );
    // A few of the broker's own threads, by their own clocks; a loop of polls would be thousands.
    assert!(woken <= 20, "{woken} wake-ups while nothing happened");
    if !under_memory_checker() {
        assert!(used < Duration::from_millis(10), "{used:?} of processor time while nothing happened");
    }
    assert!(open <= 1, "sleepers keep no partition open; but the log of commits is");

    sleepers.wake_some(&topics, ReadLevel::Written, count);
    // Where syncs take no time, so that what is measured is the waking.
    let memory = Broker::options().open_in_memory().expect("memory can be had");
    let quick = make_topics(&memory, WOKEN);
    let others = Sleepers::start(&memory, &quick, |_| ReadLevel::Durable);
    others.wake_some(&quick, ReadLevel::Durable, count);
    for (broker, sleepers) in [(broker, sleepers), (memory, others)] {
        broker.close().expect("nothing fails");
        sleepers.end();
    }
}

fn make_topics(broker: &Broker, count: usize) -> Vec<Topic> {
    let make = |number| broker.create_topic(&format!("topic-{number}"), TopicOptions::new());
    (0..count).map(|number| make(number).expect("there is room")).collect()
}

/// Threads that sleep in polls, one for each topic: at each read level, alone and in groups, in turn.
struct Sleepers {
    threads: Vec<thread::JoinHandle<()>>,
    /// Who was woken, and when its poll returned.
    returned: Receiver<(usize, Instant)>,
    /// What the consumer of a topic sees.
    level_of: fn(usize) -> ReadLevel,
}

/// Whether the consumer of topic `number` is the only member of a group of its own, which commits by itself.
fn is_member(number: usize) -> bool {
    number % 4 > 1
}

impl Sleepers {
    fn start(broker: &Broker, topics: &[Topic], level_of: fn(usize) -> ReadLevel) -> Self {
        let (report, returned) = channel();
        let start = |(number, topic): (usize, &Topic)| {
            let options = broker.consumer().read_level(level_of(number));
            let options = if is_member(number) {
                let options = options.group(format!("group-{number}")).subscribe([topic.name()]);
                options.auto_commit_every(Duration::from_millis(500))
            } else {
                options.assign([(topic, 0)])
            };
            let consumer = options.build();
            let (consumer, report) = (consumer.expect("it is there"), report.clone());
            let thread = thread::Builder::new().stack_size(STACK_BYTES);
            thread.spawn(move || sleep(consumer, number, &report)).expect("threads can be had")
        };
        let threads = topics.iter().enumerate().map(start).collect();
        Self { threads, returned, level_of }
    }

    /// Wakes a few of those at `level` again and again, one of `count`, and says how long that takes: from before
    /// the call that stores and publishes a record.
    fn wake_some(&self, topics: &[Topic], level: ReadLevel, count: usize) {
        let rounds = Size::asked().pick(5, 250, 1_000);
        let durability = if level == ReadLevel::Durable { Durability::Durable } else { Durability::Written };
        let mut taken: BTreeMap<bool, Vec<Duration>> = BTreeMap::new();
        for round in 0..rounds {
            let woken = topics.iter().enumerate().filter(|(number, _)| (self.level_of)(*number) == level);
            for (number, topic) in woken.take(WOKEN) {
                let log = topic.partition(0).expect("it is there");
                let called = Instant::now();
                log.append_with(durability, [Record::new("a")]).wait().expect("there is room");
                let (woken, returned) = self.returned.recv_timeout(PATIENCE).expect("it was woken");
                assert_eq!(woken, number, "nobody else was");
                if round > 0 {
                    taken.entry(is_member(number)).or_default().push(returned.duration_since(called));
                }
            }
        }
        for (is_member, taken) in &mut taken {
            taken.sort();
            let at = |part: usize| taken[(taken.len() * part / 100).min(taken.len() - 1)].as_micros();
            figure!(
                "waking one of {} waiting consumers, {}, {level:?}: p50 {} us, p99 {} us of {} wakes",
                Count(count as u64),
                if *is_member { "a member of a group" } else { "assigned by hand" },
                at(50),
                at(99),
                taken.len()
            );
        }
    }

    fn end(self) {
        self.threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
    }
}

/// Polls until the broker is closed.
fn sleep(mut consumer: Consumer, number: usize, report: &Sender<(usize, Instant)>) {
    while let Ok(records) = consumer.poll(Duration::MAX) {
        assert!(!records.is_empty(), "nobody has woken it for nothing");
        report.send((number, Instant::now())).expect("the test waits for it");
    }
}

/// What all threads together have used.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// How often each thread but this one gave up its processor because it had nothing to do, by thread.
fn wake_ups() -> BTreeMap<String, u64> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("this is Linux");
    let own = std::fs::read_link("/proc/thread-self").expect("this is Linux");
    let own = own.file_name().expect("it ends with a number").to_string_lossy().into_owned();
    let names = tasks.map(|task| task.expect("a readable folder").file_name().to_string_lossy().into_owned());
    let count = |name: String| {
        let status = std::fs::read_to_string(format!("/proc/self/task/{name}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        Some((name, line.trim().parse().ok()?))
    };
    names.filter(|name| *name != own).filter_map(count).collect()
}

fn wake_ups_since(before: &BTreeMap<String, u64>) -> u64 {
    wake_ups().iter().map(|(name, count)| count - before.get(name).copied().unwrap_or_default()).sum()
}
