//! The append lock and what it guards.
//!
//! ```text
//!     append ──▶ usable? expected offset? room? ──▶ stamp, store, publish ──▶ Pending
//!                                          │ full
//!                                          ▼
//!                                   next segment ready: swap     (no system call)
//!                                   else: make one, then again   (outside the lock)
//! ```

use super::appended::{Appended, Remaining, StoredBatch};
use super::manifest::Manifest;
use super::options::{Durability, TimestampSource};
use super::shared::{Shared, Waiters};
use super::state::State;
use crate::record::{Batch, BatchBuilder, BatchLimits, Record, Times};
use crate::segment::{ActiveSegment, PreparedSegment, Room, SealedTail};
use crate::sync::{Bug, Goal, Ordering, Pending, planted};
use crate::{Error, ErrorKind, Offset, Position, Result, Timestamp};
use std::time::Duration;

/// Written but unsynced bytes at which the disk thread is called.
pub(super) const UNSYNCED_BYTES_MAX: u64 = 8 << 20;
/// How long written bytes stay unsynced at most.
pub(super) const UNSYNCED_TIME_MAX: Duration = Duration::from_secs(1);

/// What the append lock guards.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(super) active: ActiveSegment,
    /// The segment that will follow, once the manifest lists it.
    pub(super) next: Option<PreparedSegment>,
    /// The segment before, until it is synced and sealed in the manifest. At most one: a roll waits for it.
    pub(super) sealing: Option<SealedTail>,
    pub(super) state: State,
    /// How often it was recovered since the partition was opened.
    pub(super) reopens: u64,
    /// Since when (monotonic) there have been unsynced bytes.
    pub(super) unsynced_since: Option<Duration>,
    /// Whether the disk thread has been told that there are.
    pub(super) watched: bool,
    /// Whether the disk thread has been called for more reserve.
    pub(super) reserve_called: bool,
    /// Bytes of log that are being taken outside of the lock, and count under the cap already.
    pub(super) claimed: u64,
    /// Whether anything has changed since the partition was opened.
    pub(super) changed: bool,
    /// Whether the manifest is known to be found after a power cut. One that was loaded may have been renamed
    /// by a process that failed to sync its name.
    pub(super) confirmed: bool,
    /// The newest manifest, for tail marks.
    pub(super) generation: u64,
    /// Where that manifest says that a walk of the active segment begins.
    pub(super) recovery_point: Position,
    /// Bytes of disk that files take which recovery put aside.
    pub(super) aside_bytes: u64,
}

/// What an append may demand of the log's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// Nothing.
    Anything,
    /// That it is here.
    End(Offset),
    /// That it is where the batch says it begins, and that its leader epoch is not an earlier one.
    Verbatim,
}

/// Why an append has to let go of the lock first.
enum Obstacle {
    /// The manifest has not been made sure of since the partition was opened.
    Unconfirmed,
    /// There is no next segment to go on with.
    NoSegment,
    /// So many bytes more are over the cap.
    NoSpace(u64),
}

/// How often an append makes room and tries again before it gives up. Each time others may have taken it.
pub(super) const ATTEMPTS_MAX: usize = 1_000;

impl Writer {
    /// Bytes that are written and not synced.
    pub(super) fn unsynced_bytes(&self) -> u64 {
        let active = self.active.end().position.since(self.active.durable());
        let sealing = self
            .sealing
            .as_ref()
            .map_or(0, |sealing| sealing.segment().written().since(sealing.segment().durable()));
        u64::from(active) + u64::from(sealing)
    }

    /// Notes what the manifest on the disk says now.
    pub(super) fn note_manifest(&mut self, manifest: &Manifest) {
        self.generation = manifest.generation;
        self.confirmed = true;
        self.recovery_point = manifest.recovery_point_of(self.active.segment());
    }

    /// Makes the next segment the active one. There is one, and the segment before the active one is sealed.
    pub(super) fn swap(&mut self, next: PreparedSegment, shared: &Shared) {
        let end = self.active.end();
        let fresh = next.begin(end.next_offset, end.leader_epoch, end.last_append_time);
        let old = std::mem::replace(&mut self.active, fresh);
        let added = self.active.segment().clone();
        self.sealing = Some(old.seal());
        self.recovery_point = self.active.end().position;
        self.changed = true;
        shared.change_view(|view| view.segments.push(added));
    }
}

