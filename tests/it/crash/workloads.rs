//! The workloads: combinations of everything a partition can be told and asked.

use super::rehearsal::SECOND;
use super::workload::{Act, Indexes, Levels, Workload};
use annals::Retention;
use std::time::Duration;

const MANY: (usize, usize) = (8, 30);
/// A value that makes a batch of more than one block.
const BLOCK: (usize, usize) = (4_200, 5_600);

const STEADY: &[(u32, Act)] = &[(8, Act::Append), (1, Act::Flush), (1, Act::Maintain), (1, Act::Look)];
const BURSTS: &[(u32, Act)] = &[(3, Act::Burst), (2, Act::Append), (1, Act::Overlap), (1, Act::Maintain)];
const OVERLAPS: &[(u32, Act)] = &[(3, Act::Overlap), (3, Act::Append), (1, Act::Maintain)];
const OPENS: &[(u32, Act)] = &[(5, Act::Append), (2, Act::Reopen), (1, Act::Flush)];
const DELETES: &[(u32, Act)] =
    &[(8, Act::Append), (1, Act::DeleteRecords), (1, Act::Maintain), (1, Act::Reopen)];
const CUTS: &[(u32, Act)] = &[(7, Act::Append), (2, Act::Truncate), (1, Act::Maintain)];
const AGES: &[(u32, Act)] = &[(6, Act::Append), (2, Act::Pass(SECOND)), (1, Act::Maintain)];
const FAILS: &[(u32, Act)] = &[(6, Act::Append), (2, Act::FailedSync), (1, Act::Maintain)];
const EPOCHS: &[(u32, Act)] =
    &[(6, Act::AppendVerbatim), (2, Act::Append), (1, Act::Flush), (1, Act::Truncate)];
const ALL: &[(u32, Act)] = &[
    (6, Act::Append),
    (2, Act::Burst),
    (2, Act::Overlap),
    (3, Act::AppendVerbatim),
    (1, Act::Flush),
    (2, Act::Maintain),
    (1, Act::Pass(SECOND)),
    (1, Act::DeleteRecords),
    (1, Act::Truncate),
    (1, Act::Reopen),
    (1, Act::FailedSync),
    (1, Act::Look),
];

/// A segment of which five or six make a roll.
const fn large(workload: Workload) -> Workload {
    workload.values(2_000, 3_500)
}

const fn blocks(workload: Workload) -> Workload {
    workload.values(BLOCK.0, BLOCK.1)
}

const fn many(workload: Workload) -> Workload {
    workload.batches(MANY.0, MANY.1).values(4, 150)
}

/// Segments above what is reserved and walked at once, which the script fills once and more.
const fn long(workload: Workload) -> Workload {
    workload.segment_bytes(256 << 10).values(4_200, 5_000).batches(2, 2).batch_bytes_max(12 << 10)
}

/// Batches that go past the map, by a system call.
const fn huge(workload: Workload) -> Workload {
    workload.values(60_000, 70_000).batch_bytes_max(80 << 10)
}

const TWO_SECONDS: Duration = Duration::from_secs(2);
const CAP: u64 = 128 << 10;

