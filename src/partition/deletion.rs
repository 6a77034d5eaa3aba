//! Deleting from the front: by the caller's word, by policy, at the cap.
//!
//! The log start is advanced, in the manifest and for readers, before any file is unlinked. A crash in between
//! leaves files that nothing lists; the next open removes them.

use super::manifest::{Manifest, SegmentState};
use super::retention::{SegmentFacts, expired};
use super::roll::Readiness;
use super::shared::{Admin, Shared};
use super::view::check_range;
use crate::segment::{FileName, Segment, index};
use crate::sync::{Bug, planted};
use crate::{Error, ErrorKind, Offset, Partition, Result, Timestamp};
use std::sync::Arc;

impl Partition {
    /// Deletes all records below `before`.
    ///
    /// Their disk space is given back segment by segment. Blocks.
    ///
    /// ```
    /// use annals::{ErrorKind, Offset, Partition, Record};
    ///
    /// let log = Partition::options().open_in_memory()?;
    /// log.append(["a", "b", "c"].map(Record::new)).wait()?;
    /// log.delete_records(Offset::from(2))?;
    ///
    /// assert_eq!(log.log_start_offset().get(), 2);
    /// let mut reader = log.read(Offset::ZERO);
    /// let below = reader.next().expect("an error is an item").unwrap_err();
    /// assert_eq!(below.kind(), ErrorKind::OutOfRange);
    /// reader.seek(log.log_start_offset());
    /// assert_eq!(reader.next().expect("one is left")?.iter().count(), 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// `OutOfRange` when `before` lies beyond the log end or below the log start. `Poisoned`, `Closed`, `Io`;
    /// `ReadOnly` of an internal topic.
    #[doc(alias = "deleteRecords")]
    pub fn delete_records(&self, before: Offset) -> Result<()> {
        self.writable()?.delete_records(before)
    }
}

impl Shared {
    /// Deletes all records below `before`, which lies in the log.
    pub(super) fn delete_records(&self, before: Offset) -> Result<()> {
        let goal = self.commit.goal(before.get());
        check_range(before, self.view().log_start, self.log_end())?;
        match self.commit.wait(goal, self) {
            // Taken back meanwhile: what there is now is looked at below.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            other => other?,
        }
        let mut admin = self.administer()?;
        self.writer.lock().usable(self)?;
        self.seal_previous_locked(&mut admin)?;
        let log_start = self.view().log_start;
        if before <= log_start {
            return Ok(());
        }
        // A truncation may have come first. From here on the log only grows.
        check_range(before, log_start, self.log_end())?;
        let changed = self.list_durable_locked(&mut admin, before)?;
        self.advance_log_start(&mut admin, changed, before)
    }

    /// The manifest with the log listed up to `end` at least, which lies in it. A log start beyond what is listed
    /// would contradict the manifest; and so it proves by itself that the log was once as long.
    fn list_durable_locked(&self, admin: &mut Admin, end: Offset) -> Result<Manifest> {
        loop {
            self.commit.wait_quietly(self.commit.goal(end.get()), self)?;
            self.seal_previous_locked(admin)?;
            let mut changed = admin.manifest.clone();
            // An append may have rolled meanwhile.
            if self.list_synced(&mut changed) && changed.listed_end() >= end {
                return Ok(changed);
            }
        }
    }

    /// Deletes what the policy no longer wants.
    pub(super) fn enforce_retention(&self) -> Result<()> {
        if self.policy.retention() == super::Retention::Forever || self.expired_count() == 0 {
            return Ok(());
        }
        let mut admin = self.administer()?;
        self.seal_previous_locked(&mut admin)?;
        self.enforce_retention_locked(&mut admin)
    }

    fn enforce_retention_locked(&self, admin: &mut Admin) -> Result<()> {
        let is_whole_log = self.expired_count() == self.view().segments.len();
        if is_whole_log && self.writer.lock().sealing.is_none() {
            return self.leave_active_segment(admin);
        }
        self.delete_expired_locked(admin)
    }

    /// Deletes what the policy no longer wants of the segments that are sealed. It never leaves the active one:
    /// sealing ends with this, and a log that is appended to all the time would be left again and again.
    pub(super) fn delete_expired_locked(&self, admin: &mut Admin) -> Result<()> {
        let count = self.expired_count();
        if count == 0 || self.writer.lock().sealing.is_some() {
            return Ok(());
        }
        self.delete_oldest_locked(admin, count)
    }

