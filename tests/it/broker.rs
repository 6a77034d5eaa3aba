//! What a broker does with topics: create, change, delete, open again, refuse.

use crate::basics::{tempdir, values};
use annals::clock::ManualClock;
use annals::io::{Access, Dir, MemoryDisk, write_all};
use annals::{
    Broker, BrokerOptions, Durability, ErrorKind, Maintenance, Offset, OnRefusal, Partition, ReadLevel,
    Record, Retention, Timestamp, TimestampSource, Topic, TopicOptions, TopicPartition,
};
use std::sync::Arc;
use std::time::Duration;

fn options() -> BrokerOptions {
    Broker::options().maintenance(Maintenance::Manual).seed(7)
}

fn open(disk: &MemoryDisk) -> Broker {
    options().open_in(disk.root()).expect("memory has room")
}

fn append(topic: &Topic, number: u32, value: &str) {
    let partition = topic.partition(number).expect("the partition is well");
    partition.append([Record::new(value)]).wait().expect("memory has room");
}

fn read(topic: &Topic, number: u32) -> Vec<String> {
    values(&topic.partition(number).expect("the partition is well"), 0)
}

fn kind<T: std::fmt::Debug>(result: annals::Result<T>) -> ErrorKind {
    result.expect_err("it must be refused").kind()
}

fn names(dir: &Arc<dyn Dir>) -> Vec<String> {
    let mut names: Vec<_> = dir.list().expect("memory lists").into_iter().map(|entry| entry.name).collect();
    names.sort();
    names
}

#[test]
fn handles_can_be_shared() {
    fn shared<T: Clone + Send + Sync>() {}
    shared::<Broker>();
    shared::<Topic>();
    shared::<Partition>();
    shared::<annals::Producer>();
}

#[test]
fn topics_and_their_records_are_found_again() {
    for maintenance in [Maintenance::Threads, Maintenance::Manual] {
        let disk = MemoryDisk::new();
        let options = || Broker::options().maintenance(maintenance);
        let mut id = None;
        for round in 0..4 {
            let broker = options().open_in(disk.root()).expect("memory has room");
            let report = broker.recovery_report();
            assert_eq!(report.partition_count, if round == 0 { 0 } else { 3 });
            assert!(report.recovered.is_empty() && report.refused.is_empty(), "{report:?}");
            let orders = broker.ensure_topic("orders", TopicOptions::new().partitions(3)).expect("room");
            assert_eq!((orders.name(), orders.partition_count()), ("orders", 3));
            assert_eq!(*id.get_or_insert(orders.id()), orders.id());
            for number in 0..3 {
                let expected: Vec<_> = (0..round).map(|round| format!("{round}-{number}")).collect();
                assert_eq!(read(&orders, number), expected);
                append(&orders, number, &format!("{round}-{number}"));
            }
            // Dropping the last handle closes as well as closing does.
            if round % 2 == 0 {
                broker.close().expect("nothing fails");
            }
        }
    }
}

#[test]
fn what_is_created_twice_or_missing_is_refused() {
    let broker = open(&MemoryDisk::new());
    broker.create_topic("a", TopicOptions::new()).expect("memory has room");
    assert_eq!(kind(broker.create_topic("a", TopicOptions::new())), ErrorKind::AlreadyExists);
    assert_eq!(kind(broker.topic("b")), ErrorKind::NotFound);
    assert_eq!(kind(broker.delete_topic("b")), ErrorKind::NotFound);
    let a = broker.topic("a").expect("it was created");
    assert_eq!(a.partition_count(), 1);
    let error = a.partition(1).expect_err("there is only 0");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("topic a has 1 partitions"), "{error}");
    let listed: Vec<_> = broker.topics().iter().map(|topic| topic.name().to_owned()).collect();
    assert_eq!(listed, ["a"]);
}

