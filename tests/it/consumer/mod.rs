//! Consumers that are assigned by hand: what polls return, in which order, and how they wait.
//!
//! ```text
//!     polling    limits, fairness, seek, pause, the doors of records and streams
//!     ranges     positions that are not in the log: deleted, cut, lost, the topic gone
//!     sharing    groups at work in threads; how fast polls are
//!     waiting    sleeping, waking, closing; partitions put to rest under a sleeper
//!     model      random seeks, pauses and polls against a list
//! ```

mod model;
mod polling;
mod ranges;
mod sharing;
mod waiting;

use annals::clock::ManualClock;
use annals::{
    Broker, Consumer, ConsumerRecords, Durability, Maintenance, Offset, Record, Timestamp, TopicOptions,
};
use std::time::Duration;

/// A broker in memory whose work is done by hand, and its clock.
fn manual() -> (Broker, ManualClock) {
    let clock = ManualClock::new(Timestamp::from_millis(1_600_000_000_000));
    let broker = Broker::options()
        .clock(clock.clone())
        .maintenance(Maintenance::Manual)
        .seed(7)
        .open_in_memory()
        .expect("memory can be had");
    (broker, clock)
}

/// A broker in memory with its thread.
fn threaded() -> Broker {
    Broker::options().open_in_memory().expect("memory can be had")
}

/// A topic "orders" with this many partitions.
fn orders(broker: &Broker, partitions: u32) -> annals::Topic {
    let options = TopicOptions::new().partitions(partitions).durability(Durability::Written);
    broker.create_topic("orders", options).expect("a new topic")
}

/// Appends the decimal numbers of `range` to a partition, in batches of `batch`, and syncs them.
fn fill(topic: &annals::Topic, partition: u32, range: std::ops::Range<u64>, batch: usize) {
    let log = topic.partition(partition).expect("it is there");
    let values: Vec<String> = range.map(|number| number.to_string()).collect();
    for batch in values.chunks(batch) {
        log.append(batch.iter().map(Record::new)).wait().expect("there is room");
    }
    log.flush().wait().expect("memory does not fail");
}

/// Partition, offset and value of all that a poll returned.
fn seen(records: &ConsumerRecords) -> Vec<(u32, u64, String)> {
    let of = |record: annals::ConsumerRecord<'_>| {
        let value = String::from_utf8(record.value().to_vec()).expect("these tests write digits");
        (record.partition(), record.offset().get(), value)
    };
    records.iter().map(of).collect()
}

/// All that polls return until one has nothing.
fn drain(consumer: &mut Consumer) -> Vec<(u32, u64, String)> {
    let mut all = Vec::new();
    loop {
        let records = consumer.poll(Duration::ZERO).expect("nothing is wrong");
        if records.is_empty() {
            return all;
        }
        all.extend(seen(&records));
    }
}

fn at(number: u64) -> Offset {
    Offset::new(number).expect("these tests stay far below the largest offset")
}
