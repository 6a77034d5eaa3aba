//! Copying good batches into a new segment, to be synced there.

use super::unproved::each_batch;
use super::{SegmentFile, Tail};
use crate::io;
use crate::record::{Batch, BatchHeader, Stamp, Times, stamp_verified};
use crate::segment::{
    Checkpoint, Digest, IndexWriter, SEGMENT_HEADER_LEN, SegmentHeader, Track, read_range, sync_name, walk,
};
use crate::sync::{Bug, planted};
use crate::{Error, ErrorKind, Offset, Position, Result, Timestamp};
use std::sync::Arc;

/// Bytes of copied batches that are written at once.
const COPY_LEN: usize = 1 << 20;

/// Good batches on their way into a new segment. Nothing refers to it before all of it is synced.
pub(super) struct Copy {
    dir: Arc<dyn io::Dir>,
    file: Arc<dyn io::File>,
    salt: u64,
    end: Checkpoint,
    index: IndexWriter,
    /// What is not written yet, the header of the file first of all, and where it begins.
    buf: Vec<u8>,
    buf_at: u64,
}

impl Copy {
    /// Makes the file `name`.
    pub(super) fn create(
        header: &SegmentHeader,
        first_offset: Offset,
        leader_epoch: u32,
        dir: &Arc<dyn io::Dir>,
        name: &str,
    ) -> Result<Self> {
        let path = dir.path().join(name);
        let file = dir.create(name).map_err(|error| Error::io("create the segment", &path, error))?;
        let end = Checkpoint::start(first_offset, leader_epoch, header.created_at);
        let index = IndexWriter::new(header.index_owner(first_offset));
        let buf = header.encode().to_vec();
        Ok(Self { dir: dir.clone(), file, salt: header.salt, end, index, buf, buf_at: 0 })
    }

    /// Where the next batch goes.
    pub(super) fn position(&self) -> Position {
        self.end.position
    }

    /// The leader epoch of the last batch.
    pub(super) fn leader_epoch(&self) -> u32 {
        self.end.leader_epoch
    }

    /// Takes the batches that follow `from` in a segment, which ends with the last good one.
    pub(super) fn take(&mut self, found: &SegmentFile, tail: &Tail, from: Checkpoint) -> Result<()> {
        let end = tail.walk.end;
        if let Some((_, kept)) = tail.kept_behind(from.position) {
            each_batch(kept, |header, bytes| self.push(header, bytes))?;
        } else {
            let track = Track { len: end.position.to_u64(), ..found.track()? };
            let mut result = Ok(());
            walk(track, from, &mut |step| {
                if result.is_ok() {
                    result = self.push(step.header, step.bytes);
                }
            })?;
            result?;
        }
        if self.end.next_offset != end.next_offset {
            let (path, expected) = (found.path(), end.next_offset);
            let found = self.end.next_offset;
            let message = format!(
                "{}: the log ended at offset {expected}, and at {found} a moment later",
                path.display()
            );
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(())
    }

    /// Takes one batch.
    pub(super) fn take_one(&mut self, track: Track<'_>, at: Position, length: u32) -> Result<()> {
        let bytes = read_range(track, at.to_u64(), usize::try_from(length).unwrap_or(usize::MAX))?;
        let batch = Batch::from_stored(&bytes)?;
        self.push(&batch.header(), batch.as_bytes())
    }

    /// Takes one batch, which was verified.
    fn push(&mut self, header: &BatchHeader, bytes: &[u8]) -> Result<()> {
        let position = self.end.position;
        let next = position.checked_add(bytes.len()).and_then(Position::checked_align).ok_or_else(|| {
            let message =
                format!("{}: more than 4 GiB are not proved to be synced", self.file.path().display());
            Error::new(ErrorKind::TooLarge, message)
        })?;
        let stamp = Stamp {
            salt: self.salt,
            position,
            synced: Position::ZERO,
            base_offset: header.base_offset,
            leader_epoch: header.leader_epoch,
            times: Times::AsGiven,
        };
        let at = self.buf.len();
        self.buf.extend_from_slice(bytes);
        let crc32 = stamp_verified(self.buf.get_mut(at..).unwrap_or_default(), &stamp);
        self.buf.resize(self.buf.len().next_multiple_of(8), 0);
        self.index.push(header.base_offset, position, header.max_timestamp);
        self.end = Checkpoint {
            position: next,
            next_offset: header.next_offset(),
            digest: Digest::with(self.end.digest, crc32),
            leader_epoch: header.leader_epoch,
            max_timestamp: self.end.max_timestamp.max(header.max_timestamp),
            last_append_time: self.end.last_append_time,
        };
        if self.buf.len() >= COPY_LEN { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<()> {
        io::write_all(&*self.file, &self.buf, self.buf_at).map_err(|error| {
            Error::io(format_args!("write at position {} of", self.buf_at), self.file.path(), error)
        })?;
        self.buf_at = self.buf_at.saturating_add(self.buf.len() as u64);
        self.buf.clear();
        Ok(())
    }

    /// Syncs what was taken, and the name of the file.
    pub(super) fn finish(mut self, now: Timestamp) -> Result<(Checkpoint, IndexWriter)> {
        self.write()?;
        if !planted(Bug::CopyNotSynced) {
            self.file.sync().map_err(|error| Error::io("sync", self.file.path(), error))?;
        }
        sync_name(&*self.dir)?;
        if self.end.position.get() > SEGMENT_HEADER_LEN {
            // When they were appended is not known any more: kept too long is better than not long enough.
            self.end.last_append_time = self.end.last_append_time.max(now);
        }
        Ok((self.end, self.index))
    }
}
