//! Members over a real broker in memory.

use crate::broker::group_member::{CommitPoint, GroupEvent, GroupMember, MemberOptions, Resume, Wanted};
use crate::clock::ManualClock;
use crate::group::Range;
use crate::{
    Broker, Durability, ErrorKind, Maintenance, Offset, Record, Timestamp, TopicOptions, TopicPartition,
};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

/// Longer than anything here takes, unless nobody does it.
const LONG: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_millis(1_000_000))
}

fn broker(clock: &ManualClock) -> Broker {
    let options = Broker::options().clock(clock.clone()).maintenance(Maintenance::Manual).seed(1);
    options.open_in_memory().expect("memory")
}

fn options(group: &str, topics: &[&str]) -> MemberOptions {
    MemberOptions {
        group: group.to_owned(),
        instance_id: None,
        client_id: "test".into(),
        wanted: Wanted::Names(topics.iter().map(|topic| (*topic).into()).collect()),
        assignors: vec![Arc::new(Range)],
        poll_interval: 5 * MINUTE,
        session_timeout: MINUTE,
    }
}

fn join(broker: &Broker, options: MemberOptions) -> Box<dyn GroupMember> {
    broker.backend().join_group(options).expect("it may")
}

fn place(topic: &str, number: u32) -> TopicPartition {
    TopicPartition::new(topic, number)
}

fn point(offset: u32) -> CommitPoint {
    CommitPoint { offset: Offset::from(offset), metadata: "note".into(), leader_epoch: 0 }
}

/// Polls, and gives up at once what is to be given up. What is assigned.
fn poll(member: &dyn GroupMember) -> Vec<(TopicPartition, Resume)> {
    let mut assigned = Vec::new();
    for event in member.poll().expect("it is a member") {
        match event {
            GroupEvent::Revoke(partitions) => member.gave_up(&partitions).wait().expect("memory"),
            GroupEvent::Assigned(partitions) => assigned.extend(partitions),
            GroupEvent::Lost(_) => {}
        }
    }
    assigned
}

fn places(assigned: &[(TopicPartition, Resume)]) -> Vec<u32> {
    assigned.iter().map(|(place, _)| place.partition()).collect()
}

/// Waiting inside of a poll is progress, however long it takes; and it does not excuse what comes after it.
#[test]
fn who_has_waited_for_long_and_then_stalls_is_expelled() {
    let clock = clock();
    let broker = broker(&clock);
    broker.create_topic("orders", TopicOptions::new()).expect("it is new");
    let member = join(&broker, options("g", &["orders"]));
    poll(&*member);
    let count = || broker.describe_group("g").map_or(0, |group| group.members.len());
    member.wait_begins();
    for _ in 0..3 {
        clock.advance(5 * MINUTE);
        broker.maintain().expect("memory");
        assert_eq!(count(), 1, "it waits");
    }
    member.wait_ends();
    clock.advance(5 * MINUTE - Duration::from_millis(1));
    broker.maintain().expect("memory");
    assert_eq!(count(), 1, "its time is not yet over");
    clock.advance(Duration::from_millis(1));
    broker.maintain().expect("memory");
    assert_eq!(count(), 0);
}

#[test]
fn two_members_share_and_the_one_that_is_left_takes_over() {
    let clock = clock();
    let broker = broker(&clock);
    let topic = broker.create_topic("orders", TopicOptions::new().partitions(4)).expect("it is new");
    for number in 0..4 {
        let partition = topic.partition(number).expect("it is there");
        partition.append([Record::new("a"), Record::new("b")]).wait().expect("memory");
    }
    let a = join(&broker, options("g", &["orders"]));
    assert_eq!(places(&poll(&*a)), [0, 1, 2, 3]);
    a.commit(vec![(place("orders", 3), point(2)), (place("orders", 0), point(0))], Durability::Durable)
        .wait()
        .expect("it is its own");
    let b = join(&broker, options("g", &["orders"]));
    assert!(a.is_called() && b.is_called());
    assert_eq!(places(&poll(&*b)), [] as [u32; 0], "a still has them");
    assert_eq!(places(&poll(&*a)), [] as [u32; 0]);
    let given = poll(&*b);
    assert_eq!(places(&given), [2, 3]);
    assert_eq!(given[0].1, Resume::Anew);
    let Resume::At(committed) = &given[1].1 else { panic!("{given:?}") };
    assert_eq!((committed.offset, &*committed.metadata), (Offset::from(2), "note"));
    let refused = a.commit(vec![(place("orders", 3), point(1))], Durability::Written).wait();
    assert_eq!(refused.expect_err("it is b's").kind(), ErrorKind::Fenced);
    drop(a);
    let given = poll(&*b);
    assert_eq!(places(&given), [0, 1]);
    let Resume::At(committed) = &given[0].1 else { panic!("{given:?}") };
    assert_eq!(committed.offset, Offset::ZERO, "0 is a committed offset");
    broker.close().expect("memory");
    assert_eq!(b.poll().expect_err("the broker is closed").kind(), ErrorKind::Closed);
}

