//! One round of the group commit: sync what is complete, mark it, publish it.
//!
//! ```text
//!     snapshot (append lock) ──▶ sync (no lock) ──▶ tail mark, proofs, durable ends (append lock) ──▶ wake
//! ```

use super::shared::Shared;
use super::state::State;
use super::writer::Writer;
use crate::segment::{Checkpoint, Opened, TailMark};
use crate::sync::{Bug, Leader, planted};
use crate::{Error, ErrorKind, Result};
use std::sync::Arc;

/// What one round makes durable.
struct Round {
    /// The files to sync, in the order of the log; the last is the one that was active.
    files: Vec<Arc<Opened>>,
    /// The sequence of the segment that was active.
    active: u64,
    /// The end of its complete batches.
    end: Checkpoint,
}

impl Leader for Shared {
    fn lead(&self, covering: &mut dyn FnMut(u64)) -> Result<u64> {
        let mut term = Term { shared: self, ended: false };
        let result = self.lead_round(covering);
        term.ended = true;
        result
    }

    fn pass_on(&self) {
        self.upkeep.call();
    }
}

impl Shared {
    fn lead_round(&self, covering: &mut dyn FnMut(u64)) -> Result<u64> {
        let round = {
            let writer = self.writer.lock();
            writer.syncable(self)?;
            Round::begin(&writer)
        };
        covering(round.end.next_offset.get());
        if planted(Bug::MarkClaimsMore) {
            round.store_mark(&mut self.writer.lock())?;
        }
        for opened in &round.files {
            if let Err(error) = opened.file.sync() {
                if planted(Bug::RetriedSync) && opened.file.sync().is_ok() {
                    continue;
                }
                let error = Error::io("sync", opened.file.path(), error);
                self.poison_locked(&mut self.writer.lock(), &error);
                return Err(error);
            }
        }
        let mut writer = self.writer.lock();
        if let State::Closed = writer.state {
            // Closing has failed, and not waited. The file may have a new owner, who has appended where the mark
            // would go; without its proof nothing is acknowledged.
            return Err(self.closed());
        }
        if let Err(error) = round.finish(&mut writer) {
            self.poison_locked(&mut writer, &error);
            return Err(error);
        }
        if writer.unsynced_bytes() == 0 {
            writer.unsynced_since = None;
        } else {
            writer.unsynced_since = Some(self.options.clock.monotonic());
        }
        Ok(round.end.next_offset.get())
    }
}

/// A round under way. A panic in it poisons the partition, so that a reopen can set it right.
struct Term<'a> {
    shared: &'a Shared,
    ended: bool,
}

impl Drop for Term<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let error = Error::new(ErrorKind::Poisoned, "the thread that synced the log panicked: reopen it");
            self.shared.poison_locked(&mut self.shared.writer.lock(), &error);
        }
    }
}

impl Round {
    /// Notes what is complete now.
    fn begin(writer: &Writer) -> Self {
        let sealing =
            writer.sealing.as_ref().filter(|sealing| !sealing.is_durable() && !planted(Bug::RollNotSynced));
        let mut files: Vec<_> = sealing.map(|sealing| sealing.opened().clone()).into_iter().collect();
        files.push(writer.active.opened().clone());
        Self { files, active: writer.active.segment().sequence(), end: *writer.active.end() }
    }

    /// Notes that it is durable, and stores the proof of it behind the log end. A roll may have come between.
    fn finish(&self, writer: &mut Writer) -> Result<()> {
        if writer.active.segment().sequence() != self.active {
            if let Some(sealing) = &mut writer.sealing
                && sealing.segment().sequence() == self.active
            {
                sealing.advance_durable(self.end.position);
            }
            return Ok(());
        }
        if let Some(sealing) = &mut writer.sealing {
            let end = sealing.segment().written();
            sealing.advance_durable(end);
        }
        writer.active.advance_durable(&self.end);
        self.store_mark(writer)
    }

    fn store_mark(&self, writer: &mut Writer) -> Result<()> {
        let mark = TailMark {
            synced: self.end.position,
            durable_offset: self.end.next_offset,
            last_append_time: writer.active.end().last_append_time,
            manifest_generation: writer.generation,
        };
        writer.active.store_tail_mark(&mark)
    }
}
