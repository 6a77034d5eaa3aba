//! Committed offsets as their users see them: kept, expired, described, reset, deleted.

use crate::wakers::Alarm;
use annals::clock::ManualClock;
use annals::group::GroupState;
use annals::io::{FailedSync, Failure, Fault, MemoryDisk, Op, SimDisk};
use annals::{
    Broker, Consumer, Durability, ErrorKind, Maintenance, Offset, Partition, ReadLevel, Record, StartAt,
    Timestamp, TopicOptions, TopicPartition,
};
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn clock() -> ManualClock {
    ManualClock::new(Timestamp::from_millis(1_000_000_000))
}

fn open(disk: &MemoryDisk, clock: &ManualClock) -> Broker {
    let options = Broker::options().clock(clock.clone()).maintenance(Maintenance::Manual);
    options.offsets_retention(2 * DAY).open_in(disk.root()).expect("memory")
}

/// A topic of two partitions with five records each.
fn fill(broker: &Broker, topic: &str) {
    let topic = broker.ensure_topic(topic, TopicOptions::new().partitions(2)).expect("memory");
    for number in 0..2 {
        let partition = topic.partition(number).expect("it is there");
        partition.append(["a", "b", "c", "d", "e"].map(Record::new)).wait().expect("memory");
    }
}

fn member(broker: &Broker, group: &str, topic: &str) -> Consumer {
    let mut member = broker.consumer().group(group).subscribe([topic]).build().expect("it may join");
    member.poll(Duration::ZERO).expect("it is a member");
    assert_eq!(member.assignment().len(), 2);
    member
}

fn place(topic: &str, number: u32) -> TopicPartition {
    TopicPartition::new(topic, number)
}

/// What the group has committed of the first partition of a topic.
fn committed(broker: &Broker, group: &str, topic: &str) -> Option<u64> {
    let described = match broker.describe_group(group) {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        described => described.expect("memory"),
    };
    let found = described.partitions.iter().find(|found| found.partition == place(topic, 0))?;
    found.committed.as_ref().map(|committed| committed.offset.get())
}

fn kind<T: std::fmt::Debug>(result: annals::Result<T>) -> ErrorKind {
    result.expect_err("it is refused").kind()
}

/// SEMANTICS 36: their time begins when the group is empty, not at the commit.
#[test]
fn offsets_expire_when_their_group_has_been_empty_for_long_enough() {
    let (disk, clock) = (MemoryDisk::new(), clock());
    let broker = open(&disk, &clock);
    fill(&broker, "orders");
    let mut billing = member(&broker, "billing", "orders");
    billing.commit().wait().expect("it is its own");
    for _ in 0..6 {
        clock.advance(DAY);
        billing.poll(Duration::ZERO).expect("it joins anew where it was expelled");
        broker.maintain().expect("memory");
    }
    assert_eq!(committed(&broker, "billing", "orders"), Some(5), "a group with members keeps its offsets");
    drop(billing);
    clock.advance(DAY);
    broker.maintain().expect("memory");
    broker.close().expect("memory");
    let broker = open(&disk, &clock);
    assert_eq!(committed(&broker, "billing", "orders"), Some(5), "half of the time is over");
    clock.advance(DAY);
    broker.maintain().expect("memory");
    assert_eq!(committed(&broker, "billing", "orders"), None, "a restart does not begin anew");
    assert!(broker.groups().expect("memory").is_empty(), "nothing is left of the group");
    broker.close().expect("memory");
    assert_eq!(committed(&open(&disk, &clock), "billing", "orders"), None);
}

#[test]
fn a_group_whose_process_dies_is_empty_from_the_next_open_on() {
    let (disk, clock) = (MemoryDisk::new(), clock());
    let broker = open(&disk, &clock);
    fill(&broker, "orders");
    let billing = member(&broker, "billing", "orders");
    billing.commit().wait().expect("it is its own");
    // It never leaves: the broker goes first.
    broker.close().expect("memory");
    drop(billing);
    clock.advance(30 * DAY);
    let broker = open(&disk, &clock);
    assert_eq!(committed(&broker, "billing", "orders"), Some(5));
    clock.advance(2 * DAY);
    broker.maintain().expect("memory");
    assert_eq!(committed(&broker, "billing", "orders"), None);
}

