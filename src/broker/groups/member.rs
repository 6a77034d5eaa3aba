//! A member of a group in this process.

use super::book::Commit;
use super::group::Group;
use super::registry::Groups;
use super::seat::Seat;
use crate::broker::core::Core;
use crate::broker::group_member::{CommitPoint, GroupEvent, GroupMember, MemberOptions, Wanted};
use crate::group::Generation;
use crate::group::coordinator::{Changes, Coordinator, Newcomer, Refusal};
use crate::group::name::{GroupName, check_instance_id};
use crate::group::offsets::{CommittedOffset, METADATA_LEN_MAX};
use crate::sync::{Mutex, Ordering};
use crate::{Durability, Error, ErrorKind, Partition, Pending, Result, TopicId, TopicPartition};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// A member of a group. Dropping it leaves the group.
pub(crate) struct Member {
    core: Arc<Core>,
    groups: Arc<Groups>,
    options: MemberOptions,
    seat: Arc<Seat>,
    /// Taken before the lock of the group.
    life: Mutex<Life>,
}

/// One life of a member: it gets another when it was expelled.
#[derive(Debug)]
struct Life {
    id: Arc<str>,
    group: Arc<Group>,
    wanted: Wanted,
    /// Which version of the topics it has seen.
    topics_version: u64,
    mine: BTreeMap<TopicPartition, Mine>,
    /// Why it is none any more.
    over: Option<Error>,
}

/// A partition that a member was told it has.
#[derive(Debug)]
struct Mine {
    since: Generation,
    topic: TopicId,
}

impl Core {
    /// Joins a group. What the member gets it is told when it polls. Blocks while the committed offsets are
    /// opened for the first time.
    ///
    /// # Errors
    /// - `InvalidInput`: a name that a group cannot have, an instance id that is none, or no assignor.
    /// - `Conflict`: there is no assignor that the member has in common with the others.
    /// - `TooLarge`: the group has as many members as it can, or there are too many groups.
    /// - `Closed`; else what the log of commits says.
    pub(crate) fn join_group(self: &Arc<Self>, options: MemberOptions) -> Result<Member> {
        let name = GroupName::new(&options.group)?;
        if let Some(instance) = &options.instance_id {
            check_instance_id(instance)?;
        }
        if options.assignors.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "a member of a group needs an assignor"));
        }
        let groups = self.groups()?;
        let seat = Arc::new(Seat::default());
        let topics_version = self.topics_version.load(Ordering::Acquire);
        let (id, group) = groups.join(self, &name, &options, &options.wanted, &seat)?;
        let wanted = options.wanted.clone();
        let life = Life { id, group, wanted, topics_version, mine: BTreeMap::new(), over: None };
        Ok(Member { core: self.clone(), groups, options, seat, life: Mutex::new(life) })
    }
}

impl Groups {
    fn join(
        &self,
        core: &Core,
        name: &GroupName,
        options: &MemberOptions,
        wanted: &Wanted,
        seat: &Arc<Seat>,
    ) -> Result<(Arc<str>, Arc<Group>)> {
        seat.set_rule(matches!(wanted, Wanted::Matching(_)));
        let topics = wanted.names(core);
        loop {
            let group = self.group(name, core)?;
            let id = self.draw_member_id(&options.client_id);
            let newcomer = Newcomer {
                id: id.clone(),
                instance_id: options.instance_id.clone(),
                client_id: options.client_id.clone(),
                topics: topics.clone(),
                assignors: options.assignors.clone(),
                poll_interval: options.poll_interval,
                session_timeout: options.session_timeout,
            };
            let joined = group.with_seats(self, |coordinator, seats, now| {
                seat.work_since(now);
                coordinator.join(newcomer, now)?;
                seats.insert(id.clone(), seat.clone());
                Ok(())
            });
            match joined {
                Ok(()) => {
                    // The thread has slept without a thought of this one.
                    self.store.upkeep.call();
                    return Ok((id, group));
                }
                // It was deleted a moment ago.
                Err(Refusal::Dead) => self.forget(&group),
                Err(refusal) => return Err(refusal.to_error(name.as_str())),
            }
        }
    }
}

impl GroupMember for Member {
    fn poll(&self) -> Result<Vec<GroupEvent>> {
        self.core.usable()?;
        let polled = self.poll_locked(&mut self.life.lock());
        // Where the group begins in a topic was said under the lock.
        self.groups.store.wake_waiters();
        polled
    }

