//! The ledger of committed offsets together with the log that keeps it.
//!
//! What is said is appended first and taken note of then, under one lock, so the log tells it in the order in
//! which it came to hold.

use crate::group::offsets::{CommittedOffset, Entry, Ledger};
use crate::partition::Remaining;
use crate::sync::{Bug, OnceLock, Pending, planted};
use crate::{Durability, Error, ErrorKind, Offset, Partition, ReadLevel, Record, Result, Timestamp, TopicId};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// About how many bytes of entries go into one batch. The largest single one has some 4.5 KiB.
const BATCH_BYTES: usize = 256 << 10;
/// How many records the log has at least before a snapshot replaces them.
const SNAPSHOT_RECORDS_MIN: u64 = 1_000;
/// How many records the log has before a snapshot replaces them, for each that the snapshot will have.
const SNAPSHOT_RATIO: u64 = 4;

/// Which offset: of a group, in a partition of a topic.
pub(super) type Place = (Arc<str>, TopicId, u32);

/// The open ledger.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) ledger: Ledger,
    pub(super) log: Partition,
    /// Accepted, and not in the log before their data is durable: each is the newest of its place.
    held: BTreeMap<Place, Held>,
    /// How many records there are from the log start on.
    record_count: u64,
    /// Whether the log may have lost some of what is in the ledger, or have something else.
    is_doubtful: bool,
    /// How often the log had begun anew when it was last known to have all of the ledger: a reopen may have lost
    /// what was only written.
    rewinds: u64,
}

/// A commit that waits for its data.
#[derive(Debug)]
struct Held {
    committed: CommittedOffset,
    data: Partition,
    level: Durability,
    is_durable: Pending<()>,
    fate: Fate,
}

/// Why a commit that is held will never be stored, once that is so. Whichever it outdid have it too: what becomes of
/// the newest of a place becomes of all of them.
pub(super) type Fate = Arc<OnceLock<Error>>;

/// One offset that is to be committed.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) topic: TopicId,
    pub(super) partition: u32,
    pub(super) committed: CommittedOffset,
    /// The partition that the offset is of.
    pub(super) data: Partition,
}

/// What has become of commits.
#[derive(Debug)]
pub(super) struct Accepted {
    /// What those that are stored still wait for.
    pub(super) stored: Remaining,
    /// Those that wait for their data, and where it will be said if that fails.
    pub(super) held: Vec<(Place, Fate)>,
}

impl Book {
    /// Reads all that the log says.
    ///
    /// # Errors
    /// `Corrupt` when a record is no entry; `Unsupported` when a newer version wrote it; those of reading.
    pub(super) fn open(log: Partition) -> Result<Self> {
        let mut ledger = Ledger::default();
        let start = log.log_start_offset();
        for records in log.read(start).level(ReadLevel::Written) {
            for record in &records? {
                let value = (!record.is_tombstone()).then(|| record.value());
                let entry = Entry::decode(record.key().unwrap_or_default(), value).map_err(|flaw| {
                    let kind = match flaw {
                        crate::group::offsets::EntryFlaw::Newer { .. } => ErrorKind::Unsupported,
                        crate::group::offsets::EntryFlaw::Damaged(_) => ErrorKind::Corrupt,
                    };
                    let offset = record.offset();
                    Error::with_source(kind, format!("__consumer_offsets, offset {offset}: {flaw}"), flaw)
                })?;
                if !(planted(Bug::FirstCommitWins) && ledger.says(&entry)) {
                    ledger.apply(entry);
                }
            }
        }
        let record_count = log.log_end_offset().since(start);
        let rewinds = log.rewinds();
        Ok(Self { ledger, log, held: BTreeMap::new(), record_count, is_doubtful: false, rewinds })
    }

    /// Says all of these, and takes note of them.
    ///
    /// # Errors
    /// As [`Partition::append`]. Nothing of it holds then; what is in the log is set right by the next call.
    pub(super) fn say(&mut self, entries: Vec<Entry>, level: Durability) -> Result<Remaining> {
        let remaining = loop {
            let rewinds = self.log.rewinds();
            if self.is_doubtful || rewinds != self.rewinds {
                let all: Vec<Entry> = self.ledger.entries().collect();
                self.append(&all, Durability::Written)?;
                (self.is_doubtful, self.rewinds) = (false, rewinds);
            }
            let before = self.log.log_end_offset();
            let remaining = self.append(&entries, level).inspect_err(|error| {
                // Of what found no room nothing was stored, unless some of it was before.
                let is_whole = error.kind() == ErrorKind::NoSpace && self.log.log_end_offset() == before;
                self.is_doubtful |= !is_whole;
            })?;
            // What remains is asked of the last batch: the ones before it are to lie in the same life of the log.
            if self.log.rewinds() == rewinds {
                break remaining;
            }
        };
        entries.into_iter().for_each(|entry| self.ledger.apply(entry));
        Ok(remaining)
    }