/// DESIGN D9
#[test]
fn names_that_escape_create_nothing() {
    let disk = MemoryDisk::new();
    let broker = open(&disk);
    let long = "x".repeat(250);
    for name in ["", ".", "..", "../x", "a/b", "a\\b", "a\0", "ä", "LOCK", "catalog", "catalog-new", &long] {
        assert_eq!(kind(broker.create_topic(name, TopicOptions::new())), ErrorKind::InvalidInput, "{name:?}");
        assert_eq!(kind(broker.ensure_topic(name, TopicOptions::new())), ErrorKind::InvalidInput);
        assert_eq!(kind(broker.topic(name)), ErrorKind::InvalidInput);
        assert_eq!(kind(broker.delete_topic(name)), ErrorKind::InvalidInput);
    }
    assert_eq!(names(&disk.root()), ["LOCK", "catalog"]);
    broker.create_topic(&long[..249], TopicOptions::new()).expect("the longest name");
}

#[test]
fn options_that_are_named_change_and_survive_reopening() {
    let disk = MemoryDisk::new();
    let broker = open(&disk);
    let named = TopicOptions::new()
        .partitions(2)
        .segment_bytes_max(32 << 10)
        .segment_age_max(Duration::from_secs(90))
        .batch_bytes_max(4 << 10)
        .retention(Retention::AgeOrBytes(Duration::from_secs(60), 1 << 20))
        .timestamps(TimestampSource::LogAppendTime)
        .durability(Durability::Written)
        .read_level(ReadLevel::Written);
    let topic = broker.create_topic("t", named).expect("memory has room");
    let settings = topic.settings();
    assert_eq!(settings.retention, Retention::AgeOrBytes(Duration::from_secs(60), 1 << 20));
    assert_eq!((settings.durability, settings.read_level), (Durability::Written, ReadLevel::Written));
    broker.close().expect("nothing fails");

    let broker = open(&disk);
    let topic = broker.topic("t").expect("it was created");
    assert_eq!(topic.settings(), settings);
    let partition = topic.partition(0).expect("it is well");
    let appended = partition.append([Record::new("a")]).wait().expect("room");
    assert_eq!(appended.durability(), Durability::Written);
    // An open partition goes by a new value at once.
    let large = [Record::new(&[7; 5_000])];
    assert_eq!(kind(partition.append(large.clone()).wait()), ErrorKind::TooLarge);
    let changed = TopicOptions::new().batch_bytes_max(64 << 10).durability(Durability::Durable);
    broker.ensure_topic("t", changed).expect("in bounds");
    let appended = partition.append(large).wait().expect("it fits now");
    assert_eq!(appended.durability(), Durability::Durable);
    let larger_than_a_segment = [Record::new(&[7; 60_000])];
    partition.append(larger_than_a_segment).wait().expect("a batch gets a segment of its own");
    assert_eq!(
        kind(broker.ensure_topic("t", TopicOptions::new().segment_bytes_max(1))),
        ErrorKind::InvalidInput
    );
    let expected = topic.settings();
    assert_eq!((expected.batch_bytes_max, expected.segment_bytes_max), (64 << 10, 32 << 10));
    broker.close().expect("nothing fails");
    let topic = open(&disk).topic("t").expect("it was created");
    assert_eq!(topic.settings(), expected);
    assert_eq!(topic.partition_count(), 2);
}

#[test]
fn the_durability_of_the_broker_is_that_of_new_topics() {
    let disk = MemoryDisk::new();
    let broker = options().durability(Durability::Written).open_in(disk.root()).expect("memory has room");
    let topic = broker.create_topic("t", TopicOptions::new()).expect("room");
    assert_eq!(topic.settings().durability, Durability::Written);
    broker.close().expect("nothing fails");
    assert_eq!(open(&disk).topic("t").expect("it is there").settings().durability, Durability::Written);
}

