//! What does a send cost, beside an append to the partition itself?
//!
//! ```text
//!     one thread      send and drop the receipt; send and wait; with linger, without
//!     four threads    one producer, one partition; the appends that form batches by themselves
//!     by hand         Partition::append of one record, and of a hundred
//! ```
//!
//!     cargo bench --bench producer [-- --quick]

mod support;

use annals::{
    Broker, Durability, Partition, Producer, ReadLevel, Record, SendDurability, Topic, TopicOptions,
};
use std::hint::black_box;
use std::path::Path;
use std::thread;
use std::time::Duration;
use support::limits::KIB;
use support::{Bench, Folder, Results, seconds, sized};

const LENS: [(&str, usize); 2] = [("100 B", 100), ("1 KiB", KIB)];
const THREADS: [usize; 2] = [1, 4];
const LEVELS: [(&str, SendDurability); 3] = [
    ("buffered", SendDurability::Buffered),
    ("written", SendDurability::Written),
    ("durable", SendDurability::Durable),
];
const LINGERS: [(&str, Duration); 2] =
    [("no linger", Duration::ZERO), ("5 ms linger", Duration::from_millis(5))];
/// The second is what the processor was busy with, in all threads: it tells more on a machine that has other work.
const RATES: &[&str] = &["ns a record", "ns of processor time"];

fn main() {
    let folder = Folder::new("producer");
    let mut bench = Bench::new("producer");
    for (shape, len) in LENS {
        for threads in THREADS {
            let path = folder.0.join("log");
            bench.case(by_hand(shape, 1, threads), RATES, move || append_round(&path, len, 1, threads));
        }
        let path = folder.0.join("log");
        bench.case(by_hand(shape, 100, 1), RATES, move || append_round(&path, len, 100, 1));
        for (level, durability) in LEVELS {
            for (linger, wait) in LINGERS {
                for threads in THREADS {
                    let path = folder.0.join("sent");
                    let name = sent(level, linger, shape, threads);
                    bench.case(name, RATES, move || send_round(&path, len, durability, wait, threads));
                }
            }
        }
    }
    for threads in [1, 4, 64] {
        let path = folder.0.join("waited");
        bench.case(waited(threads), &["records/s"], move || wait_round(&path, threads));
    }
    ratios(&bench.run());
}

fn by_hand(shape: &str, batch: usize, threads: usize) -> String {
    format!("Partition::append, written, {shape} x {batch}, {threads} threads")
}

fn sent(level: &str, linger: &str, shape: &str, threads: usize) -> String {
    format!("send, {level}, {linger}, {shape}, {threads} threads")
}

fn waited(threads: usize) -> String {
    format!("send and wait, durable, 100 B, {threads} threads")
}

fn records(len: usize) -> usize {
    sized(200, 600, 2_000) * 1_000 * 100 / len.max(100)
}

/// Appends to a new log by hand.
fn append_round(path: &Path, len: usize, batch: usize, threads: usize) -> Vec<f64> {
    let log = Partition::options().read_level(ReadLevel::Written).open(path).expect("a new directory");
    let batches = records(len) / batch / threads;
    let value = vec![7; len];
    let took = timed(|| {
        in_threads(threads, |_| {
            for _ in 0..batches {
                let records = (0..batch).map(|_| Record::new(black_box(&value)));
                log.append_with(Durability::Written, records).wait().expect("room on the disk");
            }
        });
    });
    drop(log);
    std::fs::remove_dir_all(path).expect("the directory was just made");
    rates(batches * batch * threads, took)
}

/// Sends to a topic of one partition, dropping the receipts, and flushes.
fn send_round(
    path: &Path,
    len: usize,
    durability: SendDurability,
    linger: Duration,
    threads: usize,
) -> Vec<f64> {
    let each = records(len) / threads;
    let value = vec![7; len];
    let mut took = (0.0, 0.0);
    with_producer(path, durability, linger, |producer, topic| {
        took = timed(|| {
            in_threads(threads, |_| {
                for _ in 0..each {
                    drop(producer.send(topic, Record::new(black_box(&value))).expect("room in the buffer"));
                }
            });
            producer.flush().wait().expect("a disk that works");
        });
    });
    rates(each * threads, took)
}

/// Sends one record after the other and waits for each.
fn wait_round(path: &Path, threads: usize) -> Vec<f64> {
    let each = sized(50, 200, 1_000);
    let value = vec![7; 100];
    let mut took = 0.0;
    with_producer(path, SendDurability::Durable, Duration::ZERO, |producer, topic| {
        took = seconds(|| {
            in_threads(threads, |_| {
                for _ in 0..each {
                    let receipt = producer.send(topic, Record::new(&value)).expect("room in the buffer");
                    receipt.wait().expect("a disk that works");
                }
            });
        });
    });
    vec![(each * threads) as f64 / took]
}

fn with_producer(
    path: &Path,
    durability: SendDurability,
    linger: Duration,
    work: impl FnOnce(&Producer, &Topic),
) {
    let broker = Broker::open(path).expect("a new directory");
    let topic = broker.ensure_topic("sent", TopicOptions::new()).expect("a new topic");
    let producer = broker.producer().durability(durability).linger(linger).build().expect("an open broker");
    work(&producer, &topic);
    broker.close().expect("a sync that works");
    std::fs::remove_dir_all(path).expect("the directory was just made");
}

fn in_threads(count: usize, work: impl Fn(usize) + Sync) {
    if count == 1 {
        return work(0);
    }
    thread::scope(|scope| {
        for number in 0..count {
            let work = &work;
            scope.spawn(move || work(number));
        }
    });
}

/// How long work took, and how long the processor was busy with it, in seconds.
fn timed(work: impl FnOnce()) -> (f64, f64) {
    let before = processor_seconds();
    let took = seconds(work);
    (took, processor_seconds() - before)
}

fn processor_seconds() -> f64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

fn rates(records: usize, (took, busy): (f64, f64)) -> Vec<f64> {
    vec![took / records as f64 * 1e9, busy / records as f64 * 1e9]
}

fn ratios(results: &Results) {
    for (shape, _) in LENS {
        for threads in THREADS {
            results.ratio(&sent("written", "no linger", shape, threads), &by_hand(shape, 1, threads));
        }
        results.ratio(&sent("written", "5 ms linger", shape, 1), &by_hand(shape, 100, 1));
    }
    results.ratio(&waited(64), &waited(1));
}
