//! Who is to have what: the coordinator asks an assignor.

use super::Coordinator;
use super::member::{InProcess, Kind, Member};
use crate::group::{Assignment, Assignor, GroupState, GroupSubscription, Subscription};
use crate::{Error, ErrorKind};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

impl Coordinator {
    /// Plans anew for a group whose members are all in this process.
    pub(super) fn plan(&mut self) {
        self.generation = self.generation.next();
        self.leader = None;
        let assigned = self.assign();
        self.failure = assigned.as_ref().err().cloned();
        // Without a plan everybody goes on with what it has, and hears of it when it polls.
        if let Ok(assignment) = assigned {
            self.set_targets(|id| assignment.of(id).iter().cloned().collect());
        } else {
            let held = |member: &Member| member.held.keys().cloned().collect::<BTreeSet<_>>();
            let targets: BTreeMap<_, _> =
                self.members.iter().map(|(id, member)| (id.clone(), held(member))).collect();
            self.set_targets(|id| targets.get(id).cloned().unwrap_or_default());
        }
        self.give_up_for_all_absent();
        self.state = if self.is_settled() { GroupState::Stable } else { GroupState::CompletingRebalance };
    }

    pub(super) fn give_up_for_all_absent(&mut self) {
        let is_away = |member: &Member| matches!(&member.kind, Kind::InProcess(own) if own.is_away());
        let absent: Vec<_> =
            self.members.iter().filter(|(_, member)| is_away(member)).map(|(id, _)| id.clone()).collect();
        for id in absent {
            self.give_up_for_absent(&id);
        }
    }

    fn assign(&mut self) -> Result<Assignment, Error> {
        let no_assignor =
            || Error::new(ErrorKind::Conflict, "the members have no assignor in common".to_owned());
        self.assignor = self.choose_assignor().ok_or_else(no_assignor)?;
        let offered = self.in_process_members().find_map(|(_, own)| {
            own.assignors.iter().find(|assignor| assignor.name() == &*self.assignor).cloned()
        });
        let assignor = offered.ok_or_else(no_assignor)?;
        let group = self.subscription();
        // It may be the user's, who must not stop a group whose members only wait for their turn.
        catch_unwind(AssertUnwindSafe(|| Assignment::by(&*assignor, &group))).unwrap_or_else(|_| {
            let message = format!("the assignor {:?} panicked", self.assignor);
            Err(Error::new(ErrorKind::InvalidInput, message))
        })
    }

    fn in_process_members(&self) -> impl Iterator<Item = (&Arc<str>, &InProcess)> {
        self.members.iter().filter_map(|(id, member)| match &member.kind {
            Kind::InProcess(own) => Some((id, own)),
            Kind::Remote(_) => None,
        })
    }

    /// What an assignor is told of the group.
    fn subscription(&self) -> GroupSubscription {
        let mut group = GroupSubscription::new();
        for (id, member) in &self.members {
            for topic in member.topics() {
                if let Some(facts) = self.topics.get(&topic) {
                    group = group.with_topic(topic, facts.partition_count);
                }
            }
            let mut subscription = Subscription::new(member.topics())
                // Nobody else holds it: so all claims are of this generation.
                .with_owned(self.generation, member.held.keys().cloned());
            if let Some(instance) = &member.instance_id {
                subscription = subscription.with_instance_id(instance.clone());
            }
            group = group.with_member(id.clone(), subscription);
        }
        group
    }

    /// The assignor that all have in common and most prefer; of several the first by name.
    pub(super) fn choose_assignor(&self) -> Option<Arc<str>> {
        let offers: Vec<Vec<Arc<str>>> = self.members.values().map(Member::offers).collect();
        let is_common = |name: &&Arc<str>| offers.iter().all(|offer| offer.contains(*name));
        let mut votes: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
        for offer in &offers {
            if let Some(preferred) = offer.iter().find(is_common) {
                *votes.entry(preferred).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes.into_iter().find(|(_, count)| *count == most).map(|(name, _)| name.clone())
    }

    /// Whether a member has an assignor in common with all others, the one it replaces left out.
    pub(super) fn has_assignor_in_common(&self, newcomer: &Member, replaced: Option<&str>) -> bool {
        let others = || self.members.iter().filter(|(id, _)| Some(&***id) != replaced);
        newcomer.offers().iter().any(|name| others().all(|(_, member)| member.offers().contains(name)))
    }
}

impl Member {
    /// The names of its assignors, the preferred one first.
    pub(super) fn offers(&self) -> Vec<Arc<str>> {
        match &self.kind {
            Kind::InProcess(own) => own.assignors.iter().map(|assignor| assignor.name().into()).collect(),
            Kind::Remote(own) => own.protocols.iter().map(|(name, _)| name.clone()).collect(),
        }
    }
}

impl InProcess {
    /// Its assignor of this name.
    pub(super) fn assignor(&self, name: &str) -> Option<&Arc<dyn Assignor>> {
        self.assignors.iter().find(|assignor| assignor.name() == name)
    }
}
