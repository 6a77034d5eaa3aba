//! What is due, and when the next thing will be.

use super::retention::Retention;
use super::shared::Shared;
use super::writer::UNSYNCED_BYTES_MAX;
use super::writer::UNSYNCED_TIME_MAX;
use crate::segment::punch_beyond;
use crate::upkeep::{Chore, Upkeep};
use crate::{Error, ErrorKind, Result};
use std::time::Duration;

/// How often retention by age is looked at.
const RETENTION_EVERY: Duration = Duration::from_secs(30);

impl Chore for Shared {
    fn upkeep(&self) -> &Upkeep {
        &self.upkeep
    }

    /// Failures poison the partition, or are left to the append that runs into them: nobody is there to hear
    /// of them now.
    fn do_due(&self) -> Duration {
        let mut duty = Duty { shared: self, reopens: self.writer.lock().reopens, ended: false };
        drop(self.maintain());
        let next = self.next_due();
        duty.ended = true;
        next
    }

    /// It was poisoned while the thread was unwound: see [`Duty`].
    fn panicked(&self) {
        self.commit.wake_futures();
    }
}

/// What is due, being done. A panic in it poisons the partition, but not one that was reopened since: whoever
/// heard of the panic from the round that it struck may be faster than the thread that is unwound.
struct Duty<'a> {
    shared: &'a Shared,
    reopens: u64,
    ended: bool,
}

impl Drop for Duty<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut writer = self.shared.writer.lock();
        if writer.reopens == self.reopens {
            let message = "the disk thread panicked: reopen the partition";
            self.shared.poison_locked(&mut writer, &Error::new(ErrorKind::Poisoned, message));
        }
    }
}

impl Shared {
    /// Does all that is due: syncs, reserves, seals, moves the recovery point, prepares, deletes.
    pub(super) fn maintain(&self) -> Result<()> {
        self.wake_left_asleep();
        self.sync_if_due();
        self.commit.serve_demand(self);
        self.writer.lock().usable(self)?;
        // A full disk must not keep retention from making room on it: all is tried, and the first error told.
        let tried = [
            self.reserve_if_due(),
            self.seal_previous(),
            self.advance_recovery_point(),
            self.prepare_if_due(),
            self.enforce_retention(),
        ];
        tried.into_iter().collect()
    }

    /// Asks for a sync of what has been written for too long, or is too much.
    fn sync_if_due(&self) {
        let now = self.options.clock.monotonic();
        let goal = {
            let mut writer = self.writer.lock();
            let Some(since) = writer.unsynced_since else {
                writer.watched = false;
                return;
            };
            let is_due = now.saturating_sub(since) >= UNSYNCED_TIME_MAX;
            if !is_due && writer.unsynced_bytes() < UNSYNCED_BYTES_MAX {
                return;
            }
            self.commit.goal(writer.active.end().next_offset.get())
        };
        self.commit.demand(goal);
    }

    /// Takes the next step of the reserve before an append has to.
    fn reserve_if_due(&self) -> Result<()> {
        let _growing = self.growing.lock();
        let now = self.options.clock.monotonic();
        let step = {
            let mut writer = self.writer.lock();
            // Called by an append, so that an idle partition takes no more. Nobody appends to a poisoned log.
            if !std::mem::take(&mut writer.reserve_called) || writer.usable(self).is_err() {
                return Ok(());
            }
            match writer.active.reserve_due(now) {
                Some(to) => {
                    let more = to.saturating_sub(writer.active.opened().disk_bytes());
                    let (segment, opened) = (writer.active.segment().clone(), writer.active.opened().clone());
                    self.claim(&mut writer, more).then_some((segment, opened, to, more))
                }
                None => None,
            }
        };
        let Some((segment, opened, to, claimed)) = step else { return Ok(()) };
        let mut reserved = opened.reserve(to);
        if segment.is_sealed() {
            // Whoever sealed it may have given back what was reserved before this was.
            reserved = reserved.and(punch_beyond(&*opened.file, segment.len_bytes(), u64::MAX));
        }
        Self::settle(&mut self.writer.lock(), claimed);
        reserved
    }

    fn next_due(&self) -> Duration {
        let writer = self.writer.lock();
        if writer.usable(self).is_err() {
            return Duration::MAX;
        }
        let now = self.options.clock.monotonic();
        let sync = writer
            .unsynced_since
            .map_or(Duration::MAX, |since| (since + UNSYNCED_TIME_MAX).saturating_sub(now));
        let unwatch = if writer.watched { UNSYNCED_TIME_MAX } else { Duration::MAX };
        let retention = match self.policy.retention() {
            Retention::Forever | Retention::Bytes(_) => Duration::MAX,
            Retention::Age(_) | Retention::AgeOrBytes(..) => RETENTION_EVERY,
        };
        let retry = Duration::from_millis(1);
        sync.max(retry).min(unwatch).min(retention)
    }
}
