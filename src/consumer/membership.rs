//! A consumer's part in its group.
//!
//! ```text
//!     poll ──▶ step: lost ──▶ lanes out, listener
//!                    revoked ──▶ commit, listener, lanes out, give up
//!                    assigned ──▶ lanes in at the committed offset, listener
//!                    commit by itself, if that is due
//! ```

use super::alarm::Alarm;
use super::auto_commit::AutoCommit;
use super::lanes::Lanes;
use super::rebalance::{Listener, PartitionsAssigned, PartitionsRevoked, Rebalance};
use crate::broker::backend::Backend;
use crate::broker::group_member::GroupMember;
use crate::broker::group_member::{CommitPoint, GroupEvent, Resume, Wanted};
use crate::group::CommittedOffset;
use crate::sync::{Bug, planted};
use crate::{Durability, ErrorKind, Pending, Result, StartAt, TopicPartition};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// The number of the rope by which the group rings.
pub(super) const GROUP: u64 = u64::MAX - 1;

/// A consumer's part in its group.
pub(super) struct Membership {
    backend: Arc<dyn Backend>,
    member: Box<dyn GroupMember>,
    start_at: StartAt,
    listener: Option<Listener>,
    auto: Option<(AutoCommit, Arc<Alarm>)>,
    /// Rings for the group.
    waker: Waker,
    /// What was heard and not yet done. An event is done whatever comes of it; those behind one that ended in an
    /// error, or in a listener's panic, are done by the next step.
    events: VecDeque<GroupEvent>,
}

/// Whether a poll can go on to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    /// The group has something to say first.
    Called,
}

impl Membership {
    pub(super) fn new(
        backend: Arc<dyn Backend>,
        member: Box<dyn GroupMember>,
        (start_at, listener): (StartAt, Option<Listener>),
        auto: Option<(Duration, Arc<Alarm>)>,
        waker: Waker,
    ) -> Self {
        let auto = auto.map(|(interval, alarm)| (AutoCommit::new(interval, alarm.now()), alarm));
        Self { backend, member, start_at, listener, auto, waker, events: VecDeque::new() }
    }

    /// A poll returns records.
    pub(super) fn returned(&mut self, lanes: &Lanes) {
        if let Some((auto, _)) = &mut self.auto {
            auto.returned();
        }
        if planted(Bug::WorkInHandCommitted) {
            drop(self.commit_if_due(lanes));
        }
    }

    /// Hears what is new in the group, and commits if that is due.
    pub(super) fn step(&mut self, lanes: &mut Lanes) -> Result<()> {
        let events = self.member.poll().inspect_err(|_| {
            if self.member.is_over() {
                let all: Vec<_> = lanes.places().cloned().collect();
                self.lose(&all, lanes);
            }
        })?;
        self.events.extend(events);
        while let Some(event) = self.events.pop_front() {
            match event {
                GroupEvent::Lost(partitions) => self.lose(&partitions, lanes),
                GroupEvent::Revoke(partitions) => self.give_up(&partitions, lanes)?,
                GroupEvent::Assigned(given) => self.take_over(given, lanes)?,
            }
        }
        self.commit_if_due(lanes)
    }

    fn lose(&self, partitions: &[TopicPartition], lanes: &mut Lanes) {
        if !planted(Bug::LostStillRead) {
            partitions.iter().for_each(|partition| drop(lanes.remove(partition)));
        }
        if let Some(listener) = self.listener.as_ref().filter(|_| !partitions.is_empty()) {
            listener(Rebalance::Lost(partitions));
        }
    }

    fn give_up(&mut self, partitions: &[TopicPartition], lanes: &mut Lanes) -> Result<()> {
        let committed = match self.auto {
            Some(_) => self.try_commit(lanes.commit_points(partitions), Durability::Written),
            None => Ok(()),
        };
        // Even if the listener panics, others get them.
        let heard = catch_unwind(AssertUnwindSafe(|| self.tell_revoked(partitions, lanes)));
        partitions.iter().for_each(|partition| drop(lanes.remove(partition)));
        // What was committed becomes durable without anybody waiting for it.
        drop(self.member.gave_up(partitions));
        heard.unwrap_or_else(|panic| resume_unwind(panic));
        committed
    }

