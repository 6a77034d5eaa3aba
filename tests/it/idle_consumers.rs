//! Consumers that wait cost nothing, however many: processor time, wake-ups and descriptors of a process that does
//! nothing else; and how long it takes to wake one of them.

use crate::basics::tempdir;
use crate::figure;
use crate::proof::{Count, Size, skip, under_memory_checker};
use annals::{Broker, Consumer, Durability, Partition, ReadLevel, Record, Topic, TopicOptions};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Says to a process of its own which directory it is to open.
const CHILD: &str = "ANNALS_IDLE_CONSUMERS";
/// How long a sleeper may take to wake.
const PATIENCE: Duration = Duration::from_secs(20);
/// A process of a thousand threads needs little of each.
const STACK_BYTES: usize = 128 << 10;

/// SEMANTICS 40
#[test]
fn waiting_consumers_cost_nothing() {
    if !cfg!(target_os = "linux") {
        return skip("idle consumers: processor time and wake-ups are counted on Linux");
    }
    let dir = tempdir();
    let own = std::env::current_exe().expect("this is a test binary");
    let mut child = std::process::Command::new(own);
    child.args(["--exact", "idle_consumers::asleep_in_a_process_of_its_own", "--nocapture"]);
    let output = child.env(CHILD, &dir).output().expect("a test binary can be run");
    let printed = String::from_utf8_lossy(&output.stdout);
    printed.lines().filter(|line| line.starts_with("figure:")).for_each(|line| println!("{line}"));
    drop(std::fs::remove_dir_all(&dir));
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
}

/// Does nothing unless it is run by the test above.
#[test]
fn asleep_in_a_process_of_its_own() {
    let Some(dir) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let (count, window) = Size::asked().pick((100, 1), (1_000, 10), (1_000, 10));
    let options = Broker::options().durability(Durability::Written);
    let broker = options.open(&dir).expect("there is room");
    let topics: Vec<Topic> = (0..count)
        .map(|number| {
            broker.create_topic(&format!("topic-{number}"), TopicOptions::new()).expect("there is room")
        })
        .collect();
    let sleepers = Sleepers::start(&broker, &topics);
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
        Count(count),
        used.as_micros()
    );
    // A few of the broker's own threads, by their own clocks; a loop of polls would be thousands.
    assert!(woken <= 20, "{woken} wake-ups while nothing happened");
    if !under_memory_checker() {
        assert!(used < Duration::from_millis(10), "{used:?} of processor time while nothing happened");
    }
    assert!(open <= 1, "sleepers keep no partition open; but the log of commits is");

    sleepers.wake_some(&topics);
    broker.close().expect("nothing fails");
    sleepers.end();
}

/// Threads that sleep in polls, one for each topic: at each read level, alone and in groups, in turn.
struct Sleepers {
    threads: Vec<thread::JoinHandle<()>>,
    /// Who was woken, and when its poll returned.
    returned: Receiver<(usize, Instant)>,
}

/// Whether the consumer of topic `number` is the only member of a group of its own, which commits by itself.
fn is_member(number: usize) -> bool {
    number % 4 > 1
}

/// What the consumer of topic `number` sees.
fn level_of(number: usize) -> ReadLevel {
    if number.is_multiple_of(2) { ReadLevel::Written } else { ReadLevel::Durable }
}

impl Sleepers {
    fn start(broker: &Broker, topics: &[Topic]) -> Self {
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
        Self { threads, returned }
    }

    /// Wakes a few of them again and again, and says how long that takes.
    fn wake_some(&self, topics: &[Topic]) {
        let rounds = Size::asked().pick(5, 250, 1_000);
        let mut taken: BTreeMap<(ReadLevel, bool), Vec<Duration>> = BTreeMap::new();
        for round in 0..rounds {
            for (number, topic) in topics.iter().enumerate().take(20) {
                let log = topic.partition(0).expect("it is there");
                let called = Instant::now();
                let appended = log.append_with(Durability::Written, [Record::new("a")]);
                let published = match level_of(number) {
                    ReadLevel::Durable => Probe::published(&log),
                    // Within the call.
                    _ => called,
                };
                appended.wait().expect("there is room");
                let (woken, returned) = self.returned.recv_timeout(PATIENCE).expect("it was woken");
                assert_eq!(woken, number, "nobody else was");
                if round > 0 {
                    let taken = taken.entry((level_of(number), is_member(number))).or_default();
                    taken.push(returned.saturating_duration_since(published));
                }
            }
        }
        for ((level, is_member), taken) in &mut taken {
            taken.sort();
            let at = |part: usize| taken[(taken.len() * part / 100).min(taken.len() - 1)].as_micros();
            figure!(
                "waking one of {} waiting consumers, {}, {level:?}: p50 {} us, p99 {} us of {} wakes",
                Count(topics.len() as u64),
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

/// Stamps the moment at which it is woken, which happens within the publication.
struct Probe(OnceLock<Instant>, Thread);

impl Wake for Probe {
    fn wake(self: Arc<Self>) {
        self.0.get_or_init(Instant::now);
        self.1.unpark();
    }
}

impl Probe {
    /// Has the disk thread sync `log`, and says when that was published.
    fn published(log: &Partition) -> Instant {
        let probe = Arc::new(Self(OnceLock::new(), thread::current()));
        let waker = Waker::from(probe.clone());
        let mut flush = log.flush();
        while Pin::new(&mut flush).poll(&mut Context::from_waker(&waker)).is_pending() {
            thread::park();
        }
        // Synced by then already: the figure is too small by nothing worth mentioning.
        *probe.0.get_or_init(Instant::now)
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
