//! Closing: sync, list the end, give back what was reserved, let go of the lock.

use super::manifest::{SegmentEntry, SegmentState};
use super::shared::{Admin, Shared};
use super::state::State;
use super::writer::Writer;
use crate::segment::{PreparedSegment, Seal, SealedTail, TailMark};
use crate::sync::{Bug, MutexGuard, planted};
use crate::{Error, Result};

impl Shared {
    /// Whether the partition was closed, or is about to be.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.writer.lock().state, State::Closing | State::Closed)
    }

    /// Waits for whoever is closing it. The lock of the directory is released then.
    pub(super) fn wait_until_closed(&self) {
        drop(self.admin.lock());
    }

    /// Closes for all handles. A second call does nothing.
    pub(super) fn close(&self) -> Result<()> {
        if matches!(self.writer.lock().state, State::Closed) {
            // Not even for its thread is waited: it may be in a waker, which waits for whoever lets go of a handle.
            self.upkeep.halt();
            return Ok(());
        }
        // Before the directory is released, lest the thread be in there beside the next owner.
        self.upkeep.stop();
        let result = self.close_quietly();
        self.wake_closed();
        result
    }

    /// The same by somebody who holds locks: nobody is woken, and what its thread is at is not waited for, before
    /// [`Shared::wake_closed`] is called.
    pub(super) fn close_quietly(&self) -> Result<()> {
        self.upkeep.halt();
        let mut admin = self.admin.lock();
        if admin.lock.is_none() {
            return Ok(());
        }
        let growing = self.growing.lock();
        let result = self.finish(&mut admin);
        self.writer.lock().close();
        admin.file.close();
        self.commit.fail(&result.as_ref().err().cloned().unwrap_or_else(|| self.closed()));
        admin.lock = None;
        drop(growing);
        drop(admin);
        self.view().segments.iter().for_each(|segment| segment.close_unless_held());
        result
    }

    /// Wakes all who wait for what does not come any more, and waits for its thread. To be called without any lock.
    pub(super) fn wake_closed(&self) {
        self.commit.wake_futures();
        if !planted(Bug::CloseForgetsWaiters) {
            self.end.wake_all();
        }
        self.upkeep.stop();
    }

    /// The append lock, once all that was written is synced and no roll is unfinished.
    pub(super) fn settled_writer(&self, admin: &mut Admin) -> Result<MutexGuard<'_, Writer>> {
        loop {
            self.seal_previous_locked(admin)?;
            self.commit.wait_quietly(self.written_goal(), self)?;
            let writer = self.writer.lock();
            writer.usable(self)?;
            // An append may have rolled since.
            if writer.sealing.is_none() {
                return Ok(writer);
            }
        }
    }

    /// The append lock, once nothing is appended any more and all that was is synced.
    fn last_writer(&self, admin: &mut Admin) -> Result<MutexGuard<'_, Writer>> {
        self.settled_writer(admin)?.state = State::Closing;
        // An append may have come in since it was settled. Its round may be under way, so nobody else syncs that file
        // now: where write-back fails, one of two syncs says so, and the other one OK.
        self.commit.wait_quietly(self.written_goal(), self)?;
        let writer = self.writer.lock();
        writer.syncable(self)?;
        Ok(writer)
    }

    /// Makes all of it durable, and the next open quick.
    fn finish(&self, admin: &mut Admin) -> Result<()> {
        let mut writer = self.last_writer(admin)?;
        if !writer.changed {
            return Ok(());
        }
        let end = *writer.active.end();
        let mark = TailMark {
            synced: end.position,
            durable_offset: end.next_offset,
            last_append_time: end.last_append_time,
            manifest_generation: writer.generation,
        };
        if let Err(error) = store_synced(&mut writer, &mark) {
            self.poison_locked(&mut writer, &error);
            return Err(error);
        }
        let opened = writer.active.opened().clone();
        let active = writer.active.segment().clone();
        let next = writer.next.take();
        drop(writer);

        let seal = Seal::from(end);
        let mut changed = admin.manifest.clone();
        changed.segments.retain(|entry| entry.state == SegmentState::Sealed);
        let first = active.first_offset();
        changed.segments.push(SegmentEntry::at_end(active.header(), SegmentState::Open, first, &seal));
        changed.leader_epoch = end.leader_epoch;
        self.commit_manifest(admin, changed)?;
        if let Some(next) = next {
            let path = self.dir.path().join(next.name_on_disk());
            self.dir.remove(next.name_on_disk()).map_err(|error| Error::io("remove", &path, error))?;
        }
        active.name_by_offset()?;
        self.store_index(&active, &seal);
        crate::segment::punch_beyond(&*opened.file, end.position.to_u64() + 4096, u64::MAX)
    }
}

impl Writer {
    /// Lets go of its files: a closed handle may be kept for long.
    fn close(&mut self) {
        self.state = State::Closed;
        self.active.close();
        self.next.iter_mut().for_each(PreparedSegment::close);
        self.sealing.iter_mut().for_each(SealedTail::close);
    }
}

/// Stores the last tail mark and syncs it. What it says was synced by a round.
fn store_synced(writer: &mut Writer, mark: &TailMark) -> Result<()> {
    writer.active.store_tail_mark(mark)?;
    let file = &writer.active.opened().file;
    file.sync().map_err(|error| Error::io("sync", file.path(), error))
}
