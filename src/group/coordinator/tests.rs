//! The coordinator by itself, event by event.

mod in_process;
mod remote;
mod timers;

use super::*;
use crate::TopicId;
use crate::group::{Assignor, Range};
use in_process::poll;

const SECOND: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_secs(300);
const SESSION: Duration = Duration::from_secs(45);

/// Topics with these partition counts; the identity of each is made of its name and `life`.
fn topics(version: u64, counts: &[(&str, u32)], life: u8) -> Arc<Topics> {
    let facts = |&(name, partition_count): &(&str, u32)| {
        let mut id = [life; 16];
        id[0] = name.as_bytes()[0];
        (Arc::from(name), TopicFacts { id: TopicId::from_bytes(id), partition_count })
    };
    Arc::new(Topics::new(version, counts.iter().map(facts)))
}

/// From now on there are these topics.
fn turn_topics(group: &mut Coordinator, counts: &[(&str, u32)], life: u8) {
    let topics = topics(group.topics.version + 1, counts, life);
    group.topics_changed(&topics, SECOND);
}

/// An empty group where there is topic "t" with four partitions.
fn group() -> Coordinator {
    Coordinator::new(Generation::NONE, topics(1, &[("t", 4)], 1))
}

fn newcomer(id: &str, wanted: &[&str]) -> Newcomer {
    let assignor: Arc<dyn Assignor> = Arc::new(Range);
    Newcomer {
        id: id.into(),
        instance_id: None,
        client_id: "test".into(),
        topics: wanted.iter().map(|topic| Arc::from(*topic)).collect(),
        assignors: vec![assignor],
        poll_interval: INTERVAL,
        session_timeout: SESSION,
    }
}

fn of_instance(id: &str, instance: &str) -> Newcomer {
    Newcomer { instance_id: Some(instance.into()), ..newcomer(id, &["t"]) }
}

fn id(text: &str) -> Arc<str> {
    Arc::from(text)
}

fn place(number: u32) -> TopicPartition {
    TopicPartition::new("t", number)
}

fn numbers<'a>(places: impl IntoIterator<Item = &'a TopicPartition>) -> Vec<u32> {
    places.into_iter().map(TopicPartition::partition).collect()
}

/// What a member holds of topic "t".
fn held(group: &Coordinator, member: &str) -> Vec<u32> {
    group.members.get(member).map(|member| numbers(member.held.keys())).unwrap_or_default()
}

/// What is true of every group at every moment.
fn check(group: &Coordinator) {
    let mut held: BTreeMap<TopicPartition, Arc<str>> = BTreeMap::new();
    for (id, member) in &group.members {
        for partition in member.held.keys() {
            let other = held.insert(partition.clone(), id.clone());
            assert_eq!(other, None, "{partition} has two holders");
        }
    }
    assert_eq!(held, group.holders);
    assert_eq!(group.remote_count, group.members.values().filter(|member| member.is_remote()).count());
    assert_eq!(group.members.is_empty(), matches!(group.state, GroupState::Empty | GroupState::Dead));
    for (instance, id) in &group.instances {
        assert_eq!(group.members[id].instance_id.as_ref(), Some(instance));
    }
}

/// Who was called.
fn called(group: &mut Coordinator) -> Vec<Arc<str>> {
    let effects = group.take_effects();
    let mut called: Vec<_> = effects
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Wake(id) | Effect::Fence(id) => Some(id),
            _ => None,
        })
        .collect();
    called.sort();
    called.dedup();
    called
}

/// Lets these poll in turn until nothing is new, and says how many rounds that took.
fn settle(group: &mut Coordinator, members: &[&str], now: Duration) -> usize {
    for round in 0..10 {
        if group.state() == GroupState::Stable {
            return round;
        }
        for member in members {
            poll(group, member, now);
        }
    }
    panic!("not settled: {group:?}");
}
