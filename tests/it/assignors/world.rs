//! A group whose members, topics and subscriptions keep changing, and what every assignment of it costs.

use annals::TopicPartition;
use annals::group::{Assignment, Generation, GroupSubscription, Subscription};
use std::collections::{BTreeMap, BTreeSet};

/// Whether all members want the same topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscriptions {
    Equal,
    Unequal,
}

/// How large a group gets.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub members: usize,
    pub topics: usize,
    /// Of all topics together.
    pub partitions: u32,
}

#[derive(Clone, Debug)]
struct Member {
    topics: BTreeSet<String>,
    instance: Option<String>,
    /// What it was assigned last, and when.
    generation: u32,
    owned: Vec<TopicPartition>,
}

#[derive(Debug)]
pub struct World {
    subscriptions: Subscriptions,
    bounds: Bounds,
    topics: BTreeMap<String, u32>,
    members: BTreeMap<String, Member>,
    /// Members that left and remember what they had.
    away: Vec<(String, Member)>,
    generation: u32,
    /// What the next member or topic is called.
    next_name: u32,
}

impl World {
    pub fn new(subscriptions: Subscriptions, bounds: Bounds) -> Self {
        let (topics, members, away) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { subscriptions, bounds, topics, members, away, generation: 0, next_name: 0 }
    }

    /// Changes something; one time in eight several things at once.
    pub fn change(&mut self, rng: &mut fastrand::Rng) {
        let count = if rng.u8(..8) == 0 { rng.usize(2..=self.bounds.members) } else { 1 };
        for _ in 0..count {
            match rng.u8(..20) {
                0..6 => self.join(rng),
                6..11 => self.leave(rng),
                11..13 => self.come_back(rng),
                13..16 => self.add_partitions(rng),
                16..18 => self.add_topic(rng),
                18 => self.delete_topic(rng),
                _ => self.subscribe_anew(rng),
            }
        }
    }

    fn join(&mut self, rng: &mut fastrand::Rng) {
        if self.members.len() < self.bounds.members {
            let topics = self.some_topics(rng);
            let instance = if rng.u8(..4) == 0 { Some(format!("i{}", rng.u16(..))) } else { None };
            let member = Member { topics, instance, generation: 0, owned: Vec::new() };
            let name = self.name('m', rng);
            self.members.insert(name, member);
        }
    }

    fn leave(&mut self, rng: &mut fastrand::Rng) {
        if let Some(id) = any(self.members.keys(), rng) {
            let member = self.members.remove(&id).expect("it was just there");
            if rng.bool() {
                self.away.push((id, member));
            }
        }
    }

    /// A member returns that missed some generations, and says what it had.
    fn come_back(&mut self, rng: &mut fastrand::Rng) {
        if !self.away.is_empty() && self.members.len() < self.bounds.members {
            let (id, mut member) = self.away.swap_remove(rng.usize(..self.away.len()));
            if self.subscriptions == Subscriptions::Equal {
                member.topics = self.some_topics(rng);
            }
            self.members.insert(id, member);
        }
    }

    fn add_partitions(&mut self, rng: &mut fastrand::Rng) {
        let room = self.bounds.partitions - self.topics.values().sum::<u32>();
        if let Some(name) = any(self.topics.keys(), rng) {
            *self.topics.get_mut(&name).expect("it was just there") += rng.u32(0..=room.min(4));
        }
    }

    fn add_topic(&mut self, rng: &mut fastrand::Rng) {
        let room = self.bounds.partitions - self.topics.values().sum::<u32>();
        if self.topics.len() < self.bounds.topics {
            let name = self.name('t', rng);
            self.topics.insert(name.clone(), rng.u32(0..=room.min(12)));
            for member in self.members.values_mut() {
                if self.subscriptions == Subscriptions::Equal || rng.bool() {
                    member.topics.insert(name.clone());
                }
            }
        }
    }

    /// Members stay subscribed to it, and say that they own its partitions.
    fn delete_topic(&mut self, rng: &mut fastrand::Rng) {
        if let Some(name) = any(self.topics.keys(), rng) {
            self.topics.remove(&name);
        }
    }

    fn subscribe_anew(&mut self, rng: &mut fastrand::Rng) {
        if self.subscriptions == Subscriptions::Unequal
            && let Some(id) = any(self.members.keys(), rng)
        {
            let topics = self.some_topics(rng);
            self.members.get_mut(&id).expect("it was just there").topics = topics;
        }
    }

    fn some_topics(&self, rng: &mut fastrand::Rng) -> BTreeSet<String> {
        let all = self.topics.keys().cloned();
        all.filter(|_| self.subscriptions == Subscriptions::Equal || rng.u8(..3) > 0).collect()
    }

    /// Names do not come in the order of their age.
    fn name(&mut self, letter: char, rng: &mut fastrand::Rng) -> String {
        self.next_name += 1;
        format!("{letter}{}-{}", rng.u8(..10), self.next_name)
    }

