//! The batches that nothing has proved to be synced yet, kept in memory as the walk verified them.
//!
//! ```text
//!     recovery point     furthest proof so far         where the walk is
//!     ─────┬─────────────────────┬─────────────────────────────┬─────
//!          │ let go              │ kept: may have to be copied │
//!     ─────┴─────────────────────┴─────────────────────────────┴─────
//! ```
//!
//! So what has to be copied is read and verified once. Whatever is not kept any more is read again.

use crate::record::BatchHeader;
use crate::segment::{Checkpoint, Step};
use crate::{Position, Result};

/// Most bytes that are kept: twice what a log leaves unsynced for long.
const KEPT_LEN_MAX: usize = 16 << 20;
/// Bytes that were proved are let go when there are so many.
const LET_GO_LEN: usize = 1 << 20;

/// The last batches of a walk.
#[derive(Debug)]
pub(super) struct Unproved {
    /// Where they begin, and what is known of the batches before.
    start: Checkpoint,
    /// Batches, each padded to where the next one begins.
    bytes: Vec<u8>,
    /// Where in the bytes they begin.
    skip: usize,
    len_max: usize,
}

impl Unproved {
    /// None yet, in a walk that begins at `from`.
    pub(super) fn new(from: Checkpoint) -> Self {
        Self { start: from, bytes: Vec::new(), skip: 0, len_max: KEPT_LEN_MAX }
    }

    /// Takes one more batch, and what it proves.
    pub(super) fn push(&mut self, step: Step<'_>) {
        self.bytes.extend_from_slice(step.bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        if step.header.synced > self.start.position
            && let Some((start, rest)) = self.behind(step.header.synced)
        {
            (self.start, self.skip) = (start, self.bytes.len().saturating_sub(rest.len()));
        }
        if self.bytes.len().saturating_sub(self.skip) > self.len_max {
            self.start = step.after();
            self.skip = self.bytes.len();
        }
        if self.skip >= LET_GO_LEN.min(self.len_max) {
            self.bytes.drain(..self.skip);
            self.skip = 0;
        }
    }

    /// What is known of the batches before `position`, and the bytes of those behind it; none where they are
    /// not kept, or none of them begins there.
    pub(super) fn behind(&self, position: Position) -> Option<(Checkpoint, &[u8])> {
        let mut at = self.start;
        let mut rest = self.bytes.get(self.skip..).unwrap_or_default();
        while at.position < position {
            let (header, _, behind) = split_first(rest)?;
            at = at.behind(&header, at.position.checked_add(rest.len().checked_sub(behind.len())?)?);
            rest = behind;
        }
        (at.position == position).then_some((at, rest))
    }
}

/// Shows each of these batches to `each`, until one fails.
pub(super) fn each_batch(
    mut bytes: &[u8],
    mut each: impl FnMut(&BatchHeader, &[u8]) -> Result<()>,
) -> Result<()> {
    while let Some((header, batch, rest)) = split_first(bytes) {
        each(&header, batch)?;
        bytes = rest;
    }
    Ok(())
}

/// The first batch of those that were kept, and all that follows its padding.
fn split_first(bytes: &[u8]) -> Option<(BatchHeader, &[u8], &[u8])> {
    let header = BatchHeader::decode(bytes).ok()?;
    let len = usize::try_from(header.length).ok().filter(|len| *len > 0)?;
    let (batch, _) = bytes.split_at_checked(len)?;
    Some((header, batch, bytes.get(len.next_multiple_of(8)..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Access, MemoryDisk};
    use crate::segment::{Track, walk};
    use crate::{Durability, Maintenance, Offset, Partition, Record, Timestamp};

    /// Walks a log whose first `proved` of 40 batches name each other as synced, and keeps at most so many bytes.
    fn kept(proved: u64, len_max: usize) -> (Unproved, Vec<(Checkpoint, Vec<u8>)>) {
        let disk = MemoryDisk::new();
        let options = Partition::options().maintenance(Maintenance::Manual).seed(1);
        let log = options.open_in(disk.root()).expect("memory has room");
        for n in 0..40 {
            let level = if n < proved { Durability::Durable } else { Durability::Written };
            log.append_with(level, [Record::new(&"x".repeat(n as usize))]).wait().expect("memory has room");
        }
        let segment = &log.segments()[0];
        let file = disk.root().open("00000000000000000000.log", Access::Read).expect("it is there");
        let from = Checkpoint::start(Offset::ZERO, 0, Timestamp::MIN);
        let track = Track {
            file: &*file,
            salt: segment.salt(),
            layout: segment.layout(),
            len: file.len().expect("memory is well"),
        };
        let mut unproved = Unproved { len_max, ..Unproved::new(from) };
        let mut batches = Vec::new();
        walk(track, from, &mut |step| {
            unproved.push(step);
            batches.push((*step.before, step.bytes.to_vec()));
        })
        .expect("memory is well");
        assert_eq!(batches.len(), 40);
        (unproved, batches)
    }

    fn batches_behind(unproved: &Unproved, position: Position) -> Option<(Checkpoint, Vec<Vec<u8>>)> {
        let (start, bytes) = unproved.behind(position)?;
        let mut batches = Vec::new();
        each_batch(bytes, |header, batch| {
            assert_eq!(header.length as usize, batch.len());
            batches.push(batch.to_vec());
            Ok(())
        })
        .expect("the closure fails never");
        Some((start, batches))
    }

    #[test]
    fn what_lies_behind_the_last_proof_is_kept_as_it_was_verified() {
        for proved in [0, 1, 17, 39] {
            let (unproved, batches) = kept(proved, KEPT_LEN_MAX);
            for (at, (before, _)) in batches.iter().enumerate() {
                let found = batches_behind(&unproved, before.position);
                if at < proved as usize {
                    assert_eq!(found, None, "batch {at} was proved by one of {proved}");
                } else {
                    let rest = batches[at..].iter().map(|(_, bytes)| bytes.clone()).collect();
                    assert_eq!(found, Some((*before, rest)), "batch {at}, {proved} proved");
                }
            }
        }
    }

    #[test]
    fn nothing_is_kept_beyond_the_limit_and_nothing_wrong() {
        let (unproved, batches) = kept(0, 1_000);
        assert!(unproved.bytes.len() <= 1_100);
        let found: Vec<_> =
            batches.iter().map(|(before, _)| batches_behind(&unproved, before.position)).collect();
        let first = found.iter().position(Option::is_some).expect("the last ones are kept");
        assert!(first > 20);
        for at in first..40 {
            let rest = batches[at..].iter().map(|(_, bytes)| bytes.clone()).collect();
            assert_eq!(found[at], Some((batches[at].0, rest)));
        }
    }

    #[test]
    fn a_place_between_two_batches_is_none_that_is_kept() {
        let (unproved, batches) = kept(0, KEPT_LEN_MAX);
        let inside = batches[7].0.position.checked_add(8).expect("far below 4 GiB");
        assert_eq!(batches_behind(&unproved, inside), None);
        let before = unproved.start.position.get() - 8;
        assert_eq!(batches_behind(&unproved, Position::new(before)), None);
    }
}
