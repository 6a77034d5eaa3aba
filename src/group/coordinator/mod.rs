//! The coordinator of one group: who is a member, and who holds which partition.
//!
//! A pure state machine. Events are method calls with the time they happen at (monotonic); what follows for
//! others than the caller is a list of [`Effect`]s. It waits for nothing, and stores nothing but what is here.
//!
//! ```text
//!     join, subscribe, leave, tick, topics ──▶ changed ──┬─ all in process ──▶ plan: Assignor, targets ─┐
//!                                                        └─ any remote ──▶ round: join, sync, leader ───┤
//!                                                                                                       ▼
//!     poll      ◀── lost │ revoke: held and not to be │ assign: to be, and free ◀── targets against holdings
//!     gave_up   ──▶ free ──▶ wakes the member that is to have it
//!     may_commit ◀── held, and since which generation
//! ```
//!
//! ```text
//!                      join                 planned, or all have joined        all hold what they should
//!     Empty ─────────────▶ PreparingRebalance ──────────▶ CompletingRebalance ──────────▶ Stable
//!       ▲                        ▲   ▲                            │                          │
//!       │                        │   └────────────────────────────┴── join, leave, expiry ───┘
//!       └── the last one left ───┴ ...                                        delete ──▶ Dead
//! ```
//!
//! *Target and holding.* A target says what a member is to have; the holdings say what it has. A partition has
//! one holder or none, from the moment it is handed out until the holder gives it up, leaves or is expelled. A
//! poll takes one step of each member from its holding towards its target, so only what moves is revoked,
//! whatever the assignor's protocol, and nobody waits for members that nothing is wanted from.
//!
//! *Members in process* need no round: the coordinator has them, asks the assignor itself, and they learn of it
//! when they poll. The group settles when each who is to give something up has polled, and then each who is to
//! get it. The only timer is the poll interval.
//!
//! *Remote members* run their assignor in their leader. As soon as there is one, a change begins a round as in
//! Kafka: everybody joins anew (a member in process by polling, after it has given up everything if the
//! protocol is an eager one), the leader gets what all of them want and sends back what each is to have, and
//! that becomes the targets. They have a session timer beside the one of the round. Members in process take
//! part if they have an assignor's name in common with the others, which is also what the leader needs.
//!
//! *Static members* have an instance id. The one that goes keeps what it holds until its session runs out; the
//! one that comes in its place, under a new member id, is told of it as if it were new, and nobody else hears
//! of it. The one before it, if it still lives, is fenced.
//!
//! *Expelled is not revoked.* A member that is expelled is gone: its commits are refused, and when it polls it
//! is told so, loses what it held, and may join anew.

mod effect;
mod expiry;
mod facts;
mod in_process;
mod member;
mod plan;
mod refusal;
mod remote;
mod round;
#[cfg(test)]
mod tests;

pub(crate) use effect::{Changes, Effect, Given};
pub(crate) use facts::{TopicFacts, Topics};
pub(crate) use in_process::Newcomer;
pub(crate) use refusal::Refusal;

use super::{Generation, GroupState};
use crate::sync::{Bug, planted};
use crate::{Error, TopicPartition};
use member::{Hold, Kind};
pub(crate) use member::{Member, Presence};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Most members that a group can have.
pub(crate) const MEMBERS_MAX: usize = 10_000;

/// The state of one group. See the page above.
#[derive(Debug)]
pub(crate) struct Coordinator {
    state: GroupState,
    /// Grows with each plan and each round.
    generation: Generation,
    /// By member id, which is that of one life of a member.
    members: BTreeMap<Arc<str>, Member>,
    /// Which member speaks for an instance id now.
    instances: BTreeMap<Arc<str>, Arc<str>>,
    topics: Arc<Topics>,
    /// Who holds a partition: the same as is said in the members, the other way around.
    holders: BTreeMap<TopicPartition, Arc<str>>,
    /// Who is to have a partition: the same as the members' targets, the other way around.
    targets: BTreeMap<TopicPartition, Arc<str>>,
    /// The name of the assignor in use; empty before the first.
    assignor: Arc<str>,
    /// The remote member whose assignor runs.
    leader: Option<Arc<str>>,
    /// How many members are remote.
    remote_count: usize,
    /// When the step of the round is over that is under way, if there is a remote member.
    round_due: Duration,
    /// Why the last plan came to nothing.
    failure: Option<Error>,
    effects: Vec<Effect>,
}

impl Coordinator {
    /// An empty group whose last generation was this one.
    pub(crate) fn new(generation: Generation, topics: Arc<Topics>) -> Self {
        Self {
            state: GroupState::Empty,
            generation,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            topics,
            holders: BTreeMap::new(),
            targets: BTreeMap::new(),
            assignor: Arc::from(""),
            leader: None,
            remote_count: 0,
            round_due: Duration::ZERO,
            failure: None,
            effects: Vec::new(),
        }
    }

    pub(crate) fn state(&self) -> GroupState {
        self.state
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn assignor(&self) -> &Arc<str> {
        &self.assignor
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&Arc<str>, &Member)> {
        self.members.iter()
    }

    /// What has to be done for others since the last call.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Ends an empty group.
    ///
    /// # Errors
    /// `NotEmpty` when it has members.
    pub(crate) fn delete(&mut self) -> Result<(), Refusal> {
        if !self.members.is_empty() {
            return Err(Refusal::NotEmpty);
        }
        self.state = GroupState::Dead;
        Ok(())
    }

    /// Whether a member may commit a partition that it was given in the generation `since`.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn may_commit(
        &self,
        id: &str,
        partition: &TopicPartition,
        since: Generation,
    ) -> Result<(), Refusal> {
        if planted(Bug::CommitByAnybody) {
            return Ok(());
        }
        let member = self.members.get(id).ok_or(Refusal::UnknownMember)?;
        match member.held.get(partition) {
            Some(hold) if hold.is_told && hold.since == since => Ok(()),
            _ => Err(Refusal::NotHeld(partition.clone())),
        }
    }