impl Shared {
    /// Appends records as one atomic batch.
    pub(super) fn append_records<'r>(
        &self,
        records: impl IntoIterator<Item = Record<'r>>,
        expect: Expect,
        level: Durability,
    ) -> Result<Pending<Appended>> {
        let limits = BatchLimits::new(self.policy.batch_bytes_max())?;
        let now = self.options.clock.now();
        // Not sealed yet: the checksum is worked out once its place is known.
        let mut batch = BatchBuilder::build(records, now, limits)?;
        self.append_batch(&mut batch, expect, level, now)
    }

    /// Appends a batch with the offsets and the leader epoch that it has.
    pub(super) fn append_verbatim(&self, batch: &mut Batch, level: Durability) -> Result<Pending<Appended>> {
        BatchLimits::new(self.policy.batch_bytes_max())?.admit(batch.len())?;
        self.append_batch(batch, Expect::Verbatim, level, self.options.clock.now())
    }

    /// Appends records as one batch, for others, by a caller that holds locks: nobody is woken before
    /// [`Shared::wake_waiters`] is called.
    pub(super) fn append_quietly<'r>(
        &self,
        records: impl IntoIterator<Item = Record<'r>>,
        level: Durability,
    ) -> Result<StoredBatch> {
        let limits = BatchLimits::new(self.policy.batch_bytes_max())?;
        let now = self.options.clock.now();
        let mut batch = BatchBuilder::build(records, now, limits)?;
        self.store_for_others(&mut batch, level, now, Waiters::LeaveAsleep)
    }

    /// Wakes whoever waits for what [`Shared::append_quietly`] has done, or hears of its failure.
    pub(super) fn wake_waiters(&self) {
        self.end.wake();
        if !self.wake_left_asleep() {
            self.commit.wake_failed();
        }
    }

    /// Wakes the futures that somebody who held locks has left asleep; says whether there may have been any.
    pub(super) fn wake_left_asleep(&self) -> bool {
        let is_left =
            self.left_asleep.load(Ordering::Relaxed) && self.left_asleep.swap(false, Ordering::AcqRel);
        if is_left {
            self.commit.wake_futures();
        }
        is_left
    }

    /// Appends a batch that was built elsewhere, for others.
    pub(super) fn append_prepared(&self, batch: &mut Batch, level: Durability) -> Result<StoredBatch> {
        BatchLimits::new(self.policy.batch_bytes_max())?.admit(batch.len())?;
        self.store_for_others(batch, level, self.options.clock.now(), Waiters::Wake)
    }

    fn store_for_others(
        &self,
        batch: &mut Batch,
        level: Durability,
        now: Timestamp,
        waiters: Waiters,
    ) -> Result<StoredBatch> {
        let (appended, goal) = self.store(batch, Expect::Anything, (level, waiters), now)?;
        let times = batch.append_time().map_or(Times::AsGiven, Times::LogAppend);
        Ok(StoredBatch { appended, remaining: self.remaining(level, goal), times })
    }

    /// Appends a batch that is complete but for its place, at `now`.
    fn append_batch(
        &self,
        batch: &mut Batch,
        expect: Expect,
        level: Durability,
        now: Timestamp,
    ) -> Result<Pending<Appended>> {
        let (appended, goal) = self.store(batch, expect, (level, Waiters::Wake), now)?;
        Ok(match self.remaining(level, goal) {
            Remaining::Nothing => Pending::ready(appended),
            Remaining::Sync(until, goal) => Pending::until(until, goal, appended),
        })
    }

    /// Stores a batch that is complete but for its place, at `now`.
    fn store(
        &self,
        batch: &mut Batch,
        expect: Expect,
        (level, waiters): (Durability, Waiters),
        now: Timestamp,
    ) -> Result<(Appended, Goal)> {
        for _ in 0..ATTEMPTS_MAX {
            match self.try_append(batch, expect, (level, waiters), now)? {
                Ok(stored) => return Ok(stored),
                Err(Obstacle::Unconfirmed) => self.confirm_manifest(waiters)?,
                Err(Obstacle::NoSegment) => self.make_next_segment(waiters)?,
                Err(Obstacle::NoSpace(bytes)) => self.make_room(bytes)?,
            }
        }
        Err(self.overtaken())
    }

    /// The error of one who made room again and again, and others took it.
    pub(super) fn overtaken(&self) -> Error {
        let message = format!("{}: others took the room {ATTEMPTS_MAX} times", self.place());
        Error::new(ErrorKind::NoSpace, message)
    }

    fn remaining(&self, level: Durability, goal: Goal) -> Remaining {
        match level {
            Durability::Durable if !planted(Bug::AckBeforeSync) => Remaining::Sync(self.arc(), goal),
            _ => Remaining::Nothing,
        }
    }

    /// Appends under the lock, or says what must be done without it first.
    fn try_append(
        &self,
        batch: &mut Batch,
        expect: Expect,
        (level, waiters): (Durability, Waiters),
        now: Timestamp,
    ) -> Result<Result<(Appended, Goal), Obstacle>> {
        let mut writer = self.writer.lock();
        writer.usable(self)?;
        let end = *writer.active.end();
        check_expected(batch, expect, &end)?;
        let count = batch.offset_count();
        if end.next_offset.checked_add(count).is_none() {
            let message =
                format!("{count} offsets from {} on: the largest is {}", end.next_offset, Offset::MAX);
            return Err(Error::new(ErrorKind::OutOfRange, message));
        }
        if !writer.confirmed {
            return Ok(Err(Obstacle::Unconfirmed));
        }
        if let Some(obstacle) = self.prepare_room_locked(&mut writer, batch, now)? {
            return Ok(Err(obstacle));
        }
        let (times, epoch) = match (expect, self.policy.timestamps()) {
            (Expect::Verbatim, _) => (Times::AsGiven, batch.leader_epoch()),
            (_, TimestampSource::CreateTime) => (Times::AsGiven, end.leader_epoch),
            (_, TimestampSource::LogAppendTime) => (Times::LogAppend(now), end.leader_epoch),
        };
        if planted(Bug::PublishBeforeStore) {
            self.end.store(end.next_offset.saturating_add(batch.offset_count()).get());
        }
        let appended_at = self.retention_clock.stamp(now, self.options.clock.monotonic());
        if let Err(error) = writer.active.append(batch, times, epoch, appended_at) {
            self.poison_locked(&mut writer, &error);
            drop(writer);
            if waiters == Waiters::Wake {
                self.commit.wake_futures();
            }
            return Err(error);
        }
        let next_offset = batch.next_offset();
        self.end.store(next_offset.get());
        let goal = self.commit.goal(next_offset.get());
        let call = self.note_append_locked(&mut writer);
        drop(writer);
        if waiters == Waiters::Wake && !planted(Bug::EndNotWoken) {
            self.end.wake();
        }
        if call {
            self.upkeep.call();
        }
        let (base_offset, timestamp) = (batch.base_offset(), batch.max_timestamp());
        Ok(Ok((Appended { base_offset, next_offset, timestamp, level }, goal)))
    }

    /// Makes room for `batch` as far as that can be done under the lock.
    fn prepare_room_locked(
        &self,
        writer: &mut Writer,
        batch: &Batch,
        now: Timestamp,
    ) -> Result<Option<Obstacle>> {
        let (len, count) = (batch.len(), batch.offset_count());
        if writer.active.is_older_than(self.policy.segment_age_max(), now) && !self.swap_locked(writer) {
            return Ok(Some(Obstacle::NoSegment));
        }
        let mut room = writer.active.room_for(len, count);
        if room == Room::Full && self.swap_locked(writer) {
            room = writer.active.room_for(len, count);
        }
        match room {
            Room::Ready => Ok(None),
            Room::Full => Ok(Some(Obstacle::NoSegment)),
            Room::Short { least } => {
                let to = writer.active.reserve_to(least, self.options.clock.monotonic());
                self.reserve_locked(writer, to, least)
            }
        }
    }

    /// Goes on in the next segment if it is ready; says whether it was.
    fn swap_locked(&self, writer: &mut Writer) -> bool {
        if writer.sealing.is_some() {
            return false;
        }
        let Some(next) = writer.next.take() else { return false };
        writer.swap(next, self);
        self.upkeep.call();
        true
    }

    /// Reserves up to `to`, or, where the cap or the disk does not allow that, up to `least`.
    fn reserve_locked(&self, writer: &mut Writer, to: u64, least: u64) -> Result<Option<Obstacle>> {
        let taken = writer.active.opened().disk_bytes();
        let to = if self.fits_cap(writer, to.saturating_sub(taken)) { to } else { least };
        if !self.fits_cap(writer, to.saturating_sub(taken)) {
            return Ok(Some(Obstacle::NoSpace(to.saturating_sub(taken))));
        }
        writer.changed = true;
        match writer.active.reserve(to) {
            Err(error) if error.kind() == ErrorKind::NoSpace && least < to => writer.active.reserve(least)?,
            other => other?,
        }
        Ok(None)
    }

    /// Notes what the disk thread must know after an append; says whether to call it.
    fn note_append_locked(&self, writer: &mut Writer) -> bool {
        writer.changed = true;
        if writer.unsynced_since.is_none() {
            writer.unsynced_since = Some(self.options.clock.monotonic());
        }
        let mut call = false;
        if !writer.watched {
            writer.watched = true;
            call = true;
        }
        if !writer.reserve_called && writer.active.is_reserve_low() {
            writer.reserve_called = true;
            call = true;
        }
        call || writer.unsynced_bytes() >= UNSYNCED_BYTES_MAX
    }
}

fn check_expected(batch: &Batch, expect: Expect, end: &crate::segment::Checkpoint) -> Result<()> {
    let (found, epoch) = (end.next_offset, end.leader_epoch);
    let expected = match expect {
        Expect::Anything => return Ok(()),
        Expect::End(expected) => expected,
        Expect::Verbatim => batch.base_offset(),
    };
    if expected != found && !planted(Bug::AppendIfIgnoresEnd) {
        let message = format!("the log was expected to end at offset {expected}, and ends at {found}");
        return Err(Error::new(ErrorKind::Conflict, message));
    }
    if expect == Expect::Verbatim && batch.leader_epoch() < epoch && !planted(Bug::EpochNotFenced) {
        let message = format!("leader epoch {} is before the log's, {epoch}", batch.leader_epoch());
        return Err(Error::new(ErrorKind::Fenced, message));
    }
    Ok(())
}
