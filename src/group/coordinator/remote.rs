//! The events of remote members: the messages of the Kafka protocol.

#![allow(dead_code, reason = "remote members come with the Kafka protocol")]

use super::effect::{Joined, JoinedMember, Synced};
use super::member::{Kind, Member, Remote};
use super::{Coordinator, Effect, MEMBERS_MAX, Refusal};
use crate::TopicPartition;
use crate::group::wire::WireSubscription;
use crate::group::{Generation, GroupState};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A request to join.
#[derive(Clone, Debug)]
pub(crate) struct JoinRequest {
    /// By which the answer finds it.
    pub(crate) request: u64,
    /// Of this life of the member: its own, or one drawn for it if it is new.
    pub(crate) id: Arc<str>,
    /// Whether the id was drawn for it.
    pub(crate) is_new: bool,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    /// Names of assignors, the preferred one first, with what that assignor is to know of the member.
    pub(crate) protocols: Vec<(Arc<str>, Arc<[u8]>)>,
}

/// Who sends a request, as it knows itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender<'a> {
    pub(crate) id: &'a Arc<str>,
    pub(crate) instance_id: Option<&'a Arc<str>>,
    pub(crate) generation: Generation,
}

impl Coordinator {
    /// A remote member joins, or joins again. The answer is an effect, now or once all have joined.
    pub(crate) fn remote_join(&mut self, join: JoinRequest, now: Duration) {
        if let Err(refusal) = self.try_remote_join(&join, now) {
            self.effects.push(Effect::Joined(join.request, Err(refusal)));
        }
    }

    fn try_remote_join(&mut self, join: &JoinRequest, now: Duration) -> Result<(), Refusal> {
        if self.state == GroupState::Dead {
            return Err(Refusal::Dead);
        }
        let current = join.instance_id.as_ref().and_then(|instance| self.instances.get(instance)).cloned();
        let known = self.members.get(&join.id).is_some_and(Member::is_remote);
        if !known && !join.is_new {
            let fenced = join.instance_id.clone().filter(|_| current.is_some());
            return Err(fenced.map_or(Refusal::UnknownMember, Refusal::FencedInstance));
        }
        let member = Member::new(
            join.instance_id.clone(),
            join.client_id.clone(),
            Kind::Remote(Remote::new(join, now)),
        );
        let replaced = current.as_deref().or(Some(&*join.id));
        if !self.has_assignor_in_common(&member, replaced) {
            return Err(Refusal::InconsistentProtocol);
        }
        if known {
            self.rejoin(join, member, now);
        } else if let Some(before) = current {
            self.remote_replace(&before, join, member, now);
        } else {
            if self.members.len() >= MEMBERS_MAX {
                return Err(Refusal::Full);
            }
            self.insert(join.id.clone(), member);
            self.changed(now);
            self.end_round_if_complete(now);
        }
        Ok(())
    }

    /// A member that is known joins again: because it was told to, because it wants something else, or because
    /// an answer was lost.
    fn rejoin(&mut self, join: &JoinRequest, member: Member, now: Duration) {
        let Some((old, own)) = self.remote(&join.id) else { return };
        let is_same = own.protocols == join.protocols;
        let owned = own.owned(join);
        let given_up: Vec<TopicPartition> =
            old.held.keys().filter(|place| !owned.contains(*place)).cloned().collect();
        let is_leader = self.leader.as_ref() == Some(&join.id);
        let repeats = match self.state {
            GroupState::CompletingRebalance => is_same,
            GroupState::Stable => is_same && !is_leader,
            _ => false,
        };
        if repeats {
            if let Some((_, own)) = self.remote_mut(&join.id) {
                own.heard = now;
            }
            self.effects.push(Effect::Joined(join.request, Ok(self.joined(&join.id, is_leader))));
            return;
        }
        if let (Some((_, own)), Kind::Remote(new)) = (self.remote_mut(&join.id), member.kind) {
            let earlier = own.join.take();
            let (assignment, is_opaque, sync) = (own.assignment.clone(), own.is_opaque, own.sync);
            *own = Remote { assignment, is_opaque, sync, ..new };
            // Who asks a second time no longer listens for the answer to the first.
            self.effects
                .extend(earlier.map(|request| Effect::Joined(request, Err(Refusal::RebalanceInProgress))));
        }
        for partition in given_up {
            self.release(&join.id, &partition);
        }
        self.changed(now);
        self.end_round_if_complete(now);
    }

