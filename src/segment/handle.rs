//! The half of a segment that readers hold.

use super::opened::Opened;
use super::shelf::{Hold, Readable, Shelf};
use super::{FileName, HeaderFlaw, Index, IndexEntry, Layout, SEGMENT_HEADER_LEN, Seal, SegmentHeader};
use crate::io::{self, Access, Dir, File};
use crate::sync::{AtomicBool, Mutex, OnceLock, Ordering, Published, Publisher};
use crate::{Error, ErrorKind, Offset, Position, Result};
use std::path::PathBuf;
use std::sync::Arc;

/// One file of a partition's log.
///
/// A segment is open while batches are appended to it, then sealed for ever. A [`Reader`](crate::Reader) that is
/// in one reads it to its end, even after the partition has deleted it.
#[derive(Debug)]
pub struct Segment {
    dir: Arc<dyn Dir>,
    header: SegmentHeader,
    first_offset: Offset,
    /// What the file is called now; a roll renames it.
    name: Mutex<String>,
    access: SegmentAccess,
    readable: Arc<Readable>,
    shelf: Arc<Shelf>,
    /// End of the bytes that are written; batches before it are whole.
    written: Published,
    /// End of the bytes that are synced. Never beyond `written`.
    durable: Published,
    seal: OnceLock<Seal>,
    /// Bytes of disk it took when it was found. What recovery or truncation cut off stays in the file.
    taken: u64,
    /// Set when the partition no longer lists the file; what a truncation cut short has the same one.
    deleted: Arc<AtomicBool>,
    /// Set when readers that still hold the deleted segment must let go.
    evicted: AtomicBool,
}

/// How a segment is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentAccess {
    /// By copying out of a map, where the file offers one.
    Map,
    /// By system calls.
    Pread,
}

/// The parts a segment is made of when it is created or found.
#[derive(Debug)]
pub(crate) struct SegmentParts {
    pub(crate) dir: Arc<dyn Dir>,
    pub(crate) header: SegmentHeader,
    pub(crate) first_offset: Offset,
    pub(crate) name: String,
    pub(crate) access: SegmentAccess,
    /// Where it is put while it is open only to be read.
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) written: Published,
    pub(crate) durable: Published,
    /// Bytes of disk it takes, where that is known and more than its length.
    pub(crate) taken: u64,
}

impl Segment {
    /// The segment that is being appended to, with its open file and growing index.
    pub(crate) fn open(parts: SegmentParts, opened: Arc<Opened>, index: Index) -> Self {
        Self::new(parts, Some(opened), Some(index), OnceLock::new())
    }

    /// A segment to which nothing is appended any more. Its file is opened when it is first read.
    pub(crate) fn sealed(parts: SegmentParts, seal: Seal) -> Self {
        Self::new(parts, None, None, OnceLock::from(seal))
    }

    /// The same file as a segment that ends earlier, and takes `taken` bytes of disk.
    pub(crate) fn cut_short(&self, seal: Seal, taken: u64) -> Self {
        let end = Publisher::new(seal.end.to_u64()).published();
        let parts = SegmentParts {
            dir: self.dir.clone(),
            header: self.header.clone(),
            first_offset: self.first_offset,
            name: self.name(),
            access: self.access,
            shelf: self.shelf.clone(),
            written: end.clone(),
            durable: end,
            taken,
        };
        Self { deleted: self.deleted.clone(), ..Self::sealed(parts, seal) }
    }

    fn new(
        parts: SegmentParts,
        opened: Option<Arc<Opened>>,
        index: Option<Index>,
        seal: OnceLock<Seal>,
    ) -> Self {
        Self {
            dir: parts.dir,
            header: parts.header,
            first_offset: parts.first_offset,
            name: Mutex::new(parts.name),
            access: parts.access,
            readable: Readable::new(opened, index),
            shelf: parts.shelf,
            written: parts.written,
            durable: parts.durable,
            seal,
            taken: parts.taken,
            deleted: Arc::default(),
            evicted: AtomicBool::new(false),
        }
    }