/// A time and the end are looked up among all that is written: what is not synced yet is no reason to skip it.
#[test]
fn a_group_is_reset_to_where_a_time_or_an_end_is() {
    let (disk, clock) = (MemoryDisk::new(), clock());
    let broker = open(&disk, &clock);
    let orders = broker.create_topic("orders", TopicOptions::new()).expect("memory");
    let partition = orders.partition(0).expect("it is there");
    let at = |millis: i64| Record::new("a").timestamp(Timestamp::from_millis(millis));
    partition.append([at(10), at(20)]).wait().expect("memory");
    partition.append_with(Durability::Written, [at(30), at(40)]).wait().expect("memory");
    partition.delete_records(Offset::from(1)).expect("memory");
    let reset = |start: StartAt| {
        broker
            .reset_group_offsets("billing", [((&orders, 0), start)])
            .map(|()| committed(&broker, "billing", "orders"))
    };
    let time = |millis| StartAt::Time(Timestamp::from_millis(millis));
    for (start, expected) in
        [(time(25), 2), (StartAt::Earliest, 1), (time(30), 2), (time(41), 4), (StartAt::Latest, 4)]
    {
        assert_eq!(reset(start).expect("nobody is in it"), Some(expected), "{start:?}");
    }
    assert_eq!(kind(reset(StartAt::Offset(Offset::from(5)))), ErrorKind::OutOfRange);
    assert_eq!(committed(&broker, "billing", "orders"), Some(4));
}

/// A partition that cannot be opened has no lag: 0 would say that the group has read all of it.
#[test]
fn a_damaged_partition_has_no_lag() {
    let (disk, clock) = (SimDisk::new(), clock());
    let options = || Broker::options().clock(clock.clone()).maintenance(Maintenance::Manual);
    let broker = options().open_in(disk.root()).expect("room");
    fill(&broker, "orders");
    broker
        .reset_group_offsets("billing", [0, 1].map(|number| (place("orders", number), Offset::from(2))))
        .expect("room");
    assert_eq!(broker.describe_group("billing").expect("it is there").lag(), 6);
    broker.close().expect("room");
    disk.delete("orders/0/manifest").expect("it is there");

    let broker = options().open_in(disk.root()).expect("the other partition serves");
    let described = broker.describe_group("billing").expect("it is there");
    let [damaged, well] = &*described.partitions else { panic!("two are committed: {described:?}") };
    assert_eq!(damaged.committed.as_ref().map(|committed| committed.offset.get()), Some(2));
    assert_eq!((damaged.log_end_offset, damaged.lag()), (None, None));
    assert_eq!((well.log_end_offset, well.lag()), (Some(Offset::from(5)), Some(3)));
    assert_eq!(described.lag(), 3, "it leaves out what is not known");
}

