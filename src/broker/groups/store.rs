//! Where the committed offsets of all groups are: opened when a group is asked for the first time.
//!
//! ```text
//!     commit ──data durable──▶ Book: append, take note ──▶ snapshot: append all, sync, move the log start
//!       └──────data not yet──▶ held ──its sync──▶ the timers thread, or whoever waits: settle
//! ```

use super::book::{Accepted, Book, Commit, Fate, Place};
use super::committing::{Committing, Step};
use crate::broker::core::Core;
use crate::broker::group_member::Resume;
use crate::group::offsets::{CommittedOffset, Entry, GroupFacts, OFFSETS_TOPIC};
use crate::partition::Remaining;
use crate::sync::{AtomicBool, Bug, Goal, Mutex, MutexGuard, OnceLock, Ordering, Pending, planted};
use crate::upkeep::Upkeep;
use crate::{
    Durability, Error, ErrorKind, Partition, ReadLevel, Result, Retention, Timestamp, Topic, TopicId,
    TopicOptions,
};
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

/// Segment size of the log of commits: snapshots keep it short.
const SEGMENT_BYTES: u64 = 4 << 20;

/// Calls the timers thread.
struct Caller(Weak<OffsetStore>);

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        if let Some(store) = self.0.upgrade() {
            store.upkeep.call();
        }
    }
}

/// The committed offsets of a broker's groups.
#[derive(Debug)]
pub(super) struct OffsetStore {
    /// Taken under the lock of a group; none until it is opened.
    book: Mutex<Option<Book>>,
    /// The log of the book, for whoever wakes those who wait for it.
    log: OnceLock<Partition>,
    /// Whether anything may have been appended since they were woken.
    has_news: AtomicBool,
    /// The line of the groups to the timers thread.
    pub(super) upkeep: Upkeep,
    /// Calls that thread when data has become durable that a commit waits for.
    caller: Waker,
}

impl OffsetStore {
    pub(super) fn new() -> Arc<Self> {
        Arc::new_cyclic(|store: &Weak<Self>| Self {
            book: Mutex::new(None),
            log: OnceLock::new(),
            has_news: AtomicBool::new(false),
            upkeep: Upkeep::default(),
            caller: Waker::from(Arc::new(Caller(store.clone()))),
        })
    }

    /// Opens it; makes the topic where there is none. Blocks. Not to be called under the lock of a group.
    ///
    /// # Errors
    /// Those of making the topic or opening its partition; `Corrupt` or `Unsupported` when it says what is
    /// not understood.
    pub(super) fn open(&self, core: &Core) -> Result<()> {
        if self.book.lock().is_some() {
            return Ok(());
        }
        let topic = match core.topic(OFFSETS_TOPIC) {
            Err(error) if error.kind() == ErrorKind::NotFound => core.make_internal_topic(
                OFFSETS_TOPIC,
                &TopicOptions::new()
                    .partitions(1)
                    .segment_bytes_max(SEGMENT_BYTES)
                    .retention(Retention::Forever)
                    .durability(Durability::Durable)
                    .read_level(ReadLevel::Durable),
            )?,
            found => found?,
        };
        // Wakes whoever waits for the partition to be opened, so it comes before the lock.
        let log = topic.own_partition(0)?;
        let mut book = self.book.lock();
        if book.is_some() {
            return Ok(());
        }
        let opened = Book::open(log.clone()).and_then(|mut opened| {
            // What was not said because the process ended before it could be.
            let mut missing = opened.ledger.without_topics(|id| core.has_topic(id));
            missing.extend(opened.abandoned_groups(core.home.retention_now()));
            opened.say(missing, Durability::Written)?;
            Ok(opened)
        });
        let opened = opened.map(|opened| {
            drop(self.log.set(log.clone()));
            *book = Some(opened);
        });
        drop(book);
        log.wake_waiters();
        opened
    }

    /// Wakes whoever waits for the log. To be called without any lock: a waker may do anything.
    pub(super) fn wake_waiters(&self) {
        if self.has_news.swap(false, Ordering::AcqRel)
            && let Some(log) = self.log.get()
        {
            log.wake_waiters();
        }
    }

