//! Visibility and durability: SEMANTICS 9 to 11.

use super::{START, append, at, drain, offsets, options, reopen, sim, value};
use crate::wakers::{Alarm, PATIENCE};
use annals::clock::ManualClock;
use annals::io::{EntryOrder, Op, PowerCuts, SimDisk};
use annals::{Durability, Maintenance, Partition, ReadLevel, Record};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// SEMANTICS 9
#[test]
fn a_reader_sees_nothing_beyond_its_level() {
    let (_, _, log) = sim();
    let mut slow = log.read(at(0));
    for round in 0..40 {
        let (from, to) = (round * 5, round * 5 + 5);
        append(&log, Durability::Written, from..to, 300);
        let seen = log.durable_offset().get();
        assert_eq!(offsets(&log, ReadLevel::Durable, 0), (0..seen).collect::<Vec<_>>());
        assert_eq!(offsets(&log, ReadLevel::Written, 0), (0..to).collect::<Vec<_>>());
        drain(&mut slow).expect("it can be read");
        assert_eq!(slow.position().get(), seen);
        if round % 3 == 2 {
            log.flush().wait().expect("the disk syncs");
            assert_eq!(log.durable_offset().get(), to);
            assert_eq!(offsets(&log, ReadLevel::Durable, 0), (0..to).collect::<Vec<_>>());
        }
    }
}

/// SEMANTICS 9
#[test]
fn what_a_durable_reader_saw_is_never_lost_nor_replaced() {
    let clock = ManualClock::new(START);
    let mut rng = fastrand::Rng::with_seed(9);
    for case in 0..20 {
        let mut disk = SimDisk::new();
        let mut seen: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for life in 0..4 {
            let log = reopen(&disk, &clock);
            for number in 0..rng.u64(1..30) {
                let payload = format!("{case} {life} {number} {}", "x".repeat(rng.usize(..600)));
                let level = if rng.u8(..4) == 0 { Durability::Durable } else { Durability::Written };
                log.append_with(level, [Record::new(&payload)]).wait().expect("there is room");
                for (offset, value) in drain(&mut log.read(at(0))).expect("it can be read") {
                    let before = seen.entry(offset).or_insert_with(|| value.clone());
                    assert_eq!(*before, value, "offset {offset} showed two payloads");
                }
            }
            let image = disk.power_cuts(&PowerCuts::new(rng.u64(..)).samples(3)).last();
            disk = image.expect("a power cut leaves something");
            let log = reopen(&disk.kill(), &clock);
            let left: BTreeMap<_, _> =
                drain(&mut log.read(at(0))).expect("it can be read").into_iter().collect();
            for (offset, value) in &seen {
                assert_eq!(left.get(offset), Some(value), "offset {offset} was seen, and is lost");
            }
        }
    }
}

/// SEMANTICS 10
#[test]
fn a_power_cut_spares_new_segments_and_the_manifest() {
    let (disk, clock, log) = sim();
    let images = |disk: &SimDisk, end: u64| {
        let cuts = PowerCuts::new(10).entries(EntryOrder::AnySubset).exhaustive_max(6).samples(16).torn(2);
        for image in disk.power_cuts(&cuts) {
            let log = reopen(&image, &clock);
            let found = drain(&mut log.read(at(0))).expect("it can be read");
            let expected: Vec<_> = (0..end).map(|number| (number, value(number, 900))).collect();
            assert!(found == expected, "{} of {end} records were spared", found.len());
        }
    };
    images(&disk, 0);
    for number in 0..60 {
        append(&log, Durability::Durable, number..number + 1, 900);
        images(&disk, number + 1);
        log.maintain().expect("nothing fails");
        images(&disk, number + 1);
    }
    assert!(log.segments().len() > 3);
}

/// SEMANTICS 11
#[test]
fn an_acknowledgement_names_the_level_it_reached() {
    let (disk, clock, log) = sim();
    let syncs = || disk.counts().of(Op::Sync);
    let before = syncs();
    let written = log.append_with(Durability::Written, [Record::new("a")]).wait().expect("there is room");
    assert_eq!((written.durability(), syncs() - before), (Durability::Written, 0));
    let pending = log.append_with(Durability::Durable, [Record::new("b")]);
    assert_eq!(syncs(), before, "nobody waits yet");
    let durable = pending.wait().expect("there is room");
    assert_eq!((durable.durability(), syncs() - before), (Durability::Durable, 1));
    append(&log, Durability::Written, 2..3, 1);
    let log = reopen(&disk.power_cut(|_| annals::io::Fate::Lost), &clock);
    assert_eq!(log.log_end_offset(), durable.next_offset(), "what was only written is gone");
}

/// SEMANTICS 11
#[test]
fn a_time_out_is_not_a_failure() {
    let clock = ManualClock::new(START);
    let disk = SimDisk::new();
    let log = options(&clock).maintenance(Maintenance::Threads).open_in(disk.root()).expect("an empty disk");
    disk.set_latency(Op::Sync, Duration::from_millis(300));
    let mut receipt = log.append([Record::new("a")]);
    assert!(
        receipt.wait_for(Duration::from_millis(5)).expect("no failure").is_none(),
        "the sync takes longer"
    );
    let appended = receipt.wait().expect("and it succeeds");
    assert_eq!(appended.base_offset().get(), 0);
    assert_eq!(offsets(&log, ReadLevel::Durable, 0), [0]);
    let mut receipt = log.append([Record::new("b")]);
    assert!(receipt.wait_for(Duration::ZERO).expect("no failure").is_none());
    drop(receipt);
    let done = log.wait_past(at(1)).wait_for(PATIENCE).expect("no failure");
    assert!(done.is_some(), "what nobody waits for any more is done all the same");
}

/// SEMANTICS 11
#[test]
fn a_durable_reader_behind_a_written_producer_is_served() {
    // The clock stands still: no timer brings about a sync, the waiter has to.
    let clock = ManualClock::new(START);
    let open = |maintenance| {
        options(&clock).maintenance(maintenance).open_in(SimDisk::new().root()).expect("an empty disk")
    };
    let log = open(Maintenance::Threads);
    for offset in 0..50 {
        let producer = log.clone();
        let waiter = std::thread::spawn({
            let log = log.clone();
            move || log.wait_past_at(ReadLevel::Durable, at(offset)).wait_for(PATIENCE)
        });
        append(&producer, Durability::Written, offset..offset + 1, 10);
        let served = waiter.join().expect("it does not panic").expect("no failure");
        assert!(served.is_some(), "the reader of offset {offset} was not served");
        assert!(offsets(&log, ReadLevel::Durable, 0).len() as u64 > offset);
    }
    served_by_hand(&open(Maintenance::Manual));
}

fn served_by_hand(log: &Partition) {
    let alarm = Arc::new(Alarm::default());
    let mut reader = log.wait_past_at(ReadLevel::Durable, at(0));
    assert!(alarm.poll(&mut reader).is_pending());
    append(log, Durability::Written, 0..1, 10);
    assert!(alarm.rang(), "the record is there to be synced");
    let alarm = Arc::new(Alarm::default());
    assert!(alarm.poll(&mut reader).is_pending(), "written is not durable");
    log.maintain().expect("nothing fails");
    assert!(alarm.rang());
    assert!(matches!(alarm.poll(&mut reader), Poll::Ready(Ok(()))));
    assert_eq!(log.durable_offset().get(), 1);
}