#[test]
fn partitions_are_added_and_never_taken_away() {
    let disk = MemoryDisk::new();
    let broker = open(&disk);
    let topic = broker.create_topic("t", TopicOptions::new().partitions(2)).expect("room");
    append(&topic, 1, "kept");
    assert_eq!(kind(broker.ensure_topic("t", TopicOptions::new().partitions(1))), ErrorKind::InvalidInput);
    assert_eq!(kind(broker.ensure_topic("t", TopicOptions::new().partitions(0))), ErrorKind::InvalidInput);
    broker.ensure_topic("t", TopicOptions::new().partitions(5)).expect("room");
    assert_eq!(topic.partition_count(), 5, "a handle that was there sees them");
    append(&topic, 4, "new");
    assert_eq!(topic.partition(4).expect("it is new").stats().partition, 4);
    broker.close().expect("nothing fails");
    let topic = open(&disk).topic("t").expect("it is there");
    drop(topic);
    let broker = open(&disk);
    let topic = broker.topic("t").expect("it is there");
    assert_eq!(
        (topic.partition_count(), read(&topic, 1), read(&topic, 4)),
        (5, vec!["kept".into()], vec!["new".into()])
    );
}

/// DESIGN D9
#[test]
fn a_recreated_topic_has_nothing_of_its_predecessor() {
    let disk = MemoryDisk::new();
    let broker = open(&disk);
    let old = broker.create_topic("t", TopicOptions::new().partitions(3)).expect("room");
    append(&old, 2, "old");
    let held = old.partition(2).expect("it is well");
    let records = held.read(Offset::ZERO).next().expect("one batch").expect("it is good");
    broker.delete_topic("t").expect("memory removes");
    assert_eq!(names(&disk.root()), ["LOCK", "catalog"]);
    assert_eq!(records.into_iter().count(), 1, "what was read stays valid");
    assert_eq!(kind(broker.topic("t")), ErrorKind::NotFound);
    let new = broker.create_topic("t", TopicOptions::new()).expect("room");
    assert_ne!(new.id(), old.id());
    assert_eq!(read(&new, 0), [] as [&str; 0]);
    assert_eq!(kind(old.partition(0)), ErrorKind::NotFound);
    assert_eq!(kind(held.append([Record::new("x")]).wait()), ErrorKind::Closed);
    broker.close().expect("nothing fails");
    let broker = open(&disk);
    assert_eq!(broker.topic("t").expect("it is there").id(), new.id());
}

#[test]
fn a_closed_broker_says_so_through_every_handle() {
    let disk = MemoryDisk::new();
    let broker = options().maintenance(Maintenance::Threads).open_in(disk.root()).expect("room");
    let clone = broker.clone();
    let topic = broker.create_topic("t", TopicOptions::new()).expect("room");
    let partition = topic.partition(0).expect("it is well");
    broker.close().expect("nothing fails");
    clone.close().expect("a second close does nothing");
    assert_eq!(kind(clone.topic("t")), ErrorKind::Closed);
    assert_eq!(kind(clone.create_topic("u", TopicOptions::new())), ErrorKind::Closed);
    assert_eq!(kind(clone.ensure_topic("t", TopicOptions::new())), ErrorKind::Closed);
    assert_eq!(kind(clone.delete_topic("t")), ErrorKind::Closed);
    assert_eq!(kind(clone.maintain()), ErrorKind::Closed);
    assert_eq!(kind(topic.partition(0)), ErrorKind::Closed);
    assert_eq!(kind(partition.append([Record::new("x")]).wait()), ErrorKind::Closed);
    assert!(clone.topics().is_empty());
}

#[test]
fn the_holder_of_the_lock_is_named_and_closing_releases_it() {
    let dir = tempdir();
    let broker = Broker::open(&dir).expect("a new directory");
    let error = Broker::open(&dir).expect_err("it is open");
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    let topic = broker.create_topic("t", TopicOptions::new()).expect("room");
    drop(broker);
    // A topic alone does not keep the broker open.
    let again = Broker::open(&dir).expect("the last handle was dropped");
    assert_eq!(kind(topic.partition(0)), ErrorKind::Closed);
    again.close().expect("nothing fails");
    drop(std::fs::remove_dir_all(&dir));
}

#[test]
fn a_partition_s_directory_is_no_broker_s() {
    let disk = MemoryDisk::new();
    Partition::options().open_in(disk.root()).expect("room").close().expect("nothing fails");
    assert_eq!(kind(options().open_in(disk.root())), ErrorKind::InvalidInput);
}

