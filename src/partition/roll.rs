//! From one segment to the next.
//!
//! ```text
//!     prepare   create next-SEQ, sync it and its name, list it in the manifest      admin
//!     swap      the writer goes on in it; the one before waits to be sealed         writer, no I/O
//!     seal      sync the one before, list its end, rename, write its indexes        admin
//! ```
//!
//! The three steps are the same whether the disk thread takes them ahead of time or an append that finds no
//! next segment takes them itself.

use super::manifest::{Manifest, SegmentEntry, SegmentState};
use super::options::{BATCH_BYTES, ReadMode, WriteMode};
use super::shared::{Admin, Shared, Waiters};
use super::state::State;
use super::writer::ATTEMPTS_MAX;
use crate::segment::{
    FileName, Layout, Origin, PreparedSegment, SEGMENT_HEADER_LEN, Seal, Segment, SegmentAccess,
    SegmentHeader, SegmentPlan, SegmentWrite, TAIL_MARK_LEN, index,
};
use crate::sync::{Bug, planted};
use crate::{ErrorKind, Offset, Position, Result};
use std::sync::Arc;
use std::time::Duration;

/// A segment that lasted less than this has its successor prepared ahead.
const QUICK: Duration = Duration::from_secs(10);
/// What is reserved of a segment that is prepared.
const PREPARED_BYTES: u64 = 1 << 20;

/// Whether there is a next segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    /// Other partitions have to give so many bytes back first; no lock may be held meanwhile.
    Short(u64),
}

impl SegmentEntry {
    /// An entry for a segment that has no batch yet.
    pub(super) fn empty(header: &SegmentHeader, state: SegmentState, first_offset: Offset) -> Self {
        Self {
            sequence: header.sequence,
            state,
            first_offset,
            end_offset: first_offset,
            end: Position::new(SEGMENT_HEADER_LEN),
            digest: 0,
            last_append_time: header.created_at,
            max_timestamp: crate::Timestamp::MIN,
            layout: header.layout,
        }
    }

    /// The entry of a segment that ends as `seal` says, for good or, in state `Open`, so far.
    pub(super) fn at_end(
        header: &SegmentHeader,
        state: SegmentState,
        first_offset: Offset,
        seal: &Seal,
    ) -> Self {
        Self {
            sequence: header.sequence,
            state,
            first_offset,
            end_offset: seal.end_offset,
            end: seal.end,
            digest: seal.digest.to_u64(),
            last_append_time: seal.last_append_time,
            max_timestamp: seal.max_timestamp,
            layout: header.layout,
        }
    }
}

impl Manifest {
    /// The sequence of a new segment. It is given once, whatever becomes of the attempt: what a failed one
    /// leaves behind must not stand in the way of the next.
    pub(super) fn take_sequence(&mut self) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.saturating_add(1);
        sequence
    }
}

impl Shared {
    /// Has a next segment ready when this returns, and the one before the active one sealed.
    pub(super) fn make_next_segment(&self, waiters: Waiters) -> Result<()> {
        for _ in 0..ATTEMPTS_MAX {
            let readiness = self.prepare_locked(&mut *self.administer_for(waiters)?)?;
            match readiness {
                Readiness::Ready => return Ok(()),
                Readiness::Short(bytes) => self.make_room(bytes)?,
            }
        }
        Err(self.overtaken())
    }

    /// Prepares the next segment if the active one fills quickly and more than half of it is used.
    pub(super) fn prepare_if_due(&self) -> Result<()> {
        if !self.is_prepare_due() {
            return Ok(());
        }
        // Where others have to give space back, that is left to the append that needs it.
        self.prepare_locked(&mut *self.administer()?).map(drop)
    }

    fn is_prepare_due(&self) -> bool {
        let writer = self.writer.lock();
        let used = writer.active.end().position.to_u64();
        let created = writer.active.segment().header().created_at;
        let quick = created.saturating_add(QUICK) > self.options.clock.now();
        let half = used >= self.policy.segment_bytes_max() / 2;
        writer.next.is_none() && quick && half && matches!(writer.state, State::Open)
    }

