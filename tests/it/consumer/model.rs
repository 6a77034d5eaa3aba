//! Random seeks, pauses, polls, appends and deletions, against a list per partition.

use super::{at, fill, manual, orders, seen};
use crate::proof::{Seed, Size};
use annals::{StartAt, Topic};
use std::time::Duration;

const PARTITIONS: u32 = 4;

/// What is known of one partition.
#[derive(Clone, Debug, Default)]
struct Known {
    start: u64,
    end: u64,
    position: u64,
    is_paused: bool,
}

impl Known {
    /// A position below the start is taken to be reset to it.
    fn next(&self) -> u64 {
        self.position.max(self.start)
    }
}

#[test]
fn polls_agree_with_a_list_whatever_is_done_between_them() {
    let seed = Seed::of("consumer model");
    for case in 0..Size::asked().pick(60, 2_000, 20_000) {
        run(&mut seed.rng(case), case);
    }
}

fn run(rng: &mut fastrand::Rng, case: u64) {
    let (broker, clock) = manual();
    let topic = orders(&broker, PARTITIONS);
    let places = (0..PARTITIONS).map(|partition| (&topic, partition));
    let records_max = rng.usize(1..40);
    let options = broker.consumer().assign(places).poll_records_max(records_max);
    let mut consumer = options.poll_bytes_max(rng.usize(1..2_000)).build().expect("all are there");
    let mut known = vec![Known::default(); PARTITIONS as usize];
    for step in 0..100 {
        let partition = rng.u32(..PARTITIONS);
        let one = &mut known[partition as usize];
        match rng.u8(..20) {
            0..7 => {
                let count = rng.u64(1..30);
                fill(&topic, partition, one.end..one.end + count, rng.usize(1..10));
                one.end += count;
            }
            7 => {
                one.position = rng.u64(one.start..=one.end);
                consumer.seek((&topic, partition), at(one.position)).expect("it is assigned");
            }
            8 => {
                consumer.seek((&topic, partition), StartAt::Earliest).expect("it is assigned");
                one.position = one.start;
            }
            9 => {
                consumer.seek((&topic, partition), StartAt::Latest).expect("it is assigned");
                one.position = one.end;
            }
            10 => {
                consumer.pause((&topic, partition)).expect("it is assigned");
                one.is_paused = true;
            }
            11 | 12 => {
                consumer.resume((&topic, partition)).expect("it is assigned");
                one.is_paused = false;
            }
            13 => delete(&topic, partition, one, rng),
            14 => {
                clock.advance(Duration::from_secs(20));
                broker.maintain().expect("nothing fails");
            }
            _ => {
                let records = consumer.poll(Duration::ZERO).expect("nothing is wrong");
                assert!(records.len() <= records_max, "case {case}, step {step}");
                let waiting = known.iter().any(|one| !one.is_paused && one.next() < one.end);
                let doubtful = known.iter().any(|one| one.position < one.start);
                let agrees = doubtful || records.is_empty() != waiting;
                assert!(agrees, "case {case}, step {step}: {known:?}");
                for (partition, offset, value) in seen(&records) {
                    let one = &mut known[partition as usize];
                    // What was read ahead of a deletion may still come.
                    let is_next = offset == one.next() || offset == one.position;
                    assert!(is_next && !one.is_paused, "case {case}, step {step}: {offset} of {one:?}");
                    assert_eq!(value, offset.to_string());
                    one.position = offset + 1;
                }
            }
        }
    }
    for (partition, one) in (0..).zip(&known) {
        let position = consumer.position((&topic, partition)).expect("it is assigned").get();
        assert_eq!(position.max(one.start), one.next(), "case {case}");
    }
}

fn delete(topic: &Topic, partition: u32, one: &mut Known, rng: &mut fastrand::Rng) {
    let before = rng.u64(one.start..=one.end);
    topic.partition(partition).expect("it is there").delete_records(at(before)).expect("it is in the log");
    one.start = before;
}