    fn gave_up(&self, partitions: &[TopicPartition]) -> Pending<()> {
        let mut life = self.life.lock();
        for partition in partitions {
            life.mine.remove(partition);
        }
        let (id, group) = (life.id.clone(), life.group.clone());
        // Who is no member any more has nothing left to give up.
        drop(life.group.with(&self.groups, |coordinator, now| coordinator.gave_up(&id, partitions, now)));
        drop(life);
        self.groups.store.flush_group(&group.name).unwrap_or_else(Pending::failed)
    }

    fn commit(&self, points: Vec<(TopicPartition, CommitPoint)>, level: Durability) -> Pending<()> {
        self.try_commit(points, level).unwrap_or_else(Pending::failed)
    }

    fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<Option<CommittedOffset>>> {
        let group = self.life.lock().group.name.clone();
        let committed = |place: &TopicPartition| {
            let topic = self.core.topic(place.topic())?;
            Ok(self.groups.store.committed(&group, topic.id(), place.partition()))
        };
        partitions.iter().map(committed).collect()
    }

    fn subscribe(&self, wanted: Wanted) -> Result<()> {
        self.core.usable()?;
        let mut life = self.life.lock();
        life.usable()?;
        self.seat.set_rule(matches!(wanted, Wanted::Matching(_)));
        life.wanted = wanted;
        self.groups.follow_topics(&self.core);
        self.resubscribe(&life)
    }

    fn leave(&self) -> Pending<()> {
        let mut life = self.life.lock();
        if life.over.is_some() {
            return Pending::ready(());
        }
        let (id, group) = (life.id.clone(), life.group.clone());
        life.leave_seat(&self.groups);
        drop(life.group.with(&self.groups, |coordinator, now| coordinator.leave(&id, now)));
        life.end(&Error::new(
            ErrorKind::Closed,
            format!("group {}: the member has left", self.options.group),
        ));
        drop(life);
        self.groups.store.upkeep.call();
        self.groups.store.flush_group(&group.name).unwrap_or_else(Pending::failed)
    }

    fn is_called(&self) -> bool {
        self.seat.is_called() || self.core.is_closed.load(Ordering::Acquire)
    }

    fn register(&self, waker: &Waker) {
        self.seat.register(waker);
    }

    fn noting(&self, waker: &Waker) -> Waker {
        self.seat.noting(waker)
    }

    fn wait_begins(&self) {
        self.seat.wait();
    }

    fn wait_ends(&self) {
        self.seat.work_since(self.groups.now());
    }

    fn is_over(&self) -> bool {
        self.life.lock().over.is_some()
    }

    fn id(&self) -> Arc<str> {
        self.life.lock().id.clone()
    }
}

impl Member {
    /// A poll, with the lock of this life held.
    fn poll_locked(&self, life: &mut Life) -> Result<Vec<GroupEvent>> {
        life.usable()?;
        let version = self.core.topics_version.load(Ordering::Acquire);
        let now = self.groups.now();
        if !self.seat.is_called() && life.topics_version == version && life.group.is_quiet(now) {
            self.seat.work_since(now);
            return Ok(Vec::new());
        }
        self.seat.answer();
        if life.topics_version != version {
            life.topics_version = version;
            self.groups.follow_topics(&self.core);
            self.resubscribe(life)?;
        }
        let id = life.id.clone();
        let polled = life.group.with(&self.groups, |coordinator, now| self.step(coordinator, &id, now));
        match polled {
            Ok(changes) => Ok(self.events(life, Vec::new(), changes)),
            Err(Refusal::UnknownMember) => self.join_anew(life),
            Err(refusal) => {
                let error = refusal.to_error(&self.options.group);
                if let Refusal::FencedInstance(_) = refusal {
                    life.end(&error);
                }
                Err(error)
            }
        }
    }

    fn step(&self, coordinator: &mut Coordinator, id: &Arc<str>, now: Duration) -> Result<Changes, Refusal> {
        if let Some(instance) = &self.options.instance_id
            && (self.seat.is_fenced() || coordinator.is_fenced(id, instance))
        {
            return Err(Refusal::FencedInstance(instance.clone()));
        }
        // Not before who has not polled for too long was expelled: this one may be among them.
        self.seat.work_since(now);
        coordinator.poll(id, now)
    }

