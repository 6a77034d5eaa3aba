//! Positions that are not in the log, and errors that go by.

use super::{at, drain, fill, manual, orders, seen, threaded};
use crate::wakers::{Alarm, PATIENCE};
use annals::io::{Failure, Fault, Op, SimDisk};
use annals::{
    Broker, Durability, ErrorKind, Maintenance, OnDamage, ReadLevel, Record, Reset, StartAt, TopicOptions,
};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// SEMANTICS 37: below the log start the reset policy applies, and its default is the first record there is.
#[test]
fn a_position_whose_record_was_deleted_is_reset() {
    let (broker, _) = manual();
    let topic = orders(&broker, 2);
    fill(&topic, 0, 0..20, 1);
    fill(&topic, 1, 0..5, 1);
    let log = topic.partition(0).expect("it is there");
    let options = broker.consumer().assign([(&topic, 0)]).start_at(at(2));
    let consumer = |reset| options.clone().reset_below_start(reset).build().expect("it is there");
    let mut by_default = options.clone().build().expect("it is there");
    let mut latest = consumer(Reset::To(StartAt::Latest));
    let mut to_nowhere = consumer(Reset::To(at(1).into()));
    let mut failing = broker
        .consumer()
        .assign([(&topic, 0), (&topic, 1)])
        .start_at(at(2))
        .reset_below_start(Reset::Fail)
        .build()
        .expect("both are there");
    log.delete_records(at(10)).expect("they are there");
    let first = drain(&mut by_default).first().map(|(_, offset, _)| *offset);
    assert_eq!(first, Some(10));
    assert!(drain(&mut latest).is_empty());
    assert_eq!(latest.position((&topic, 0)).expect("it is assigned"), at(20));
    let error = to_nowhere.poll(Duration::ZERO).expect_err("1 is deleted as well");
    assert_eq!(error.kind(), ErrorKind::OutOfRange);

    // The other partition goes on, and the error says which it is about, again and again.
    assert_eq!(failing.poll(Duration::ZERO).expect("partition 1 has records").len(), 3);
    for _ in 0..3 {
        let error = failing.poll(Duration::ZERO).expect_err("its records are gone");
        assert_eq!((error.kind(), error.topic_partition()), (ErrorKind::OutOfRange, Some(("orders", 0))));
        assert!(error.to_string().starts_with("orders-0: "), "{error}");
    }
    failing.seek((&topic, 0), at(15)).expect("it is assigned");
    assert_eq!(drain(&mut failing).len(), 5);
}

/// SEMANTICS 37: beyond the log end is another matter, and an error by default.
#[test]
fn a_position_beyond_the_end_is_an_error_by_default() {
    let (broker, _) = manual();
    let topic = orders(&broker, 1);
    fill(&topic, 0, 0..20, 1);
    let options = broker.consumer().assign([(&topic, 0)]).start_at(at(21));
    let mut failing = options.clone().build().expect("it is there");
    let error = failing.poll(Duration::MAX).expect_err("there is no 21");
    assert_eq!(error.kind(), ErrorKind::OutOfRange);
    let mut reset = options.reset_beyond_end(Reset::To(at(18).into())).build().expect("it is there");
    assert_eq!(drain(&mut reset).len(), 2);
}

/// SEMANTICS 37: an error about a position that moved meanwhile is ignored.
#[test]
fn an_error_about_a_position_that_moved_is_ignored() {
    let (broker, _) = manual();
    let topic = orders(&broker, 2);
    fill(&topic, 0, 0..5, 1);
    fill(&topic, 1, 0..5, 1);
    let mut consumer = broker.consumer().assign([(&topic, 0), (&topic, 1)]).build().expect("both are there");
    consumer.seek((&topic, 0), at(99)).expect("it is assigned");
    // Partition 1 has records: what is wrong with partition 0 is kept for the next poll, and then it is not wrong.
    assert_eq!(consumer.poll(Duration::ZERO).expect("partition 1 has records").len(), 5);
    consumer.seek((&topic, 0), at(3)).expect("it is assigned");
    assert_eq!(consumer.poll(Duration::ZERO).expect("nothing is wrong any more").len(), 2);
}

