//! A group of three works through the flights, and its process is killed again and again: afterwards each flight was
//! handled at least once, and few of them twice.

use crate::basics::tempdir;
use crate::figure;
use crate::own_process;
use crate::proof::{Count, Seed, Size};
use annals::{Broker, Consumer, Record, TopicOptions};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Says to a process of its own which directory it is to work in.
const CHILD: &str = "ANNALS_GROUP_KILLS";
const MEMBERS: usize = 3;
const PARTITIONS: u32 = 6;
const POLL_RECORDS_MAX: usize = 20;
/// How long the work on the records of a poll takes.
const WORK: Duration = Duration::from_millis(1);
/// How long a member waits for more before it takes the work to be done.
const PATIENCE: Duration = Duration::from_millis(500);
/// The same of the test, for a process to make progress.
const PROGRESS_LIMIT: Duration = Duration::from_secs(60);

fn broker_in(dir: &Path) -> Broker {
    Broker::open(dir.join("data")).expect("what a kill left can be opened")
}

fn diary_in(dir: &Path) -> PathBuf {
    dir.join("handled")
}

/// Stores the flights, and says how many went to each partition.
fn store_flights(dir: &Path) -> BTreeMap<u32, u64> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/flights-2013-01.csv");
    let text = std::fs::read_to_string(path).expect("the flights are part of the repository");
    let broker = broker_in(dir);
    let topic =
        broker.create_topic("flights", TopicOptions::new().partitions(PARTITIONS)).expect("there is room");
    let producer = broker.producer().build().expect("it is open");
    let mut counts = BTreeMap::new();
    for (number, line) in text.lines().skip(1).enumerate() {
        let partition = u32::try_from(number).expect("some thousands") % PARTITIONS;
        drop(producer.send((&topic, partition), Record::new(line)).expect("there is room"));
        *counts.entry(partition).or_default() += 1;
    }
    producer.close().expect("there is room");
    broker.close().expect("nothing fails");
    counts
}

#[test]
fn each_flight_is_handled_at_least_once_whenever_the_group_is_killed() {
    let seed = Seed::of("group kills");
    let kills = Size::asked().pick(3, 20, 100);
    let dir = tempdir();
    let counts = store_flights(&dir);
    let flights: u64 = counts.values().sum();
    let diary = diary_in(&dir);
    File::create(&diary).expect("there is room");
    let started = Instant::now();
    let mut rng = seed.rng(0);
    let share = usize::try_from(flights).expect("some thousands") / (kills + 1);
    for kill in 0..kills {
        let mut child = start(&dir);
        // Anywhere in its share of the work, its very beginning included.
        let goal = share * kill + rng.usize(..share);
        wait_until(&mut child, || handled(&diary).len() >= goal);
        std::thread::sleep(Duration::from_micros(rng.u64(..3_000)));
        child.kill().expect("it is ours");
        child.wait().expect("it was killed");
    }
    let status = start(&dir).wait().expect("it ends by itself");
    assert!(status.success(), "the last one: {status}");

    let mut times: BTreeMap<(u32, u64), u64> = BTreeMap::new();
    for place in handled(&diary) {
        *times.entry(place).or_default() += 1;
    }
    for (partition, count) in &counts {
        for offset in 0..*count {
            assert!(
                times.contains_key(&(*partition, offset)),
                "flight {offset} of {partition} was not handled"
            );
        }
    }
    assert_eq!(times.len() as u64, flights, "nothing else was");
    let again: u64 = times.values().sum::<u64>() - flights;
    figure!(
        "group kills: {} flights, {MEMBERS} members, {kills} kills, 0 flights not handled, {} handled again, {} s",
        Count(flights),
        Count(again),
        started.elapsed().as_secs()
    );
    // At most what each member had polled and not committed.
    let most = (kills * MEMBERS * POLL_RECORDS_MAX) as u64;
    assert!(again <= most, "{again} flights were handled again, of at most {most}");
    drop(std::fs::remove_dir_all(&dir));
}

fn start(dir: &Path) -> Child {
    let mut child = own_process::running("group_kills::works_in_a_process_of_its_own");
    child.env(CHILD, dir).stdout(Stdio::null()).spawn().expect("a test binary can be run")
}

/// Waits for the process to get somewhere.
fn wait_until(child: &mut Child, is_there: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_there() {
        assert!(child.try_wait().expect("it is ours").is_none(), "it ended before its work was done");
        assert!(started.elapsed() < PROGRESS_LIMIT, "it gets nowhere");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The partition and offset of all that was handled, in the order in which it was; whole lines only.
fn handled(diary: &Path) -> Vec<(u32, u64)> {
    let text = std::fs::read_to_string(diary).expect("it was created");
    let place = |line: &str| {
        let (partition, offset) = line.split_once(' ').expect("two numbers");
        (partition.parse().expect("a number"), offset.parse().expect("a number"))
    };
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(place).collect()
}

/// Does nothing unless it is run by the test above.
#[test]
fn works_in_a_process_of_its_own() {
    let Some(dir) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let broker = broker_in(&dir);
    let work = |_| {
        let member = broker.consumer().group("handlers").subscribe(["flights"]);
        let member = member.poll_records_max(POLL_RECORDS_MAX).build().expect("anybody may join");
        let diary = OpenOptions::new().append(true).open(diary_in(&dir)).expect("it was created");
        std::thread::spawn(move || handle(member, diary))
    };
    let threads: Vec<_> = (0..MEMBERS).map(work).collect();
    threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
    broker.close().expect("nothing fails");
}

/// Handles flights until none come: says so in the diary, and commits.
fn handle(mut member: Consumer, mut diary: File) {
    loop {
        let records = member.poll(PATIENCE).expect("nothing is wrong");
        if records.is_empty() {
            return member.close().expect("nothing fails");
        }
        let line =
            |record: annals::ConsumerRecord<'_>| format!("{} {}\n", record.partition(), record.offset());
        let lines: String = records.iter().map(line).collect();
        // One call: a kill leaves all of it or nothing.
        diary.write_all(lines.as_bytes()).expect("there is room");
        // So that many a kill falls between the work and its commit.
        std::thread::sleep(WORK);
        member.commit().wait().expect("it has them");
    }
}
