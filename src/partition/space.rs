//! How much disk the partition takes, and the cap on it.

use super::manifest::SegmentState;
use super::options::Retention;
use super::shared::{Admin, Shared};
use super::writer::Writer;
use crate::segment::{SEGMENT_HEADER_LEN, Segment};
use crate::sync::{Bug, Mutex, planted};
use crate::{Error, ErrorKind, Result};
use std::sync::{Arc, Weak};

/// What a block of disk is.
const BLOCK: u64 = 4096;

/// Deleted segments that readers still hold open.
#[derive(Debug, Default)]
pub(crate) struct Pinned(Mutex<Vec<Weak<Segment>>>);

impl Pinned {
    /// Notes a segment that was deleted.
    pub(super) fn add(&self, segment: &Arc<Segment>) {
        let mut pinned = self.0.lock();
        pinned.retain(|segment| segment.strong_count() > 0);
        pinned.push(Arc::downgrade(segment));
    }

    /// Bytes of disk they take.
    pub(super) fn bytes(&self) -> u64 {
        if planted(Bug::PinnedNotCounted) {
            return 0;
        }
        let pinned = self.0.lock();
        pinned
            .iter()
            .filter_map(Weak::upgrade)
            .filter(|segment| segment.is_open())
            .map(|s| file_bytes(&s))
            .sum()
    }

    /// Has all readers let go of them: their next read is out of range.
    pub(super) fn evict(&self) {
        let pinned = std::mem::take(&mut *self.0.lock());
        pinned.iter().filter_map(Weak::upgrade).for_each(|segment| segment.evict());
    }
}

/// Bytes of disk that a sealed segment takes, its indexes included.
fn file_bytes(segment: &Segment) -> u64 {
    log_bytes(segment.len_bytes())
}

/// Bytes of disk that a log file of this length and its two indexes take.
fn log_bytes(len: u64) -> u64 {
    let log = len.next_multiple_of(BLOCK);
    if log == 0 { 0 } else { log + index_bytes(log) }
}

/// Bytes of disk that the two slots of a manifest of so many segments take, or more.
fn manifest_bytes(segments: u64) -> u64 {
    (segments * 56 + BLOCK).next_power_of_two() * 2
}

/// Most bytes that the two index files of a log of this length take: 8 and 16 for each 4 KiB, in blocks.
fn index_bytes(log: u64) -> u64 {
    let entries = log.div_ceil(u64::from(crate::segment::INDEX_INTERVAL_BYTES));
    (entries * 8 + 64).next_multiple_of(BLOCK) + (entries * 16 + 64).next_multiple_of(BLOCK)
}

impl Shared {
    /// Whether `more` bytes of log fit under the cap, with what they add to indexes and manifest.
    pub(super) fn fits_cap(&self, writer: &Writer, more: u64) -> bool {
        let cap = self.options.disk_bytes_max;
        if cap == u64::MAX {
            return true;
        }
        let count = self.view().segments.len() as u64 + 1;
        let manifest = manifest_bytes(count + 1) - manifest_bytes(count);
        let more = log_bytes(more).saturating_add(if more > 0 { manifest } else { 0 });
        self.disk_bytes_locked(writer).saturating_add(more) <= cap
    }

    /// Sets `more` bytes aside for somebody who takes them without the lock, if they fit under the cap; says
    /// whether they do. They are given back by [`Shared::settle`] when they were taken, or were not.
    pub(super) fn claim(&self, writer: &mut Writer, more: u64) -> bool {
        let fits = self.fits_cap(writer, more);
        if fits {
            writer.claimed = writer.claimed.saturating_add(more);
        }
        fits
    }

    /// Ends claims of `bytes`: from now on what was taken counts by itself.
    pub(super) fn settle(writer: &mut Writer, bytes: u64) {
        writer.claimed = writer.claimed.saturating_sub(bytes);
    }

    /// Bytes of disk the partition takes, reserve, indexes and pinned files included.
    pub(super) fn disk_bytes_locked(&self, writer: &Writer) -> u64 {
        let view = self.view();
        let sealed: u64 =
            view.segments.iter().filter(|segment| segment.is_sealed()).map(|s| file_bytes(s)).sum();
        // What was reserved behind its end is given back when it has been sealed for good.
        let sealing = writer.sealing.as_ref().map_or(0, |sealing| {
            let len = sealing.segment().len_bytes().next_multiple_of(BLOCK);
            sealing.opened().disk_bytes().next_multiple_of(BLOCK).saturating_sub(len)
        });
        let next = writer
            .next
            .as_ref()
            .map_or(0, |next| log_bytes(next.disk_bytes().max(u64::from(SEGMENT_HEADER_LEN))));
        let count = view.segments.len() as u64 + u64::from(writer.next.is_some());
        let lock = BLOCK;
        sealed
            + sealing
            + log_bytes(writer.active.opened().disk_bytes())
            + log_bytes(writer.claimed)
            + next
            + manifest_bytes(count)
            + lock
            + self.pinned.bytes()
    }

    /// Makes room for `more` bytes under the cap.
    pub(super) fn make_room(&self, more: u64) -> Result<()> {
        let mut admin = self.administer()?;
        self.seal_previous_locked(&mut admin)?;
        self.make_room_locked(&mut admin, more)
    }

    /// Lets readers of deleted segments go, then deletes the oldest segments if the policy permits any
    /// deletion.
    ///
    /// # Errors
    /// `NoSpace` when there is still no room.
    pub(super) fn make_room_locked(&self, admin: &mut Admin, more: u64) -> Result<()> {
        if self.has_room(more) {
            return Ok(());
        }
        self.pinned.evict();
        while !self.has_room(more) {
            let has_sealed = admin.manifest.segments.iter().any(|entry| entry.state == SegmentState::Sealed);
            if self.policy.retention() == Retention::Forever || !has_sealed {
                return Err(self.cap_reached(more));
            }
            self.delete_oldest_locked(admin, 1)?;
            self.pinned.evict();
        }
        Ok(())
    }

    fn has_room(&self, more: u64) -> bool {
        let writer = self.writer.lock();
        self.fits_cap(&writer, more)
    }

    fn cap_reached(&self, more: u64) -> Error {
        let taken = self.disk_bytes_locked(&self.writer.lock());
        let message = format!(
            "{}: {more} bytes more were needed, {taken} are taken, and disk_bytes_max is {}",
            self.place(),
            self.options.disk_bytes_max
        );
        Error::new(ErrorKind::NoSpace, message)
    }
}
