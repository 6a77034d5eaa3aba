//! Reading beside a writer: another process has the partition open, and this one only looks.
//!
//! ```text
//!     manifest ──generation changed?──▶ segments
//!     open segments ──walk from where it stopped──▶ written end
//!                   ──proofs in batches and tail mark──▶ durable end
//! ```
//!
//! A follower takes no lock, writes nothing, and reads by system calls alone. A batch that is not whole yet is
//! not there yet.

mod open_end;

use super::lookup::{TimedOffset, find_time};
use super::manifest::{Manifest, SegmentEntry, SegmentState, load_read_only};
use super::options::ReadLevel;
use super::reader::{Reader, Source};
use super::recovery::{Inventory, SegmentFile, Whose};
use super::verify::{VerifyReport, verify_beside};
use super::view::View;
use crate::io::Dir;
use crate::segment::{Seal, Segment, SegmentAccess, SegmentParts, Shelf};
use crate::sync::{Mutex, Publisher};
use crate::{Error, ErrorKind, Offset, Result, Timestamp};
use open_end::OpenEnd;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How often a follower that waits looks again.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How often it tries anew when the writer deletes what it was about to open.
const ATTEMPTS_MAX: usize = 16;

/// A partition that another handle or process writes, opened for reading only.
///
/// ```
/// use annals::{Follower, Partition, Record, ReadLevel};
/// # let dir = std::env::temp_dir().join(format!("annals-follower-doc-{}", std::process::id()));
/// let log = Partition::open(&dir)?;
/// log.append([Record::new("a")]).wait()?;
///
/// let follower = Follower::open(&dir)?; // in another process, usually
/// let records = follower.read(follower.log_start_offset()).next().expect("one record is there")?;
/// assert_eq!(records.iter().next().map(|record| record.value()), Some(&b"a"[..]));
/// # log.close()?;
/// # drop(std::fs::remove_dir_all(&dir));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Follower {
    source: Arc<Followed>,
}

/// What a follower and its readers share.
#[derive(Debug)]
struct Followed {
    dir: Arc<dyn Dir>,
    seen: Mutex<Seen>,
}

/// What was there when it was looked at last.
#[derive(Debug)]
struct Seen {
    generation: u64,
    view: Arc<View>,
    open: Vec<OpenEnd>,
    written: Offset,
    durable: Offset,
}

