//! The end of the log as it was found: how far it is good, and how far it was synced.

use super::table::{self, Committed, Facts, Later, Read, Salvage, Segments, Slots, Version};
use super::{Inventory, Recovery, SegmentFile, Tail};
use crate::io::Dir;
use crate::partition::manifest::{Manifest, SegmentEntry, SegmentState};
use crate::segment::{Checkpoint, Digest, Stop};
use crate::{Error, ErrorKind, Offset, Position, Result};
use std::cmp::Ordering;

/// The open segments, from the recovery point to the end of the log.
pub(super) struct End {
    /// One, or two where a roll was not finished; in the order of the log.
    pub(super) tails: Vec<(SegmentFile, SegmentEntry, Tail)>,
    /// The last good batch ends in this one of them.
    pub(super) last: usize,
    /// The furthest place that anything names as synced: which of them, and where in it.
    pub(super) synced: (usize, Position),
}

impl Recovery<'_> {
    /// Walks the open segments, and searches what follows them.
    pub(super) fn read_end(
        &self,
        inventory: &Inventory,
        manifest: &Manifest,
        known_durable: Offset,
    ) -> Result<End> {
        let mut tails: Vec<(SegmentFile, SegmentEntry, Tail)> = Vec::new();
        let open = manifest.segments.iter().filter(|entry| entry.state != SegmentState::Sealed);
        for entry in open {
            let file = inventory.listed(&**self.dir, entry)?.clone();
            let from = match tails.last() {
                Some((_, _, before)) => Checkpoint {
                    leader_epoch: before.walk.end.leader_epoch,
                    next_offset: before.walk.end.next_offset,
                    ..entry.checkpoint(manifest)
                },
                None => entry.checkpoint(manifest),
            };
            let owner = file.header.index_owner(entry.start_of(from));
            let tail = Tail::read(file.track()?, &**self.dir, owner, from)?;
            tail.walk.check_version(file.track()?)?;
            tails.push((file, entry.clone(), tail));
        }
        if tails.is_empty() {
            let message = format!("{}: the manifest lists no open segment", self.dir.path().display());
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        // Records are deleted only once they are durable, so the log start proves as much.
        Ok(End::of(tails, known_durable.max(manifest.log_start)))
    }
}

impl SegmentEntry {
    /// The recovery point of an open segment.
    pub(crate) fn checkpoint(&self, manifest: &Manifest) -> Checkpoint {
        Checkpoint {
            position: self.end,
            next_offset: self.end_offset,
            digest: Digest::from_u64(self.digest),
            leader_epoch: manifest.leader_epoch,
            max_timestamp: self.max_timestamp,
            last_append_time: self.last_append_time,
        }
    }

    /// The first offset of a segment that is walked from `from`: of a prepared one only that says it.
    pub(super) fn start_of(&self, from: Checkpoint) -> Offset {
        match self.state {
            SegmentState::Prepared => from.next_offset,
            _ => self.first_offset,
        }
    }
}

impl End {
    fn of(tails: Vec<(SegmentFile, SegmentEntry, Tail)>, known_durable: Offset) -> Self {
        let mut last = 0_usize;
        let mut synced = (0, Position::ZERO);
        for (at, (_, entry, tail)) in tails.iter().enumerate() {
            if at == last.saturating_add(1) && tail.follows(entry) {
                last = at;
            }
            let named = match entry.state {
                SegmentState::Prepared => tail.furthest(),
                _ => tail.furthest().max(entry.end),
            };
            if named > Position::ZERO {
                synced = synced.max((at, named));
            }
        }
        let mut end = Self { tails, last, synced };
        end.believe(known_durable);
        end
    }

    /// What this process saw synced is a proof like any other.
    fn believe(&mut self, known_durable: Offset) {
        let Some((_, _, tail)) = self.tails.get(self.last) else { return };
        let named = match known_durable.cmp(&tail.walk.end.next_offset) {
            Ordering::Less => return,
            Ordering::Equal => tail.walk.end.position,
            Ordering::Greater => Position::new(u32::MAX),
        };
        self.synced = self.synced.max((self.last, named));
    }

    /// Where the last good batch ends.
    fn end(&self) -> (usize, Position) {
        let position =
            self.tails.get(self.last).map_or(Position::ZERO, |(_, _, tail)| tail.walk.end.position);
        (self.last, position)
    }

    pub(super) fn facts(&self) -> Facts {
        let rest = self.tails.get(self.last).map_or(table::Rest::Blank, |(_, _, tail)| tail.beyond.rest);
        let later = self.tails.iter().skip(self.last.saturating_add(1));
        let has_later = later.into_iter().any(|(_, _, tail)| !tail.is_clean());
        Facts {
            read: Read::Good,
            version: Version::Known,
            slots: Slots::Even,
            segments: Segments::AsListed,
            end: match self.end().cmp(&self.synced) {
                Ordering::Less => table::End::BeforeProof,
                Ordering::Equal => table::End::AtProof,
                Ordering::Greater => table::End::AfterProof,
            },
            rest,
            later: if has_later { Later::Unproved } else { Later::Empty },
            salvage: Salvage::NotAsked,
            // The partition keeps no consumers' offsets; who does compares them with the report.
            committed: Committed::Within,
        }
    }

    pub(super) fn scanned_bytes(&self) -> u64 {
        let walked = self.tails.iter().map(|(_, entry, tail)| tail.walk.end.position.since(entry.end));
        walked.map(u64::from).sum()
    }

    /// The error that names the damage.
    pub(super) fn damage(&self, dir: &dyn Dir) -> Error {
        let Some((file, _, tail)) = self.tails.get(self.last) else {
            return Error::new(ErrorKind::Corrupt, format!("{}: no open segment", dir.path().display()));
        };
        let flaw = match tail.walk.stop {
            Stop::Flaw(flaw) => flaw.to_string(),
            Stop::End => "the file ends".to_owned(),
        };
        let proved = self.tails.get(self.synced.0).map_or(String::new(), |(file, ..)| {
            format!("the log was synced up to position {} of {}", self.synced.1, file.name)
        });
        let message = format!(
            "{}: at position {}, where offset {} should be: {flaw}; {proved}",
            dir.path().join(&file.name).display(),
            tail.walk.end.position,
            tail.walk.end.next_offset,
        );
        Error::new(ErrorKind::Corrupt, message)
    }
}

impl End {
    /// Where the walk of the segment `at` began.
    pub(super) fn checkpoint_before(
        &self,
        at: usize,
        entry: &SegmentEntry,
        manifest: &Manifest,
    ) -> Checkpoint {
        let recovery_point = entry.checkpoint(manifest);
        match at.checked_sub(1).and_then(|before| self.tails.get(before)) {
            None => recovery_point,
            Some((_, _, before)) => Checkpoint {
                next_offset: before.walk.end.next_offset,
                leader_epoch: before.walk.end.leader_epoch,
                ..recovery_point
            },
        }
    }
}