/// A log that was cut below a consumer, and has grown back since, is not read on as if nothing had happened.
#[test]
fn a_cut_is_noticed_even_when_the_log_has_grown_back() {
    for (position, expected) in [(10, None), (6, Some(vec!["6", "7", "80", "81", "82", "83", "84"]))] {
        let (broker, _) = manual();
        let topic = orders(&broker, 1);
        fill(&topic, 0, 0..20, 1);
        let mut consumer = broker
            .consumer()
            .assign([(&topic, 0)])
            .read_level(ReadLevel::Written)
            .poll_records_max(position)
            .build()
            .expect("it is there");
        assert_eq!(consumer.poll(Duration::ZERO).expect("nothing is wrong").len(), position);
        let log = topic.partition(0).expect("it is there");
        assert_eq!(log.truncate(at(8)).expect("it is in the log"), at(8));
        fill(&topic, 0, 80..85, 1);
        match expected {
            None => {
                for _ in 0..2 {
                    let error = consumer.poll(Duration::ZERO).expect_err("what it read was taken back");
                    assert_eq!(error.kind(), ErrorKind::OutOfRange);
                }
                consumer.seek((&topic, 0), at(8)).expect("it is assigned");
                assert_eq!(drain(&mut consumer).len(), 5);
            }
            Some(values) => {
                let found: Vec<String> = drain(&mut consumer).into_iter().map(|(.., value)| value).collect();
                assert_eq!(found, values, "what was read ahead was taken back");
            }
        }
    }
}

/// SEMANTICS 37 and SEMANTICS 40: who waits at the end of a log that is cut hears of it, whatever is appended then.
/// It does not wait until the log has passed the place where it was.
#[test]
fn a_sleeper_hears_that_the_log_was_cut() {
    let levels = [ReadLevel::Written, ReadLevel::Durable];
    let cases = levels.into_iter().flat_map(|level| [0, 3, 5, 8].map(|grown| (level, grown)));
    for (level, grown) in cases {
        let (broker, _) = manual();
        let topic = orders(&broker, 1);
        fill(&topic, 0, 0..10, 1);
        let options = broker.consumer().assign([(&topic, 0)]).read_level(level);
        let mut failing = options.clone().build().expect("it is there");
        let mut reset = options.reset_beyond_end(Reset::To(at(4).into())).build().expect("it is there");
        assert_eq!((drain(&mut failing).len(), drain(&mut reset).len()), (10, 10));
        let alarm = Arc::new(Alarm::default());
        let mut waiting = Box::pin(reset.recv());
        assert!(alarm.poll(&mut waiting).is_pending());
        let log = topic.partition(0).expect("it is there");
        assert_eq!(log.truncate(at(5)).expect("it is in the log"), at(5));
        assert!(alarm.rang(), "where it waits is not in the log any more");
        fill(&topic, 0, 80..80 + grown, 1);
        for _ in 0..2 {
            let error = failing.poll(Duration::ZERO).expect_err("what it read was taken back");
            assert_eq!(error.kind(), ErrorKind::OutOfRange, "{level:?} {grown}");
        }
        let Poll::Ready(Ok(first)) = alarm.poll(&mut waiting) else { panic!("it goes on at 4") };
        drop(waiting);
        assert_eq!(first.len() + drain(&mut reset).len(), 1 + usize::try_from(grown).expect("a few"));
    }
}