/// Does something when it wakes.
struct Act<F>(Mutex<Option<F>>);

impl<F: FnOnce() + Send + 'static> Wake for Act<F> {
    fn wake(self: Arc<Self>) {
        let act = self.0.lock().expect("it is taken out before it can panic").take();
        act.into_iter().for_each(|act| act());
    }
}

fn act(act: impl FnOnce() + Send + 'static) -> Waker {
    Arc::new(Act(Mutex::new(Some(act)))).into()
}

/// Panics when it wakes, after `before`; and how to know that it has.
fn panicking(before: impl FnOnce() + Send + 'static) -> (Waker, Receiver<()>) {
    let (woken, hears) = channel();
    let waker = act(move || {
        before();
        woken.send(()).expect("somebody listens");
        panic!("a waker that panics");
    });
    (waker, hears)
}

/// The group was dead, then its offsets went. Who joined it anew in between went on at them, and what he committed went
/// with them.
///
/// SEMANTICS 30
#[test]
fn who_joins_a_group_while_it_is_deleted_keeps_what_he_commits() {
    let clock = clock();
    let broker = broker(&clock);
    let topic = broker.create_topic("orders", TopicOptions::new()).expect("it is new");
    let partition = topic.partition(0).expect("it is there");
    partition.append(["a", "b", "c"].map(Record::new)).wait().expect("memory");
    let stale = join(&broker, options("g", &["orders"]));
    poll(&*stale);
    let commit = |member: &dyn GroupMember, offset| {
        let points = vec![(place("orders", 0), point(offset))];
        member.commit(points, Durability::Durable).wait().expect("it is its own");
    };
    commit(&*stale, 2);
    let (joined, joins) = channel();
    let beside = broker.clone();
    // It is woken because it was expelled, which the deletion finds out.
    stale.register(&act(move || {
        let fresh = join(&beside, options("g", &["orders"]));
        assert_eq!(places(&poll(&*fresh)), [0]);
        commit(&*fresh, 3);
        joined.send(fresh).expect("somebody listens");
    }));
    clock.advance(5 * MINUTE);
    drop(broker.delete_group("g"));
    let fresh = joins.try_recv().expect("the stale one was woken");
    let committed = fresh.committed(&[place("orders", 0)]).expect("it is there");
    assert_eq!(committed[0].as_ref().map(|committed| committed.offset), Some(Offset::from(3)));
}

#[test]
fn the_timers_thread_goes_on_after_a_waker_that_panics() {
    let broker = Broker::options().open_in_memory().expect("memory");
    broker.create_topic("orders", TopicOptions::new()).expect("it is new");
    let join = |group: &str, millis, waker: &Waker| {
        let poll_interval = Duration::from_millis(millis);
        let member = join(&broker, MemberOptions { poll_interval, ..options(group, &["orders"]) });
        poll(&*member);
        member.register(waker);
        member
    };
    let (waker, panics) = panicking(|| ());
    let (woken, hears) = channel();
    let _first = join("first", 500, &waker);
    let _second = join("second", 800, &act(move || woken.send(()).expect("somebody listens")));
    panics.recv_timeout(LONG).expect("it was expelled");
    hears.recv_timeout(LONG).expect("so was the other");
}

#[test]
fn the_disk_thread_goes_on_with_a_broker_after_a_waker_that_panics() {
    let (clock, hour) = (clock(), 60 * MINUTE);
    let options = Broker::options().clock(clock.clone()).offsets_retention(24 * hour);
    let broker = options.open_in_memory().expect("memory");
    let topic = broker.create_topic("orders", TopicOptions::new()).expect("it is new");
    topic.partition(0).expect("it is there").append([Record::new("a")]).wait().expect("memory");
    for group in ["first", "second"] {
        broker.reset_group_offsets(group, [(place("orders", 0), Offset::from(1))]).expect("nobody is in it");
        clock.advance(hour);
    }
    let kept = broker.topic("__consumer_offsets").and_then(|topic| topic.partition(0)).expect("it was made");
    let time = clock.clone();
    let (waker, panics) = panicking(move || time.advance(hour));
    let mut grows = Box::pin(kept.wait_past(kept.log_end_offset()));
    assert!(grows.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    // The offsets of the first expire now, and those of the second while that is told.
    clock.advance(22 * hour);
    broker.arc_core().upkeep.call();
    panics.recv_timeout(LONG).expect("the offsets of the first have expired");
    let begun = Instant::now();
    while !broker.groups().expect("memory").is_empty() {
        assert!(begun.elapsed() < LONG, "nobody looks any more");
        broker.arc_core().upkeep.call();
        std::thread::yield_now();
    }
}
