//! Thousands of idle partitions cost next to nothing: time to open, memory and descriptors of a process that
//! does nothing else.

use crate::basics::tempdir;
use crate::figure;
use crate::own_process;
use crate::proof::{Count, Size, skip, under_memory_checker};
use annals::{Broker, Durability, Record, TopicOptions};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Says to a process of its own which directory it is to open.
const CHILD: &str = "ANNALS_MANY_PARTITIONS";

/// Where syncs cost nothing, since they are not what is measured.
pub fn quick_disk() -> PathBuf {
    let name = tempdir();
    let name = name.file_name().expect("it has a name");
    let shm = Path::new("/dev/shm");
    if shm.is_dir() { shm.join(name) } else { std::env::temp_dir().join(name) }
}

#[test]
fn thousands_of_idle_partitions_take_little_of_anything() {
    if !cfg!(target_os = "linux") {
        return skip("many partitions: memory and descriptors are measured on Linux");
    }
    let dir = quick_disk();
    let (topics, partitions) = Size::asked().pick((10, 20), (100, 40), (100, 40));
    let broker = Broker::open(&dir).expect("there is room");
    for topic in 0..topics {
        let name = format!("topic-{topic}");
        let options = TopicOptions::new().partitions(partitions).durability(Durability::Written);
        let topic = broker.create_topic(&name, options).expect("there is room");
        topic.partition(0).expect("it is new").append([Record::new("a")]).wait().expect("there is room");
    }
    broker.close().expect("nothing fails");
    let mut child = own_process::running("many_partitions::opened_by_a_process_of_its_own");
    child.env(CHILD, &dir);
    own_process::relay_figures(child);
    drop(std::fs::remove_dir_all(&dir));
}

/// Does nothing unless it is run by the test above.
#[test]
fn opened_by_a_process_of_its_own() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    // The first open of a process pays for much that has nothing to do with partitions.
    Broker::options().open_in_memory().expect("memory has room").close().expect("nothing fails");
    let (memory, descriptors) = (anonymous_memory(), open_descriptors());
    let started = Instant::now();
    let broker = Broker::open(dir).expect("it was closed");
    let elapsed = started.elapsed();
    let count = broker.recovery_report().partition_count as u64;
    let memory = anonymous_memory().saturating_sub(memory);
    let descriptors = open_descriptors() - descriptors;
    figure!(
        "{} idle partitions: opened in {} ms, {} bytes of memory each, {descriptors} descriptors, {} threads",
        Count(count),
        elapsed.as_millis(),
        memory / count,
        threads()
    );
    assert_eq!(broker.stats().open_count, 0);
    assert!(descriptors < 200, "{descriptors} descriptors");
    if under_memory_checker() {
        skip("memory of idle partitions: a memory checker keeps what was freed");
    } else {
        assert!(memory / count <= 4_096, "{memory} bytes for {count} partitions");
    }
    let appended = broker.topic("topic-1").and_then(|topic| topic.partition(0)).expect("it wakes");
    assert_eq!(appended.log_end_offset().get(), 1);
    broker.close().expect("nothing fails");
}

/// Bytes of memory that no file stands behind.
fn anonymous_memory() -> u64 {
    number_of("RssAnon:") * 1024
}

fn threads() -> u64 {
    number_of("Threads:")
}

/// A number in this process's status.
fn number_of(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("Linux has this field");
    line.split_whitespace().next().expect("a number").parse().expect("a number")
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("this is Linux").count()
}

/// What a durable write costs that is spread over many partitions: a sync for each.
#[test]
fn durable_writes_over_many_partitions_take_a_sync_each() {
    let dir = tempdir();
    let broker = Broker::open(&dir).expect("there is room");
    let rounds = Size::asked().pick(2, 20, 50);
    let topic = broker.create_topic("t", TopicOptions::new().partitions(100)).expect("there is room");
    let open = |number| topic.partition(number).expect("it is new");
    let rate = |partitions: u32| {
        let partitions: Vec<_> = (0..partitions).map(open).collect();
        let started = Instant::now();
        for _ in 0..rounds {
            let append = |at: usize| partitions[at % partitions.len()].append([Record::new("a")]);
            let pending: Vec<_> = (0..100).map(append).collect();
            for pending in pending {
                pending.wait().expect("there is room");
            }
        }
        rounds * 100_000_000 / u64::try_from(started.elapsed().as_micros()).expect("seconds").max(1)
    };
    let (one, many) = (rate(1), rate(100));
    figure!(
        "100 durable appends in flight: {} records/s to one partition, {} records/s spread over 100",
        Count(one),
        Count(many)
    );
    broker.close().expect("nothing fails");
    drop(std::fs::remove_dir_all(&dir));
}