    /// Takes note of these in any case; what cannot be said now is said with what is said next.
    pub(super) fn note(&mut self, entries: Vec<Entry>, level: Durability) {
        if self.say(entries.clone(), level).is_err() {
            self.is_doubtful = true;
            entries.into_iter().for_each(|entry| self.ledger.apply(entry));
        }
    }

    /// Work that is done when all that was said is durable. What the log may have lost is said once more.
    ///
    /// # Errors
    /// As [`Book::say`].
    pub(super) fn flush(&mut self) -> Result<Pending<()>> {
        self.flush_across(|| ())
    }

    /// The same, with what others do between the word and the flush.
    fn flush_across(&mut self, mut cross: impl FnMut()) -> Result<Pending<()>> {
        loop {
            self.say(Vec::new(), Durability::Written)?;
            cross();
            let flushed = self.log.flush();
            // A log that has begun anew in between has nothing to sync, and may have lost what was said.
            if self.log.rewinds() == self.rewinds {
                return Ok(flushed);
            }
        }
    }

    fn append(&mut self, entries: &[Entry], level: Durability) -> Result<Remaining> {
        let mut remaining = Remaining::Nothing;
        let said: Vec<_> = entries.iter().map(|entry| (entry.key(), entry.value())).collect();
        let mut rest = &said[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let len =
                |(key, value): &(Vec<u8>, Option<Vec<u8>>)| key.len() + value.as_ref().map_or(0, Vec::len);
            let fits = rest.iter().take_while(|entry| {
                bytes += len(entry);
                bytes <= BATCH_BYTES
            });
            let (chunk, others) = rest.split_at(fits.count().max(1));
            rest = others;
            let records = chunk.iter().map(|(key, value)| match value {
                Some(value) => Record::new(value).key(key),
                None => Record::tombstone().key(key),
            });
            remaining = self.log.append_quietly(level, records)?.remaining;
            self.record_count += chunk.len() as u64;
        }
        Ok(remaining)
    }

    /// Accepts commits of a group. Those whose data is durable are stored; the others are held until theirs is.
    ///
    /// # Errors
    /// `OutOfRange` when an offset lies beyond the end of its log; else those of storing. None is accepted then.
    pub(super) fn commit(
        &mut self,
        group: &Arc<str>,
        commits: Vec<Commit>,
        level: Durability,
        waker: &mut Context<'_>,
    ) -> Result<Accepted> {
        let (mut ready, mut waiting) = (Vec::new(), Vec::new());
        for commit in commits {
            // Known before the data is looked at: it may be cut meanwhile.
            let is_durable = commit.data.durable_through(commit.committed.offset)?;
            if commit.committed.offset <= commit.data.durable_offset() || planted(Bug::CommitAheadOfData) {
                ready.push(commit);
            } else {
                waiting.push((commit, is_durable));
            }
        }
        let entries = ready.iter().map(|commit| commit.entry(group)).collect();
        let stored = self.say(entries, level)?;
        for commit in &ready {
            // Whatever was to be said before is outdone.
            self.held.remove(&commit.place(group));
        }
        let mut held = Vec::new();
        for (commit, is_durable) in waiting {
            let place = commit.place(group);
            let fate = self.held.get(&place).map(|outdone| outdone.fate.clone()).unwrap_or_default();
            held.push((place.clone(), fate.clone()));
            let Commit { committed, data, .. } = commit;
            self.held.insert(place, Held { committed, data, level, is_durable, fate });
        }
        if !held.is_empty() {
            self.settle(waker);
        }
        Ok(Accepted { stored, held })
    }

    /// Stores what was held and whose data is durable now, of whatever group. Whoever is in `context` is called when
    /// it is worth to look again. What cannot be stored is given up: why, its fate says, and to nobody else.
    pub(super) fn settle(&mut self, context: &mut Context<'_>) {
        let mut ready = Vec::new();
        self.held.retain(|place, held| match Pin::new(&mut held.is_durable).poll(context) {
            Poll::Pending => true,
            Poll::Ready(Ok(())) => {
                ready.push(place.clone());
                true
            }
            Poll::Ready(Err(error)) => {
                drop(held.fate.set(error));
                false
            }
        });
        ready.into_iter().for_each(|place| self.store_held(place));
    }

