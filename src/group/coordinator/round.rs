//! A round: everybody joins anew, and the leader says who is to have what. Only in a group with remote members.
//!
//! ```text
//!     begin ──▶ all have joined, or the time is up ──▶ answers, to the leader with what all want
//!                                                        └──▶ the leader syncs ──▶ targets, answers
//! ```

use super::effect::Synced;
use super::member::{Kind, Member};
use super::{Changes, Coordinator, Effect, Refusal};
use crate::TopicPartition;
use crate::group::wire::decode_assignment;
use crate::group::{GroupState, RebalanceProtocol};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

impl Coordinator {
    /// Everybody has to join anew.
    pub(super) fn begin_round(&mut self, now: Duration) {
        if self.state != GroupState::PreparingRebalance {
            self.round_due = now.saturating_add(self.rebalance_timeout());
            self.state = GroupState::PreparingRebalance;
            for member in self.members.values_mut() {
                match &mut member.kind {
                    Kind::InProcess(own) => own.has_joined = false,
                    Kind::Remote(own) => {
                        let sync = own.sync.take();
                        self.effects.extend(
                            sync.map(|request| Effect::Synced(request, Err(Refusal::RebalanceInProgress))),
                        );
                    }
                }
            }
        }
        let in_process: Vec<_> =
            self.members.iter().filter(|(_, member)| !member.is_remote()).map(|(id, _)| id.clone()).collect();
        in_process.iter().for_each(|id| self.call(id));
        let absent: Vec<_> = in_process.into_iter().filter(|id| self.is_away(id)).collect();
        absent.iter().for_each(|id| self.join_round_if_ready(id, now));
        self.end_round_if_complete(now);
    }

    fn is_away(&self, id: &str) -> bool {
        matches!(self.members.get(id).map(|member| &member.kind), Some(Kind::InProcess(own)) if own.is_away())
    }

    /// The longest time that any member may take.
    fn rebalance_timeout(&self) -> Duration {
        let of = |member: &Member| match &member.kind {
            Kind::InProcess(own) => own.poll_interval,
            Kind::Remote(own) => own.rebalance_timeout,
        };
        self.members.values().map(of).max().unwrap_or_default()
    }

    /// Whether members keep what they have through the round: only if each assignor that may be chosen can
    /// deal with that.
    fn is_cooperative(&self) -> bool {
        let names = self.members.values().flat_map(Member::offers).collect::<BTreeSet<_>>();
        let is_common = |name: &&Arc<str>| self.members.values().all(|member| member.offers().contains(name));
        let protocol = |name: &Arc<str>| {
            self.members.values().find_map(|member| match &member.kind {
                Kind::InProcess(own) => own.assignor(name).map(|assignor| assignor.protocol()),
                Kind::Remote(_) => None,
            })
        };
        names.iter().filter(is_common).all(|name| protocol(name) == Some(RebalanceProtocol::Cooperative))
    }

    /// A member in process polls while a round is under way.
    pub(super) fn poll_in_round(&mut self, id: &Arc<str>, now: Duration) -> Changes {
        let lost = self.take_lost(id);
        let mut revoked = Vec::new();
        if self.state == GroupState::PreparingRebalance {
            if !self.is_cooperative()
                && let Some(member) = self.members.get_mut(id)
            {
                member.target.clear();
                revoked = self.take_revoked(id, now);
            }
            self.join_round_if_ready(id, now);
        }
        Changes { lost, revoked, assigned: Vec::new() }
    }

    /// Takes a member in process for joined if it need not give up anything first.
    pub(super) fn join_round_if_ready(&mut self, id: &Arc<str>, now: Duration) {
        if !self.has_remote() || self.state != GroupState::PreparingRebalance {
            return;
        }
        let is_cooperative = self.is_cooperative();
        if self.is_away(id) && !is_cooperative {
            // Nobody works on what it holds.
            if let Some(member) = self.members.get_mut(id) {
                member.target.clear();
            }
            self.give_up_for_absent(id);
        }
        let Some(member) = self.members.get_mut(id) else { return };
        let is_ready = is_cooperative || member.held.is_empty();
        if let Kind::InProcess(own) = &mut member.kind
            && is_ready
        {
            own.has_joined = true;
            self.end_round_if_complete(now);
        }
    }

    pub(super) fn end_round_if_complete(&mut self, now: Duration) {
        let has_joined = |member: &Member| match &member.kind {
            Kind::InProcess(own) => own.has_joined,
            Kind::Remote(own) => own.join.is_some(),
        };
        if self.has_remote()
            && self.state == GroupState::PreparingRebalance
            && self.members.values().all(has_joined)
        {
            self.complete_join(now);
        }
    }