#[test]
fn a_group_is_listed_described_reset_and_deleted() {
    let (disk, clock) = (MemoryDisk::new(), clock());
    let broker = open(&disk, &clock);
    assert!(broker.groups().expect("memory").is_empty());
    assert!(broker.topics().is_empty(), "to ask is not to make");
    fill(&broker, "orders");
    assert_eq!(kind(broker.describe_group("billing")), ErrorKind::NotFound);
    assert_eq!(kind(broker.describe_group("not a name")), ErrorKind::InvalidInput);
    assert_eq!(kind(broker.delete_group("billing")), ErrorKind::NotFound);
    let billing = member(&broker, "billing", "orders");
    billing.commit_offsets([(place("orders", 0), Offset::from(2))]).wait().expect("it is its own");
    let listed = broker.groups().expect("memory");
    assert_eq!((&*listed[0].name, listed[0].state), ("billing", GroupState::Stable));
    let described = broker.describe_group("billing").expect("it is there");
    assert_eq!((described.state, &*described.assignor), (GroupState::Stable, "cooperative-sticky"));
    assert_eq!(described.generation.get(), 1);
    let only = &described.members[0];
    assert_eq!(only.member_id, &*billing.member_id().expect("it is a member"));
    assert_eq!(only.assignment, [place("orders", 0), place("orders", 1)]);
    let lags: Vec<_> = described.partitions.iter().map(annals::group::GroupPartition::lag).collect();
    assert_eq!((lags, described.lag()), (vec![Some(3), None], 3));
    assert_eq!(described.partitions[1].member_id.as_ref(), Some(&only.member_id));

    let back = [(place("orders", 0), Offset::ZERO), (place("orders", 1), Offset::from(5))];
    assert_eq!(kind(broker.reset_group_offsets("billing", back.clone())), ErrorKind::Conflict);
    assert_eq!(kind(broker.delete_group("billing")), ErrorKind::Conflict);
    billing.close().expect("memory");
    let beyond = [(place("orders", 0), Offset::ZERO), (place("orders", 1), Offset::from(6))];
    assert_eq!(kind(broker.reset_group_offsets("billing", beyond.clone())), ErrorKind::OutOfRange);
    assert_eq!(kind(broker.reset_group_offsets("shipping", beyond)), ErrorKind::OutOfRange);
    assert_eq!(kind(broker.describe_group("shipping")), ErrorKind::NotFound);
    assert_eq!(broker.groups().expect("memory").len(), 1, "what is refused makes no group");
    assert_eq!(committed(&broker, "billing", "orders"), Some(2), "all or nothing");
    broker.reset_group_offsets("billing", back).expect("nobody is in it");
    assert_eq!(committed(&broker, "billing", "orders"), Some(0));
    let described = broker.describe_group("billing").expect("it is there");
    assert_eq!((described.state, described.lag(), &*described.assignor), (GroupState::Empty, 5, ""));
    broker.delete_group("billing").expect("nobody is in it");
    assert_eq!(kind(broker.describe_group("billing")), ErrorKind::NotFound);
    broker.close().expect("memory");
    assert!(open(&disk, &clock).groups().expect("memory").is_empty());
}

/// SEMANTICS 30: it waits for its data, and makes it durable.
#[test]
fn a_commit_of_what_is_only_written_waits_for_its_data() {
    let (disk, clock) = (MemoryDisk::new(), clock());
    let broker = open(&disk, &clock);
    let options = TopicOptions::new().partitions(2).durability(Durability::Written);
    let orders = broker.create_topic("orders", options).expect("memory");
    let partition = orders.partition(0).expect("it is there");
    partition.append([Record::new("a"), Record::new("b")]).wait().expect("memory");
    let options = broker.consumer().group("billing").subscribe(["orders"]).read_level(ReadLevel::Written);
    let mut billing = options.build().expect("it may join");
    assert_eq!(billing.poll(Duration::ZERO).expect("it is a member").len(), 2);
    assert_eq!(partition.durable_offset(), Offset::ZERO);
    let commit = billing.commit();
    let kept = broker.topic("__consumer_offsets").expect("it was made").partition(0).expect("memory");
    let before = kept.log_end_offset();
    assert_eq!(committed(&broker, "billing", "orders"), Some(2), "it holds at once");
    commit.wait().expect("it is its own");
    assert_eq!(partition.durable_offset(), Offset::from(2));
    assert!(kept.log_end_offset() > before, "it was stored only then");
    assert_eq!(kept.durable_offset(), kept.log_end_offset());
    // A later commit of less outdoes one that still waits.
    partition.append([Record::new("c")]).wait().expect("memory");
    assert_eq!(billing.poll(Duration::ZERO).expect("it is a member").len(), 1);
    let waits = billing.commit();
    billing.commit_offsets([(place("orders", 0), Offset::from(1))]).wait().expect("it is its own");
    waits.wait().expect("what outdid it is durable");
    broker.maintain().expect("memory");
    assert_eq!(committed(&broker, "billing", "orders"), Some(1));
    let error = billing.commit_offsets([(place("orders", 0), Offset::from(4))]).wait();
    assert_eq!(kind(error), ErrorKind::OutOfRange);
}

