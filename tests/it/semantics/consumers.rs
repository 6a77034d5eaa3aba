//! Consumers and groups: SEMANTICS 29 to 40, by what users hold.

use super::START;
use annals::clock::ManualClock;
use annals::group::{Assignor, Range, RoundRobin};
use annals::io::{Fate, SimDisk};
use annals::{
    Broker, Consumer, ConsumerOptions, Durability, ErrorKind, Maintenance, Offset, OffsetAndMetadata,
    ReadLevel, Rebalance, Record, StartAt, Topic, TopicOptions, TopicPartition,
};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A broker on a simulated disk whose work is done by hand, with a topic "orders" of this many partitions.
struct Shop {
    disk: SimDisk,
    clock: ManualClock,
    broker: Broker,
    orders: Topic,
}

impl Shop {
    fn open(partitions: u32) -> Self {
        let clock = ManualClock::new(START);
        let disk = SimDisk::new();
        let broker = open(&disk, &clock);
        let orders =
            broker.ensure_topic("orders", TopicOptions::new().partitions(partitions)).expect("there is room");
        Self { disk, clock, broker, orders }
    }

    /// Appends `count` records to each partition, durably.
    fn fill(&self, count: usize) {
        for partition in 0..self.orders.partition_count() {
            append(&self.orders, partition, Durability::Durable, count);
        }
    }

    fn billing(&self) -> ConsumerOptions {
        self.broker.consumer().group("billing").subscribe(["orders"])
    }

    fn member(&self) -> Consumer {
        self.billing().build().expect("anybody may join")
    }

    /// What the group has committed of partition 0.
    fn committed(&self) -> Option<u64> {
        let observer =
            self.broker.consumer().group("billing").subscribe(["none"]).build().expect("anybody may join");
        let committed = observer.committed(("orders", 0)).expect("the topic is there");
        committed.map(|committed| committed.offset.get())
    }
}

fn open(disk: &SimDisk, clock: &ManualClock) -> Broker {
    let options = Broker::options().clock(clock.clone()).maintenance(Maintenance::Manual).seed(30);
    options.open_in(disk.root()).expect("what is there can be opened")
}

fn append(topic: &Topic, partition: u32, level: Durability, count: usize) {
    let log = topic.partition(partition).expect("it is there");
    log.append_with(level, (0..count).map(|_| Record::new("a"))).wait().expect("there is room");
}

/// Has each poll once; how many records each got.
fn round(members: &mut [Consumer]) -> Vec<usize> {
    let poll = |member: &mut Consumer| member.poll(Duration::ZERO).expect("nothing is wrong").len();
    members.iter_mut().map(poll).collect()
}

fn partitions(member: &Consumer) -> BTreeSet<u32> {
    member.assignment().iter().map(TopicPartition::partition).collect()
}

/// Collects what a listener hears, in words.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn hear(&self, event: &Rebalance<'_>) {
        let numbers = |places: &[TopicPartition]| {
            places.iter().map(|place| place.partition().to_string()).collect::<Vec<_>>().join(" ")
        };
        let words = match event {
            Rebalance::Assigned(assigned) => format!("assigned {}", numbers(assigned.partitions())),
            Rebalance::Revoked(revoked) => format!("revoked {}", numbers(revoked.partitions())),
            Rebalance::Lost(lost) => format!("lost {}", numbers(lost)),
            other => panic!("nothing else is known: {other:?}"),
        };
        self.0.lock().expect("no listener panics").push(words);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no listener panics"))
    }
}