/// All of them.
pub const WORKLOADS: &[Workload] = &[
    Workload::new("small, durable").mix(STEADY, 24),
    Workload::new("small, written").levels(Levels::Written).mix(STEADY, 24),
    Workload::new("small, mixed").levels(Levels::Mixed).mix(STEADY, 30),
    Workload::new("small, durable, pwrite").pwrite().mix(STEADY, 24),
    Workload::new("small, mixed, pwrite, pread").pwrite().pread().levels(Levels::Mixed).mix(STEADY, 30),
    Workload::new("small, mixed, no maps").unmapped().levels(Levels::Mixed).mix(STEADY, 30),
    Workload::new("small, mixed, map, pread").pread().levels(Levels::Mixed).mix(STEADY, 30),
    Workload::new("group commits").mix(BURSTS, 12),
    Workload::new("group commits, pwrite").pwrite().mix(BURSTS, 12),
    Workload::new("group commits across segments").values(1_500, 3_000).mix(BURSTS, 12),
    Workload::new("appends while a sync runs").levels(Levels::Mixed).mix(OVERLAPS, 14),
    Workload::new("appends while a sync runs, pwrite").pwrite().levels(Levels::Mixed).mix(OVERLAPS, 14),
    Workload::new("appends while a sync runs, rolls")
        .values(800, 1_500)
        .levels(Levels::Mixed)
        .mix(OVERLAPS, 24),
    many(Workload::new("many records a batch, durable")).mix(STEADY, 24),
    many(Workload::new("many records a batch, mixed, pwrite")).pwrite().levels(Levels::Mixed).mix(STEADY, 24),
    many(Workload::new("many records a batch, written, log append time"))
        .levels(Levels::Written)
        .log_append_time()
        .mix(STEADY, 24),
    blocks(Workload::new("more than a block, durable")).mix(STEADY, 14),
    blocks(Workload::new("more than a block, mixed")).levels(Levels::Mixed).mix(STEADY, 14),
    blocks(Workload::new("more than a block, written, pwrite"))
        .pwrite()
        .levels(Levels::Written)
        .mix(STEADY, 14),
    huge(Workload::new("past the map, durable")).mix(STEADY, 6),
    huge(Workload::new("past the map, mixed")).levels(Levels::Mixed).mix(STEADY, 6),
    large(Workload::new("rolls, durable")).mix(STEADY, 24),
    large(Workload::new("rolls, written")).levels(Levels::Written).mix(STEADY, 24),
    large(Workload::new("rolls, mixed")).levels(Levels::Mixed).mix(STEADY, 24),
    large(Workload::new("rolls, mixed, pwrite, pread"))
        .pwrite()
        .pread()
        .levels(Levels::Mixed)
        .mix(STEADY, 24),
    large(Workload::new("rolls, nobody maintains")).levels(Levels::Mixed).mix(&[(1, Act::Append)], 20),
    long(Workload::new("long segments, written")).levels(Levels::Written).mix(STEADY, 40),
    long(Workload::new("long segments, mixed, pwrite")).pwrite().levels(Levels::Mixed).mix(STEADY, 40),
    Workload::new("rolls by age").segment_age(TWO_SECONDS).levels(Levels::Mixed).mix(AGES, 24),
    Workload::new("rolls by age, pwrite").pwrite().segment_age(TWO_SECONDS).mix(AGES, 24),
    Workload::new("opened again and again").levels(Levels::Mixed).mix(OPENS, 14),
    Workload::new("opened again and again, pwrite").pwrite().levels(Levels::Written).mix(OPENS, 14),
    large(Workload::new("opened again and again, rolls")).levels(Levels::Mixed).mix(OPENS, 20),
    large(Workload::new("opened again and again, no indexes")).indexes(Indexes::Missing).mix(OPENS, 20),
    large(Workload::new("opened again and again, damaged indexes")).indexes(Indexes::Damaged).mix(OPENS, 20),
    Workload::new("deleted from the front, one segment").levels(Levels::Mixed).mix(DELETES, 20),
    large(Workload::new("deleted from the front")).mix(DELETES, 24),
    large(Workload::new("deleted from the front, written, pwrite"))
        .pwrite()
        .levels(Levels::Written)
        .mix(DELETES, 24),
    large(Workload::new("kept by bytes"))
        .retention(Retention::Bytes(20_000))
        .levels(Levels::Mixed)
        .mix(STEADY, 30),
    large(Workload::new("kept by bytes, pwrite")).pwrite().retention(Retention::Bytes(1)).mix(STEADY, 24),
    large(Workload::new("kept by age"))
        .retention(Retention::Age(TWO_SECONDS))
        .levels(Levels::Mixed)
        .mix(AGES, 30),
    Workload::new("kept by age, small").retention(Retention::Age(TWO_SECONDS)).mix(AGES, 24),
    large(Workload::new("kept by age or bytes"))
        .retention(Retention::AgeOrBytes(TWO_SECONDS, 30_000))
        .levels(Levels::Written)
        .mix(AGES, 30),
    large(Workload::new("under a cap, oldest go"))
        .disk_bytes_max(CAP)
        .retention(Retention::Bytes(90_000))
        .mix(STEADY, 36),
    large(Workload::new("under a cap, full")).disk_bytes_max(CAP).levels(Levels::Mixed).mix(STEADY, 36),
    Workload::new("truncated").mix(CUTS, 16),
    large(Workload::new("truncated across segments")).levels(Levels::Mixed).mix(CUTS, 24),
    many(Workload::new("truncated inside batches, pwrite")).pwrite().levels(Levels::Mixed).mix(CUTS, 18),
    Workload::new("replica: epochs, offsets as given").levels(Levels::Mixed).mix(EPOCHS, 20),
    many(Workload::new("replica: epochs, many records, pwrite")).pwrite().mix(EPOCHS, 20),
    large(Workload::new("replica: epochs across segments")).levels(Levels::Mixed).mix(EPOCHS, 26),
    Workload::new("failed syncs").levels(Levels::Mixed).mix(FAILS, 14),
    large(Workload::new("failed syncs, rolls, pwrite")).pwrite().levels(Levels::Mixed).mix(FAILS, 16),
    Workload::new("everything").values(4, 2_500).batches(1, 2).levels(Levels::Mixed).mix(ALL, 30),
];
