//! A record on its way into the open batch of its partition.

use super::fate::Fate;
use super::line::{Line, Staged};
use super::metadata::{Receipt, RecordMetadata};
use super::open_batch::{Claim, OpenBatch};
use super::options::SendDurability;
use super::topic_lines::TopicLines;
use crate::record::{BatchLimits, Record};
use crate::sync::{Bug, Pending, Promise, Share, planted};
use crate::{Durability, Offset, Result, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// A record that is being sent.
pub(super) struct Sending<'a> {
    pub(super) record: &'a Record<'a>,
    /// The time it gets if it has none.
    pub(super) now: Timestamp,
    /// No fewer bytes than it takes in a batch.
    pub(super) len_bound: usize,
    pub(super) is_sticky: bool,
    pub(super) manner: Manner,
}

/// What a sender is ready to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// To append, and to wait for room.
    MayBlock,
    /// Neither.
    NeverBlocks,
}

/// Whether a new batch takes room in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Claimed,
    /// The thread that begins it writes it before it returns.
    NotNeeded,
}

/// What came of an attempt.
pub(super) enum Attempt {
    Staged(Receipt),
    /// The partition has had its share of records without a key: on to the next.
    Turn,
    /// The buffer is full.
    NoRoom,
}

impl TopicLines {
    /// Stages a record; appends it as well if nobody else does and nothing is to linger.
    #[inline]
    pub(super) fn stage(&self, line: &Line, sending: &Sending<'_>, claim: &mut Claim<'_>) -> Result<Attempt> {
        let settings = &self.depot().settings;
        let mut stage = line.relay.lock();
        self.depot().usable()?;
        if sending.is_sticky && stage.sticky_bytes >= settings.batch_bytes {
            // Only where a new batch would begin: a batch is not broken off for this.
            if stage.open.is_none() || planted(Bug::StickyBreaksOff) {
                stage.sticky_bytes = 0;
                return Ok(Attempt::Turn);
            }
        }
        let writes_now = sending.manner == Manner::MayBlock && settings.linger.is_zero();
        let room = if writes_now && !stage.is_carried() && stage.full.is_empty() {
            Room::NotNeeded
        } else {
            Room::Claimed
        };
        let Some(receipt) = self.add(line, &mut stage, sending, claim, room)? else {
            return Ok(Attempt::NoRoom);
        };
        if let Some(open) = stage.open.as_ref().filter(|_| !settings.linger.is_zero()) {
            let due = open.due;
            self.list_staged(line, &mut stage, due);
        }
        let is_due = !stage.full.is_empty() || settings.linger.is_zero();
        // Whoever carries looks again.
        if is_due && !stage.is_carried() {
            match sending.manner {
                Manner::MayBlock => self.carry(line, stage),
                Manner::NeverBlocks => self.list_staged(line, &mut stage, Duration::ZERO),
            }
        }
        Ok(Attempt::Staged(receipt))
    }

    /// Has the timers thread look at the line at `due` (monotonic), unless it does so before.
    pub(super) fn list_staged(&self, line: &Line, stage: &mut Staged, due: Duration) {
        if stage.listed.is_some_and(|listed| listed <= due) {
            return;
        }
        stage.listed = Some(due);
        if !planted(Bug::LingerForgotten) {
            self.depot().list((self.downgrade(), line.place().partition()), due);
        }
    }

    /// Adds a record to the open batch, or to a new one if it does not fit; none when there is no room.
    #[inline]
    fn add(
        &self,
        line: &Line,
        stage: &mut Staged,
        sending: &Sending<'_>,
        claim: &mut Claim<'_>,
        room: Room,
    ) -> Result<Option<Receipt>> {
        let batch_bytes = self.depot().settings.batch_bytes;
        if let Some(open) = &mut stage.open {
            if !open.claim_for(sending.len_bound, batch_bytes, claim) {
                return Ok(None);
            }
            let before = open.builder.len();
            if open.builder.push_within(sending.record, sending.now, batch_bytes)? {
                let added = open.builder.len().saturating_sub(before);
                let receipt = sending.receipt(open, line);
                let is_full = open.builder.len() >= batch_bytes;
                stage.note_added(sending, added, is_full, claim);
                return Ok(Some(receipt));
            }
            stage.close_open(claim);
        }
        let mut open = self.begin_batch(line, stage);
        let has_room = room == Room::NotNeeded || open.claim_for(sending.len_bound, batch_bytes, claim);
        let pushed = if has_room {
            open.builder.push_within(sending.record, sending.now, batch_bytes)
        } else {
            Ok(false)
        };
        if !matches!(pushed, Ok(true)) {
            open.release_surplus(claim);
            return pushed.map(|_| None);
        }
        let added = open.builder.len();
        let receipt = sending.receipt(&open, line);
        let is_full = open.builder.len() >= batch_bytes;
        stage.open = Some(open);
        stage.note_added(sending, added, is_full, claim);
        Ok(Some(receipt))
    }

    /// A batch with nothing in it yet.
    fn begin_batch(&self, line: &Line, stage: &mut Staged) -> OpenBatch {
        let depot = self.depot();
        let settings = self.settings();
        let level = match (depot.settings.durability, settings.durability) {
            (SendDurability::OfTopic, Durability::Written) => SendDurability::Written,
            (SendDurability::OfTopic, Durability::Durable) => SendDurability::Durable,
            (asked, _) => asked,
        };
        let limits = BatchLimits::new(settings.batch_bytes_max).unwrap_or_default();
        let fate = Fate::new(line.destination().clone(), level);
        let due = match depot.settings.linger {
            Duration::ZERO => Duration::ZERO,
            linger => depot.clock.monotonic().saturating_add(linger),
        };
        OpenBatch::new(stage.take_buffer(self), limits, fate, due)
    }
}

impl Staged {
    /// Ends the open batch.
    fn close_open(&mut self, claim: &mut Claim<'_>) {
        if let Some(mut open) = self.open.take() {
            open.release_surplus(claim);
            self.full.push_back(open);
        }
    }

    /// A record was added that takes so many bytes, with the batch's header if it is the first.
    fn note_added(&mut self, sending: &Sending<'_>, len: usize, is_full: bool, claim: &mut Claim<'_>) {
        if sending.is_sticky {
            self.sticky_bytes = self.sticky_bytes.saturating_add(len);
        }
        if is_full {
            self.close_open(claim);
        }
    }
}

impl Sending<'_> {
    /// The receipt of the record that was added last.
    #[inline]
    fn receipt(&self, open: &OpenBatch, line: &Line) -> Receipt {
        open.fate.count_receipt();
        let timestamp = self.record.own_timestamp().unwrap_or(self.now);
        if open.fate.level() == SendDurability::Buffered {
            let (place, durability) = (line.place().clone(), SendDurability::Buffered);
            return Pending::ready(RecordMetadata { place, offset: Offset::MAX, timestamp, durability });
        }
        let index = open.builder.record_count().saturating_sub(1);
        let promise: Arc<dyn Promise<RecordMetadata>> = open.fate.clone();
        Pending::promised(promise, Share { index, millis: timestamp.as_millis() })
    }
}
