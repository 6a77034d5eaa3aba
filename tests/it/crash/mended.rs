//! What the crash suites found, each as a test of its own.

use super::history::offset;
use super::workload::clock;
use annals::io::{Failure, Fault, Op, SimDisk};
use annals::{
    Batch, BatchLimits, Durability, ErrorKind, Maintenance, Partition, PartitionOptions, Record, Timestamp,
};

fn options(seed: u64) -> PartitionOptions {
    Partition::options()
        .maintenance(Maintenance::Manual)
        .clock(clock())
        .seed(seed)
        .segment_bytes_max(16 << 10)
        .batch_bytes_max(6 << 10)
}

fn open(disk: &SimDisk, seed: u64) -> Partition {
    options(seed).open_in(disk.root()).expect("nothing is wrong with it")
}

fn append(log: &Partition, level: Durability, value: &[u8]) {
    log.append_with(level, [Record::new(value)]).wait().expect("the disk is well");
}

fn batch_of(log: &Partition, epoch: u32, len: usize) -> Batch {
    let limits = BatchLimits::new(6 << 10).expect("the limit is within its bounds");
    let batch = Batch::from_records([Record::new(&vec![7; len])], Timestamp::from_millis(0), limits);
    let batch = batch.expect("it is small").with_base_offset(log.log_end_offset()).expect("the log is short");
    batch.with_leader_epoch(epoch)
}

/// Appends at `epoch` until the log has rolled once more.
fn roll(log: &Partition, epoch: u32) {
    let before = log.segments().len();
    while log.segments().len() == before {
        log.append_batch(&batch_of(log, epoch, 4_000)).wait().expect("the disk is well");
    }
}

/// Sealing a segment noted the epoch of the end of the next one as that of its beginning. When the epoch had
/// risen in between, the next open took the batches at the beginning for damage.
#[test]
fn an_epoch_that_rises_before_the_segment_before_is_sealed_is_no_damage() {
    let disk = SimDisk::new();
    let log = open(&disk, 1);
    roll(&log, 0);
    log.append_batch(&batch_of(&log, 5, 10)).wait().expect("the disk is well");
    log.maintain().expect("the disk is well");
    let end = log.log_end_offset();
    let again = open(&disk.kill(), 2);
    assert_eq!(again.log_end_offset(), end);
}

/// A cut where a segment begins fell back to epoch 0.
#[test]
fn a_cut_between_two_segments_keeps_the_leader_epoch() {
    let disk = SimDisk::new();
    let log = open(&disk, 1);
    roll(&log, 3);
    let second = log.segments()[1].first_offset();
    assert_eq!(log.truncate(second).expect("the disk is well"), second);
    let refused = log.append_batch(&batch_of(&log, 2, 10)).wait();
    assert_eq!(refused.expect_err("epoch 2 is over").kind(), ErrorKind::Fenced);
}

/// A truncation whose last sync failed stood in the manifest; the reopen missed what it had taken back, which
/// the partition knew to have been durable, and refused to open.
#[test]
fn a_truncation_that_failed_can_be_reopened() {
    for passes in 0..6 {
        let disk = SimDisk::new();
        let log = open(&disk, 1);
        append(&log, Durability::Durable, b"stays");
        append(&log, Durability::Durable, b"goes, perhaps");
        disk.inject(Fault::new(Failure::Io).on(Op::Sync).after(passes));
        let truncated = log.truncate(offset(1));
        disk.clear_faults();
        log.reopen().expect("a failed truncation is no damage");
        let end = log.log_end_offset().get();
        assert!(if truncated.is_ok() { end == 1 } else { end == 1 || end == 2 }, "{truncated:?} {end}");
        append(&log, Durability::Durable, b"more");
    }
}

/// The file of a next segment whose name could not be synced stayed, and no later roll could make one.
#[test]
fn a_roll_goes_on_after_the_sync_of_a_name_failed() {
    let disk = SimDisk::new();
    let log = open(&disk, 1);
    append(&log, Durability::Durable, b"the manifest is confirmed by now");
    disk.inject(Fault::new(Failure::Io).on(Op::SyncDir));
    let mut failed = 0;
    for _ in 0..12 {
        failed +=
            usize::from(log.append_with(Durability::Durable, [Record::new(&[1; 4_000])]).wait().is_err());
        log.reopen().expect("the disk is well again");
    }
    assert_eq!(failed, 1);
    assert!(log.segments().len() > 2);
}