impl Follower {
    /// Opens the partition in the directory at `path` for reading. Takes no lock and writes nothing. Blocks.
    ///
    /// # Errors
    /// `NotFound` when there is no partition; `ReadOnly` when it may not be read; `Corrupt`, `Unsupported`, `Io` as for
    /// a writer.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let dir =
            crate::io::DiskDir::open(path).map_err(|error| Error::io("open the directory", path, error))?;
        Self::open_in(dir)
    }

    /// The same in `dir`, on whatever disk that is.
    ///
    /// # Errors
    /// As [`Follower::open`].
    pub fn open_in(dir: Arc<dyn Dir>) -> Result<Self> {
        let seen = Seen::first(&dir)?;
        Ok(Self { source: Arc::new(Followed { dir, seen: Mutex::new(seen) }) })
    }

    /// The same, when it is this topic's partition of this number.
    ///
    /// # Errors
    /// `NotFound` when it is another topic's: the one that was meant has been deleted.
    pub(crate) fn open_of(dir: Arc<dyn Dir>, owner: (crate::TopicId, u32)) -> Result<Self> {
        let (manifest, _) = load_read_only(&*dir)?;
        if (manifest.topic, manifest.partition) != owner {
            let message = format!("{}: the topic was deleted, this is another one", dir.path().display());
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        Self::open_in(dir)
    }

    /// Reads from `from` to the end that can be seen now; see [`crate::Partition::read`]. Asked again at the
    /// end, the reader looks whether there is more.
    #[must_use]
    pub fn read(&self, from: Offset) -> Reader {
        Reader::new(self.source.clone(), ReadLevel::default(), from)
    }

    /// Looks at what has changed.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported` or `Io` when not all of what is there can be read.
    pub fn refresh(&self) -> Result<()> {
        self.source.refresh()
    }

    /// Waits until a reader at `level` can see a record at `offset` or behind it.
    ///
    /// Says whether one can; it waits at most for `limit`. To wait for what comes next, pass [`Reader::position`].
    /// Looks every 10 ms. Blocks, in real time. A follower cannot ask for a sync: at [`ReadLevel::Durable`] it
    /// waits for the writer's.
    ///
    /// # Errors
    /// As [`Follower::refresh`].
    pub fn wait_past(&self, level: ReadLevel, offset: Offset, limit: Duration) -> Result<bool> {
        let mut left = limit;
        loop {
            self.refresh()?;
            if self.source.end_at(level) > offset {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
            let nap = left.min(LOOK_EVERY);
            thread::sleep(nap);
            left = left.saturating_sub(nap);
        }
    }

    /// The first record at or after `time` that a reader at `level` can see now.
    ///
    /// See [`crate::Partition::offset_for_time`]. Blocks.
    ///
    /// # Errors
    /// As [`Follower::refresh`].
    pub fn offset_for_time(&self, level: ReadLevel, time: Timestamp) -> Result<Option<TimedOffset>> {
        self.source.look()?;
        self.source.offset_for_time(level, time)
    }

    /// Reads all of it, and judges it as an open would. Writes nothing. Blocks.
    ///
    /// It is compared with its checksums and with what the manifest says, as [`crate::Partition::verify`] does,
    /// and what lies behind the end is looked at, too.
    ///
    /// # Errors
    /// `Unsupported` when some of it was written by a newer version; `Io` when a read fails. Damage is not an
    /// error: the report lists it.
    pub fn verify(&self) -> Result<VerifyReport> {
        verify_beside(&self.source.dir)
    }

    /// The first offset that could be read when it was looked last.
    #[must_use]
    pub fn log_start_offset(&self) -> Offset {
        self.source.view().log_start
    }

    /// End (exclusive) of what was proved to be synced when it was looked last.
    #[must_use]
    pub fn durable_offset(&self) -> Offset {
        self.source.end_at(ReadLevel::Durable)
    }

    /// End (exclusive) of what was written when it was looked last.
    #[must_use]
    pub fn log_end_offset(&self) -> Offset {
        self.source.end_at(ReadLevel::Written)
    }
}

impl Source for Followed {
    fn view(&self) -> Arc<View> {
        self.seen.lock().view.clone()
    }

    fn end_at(&self, level: ReadLevel) -> Offset {
        let seen = self.seen.lock();
        match level {
            ReadLevel::Written => seen.written,
            ReadLevel::Durable => seen.durable,
        }
    }

    fn look_again(&self, level: ReadLevel) -> Result<bool> {
        let before = self.end_at(level);
        self.look()?;
        // What lies before damage is read; behind it there is no going on.
        if self.end_at(level) == before {
            self.seen.lock().refuse_damaged().map(|()| false)
        } else {
            Ok(true)
        }
    }

    fn look_anew(&self) -> Result<bool> {
        self.begin_anew(&mut self.seen.lock()).map(|()| true)
    }
}

impl Followed {
    /// The writer may delete a segment while it is searched.
    fn offset_for_time(&self, level: ReadLevel, time: Timestamp) -> Result<Option<TimedOffset>> {
        let mut attempt = 1;
        loop {
            match find_time(&self.view(), time, self.end_at(level)) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::OutOfRange)
                        && attempt < ATTEMPTS_MAX =>
                {
                    attempt += 1;
                    self.look_anew()?;
                }
                found => return found,
            }
        }
    }

    fn refresh(&self) -> Result<()> {
        self.look()?;
        self.seen.lock().refuse_damaged()
    }

    /// Looks at what has changed, up to where the log is damaged.
    fn look(&self) -> Result<()> {
        let mut seen = self.seen.lock();
        let (manifest, _) = load_read_only(&*self.dir)?;
        if manifest.generation != seen.generation {
            return self.begin_anew(&mut seen);
        }
        seen.advance()
    }

    fn begin_anew(&self, seen: &mut Seen) -> Result<()> {
        let rewinds = seen.view.rewinds + 1;
        let mut fresh = Seen::first(&self.dir)?;
        fresh.view = Arc::new(View { rewinds, ..View::clone(&fresh.view) });
        *seen = fresh;
        Ok(())
    }
}

