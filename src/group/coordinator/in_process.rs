//! The events of members in this process.

use super::member::{InProcess, Kind, Member, Presence};
use super::{Changes, Coordinator, Given, MEMBERS_MAX, Refusal};
use crate::TopicPartition;
use crate::group::{Assignor, GroupState};
use crate::sync::{Bug, planted};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Who wants to become a member.
#[derive(Clone, Debug)]
pub(crate) struct Newcomer {
    /// Of this life of the member; no other has or had it.
    pub(crate) id: Arc<str>,
    /// Of a static member.
    pub(crate) instance_id: Option<Arc<str>>,
    /// What its owner calls it.
    pub(crate) client_id: Arc<str>,
    /// The topics it wants; they need not exist.
    pub(crate) topics: BTreeSet<Arc<str>>,
    /// The preferred one first; at least one.
    pub(crate) assignors: Vec<Arc<dyn Assignor>>,
    /// How long it may go without a poll.
    pub(crate) poll_interval: Duration,
    /// How long a static member may be away.
    pub(crate) session_timeout: Duration,
}

impl Coordinator {
    /// A member in this process joins. What it gets it learns when it polls.
    ///
    /// # Errors
    /// `InconsistentProtocol`, `Full`, `Dead`.
    pub(crate) fn join(&mut self, newcomer: Newcomer, now: Duration) -> Result<(), Refusal> {
        if self.state == GroupState::Dead {
            return Err(Refusal::Dead);
        }
        let before = newcomer.instance_id.as_ref().and_then(|instance| self.instances.get(instance)).cloned();
        let member = Member::new(
            newcomer.instance_id,
            newcomer.client_id,
            Kind::InProcess(InProcess {
                topics: newcomer.topics,
                assignors: newcomer.assignors,
                poll_interval: newcomer.poll_interval,
                session_timeout: newcomer.session_timeout,
                presence: Presence::Working(now),
                has_joined: false,
            }),
        );
        if !self.has_assignor_in_common(&member, before.as_deref()) {
            return Err(Refusal::InconsistentProtocol);
        }
        if before.is_none() && self.members.len() >= MEMBERS_MAX {
            return Err(Refusal::Full);
        }
        match before {
            Some(before) => self.replace(&before, newcomer.id, member, now),
            None => {
                self.insert(newcomer.id, member);
                self.changed(now);
            }
        }
        Ok(())
    }

    /// A static member comes in the place of the one before it. If it wants the same, it gets the same, and
    /// nobody else hears of it.
    fn replace(&mut self, before: &Arc<str>, id: Arc<str>, mut member: Member, now: Duration) {
        let Some(mut old) = self.extract(before) else { return };
        self.effects.push(super::Effect::Fence(before.clone()));
        let is_same = old.topics().eq(member.topics()) && old.is_alike(&member);
        member.target = std::mem::take(&mut old.target);
        member.held = std::mem::take(&mut old.held);
        for (partition, hold) in &mut member.held {
            hold.is_told = false;
            hold.asked = None;
            self.holders.insert(partition.clone(), id.clone());
        }
        for partition in &member.target {
            self.targets.insert(partition.clone(), id.clone());
        }
        if self.leader.as_ref() == Some(before) {
            self.leader = Some(id.clone());
        }
        self.insert(id, member);
        if !is_same || self.state == GroupState::PreparingRebalance {
            self.changed(now);
        }
    }

    /// A member in process polls: it takes its next step towards what it is to have.
    ///
    /// # Errors
    /// `UnknownMember` when it was expelled, or was fenced: it is told of that by an effect. `Assignor`.
    pub(crate) fn poll(&mut self, id: &Arc<str>, now: Duration) -> Result<Changes, Refusal> {
        self.progress(id, Presence::Working(now))?;
        if self.is_in_round() {
            return Ok(self.poll_in_round(id, now));
        }
        if let Some(error) = &self.failure {
            return Err(Refusal::Assignor(error.clone()));
        }
        let lost = self.take_lost(id);
        let revoked = self.take_revoked(id, now);
        let changes = Changes { lost, revoked, assigned: self.take_assigned(id) };
        self.note_settled();
        Ok(changes)
    }

    /// A group without remote members is stable once everybody holds what it should; one with them goes by
    /// its rounds.
    fn note_settled(&mut self) {
        if !self.has_remote() && self.state == GroupState::CompletingRebalance && self.is_settled() {
            self.state = GroupState::Stable;
        }
    }

    /// What a member does now, without a step.
    pub(crate) fn progress(&mut self, id: &str, presence: Presence) -> Result<(), Refusal> {
        self.in_process(id)?.presence = presence;
        Ok(())
    }

    pub(super) fn in_process(&mut self, id: &str) -> Result<&mut InProcess, Refusal> {
        match self.members.get_mut(id).map(|member| &mut member.kind) {
            Some(Kind::InProcess(member)) => Ok(member),
            _ => Err(Refusal::UnknownMember),
        }
    }