/// SEMANTICS 29
#[test]
fn two_live_members_never_have_the_same_partition() {
    let shop = Shop::open(6);
    let mut rng = fastrand::Rng::with_seed(29);
    let mut members: Vec<Consumer> = Vec::new();
    for step in 0..600 {
        match rng.u8(..10) {
            0 if members.len() < 8 => members.push(shop.member()),
            1 if !members.is_empty() => drop(members.swap_remove(rng.usize(..members.len()))),
            2 if !members.is_empty() => {
                let leaving = members.swap_remove(rng.usize(..members.len()));
                leaving.close().expect("nothing fails");
            }
            _ if !members.is_empty() => {
                let at = rng.usize(..members.len());
                members[at].poll(Duration::ZERO).expect("nothing is wrong");
            }
            _ => {}
        }
        let all: Vec<u32> = members.iter().flat_map(partitions).collect();
        let distinct: BTreeSet<u32> = all.iter().copied().collect();
        assert_eq!(all.len(), distinct.len(), "step {step}: {all:?}");
        if step % 50 == 49 && !members.is_empty() {
            // With everybody polling in turn a group settles within three rounds.
            (0..3).for_each(|_| drop(round(&mut members)));
            let count: usize = members.iter().map(|member| partitions(member).len()).sum();
            assert_eq!(count, 6, "step {step}");
        }
    }
}

/// SEMANTICS 30
#[test]
fn a_commit_is_accepted_from_the_owner_alone_and_is_never_ahead_of_its_data() {
    let shop = Shop::open(2);
    shop.fill(10);
    let mut stuck = shop.billing().poll_interval_max(10 * SECOND).build().expect("anybody may join");
    assert_eq!(stuck.poll(Duration::ZERO).expect("nothing is wrong").len(), 20);
    let beyond = stuck.commit_offsets([(("orders", 0), Offset::from(11))]).wait().expect_err("the end is 10");
    assert_eq!(beyond.kind(), ErrorKind::OutOfRange);
    let foreign = stuck.commit_offsets([(("invoices", 0), Offset::from(0))]).wait().expect_err("not its own");
    assert_eq!(foreign.kind(), ErrorKind::Fenced);
    shop.clock.advance(11 * SECOND);
    shop.broker.maintain().expect("nothing fails");
    assert_eq!(stuck.commit().wait().expect_err("it was expelled").kind(), ErrorKind::Fenced);
    assert_eq!(shop.committed(), None);

    // One that reads ahead of the disk: the commit waits for the data, and brings about its sync.
    drop(stuck);
    append(&shop.orders, 0, Durability::Written, 5);
    let mut ahead = shop.billing().read_level(ReadLevel::Written).build().expect("anybody may join");
    assert_eq!(ahead.poll(Duration::ZERO).expect("nothing is wrong").len(), 25);
    let pending = ahead.commit();
    let before = open(&shop.disk.power_cut(|_| Fate::Lost), &shop.clock);
    let end =
        before.topic("orders").and_then(|topic| topic.partition(0)).expect("it is there").log_end_offset();
    let observer =
        before.consumer().group("billing").subscribe(["orders"]).build().expect("anybody may join");
    let committed =
        observer.committed(("orders", 0)).expect("the topic is there").map(|committed| committed.offset);
    assert!(committed.is_none_or(|committed| committed <= end), "{committed:?} is ahead of {end}");
    pending.wait().expect("the disk syncs");
    let after = open(&shop.disk.power_cut(|_| Fate::Lost), &shop.clock);
    let observer = after.consumer().group("billing").subscribe(["orders"]).build().expect("anybody may join");
    let committed = observer.committed(("orders", 0)).expect("the topic is there").expect("it was committed");
    assert_eq!(committed.offset.get(), 15, "what was acknowledged is there");
}

/// SEMANTICS 31
#[test]
fn who_is_asked_to_give_up_may_commit_first_and_who_has_lost_may_not() {
    let shop = Shop::open(2);
    shop.fill(10);
    let heard = Heard::default();
    let listener = {
        let heard = heard.clone();
        move |event: Rebalance<'_>| {
            heard.hear(&event);
            if let Rebalance::Revoked(revoked) = &event {
                revoked.commit().wait().expect("it still has them");
            }
        }
    };
    let options = shop.billing().poll_interval_max(60 * SECOND).poll_records_max(8).on_rebalance(listener);
    let mut first = options.build().expect("anybody may join");
    first.poll(Duration::ZERO).expect("nothing is wrong");
    assert_eq!(heard.take(), ["assigned 0 1"]);
    let mut members = vec![first, shop.member()];
    let got: Vec<Vec<usize>> = (0..3).map(|_| round(&mut members)).collect();
    let [only] = &*heard.take() else { panic!("one thing happened") };
    assert!(only.starts_with("revoked "), "{only}");
    let taken: usize = got.iter().map(|round| round[1]).sum();
    assert_eq!(taken, 6, "the second goes on behind the 4 that the first has committed");

    shop.clock.advance(61 * SECOND);
    members[1].poll(Duration::ZERO).expect("it is not stuck");
    shop.broker.maintain().expect("nothing fails");
    let refused = members[0].commit().wait().expect_err("it was expelled");
    assert_eq!(refused.kind(), ErrorKind::Fenced);
    members[0].poll(Duration::ZERO).expect("it joins anew");
    let [lost, ..] = &*heard.take() else { panic!("it hears of it") };
    assert!(lost.starts_with("lost "), "{lost}");
}