    /// A static member comes in the place of the one before it.
    fn remote_replace(&mut self, before: &Arc<str>, join: &JoinRequest, mut member: Member, now: Duration) {
        let Some(old) = self.extract(before) else { return };
        let fenced = join.instance_id.clone().map_or(Refusal::UnknownMember, Refusal::FencedInstance);
        let mut is_same = false;
        match (&old.kind, &mut member.kind) {
            (Kind::Remote(old), Kind::Remote(new)) => {
                is_same = old.protocols == new.protocols;
                new.assignment = old.assignment.clone();
                new.is_opaque = old.is_opaque;
                self.answer_gone(old, &fenced);
            }
            _ => self.effects.push(Effect::Fence(before.clone())),
        }
        for partition in old.held.keys() {
            self.holders.insert(partition.clone(), join.id.clone());
        }
        for partition in &old.target {
            self.targets.insert(partition.clone(), join.id.clone());
        }
        (member.held, member.target) = (old.held, old.target);
        let was_leader = self.leader.as_ref() == Some(before);
        if was_leader {
            self.leader = Some(join.id.clone());
        }
        let stays = self.state == GroupState::Stable && is_same && self.leader.is_some();
        if stays && let Kind::Remote(new) = &mut member.kind {
            new.join = None;
        }
        self.insert(join.id.clone(), member);
        if stays {
            self.effects.push(Effect::Joined(join.request, Ok(self.joined(&join.id, was_leader))));
        } else {
            self.changed(now);
            self.end_round_if_complete(now);
        }
    }

    /// What a member hears that has joined; `skips` for a leader whose assignment still holds.
    pub(super) fn joined(&self, id: &Arc<str>, skips: bool) -> Joined {
        let leader = self.leader.clone().unwrap_or_else(|| id.clone());
        let members = if leader == *id { self.wants() } else { Vec::new() };
        Joined {
            member_id: id.clone(),
            generation: self.generation,
            protocol: self.assignor.clone(),
            leader,
            members,
            skips_assignment: skips && self.state == GroupState::Stable,
        }
    }

    /// What everybody wants, as the leader's assignor reads it.
    fn wants(&self) -> Vec<JoinedMember> {
        let metadata = |member: &Member| match &member.kind {
            Kind::Remote(own) => own.metadata(&self.assignor),
            Kind::InProcess(own) => WireSubscription {
                topics: own.topics.iter().cloned().collect(),
                owned: member.held.keys().cloned().collect(),
                generation: self.generation,
            }
            .encode(),
        };
        let joined = |(id, member): (&Arc<str>, &Member)| JoinedMember {
            member_id: id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: metadata(member),
        };
        self.members.iter().map(joined).collect()
    }

    /// A remote member asks what it was assigned; the leader says what everybody is. The answer is an effect.
    pub(crate) fn remote_sync(
        &mut self,
        sender: Sender<'_>,
        request: u64,
        assignments: Vec<(Arc<str>, Arc<[u8]>)>,
        now: Duration,
    ) {
        if let Err(refusal) = self.try_remote_sync(sender, request, assignments, now) {
            self.effects.push(Effect::Synced(request, Err(refusal)));
        }
    }

    fn try_remote_sync(
        &mut self,
        sender: Sender<'_>,
        request: u64,
        assignments: Vec<(Arc<str>, Arc<[u8]>)>,
        now: Duration,
    ) -> Result<(), Refusal> {
        self.check_sender(sender)?;
        let (is_leader, state) = (self.leader.as_ref() == Some(sender.id), self.state);
        let Some((_, own)) = self.remote_mut(sender.id) else { return Err(Refusal::UnknownMember) };
        own.heard = now;
        match state {
            GroupState::CompletingRebalance => {
                own.has_synced = true;
                let earlier = own.sync.replace(request);
                self.effects.extend(
                    earlier.map(|request| Effect::Synced(request, Err(Refusal::RebalanceInProgress))),
                );
                if is_leader {
                    self.carry_out(assignments);
                }
                Ok(())
            }
            GroupState::Stable => {
                own.has_synced = true;
                let assignment = own.assignment.clone();
                let synced = Synced { protocol: self.assignor.clone(), assignment };
                self.effects.push(Effect::Synced(request, Ok(synced)));
                Ok(())
            }
            GroupState::PreparingRebalance => Err(Refusal::RebalanceInProgress),
            GroupState::Empty | GroupState::Dead => Err(Refusal::UnknownMember),
        }
    }