    /// Takes note of which topics there are, unless it knows of a later moment already.
    pub(crate) fn topics_changed(&mut self, topics: &Arc<Topics>, now: Duration) {
        if topics.version <= self.topics.version {
            return;
        }
        let before = std::mem::replace(&mut self.topics, topics.clone());
        let wanted: BTreeSet<Arc<str>> = self.members.values().flat_map(Member::topics).collect();
        let is_gone = |topic: &str| before.is_another(topic, &self.topics);
        let gone: Vec<_> = self.holders.keys().filter(|place| is_gone(place.topic())).cloned().collect();
        for partition in gone {
            self.lose(&partition);
        }
        if wanted.iter().any(|topic| before.get(topic) != self.topics.get(topic)) {
            self.changed(now);
        }
    }

    /// What the assignment depends on has changed.
    fn changed(&mut self, now: Duration) {
        if self.members.is_empty() {
            self.become_empty();
        } else if self.has_remote() {
            self.begin_round(now);
        } else {
            self.plan();
        }
    }

    fn become_empty(&mut self) {
        self.state = GroupState::Empty;
        self.holders.clear();
        self.targets.clear();
        self.leader = None;
        self.failure = None;
        self.generation = self.generation.next();
    }

    fn has_remote(&self) -> bool {
        self.remote_count > 0
    }

    /// Whether a round is under way.
    fn is_in_round(&self) -> bool {
        self.has_remote() && self.state != GroupState::Stable
    }

    fn insert(&mut self, id: Arc<str>, member: Member) {
        if let Some(instance) = &member.instance_id {
            self.instances.insert(instance.clone(), id.clone());
        }
        self.remote_count += usize::from(member.is_remote());
        self.members.insert(id, member);
    }

    fn extract(&mut self, id: &str) -> Option<Member> {
        let member = self.members.remove(id)?;
        self.remote_count -= usize::from(member.is_remote());
        Some(member)
    }

    /// Has a member look for what is new.
    fn call(&mut self, id: &Arc<str>) {
        if let Some(member) = self.members.get_mut(id) {
            member.has_news = true;
            self.effects.push(Effect::Wake(id.clone()));
        }
    }

    /// Hands a free partition to a member.
    fn hand_out(&mut self, id: &Arc<str>, partition: &TopicPartition, is_told: bool) {
        let since = self.generation;
        if let Some(member) = self.members.get_mut(id) {
            let holder = self.holders.insert(partition.clone(), id.clone());
            assert!(
                holder.is_none() || planted(Bug::GivenBeforeGivenUp),
                "{partition} was handed out while {holder:?} held it"
            );
            member.held.insert(partition.clone(), Hold { since, is_told, asked: None });
        }
    }

    /// Takes a partition from a member that gave it up or is gone, and calls the one that is to have it.
    fn release(&mut self, id: &Arc<str>, partition: &TopicPartition) {
        if let Some(member) = self.members.get_mut(id) {
            member.held.remove(partition);
        }
        if self.holders.get(partition) == Some(id) {
            self.holders.remove(partition);
        }
        if self.is_in_round() {
            // What was to be holds no longer.
            return;
        }
        let Some(next) = self.targets.get(partition).cloned() else { return };
        if self.members.get(&next).is_some_and(|member| matches!(member.kind, Kind::Remote(_))) {
            // It was told with the assignment, and goes by that.
            self.hand_out(&next, partition, true);
        } else {
            self.call(&next);
        }
    }

    /// Takes a partition that is no more from whoever holds it.
    fn lose(&mut self, partition: &TopicPartition) {
        self.targets.remove(partition);
        let Some(id) = self.holders.remove(partition) else { return };
        if let Some(member) = self.members.get_mut(&id) {
            member.target.remove(partition);
            if member.held.remove(partition).is_some_and(|hold| hold.is_told) {
                member.lost.insert(partition.clone());
                self.call(&id);
            }
        }
    }

    /// Takes a member out of the group with all that it holds. The caller sees to what follows.
    fn remove(&mut self, id: &Arc<str>) -> Option<Member> {
        let member = self.extract(id)?;
        if let Some(instance) = &member.instance_id
            && self.instances.get(instance) == Some(id)
        {
            self.instances.remove(instance);
        }
        for partition in &member.target {
            self.targets.remove(partition);
        }
        for partition in member.held.keys().filter(|_| !planted(Bug::ExpelledKeepsPartitions)) {
            self.release(id, partition);
        }
        if self.leader.as_ref() == Some(id) {
            self.leader = None;
        }
        Some(member)
    }

    /// Gives each member its target, and calls those for whom it is news.
    fn set_targets(&mut self, mut of: impl FnMut(&Arc<str>) -> BTreeSet<TopicPartition>) {
        self.targets.clear();
        let ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for id in ids {
            let target = of(&id);
            self.targets.extend(target.iter().map(|partition| (partition.clone(), id.clone())));
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.target = target;
            for (partition, hold) in &mut member.held {
                if member.target.contains(partition) {
                    hold.asked = None;
                }
            }
            if member.is_unsettled() {
                self.call(&id);
            }
        }
    }

    /// Whether everybody holds what it should, and knows it.
    fn is_settled(&self) -> bool {
        !self.members.values().any(Member::is_unsettled)
    }
}