    /// The time of a step is up.
    pub(super) fn end_round_step(&mut self, now: Duration) {
        if self.state == GroupState::PreparingRebalance {
            // Static members have until their session runs out.
            let is_late = |member: &Member| match &member.kind {
                Kind::InProcess(own) => !own.has_joined,
                Kind::Remote(own) => own.join.is_none() && member.instance_id.is_none(),
            };
            self.expel_all(is_late, now);
            if self.has_remote() && self.state == GroupState::PreparingRebalance {
                self.complete_join(now);
            }
        } else {
            let is_late = |member: &Member| match &member.kind {
                Kind::InProcess(_) => false,
                Kind::Remote(own) => !own.has_synced && own.join.is_none() && member.instance_id.is_none(),
            };
            self.round_due = Duration::MAX;
            self.expel_all(is_late, now);
        }
    }

    fn expel_all(&mut self, is_late: impl Fn(&Member) -> bool, now: Duration) {
        let late: Vec<_> =
            self.members.iter().filter(|(_, member)| is_late(member)).map(|(id, _)| id.clone()).collect();
        late.iter().for_each(|id| self.expel(id));
        if late.is_empty() {
            return;
        }
        if self.has_remote() && self.state == GroupState::PreparingRebalance {
            return;
        }
        self.changed(now);
    }

    /// All that count have joined: the next generation begins.
    fn complete_join(&mut self, now: Duration) {
        let joined = |member: &Member| matches!(&member.kind, Kind::Remote(own) if own.join.is_some());
        let is_here = |id: &Arc<str>| self.members.get(id).is_some_and(joined);
        let first = || self.members.iter().find(|(_, member)| joined(member)).map(|(id, _)| id.clone());
        let Some(leader) = self.leader.clone().filter(is_here).or_else(first) else {
            // Nobody is there to lead: those who are awaited come, or their sessions run out.
            self.round_due = now.saturating_add(self.rebalance_timeout());
            return;
        };
        // They were let in because they have one.
        let Some(assignor) = self.choose_assignor() else { return };
        (self.leader, self.assignor) = (Some(leader), assignor);
        self.generation = self.generation.next();
        self.state = GroupState::CompletingRebalance;
        self.round_due = now.saturating_add(self.rebalance_timeout());
        let ids: Vec<_> = self.members.keys().cloned().collect();
        for id in ids {
            let Some(member) = self.members.get_mut(&id) else { continue };
            let Kind::Remote(own) = &mut member.kind else { continue };
            (own.has_synced, own.heard) = (false, now);
            if let Some(request) = own.join.take() {
                let joined = self.joined(&id, false);
                self.effects.push(Effect::Joined(request, Ok(joined)));
            }
        }
    }

    /// What the leader said becomes the targets, and the answer to all who wait for it.
    pub(super) fn carry_out(&mut self, assignments: Vec<(Arc<str>, Arc<[u8]>)>) {
        let assignments: BTreeMap<_, _> = assignments.into_iter().collect();
        let mut decoded: BTreeMap<Arc<str>, Option<Vec<TopicPartition>>> = BTreeMap::new();
        for id in self.members.keys() {
            let own = assignments.get(id).map(|bytes| decode_assignment(bytes));
            decoded.insert(id.clone(), own.map_or(Some(Vec::new()), Result::ok));
        }
        self.state = GroupState::Stable;
        self.round_due = Duration::MAX;
        self.release_remote_holdings();
        let mut taken = BTreeSet::new();
        self.set_targets(|id| {
            let own = decoded.get(id).cloned().flatten().unwrap_or_default();
            // What a leader gives to two goes to the first.
            own.into_iter().filter(|partition| taken.insert(partition.clone())).collect()
        });
        let ids: Vec<_> = self.members.keys().cloned().collect();
        for id in ids {
            let Some(member) = self.members.get_mut(&id) else { continue };
            let Kind::Remote(own) = &mut member.kind else { continue };
            own.assignment = assignments.get(&id).cloned().unwrap_or_else(|| Arc::from([]));
            own.is_opaque = decoded.get(&id).is_some_and(Option::is_none);
            if let Some(request) = own.sync.take() {
                let synced = Synced { protocol: self.assignor.clone(), assignment: own.assignment.clone() };
                self.effects.push(Effect::Synced(request, Ok(synced)));
            }
            let free: Vec<_> =
                member.target.iter().filter(|place| !self.holders.contains_key(*place)).cloned().collect();
            free.iter().for_each(|partition| self.hand_out(&id, partition, true));
        }
        self.give_up_for_all_absent();
    }

    /// Remote members go by what they are assigned from now on.
    fn release_remote_holdings(&mut self) {
        for member in self.members.values_mut().filter(|member| member.is_remote()) {
            for partition in std::mem::take(&mut member.held).keys() {
                self.holders.remove(partition);
            }
        }
    }
}