/// SEMANTICS 31: it is said also where the member was expelled, and has no place in the group any more.
#[test]
fn who_cannot_join_anew_hears_what_it_has_lost() {
    let shop = Shop::open(2);
    shop.fill(10);
    let heard = Heard::default();
    let listener = {
        let heard = heard.clone();
        move |event: Rebalance<'_>| heard.hear(&event)
    };
    let by =
        |assignor: Arc<dyn Assignor>| shop.billing().poll_interval_max(30 * SECOND).assignors([assignor]);
    let mut expelled = by(Arc::new(Range)).on_rebalance(listener).build().expect("anybody may join");
    expelled.poll(Duration::ZERO).expect("nothing is wrong");
    assert_eq!(heard.take(), ["assigned 0 1"]);
    pass(&shop, 31 * SECOND);
    let _other = by(Arc::new(RoundRobin)).build().expect("nobody else is in it");
    for _ in 0..2 {
        let error = expelled.poll(Duration::ZERO).expect_err("they have no assignor in common");
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    assert_eq!(heard.take(), ["lost 0 1"]);
    assert!(expelled.assignment().is_empty());
}

/// SEMANTICS 32
#[test]
fn a_position_comes_from_the_commit_and_not_from_what_the_handle_remembers() {
    let shop = Shop::open(1);
    shop.fill(10);
    let mut first =
        shop.billing().poll_records_max(3).poll_interval_max(60 * SECOND).build().expect("anybody may join");
    assert_eq!(first.poll(Duration::ZERO).expect("nothing is wrong").len(), 3);
    first.commit().wait().expect("it has it");
    assert_eq!(first.poll(Duration::ZERO).expect("nothing is wrong").len(), 3);
    assert_eq!(first.position(("orders", 0)).expect("it has it").get(), 6);
    // Expelled, and back before anybody else came: what was not committed comes again.
    shop.clock.advance(61 * SECOND);
    shop.broker.maintain().expect("nothing fails");
    let records = first.poll(Duration::ZERO).expect("it joins anew");
    assert_eq!(records.iter().next().map(|record| record.offset().get()), Some(3));

    // 0 is an offset, and is not none: `start_at` is for groups that have committed nothing.
    first
        .commit_offsets([(("orders", 0), OffsetAndMetadata::new(Offset::ZERO).with_metadata("anew"))])
        .wait()
        .expect("its own");
    drop(first);
    let mut latest = shop.billing().start_at(StartAt::Latest).build().expect("anybody may join");
    assert_eq!(latest.poll(Duration::ZERO).expect("nothing is wrong").len(), 10);
    let committed = latest.committed(("orders", 0)).expect("the topic is there").expect("it was committed");
    assert_eq!((committed.offset, &*committed.metadata), (Offset::ZERO, "anew"));
    // What one group has committed, another takes over as it is.
    let anew = OffsetAndMetadata::from(committed);
    assert_eq!((anew.offset(), anew.metadata()), (Offset::ZERO, "anew"));
    let other = shop.broker.consumer().group("shipping").subscribe(["orders"]).start_at(StartAt::Latest);
    let mut other = other.build().expect("anybody may join");
    assert!(other.poll(Duration::ZERO).expect("nothing is wrong").is_empty());
    assert_eq!(other.position(("orders", 0)).expect("it has it").get(), 10);
}

/// SEMANTICS 33
#[test]
fn committing_by_itself_leaves_out_what_is_being_worked_on() {
    let shop = Shop::open(1);
    shop.fill(10);
    let options = shop.billing().poll_records_max(4).auto_commit_every(5 * SECOND);
    let mut member = options.clone().build().expect("anybody may join");
    shop.clock.advance(6 * SECOND);
    assert_eq!(member.poll(Duration::ZERO).expect("nothing is wrong").len(), 4);
    assert_eq!(shop.committed(), None, "it is being worked on");
    assert_eq!(member.poll(Duration::ZERO).expect("nothing is wrong").len(), 4);
    assert_eq!(shop.committed(), Some(4), "the next poll has begun, and the other 4 are being worked on");
    assert_eq!(member.poll(Duration::ZERO).expect("nothing is wrong").len(), 2);
    assert_eq!(shop.committed(), Some(4), "not more often than asked for");
    shop.clock.advance(6 * SECOND);
    drop(member);
    assert_eq!(shop.committed(), Some(4), "one that is dropped may be dropped in the middle of its work");

    let mut member = options.build().expect("anybody may join");
    assert_eq!(member.poll(Duration::ZERO).expect("nothing is wrong").len(), 4);
    member.close().expect("nothing fails");
    assert_eq!(shop.committed(), Some(8), "one that is closed has done its work");
}

/// What is committed through a record begins behind it, in its partition alone; and a group has what it is told.
#[test]
fn a_commit_through_a_record_marks_its_partition_and_no_more() {
    let shop = Shop::open(2);
    shop.fill(10);
    let mut member = shop.member();
    let records = member.poll(Duration::ZERO).expect("nothing is wrong");
    let middle = records.iter().find(|record| record.partition() == 0 && record.offset().get() == 4);
    member.commit_through(&middle.expect("it was polled")).wait().expect("it has it");
    let committed = |partition: u32| member.committed(("orders", partition)).expect("the topic is there");
    assert_eq!(committed(0).map(|committed| committed.offset.get()), Some(5));
    assert!(committed(1).is_none());
    let owned: Vec<_> = records.into_iter().collect();
    let last = owned.iter().rfind(|record| record.partition() == 1).expect("it was polled");
    member.commit_through(&last.as_consumer_record()).wait().expect("it has it");
    assert_eq!(committed(1).map(|committed| committed.offset.get()), Some(10));
    drop(member);
    let mut next = shop.member();
    assert_eq!(next.poll(Duration::ZERO).expect("nothing is wrong").len(), 5);
    let mut lag = next.lag().expect("nothing is wrong");
    lag.sort();
    assert_eq!(lag.iter().map(|(_, lag)| *lag).collect::<Vec<_>>(), [0, 0]);
}

/// SEMANTICS 33: also when no poll ends: the timer rings while it waits.
#[test]
fn committing_by_itself_goes_on_while_a_poll_waits() {
    let shop = Shop::open(1);
    shop.fill(3);
    let mut member = shop.billing().auto_commit_every(5 * SECOND).build().expect("anybody may join");
    assert_eq!(member.poll(Duration::ZERO).expect("nothing is wrong").len(), 3);
    let alarm = Arc::new(crate::wakers::Alarm::default());
    let mut waiting = Box::pin(member.recv());
    assert!(alarm.poll(&mut waiting).is_pending());
    shop.clock.advance(4 * SECOND);
    shop.broker.maintain().expect("nothing fails");
    assert_eq!((alarm.rang(), shop.committed()), (false, None));
    shop.clock.advance(2 * SECOND);
    shop.broker.maintain().expect("nothing fails");
    assert!(alarm.rang());
    assert!(alarm.poll(&mut waiting).is_pending());
    assert_eq!(shop.committed(), Some(3));
}

/// SEMANTICS 34
#[test]
fn who_makes_no_progress_is_expelled_and_who_waits_is_not() {
    let shop = Shop::open(2);
    shop.fill(1);
    let options = shop.billing().poll_interval_max(30 * SECOND);
    let mut members =
        vec![options.clone().build().expect("anybody may join"), options.build().expect("anybody may join")];
    (0..3).for_each(|_| drop(round(&mut members)));
    assert!(members.iter().all(|member| partitions(member).len() == 1));
    let [stuck, waits] = &mut members[..] else { panic!("there are two") };
    let alarm = Arc::new(crate::wakers::Alarm::default());
    let mut waiting = Box::pin(waits.recv());
    assert!(alarm.poll(&mut waiting).is_pending());
    shop.clock.advance(31 * SECOND);
    shop.broker.maintain().expect("nothing fails");
    assert!(alarm.rang(), "it is to have what the other had");
    let std::task::Poll::Ready(records) = alarm.poll(&mut waiting) else {
        panic!("it reads what the other had")
    };
    assert_eq!(records.expect("nothing is wrong").len(), 1);
    drop(waiting);
    assert_eq!(partitions(waits), BTreeSet::from([0, 1]));
    let before = stuck.member_id().expect("it is in a group");
    stuck.poll(Duration::ZERO).expect("it joins anew");
    assert_ne!(stuck.member_id().expect("it is in a group"), before);
}

/// SEMANTICS 34 and SEMANTICS 29: a stream that is left alone does not count as waiting once it was woken: it was
/// called to give up a partition, or has returned.
#[test]
fn a_stream_that_is_left_alone_is_expelled_when_it_was_woken() {
    use futures_core::Stream;
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let shop = Shop::open(2);
    let options = shop.billing().poll_interval_max(30 * SECOND);
    let mut left = Box::pin(options.clone().build().expect("anybody may join").into_stream());
    assert!(left.as_mut().poll_next(&mut context).is_pending());
    (0..3).for_each(|_| pass(&shop, 31 * SECOND));
    assert_eq!(partitions(left.consumer()), BTreeSet::from([0, 1]));
    left.consumer().commit().wait().expect("it waits, and nobody else is there");

    let mut second = options.build().expect("anybody may join");
    for _ in 0..10 {
        second.poll(Duration::ZERO).expect("nothing is wrong");
        pass(&shop, 15 * SECOND);
    }
    assert_eq!(partitions(&second), BTreeSet::from([0, 1]));
    drop(left);

    let mut woken = Box::pin(second.into_stream());
    assert!(woken.as_mut().poll_next(&mut context).is_pending());
    woken.consumer().wakeup().wake();
    assert!(woken.as_mut().poll_next(&mut context).is_ready());
    pass(&shop, 31 * SECOND);
    let refused = woken.consumer().commit().wait().expect_err("it has not polled for too long");
    assert_eq!(refused.kind(), ErrorKind::Fenced);
}

/// SEMANTICS 34: so is one that is left alone while records lie ready for it.
#[test]
fn a_stream_that_is_left_alone_with_records_is_expelled() {
    use futures_core::Stream;
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let shop = Shop::open(1);
    let options = shop.billing().poll_interval_max(30 * SECOND);
    let mut left = Box::pin(options.build().expect("anybody may join").into_stream());
    assert!(left.as_mut().poll_next(&mut context).is_pending());
    (0..3).for_each(|_| pass(&shop, 31 * SECOND));
    left.consumer().commit().wait().expect("it waits");
    shop.fill(1);
    (0..3).for_each(|_| pass(&shop, 31 * SECOND));
    let refused = left.consumer().commit().wait().expect_err("it has not polled for too long");
    assert_eq!(refused.kind(), ErrorKind::Fenced);
}

/// SEMANTICS 34: whoever is blocked in its poll is not expelled, neither while nothing happens nor after it was called.
#[test]
fn a_blocked_poll_is_not_expelled_however_long_it_waits() {
    let shop = Shop::open(2);
    let heard = Heard::default();
    let listener = {
        let heard = heard.clone();
        move |event: Rebalance<'_>| heard.hear(&event)
    };
    let options = shop.billing().poll_interval_max(30 * SECOND);
    let mut blocked = options.clone().on_rebalance(listener).build().expect("anybody may join");
    let wakeup = blocked.wakeup();
    let thread = std::thread::spawn(move || {
        let polled = blocked.poll(crate::wakers::PATIENCE);
        polled.map(|records| (records.len(), blocked))
    });
    let mut second = None;
    for awaited in ["assigned 0 1", "revoked 1"] {
        let heard_at = std::time::Instant::now();
        let mut all = Vec::new();
        while !all.iter().any(|event| event == awaited) {
            assert!(heard_at.elapsed() < crate::wakers::PATIENCE, "{awaited}: {all:?}");
            all.extend(heard.take());
            std::thread::sleep(Duration::from_millis(5));
        }
        // It has gone back to sleep.
        std::thread::sleep(Duration::from_millis(20));
        for _ in 0..5 {
            pass(&shop, 20 * SECOND);
            if let Some(second) = &mut second {
                Consumer::poll(second, Duration::ZERO).expect("nothing is wrong");
            }
        }
        second.get_or_insert_with(|| options.clone().build().expect("anybody may join"));
    }
    wakeup.wake();
    let (count, blocked) = thread.join().expect("it does not panic").expect("nothing is wrong");
    assert_eq!((count, partitions(&blocked).len()), (0, 1));
    assert!(heard.take().is_empty(), "it has lost nothing");
}

/// Time goes by, and what is due is done.
fn pass(shop: &Shop, time: Duration) {
    shop.clock.advance(time);
    shop.broker.maintain().expect("nothing fails");
}

/// SEMANTICS 34: the interval runs on after a poll that has waited in vain, and after a future that was dropped.
#[test]
fn who_has_waited_in_vain_has_to_poll_again_in_time() {
    let shop = Shop::open(1);
    for way in ["timed out", "dropped"] {
        let mut member = shop.billing().poll_interval_max(30 * SECOND).build().expect("anybody may join");
        if way == "timed out" {
            assert!(member.poll(Duration::from_millis(1)).expect("nothing is wrong").is_empty());
        } else {
            assert!(
                Arc::new(crate::wakers::Alarm::default()).poll(&mut Box::pin(member.recv())).is_pending()
            );
        }
        assert_eq!(partitions(&member).len(), 1);
        shop.clock.advance(31 * SECOND);
        shop.broker.maintain().expect("nothing fails");
        let refused = member.commit().wait().expect_err(way);
        assert_eq!(refused.kind(), ErrorKind::Fenced, "{way}");
    }
}

/// SEMANTICS 35
#[test]
fn more_members_than_partitions_leave_some_idle_and_only_what_moves_is_revoked() {
    let shop = Shop::open(4);
    let heard = Heard::default();
    let listener = {
        let heard = heard.clone();
        move |event: Rebalance<'_>| heard.hear(&event)
    };
    let mut members = vec![shop.billing().on_rebalance(listener).build().expect("anybody may join")];
    round(&mut members);
    assert_eq!(heard.take(), ["assigned 0 1 2 3"]);
    for count in 2..=6_usize {
        members.push(shop.member());
        (0..3).for_each(|_| drop(round(&mut members)));
        let loads: Vec<usize> = members.iter().map(|member| partitions(member).len()).collect();
        assert_eq!(loads.iter().sum::<usize>(), 4);
        assert!(loads.iter().max() <= Some(&4_usize.div_ceil(count)), "{loads:?}");
        let revoked: usize = heard
            .take()
            .iter()
            .map(|words| {
                assert!(words.starts_with("revoked "), "nothing comes back: {words}");
                words.split(' ').count() - 1
            })
            .sum();
        assert!(revoked <= 2, "{revoked} were taken when member {count} came");
    }
    assert!(members.iter_mut().all(|member| member.poll(Duration::ZERO).is_ok()), "the idle ones are fine");
}

/// SEMANTICS 38
#[test]
fn a_partition_that_is_added_is_picked_up_and_read_from_its_beginning() {
    let shop = Shop::open(1);
    shop.fill(5);
    let mut member = shop.billing().start_at(StartAt::Latest).build().expect("anybody may join");
    assert!(member.poll(Duration::ZERO).expect("nothing is wrong").is_empty());
    let orders =
        shop.broker.ensure_topic("orders", TopicOptions::new().partitions(3)).expect("there is room");
    append(&orders, 2, Durability::Durable, 7);
    let found: usize = (0..3).map(|_| member.poll(Duration::ZERO).expect("nothing is wrong").len()).sum();
    assert_eq!((partitions(&member).len(), found), (3, 7));

    let mut by_rule = shop
        .broker
        .consumer()
        .group("audit")
        .subscribe_matching(|name| name.starts_with("or"))
        .build()
        .expect("anybody may join");
    by_rule.poll(Duration::ZERO).expect("nothing is wrong");
    assert_eq!(by_rule.assignment().len(), 3);
    shop.broker.create_topic("organs", TopicOptions::new()).expect("there is room");
    shop.broker.create_topic("invoices", TopicOptions::new()).expect("there is room");
    (0..2).for_each(|_| drop(by_rule.poll(Duration::ZERO).expect("nothing is wrong")));
    assert_eq!(by_rule.assignment().first(), Some(&TopicPartition::new("orders", 0)));
    assert_eq!(by_rule.assignment().len(), 4, "and none of the group's own topics");
    shop.broker.delete_topic("orders").expect("it is there");
    (0..2).for_each(|_| drop(by_rule.poll(Duration::ZERO).expect("its topic is gone, which is no error")));
    assert_eq!(by_rule.assignment(), [TopicPartition::new("organs", 0)]);
}

/// SEMANTICS 39
#[test]
fn who_is_closed_dropped_or_panicked_leaves_at_once() {
    type Leave = fn(Consumer);
    let ways: [Leave; 3] = [
        |member| member.close().expect("nothing fails"),
        drop,
        |member| {
            let thread = std::thread::spawn(move || {
                let _member = member;
                panic!("on purpose: its work went wrong");
            });
            thread.join().expect_err("it panics");
        },
    ];
    for leave in ways {
        let shop = Shop::open(4);
        let mut members = vec![shop.member(), shop.member()];
        (0..3).for_each(|_| drop(round(&mut members)));
        assert_eq!(partitions(&members[0]).len(), 2);
        leave(members.pop().expect("there are two"));
        round(&mut members);
        assert_eq!(partitions(&members[0]).len(), 4, "no time has passed");
    }
}

/// SEMANTICS 39
#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    let shop = Shop::open(4);
    let heard = Heard::default();
    let listener = {
        let heard = heard.clone();
        move |event: Rebalance<'_>| heard.hear(&event)
    };
    let fixed = |name: &str| shop.billing().group_instance_id(name).session_timeout(30 * SECOND);
    let mut members = vec![
        fixed("left").on_rebalance(listener).build().expect("anybody may join"),
        fixed("right").build().expect("anybody may join"),
    ];
    (0..3).for_each(|_| drop(round(&mut members)));
    let before = partitions(&members[1]);
    heard.take();
    drop(members.pop());
    shop.clock.advance(20 * SECOND);
    shop.broker.maintain().expect("nothing fails");
    round(&mut members);
    members.push(fixed("right").build().expect("it is known"));
    round(&mut members);
    assert_eq!((partitions(&members[1]), heard.take()), (before, Vec::new()));

    // A second one of the name takes over, and the first hears of it.
    let taken_over = members.pop().expect("there are two");
    members.push(fixed("right").build().expect("it is known"));
    round(&mut members);
    let mut taken_over = taken_over;
    assert_eq!(
        taken_over.poll(Duration::ZERO).expect_err("another has taken over").kind(),
        ErrorKind::Fenced
    );
    assert!(taken_over.assignment().is_empty());
    drop(taken_over);
    round(&mut members);
    assert_eq!(partitions(&members[1]).len(), 2);

    // One that stays away loses what it had.
    drop(members.pop());
    shop.clock.advance(31 * SECOND);
    shop.broker.maintain().expect("nothing fails");
    round(&mut members);
    assert_eq!(partitions(&members[0]).len(), 4);
}

