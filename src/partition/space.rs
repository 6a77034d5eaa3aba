//! How much disk the partition takes, and the cap on it.

use super::manifest::SegmentState;
use super::retention::Retention;
use super::shared::{Admin, Shared, Waiters};
use super::state::State;
use super::writer::Writer;
use crate::segment::{SEGMENT_HEADER_LEN, Segment};
use crate::sync::{Bug, Mutex, planted};
use crate::{Error, ErrorKind, Result, Timestamp};
use std::sync::{Arc, Weak};

/// What a block of disk is.
const BLOCK: u64 = 4096;

/// Deleted segments whose space is not free yet.
#[derive(Debug, Default)]
pub(crate) struct Pinned(Mutex<Gone>);

#[derive(Debug, Default)]
struct Gone {
    /// Readers hold them open, or did when that was looked at last.
    held: Vec<Weak<Segment>>,
    /// Their files are about to be removed.
    leaving: Vec<Arc<Segment>>,
}

impl Pinned {
    /// Notes segments before the view lets go of them, so that their files count until they are removed.
    pub(super) fn leave(&self, segments: &[Arc<Segment>]) {
        self.0.lock().leaving.extend_from_slice(segments);
    }

    /// Notes a segment whose file was removed: it takes space as long as a reader holds it.
    pub(super) fn left(&self, segment: &Arc<Segment>) {
        let mut gone = self.0.lock();
        gone.leaving.retain(|leaving| !Arc::ptr_eq(leaving, segment));
        gone.held.retain(|segment| segment.strong_count() > 0);
        gone.held.push(Arc::downgrade(segment));
    }

    /// Bytes of disk that readers hold.
    pub(super) fn bytes(&self) -> u64 {
        if planted(Bug::PinnedNotCounted) {
            return 0;
        }
        let held: Vec<_> = self.0.lock().held.iter().filter_map(Weak::upgrade).collect();
        held.iter().filter(|segment| segment.is_open()).map(|segment| file_bytes(segment)).sum()
    }

    /// Bytes of disk of files that are about to be removed.
    fn leaving_bytes(&self) -> u64 {
        self.0.lock().leaving.iter().map(|segment| file_bytes(segment)).sum()
    }

    /// Has all readers let go of them: their next read is out of range.
    pub(super) fn evict(&self) {
        let held = std::mem::take(&mut self.0.lock().held);
        held.iter().filter_map(Weak::upgrade).for_each(|segment| segment.evict());
    }
}

/// Bytes of disk that a sealed segment takes, its indexes included.
fn file_bytes(segment: &Segment) -> u64 {
    log_bytes(segment.disk_bytes())
}

/// Bytes of disk that a log file of this length and its two indexes take.
fn log_bytes(len: u64) -> u64 {
    let log = len.next_multiple_of(BLOCK);
    if log == 0 { 0 } else { log + index_bytes(log) }
}

/// Most bytes of disk that a manifest of so many segments takes: two slots, and two more while they move.
fn manifest_bytes(segments: u64) -> u64 {
    (segments * 56 + 256).max(BLOCK).next_power_of_two() * 4
}

/// Bytes of disk that the directory of so many segments takes, and its share of the topic's.
fn dir_bytes(segments: u64) -> u64 {
    (segments * 3 * 64).next_multiple_of(BLOCK) + 2 * BLOCK
}

/// Bytes of disk that a new partition takes.
pub(crate) fn new_partition_bytes() -> u64 {
    log_bytes(u64::from(SEGMENT_HEADER_LEN)) + fixed_bytes(1)
}

/// Bytes of disk that a partition of so many segments takes beside them.
fn fixed_bytes(segments: u64) -> u64 {
    let lock = BLOCK;
    manifest_bytes(segments) + dir_bytes(segments) + lock
}

/// Most bytes that the two index files of a log of this length take: 8 and 16 for each 4 KiB, in blocks.
fn index_bytes(log: u64) -> u64 {
    let entries = log.div_ceil(u64::from(crate::segment::INDEX_INTERVAL_BYTES));
    (entries * 8 + 64).next_multiple_of(BLOCK) + (entries * 16 + 64).next_multiple_of(BLOCK)
}

