//! Positions that are not in the log, and errors that go by.

use super::{at, drain, fill, manual, orders};
use annals::{ErrorKind, ReadLevel, Reset, StartAt};
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
