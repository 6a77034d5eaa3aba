//! What polls return: all of it, in order, within limits, fairly.

use super::{at, drain, fill, manual, orders, seen, threaded};
use crate::wakers::Alarm;
use annals::{
    Consumer, ConsumerRecord, ConsumerRecords, ConsumerStream, ErrorKind, OwnedConsumerRecord, Record,
    RecordRef, StartAt, Timestamp, TopicOptions, TopicPartition, Wakeup,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

#[test]
fn a_consumer_may_be_sent_and_its_records_shared() {
    fn send<T: Send>() {}
    fn share<T: Clone + Send + Sync>() {}
    fn copy<T: Copy + Send + Sync>() {}
    fn send_now<T: Send>(_: T) {}
    let broker = threaded();
    send_now(broker.consumer().group("billing").subscribe(["orders"]).build().expect("it may").recv());
    send::<Consumer>();
    send::<ConsumerStream>();
    share::<Wakeup>();
    share::<ConsumerRecords>();
    share::<OwnedConsumerRecord>();
    copy::<ConsumerRecord<'_>>();
    copy::<RecordRef<'_>>();
}

#[test]
fn polls_return_each_record_once_and_in_order() {
    let (broker, _) = manual();
    let topic = orders(&broker, 3);
    for partition in 0..3 {
        fill(&topic, partition, 0..1_000, 7);
    }
    let names = [TopicPartition::new("orders", 2)];
    let mut consumer =
        broker.consumer().assign([(&topic, 0), (&topic, 1)]).assign(names).build().expect("it is there");
    let mut by_partition: BTreeMap<u32, Vec<(u64, String)>> = BTreeMap::new();
    for (partition, offset, value) in drain(&mut consumer) {
        by_partition.entry(partition).or_default().push((offset, value));
    }
    let expected: Vec<_> = (0..1_000).map(|number| (number, number.to_string())).collect();
    assert_eq!(by_partition.len(), 3);
    by_partition.values().for_each(|found| assert!(*found == expected));
    assert_eq!(consumer.position(("orders", 1)).expect("it is assigned"), at(1_000));
    fill(&topic, 1, 1_000..1_001, 1);
    assert_eq!(drain(&mut consumer), [(1, 1_000, "1000".to_owned())]);
}

#[test]
fn a_poll_stays_within_its_limits_but_returns_the_first_record_whatever_its_size() {
    let (broker, _) = manual();
    let topic = orders(&broker, 2);
    let log = topic.partition(0).expect("it is there");
    let sizes = [10_usize, 10, 500, 10, 10, 10];
    let values = sizes.map(|size| "x".repeat(size));
    log.append(values.iter().map(Record::new)).wait().expect("there is room");
    log.flush().wait().expect("memory does not fail");
    let mut consumer =
        broker.consumer().assign([(&topic, 0)]).poll_bytes_max(25).build().expect("it is there");
    let mut polls = Vec::new();
    loop {
        let records = consumer.poll(Duration::ZERO).expect("nothing is wrong");
        if records.is_empty() {
            break;
        }
        polls.push(records.iter().map(|record| record.value().len()).collect::<Vec<_>>());
    }
    assert_eq!(polls, [vec![10, 10], vec![500], vec![10, 10], vec![10]]);

    fill(&topic, 1, 0..1_000, 100);
    let options = broker.consumer().assign([(&topic, 1)]);
    let mut by_count = options.clone().poll_records_max(33).build().expect("it is there");
    let lens: Vec<usize> =
        (0..4).map(|_| by_count.poll(Duration::ZERO).expect("nothing is wrong").len()).collect();
    assert_eq!(lens, [33; 4]);
    assert_eq!(by_count.position((&topic, 1)).expect("it is assigned"), at(132));
    let mut by_bytes = options.clone().partition_bytes_max(9).build().expect("it is there");
    assert_eq!(by_bytes.poll(Duration::ZERO).expect("nothing is wrong").len(), 9);
    for refused in [
        options.clone().poll_records_max(0),
        options.clone().poll_bytes_max(0),
        options.partition_bytes_max(0),
    ] {
        assert_eq!(refused.build().expect_err("nothing gets through").kind(), ErrorKind::InvalidInput);
    }
}

/// A large record of one partition does not take a poll of others beyond its limit, and comes first in the next.
#[test]
fn a_record_that_does_not_fit_any_more_is_the_first_of_the_next_poll() {
    let (broker, _) = manual();
    let topic = orders(&broker, 2);
    for partition in 0..2 {
        let log = topic.partition(partition).expect("it is there");
        log.append([Record::new(&"x".repeat(600))]).wait().expect("there is room");
        log.flush().wait().expect("memory does not fail");
    }
    let options = broker.consumer().assign([(&topic, 0), (&topic, 1)]).poll_bytes_max(1_000);
    let mut consumer = options.build().expect("both are there");
    for partition in 0..2 {
        let records = consumer.poll(Duration::ZERO).expect("nothing is wrong");
        let places: Vec<u32> = records.iter().map(|record| record.partition()).collect();
        assert_eq!(places, [partition]);
    }
    assert!(consumer.poll(Duration::ZERO).expect("nothing is wrong").is_empty());
}

/// Ten partitions, one of which has a thousand times as much as the others: each poll has something of all.
#[test]
fn a_partition_with_much_takes_nothing_from_the_share_of_others() {
    let (broker, _) = manual();
    let topic = orders(&broker, 10);
    fill(&topic, 3, 0..20_000, 500);
    for partition in (0..10).filter(|partition| *partition != 3) {
        fill(&topic, partition, 0..200, 10);
    }
    let places = (0..10).map(|partition| (&topic, partition));
    let mut consumer = broker.consumer().assign(places).poll_records_max(100).build().expect("all are there");
    for poll in 0..20 {
        let records = consumer.poll(Duration::ZERO).expect("nothing is wrong");
        let mut counts = [0; 10];
        records.iter().for_each(|record| counts[record.partition() as usize] += 1);
        assert_eq!(counts, [10; 10], "poll {poll}");
    }
    // Then one is left, and has all of it.
    assert_eq!(consumer.poll(Duration::ZERO).expect("nothing is wrong").len(), 100);
    fill(&topic, 7, 200..201, 1);
    let records = consumer.poll(Duration::ZERO).expect("nothing is wrong");
    let late = records.iter().filter(|record| record.partition() == 7).count();
    assert_eq!((late, records.len() > 50), (1, true), "what comes late comes with the next poll");
}

#[test]
fn it_starts_and_seeks_where_it_is_told() {
    let (broker, clock) = manual();
    let topic = orders(&broker, 1);
    let log = topic.partition(0).expect("it is there");
    for number in 0..20_i64 {
        let time = Timestamp::from_millis(1_000 + number);
        log.append([Record::new(&number.to_string()).timestamp(time)]).wait().expect("there is room");
    }
    log.flush().wait().expect("memory does not fail");
    let _ = clock;
    let first = |start: StartAt| {
        let mut consumer =
            broker.consumer().assign([(&topic, 0)]).start_at(start).build().expect("it is there");
        drain(&mut consumer).first().map(|(_, offset, _)| *offset)
    };
    assert_eq!(first(StartAt::Earliest), Some(0));
    assert_eq!(first(StartAt::Latest), None);
    assert_eq!(first(at(7).into()), Some(7));
    assert_eq!(first(Timestamp::from_millis(1_012).into()), Some(12));
    assert_eq!(first(Timestamp::from_millis(9_000).into()), None);

    let mut consumer =
        broker.consumer().assign([("orders", 0)]).poll_records_max(5).build().expect("it is there");
    for (start, expected) in [
        (StartAt::Offset(at(11)), 11),
        (StartAt::Earliest, 0),
        (StartAt::Time(Timestamp::from_millis(1_019)), 19),
        (StartAt::Offset(at(3)), 3),
    ] {
        consumer.seek(("orders", 0), start).expect("it is assigned");
        assert_eq!(consumer.position(("orders", 0)).expect("it is assigned"), at(expected));
        let records = consumer.poll(Duration::ZERO).expect("nothing is wrong");
        assert_eq!(records.iter().next().map(|record| record.offset()), Some(at(expected)));
    }
    consumer.seek(("orders", 0), StartAt::Latest).expect("it is assigned");
    assert!(drain(&mut consumer).is_empty());
    fill(&topic, 0, 20..21, 1);
    assert_eq!(drain(&mut consumer).len(), 1);
}

#[test]
fn what_is_paused_rests_and_goes_on_where_it_was() {
    let (broker, _) = manual();
    let topic = orders(&broker, 2);
    fill(&topic, 0, 0..30, 10);
    fill(&topic, 1, 0..30, 10);
    let mut consumer = broker
        .consumer()
        .assign([(&topic, 0), (&topic, 1)])
        .poll_records_max(10)
        .build()
        .expect("both are there");
    assert_eq!(consumer.poll(Duration::ZERO).expect("nothing is wrong").len(), 10);
    consumer.pause((&topic, 0)).expect("it is assigned");
    assert!(drain(&mut consumer).iter().all(|(partition, ..)| *partition == 1));
    fill(&topic, 0, 30..40, 10);
    assert!(drain(&mut consumer).is_empty());
    let mut lag = consumer.lag().expect("nothing is wrong");
    lag.sort();
    assert_eq!(lag, [(TopicPartition::new("orders", 0), 35), (TopicPartition::new("orders", 1), 0)]);
    consumer.resume((&topic, 0)).expect("it is assigned");
    let offsets: Vec<u64> = drain(&mut consumer).iter().map(|(_, offset, _)| *offset).collect();
    assert_eq!(offsets, (5..40).collect::<Vec<_>>());

    let other = TopicPartition::new("orders", 9);
    for error in [
        consumer.pause(&other).expect_err("not assigned"),
        consumer.resume(&other).expect_err("not assigned"),
        consumer.seek(&other, StartAt::Latest).expect_err("not assigned"),
        consumer.position(&other).map(drop).expect_err("not assigned"),
        broker.consumer().assign([&other]).build().map(drop).expect_err("there is none"),
        broker.consumer().assign([("invoices", 0)]).build().map(drop).expect_err("there is none"),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    let twice = broker.consumer().assign([(&topic, 0), (&topic, 0)]).build().map(drop);
    assert_eq!(twice.expect_err("twice the same").kind(), ErrorKind::InvalidInput);
}

/// Records stay as they are when the consumer, the topic and the broker are gone.
#[test]
fn records_outlive_everything_they_came_from() {
    let broker = threaded();
    let topic = orders(&broker, 1);
    fill(&topic, 0, 0..10, 3);
    let mut consumer = broker.consumer().assign([(&topic, 0)]).build().expect("it is there");
    let records = consumer.poll(Duration::ZERO).expect("nothing is wrong");
    let before = seen(&records);
    let copy = records.clone();
    drop(consumer);
    broker.delete_topic("orders").expect("it is there");
    broker.close().expect("memory does not fail");
    assert_eq!(seen(&copy), before);
    let runs: usize = copy.runs().map(|(place, records)| (place.partition() as usize) + records.len()).sum();
    assert_eq!(runs, 10);
    let owned: Vec<OwnedConsumerRecord> = records.into_iter().collect();
    let moved = std::thread::spawn(move || owned.iter().map(|record| record.offset().get()).sum::<u64>());
    assert_eq!(moved.join().expect("it does not panic"), 45);
}

/// A `recv` that is dropped, however often, takes nothing with it.
#[test]
fn a_recv_that_is_dropped_loses_nothing() {
    let (broker, _) = manual();
    let topic = orders(&broker, 1);
    let mut consumer =
        broker.consumer().assign([(&topic, 0)]).poll_records_max(3).build().expect("it is there");
    let alarm = Arc::new(Alarm::default());
    let mut found = Vec::new();
    for number in 0..50 {
        assert!(alarm.poll(&mut Box::pin(consumer.recv())).is_pending());
        fill(&topic, 0, number * 2..number * 2 + 2, 1);
        drop(Box::pin(consumer.recv()));
        match alarm.poll(&mut Box::pin(consumer.recv())) {
            Poll::Ready(records) => found.extend(seen(&records.expect("nothing is wrong"))),
            Poll::Pending => panic!("there are records"),
        }
    }
    let offsets: Vec<u64> = found.iter().map(|(_, offset, _)| *offset).collect();
    assert_eq!(offsets, (0..100).collect::<Vec<_>>());
}

/// A stream yields what polls would, and ends when the broker is closed.
#[test]
fn a_stream_is_its_polls_and_ends_with_the_broker() {
    use futures_core::Stream;
    struct Next<'s>(&'s mut ConsumerStream);
    impl Future for Next<'_> {
        type Output = Option<annals::Result<ConsumerRecords>>;
        fn poll(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> Poll<Self::Output> {
            std::pin::Pin::new(&mut *self.0).poll_next(context)
        }
    }
    let (broker, _) = manual();
    let topic = orders(&broker, 1);
    fill(&topic, 0, 0..4, 1);
    let consumer = broker.consumer().assign([(&topic, 0)]).poll_records_max(2).build().expect("it is there");
    let wakeup = consumer.wakeup();
    let mut stream = consumer.into_stream();
    let alarm = Arc::new(Alarm::default());
    let next = |stream: &mut ConsumerStream| alarm.poll(&mut Next(stream));
    let lens = |item: Poll<Option<annals::Result<ConsumerRecords>>>| match item {
        Poll::Ready(Some(Ok(records))) => Some(records.len()),
        _ => None,
    };
    assert_eq!(lens(next(&mut stream)), Some(2));
    assert_eq!(stream.consumer().position(("orders", 0)).expect("it is assigned"), at(2));
    stream.consumer_mut().seek((&topic, 0), StartAt::Earliest).expect("it is assigned");
    assert_eq!([lens(next(&mut stream)), lens(next(&mut stream))], [Some(2); 2]);
    assert!(next(&mut stream).is_pending());
    wakeup.wake();
    assert_eq!(lens(next(&mut stream)), Some(0));
    assert!(next(&mut stream).is_pending());
    broker.close().expect("memory does not fail");
    match next(&mut stream) {
        Poll::Ready(Some(Err(error))) => assert_eq!(error.kind(), ErrorKind::Closed),
        _ => panic!("the broker was closed"),
    }
    assert!(matches!(next(&mut stream), Poll::Ready(None)));
    assert_eq!(stream.into_consumer().position(("orders", 0)).expect("it is assigned"), at(4));
}

/// A consumer does not keep the broker open, and one without partitions waits no longer than it was told.
#[test]
fn a_consumer_does_not_keep_the_broker_open() {
    let broker = threaded();
    let topic = broker.create_topic("orders", TopicOptions::new()).expect("a new topic");
    let mut consumer = broker.consumer().assign([(&topic, 0)]).build().expect("it is there");
    let idle = broker.consumer().group("billing").subscribe(["no such topic"]);
    let mut idle = idle.build().expect("anybody may join");
    assert!(idle.poll(Duration::from_millis(1)).expect("nothing is wrong").is_empty());
    drop(broker);
    assert_eq!(consumer.poll(Duration::MAX).expect_err("it is gone").kind(), ErrorKind::Closed);
}