    /// The offset of its first record, or of the first it would get.
    #[must_use]
    pub fn first_offset(&self) -> Offset {
        self.first_offset
    }

    /// The end (exclusive) of its offsets; none while it is open.
    #[must_use]
    pub fn end_offset(&self) -> Option<Offset> {
        self.seal.get().map(|seal| seal.end_offset)
    }

    /// Bytes from the beginning of the file to the end of its last batch.
    ///
    /// The header is included.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.written.get()
    }

    /// Bytes of disk that its log file takes once nothing is reserved in it any more.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.len_bytes().max(self.taken)
    }

    /// Whether batches are no longer appended to it.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.seal.get().is_some()
    }

    /// The number of this file among all the partition ever made.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.header.sequence
    }

    /// Where its file is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.path().join(&*self.name.lock())
    }

    /// Reads raw bytes of the file from `position` on, header and batches as they lie.
    ///
    /// It is for replicating or backing up a whole segment. Returns how many were read; 0 at the end of what is
    /// written.
    ///
    /// # Errors
    /// `Io` when the read fails; `OutOfRange` when the segment was deleted and its file is not open any more.
    pub fn read_raw(&self, buf: &mut [u8], position: u64) -> Result<usize> {
        let left = self.written.get().saturating_sub(position);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let buf = buf.get_mut(..count).unwrap_or_default();
        let opened = self.opened()?;
        let found = io::read_full(&*opened.file, buf, position)
            .map_err(|error| self.read_error(count, position, error))?;
        Ok(found)
    }

    pub(crate) fn header(&self) -> &SegmentHeader {
        &self.header
    }

    pub(crate) fn salt(&self) -> u64 {
        self.header.salt
    }

    pub(crate) fn layout(&self) -> Layout {
        self.header.layout
    }

    pub(crate) fn name(&self) -> String {
        self.name.lock().clone()
    }

    pub(crate) fn seal_facts(&self) -> Option<&Seal> {
        self.seal.get()
    }

    /// Ends the segment: its end is final.
    pub(crate) fn seal(&self, seal: Seal) {
        let fresh = self.seal.set(seal).is_ok();
        debug_assert!(fresh, "a segment is sealed once");
        self.shelf.put(&self.readable);
    }

    /// End of what is written.
    pub(crate) fn written(&self) -> Position {
        position(self.written.get())
    }

    /// End of what is synced.
    pub(crate) fn durable(&self) -> Position {
        position(self.durable.get())
    }

    /// Copies bytes that are written into the whole of `buf`.
    pub(crate) fn read(&self, buf: &mut [u8], at: Position) -> Result<()> {
        let opened = self.opened()?;
        let result = match &opened.map {
            Some(map) => map.read(buf, at.to_u64()),
            None => match io::read_full(&*opened.file, buf, at.to_u64()) {
                Ok(count) if count == buf.len() => Ok(()),
                Ok(_) => Err(std::io::ErrorKind::UnexpectedEof.into()),
                Err(error) => Err(error),
            },
        };
        result.map_err(|error| self.read_error(buf.len(), at.to_u64(), error))
    }

    fn read_error(&self, len: usize, at: u64, error: std::io::Error) -> Error {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            let path = self.path();
            return Error::new(
                ErrorKind::Corrupt,
                format!(
                    "{}: expected {len} bytes at position {at}, found the end of the file",
                    path.display()
                ),
            );
        }
        Error::io(format_args!("read {len} bytes at position {at} of"), &self.path(), error)
    }

    /// The open file, which is opened now if it is not.
    pub(crate) fn opened(&self) -> Result<Arc<Opened>> {
        let mut opened = self.readable.opened.lock();
        if self.is_evicted() {
            return Err(self.gone());
        }
        if let Some(opened) = &*opened {
            return Ok(opened.clone());
        }
        let fresh = Arc::new(self.open_file()?);
        *opened = Some(fresh.clone());
        drop(opened);
        self.shelf.put(&self.readable);
        Ok(fresh)
    }

    fn open_file(&self) -> Result<Opened> {
        let name = self.name();
        let file = self.dir.open(&name, Access::Read).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound if self.is_deleted() => self.gone(),
            _ => Error::io("open the segment", &self.path(), error),
        })?;
        let found = read_header(&*file)?.map_err(|flaw| self.damaged(&flaw))?;
        if found != self.header {
            // A younger one has its name where a truncation took it back.
            if self.is_deleted() {
                return Err(self.gone());
            }
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("{}: the file was replaced by another segment", self.path().display()),
            ));
        }
        let map = match self.access {
            SegmentAccess::Pread => None,
            SegmentAccess::Map => match file.map_read(self.written.get()) {
                Ok(map) => Some(map),
                Err(error) if error.kind() == std::io::ErrorKind::Unsupported => None,
                Err(error) => return Err(self.read_error(0, self.written.get(), error)),
            },
        };
        Ok(Opened::new(file, map, 0))
    }

    fn damaged(&self, flaw: &HeaderFlaw) -> Error {
        Error::new(ErrorKind::Corrupt, format!("{}: {flaw}", self.path().display()))
    }

    /// The index, if it is in memory.
    pub(crate) fn loaded_index(&self) -> Option<Index> {
        self.readable.index.lock().clone()
    }

    /// Puts an index in place, or takes it out of memory.
    pub(crate) fn set_index(&self, index: Option<Index>) {
        *self.readable.index.lock() = index;
    }

    /// The place of the first batch.
    pub(crate) fn first_entry(&self) -> IndexEntry {
        IndexEntry { offset: self.first_offset, position: Position::new(SEGMENT_HEADER_LEN) }
    }

    /// Gives it the name that its first offset asks for. The name is for people and tools: recovery goes by the
    /// sequence in the header, so a crash in between costs nothing.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn name_by_offset(&self) -> Result<()> {
        let (from, to) = (self.name(), FileName::Log(self.first_offset).to_string());
        if from == to {
            return Ok(());
        }
        self.dir.rename(&from, &to).map_err(|error| {
            Error::io(format_args!("rename {from} to"), &self.dir.path().join(&to), error)
        })?;
        *self.name.lock() = to;
        Ok(())
    }

    /// Notes that the partition no longer lists the segment.
    pub(crate) fn mark_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// Takes the deleted segment from readers that still hold it, and gives its space back.
    pub(crate) fn evict(&self) {
        let mut opened = self.readable.opened.lock();
        self.evicted.store(true, Ordering::Release);
        *opened = None;
    }

    /// The error of a reader that comes too late.
    fn gone(&self) -> Error {
        let message = format!("the records from offset {} on were deleted", self.first_offset);
        Error::new(ErrorKind::OutOfRange, message)
    }

    /// Whether its file is open, so that it takes disk space even after it was deleted.
    pub(crate) fn is_open(&self) -> bool {
        self.readable.opened.lock().is_some()
    }

    /// Closes its file until it is read again, unless somebody reads it now.
    pub(crate) fn close_unless_held(&self) {
        self.readable.close_unless_held();
    }

    /// Keeps it open, once it is opened.
    pub(crate) fn hold(&self) -> Hold {
        Hold::new(&self.readable)
    }

    pub(crate) fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    pub(crate) fn dir(&self) -> &Arc<dyn Dir> {
        &self.dir
    }

    pub(crate) fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Acquire)
    }
}

/// Reads and decodes the header of a segment file.
pub(crate) fn read_header(file: &dyn File) -> Result<Result<SegmentHeader, HeaderFlaw>> {
    let mut bytes = [0; SEGMENT_HEADER_LEN as usize];
    let count = io::read_full(file, &mut bytes, 0)
        .map_err(|error| Error::io("read the segment header of", file.path(), error))?;
    Ok(SegmentHeader::decode(bytes.get(..count).unwrap_or_default()))
}

/// A position that was published by us, and so is one.
fn position(at: u64) -> Position {
    Position::try_from(at).expect("segments stay below 4 GiB")
}