    /// A remote member says that it lives.
    ///
    /// # Errors
    /// Why it has to do something about itself.
    pub(crate) fn remote_heartbeat(&mut self, sender: Sender<'_>, now: Duration) -> Result<(), Refusal> {
        self.check_sender(sender)?;
        if let Some((_, own)) = self.remote_mut(sender.id) {
            own.heard = now;
        }
        match self.state {
            GroupState::PreparingRebalance => Err(Refusal::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// A remote member leaves; a static one, too, when it says so.
    ///
    /// # Errors
    /// `UnknownMember`, `FencedInstance`.
    pub(crate) fn remote_leave(
        &mut self,
        id: &Arc<str>,
        instance_id: Option<&Arc<str>>,
        now: Duration,
    ) -> Result<(), Refusal> {
        self.check_known(id, instance_id)?;
        if let Some(Kind::Remote(remote)) = self.remove(id).map(|member| member.kind) {
            self.answer_gone(&remote, &Refusal::UnknownMember);
        }
        self.changed(now);
        self.end_round_if_complete(now);
        Ok(())
    }

    /// Whether a remote member may commit this partition.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn remote_may_commit(
        &mut self,
        sender: Sender<'_>,
        partition: &TopicPartition,
        now: Duration,
    ) -> Result<(), Refusal> {
        self.check_sender(sender)?;
        if self.state == GroupState::CompletingRebalance {
            return Err(Refusal::RebalanceInProgress);
        }
        let Some((_, own)) = self.remote_mut(sender.id) else { return Err(Refusal::UnknownMember) };
        own.heard = now;
        let is_opaque = own.is_opaque;
        let holds = self.members.get(sender.id).is_some_and(|member| member.held.contains_key(partition));
        if holds || is_opaque { Ok(()) } else { Err(Refusal::NotHeld(partition.clone())) }
    }

    fn check_sender(&self, sender: Sender<'_>) -> Result<(), Refusal> {
        self.check_known(sender.id, sender.instance_id)?;
        if sender.generation == self.generation { Ok(()) } else { Err(Refusal::IllegalGeneration) }
    }

    fn check_known(&self, id: &Arc<str>, instance_id: Option<&Arc<str>>) -> Result<(), Refusal> {
        if let Some(instance) = instance_id
            && self.is_fenced(id, instance)
        {
            return Err(Refusal::FencedInstance(instance.clone()));
        }
        if self.members.get(id).is_some_and(Member::is_remote) { Ok(()) } else { Err(Refusal::UnknownMember) }
    }

    fn remote(&self, id: &str) -> Option<(&Member, &Remote)> {
        self.members.get(id).and_then(|member| match &member.kind {
            Kind::Remote(own) => Some((member, own)),
            Kind::InProcess(_) => None,
        })
    }

    fn remote_mut(&mut self, id: &str) -> Option<(&mut BTreeSet<TopicPartition>, &mut Remote)> {
        self.members.get_mut(id).and_then(|member| match &mut member.kind {
            Kind::Remote(own) => Some((&mut member.target, own)),
            Kind::InProcess(_) => None,
        })
    }

    /// Answers what a member that is gone was waiting for.
    pub(super) fn answer_gone(&mut self, remote: &Remote, refusal: &Refusal) {
        let joined = remote.join.map(|request| Effect::Joined(request, Err(refusal.clone())));
        let synced = remote.sync.map(|request| Effect::Synced(request, Err(refusal.clone())));
        self.effects.extend(joined.into_iter().chain(synced));
    }
}

impl Remote {
    fn new(join: &JoinRequest, now: Duration) -> Self {
        let subscription =
            join.protocols.first().and_then(|(_, metadata)| WireSubscription::decode(metadata).ok());
        Self {
            protocols: join.protocols.clone(),
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            heard: now,
            join: Some(join.request),
            sync: None,
            has_synced: false,
            assignment: Arc::from([]),
            is_opaque: false,
            topics: subscription.map(|wanted| wanted.topics.into_iter().collect()).unwrap_or_default(),
        }
    }

    /// What it says it still owns when it joins so.
    fn owned(&self, join: &JoinRequest) -> BTreeSet<TopicPartition> {
        let metadata = join.protocols.first().map(|(_, metadata)| metadata);
        let subscription = metadata.and_then(|metadata| WireSubscription::decode(metadata).ok());
        subscription.map(|own| own.owned.into_iter().collect()).unwrap_or_default()
    }

    fn metadata(&self, assignor: &str) -> Arc<[u8]> {
        let found = self.protocols.iter().find(|(name, _)| **name == *assignor);
        found.map_or_else(|| Arc::from([]), |(_, metadata)| metadata.clone())
    }
}