    /// Has a next segment ready. The manifest has room for one, so the segment before is sealed first.
    pub(super) fn prepare_locked(&self, admin: &mut Admin) -> Result<Readiness> {
        loop {
            self.seal_previous_locked(admin)?;
            let mut writer = self.writer.lock();
            writer.usable(self)?;
            if writer.next.is_some() {
                return Ok(Readiness::Ready);
            }
            // An append may have taken the next segment, and left one to be sealed, since that was done.
            if writer.sealing.is_none() {
                writer.changed = true;
                break;
            }
        }
        let mut claimed = u64::from(SEGMENT_HEADER_LEN);
        while !self.claim(&mut self.writer.lock(), claimed) {
            if self.options.books.is_shared() {
                return Ok(Readiness::Short(claimed));
            }
            self.make_room_locked(admin, claimed)?;
        }
        let prepared = self.prepare_claimed(admin, &mut claimed);
        let mut writer = self.writer.lock();
        Self::settle(&mut writer, claimed);
        writer.next = Some(prepared?);
        Ok(Readiness::Ready)
    }

    /// Makes the next segment, for which `claimed` bytes are set aside; claims more to reserve ahead.
    fn prepare_claimed(&self, admin: &mut Admin, claimed: &mut u64) -> Result<PreparedSegment> {
        let sequence = admin.manifest.take_sequence();
        let name = FileName::Next { sequence }.to_string();
        let prepared = PreparedSegment::create(self.plan(&admin.manifest, sequence, name)?)?;
        let mut changed = admin.manifest.clone();
        let end = self.log_end();
        changed.segments.push(SegmentEntry::empty(prepared.header(), SegmentState::Prepared, end));
        if !planted(Bug::NextSegmentNotListed)
            && let Err(error) = self.commit_manifest(admin, changed)
        {
            if admin.file.is_usable() {
                // Nothing was listed: the file need not stay.
                drop(self.dir.remove(prepared.name_on_disk()));
            }
            return Err(error);
        }
        let ahead = PREPARED_BYTES.min(self.policy.segment_bytes_max() / 4);
        if self.claim(&mut self.writer.lock(), ahead) {
            *claimed = claimed.saturating_add(ahead);
            // Where there is no room for more than the header, the first append will say so.
            drop(prepared.reserve_ahead(ahead));
        }
        Ok(prepared)
    }

    /// What a new segment file with this sequence is made of.
    pub(super) fn plan(&self, manifest: &Manifest, sequence: u64, name: String) -> Result<SegmentPlan> {
        let header = SegmentHeader {
            topic: manifest.topic,
            partition: manifest.partition,
            sequence,
            salt: self.options.entropy.salt()?,
            created_at: self.options.clock.now(),
            layout: Layout::Dense,
            origin: Origin::Appended,
        };
        Ok(self.options_now().segment_plan(self.dir.clone(), header, name))
    }

    /// Makes `changed` the manifest, durably. A failure poisons the partition: what the disk holds is
    /// unknown then.
    pub(super) fn commit_manifest(&self, admin: &mut Admin, changed: Manifest) -> Result<()> {
        let mut changed = changed;
        if let State::Poisoned(error) = &self.writer.lock().state {
            // A reopen that failed may have left a newer manifest than this one follows.
            return Err(error.clone());
        }
        let committed = admin.file.commit(&mut changed);
        let mut writer = self.writer.lock();
        if let Err(error) = committed {
            // Of these nothing was written.
            let is_refused = matches!(error.kind(), ErrorKind::NoSpace | ErrorKind::TooLarge);
            if !is_refused || !admin.file.is_usable() {
                self.poison_locked(&mut writer, &error);
            }
            return Err(error);
        }
        writer.note_manifest(&changed);
        drop(writer);
        admin.manifest = changed;
        Ok(())
    }

    /// Makes sure, once after an open that wrote nothing, that the manifest survives a power cut: whoever gave
    /// it its name may have died before that was synced.
    pub(super) fn confirm_manifest(&self, waiters: Waiters) -> Result<()> {
        let mut admin = self.administer_for(waiters)?;
        {
            let writer = self.writer.lock();
            writer.usable(self)?;
            if writer.confirmed {
                return Ok(());
            }
        }
        let confirmed = admin.file.confirm();
        let mut writer = self.writer.lock();
        if let Err(error) = &confirmed
            && (error.kind() != ErrorKind::NoSpace || !admin.file.is_usable())
        {
            self.poison_locked(&mut writer, error);
        }
        writer.confirmed = confirmed.is_ok();
        writer.changed = true;
        drop(writer);
        confirmed
    }