/// What a listener seeks to on assignment is where the member begins; a panic in it takes nobody hostage.
#[test]
fn a_listener_may_seek_and_may_panic() {
    let shop = Shop::open(2);
    shop.fill(10);
    let seeks = |event: Rebalance<'_>| {
        if let Rebalance::Assigned(mut assigned) = event {
            assigned.seek(("orders", 1), Offset::from(9)).expect("it was assigned");
        }
    };
    let mut member = shop.billing().on_rebalance(seeks).build().expect("anybody may join");
    assert_eq!(member.poll(Duration::ZERO).expect("nothing is wrong").len(), 11);
    drop(member);

    let panics = |event: Rebalance<'_>| {
        assert!(!matches!(event, Rebalance::Revoked(_)), "on purpose: the listener panics");
    };
    let mut first = shop.billing().on_rebalance(panics).build().expect("anybody may join");
    first.poll(Duration::ZERO).expect("nothing is wrong");
    let mut second = shop.member();
    second.poll(Duration::ZERO).expect("nothing is wrong");
    let poll = std::panic::AssertUnwindSafe(|| first.poll(Duration::ZERO));
    std::panic::catch_unwind(poll).expect_err("the listener panics");
    second.poll(Duration::ZERO).expect("nothing is wrong");
    assert_eq!(partitions(&second).len(), 1, "it was given up nevertheless");
    assert_eq!(partitions(&first).len(), 1);
    drop((first, second));

    // One that was expelled hears of its loss and of what it gets in one poll; it gets that all the same.
    let panics = |event: Rebalance<'_>| {
        assert!(!matches!(event, Rebalance::Lost(_)), "on purpose: the listener panics");
    };
    let options = shop.billing().poll_interval_max(30 * SECOND).on_rebalance(panics);
    let mut member = options.build().expect("anybody may join");
    assert_eq!(member.poll(Duration::ZERO).expect("nothing is wrong").len(), 20);
    shop.clock.advance(31 * SECOND);
    shop.broker.maintain().expect("nothing fails");
    let poll = std::panic::AssertUnwindSafe(|| member.poll(Duration::ZERO));
    std::panic::catch_unwind(poll).expect_err("the listener panics");
    assert_eq!(member.poll(Duration::ZERO).expect("nothing is wrong").len(), 20, "it reads them again");
}