/// SEMANTICS 37 and SEMANTICS 40: so does who has read nothing of it, since he began at its end, be that by a look
/// (`polls`) or by name, and however the partition came to be open or at rest there.
#[test]
fn a_sleeper_that_has_read_nothing_hears_that_the_log_was_cut() {
    let latest = StartAt::Latest;
    for (start, polls, rests) in
        [(latest, true, false), (latest, false, false), (at(10).into(), true, false), (latest, true, true)]
    {
        for grown in [0, 5, 8] {
            let (broker, clock) = manual();
            let topic = orders(&broker, 1);
            fill(&topic, 0, 0..10, 1);
            for _ in 0..2 * u32::from(rests) {
                clock.advance(Duration::from_secs(60));
                broker.maintain().expect("nothing fails");
            }
            assert_eq!(broker.stats().open_count == 0, rests);
            let mut consumer =
                broker.consumer().assign([(&topic, 0)]).start_at(start).build().expect("it is there");
            if polls {
                assert!(consumer.poll(Duration::ZERO).expect("it is at the end").is_empty());
            }
            let log = topic.partition(0).expect("it is there");
            assert_eq!(log.truncate(at(5)).expect("it is in the log"), at(5));
            fill(&topic, 0, 80..80 + grown, 1);
            for _ in 0..2 {
                let polled = consumer.poll(Duration::ZERO).map(|records| seen(&records));
                let error = polled.expect_err("where it waits was cut off");
                assert_eq!(error.kind(), ErrorKind::OutOfRange, "{start:?} {polls} {rests} {grown}");
            }
            consumer.seek((&topic, 0), at(5)).expect("it is assigned");
            assert_eq!(drain(&mut consumer).len() as u64, grown);
        }
    }
}

/// SEMANTICS 37: nor is it missed where a partition was closed by hand, and opened again, while somebody holds on to
/// what it was before.
#[test]
fn a_cut_is_noticed_by_a_sleeper_whose_partition_was_closed_by_hand() {
    for grown in [5, 8] {
        let (broker, _) = manual();
        let topic = orders(&broker, 1);
        fill(&topic, 0, 0..10, 1);
        let mut consumer = broker.consumer().assign([(&topic, 0)]).build().expect("it is there");
        assert_eq!(drain(&mut consumer).len(), 10);
        let before = topic.partition(0).expect("it is there");
        before.close().expect("nothing fails");
        assert!(drain(&mut consumer).is_empty());
        let log = topic.partition(0).expect("it is there");
        assert_eq!(log.truncate(at(5)).expect("it is in the log"), at(5));
        fill(&topic, 0, 80..80 + grown, 1);
        let error = consumer.poll(Duration::ZERO).expect_err("what it read was taken back");
        assert_eq!(error.kind(), ErrorKind::OutOfRange);
        drop(before);
    }
}

/// The same of one that is blocked in its poll.
#[test]
fn a_poll_that_is_blocked_ends_when_the_log_is_cut() {
    let broker = threaded();
    let topic = orders(&broker, 1);
    fill(&topic, 0, 0..10, 1);
    let mut consumer = broker.consumer().assign([(&topic, 0)]).build().expect("it is there");
    assert_eq!(drain(&mut consumer).len(), 10);
    let thread = std::thread::spawn(move || consumer.poll(PATIENCE).map(|records| records.len()));
    std::thread::sleep(Duration::from_millis(20));
    topic.partition(0).and_then(|log| log.truncate(at(5))).expect("it is in the log");
    let error = thread.join().expect("it does not panic").expect_err("what it read was taken back");
    assert_eq!(error.kind(), ErrorKind::OutOfRange);
}