    /// Rolls, so that what was the active segment can be deleted, which sealing it does.
    fn leave_active_segment(&self, admin: &mut Admin) -> Result<()> {
        if let Readiness::Short(bytes) = self.prepare_locked(admin)? {
            return Err(self.cap_reached(bytes));
        }
        {
            let mut writer = self.writer.lock();
            if let Some(next) = writer.next.take() {
                writer.swap(next, self);
            }
        }
        self.seal_previous_locked(admin)
    }

    /// How many segments the policy no longer wants now; all of them when even the active one is too old.
    fn expired_count(&self) -> usize {
        expired(&self.segment_facts(), self.retention_now(), &self.policy.retention())
    }

    /// The present, as retention sees it.
    pub(super) fn retention_now(&self) -> Timestamp {
        let clock = &self.options.clock;
        self.retention_clock.now(clock.now(), clock.monotonic())
    }

    pub(super) fn segment_facts(&self) -> Vec<SegmentFacts> {
        let writer = self.writer.lock();
        let active = writer.active.seal_facts();
        let view = self.view();
        let facts = view.segments.iter().map(|segment| SegmentFacts {
            last_append_time: segment.seal_facts().unwrap_or(&active).last_append_time,
            bytes: segment.len_bytes(),
            is_empty: !segment.is_sealed() && writer.active.is_empty(),
        });
        facts.collect()
    }

    /// Deletes the oldest `count` segments that are sealed in the manifest. An append may seal one more in the
    /// view at any time, which is not synced yet.
    pub(super) fn delete_oldest_locked(&self, admin: &mut Admin, count: usize) -> Result<()> {
        let sealed = admin.manifest.segments.iter().filter(|entry| entry.state == SegmentState::Sealed);
        match sealed.take(count).last().map(|entry| entry.end_offset) {
            Some(end) => {
                let changed = admin.manifest.clone();
                self.advance_log_start(admin, changed, end.max(admin.manifest.log_start))
            }
            None => Ok(()),
        }
    }

    /// Makes `log_start` the first offset there is, in `changed`, which becomes the manifest, and deletes the
    /// segments that lie wholly below it.
    fn advance_log_start(&self, admin: &mut Admin, mut changed: Manifest, log_start: Offset) -> Result<()> {
        self.writer.lock().changed = true;
        changed.start_at(log_start);
        if planted(Bug::UnlinkBeforeManifest) {
            let dropped = |segment: &&Arc<Segment>| {
                !changed.segments.iter().any(|entry| entry.sequence == segment.sequence())
            };
            self.view().segments.iter().filter(dropped).try_for_each(|segment| self.unlink(segment))?;
        }
        self.commit_manifest(admin, changed)?;
        let gone = self.drop_from_view(&admin.manifest, log_start);
        gone.iter().try_for_each(|segment| self.unlink(segment))
    }

    /// Takes the segments that the manifest no longer lists out of the view.
    fn drop_from_view(&self, manifest: &Manifest, log_start: Offset) -> Vec<Arc<Segment>> {
        let is_listed = |segment: &Arc<Segment>| {
            manifest.segments.iter().any(|entry| entry.sequence == segment.sequence())
        };
        let mut gone = Vec::new();
        self.change_view(|view| {
            view.log_start = log_start;
            let segments = std::mem::take(&mut view.segments);
            let (listed, unlisted) = segments.into_iter().partition::<Vec<_>, _>(is_listed);
            self.pinned.leave(&unlisted);
            (view.segments, gone) = (listed, unlisted);
        });
        gone
    }

    /// Removes the files of a segment that nothing lists any more.
    pub(super) fn unlink(&self, segment: &Arc<Segment>) -> Result<()> {
        segment.mark_deleted();
        let name = segment.name();
        match self.dir.remove(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &segment.path(), error));
            }
            _ => {}
        }
        if FileName::parse(&name) == Some(FileName::Log(segment.first_offset())) {
            index::remove(&*self.dir, segment.first_offset())?;
        }
        self.pinned.left(segment);
        Ok(())
    }
}

impl Manifest {
    /// End of the offsets that are listed. Where a prepared segment begins is not final.
    fn listed_end(&self) -> Offset {
        let used = self.segments.iter().filter(|entry| entry.state != SegmentState::Prepared);
        used.map(|entry| entry.end_offset).max().unwrap_or(self.log_start)
    }

    /// Begins the log at `log_start` and no longer lists the sealed segments below it.
    pub(super) fn start_at(&mut self, log_start: Offset) {
        if !planted(Bug::LogStartNotKept) {
            self.log_start = log_start;
        }
        self.segments.retain(|entry| entry.state != SegmentState::Sealed || entry.end_offset > log_start);
        self.lost.retain(|range| range.to > log_start);
    }
}
