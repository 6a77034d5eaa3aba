//! SEMANTICS 1 to 28, a module for each chapter, and what the handles promise besides.
//!
//! ```text
//!     reads ── visibility ── time ── segments      the numbered promises (docs/promises.md)
//!     producer                                     the same for what is sent
//!     handle ── follower                           waiting, waking, closing; reading beside a writer
//! ```
//!
//! Most run on the simulated disk, with manual maintenance and a clock that stands still: so nothing happens
//! but what the test does.

mod consumers;
mod follower;
mod handle;
mod producer;
mod reads;
mod segments;
mod time;
mod visibility;

use annals::clock::ManualClock;
use annals::io::SimDisk;
use annals::{
    Durability, Maintenance, Offset, Partition, PartitionOptions, ReadLevel, Reader, Record, Result,
    Timestamp,
};

/// What a segment may take in these tests.
const SEGMENT_BYTES: u64 = 16 << 10;
/// When these tests begin: some day in 2020.
const START: Timestamp = Timestamp::from_millis(1_600_000_000_000);

/// Small segments, due work done by hand.
fn options(clock: &ManualClock) -> PartitionOptions {
    Partition::options()
        .segment_bytes_max(SEGMENT_BYTES)
        .batch_bytes_max(8 << 10)
        .maintenance(Maintenance::Manual)
        .clock(clock.clone())
        .seed(7)
}

/// A new partition on a simulated disk.
fn sim() -> (SimDisk, ManualClock, Partition) {
    let (disk, clock) = (SimDisk::new(), ManualClock::new(START));
    let log = options(&clock).open_in(disk.root()).expect("an empty disk can be opened");
    (disk, clock, log)
}

/// Opens what is on `disk`.
fn reopen(disk: &SimDisk, clock: &ManualClock) -> Partition {
    options(clock).open_in(disk.root()).expect("what a crash left can be opened")
}

/// The value that these tests append as number `number`, `len` bytes long.
fn value(number: u64, len: usize) -> Vec<u8> {
    let mut value = number.to_string().into_bytes();
    value.resize(len.max(value.len()), b'.');
    value
}

/// Appends values with these numbers, one a batch, as durable as `level` says.
fn append(log: &Partition, level: Durability, numbers: std::ops::Range<u64>, len: usize) {
    for number in numbers {
        let appended =
            log.append_with(level, [Record::new(&value(number, len))]).wait().expect("there is room");
        assert_eq!(appended.base_offset().get(), number, "these tests count offsets and values alike");
    }
}

/// Offsets and values of all that `reader` shows.
fn drain(reader: &mut Reader) -> Result<Vec<(u64, Vec<u8>)>> {
    let mut found = Vec::new();
    for records in reader {
        found.extend(records?.iter().map(|record| (record.offset().get(), record.value().to_vec())));
    }
    Ok(found)
}

/// The offsets from `from` on that a reader at `level` sees.
fn offsets(log: &Partition, level: ReadLevel, from: u64) -> Vec<u64> {
    let found = drain(&mut log.read(at(from)).level(level)).expect("the log can be read");
    found.into_iter().map(|(offset, _)| offset).collect()
}

fn at(number: u64) -> Offset {
    Offset::new(number).expect("these tests stay far below the largest offset")
}