    fn tell_revoked(&self, partitions: &[TopicPartition], lanes: &Lanes) {
        if let Some(listener) = self.listener.as_ref().filter(|_| !partitions.is_empty()) {
            listener(Rebalance::Revoked(PartitionsRevoked { partitions, lanes, member: &*self.member }));
        }
    }

    fn take_over(&self, given: Vec<(TopicPartition, Resume)>, lanes: &mut Lanes) -> Result<()> {
        let mut partitions = Vec::with_capacity(given.len());
        let mut outcome = Ok(());
        for (place, resume) in given {
            let added = self.backend.topic(place.topic()).and_then(|topic| lanes.add(&*topic, place.clone()));
            let lane = match added {
                Ok(lane) => lane,
                // The topic was deleted since, which the group says next.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    outcome = outcome.and(Err(error));
                    continue;
                }
            };
            match resume {
                Resume::At(committed) => lane.move_to(committed.offset),
                Resume::Anew => lane.begin_at(self.start_at),
                Resume::AtBeginning if planted(Bug::AddedFromStartAt) => lane.begin_at(self.start_at),
                Resume::AtBeginning => lane.begin_at(StartAt::Earliest),
            }
            partitions.push(place);
        }
        if let Some(listener) = self.listener.as_ref().filter(|_| !partitions.is_empty()) {
            listener(Rebalance::Assigned(PartitionsAssigned { partitions: &partitions, lanes }));
        }
        outcome
    }

    fn commit_if_due(&mut self, lanes: &Lanes) -> Result<()> {
        let Some((auto, alarm)) = &mut self.auto else { return Ok(()) };
        let now = alarm.now();
        if !auto.is_due(now) {
            return Ok(());
        }
        // Whatever comes of it: not again before the interval is over.
        auto.put_off(now);
        self.try_commit(lanes.all_commit_points(), Durability::Written)?;
        if let Some((auto, _)) = &mut self.auto {
            auto.settled();
        }
        Ok(())
    }

    /// Commits without waiting. That the member is one no more, the next step says better.
    fn try_commit(&self, points: Vec<(TopicPartition, CommitPoint)>, level: Durability) -> Result<()> {
        match self.member.commit(points, level).wait_for(Duration::ZERO) {
            Err(error) if error.kind() != ErrorKind::Fenced => Err(error),
            _ => Ok(()),
        }
    }

    /// Is about to wait for records: rings when the group has something to say, or something is due.
    pub(super) fn wait_begins(&self) -> Readiness {
        self.member.register(&self.waker);
        if self.member.is_called() {
            return Readiness::Called;
        }
        self.member.wait_begins();
        if let Some((auto, alarm)) = &self.auto
            && let Some(due) = auto.due()
        {
            alarm.ring_at(due);
        }
        Readiness::Ready
    }

    /// A waker to sleep with: it calls `waker`, and the group knows.
    pub(super) fn noting(&self, waker: &Waker) -> Waker {
        self.member.noting(waker)
    }

    /// Has waited for nothing.
    pub(super) fn wait_ends(&self) {
        if !planted(Bug::StillWaiting) {
            self.member.wait_ends();
        }
    }

    pub(super) fn commit(
        &self,
        points: impl IntoIterator<Item = (TopicPartition, CommitPoint)>,
        level: Durability,
    ) -> Pending<()> {
        self.member.commit(points.into_iter().collect(), level)
    }

    pub(super) fn committed(&self, partition: &TopicPartition) -> Result<Option<CommittedOffset>> {
        let committed = self.member.committed(std::slice::from_ref(partition))?;
        Ok(committed.into_iter().next().flatten())
    }

    pub(super) fn subscribe(&self, wanted: Wanted) -> Result<()> {
        self.member.subscribe(wanted)
    }

    pub(super) fn id(&self) -> Arc<str> {
        self.member.id()
    }

    /// Commits all that polls returned, if it commits by itself, and leaves the group.
    pub(super) fn close(self, lanes: &mut Lanes) -> Result<()> {
        let committed = match self.auto {
            Some(_) => self.member.commit(lanes.all_commit_points(), Durability::Written).wait(),
            None => Ok(()),
        };
        let partitions: Vec<_> = lanes.places().cloned().collect();
        self.tell_revoked(&partitions, lanes);
        partitions.iter().for_each(|partition| drop(lanes.remove(partition)));
        let left = self.member.leave().wait();
        committed.and(left)
    }
}