/// An earlier commit that waits for its data when a later one comes shares what becomes of that one. It said that it
/// was durable, and neither had been stored.
///
/// SEMANTICS 30
#[test]
fn a_commit_that_was_outdone_fails_with_what_outdid_it() {
    type Failing = fn(&SimDisk, &Partition);
    let failures: [(Failing, ErrorKind); 2] = [
        (
            |_, log| assert_eq!(log.truncate(Offset::from(11)).ok(), Some(Offset::from(11))),
            ErrorKind::Conflict,
        ),
        (|disk, _| disk.inject(Fault::new(Failure::Io).on(Op::Sync)), ErrorKind::Io),
    ];
    for (fail, expected) in failures {
        let disk = SimDisk::new();
        let options = Broker::options().clock(clock()).maintenance(Maintenance::Manual);
        let broker = options.open_in(disk.root()).expect("the disk is well");
        let orders = broker.create_topic("orders", TopicOptions::new()).expect("the disk is well");
        let log = orders.partition(0).expect("it is there");
        let options = broker.consumer().group("billing").subscribe(["orders"]).read_level(ReadLevel::Written);
        let mut billing = options.build().expect("it may join");
        billing.poll(Duration::ZERO).expect("it is a member");
        for _ in 0..12 {
            log.append_with(Durability::Written, [Record::new("a")]).wait().expect("there is room");
        }
        let commit = |offset: u32| billing.commit_offsets([(place("orders", 0), Offset::from(offset))]);
        let (outdone, last) = (commit(10), commit(12));
        fail(&disk, &log);
        assert_eq!(kind(last.wait()), expected);
        assert_eq!(kind(outdone.wait()), expected, "it was not stored either");
        assert_eq!(committed(&broker, "billing", "orders"), None);
    }
}

/// A commit was stored, its log lost that with a sync that failed and was reopened, and only then somebody waited for the
/// commit: he synced a log that did not have it.
///
/// SEMANTICS 30
#[test]
fn a_commit_that_its_log_has_lost_is_stored_again_before_it_is_acknowledged() {
    let disk = SimDisk::new();
    disk.set_failed_sync(FailedSync::CacheReverts);
    let open = |disk: &SimDisk| {
        let options = Broker::options().clock(clock()).maintenance(Maintenance::Manual);
        options.open_in(disk.root()).expect("the disk is well")
    };
    let broker = open(&disk);
    let orders = broker.create_topic("orders", TopicOptions::new()).expect("the disk is well");
    let log = orders.partition(0).expect("it is there");
    log.append_with(Durability::Written, [Record::new("a")]).wait().expect("there is room");
    let options = broker.consumer().group("billing").subscribe(["orders"]).read_level(ReadLevel::Written);
    let mut billing = options.build().expect("it may join");
    assert_eq!(billing.poll(Duration::ZERO).expect("it is a member").len(), 1);
    let commit = billing.commit();
    log.flush().wait().expect("the disk is well");
    // Now it can be stored. Its sync fails.
    disk.inject(Fault::new(Failure::Io).on(Op::Sync).within("__consumer_offsets"));
    drop(broker.maintain());
    assert_eq!(disk.faults_hit(), 1);
    let kept = broker.topic("__consumer_offsets").and_then(|topic| topic.partition(0)).expect("it was made");
    kept.reopen().expect("the disk is well again");
    commit.wait().expect("the disk is well again");
    assert_eq!(committed(&open(&disk.kill()), "billing", "orders"), Some(1));
}