impl Seen {
    /// Looks at the partition for the first time. The writer may delete between the manifest and the files.
    fn first(dir: &Arc<dyn Dir>) -> Result<Self> {
        let mut attempt = 1;
        loop {
            let (manifest, _) = load_read_only(&**dir)?;
            match Self::of(dir, &manifest) {
                Err(error) if error.kind() == ErrorKind::Corrupt && attempt < ATTEMPTS_MAX => attempt += 1,
                other => return other,
            }
        }
    }

    fn of(dir: &Arc<dyn Dir>, manifest: &Manifest) -> Result<Self> {
        let inventory = Inventory::take(dir, Whose::Of(manifest))?;
        let shelf = Arc::default();
        let mut segments = Vec::new();
        let mut open = Vec::new();
        let mut end = manifest.log_start;
        for entry in &manifest.segments {
            let found = inventory.listed(&**dir, entry)?;
            if entry.state == SegmentState::Sealed {
                segments.push(sealed((dir, &shelf), found, entry));
                end = entry.end_offset;
                continue;
            }
            let fresh = OpenEnd::new((dir, &shelf), found, entry, end)?;
            if entry.state == SegmentState::Open {
                segments.push(fresh.segment.clone());
            }
            open.push(fresh);
        }
        let lost = manifest.lost.clone().into();
        let view = View { log_start: manifest.log_start, segments, lost, rewinds: 0 };
        let durable = open.first().map_or(end, |open| open.end.next_offset);
        let mut seen =
            Self { generation: manifest.generation, view: Arc::new(view), open, written: durable, durable };
        seen.advance()?;
        Ok(seen)
    }

    /// Walks on from where it stopped.
    fn advance(&mut self) -> Result<()> {
        let mut before: Option<&mut OpenEnd> = None;
        let mut added = Vec::new();
        for open in &mut self.open {
            if let Some(before) = &mut before {
                if open.is_blank() {
                    open.begin_behind(before.end)?;
                }
                if open.end.next_offset < before.end.next_offset {
                    break;
                }
            }
            let grew = open.walk_on(before.as_deref_mut())?;
            let is_known = self.view.segments.iter().any(|known| Arc::ptr_eq(known, &open.segment));
            if let Some(before) = before
                && grew
                && !is_known
            {
                // Once the log goes on behind it, nothing is appended to it any more: readers may leave it.
                before.segment.seal(Seal::from(before.end));
                added.push(open.segment.clone());
            }
            self.written = self.written.max(open.end.next_offset);
            before = Some(open);
        }
        if !added.is_empty() {
            let mut view = View::clone(&self.view);
            view.segments.extend(added);
            self.view = Arc::new(view);
        }
        self.settle_durable();
        Ok(())
    }

    /// # Errors
    /// `Corrupt` when the log is known to be synced beyond where it can be read.
    fn refuse_damaged(&self) -> Result<()> {
        self.open.iter().find_map(|open| open.damage.clone()).map_or(Ok(()), Err)
    }

    /// The furthest proof counts for all before it.
    fn settle_durable(&mut self) {
        let last_proved = self.open.iter().rposition(|open| open.follows_synced);
        for (at, open) in self.open.iter_mut().enumerate() {
            if last_proved.is_some_and(|last| at < last) {
                open.prove(open.end.position);
            }
            self.durable = self.durable.max(open.proved_offset());
        }
    }
}

fn sealed(place: (&Arc<dyn Dir>, &Arc<Shelf>), found: &SegmentFile, entry: &SegmentEntry) -> Arc<Segment> {
    let end = Publisher::new(entry.end.to_u64()).published();
    let parts = found.parts(place, entry.first_offset, end.clone(), end);
    Arc::new(Segment::sealed(parts, entry.seal()))
}

impl SegmentFile {
    fn parts(
        &self,
        (dir, shelf): (&Arc<dyn Dir>, &Arc<Shelf>),
        first_offset: Offset,
        written: crate::sync::Published,
        durable: crate::sync::Published,
    ) -> SegmentParts {
        SegmentParts {
            dir: dir.clone(),
            header: self.header.clone(),
            first_offset,
            name: self.name.clone(),
            access: SegmentAccess::Pread,
            shelf: shelf.clone(),
            written,
            durable,
            taken: 0,
        }
    }
}