    /// Whether the member was fenced: another speaks for its instance id.
    pub(crate) fn is_fenced(&self, id: &str, instance_id: &str) -> bool {
        self.instances.get(instance_id).is_some_and(|now| **now != *id)
    }

    pub(super) fn take_lost(&mut self, id: &str) -> Vec<TopicPartition> {
        self.members
            .get_mut(id)
            .map_or_else(Vec::new, |member| std::mem::take(&mut member.lost).into_iter().collect())
    }

    /// What the member is to give up and was not asked for yet.
    pub(super) fn take_revoked(&mut self, id: &Arc<str>, now: Duration) -> Vec<TopicPartition> {
        let Some(member) = self.members.get_mut(id).filter(|member| member.has_news) else {
            return Vec::new();
        };
        let (mut revoked, mut unknown) = (Vec::new(), Vec::new());
        for (partition, hold) in &mut member.held {
            if member.target.contains(partition) {
                continue;
            }
            if !hold.is_told {
                unknown.push(partition.clone());
            } else if hold.asked.is_none() {
                hold.asked = Some(now);
                revoked.push(partition.clone());
            }
        }
        // Whoever does not know that it has a partition need not give it up.
        for partition in unknown {
            self.release(id, &partition);
        }
        revoked
    }

    /// What the member is to have and is free, or has and does not know of.
    fn take_assigned(&mut self, id: &Arc<str>) -> Vec<Given> {
        let Some(member) = self.members.get_mut(id).filter(|member| member.has_news) else {
            return Vec::new();
        };
        member.has_news = false;
        let target: Vec<_> = member.target.iter().cloned().collect();
        let mut assigned = Vec::new();
        for partition in target {
            match self.holders.get(&partition) {
                Some(holder) if holder != id && !planted(Bug::GivenBeforeGivenUp) => continue,
                Some(holder) if holder == id => {}
                _ => self.hand_out(id, &partition, false),
            }
            let hold = self.members.get_mut(id).and_then(|member| member.held.get_mut(&partition));
            if let Some(hold) = hold.filter(|hold| !hold.is_told) {
                hold.is_told = true;
                let since = hold.since;
                assigned.push(Given { partition, since });
            }
        }
        assigned
    }

    /// A member gives partitions up. What it does not hold is left as it is.
    ///
    /// # Errors
    /// `UnknownMember`.
    pub(crate) fn gave_up(
        &mut self,
        id: &Arc<str>,
        partitions: &[TopicPartition],
        now: Duration,
    ) -> Result<(), Refusal> {
        self.in_process(id)?;
        for partition in partitions {
            let holds = self.members.get(id).is_some_and(|member| member.held.contains_key(partition));
            if holds {
                self.release(id, partition);
            }
        }
        self.join_round_if_ready(id, now);
        if self.has_remote() && self.state == GroupState::Stable {
            let is_left = |partition: &TopicPartition| {
                !self.targets.contains_key(partition) && self.topics.get(partition.topic()).is_some()
            };
            // The leader has held it back until now.
            if partitions.iter().any(is_left) {
                self.changed(now);
            }
        }
        self.note_settled();
        Ok(())
    }

    /// A member wants other topics.
    ///
    /// # Errors
    /// `UnknownMember`.
    pub(crate) fn subscribe(
        &mut self,
        id: &Arc<str>,
        topics: BTreeSet<Arc<str>>,
        now: Duration,
    ) -> Result<(), Refusal> {
        let member = self.in_process(id)?;
        if member.topics != topics {
            member.topics = topics;
            self.changed(now);
        }
        Ok(())
    }

    /// A member leaves. A static one keeps what it holds until its session runs out.
    ///
    /// # Errors
    /// `UnknownMember`.
    pub(crate) fn leave(&mut self, id: &Arc<str>, now: Duration) -> Result<(), Refusal> {
        let is_static = self.members.get(id).is_some_and(|member| member.instance_id.is_some());
        if is_static && !planted(Bug::StaticLeaves) {
            self.progress(id, Presence::Away(now))?;
            self.give_up_for_absent(id);
            self.join_round_if_ready(id, now);
            return Ok(());
        }
        self.in_process(id)?;
        self.remove(id);
        self.changed(now);
        Ok(())
    }

    /// What a member that is away was to give up has nobody who works on it.
    pub(super) fn give_up_for_absent(&mut self, id: &Arc<str>) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.lost.clear();
        let superfluous: Vec<_> =
            member.held.keys().filter(|partition| !member.target.contains(*partition)).cloned().collect();
        for partition in superfluous {
            self.release(id, &partition);
        }
    }
}

impl Member {
    /// Whether it offers the assignors that the other offers.
    fn is_alike(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::InProcess(one), Kind::InProcess(another)) => {
                one.assignors.iter().map(|own| own.name()).eq(another.assignors.iter().map(|own| own.name()))
            }
            _ => false,
        }
    }
}