    /// Stores a commit whose data is durable.
    fn store_held(&mut self, place: Place) {
        let Some(held) = self.held.remove(&place) else { return };
        let (group, topic, partition) = place;
        let entry = Entry::Offset { group, topic, partition, committed: Some(held.committed) };
        match self.say(vec![entry], held.level) {
            // Whoever is to hear of its sync asks for that himself.
            Ok(Remaining::Sync(progress, goal)) => drop(Pending::until(progress, goal, ())),
            Ok(Remaining::Nothing) => {}
            Err(error) => drop(held.fate.set(error)),
        }
    }

    /// What the first of these that is held, or what outdid it, waits for.
    pub(super) fn awaited(&self, commits: &[(Place, Fate)]) -> Option<Result<Pending<()>>> {
        let held = commits.iter().find_map(|(place, fate)| {
            // A later commit of the same place has another fate, if this one was stored before it came.
            self.held.get(place).filter(|held| Arc::ptr_eq(&held.fate, fate))
        })?;
        Some(held.data.durable_through(held.committed.offset))
    }

    /// Has what a group holds become durable as soon as it can be stored.
    pub(super) fn hasten(&mut self, group: &Arc<str>) -> Vec<(Place, Fate)> {
        let of_group = self.held.iter_mut().filter(|((of, _, _), _)| of == group);
        let hastened = of_group.map(|(place, held)| {
            held.level = Durability::Durable;
            (place.clone(), held.fate.clone())
        });
        hastened.collect()
    }

    /// What of the groups is held, for whoever closes the broker.
    pub(super) fn all_held(&self) -> Vec<(Place, Fate)> {
        self.held.iter().map(|(place, held)| (place.clone(), held.fate.clone())).collect()
    }

    /// The last offset that was accepted; it is on its way into the log, or there.
    pub(super) fn committed(
        &self,
        group: &Arc<str>,
        topic: TopicId,
        partition: u32,
    ) -> Option<&CommittedOffset> {
        let held = self.held.get(&(group.clone(), topic, partition)).map(|held| &held.committed);
        held.or_else(|| self.ledger.committed(group, topic, partition))
    }

    /// Drops what is held and does not pass.
    pub(super) fn drop_held(&mut self, is_kept: impl Fn(&Place) -> bool, why: &Error) {
        self.held.retain(|place, held| {
            let keeps = is_kept(place);
            if !keeps {
                drop(held.fate.set(why.clone()));
            }
            keeps
        });
    }

    /// Whether the log is long enough for a snapshot.
    pub(super) fn wants_snapshot(&self) -> bool {
        let entries = u64::try_from(self.ledger.entry_count()).unwrap_or(u64::MAX);
        self.record_count > SNAPSHOT_RECORDS_MIN.max(entries.saturating_mul(SNAPSHOT_RATIO))
    }

    /// Appends all of the ledger. Once the work is done that is returned, the log can begin at the offset beside it.
    pub(super) fn append_snapshot(&mut self) -> Result<(Offset, Pending<()>)> {
        self.append_snapshot_across(|| ())
    }

    /// The same, with what others do between the snapshot and its flush.
    fn append_snapshot_across(&mut self, mut cross: impl FnMut()) -> Result<(Offset, Pending<()>)> {
        let entries: Vec<Entry> = self.ledger.entries().collect();
        let before = std::mem::take(&mut self.record_count);
        loop {
            let rewinds = self.log.rewinds();
            let base = self.log.log_end_offset();
            if let Err(error) = self.append(&entries, Durability::Written) {
                self.record_count += before;
                return Err(error);
            }
            cross();
            let flushed = self.log.flush();
            // As in a flush: what replaces the rest may be lost, and the rest goes.
            if self.log.rewinds() == rewinds {
                return Ok((base, flushed));
            }
        }
    }

    /// Whether a group has committed anything, be its data durable or not yet.
    pub(super) fn has_offsets(&self, group: &str) -> bool {
        self.ledger.offsets(group).next().is_some() || self.held.keys().any(|(of, _, _)| &**of == group)
    }

    /// What has to be said of what has expired by `now`. A group that waits for data is left as it is: what is known of
    /// it has to be there when its offsets are stored.
    pub(super) fn expired(&self, now: Timestamp, retention: Duration) -> Vec<Entry> {
        let waiting: BTreeSet<&Arc<str>> = self.held.keys().map(|(group, _, _)| group).collect();
        let mut expired = self.ledger.expired(now, retention);
        expired.retain(|entry| !waiting.contains(entry.group()));
        expired
    }
}

impl Commit {
    fn place(&self, group: &Arc<str>) -> Place {
        (group.clone(), self.topic, self.partition)
    }

    fn entry(&self, group: &Arc<str>) -> Entry {
        let committed = Some(self.committed.clone());
        Entry::Offset { group: group.clone(), topic: self.topic, partition: self.partition, committed }
    }
}

#[cfg(test)]
mod tests;