fn topic_dir(disk: &MemoryDisk, topic: &str, number: &str) -> Arc<dyn Dir> {
    disk.root().open_dir(topic).expect("the topic is there").open_dir(number).expect("so is the partition")
}

/// A disk with topic `t` of three partitions, each with one record.
fn three() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let broker = open(&disk);
    let topic = broker.create_topic("t", TopicOptions::new().partitions(3)).expect("room");
    (0..3).for_each(|number| append(&topic, number, &number.to_string()));
    broker.close().expect("nothing fails");
    disk
}

/// DESIGN D14
#[test]
fn one_damaged_partition_is_refused_while_the_others_serve() {
    let log = "00000000000000000000.log";
    type Spoil = fn(&Arc<dyn Dir>);
    let spoils: [(&str, Spoil); 4] = [
        ("a damaged header", |dir| {
            let file = dir.open("00000000000000000000.log", Access::ReadWrite).expect("the segment");
            write_all(&*file, &[0xff; 4], 20).expect("memory has room");
        }),
        ("no segment", |dir| dir.remove("00000000000000000000.log").expect("it is there")),
        ("no manifest", |dir| dir.remove("manifest").expect("it is there")),
        ("nothing", |dir| {
            for entry in dir.list().expect("memory lists") {
                dir.remove(&entry.name).expect("it is there");
            }
        }),
    ];
    for (what, spoil) in spoils {
        let disk = three();
        assert!(names(&topic_dir(&disk, "t", "1")).contains(&log.to_owned()));
        spoil(&topic_dir(&disk, "t", "1"));
        let broker = open(&disk);
        let report = broker.recovery_report();
        assert_eq!(report.refused.len(), 1, "{what}");
        assert_eq!(report.refused[0].0, TopicPartition::new("t", 1));
        let topic = broker.topic("t").expect("it is there");
        assert_eq!(kind(topic.partition(1)), ErrorKind::Corrupt, "{what}");
        assert_eq!(broker.stats().refused.len(), 1);
        for number in [0, 2] {
            append(&topic, number, "more");
            assert_eq!(read(&topic, number), [number.to_string(), "more".into()]);
        }
        broker.close().expect("those that are open are well");
        let strict = options().on_refusal(OnRefusal::FailOpen).open_in(disk.root());
        let error = strict.expect_err("a partition is refused");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("t-1"), "{error}");
        // It can be deleted with its topic nevertheless.
        let broker = open(&disk);
        broker.delete_topic("t").expect("damage is no hindrance");
        assert_eq!(names(&disk.root()), ["LOCK", "catalog"], "{what}");
    }
}

#[test]
fn a_partition_that_is_gone_with_its_directory_is_not_made_anew() {
    let disk = three();
    let dir = topic_dir(&disk, "t", "1");
    names(&dir).iter().for_each(|name| dir.remove(name).expect("it is there"));
    disk.root().open_dir("t").expect("the topic").remove_dir("1").expect("it is empty");
    let broker = open(&disk);
    assert_eq!(kind(broker.topic("t").expect("it is there").partition(1)), ErrorKind::Corrupt);
    assert_eq!(names(&disk.root().open_dir("t").expect("the topic")), ["0", "2"]);
}

#[test]
fn a_lost_catalog_is_not_replaced_by_an_empty_one() {
    let disk = three();
    disk.root().remove("catalog").expect("it is there");
    assert_eq!(kind(options().open_in(disk.root())), ErrorKind::Corrupt);
}