/// SEMANTICS 37: so it is where a reopen finds less than there was: a truncation stood in the manifest, and was not
/// known to.
#[test]
fn a_sleeper_hears_that_a_reopen_found_less() {
    let mut found_less = 0;
    for passes in 0..6 {
        let disk = SimDisk::new();
        let options = Broker::options().maintenance(Maintenance::Manual).seed(1);
        let broker = options.open_in(disk.root()).expect("an empty disk");
        let topic = orders(&broker, 1);
        fill(&topic, 0, 0..10, 1);
        let mut consumer = broker.consumer().assign([(&topic, 0)]).build().expect("it is there");
        assert_eq!(drain(&mut consumer).len(), 10);
        let log = topic.partition(0).expect("it is there");
        disk.inject(Fault::new(Failure::Io).on(Op::Sync).within("orders/").after(passes));
        let truncated = log.truncate(at(5));
        disk.clear_faults();
        // It hears of the cut that failed, and sleeps on.
        let alarm = Arc::new(Alarm::default());
        let mut waiting = Box::pin(consumer.recv());
        if truncated.is_ok() || alarm.poll(&mut waiting).is_ready() {
            continue;
        }
        log.reopen().expect("a failed truncation is no damage");
        if log.log_end_offset() == at(10) {
            continue;
        }
        found_less += 1;
        assert!(alarm.rang(), "{passes}");
        fill(&topic, 0, 80..83, 1);
        let Poll::Ready(Err(error)) = alarm.poll(&mut waiting) else { panic!("{passes}: it sleeps on") };
        assert_eq!(error.kind(), ErrorKind::OutOfRange);
    }
    assert!(found_less > 0, "no truncation stood in the manifest and was not known to");
}

/// A cut behind what was read is nothing to somebody who has read less, however far he reads on then.
#[test]
fn a_cut_beyond_what_was_read_is_not_held_against_what_is_read_later() {
    let (broker, _) = manual();
    let options = TopicOptions::new().segment_bytes_max(1 << 20);
    let topic = broker.create_topic("orders", options).expect("a new topic");
    let log = topic.partition(0).expect("it is there");
    // More than a reader reads at once.
    let append = |count: usize| {
        for _ in 0..count {
            log.append([Record::new(&[7; 60_000])]).wait().expect("there is room");
        }
    };
    append(40);
    let mut consumer =
        broker.consumer().assign([(&topic, 0)]).poll_records_max(1).build().expect("it is there");
    for _ in 0..3 {
        assert_eq!(consumer.poll(Duration::ZERO).expect("nothing is wrong").len(), 1);
    }
    // Between two segments, so that a reader goes on from the one to the other.
    let cut = log.segments()[1].first_offset();
    assert_eq!(log.truncate(cut).expect("it is in the log"), cut);
    append(20);
    assert_eq!(drain(&mut consumer).len() as u64, cut.get() + 20 - 3);
}

/// SEMANTICS 37: nor is it missed by one whose partition was put to rest since it read the last record.
#[test]
fn a_cut_is_noticed_by_a_sleeper_whose_partition_had_come_to_rest() {
    for (looks, grown) in [(false, 5), (false, 8), (true, 5), (true, 8)] {
        let (broker, clock) = manual();
        let topic = orders(&broker, 1);
        fill(&topic, 0, 0..10, 1);
        let mut consumer = broker.consumer().assign([(&topic, 0)]).build().expect("it is there");
        assert_eq!(drain(&mut consumer).len(), 10);
        for _ in 0..2 {
            clock.advance(Duration::from_secs(60));
            broker.maintain().expect("nothing fails");
        }
        assert_eq!(broker.stats().open_count, 0);
        let log = topic.partition(0).expect("it is there");
        if looks {
            assert!(drain(&mut consumer).is_empty());
        }
        assert_eq!(log.truncate(at(5)).expect("it is in the log"), at(5));
        fill(&topic, 0, 80..80 + grown, 1);
        for _ in 0..2 {
            let error = consumer.poll(Duration::ZERO).expect_err("what it read was taken back");
            assert_eq!(error.kind(), ErrorKind::OutOfRange);
        }
        consumer.seek((&topic, 0), at(5)).expect("it is assigned");
        assert_eq!(drain(&mut consumer).len() as u64, grown);
    }
}