impl Shared {
    /// Whether `more` bytes of log fit under the cap, with what they add to indexes and manifest. If so they
    /// are booked.
    pub(super) fn fits_cap(&self, writer: &Writer, more: u64) -> bool {
        if more == 0 || !self.booking.account().is_capped() {
            return true;
        }
        let count = self.view().segments.len() as u64 + 1;
        let manifest = fixed_bytes(count + 1) - fixed_bytes(count);
        let more = log_bytes(more).saturating_add(manifest);
        self.booking.cover(self.disk_bytes_locked(writer).saturating_add(more))
    }

    /// Books what is taken now.
    pub(super) fn recount(&self) {
        let writer = self.writer.lock();
        if self.booking.account().is_capped() && !matches!(writer.state, State::Closed) {
            self.booking.set(self.disk_bytes_locked(&writer));
        }
    }

    /// Books what is taken, now that it was closed for good.
    pub(super) fn recount_closed(&self) {
        if self.booking.account().is_capped() {
            self.booking.set(self.disk_bytes_locked(&self.writer.lock()));
        }
    }

    /// Has readers let go of deleted segments.
    pub(super) fn let_go(&self) {
        self.pinned.evict();
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
        let next = writer
            .next
            .as_ref()
            .map_or(0, |next| log_bytes(next.disk_bytes().max(u64::from(SEGMENT_HEADER_LEN))));
        let count = view.segments.len() as u64 + u64::from(writer.next.is_some());
        sealed
            + writer.sealing_reserve()
            + log_bytes(writer.active.opened().disk_bytes())
            + log_bytes(writer.claimed)
            + next
            + fixed_bytes(count)
            + writer.aside_bytes
            + self.pinned.bytes()
            + self.pinned.leaving_bytes()
    }

    /// Makes room for `more` bytes under the cap.
    ///
    /// # Errors
    /// `NoSpace` when there is none to be made.
    pub(super) fn make_room(&self, more: u64) -> Result<()> {
        if self.options.books.is_shared() {
            let made = self.booking.account().make_room(&self.booking, &|| self.has_room(more));
            return if made { Ok(()) } else { Err(self.cap_reached(more)) };
        }
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

    pub(super) fn cap_reached(&self, more: u64) -> Error {
        let account = self.booking.account();
        let taken = match self.options.books.is_shared() {
            true => account.booked(),
            false => self.disk_bytes_locked(&self.writer.lock()),
        };
        let message = format!(
            "{}: {more} bytes more were needed, {taken} are taken, and disk_bytes_max is {}",
            self.place(),
            account.cap()
        );
        Error::new(ErrorKind::NoSpace, message)
    }

    /// When the oldest segment that can be deleted was last appended to; none where there is none.
    pub(super) fn oldest_sealed(&self) -> Option<Timestamp> {
        let view = self.view();
        let sealed = view.segments.iter().filter_map(|segment| segment.seal_facts());
        // Segments are appended to one after the other: none is younger than any later one.
        sealed.map(|seal| seal.last_append_time).min()
    }

    /// Deletes the oldest segment, unless it is the one that is appended to; says whether it did. Whoever asks holds the
    /// lock for shedding, and perhaps others, so the futures whose goal is reached by it are woken by the next work
    /// that is due.
    ///
    /// # Errors
    /// As committing a manifest.
    pub(super) fn shed_oldest(&self) -> Result<bool> {
        let shed = self.shed_oldest_quietly();
        self.upkeep.call();
        shed
    }

    fn shed_oldest_quietly(&self) -> Result<bool> {
        let mut admin = self.administer_for(Waiters::LeaveAsleep)?;
        self.seal_previous_locked(&mut admin)?;
        let has_sealed = admin.manifest.segments.iter().any(|entry| entry.state == SegmentState::Sealed);
        if has_sealed {
            self.delete_oldest_locked(&mut admin, 1)?;
        }
        drop(admin);
        self.recount();
        Ok(has_sealed)
    }
}

impl Writer {
    /// Bytes that are reserved behind the end of the segment that is being sealed. They are given back when
    /// it has been sealed for good.
    pub(super) fn sealing_reserve(&self) -> u64 {
        self.sealing.as_ref().map_or(0, |sealing| {
            let len = sealing.segment().len_bytes().next_multiple_of(BLOCK);
            sealing.opened().disk_bytes().next_multiple_of(BLOCK).saturating_sub(len)
        })
    }
}
