//! All groups of a broker.

use super::group::Group;
use super::seat::Seat;
use super::store::OffsetStore;
use crate::broker::backend::{Backend, Guest};
use crate::broker::core::Core;
use crate::group::coordinator::{TopicFacts, Topics};
use crate::group::name::GroupName;
use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::upkeep::{Chore, Upkeep};
use crate::{Error, ErrorKind, Result, Timestamp, TopicId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Most groups that can have members at a time.
const GROUPS_MAX: usize = 100_000;

/// The groups of an open broker.
pub(crate) struct Groups {
    core: Weak<Core>,
    pub(super) store: Arc<OffsetStore>,
    live: Mutex<BTreeMap<Arc<str>, Arc<Group>>>,
    /// Which topics there are, as far as the groups have been told.
    topics: Mutex<Arc<Topics>>,
    /// How many members there were.
    member_count: AtomicU64,
    /// Differs from process to process.
    salt: u64,
}

impl Core {
    /// The groups of this broker.
    ///
    /// # Errors
    /// `Closed`; `Io` when the timers thread cannot be started.
    pub(crate) fn groups(self: &Arc<Self>) -> Result<Arc<Groups>> {
        self.usable()?;
        if let Some(groups) = self.groups.get() {
            return Ok(groups.clone());
        }
        let groups = Arc::new(Groups {
            core: Arc::downgrade(self),
            store: OffsetStore::new(),
            live: Mutex::new(BTreeMap::new()),
            topics: Mutex::default(),
            member_count: AtomicU64::new(0),
            salt: self.home.entropy().salt()?,
        });
        if self.groups.set(groups.clone()).is_ok() {
            let guest: Weak<dyn Guest> = Arc::<Groups>::downgrade(&groups);
            self.attend(guest)?;
        }
        self.groups.get().cloned().ok_or_else(|| self.home.closed())
    }

    /// Whether there is a topic of this identity.
    pub(super) fn has_topic(&self, id: TopicId) -> bool {
        self.topics.read().values().any(|topic| topic.id() == id)
    }
}

impl Groups {
    pub(super) fn core(&self) -> Result<Arc<Core>> {
        self.core.upgrade().ok_or_else(|| Error::new(ErrorKind::Closed, "the broker was closed"))
    }

    /// The monotonic clock.
    pub(super) fn now(&self) -> Duration {
        self.core.upgrade().map_or(Duration::ZERO, |core| core.home.monotonic())
    }

    /// The wall clock, as retention sees it.
    pub(super) fn wall_now(&self) -> Timestamp {
        self.core.upgrade().map_or(Timestamp::MIN, |core| core.home.retention_now())
    }

    /// An id that no member has or had.
    pub(super) fn draw_member_id(&self, client_id: &str) -> Arc<str> {
        let number = self.member_count.fetch_add(1, Ordering::Relaxed);
        format!("{client_id}-{:016x}-{number}", self.salt).into()
    }

    /// The group of this name, which is made if it is not live.
    pub(super) fn group(&self, name: &GroupName, core: &Core) -> Result<Arc<Group>> {
        self.store.open(core)?;
        self.follow_topics(core);
        let group = self.live_or_new(name)?;
        // Whoever told all groups of a change may have done so before this one was among them.
        let topics = self.topics.lock().clone();
        group.with(self, |coordinator, now| coordinator.topics_changed(&topics, now));
        Ok(group)
    }

    fn live_or_new(&self, name: &GroupName) -> Result<Arc<Group>> {
        let topics = self.topics.lock().clone();
        let mut live = self.live.lock();
        if let Some(group) = live.get(name.as_str()) {
            return Ok(group.clone());
        }
        if live.len() >= GROUPS_MAX {
            let message = format!("there are {GROUPS_MAX} groups, which is the limit");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let generation = self.store.facts(name.as_str()).unwrap_or_default().generation;
        let group = Arc::new(Group::new(name.to_arc(), generation, topics));
        live.insert(name.to_arc(), group.clone());
        Ok(group)
    }

    pub(super) fn live(&self, name: &str) -> Option<Arc<Group>> {
        self.live.lock().get(name).cloned()
    }

    pub(super) fn all_live(&self) -> Vec<Arc<Group>> {
        self.live.lock().values().cloned().collect()
    }

    /// Lets go of a group that was deleted.
    pub(super) fn forget(&self, group: &Arc<Group>) {
        let mut live = self.live.lock();
        if live.get(&group.name).is_some_and(|known| Arc::ptr_eq(known, group)) {
            live.remove(&group.name);
        }
    }

    /// Forgets committed offsets that have expired, and has their log begin at a snapshot where it is long.
    /// Blocks: work for the disk thread.
    ///
    /// # Errors
    /// Those of the log. It is tried again.
    pub(in crate::broker) fn tidy(&self, retention: Duration) -> Result<()> {
        let tidied = self.store.tidy(self.wall_now(), retention);
        self.store.wake_waiters();
        tidied
    }

    /// Lets go of groups that nobody has a handle of and that have no members.
    fn sweep(&self) {
        // Nobody can get one while the lock is held; the list has one count of each.
        self.live.lock().retain(|_, group| Arc::strong_count(group) > 1 || group.has_members());
    }

    /// Tells all groups of the topics that there are, if those have changed since.
    pub(super) fn follow_topics(&self, core: &Core) {
        // One more than the broker counts, so that the first is later than what a new group knows.
        let version = core.topics_version().saturating_add(1);
        let mut known = self.topics.lock();
        if known.version >= version {
            return;
        }
        let facts =
            |topic: &crate::Topic| TopicFacts { id: topic.id(), partition_count: topic.partition_count() };
        let all = core.topics();
        let topics = all.iter().map(|topic| (topic.name_arc(), facts(topic)));
        let topics = Arc::new(Topics::new(version, topics));
        *known = topics.clone();
        drop(known);
        // What fails now is done when the broker opens the next time.
        drop(self.store.keep_topics(core));
        self.store.wake_waiters();
        for group in self.all_live() {
            group.with(self, |coordinator, now| coordinator.topics_changed(&topics, now));
            group.call(self.now(), Seat::goes_by_rule);
        }
    }
}

impl Chore for Groups {
    fn upkeep(&self) -> &Upkeep {
        &self.store.upkeep
    }

    fn do_due(&self) -> Duration {
        let Ok(core) = self.core() else { return Duration::MAX };
        if core.usable().is_err() {
            return Duration::MAX;
        }
        self.follow_topics(&core);
        // Whoever waits for the commit hears of the error.
        self.store.settle();
        self.store.wake_waiters();
        if self.store.look(super::book::Book::wants_snapshot).unwrap_or_default() {
            core.upkeep.call();
        }
        let now = self.now();
        for group in self.all_live().iter().filter(|group| !group.is_quiet(now)) {
            group.with(self, |_, _| ());
        }
        self.sweep();
        let next = self.all_live().iter().map(|group| group.due_at()).min().unwrap_or(Duration::MAX);
        if next >= Duration::from_nanos(u64::MAX - 1) { Duration::MAX } else { next.saturating_sub(now) }
    }

    fn panicked(&self) {
        // Something of the user's did, a clock or a filter of topics; sessions and commits of others go on.
        self.store.upkeep.call();
    }
}

impl Guest for Groups {
    fn broker_closes(&self) {
        self.store.close();
        self.all_live().iter().for_each(|group| group.call(self.now(), |_| true));
    }

    fn as_chore(self: Arc<Self>) -> Arc<dyn Chore> {
        self
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").field("live", &self.live.lock().len()).finish_non_exhaustive()
    }
}
