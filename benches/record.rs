//! What does a batch cost to build, to give an offset, to verify and to read?

use annals::{Batch, BatchLimits, Offset, Record, Timestamp};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const NOW: Timestamp = Timestamp::from_millis(1_357_034_400_000);

fn build(value: &[u8], count: usize) -> Batch {
    let records = (0..count).map(|_| Record::new(value));
    Batch::from_records(records, NOW, BatchLimits::default()).expect("it is within the limits")
}

fn batches(c: &mut Criterion) {
    let value = [0x61; 100];
    for count in [1_usize, 10, 100, 1_000] {
        let mut group = c.benchmark_group(format!("{count} of 100 B"));
        group.throughput(Throughput::Elements(count.try_into().expect("it is small")));
        group.bench_function("build", |b| b.iter(|| build(black_box(&value), count)));

        let batch = build(&value, count);
        group.bench_function("set offset", |b| {
            let set = |batch: Batch| batch.with_base_offset(Offset::from(black_box(7)));
            b.iter_batched(|| batch.clone(), set, BatchSize::SmallInput);
        });
        group.bench_function("verify and copy", |b| {
            b.iter(|| Batch::from_bytes(black_box(batch.as_bytes()), BatchLimits::default()));
        });
        let records = batch.records().expect("they are not compressed");
        group.bench_function("walk", |b| {
            b.iter(|| black_box(&records).iter().map(|record| record.value().len()).sum::<usize>());
        });
        group.finish();
    }
}

criterion_group!(benches, batches);
criterion_main!(benches);