    /// Asks the rule anew which topics are wanted.
    fn resubscribe(&self, life: &Life) -> Result<()> {
        let topics = life.wanted.names(&self.core);
        let id = life.id.clone();
        let subscribed =
            life.group.with(&self.groups, |coordinator, now| coordinator.subscribe(&id, topics, now));
        match subscribed {
            // It hears that from the poll.
            Ok(()) | Err(Refusal::UnknownMember) => Ok(()),
            Err(refusal) => Err(refusal.to_error(&self.options.group)),
        }
    }

    /// Has lost everything, and begins another life.
    fn join_anew(&self, life: &mut Life) -> Result<Vec<GroupEvent>> {
        let lost: Vec<_> = std::mem::take(&mut life.mine).into_keys().collect();
        life.leave_seat(&self.groups);
        let name = GroupName::new(&self.options.group)?;
        let joined = self.groups.join(&self.core, &name, &self.options, &life.wanted, &self.seat);
        let (id, group) = joined.inspect_err(|error| life.end(error))?;
        (life.id, life.group) = (id.clone(), group);
        let polled = life.group.with(&self.groups, |coordinator, now| self.step(coordinator, &id, now));
        let changes = polled.unwrap_or_default();
        Ok(self.events(life, lost, changes))
    }

    fn events(&self, life: &mut Life, mut lost: Vec<TopicPartition>, changes: Changes) -> Vec<GroupEvent> {
        lost.extend(changes.lost);
        for partition in &lost {
            life.mine.remove(partition);
        }
        let mut assigned = Vec::new();
        for given in changes.assigned {
            let Ok(topic) = self.core.topic(given.partition.topic()) else { continue };
            let resume = self.groups.store.resume(&life.group.name, &topic, given.partition.partition());
            life.mine.insert(given.partition.clone(), Mine { since: given.since, topic: topic.id() });
            assigned.push((given.partition, resume));
        }
        let mut events = Vec::new();
        if !lost.is_empty() {
            events.push(GroupEvent::Lost(lost));
        }
        if !changes.revoked.is_empty() {
            events.push(GroupEvent::Revoke(changes.revoked));
        }
        if !assigned.is_empty() {
            events.push(GroupEvent::Assigned(assigned));
        }
        events
    }

    fn try_commit(
        &self,
        points: Vec<(TopicPartition, CommitPoint)>,
        level: Durability,
    ) -> Result<Pending<()>> {
        self.core.usable()?;
        let mut life = self.life.lock();
        life.usable()?;
        // A topic that was deleted is nobody's any more.
        self.groups.follow_topics(&self.core);
        let timestamp = self.groups.wall_now();
        let (mut places, mut commits) = (Vec::new(), Vec::new());
        for (place, point) in points {
            let CommitPoint { offset, metadata, leader_epoch } = point;
            if metadata.len() > METADATA_LEN_MAX {
                let message = format!(
                    "metadata of {} bytes for {place}: the limit is {METADATA_LEN_MAX} bytes",
                    metadata.len()
                );
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
            let not_held = || Refusal::NotHeld(place.clone()).to_error(&self.options.group);
            let mine = life.mine.get_mut(&place).ok_or_else(not_held)?;
            let committed = CommittedOffset { offset, leader_epoch, metadata, timestamp };
            let data = mine.data(&self.core, &place)?;
            commits.push(Commit { topic: mine.topic, partition: place.partition(), committed, data });
            places.push((place, mine.since));
        }
        let group = life.group.clone();
        group.with(&self.groups, |coordinator, _| {
            for (place, since) in &places {
                let allowed = coordinator.may_commit(&life.id, place, *since);
                allowed.map_err(|refusal| refusal.to_error(&group.name))?;
            }
            self.groups.store.commit(&group.name, commits, level)
        })
    }
}

impl Life {
    fn usable(&self) -> Result<()> {
        self.over.clone().map_or(Ok(()), Err)
    }

    fn end(&mut self, why: &Error) {
        self.mine.clear();
        self.over = Some(why.clone());
    }

    fn leave_seat(&self, groups: &Groups) {
        self.group.with_seats(groups, |_, seats, _| drop(seats.remove(&self.id)));
    }
}

impl Mine {
    /// The partition itself. It is not held: what nobody reads or writes may rest, however often it was committed.
    fn data(&self, core: &Core, place: &TopicPartition) -> Result<Partition> {
        let topic = core.topic(place.topic())?;
        if topic.id() != self.topic {
            let message = format!("topic {} was deleted, and there is another of its name", place.topic());
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        topic.partition(place.partition())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        drop(self.leave());
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("options", &self.options)
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}
