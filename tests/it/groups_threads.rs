//! Members on threads of their own, with the broker's threads at work: nobody waits for ever, and nobody has what
//! another has.

use crate::figure;
use crate::proof::{Count, Seed, Size};
use annals::clock::ManualClock;
use annals::{
    Broker, Durability, ErrorKind, Maintenance, Offset, Rebalance, Record, Timestamp, TopicOptions,
    TopicPartition,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Who has which partition, as the listeners say.
type Owners = Arc<Mutex<BTreeMap<TopicPartition, u64>>>;

/// What a listener of this member does to the owners.
fn listener(owners: &Owners, member: u64) -> impl Fn(Rebalance<'_>) + Send + Sync + 'static {
    let owners = owners.clone();
    move |event| {
        let mut owners = owners.lock().expect("no listener panics");
        match event {
            Rebalance::Assigned(given) => {
                for place in given.partitions() {
                    let other = owners.insert(place.clone(), member);
                    // Whoever had it of a topic that was deleted since may not have heard of that yet.
                    let is_free = other.is_none() || place.topic() == "more";
                    assert!(is_free, "{place} was given to {member}, and {other:?} has it");
                }
            }
            Rebalance::Revoked(revoked) => {
                drop(revoked.commit());
                owners.retain(|place, _| !revoked.partitions().contains(place));
            }
            Rebalance::Lost(partitions) => {
                owners.retain(|place, owner| *owner != member || !partitions.contains(place));
            }
            other => panic!("nothing else is known: {other:?}"),
        }
    }
}

/// What came of it; nothing where a topic was deleted a moment ago, and the member had not heard of that.
fn unless_deleted<T>(done: annals::Result<T>) -> Option<T> {
    match done {
        Ok(value) => Some(value),
        Err(error) => {
            let text = error.to_string();
            let is_about_it = ["more-", "more/", "topic more"].iter().any(|part| text.contains(part));
            let is_kind = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Fenced | ErrorKind::Closed);
            assert!(is_about_it && is_kind, "{error}");
            None
        }
    }
}

/// One member after another joins, works for a while and goes, in one way or the other.
fn work(broker: &Broker, owners: &Owners, (thread, seed): (u64, &Seed), is_over: &AtomicBool) -> u64 {
    let mut rng = seed.rng(thread);
    let mut handled = 0;
    let mut member = thread * 1_000_000;
    while !is_over.load(Ordering::Acquire) {
        member += 1;
        let options = broker.consumer().group("workers").subscribe(["jobs", "more"]);
        let options = options.on_rebalance(listener(owners, member));
        let mut consumer = options.build().expect("anybody may join");
        for _ in 0..rng.u32(1..30) {
            let limit = Duration::from_micros(rng.u64(..3_000));
            handled += unless_deleted(consumer.poll(limit)).map_or(0, |records| records.len() as u64);
            match rng.u32(..4) {
                0 => unless_deleted(consumer.commit().wait()).unwrap_or_default(),
                1 => drop(consumer.commit()),
                _ => {}
            }
        }
        if rng.bool() {
            unless_deleted(consumer.close()).unwrap_or_default();
        } else {
            // Nobody listens to one that is dropped.
            owners.lock().expect("no listener panics").retain(|_, owner| *owner != member);
        }
    }
    handled
}

/// SEMANTICS 29, 39: whoever comes and goes, on whichever thread.
#[test]
fn members_on_many_threads_neither_share_a_partition_nor_wait_for_ever() {
    let seed = Seed::of("groups threads");
    let broker = Broker::options().open_in_memory().expect("memory");
    let jobs = broker.create_topic("jobs", TopicOptions::new().partitions(4)).expect("memory");
    let (owners, is_over) = (Owners::default(), AtomicBool::new(false));
    let (appended, handled) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for number in 0..4 {
            let (broker, owners, seed, is_over, handled) = (&broker, &owners, &seed, &is_over, &handled);
            scope.spawn(move || {
                let own = work(broker, owners, (number, seed), is_over);
                handled.fetch_add(own, Ordering::AcqRel);
            });
        }
        for round in 0..Size::asked().pick(60, 400, 2_000_u32) {
            for number in 0..4 {
                let level = if round.is_multiple_of(2) { Durability::Durable } else { Durability::Written };
                let partition = jobs.partition(number).expect("it is there");
                partition.append_with(level, [Record::new("job")]).wait().expect("memory");
                appended.fetch_add(1, Ordering::AcqRel);
            }
            if round.is_multiple_of(10) {
                broker.ensure_topic("more", TopicOptions::new().partitions(round % 30 / 10 + 1)).ok();
            }
            if round.is_multiple_of(30) {
                let deleted = broker.delete_topic("more");
                assert!(deleted.is_ok() || deleted.is_err_and(|error| error.kind() == ErrorKind::NotFound));
            }
            let described = broker.describe_group("workers");
            assert!(described.is_ok() || described.is_err_and(|error| error.kind() == ErrorKind::NotFound));
            thread::sleep(Duration::from_millis(5));
        }
        is_over.store(true, Ordering::Release);
    });
    let handled = handled.load(Ordering::Acquire);
    assert!(handled > 0, "the members have worked");
    figure!(
        "groups on threads: {} records appended, {} handled by members that came and went",
        Count(appended.load(Ordering::Acquire)),
        Count(handled)
    );
    broker.close().expect("memory");
}

/// Which offsets had expired was seen under one lock and said under the next: a commit in between was undone.
///
/// SEMANTICS 36: the time of a group that is not empty does not run.
#[test]
fn a_group_that_comes_back_while_its_offsets_expire_keeps_what_it_commits() {
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let options = Broker::options().clock(clock.clone()).maintenance(Maintenance::Manual);
    let broker = options.offsets_retention(Duration::from_secs(1)).open_in_memory().expect("memory");
    let jobs = broker.create_topic("jobs", TopicOptions::new()).expect("memory");
    jobs.partition(0).and_then(|jobs| jobs.append([Record::new("job")]).wait()).expect("memory");
    let (tidied, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                broker.maintain().expect("memory");
                tidied.fetch_add(1, Ordering::AcqRel);
            }
        });
        let kept = (0..Size::asked().pick(500, 5_000, 50_000_u32)).all(|_| {
            clock.advance(Duration::from_secs(1));
            let mut consumer =
                broker.consumer().group("workers").subscribe(["jobs"]).build().expect("it may join");
            consumer.poll(Duration::ZERO).expect("it is a member");
            consumer.commit_offsets([(("jobs", 0), Offset::from(1))]).wait().expect("it is its own");
            let before = tidied.load(Ordering::Acquire);
            while tidied.load(Ordering::Acquire) < before + 2 {
                thread::yield_now();
            }
            consumer.committed(("jobs", 0)).expect("it is there").is_some()
        });
        is_over.store(true, Ordering::Release);
        assert!(kept, "its offset is gone");
    });
}
