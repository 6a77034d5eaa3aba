//! Copying good batches into a new segment, to be synced there.

use super::SegmentFile;
use crate::io::{self, Access};
use crate::record::{Batch, Stamp, Times};
use crate::segment::{
    Checkpoint, Digest, IndexWriter, SEGMENT_HEADER_LEN, SegmentHeader, Track, read_range, walk,
};
use crate::sync::{Bug, planted};
use crate::{Error, ErrorKind, Offset, Position, Result, Timestamp};
use std::sync::Arc;

/// Bytes of copied batches that are written at once.
const COPY_LEN: usize = 1 << 20;

/// Good batches on their way into a new segment.
pub(super) struct Copy {
    file: Arc<dyn io::File>,
    salt: u64,
    end: Checkpoint,
    index: IndexWriter,
    /// Batches that are not written yet, and where they begin.
    buf: Vec<u8>,
    buf_at: u64,
}

impl Copy {
    /// Writes into the file `name`, which has its header already.
    pub(super) fn new(
        header: &SegmentHeader,
        first_offset: Offset,
        leader_epoch: u32,
        dir: &Arc<dyn io::Dir>,
        name: &str,
    ) -> Result<Self> {
        let path = dir.path().join(name);
        let file = dir.open(name, Access::ReadWrite).map_err(|error| Error::io("open", &path, error))?;
        let start = Checkpoint::start(first_offset, leader_epoch, header.created_at);
        let index = IndexWriter::new(header.index_owner(first_offset));
        let buf_at = start.position.to_u64();
        Ok(Self { file, salt: header.salt, end: start, index, buf: Vec::new(), buf_at })
    }

    /// Where the next batch goes.
    pub(super) fn position(&self) -> Position {
        self.end.position
    }

    /// The leader epoch of the last batch.
    pub(super) fn leader_epoch(&self) -> u32 {
        self.end.leader_epoch
    }

    /// Takes the batches of `found` from `from` to `to`.
    pub(super) fn take(&mut self, found: &SegmentFile, from: Checkpoint, to: Position) -> Result<()> {
        let track = Track { len: to.to_u64(), ..found.track() };
        let mut result = Ok(());
        walk(track, from, &mut |step| {
            if result.is_ok() {
                result = self.push(&mut Batch::from_verified(step.bytes));
            }
        })?;
        result
    }

    /// Takes one batch.
    pub(super) fn take_one(&mut self, track: Track<'_>, at: Position, length: u32) -> Result<()> {
        let bytes = read_range(track, at.to_u64(), usize::try_from(length).unwrap_or(usize::MAX))?;
        self.push(&mut Batch::from_stored(&bytes)?)
    }

    fn push(&mut self, batch: &mut Batch) -> Result<()> {
        let position = self.end.position;
        let next = position.checked_add(batch.len()).and_then(Position::checked_align).ok_or_else(|| {
            let message =
                format!("{}: more than 4 GiB are not proved to be synced", self.file.path().display());
            Error::new(ErrorKind::TooLarge, message)
        })?;
        let stamp = Stamp {
            salt: self.salt,
            position,
            synced: Position::ZERO,
            base_offset: batch.base_offset(),
            leader_epoch: batch.leader_epoch(),
            times: Times::AsGiven,
        };
        let bytes = batch.stamp(&stamp);
        self.buf.extend_from_slice(bytes);
        self.buf.resize(self.buf.len().next_multiple_of(8), 0);
        self.index.push(batch.base_offset(), position, batch.max_timestamp());
        self.end = Checkpoint {
            position: next,
            next_offset: batch.next_offset(),
            digest: Digest::with(self.end.digest, batch.header().crc32),
            leader_epoch: batch.leader_epoch(),
            max_timestamp: self.end.max_timestamp.max(batch.max_timestamp()),
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

    /// Syncs what was taken.
    pub(super) fn finish(mut self, now: Timestamp) -> Result<(Checkpoint, IndexWriter)> {
        self.write()?;
        if !planted(Bug::CopyNotSynced) {
            self.file.sync().map_err(|error| Error::io("sync", self.file.path(), error))?;
        }
        if self.end.position.get() > SEGMENT_HEADER_LEN {
            // When they were appended is not known any more: kept too long is better than not long enough.
            self.end.last_append_time = self.end.last_append_time.max(now);
        }
        Ok((self.end, self.index))
    }
}