#[test]
fn assignors_add_up_and_the_first_that_all_offer_is_used() {
    let shop = Shop::open(1);
    let used = || shop.broker.describe_group("billing").expect("it has members").assignor;
    let mut first = shop.billing().assignor(Range).assignor(RoundRobin).build().expect("it may join");
    first.poll(Duration::ZERO).expect("nothing is wrong");
    assert_eq!(used(), "range");
    let _second = shop.billing().assignors([]).assignor(RoundRobin).build().expect("they have one in common");
    first.poll(Duration::ZERO).expect("nothing is wrong");
    assert_eq!(used(), "roundrobin");
    let default = shop.billing().build().map(drop).expect_err("it offers the default alone");
    assert_eq!(default.kind(), ErrorKind::Conflict);
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let shop = Shop::open(1);
    let consumer = || shop.broker.consumer();
    for refused in [
        consumer().group("billing"),
        consumer().subscribe(["orders"]),
        consumer().group("billing").assign([("orders", 0)]),
        consumer().group("billing").subscribe(["orders"]).assign([("orders", 0)]),
        consumer().group("no group").subscribe(["orders"]),
        consumer().assign([("orders", 0)]).auto_commit_every(Duration::from_secs(5)),
        consumer().assign([("orders", 0)]).group_instance_id("till"),
        consumer().assign([("orders", 0)]).on_rebalance(|_| ()),
        consumer().assign([("orders", 0)]).client_id("till"),
        consumer().assign([("orders", 0)]).assignors([Arc::new(Range) as Arc<dyn Assignor>]),
        consumer().assign([("orders", 0)]).poll_interval_max(SECOND),
        consumer().assign([("orders", 0)]).session_timeout(SECOND),
        consumer(),
        consumer().assign::<(&str, u32)>([]),
        shop.billing().assignors([]),
        shop.billing().group_instance_id("till 1"),
        shop.billing().poll_interval_max(Duration::ZERO),
    ] {
        let error = refused.build().map(drop).expect_err("it is refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    let by_hand = consumer().assign([("orders", 0)]).build().expect("it is there");
    assert_eq!(by_hand.commit().wait().expect_err("it is in no group").kind(), ErrorKind::InvalidInput);
}