/// Two groups wait for their data. That of one cannot be stored, and the other was told so, whose commit then held.
///
/// SEMANTICS 30
#[test]
fn a_commit_fails_for_its_own_group_alone() {
    for commits_anew in [false, true] {
        let disk = SimDisk::new();
        let options = Broker::options().clock(clock()).maintenance(Maintenance::Manual);
        let broker = options.open_in(disk.root()).expect("the disk is well");
        let join = |group: &str, topic: &str| {
            let made = broker.create_topic(topic, TopicOptions::new()).expect("the disk is well");
            let log = made.partition(0).expect("it is there");
            log.append_with(Durability::Written, [Record::new("a")]).wait().expect("there is room");
            let options = broker.consumer().group(group).subscribe([topic]).read_level(ReadLevel::Written);
            let mut member = options.build().expect("it may join");
            assert_eq!(member.poll(Duration::ZERO).expect("it is a member").len(), 1);
            (log, member)
        };
        let ((_, billing), (parcels, shipping)) = (join("billing", "orders"), join("shipping", "parcels"));
        let (mut own, other) = (billing.commit(), shipping.commit());
        // Nothing can be stored any more.
        disk.inject(Fault::new(Failure::Io).on(Op::Sync).within("__consumer_offsets"));
        let reset = broker.reset_group_offsets("third", [(place("orders", 0), Offset::ZERO)]);
        assert_eq!(kind(reset), ErrorKind::Io);
        parcels.flush().wait().expect("this log is well");
        if commits_anew {
            own = billing.commit();
        }
        assert!(Arc::new(Alarm::default()).poll(&mut own).is_pending(), "nothing is wrong with it");
        assert_eq!(kind(other.wait()), ErrorKind::Poisoned);
        let kept = broker.topic("__consumer_offsets").and_then(|topic| topic.partition(0));
        kept.and_then(|kept| kept.reopen()).expect("the disk is well again");
        own.wait().expect("the disk is well again");
        assert_eq!(committed(&broker, "billing", "orders"), Some(1));
        assert_eq!(committed(&broker, "shipping", "parcels"), None);
    }
}

/// A member that leaves with a commit that waits for its data left a group of which nothing was known but offsets: they
/// never expired, and a partition that was added later was not read from its beginning.
///
/// SEMANTICS 36: its time runs. SEMANTICS 38: what was added is read from its beginning.
#[test]
fn a_group_is_kept_whose_last_member_leaves_with_a_commit_that_waits() {
    let (disk, clock) = (MemoryDisk::new(), clock());
    let broker = open(&disk, &clock);
    let orders = broker.create_topic("orders", TopicOptions::new()).expect("memory");
    let append = |number: u32, level| {
        let partition = orders.partition(number).expect("it is there");
        partition.append_with(level, [Record::new("a")]).wait().expect("memory");
    };
    let join = || {
        let options = broker.consumer().group("billing").subscribe(["orders"]).start_at(StartAt::Latest);
        options.read_level(ReadLevel::Written).build().expect("it may join")
    };
    let mut billing = join();
    assert!(billing.poll(Duration::ZERO).expect("it is a member").is_empty());
    append(0, Durability::Written);
    assert_eq!(billing.poll(Duration::ZERO).expect("it is a member").len(), 1);
    drop(billing.commit());
    billing.close().expect("memory");
    assert_eq!(committed(&broker, "billing", "orders"), Some(1));
    broker.ensure_topic("orders", TopicOptions::new().partitions(2)).expect("memory");
    append(1, Durability::Durable);
    let mut billing = join();
    assert_eq!(
        billing.poll(Duration::ZERO).expect("it is a member").len(),
        1,
        "of the partition that was added"
    );
    append(0, Durability::Written);
    assert_eq!(billing.poll(Duration::ZERO).expect("it is a member").len(), 1);
    drop(billing.commit());
    billing.close().expect("memory");
    clock.advance(2 * DAY);
    broker.maintain().expect("memory");
    assert!(broker.groups().expect("memory").is_empty(), "its time is over");
}

