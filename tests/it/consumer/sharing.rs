//! Groups at work in threads: members come, go, die and sleep while records come in, and nothing is left undone.

use super::threaded;
use crate::figure;
use crate::proof::{Count, Rate, Seed, Size};
use crate::wakers::PATIENCE;
use annals::{Broker, Consumer, ErrorKind, Record, SendDurability, StartAt, TopicOptions};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PARTITIONS: u32 = 6;

/// How often each record was handled.
type Handled = Arc<Mutex<BTreeMap<u64, u32>>>;

/// SEMANTICS 40: sleepers of a group are woken by records and by what happens in the group, and by nothing else is
/// work left undone: each record is handled, whoever comes and goes.
#[test]
fn whoever_comes_and_goes_each_record_is_handled() {
    let seed = Seed::of("consumer sharing");
    for case in 0..Size::asked().pick(3, 20, 100) {
        let mut rng = seed.rng(case);
        let broker = threaded();
        broker.create_topic("orders", TopicOptions::new().partitions(PARTITIONS)).expect("a new topic");
        let (handled, is_over) = (Handled::default(), Arc::new(AtomicBool::new(false)));
        let count = rng.u64(500..3_000);
        let shop = {
            let producer = broker.producer().durability(SendDurability::Written).build().expect("it is open");
            let mut rng = seed.rng(case + 1_000);
            std::thread::spawn(move || {
                for number in 0..count {
                    let partition = rng.u32(..PARTITIONS);
                    drop(
                        producer.send(("orders", partition), Record::new(&number.to_string())).expect("room"),
                    );
                    if rng.u8(..30) == 0 {
                        std::thread::sleep(Duration::from_micros(rng.u64(..1_000)));
                    }
                }
                producer.close().expect("memory does not fail");
            })
        };
        let mut workers = Vec::new();
        for number in 0..8 {
            workers.push(hire(&broker, &handled, &is_over, seed.rng(case * 100 + number)));
            std::thread::sleep(Duration::from_millis(rng.u64(..5)));
        }
        // One who does not leave before the work is done: sooner or later all of it is his.
        let last = {
            let member = member(&broker);
            let handled = handled.clone();
            std::thread::spawn(move || work_to_the_end(member, &handled, count))
        };
        last.join().unwrap_or_else(|_| panic!("case {case}: work was left undone"));
        is_over.store(true, Ordering::SeqCst);
        shop.join().expect("the shop does not panic");
        broker.close().expect("memory does not fail");
        workers.into_iter().for_each(|worker| worker.join().expect("nothing is wrong"));
        let handled = handled.lock().expect("nobody panics with it");
        assert!((0..count).all(|number| handled.contains_key(&number)), "case {case}");
    }
}

fn member(broker: &Broker) -> Consumer {
    let options = broker.consumer().group("billing").subscribe(["orders"]);
    options.poll_records_max(50).build().expect("anybody may join")
}

/// Polls, handles, commits, and notes what it did.
fn handle_once(member: &mut Consumer, handled: &Handled, patience: Duration) -> annals::Result<()> {
    let records = member.poll(patience)?;
    for record in &records {
        let number = std::str::from_utf8(record.value()).ok().and_then(|text| text.parse().ok());
        let number = number.expect("the shop writes numbers");
        *handled.lock().expect("nobody panics with it").entry(number).or_default() += 1;
    }
    member.commit().wait()
}

/// One who works for a while and leaves, again and again, in one way or another.
fn hire(
    broker: &Broker,
    handled: &Handled,
    is_over: &Arc<AtomicBool>,
    mut rng: fastrand::Rng,
) -> std::thread::JoinHandle<()> {
    let (broker, handled, is_over) = (broker.clone(), handled.clone(), is_over.clone());
    std::thread::spawn(move || {
        while !is_over.load(Ordering::SeqCst) {
            let joined = broker.consumer().group("billing").subscribe(["orders"]).build();
            let Ok(mut member) = joined else { return };
            for _ in 0..rng.u32(1..20) {
                // Another may come in between the poll and the commit; or it is the end of the day.
                if let Err(error) = handle_once(&mut member, &handled, Duration::from_millis(rng.u64(..3))) {
                    assert!(matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Closed), "{error}");
                }
            }
            if rng.bool() {
                drop(member);
            } else {
                if let Err(error) = member.close() {
                    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
                }
            }
        }
    })
}

fn work_to_the_end(mut member: Consumer, handled: &Handled, count: u64) {
    let begun = Instant::now();
    while (handled.lock().expect("nobody panics with it").len() as u64) < count {
        assert!(begun.elapsed() < 3 * PATIENCE, "work is left undone");
        // Short enough to see what the others have done.
        handle_once(&mut member, handled, Duration::from_millis(20)).expect("nothing is wrong");
    }
}

/// How fast polls are, beside a reader of the same partitions.
#[test]
fn polls_are_measured_beside_readers() {
    let count = Size::asked().pick(20_000, 1_000_000, 4_000_000);
    let broker = threaded();
    let topic = broker.create_topic("orders", TopicOptions::new().partitions(4)).expect("a new topic");
    let value = "x".repeat(100);
    for partition in 0..4 {
        let log = topic.partition(partition).expect("it is there");
        for _ in 0..count / 400 {
            let batch = (0..100).map(|_| Record::new(&value));
            drop(log.append_with(annals::Durability::Written, batch));
        }
        log.flush().wait().expect("memory does not fail");
    }
    let started = Instant::now();
    let mut read = 0;
    for partition in 0..4 {
        for records in topic.partition(partition).expect("it is there").read(annals::Offset::ZERO) {
            read += records
                .expect("nothing is wrong")
                .iter()
                .filter(|record| record.value().len() == 100)
                .count();
        }
    }
    let reading = started.elapsed();
    for records_max in [500, 10_000] {
        let places = (0..4).map(|partition| (&topic, partition));
        let options = broker.consumer().assign(places).start_at(StartAt::Earliest);
        let mut consumer = options.poll_records_max(records_max).build().expect("all are there");
        let started = Instant::now();
        let mut polled = 0;
        while polled < read {
            let records = consumer.poll(Duration::ZERO).expect("nothing is wrong");
            polled += records.iter().filter(|record| record.value().len() == 100).count();
        }
        assert_eq!(polled, read);
        figure!(
            "polling {} records of 4 partitions, at most {} a poll: {}; a reader: {}",
            Count(read as u64),
            Count(records_max as u64),
            Rate(polled as u64, started.elapsed()),
            Rate(read as u64, reading)
        );
    }
}
