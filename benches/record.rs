//! What does a batch cost to build, to seal once offset and epoch are known, to verify, and to read?
//!
//! Beside it stands what no batch can do without: one allocation, one copy and one checksum of its bytes.

mod support;

use annals::{Batch, BatchLimits, Record, Timestamp};
use std::hint::black_box;
use support::{Bench, seconds};

const NOW: Timestamp = Timestamp::from_millis(1_357_034_400_000);

/// How many records each measurement goes through at least.
const RECORDS: usize = 200_000;

fn main() {
    let value = [0x61; 100];
    for count in [1, 10, 100, 1_000] {
        let mut bench = Bench::new("record");
        cases(&mut bench, &value, count);
        let results = bench.run();
        results.ratio(&named("build", count), &named("allocate, copy and sum", count));
    }
}

fn named(what: &str, count: usize) -> String {
    format!("{what}, {count} of 100 B")
}

fn cases<'a>(bench: &mut Bench<'a>, value: &'a [u8], count: usize) {
    let batch = build(value, count);
    let records = batch.records().expect("they are not compressed");
    let bytes = batch.as_bytes().to_vec();
    let copied = bytes.clone();
    case(bench, "allocate, copy and sum", count, move || {
        let copy = black_box(&copied).to_vec();
        black_box(crc32fast::hash(black_box(&copy)));
    });
    case(bench, "build", count, move || {
        black_box(build(black_box(value), count));
    });
    let mut kept = Some(batch);
    case(bench, "seal", count, move || {
        kept = kept.take().map(|batch| batch.with_leader_epoch(black_box(7)));
    });
    case(bench, "verify and copy", count, move || {
        let batch = Batch::from_bytes(black_box(&bytes), BatchLimits::default());
        black_box(batch.expect("it is good"));
    });
    case(bench, "read", count, move || {
        black_box(black_box(&records).iter().map(|record| record.value().len()).sum::<usize>());
    });
}

fn build(value: &[u8], count: usize) -> Batch {
    let records = (0..count).map(|_| Record::new(value));
    Batch::from_records(records, NOW, BatchLimits::default()).expect("it is within the limits")
}

/// Adds a case whose `work` is done on one batch of `count` records.
fn case<'a>(bench: &mut Bench<'a>, what: &str, count: usize, mut work: impl FnMut() + 'a) {
    bench.case(named(what, count), &["ns", "ns/record"], move || {
        let times = RECORDS.div_ceil(count);
        let took = seconds(|| (0..times).for_each(|_| work())) * 1e9 / times as f64;
        vec![took, took / count as f64]
    });
}