    /// Opens it if it is there; says whether it is.
    ///
    /// # Errors
    /// As [`OffsetStore::open`].
    pub(super) fn open_if_there(&self, core: &Core) -> Result<bool> {
        match core.topic(OFFSETS_TOPIC) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
            Ok(_) => self.open(core).map(|()| true),
        }
    }

    /// Works on the book.
    ///
    /// # Errors
    /// `Closed` when it is not open, and those of the work.
    fn with<T>(&self, work: impl FnOnce(&mut Book, &mut Context<'_>) -> Result<T>) -> Result<T> {
        let mut book: MutexGuard<'_, Option<Book>> = self.book.lock();
        let book = book.as_mut().ok_or_else(not_open)?;
        let worked = work(book, &mut Context::from_waker(&self.caller));
        // Not before: somebody who wakes meanwhile would take the word for it and leave those asleep.
        self.has_news.store(true, Ordering::Release);
        worked
    }

    /// Looks into the book; nothing of it while it is not open.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Book) -> T) -> Option<T> {
        self.book.lock().as_ref().map(look)
    }

    /// Commits offsets of a group. The caller has made sure that they are its to commit, and holds the lock
    /// under which that stays so.
    pub(super) fn commit(
        self: &Arc<Self>,
        group: &Arc<str>,
        commits: Vec<Commit>,
        level: Durability,
    ) -> Result<Pending<()>> {
        let (accepted, wants_snapshot) = self.with(|book, context| {
            let accepted = book.commit(group, commits, level, context)?;
            Ok((accepted, book.wants_snapshot()))
        })?;
        if wants_snapshot {
            self.upkeep.call();
        }
        Ok(self.pending(accepted, level))
    }

    fn pending(self: &Arc<Self>, accepted: Accepted, level: Durability) -> Pending<()> {
        let Accepted { stored, held } = accepted;
        if held.is_empty() {
            return synced(stored);
        }
        let committing = Committing { store: self.clone(), held, level, step: Mutex::new(Step::Look) };
        Pending::until(Arc::new(committing), Goal { end: 0, restarts: 0 }, ())
    }

    /// Says something about groups, as well as can be: it holds in any case, and is said again with the next
    /// entry if it cannot be stored now.
    pub(super) fn note(&self, entries: impl FnOnce(&Book) -> Vec<Entry>) {
        // While it is not open there is nothing to keep.
        drop(self.with(|book, _| {
            book.note(entries(book), Durability::Written);
            Ok(())
        }));
    }

    /// Forgets a group; none if nothing is known of it. The caller holds the lock under which nobody commits anything
    /// of it.
    ///
    /// # Errors
    /// Those of saying so.
    pub(super) fn forget_group(&self, group: &Arc<str>) -> Result<Option<Pending<()>>> {
        let why = Error::new(ErrorKind::NotFound, format!("group {group} was deleted"));
        let said = self.with(|book, _| {
            book.drop_held(|(of, _, _)| of != group, &why);
            let gone = book.ledger.without_group(group);
            if gone.is_empty() { Ok(None) } else { book.say(gone, Durability::Durable).map(Some) }
        })?;
        Ok(said.map(synced))
    }

    /// Where a group goes on in a partition.
    pub(super) fn resume(&self, group: &Arc<str>, topic: &Topic, partition: u32) -> Resume {
        if let Some(committed) = self.committed(group, topic.id(), partition) {
            return Resume::At(committed);
        }
        match self.look(|book| book.ledger.start(group, topic.id())).flatten() {
            Some(start) if partition >= start => Resume::AtBeginning,
            Some(_) => Resume::Anew,
            None => {
                let partition_count = Some(topic.partition_count());
                let start = Entry::Start { group: group.clone(), topic: topic.id(), partition_count };
                self.note(|_| vec![start]);
                Resume::Anew
            }
        }
    }

    /// Stores what was held and whose data is durable now.
    pub(super) fn settle(&self) {
        // While it is not open nothing is held.
        drop(self.with(|book, context| {
            book.settle(context);
            Ok(())
        }));
    }

    pub(super) fn awaited(&self, commits: &[(Place, Fate)]) -> Option<Result<Pending<()>>> {
        self.look(|book| book.awaited(commits)).flatten()
    }

    /// Work that is done when all commits that are stored now are durable.
    pub(super) fn flush(&self) -> Result<Pending<()>> {
        self.with(|book, _| book.flush())
    }

    /// Work that is done when all that a group has committed until now is durable.
    ///
    /// # Errors
    /// `Closed`.
    pub(super) fn flush_group(self: &Arc<Self>, group: &Arc<str>) -> Result<Pending<()>> {
        if planted(Bug::LeaveNotFlushed) {
            return Ok(Pending::ready(()));
        }
        let (held, stored) = self.with(|book, _| Ok((book.hasten(group), book.flush()?)))?;
        if held.is_empty() {
            return Ok(stored);
        }
        let (level, step) = (Durability::Durable, Mutex::new(Step::Look));
        let committing = Committing { store: self.clone(), held, level, step };
        Ok(Pending::until(Arc::new(committing), Goal { end: 0, restarts: 0 }, ()))
    }

    pub(super) fn committed(
        &self,
        group: &Arc<str>,
        topic: TopicId,
        partition: u32,
    ) -> Option<CommittedOffset> {
        self.look(|book| book.committed(group, topic, partition).cloned()).flatten()
    }

    pub(super) fn facts(&self, group: &str) -> Option<GroupFacts> {
        self.look(|book| book.ledger.facts(group)).flatten()
    }

    /// Forgets the topics that are no more.
    ///
    /// # Errors
    /// Those of saying so. It is tried again with the next change of topics, and when the broker opens.
    pub(super) fn keep_topics(&self, core: &Core) -> Result<()> {
        let why = Error::new(ErrorKind::NotFound, "the topic was deleted");
        self.with(|book, _| {
            // Asked under this lock: there may be commits already of a topic that is made after any other moment.
            let ids: BTreeSet<TopicId> = core.topics.read().values().map(Topic::id).collect();
            let is_kept = |id| ids.contains(&id);
            book.drop_held(|(_, topic, _)| is_kept(*topic), &why);
            book.say(book.ledger.without_topics(is_kept), Durability::Written).map(drop)
        })
    }

    /// Forgets what has expired, and has a long log begin at a snapshot. Blocks: work for the disk thread.
    ///
    /// # Errors
    /// Those of the log. It is tried again.
    pub(super) fn tidy(&self, now: Timestamp, retention: Duration) -> Result<()> {
        if self.look(|_| ()).is_none() {
            return Ok(());
        }
        // What cannot be said now is said the next time. Nobody comes back between the look and the word.
        drop(self.with(|book, _| book.say(book.expired(now, retention), Durability::Written)));
        let snapshot = self.with(|book, _| {
            let is_wanted = book.wants_snapshot();
            is_wanted.then(|| Ok((book.append_snapshot()?, book.log.clone()))).transpose()
        })?;
        let Some(((base, flushed), log)) = snapshot else { return Ok(()) };
        if !planted(Bug::SnapshotNotSynced) {
            flushed.wait()?;
        }
        log.delete_records(base)
    }

    /// Stores what is held, as far as that goes, before the partitions are closed. Waits for their syncs.
    pub(super) fn close(&self) {
        let held = self.look(Book::all_held).unwrap_or_default();
        for commit in &held {
            if let Some(Ok(data)) = self.awaited(std::slice::from_ref(commit)) {
                drop(data.wait());
            }
        }
        // What fails is not acknowledged.
        self.settle();
    }
}

impl Book {
    /// What has to be said of the groups that had members when the process ended that wrote the log.
    fn abandoned_groups(&self, now: Timestamp) -> Vec<Entry> {
        let groups: BTreeSet<Arc<str>> = self.ledger.groups().cloned().collect();
        let abandoned = |group: Arc<str>| {
            let facts = self.ledger.facts(&group).unwrap_or_default();
            let is_known = facts.empty_since.is_some();
            let facts = Some(GroupFacts { empty_since: Some(now), ..facts });
            (!is_known).then_some(Entry::Group { group, facts })
        };
        groups.into_iter().filter_map(abandoned).collect()
    }
}

/// What is done when that which remains of storing is.
fn synced(remaining: Remaining) -> Pending<()> {
    match remaining {
        Remaining::Nothing => Pending::ready(()),
        Remaining::Sync(progress, goal) => Pending::until(progress, goal, ()),
    }
}

fn not_open() -> Error {
    Error::new(ErrorKind::Closed, "the committed offsets are not open")
}
