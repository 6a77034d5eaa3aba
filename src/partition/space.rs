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
    let log = segment.len_bytes().next_multiple_of(BLOCK);
    log + index_bytes(log)
}

/// Most bytes that the two index files of a log of this length take: 8 and 16 for each 4 KiB, in blocks.
fn index_bytes(log: u64) -> u64 {
    let entries = log.div_ceil(u64::from(crate::segment::INDEX_INTERVAL_BYTES));
    (entries * 8 + 64).next_multiple_of(BLOCK) + (entries * 16 + 64).next_multiple_of(BLOCK)
}

impl Shared {
    /// Whether `more` bytes fit under the cap.
    pub(super) fn fits_cap(&self, writer: &Writer, more: u64) -> bool {
        let cap = self.options.disk_bytes_max;
        cap == u64::MAX || self.disk_bytes_locked(writer).saturating_add(more) <= cap
    }

    /// Bytes of disk the partition takes, reserve, indexes and pinned files included.
    pub(super) fn disk_bytes_locked(&self, writer: &Writer) -> u64 {
        let view = self.view();
        let sealed: u64 =
            view.segments.iter().filter(|segment| segment.is_sealed()).map(|s| file_bytes(s)).sum();
        let sealing = writer
            .sealing
            .as_ref()
            .map_or(0, |sealing| sealing.opened().reserved().saturating_sub(sealing.segment().len_bytes()));
        let reserved = writer.active.reserved().next_multiple_of(BLOCK);
        let next = writer.next.as_ref().map_or(0, |next| next.reserved().max(u64::from(SEGMENT_HEADER_LEN)));
        // Two slots of the manifest, which grow with the number of segments, and the lock.
        let manifest = (view.segments.len() as u64 * 56 + BLOCK).next_power_of_two() * 2 + BLOCK;
        sealed + sealing + reserved + index_bytes(reserved) + next + manifest + self.pinned.bytes()
    }

    /// Makes room for `more` bytes under the cap.
    pub(super) fn make_room(&self, more: u64) -> Result<()> {
        let mut admin = self.admin.lock();
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