    /// Seals the segment before the active one, if there is one to seal.
    pub(super) fn seal_previous(&self) -> Result<()> {
        if self.writer.lock().sealing.is_none() {
            return Ok(());
        }
        self.seal_previous_locked(&mut *self.administer()?)
    }

    pub(super) fn seal_previous_locked(&self, admin: &mut Admin) -> Result<()> {
        let (old, goal, leader_epoch) = match &self.writer.lock().sealing {
            None => return Ok(()),
            Some(sealing) => (sealing.segment().clone(), sealing.end_offset(), sealing.leader_epoch()),
        };
        self.commit.wait_quietly(self.commit.goal(goal.get()), self)?;
        let (active, seal) = {
            let writer = self.writer.lock();
            writer.usable(self)?;
            (writer.active.segment().clone(), old.seal_facts().copied())
        };
        let Some(seal) = seal else { return Ok(()) };
        let mut changed = admin.manifest.clone();
        changed.segments.retain(|entry| entry.state == SegmentState::Sealed);
        // Of the recovery point, which is where the active segment begins; later leaders may have appended there.
        changed.leader_epoch = leader_epoch;
        changed.segments.push(SegmentEntry::at_end(
            old.header(),
            SegmentState::Sealed,
            old.first_offset(),
            &seal,
        ));
        changed.segments.push(SegmentEntry::empty(
            active.header(),
            SegmentState::Open,
            active.first_offset(),
        ));
        if planted(Bug::RecoveryPointUnsynced) {
            changed.segments.pop();
            let end = self.writer.lock().active.seal_facts();
            let first = active.first_offset();
            changed.segments.push(SegmentEntry::at_end(active.header(), SegmentState::Open, first, &end));
        }
        self.commit_manifest(admin, changed)?;
        let (sealed, reserve) = {
            let mut writer = self.writer.lock();
            let reserve = writer.sealing_reserve();
            // It counts until it was given back.
            writer.claimed = writer.claimed.saturating_add(reserve);
            (writer.sealing.take(), reserve)
        };
        let named = active.name_by_offset();
        let punched = sealed.map_or(Ok(()), |sealed| sealed.punch_reserve());
        Self::settle(&mut self.writer.lock(), reserve);
        named?;
        punched?;
        self.store_index(&old, &seal);
        // From the file it is loaded when it is needed.
        old.set_index(None);
        self.delete_expired_locked(admin)
    }

    /// Writes the index files of a segment. They are caches: what cannot be written is rebuilt when needed.
    pub(super) fn store_index(&self, segment: &Segment, seal: &Seal) {
        if let Some(loaded) = segment.loaded_index() {
            let encoded = loaded.encode(seal.end, seal.max_timestamp);
            drop(index::store(&*self.dir, segment.first_offset(), &encoded));
        }
    }
}

impl super::PartitionOptions {
    /// How a segment file is made and opened.
    pub(super) fn segment_plan(
        &self,
        dir: Arc<dyn crate::io::Dir>,
        header: SegmentHeader,
        name: String,
    ) -> SegmentPlan {
        let with_batch = |batch_bytes: u32| {
            u64::from(SEGMENT_HEADER_LEN)
                + u64::from(batch_bytes).next_multiple_of(8)
                + u64::from(TAIL_MARK_LEN).next_multiple_of(8) * 2
        };
        SegmentPlan {
            dir,
            header,
            name,
            write: match self.write_mode {
                WriteMode::Automatic => SegmentWrite::Map,
                WriteMode::Pwrite => SegmentWrite::Pwrite,
            },
            access: self.access(),
            shelf: self.shelf.clone(),
            capacity: self.segment_bytes_max.max(with_batch(self.batch_bytes_max)),
            alone_max: with_batch(*BATCH_BYTES.end()),
        }
    }

    pub(super) fn access(&self) -> SegmentAccess {
        match self.read_mode {
            ReadMode::Automatic => SegmentAccess::Map,
            ReadMode::Pread => SegmentAccess::Pread,
        }
    }
}