/// What was lost to damage is told once, with the offsets and the partition, and the next poll goes on behind it.
/// A partition that is refused is said to be, and the others go on.
#[test]
fn damage_is_told_and_what_is_behind_it_comes_next() {
    let disk = SimDisk::new();
    let open = |disk: &SimDisk, on_damage| {
        let options = Broker::options().maintenance(Maintenance::Manual).seed(1).on_damage(on_damage);
        options.open_in(disk.root()).expect("one bad partition does not keep a broker closed")
    };
    let broker = open(&disk, OnDamage::Refuse);
    let options = TopicOptions::new().partitions(2).segment_bytes_max(16 << 10);
    let topic = broker.create_topic("orders", options).expect("a new topic");
    fill(&topic, 0, 0..600, 20);
    fill(&topic, 1, 0..5, 1);
    broker.close().expect("this disk is well");
    let segments =
        disk.files().into_iter().filter(|file| file.starts_with("orders/0/") && file.ends_with(".log"));
    let segment = segments.min().expect("it has one");
    // In the second or third batch of the log.
    disk.flip_bit(&segment, (4_096 + 700) * 8).expect("it is there");

    let broker = open(&disk.kill(), OnDamage::Refuse);
    let places = [("orders", 0), ("orders", 1)];
    let mut consumer = broker.consumer().assign(places).start_at(at(0)).build().expect("both are there");
    let (mut told, mut found) = (0, 0);
    for _ in 0..8 {
        match consumer.poll(Duration::ZERO) {
            Ok(records) => found += records.iter().filter(|record| record.partition() == 1).count(),
            Err(error) => {
                assert_eq!(
                    (error.kind(), error.topic_partition()),
                    (ErrorKind::Corrupt, Some(("orders", 0)))
                );
                told += 1;
            }
        }
    }
    assert!(told > 1 && found == 5, "told {told} times, {found} records of the other partition");

    let broker = open(&disk.kill(), OnDamage::Salvage);
    let mut consumer =
        broker.consumer().assign([("orders", 0)]).start_at(at(0)).build().expect("it is there");
    let (mut lost, mut next) = (Vec::new(), 0);
    while next < 600 {
        match consumer.poll(Duration::ZERO) {
            Ok(records) => {
                assert!(!records.is_empty(), "there are 600");
                for record in &records {
                    assert_eq!(record.offset().get(), next);
                    next += 1;
                }
            }
            Err(error) => {
                let range = error.lost_range().expect("it says which are lost");
                assert_eq!((error.topic_partition(), range.start), (Some(("orders", 0)), at(next)));
                next = range.end.get();
                assert_eq!(consumer.position(("orders", 0)).expect("it is assigned"), at(next));
                lost.push(range);
            }
        }
    }
    assert_eq!(lost.len(), 1, "{lost:?}");
}

/// SEMANTICS 9: a consumer sees nothing beyond its level, not even when what is there cannot become durable; and it
/// is told.
#[test]
fn a_consumer_sees_nothing_beyond_its_level() {
    let disk = SimDisk::new();
    let options = Broker::options().maintenance(Maintenance::Manual).seed(1);
    let broker = options.open_in(disk.root()).expect("an empty disk");
    let topic = broker.create_topic("orders", TopicOptions::new()).expect("a new topic");
    fill(&topic, 0, 0..3, 1);
    let consumer =
        |level| broker.consumer().assign([(&topic, 0)]).read_level(level).build().expect("it is there");
    let (mut durable, mut written) = (consumer(ReadLevel::Durable), consumer(ReadLevel::Written));
    assert_eq!((drain(&mut durable).len(), drain(&mut written).len()), (3, 3));
    disk.inject(Fault::new(Failure::Io).on(Op::Sync).within("orders/").for_ever());
    let log = topic.partition(0).expect("it is there");
    log.append_with(Durability::Written, [Record::new("3")]).wait().expect("there is room");
    assert_eq!(drain(&mut written).len(), 1);
    for _ in 0..3 {
        let error = durable.poll(Duration::ZERO).expect_err("it cannot be synced");
        assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Poisoned), "{error}");
    }
    assert_eq!(durable.position((&topic, 0)).expect("it is assigned"), at(3));
    disk.clear_faults();
    log.reopen().expect("the disk is well again");
    // What was not durable may be gone; what is there now is.
    assert!(drain(&mut durable).len() <= 1);
    assert_eq!(durable.position((&topic, 0)).expect("it is assigned"), log.durable_offset());
}