    /// As an assignor is told.
    pub fn group(&self) -> GroupSubscription {
        let topics = self.topics.iter();
        let group = topics
            .fold(GroupSubscription::new(), |group, (name, count)| group.with_topic(name.as_str(), *count));
        self.members.iter().fold(group, |group, (id, member)| {
            let generation = Generation::new(member.generation).expect("few generations pass");
            let topics = member.topics.iter().map(String::as_str);
            let subscription = Subscription::new(topics).with_owned(generation, member.owned.iter().cloned());
            let subscription = match &member.instance {
                Some(instance) => subscription.with_instance_id(instance.as_str()),
                None => subscription,
            };
            group.with_member(id.as_str(), subscription)
        })
    }

    /// Has everybody take what this says, in a new generation.
    pub fn take(&mut self, assignment: &Assignment) {
        self.generation += 1;
        for (id, member) in &mut self.members {
            (member.generation, member.owned) = (self.generation, assignment.of(id).to_vec());
        }
    }

    /// The same as numbers, worked out from what happened.
    pub fn problem(&self) -> Problem {
        let mut partitions = Vec::new();
        for (topic, count) in &self.topics {
            for number in 0..*count {
                let place = TopicPartition::new(topic.as_str(), number);
                let wants = |(_, member): &(usize, &Member)| member.topics.contains(topic);
                let subscribers = self.members.values().enumerate().filter(wants).map(|(at, _)| at);
                let subscribers: Vec<usize> = subscribers.collect();
                let owner = self.owner(&place).filter(|owner| subscribers.contains(owner));
                if !subscribers.is_empty() {
                    partitions.push(Piece { place, subscribers, owner });
                }
            }
        }
        Problem { members: self.members.keys().cloned().collect(), partitions }
    }

    /// Who was assigned it last, of those that are here. In this world no two can have been at once.
    fn owner(&self, place: &TopicPartition) -> Option<usize> {
        let claims = self.members.values().enumerate().filter(|(_, member)| member.owned.contains(place));
        claims.max_by_key(|(_, member)| member.generation).map(|(at, _)| at)
    }
}

fn any<'a>(names: impl ExactSizeIterator<Item = &'a String>, rng: &mut fastrand::Rng) -> Option<String> {
    let mut names = names;
    if names.len() == 0 { None } else { names.nth(rng.usize(..names.len())).cloned() }
}

/// One partition that somebody wants.
#[derive(Clone, Debug)]
pub struct Piece {
    pub place: TopicPartition,
    pub subscribers: Vec<usize>,
    pub owner: Option<usize>,
}

/// What there is to assign, members by number.
#[derive(Clone, Debug)]
pub struct Problem {
    pub members: Vec<String>,
    pub partitions: Vec<Piece>,
}

/// What an assignment is worth; less is better, and the first field decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost {
    /// The differences between the loads of all pairs of members, added up: Kafka's balance score.
    pub imbalance: u64,
    /// How many partitions go to another member though their owner is here and wants them.
    pub moves: u64,
}

impl Problem {
    /// The cost of giving each partition to the member of the number beside it.
    pub fn cost(&self, owners: &[usize]) -> Cost {
        let loads = self.loads(owners);
        let pairs = loads.iter().flat_map(|a| loads.iter().map(move |b| a.abs_diff(*b)));
        let moved = |(piece, now): &(&Piece, &usize)| piece.owner.is_some_and(|owner| owner != **now);
        let moves = self.partitions.iter().zip(owners).filter(moved).count();
        Cost { imbalance: pairs.sum::<u64>() / 2, moves: moves as u64 }
    }

    pub fn loads(&self, owners: &[usize]) -> Vec<u64> {
        let mut loads = vec![0; self.members.len()];
        owners.iter().for_each(|owner| loads[*owner] += 1);
        loads
    }

    /// The owner of each partition by an assignment. Panics unless it gives every partition to one subscriber
    /// of it, and nothing else to anybody.
    pub fn owners(&self, assignment: &Assignment) -> Vec<usize> {
        let mut given = BTreeMap::new();
        for (at, member) in self.members.iter().enumerate() {
            for place in assignment.of(member) {
                assert_eq!(given.insert(place.clone(), at), None, "{place} has two owners");
            }
            assert!(assignment.of(member).is_sorted(), "{member}: sorted lists");
        }
        let owner = |piece: &Piece| {
            let owner = given.remove(&piece.place);
            let owner = owner.unwrap_or_else(|| panic!("{} has no owner", piece.place));
            assert!(piece.subscribers.contains(&owner), "{} of a member that does not want it", piece.place);
            owner
        };
        let owners = self.partitions.iter().map(owner).collect();
        assert!(given.is_empty(), "nobody asked for {given:?}");
        owners
    }
}