#[test]
fn what_is_not_of_a_topic_is_never_touched() {
    let disk = MemoryDisk::new();
    let root = disk.root();
    let broker = open(&disk);
    // Somebody's own files, where partitions 1 of one topic and 0 of another are to be.
    for (topic, number) in [("t", "1"), ("u", "0")] {
        let theirs = root.create_dir(topic).expect("free").create_dir(number).expect("free");
        theirs.create("notes.txt").expect("free");
    }
    Partition::options()
        .open_in(root.open_dir("u").expect("made").open_dir("0").expect("made"))
        .expect("room");
    assert_eq!(kind(broker.create_topic("t", TopicOptions::new().partitions(2))), ErrorKind::AlreadyExists);
    assert_eq!(kind(broker.create_topic("u", TopicOptions::new())), ErrorKind::AlreadyExists);
    assert_eq!(names(&root.open_dir("t").expect("theirs")), ["1"], "what was made of it is taken back");
    let t = broker.create_topic("t", TopicOptions::new()).expect("0 is free");
    append(&t, 0, "ours");
    assert_eq!(kind(broker.ensure_topic("t", TopicOptions::new().partitions(2))), ErrorKind::AlreadyExists);
    assert_eq!((t.partition_count(), read(&t, 0)), (1, vec!["ours".to_owned()]));
    broker.delete_topic("t").expect("theirs is no hindrance");
    broker.close().expect("nothing fails");
    let theirs = |topic: &str, number| names(&root.open_dir(topic).expect("t").open_dir(number).expect("n"));
    assert_eq!(names(&root.open_dir("t").expect("theirs")), ["1"]);
    assert_eq!(theirs("t", "1"), ["notes.txt"]);
    assert!(theirs("u", "0").contains(&"manifest".to_owned()));
}

#[test]
fn a_full_disk_leaves_nothing_of_a_new_topic_and_lets_an_old_one_go() {
    let disk = MemoryDisk::with_budget(400 << 10);
    let broker = open(&disk);
    let topic = broker.create_topic("t", TopicOptions::new()).expect("there is room");
    assert_eq!(kind(broker.create_topic("u", TopicOptions::new().partitions(64))), ErrorKind::NoSpace);
    assert_eq!(names(&disk.root()), ["LOCK", "catalog", "t"]);
    let partition = topic.partition(0).expect("it is well");
    let full = (0..1_000).find_map(|_| partition.append([Record::new(&[7; 1_000])]).wait().err());
    assert_eq!(full.expect("400 KiB are full by now").kind(), ErrorKind::NoSpace);
    broker.delete_topic("t").expect("a deletion needs no room");
    // Handles to what was deleted hold its disk space, as readers do.
    drop((partition, topic));
    broker.create_topic("u", TopicOptions::new()).expect("there is room again");
}

/// A clock, and a broker that goes by it.
fn timed(disk: &MemoryDisk) -> (ManualClock, Broker) {
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let broker = options().clock(clock.clone()).open_in(disk.root()).expect("memory has room");
    (clock, broker)
}

#[test]
fn an_idle_partition_rests_and_wakes_when_it_is_asked_for() {
    let (clock, broker) = timed(&MemoryDisk::new());
    let topic = broker.create_topic("t", TopicOptions::new().partitions(2)).expect("room");
    assert_eq!(broker.stats().open_count, 0);
    append(&topic, 0, "a");
    let held = topic.partition(1).expect("it is well");
    for _ in 0..4 {
        clock.advance(Duration::from_secs(20));
        broker.maintain().expect("nothing fails");
    }
    let stats = broker.stats();
    assert_eq!((stats.open_count, stats.partitions.len()), (1, 2));
    assert_eq!(stats.partitions[0].1.log_end_offset, Offset::from(1), "what it was when it was closed");
    held.append([Record::new("held")]).wait().expect("whoever holds it notices nothing");
    assert_eq!(read(&topic, 0), ["a"]);
    // A reader alone keeps it open.
    let mut reader = topic.partition(0).expect("it is well").read(Offset::ZERO);
    for _ in 0..4 {
        clock.advance(Duration::from_secs(20));
        broker.maintain().expect("nothing fails");
    }
    assert_eq!(broker.stats().open_count, 2);
    assert!(reader.next().expect("a batch").is_ok());
}

