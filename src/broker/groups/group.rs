//! One group: its coordinator, and the seats of its members.

use super::registry::Groups;
use super::seat::{Seat, nanos};
use crate::Timestamp;
use crate::group::coordinator::{Coordinator, Effect, Topics};
use crate::group::offsets::{Entry, GroupFacts};
use crate::group::{Generation, GroupState};
use crate::sync::{AtomicU64, Mutex, Ordering, wake_each};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A group that has members, or had some since the broker was opened.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: Arc<str>,
    inner: Mutex<Inner>,
    /// When (monotonic, in nanoseconds) its coordinator has something to do by itself.
    due_at: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    coordinator: Coordinator,
    seats: BTreeMap<Arc<str>, Arc<Seat>>,
    was_empty: bool,
}

impl Group {
    pub(super) fn new(name: Arc<str>, generation: Generation, topics: Arc<Topics>) -> Self {
        let coordinator = Coordinator::new(generation, topics);
        let inner = Inner { coordinator, seats: BTreeMap::new(), was_empty: true };
        Self { name, inner: Mutex::new(inner), due_at: AtomicU64::new(u64::MAX) }
    }

    /// Whether its coordinator has nothing to do by itself before `now`.
    pub(super) fn is_quiet(&self, now: Duration) -> bool {
        nanos(now) < self.due_at.load(Ordering::Acquire)
    }

    pub(super) fn due_at(&self) -> Duration {
        Duration::from_nanos(self.due_at.load(Ordering::Acquire))
    }

    /// Lets an event happen, after what is due by its time.
    pub(super) fn with<T>(&self, groups: &Groups, event: impl FnOnce(&mut Coordinator, Duration) -> T) -> T {
        self.with_seats(groups, |coordinator, _, now| event(coordinator, now))
    }

    /// The same for an event that changes who sits where.
    pub(super) fn with_seats<T>(
        &self,
        groups: &Groups,
        event: impl FnOnce(&mut Coordinator, &mut BTreeMap<Arc<str>, Arc<Seat>>, Duration) -> T,
    ) -> T {
        let now = groups.now();
        let mut inner = self.inner.lock();
        inner.tick(now);
        let Inner { coordinator, seats, .. } = &mut *inner;
        let result = event(coordinator, seats, now);
        let wakers = inner.carry_out_effects(now);
        self.note_emptiness_locked(&mut inner, groups);
        self.due_at.store(nanos(inner.coordinator.next_due()), Ordering::Release);
        drop(inner);
        wake_each(wakers);
        groups.store.wake_waiters();
        result
    }

    pub(super) fn has_members(&self) -> bool {
        self.inner.lock().coordinator.members().next().is_some()
    }

    /// Has all members look up of whom this is true.
    pub(super) fn call(&self, now: Duration, is_meant: impl Fn(&Seat) -> bool) {
        let inner = self.inner.lock();
        let seats: Vec<_> = inner.seats.values().filter(|seat| is_meant(seat)).cloned().collect();
        drop(inner);
        wake_each(seats.iter().filter_map(|seat| seat.call(now)));
    }

    /// Keeps since when the group has had no members: its offsets' time begins then.
    fn note_emptiness_locked(&self, inner: &mut Inner, groups: &Groups) {
        let is_empty = matches!(inner.coordinator.state(), GroupState::Empty | GroupState::Dead);
        if is_empty == std::mem::replace(&mut inner.was_empty, is_empty)
            || inner.coordinator.state() == GroupState::Dead
        {
            return;
        }
        let empty_since = is_empty.then(|| groups.wall_now());
        groups.store.note_group(&self.name, self.facts(inner.coordinator.generation(), empty_since));
    }

    fn facts(&self, generation: Generation, empty_since: Option<Timestamp>) -> GroupFacts {
        GroupFacts { generation, empty_since }
    }
}

impl Inner {
    fn tick(&mut self, now: Duration) {
        if self.coordinator.next_due() > now {
            return;
        }
        // Polls that had nothing to look for were noted in the seats alone.
        for (id, seat) in &self.seats {
            // One that was expelled hears of it when it polls.
            drop(self.coordinator.progress(id, seat.presence(now)));
        }
        self.coordinator.tick(now);
    }

    fn carry_out_effects(&mut self, now: Duration) -> Vec<std::task::Waker> {
        let seats = &mut self.seats;
        let wake = |effect| match effect {
            Effect::Wake(id) => seats.get(&id).and_then(|seat| seat.call(now)),
            Effect::Fence(id) => seats.remove(&id).and_then(|seat| seat.fence(now)),
            // There are no remote members yet, so nobody waits for an answer.
            Effect::Joined(..) | Effect::Synced(..) => None,
        };
        self.coordinator.take_effects().into_iter().filter_map(wake).collect()
    }
}

impl super::store::OffsetStore {
    /// Keeps where a group stands; nothing of one that is empty and has committed nothing.
    fn note_group(&self, group: &Arc<str>, facts: GroupFacts) {
        self.note(|book| {
            if facts.empty_since.is_some() && !book.has_offsets(group) {
                book.ledger.without_group(group)
            } else {
                vec![Entry::Group { group: group.clone(), facts: Some(facts) }]
            }
        });
    }
}