#[test]
fn the_offsets_of_a_deleted_topic_go_and_its_successor_has_none() {
    let (disk, clock) = (MemoryDisk::new(), clock());
    let broker = open(&disk, &clock);
    fill(&broker, "orders");
    let billing = member(&broker, "billing", "orders");
    billing.commit().wait().expect("it is its own");
    billing.close().expect("memory");
    broker.delete_topic("orders").expect("memory");
    assert_eq!(committed(&broker, "billing", "orders"), None);
    fill(&broker, "orders");
    assert_eq!(committed(&broker, "billing", "orders"), None);
    let mut billing = broker.consumer().group("billing").subscribe(["orders"]).build().expect("it may join");
    let polled = billing.poll(Duration::ZERO).expect("it is a member");
    assert_eq!(polled.len(), 10, "from the beginning");
}

#[test]
fn the_internal_topic_is_kept_by_the_broker_alone() {
    let (disk, clock) = (MemoryDisk::new(), clock());
    let broker = open(&disk, &clock);
    let name = "__consumer_offsets";
    assert_eq!(kind(broker.create_topic(name, TopicOptions::new())), ErrorKind::InvalidInput);
    fill(&broker, "orders");
    let billing = member(&broker, "billing", "orders");
    billing.commit().wait().expect("it is its own");
    assert_eq!(kind(broker.ensure_topic(name, TopicOptions::new().partitions(2))), ErrorKind::InvalidInput);
    assert_eq!(kind(broker.delete_topic(name)), ErrorKind::InvalidInput);
    let kept = broker.topic(name).expect("it is listed").partition(0).expect("it can be read");
    assert_eq!(kind(kept.append([Record::new("mine").key("k")]).wait()), ErrorKind::ReadOnly);
    assert_eq!(
        kind(kept.append_if(kept.log_end_offset(), [Record::new("mine")]).wait()),
        ErrorKind::ReadOnly
    );
    assert_eq!(kind(kept.delete_records(kept.log_end_offset())), ErrorKind::ReadOnly);
    assert_eq!(kind(kept.truncate(Offset::ZERO)), ErrorKind::ReadOnly);
    assert_eq!(kind(kept.close()), ErrorKind::ReadOnly);
    assert!(kept.read(kept.log_start_offset()).level(ReadLevel::Written).next().is_some());
    billing.commit().wait().expect("nothing has changed");
    // By a rule nobody gets it, by its name anybody.
    let mut all = broker.consumer().group("all").subscribe_matching(|_| true).build().expect("it may join");
    all.poll(Duration::ZERO).expect("it is a member");
    assert!(all.assignment().iter().all(|place| place.topic() == "orders"), "{:?}", all.assignment());
    let mut named = broker.consumer().group("named").subscribe([name]).build().expect("it may join");
    assert!(!named.poll(Duration::ZERO).expect("it is a member").is_empty());
}

/// However often a group commits, the log of commits stays short.
#[test]
fn the_log_of_commits_stays_short() {
    let (disk, clock) = (MemoryDisk::new(), clock());
    let broker = open(&disk, &clock);
    fill(&broker, "orders");
    let billing = member(&broker, "billing", "orders");
    for round in 0..6_000_u32 {
        billing.commit_offsets([(place("orders", 0), Offset::from(round % 6))]).wait().expect("its own");
        if round.is_multiple_of(50) {
            broker.maintain().expect("memory");
        }
    }
    let kept = broker.topic("__consumer_offsets").expect("it was made").partition(0).expect("memory");
    let count = kept.log_end_offset().since(kept.log_start_offset());
    assert!(count < 1_200, "{count} records are kept");
    broker.close().expect("memory");
    let again = open(&disk, &clock);
    assert_eq!(committed(&again, "billing", "orders"), Some(5_999 % 6));
}
