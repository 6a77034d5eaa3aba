//! What happens to the log of commits between two steps of the book.

use super::*;
use crate::Maintenance;
use crate::group::Generation;
use crate::group::offsets::GroupFacts;
use crate::io::{FailedSync, Failure, Fault, Op, SimDisk};

/// A book in which one group is known, and its disk, which forgets what it could not sync.
fn book() -> (SimDisk, Partition, Book) {
    let disk = SimDisk::new();
    disk.set_failed_sync(FailedSync::CacheReverts);
    let options = Partition::options().maintenance(Maintenance::Manual);
    let log = options.open_in(disk.root()).expect("the disk is well");
    let mut book = Book::open(log.clone()).expect("it is empty");
    let facts = Some(GroupFacts { generation: Generation::NONE, empty_since: None });
    book.say(vec![Entry::Group { group: "billing".into(), facts }], Durability::Written)
        .map(drop)
        .expect("there is room");
    (disk, log, book)
}

/// Loses what is only written, once, and has the log begin anew.
fn lose_once<'a>(disk: &'a SimDisk, log: &'a Partition) -> impl FnMut() + 'a {
    let mut is_lost = false;
    move || {
        if !std::mem::replace(&mut is_lost, true) {
            disk.inject(Fault::new(Failure::Io).on(Op::Sync));
            log.flush().wait().expect_err("the sync fails");
            log.reopen().expect("the disk is well again");
        }
    }
}

/// What is in the log.
fn knows_billing(log: &Partition) -> bool {
    Book::open(log.clone()).expect("it can be read").ledger.facts("billing").is_some()
}

/// The log had nothing left to sync, and so the flush was done at once.
///
/// SEMANTICS 30
#[test]
fn a_reopen_between_a_word_and_its_flush_loses_nothing() {
    let (disk, log, mut book) = book();
    let flushed = book.flush_across(lose_once(&disk, &log)).expect("the disk is well again");
    flushed.wait().expect("the disk is well again");
    assert!(knows_billing(&log));
    assert_eq!(log.durable_offset(), log.log_end_offset());
}

/// The snapshot was lost, and what it was to replace was removed.
///
/// SEMANTICS 30
#[test]
fn a_reopen_between_a_snapshot_and_its_flush_loses_nothing() {
    let (disk, log, mut book) = book();
    book.flush().expect("there is room").wait().expect("the disk is well");
    let snapshot = book.append_snapshot_across(lose_once(&disk, &log)).expect("the disk is well again");
    let (base, flushed) = snapshot;
    flushed.wait().expect("the disk is well again");
    log.delete_records(base).expect("it is in the log");
    assert!(knows_billing(&log));
}