#[test]
fn retention_reaches_partitions_at_rest() {
    let (clock, broker) = timed(&MemoryDisk::new());
    let week = Retention::Age(Duration::from_secs(7 * 86_400));
    let topic = broker.create_topic("t", TopicOptions::new().retention(week)).expect("room");
    let other = broker.create_topic("other", TopicOptions::new()).expect("room");
    append(&topic, 0, "old");
    append(&other, 0, "old");
    for _ in 0..3 {
        clock.advance(Duration::from_secs(31));
        broker.maintain().expect("nothing fails");
    }
    assert_eq!(broker.stats().open_count, 0);
    clock.advance(Duration::from_secs(7 * 86_400));
    broker.maintain().expect("nothing fails");
    let start = |broker: &Broker, at: usize| broker.stats().partitions[at].1.log_start_offset;
    assert_eq!(broker.stats().open_count, 0, "it rests again");
    assert_eq!((start(&broker, 0), start(&broker, 1)), (Offset::ZERO, Offset::from(1)));
    // A policy that is set while the partition rests holds for it as well.
    broker.ensure_topic("other", TopicOptions::new().retention(week)).expect("in bounds");
    assert_eq!(start(&broker, 0), Offset::from(1));
}

/// A wall clock that jumps a year ahead deletes nothing, whether the partition is open or at rest meanwhile.
#[test]
fn a_jump_of_the_clock_expires_nothing_at_rest() {
    let (clock, broker) = timed(&MemoryDisk::new());
    let week = Retention::Age(Duration::from_secs(7 * 86_400));
    let topic = broker.create_topic("t", TopicOptions::new().retention(week)).expect("room");
    append(&topic, 0, "kept");
    for _ in 0..3 {
        clock.advance(Duration::from_secs(31));
        broker.maintain().expect("nothing fails");
    }
    clock.set(Timestamp::from_millis(31_536_000_000));
    broker.maintain().expect("nothing fails");
    let partition = topic.partition(0).expect("it is well");
    partition.maintain().expect("nothing fails");
    assert_eq!(values(&partition, 0), ["kept"]);
}

#[test]
fn a_partition_that_somebody_closed_is_opened_again() {
    let broker = open(&MemoryDisk::new());
    let topic = broker.create_topic("t", TopicOptions::new()).expect("room");
    append(&topic, 0, "a");
    topic.partition(0).expect("it is well").close().expect("nothing fails");
    append(&topic, 0, "b");
    assert_eq!(read(&topic, 0), ["a", "b"]);
}

#[test]
fn a_follower_reads_beside_the_broker() {
    let disk = MemoryDisk::new();
    let broker = open(&disk);
    let topic = broker.create_topic("t", TopicOptions::new().partitions(2)).expect("room");
    append(&topic, 1, "a");
    let beside = annals::BrokerFollower::open_in(disk.root()).expect("the catalog is there");
    let same = beside.clone();
    let described = beside.topic("t").expect("it was created");
    assert_eq!(
        (described.id, described.partition_count, described.settings),
        (topic.id(), 2, topic.settings())
    );
    let follower = beside.partition("t", 1).expect("it is there");
    assert_eq!(follower.log_end_offset(), Offset::from(1));
    append(&topic, 1, "b");
    follower.refresh().expect("memory reads");
    assert_eq!(follower.log_end_offset(), Offset::from(2));
    assert_eq!(kind(beside.partition("t", 2)), ErrorKind::NotFound);
    assert_eq!(kind(beside.partition("u", 0)), ErrorKind::NotFound);
    broker.create_topic("u", TopicOptions::new()).expect("room");
    broker.delete_topic("t").expect("memory removes");
    assert_eq!(kind(beside.partition("t", 1)), ErrorKind::NotFound);
    broker.create_topic("t", TopicOptions::new().partitions(2)).expect("room");
    assert_eq!(kind(beside.partition("t", 1)), ErrorKind::NotFound, "it is another topic");
    beside.refresh().expect("memory reads");
    assert_eq!(same.topics(), beside.topics(), "clones know the same");
    let listed: Vec<_> = beside.topics().into_iter().map(|topic| topic.name).collect();
    assert_eq!(listed, ["t", "u"]);
    assert_eq!(beside.partition("t", 1).expect("it is there").log_end_offset(), Offset::ZERO);
    let nothing = annals::BrokerFollower::open_in(MemoryDisk::new().root());
    assert_eq!(kind(nothing), ErrorKind::NotFound);
    assert_eq!(kind(annals::BrokerFollower::open(tempdir())), ErrorKind::NotFound);
}
