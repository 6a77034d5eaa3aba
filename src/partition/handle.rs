//! The handle that users hold.

use super::appended::{Appended, StoredBatch};
use super::lookup::TimedOffset;
use super::options::{Durability, PartitionOptions, ReadLevel};
use super::reader::Reader;
use super::recovery::RecoveryReport;
use super::shared::Shared;
use super::stats::PartitionStats;
use super::verify::VerifyReport;
use super::writer::Expect;
use crate::record::{Batch, Record};
use crate::segment::Segment;
use crate::sync::Pending;
use crate::{Error, ErrorKind, Offset, Result, Timestamp};
use std::path::Path;
use std::sync::Arc;

/// One log: records with consecutive offsets, in a directory of its own.
///
/// Handles are cheap to clone, and all clones are the same partition. It is closed by [`Partition::close`], or
/// when the last handle is dropped, which syncs what is written but cannot report a failure.
///
/// ```
/// use annals::{Partition, Record};
/// let log = Partition::options().open_in_memory()?;
/// let appended = log.append([Record::new("a"), Record::new("b").key("k")]).wait()?;
/// log.append_if(appended.next_offset(), [Record::new("c")]).wait()?;
/// let mut values = Vec::new();
/// for records in log.read(appended.base_offset()) {
///     for record in &records? {
///         values.push(record.value().to_vec());
///     }
/// }
/// assert_eq!(values, [b"a", b"b", b"c"]);
/// log.close()?;
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Partition {
    handle: Arc<Handle>,
    access: Access,
}

/// What may be done by a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Everything.
    Full,
    /// Nothing that changes the log: it is kept by the crate itself.
    Read,
}

/// Closes the partition when the last clone is dropped.
#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure; who wants to know calls `close`.
        drop(self.0.close());
    }
}

impl Partition {
    /// The options to open a partition with.
    #[must_use]
    pub fn options() -> PartitionOptions {
        PartitionOptions::default()
    }

    /// Opens the partition in the directory at `path` with the default options. Blocks.
    ///
    /// # Errors
    /// As [`PartitionOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path)
    }

    pub(super) fn from_shared(shared: Arc<Shared>) -> Self {
        Self { handle: Arc::new(Handle(shared)), access: Access::Full }
    }

    pub(super) fn is_only_handle(&self) -> bool {
        Arc::strong_count(&self.handle) == 1
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.handle.0
    }

    /// The same partition for whoever may only read it.
    pub(crate) fn read_only(self) -> Self {
        Self { access: Access::Read, ..self }
    }

    /// The partition, to be changed.
    pub(super) fn writable(&self) -> Result<&Arc<Shared>> {
        match self.access {
            Access::Full => Ok(self.shared()),
            Access::Read => {
                let message = format!("{}: an internal topic is kept by the broker", self.shared().place());
                Err(Error::new(ErrorKind::ReadOnly, message))
            }
        }
    }

    /// Appends records as one atomic batch, at the partition's durability.
    ///
    /// The records are stored, and visible to readers at [`ReadLevel::Written`], when this returns; the
    /// returned work is done when they are as durable as was asked for.
    ///
    /// # Errors
    /// Through the returned work:
    /// - `InvalidInput`: there is no record, or two are more than an `i64` of milliseconds apart.
    /// - `TooLarge`: the batch is above `batch_bytes_max`, a record has more than 65,535 headers, or there are more
    ///   segments than a manifest of 16 MiB can list. `OutOfRange`: the log has reached the largest offset.
    /// - `NoSpace`: the disk or the cap is full. Nothing was stored; append again once there is room.
    /// - `Poisoned`: an earlier write or sync failed; see [`Partition::reopen`]. `Closed`.
    /// - `ReadOnly`: it is a partition of an internal topic, which the broker keeps.
    /// - `Io`: this write or its sync failed. Whether the records are stored is unknown.
    /// - `Conflict`: they were stored, and taken back before they were waited for: by [`Partition::truncate`],
    ///   or by a [`Partition::reopen`] that did not find them.
    #[must_use = "the work goes on, but nobody will hear whether it succeeded"]
    pub fn append<'r>(&self, records: impl IntoIterator<Item = Record<'r>>) -> Pending<Appended> {
        self.append_with(self.shared().policy.durability(), records)
    }

    /// The same, waiting for `level`.
    #[must_use = "the work goes on, but nobody will hear whether it succeeded"]
    pub fn append_with<'r>(
        &self,
        level: Durability,
        records: impl IntoIterator<Item = Record<'r>>,
    ) -> Pending<Appended> {
        let appended = |shared: &Arc<Shared>| shared.append_records(records, Expect::Anything, level);
        self.writable().and_then(appended).unwrap_or_else(Pending::failed)
    }

    /// Appends records as one atomic batch if the log ends at `expected`.
    ///
    /// That becomes the offset of the first of them.
    ///
    /// # Errors
    /// `Conflict` when the log ends elsewhere; nothing was stored. Else as [`Partition::append`].
    #[must_use = "the work goes on, but nobody will hear whether it succeeded"]
    pub fn append_if<'r>(
        &self,
        expected: Offset,
        records: impl IntoIterator<Item = Record<'r>>,
    ) -> Pending<Appended> {
        let level = self.shared().policy.durability();
        let appended = |shared: &Arc<Shared>| shared.append_records(records, Expect::End(expected), level);
        self.writable().and_then(appended).unwrap_or_else(Pending::failed)
    }

    /// Appends a batch as it is: the way of a replica.
    ///
    /// Its offsets, timestamps and leader epoch stay.
    ///
    /// # Errors
    /// - `Conflict`: the batch does not begin where the log ends.
    /// - `Fenced`: its leader epoch is lower than the log's.
    /// - else as [`Partition::append`].
    #[must_use = "the work goes on, but nobody will hear whether it succeeded"]
    pub fn append_batch(&self, batch: &Batch) -> Pending<Appended> {
        let level = self.shared().policy.durability();
        let mut batch = batch.clone();
        let appended = |shared: &Arc<Shared>| shared.append_verbatim(&mut batch, level);
        self.writable().and_then(appended).unwrap_or_else(Pending::failed)
    }

    /// Appends a batch that was built elsewhere and lacks nothing but its place, which it is given.
    ///
    /// # Errors
    /// As [`Partition::append`], at once for the store, through [`StoredBatch::remaining`] for the sync.
    pub(crate) fn append_prepared(&self, batch: &mut Batch, level: Durability) -> Result<StoredBatch> {
        self.writable()?.append_prepared(batch, level)
    }

    /// Appends records as one batch, for others who wait for it, by a caller that holds locks: nobody is woken before
    /// [`Partition::wake_waiters`] is called.
    ///
    /// # Errors
    /// As [`Partition::append_prepared`].
    pub(crate) fn append_quietly<'r>(
        &self,
        level: Durability,
        records: impl IntoIterator<Item = Record<'r>>,
    ) -> Result<StoredBatch> {
        self.writable()?.append_quietly(records, level)
    }

    /// Wakes whoever waits for what was appended quietly. To be called without any lock.
    pub(crate) fn wake_waiters(&self) {
        self.shared().wake_waiters();
    }

    /// Work that is done when all below `end` is synced.
    ///
    /// # Errors
    /// `OutOfRange` when the log does not reach `end`; then through the work as [`Partition::flush`].
    pub(crate) fn durable_through(&self, end: Offset) -> Result<Pending<()>> {
        // In this order: a cut in between lowers the end.
        let goal = self.shared().commit.goal(end.get());
        let log_end = self.log_end_offset();
        if end > log_end {
            let place = self.shared().place();
            let message = format!("{place}: the log ends at {log_end}, which is below {end}");
            return Err(Error::new(ErrorKind::OutOfRange, message));
        }
        Ok(Pending::until(self.shared().clone(), goal, ()))
    }

    /// Reads from the record at `from`, or the next one there is.
    ///
    /// It goes to the end of what the read level allows.
    ///
    /// The iterator's items are runs of verified records. `from` may be the log end, where there is nothing
    /// yet; below the log start and beyond the end is `OutOfRange`.
    #[must_use]
    pub fn read(&self, from: Offset) -> Reader {
        Reader::new(self.shared().clone(), self.shared().policy.read_level(), from)
    }

    /// Work that is done when all that is written now is synced.
    ///
    /// # Errors
    /// `Poisoned` or `Io` when a sync failed; `Conflict` when some of it was taken back meanwhile; `Closed`.
    #[must_use = "the work goes on, but nobody will hear whether it succeeded"]
    pub fn flush(&self) -> Pending<()> {
        Pending::until(self.shared().clone(), self.shared().written_goal(), ())
    }

    /// The first record at or after `time` that the read level allows to see.
    ///
    /// It goes by the records' timestamps; ties give the earliest offset. Cold segments are read: blocks.
    ///
    /// # Errors
    /// `Corrupt` or `Io` when a segment cannot be read.
    #[doc(alias = "offsetsForTimes")]
    pub fn offset_for_time(&self, time: Timestamp) -> Result<Option<TimedOffset>> {
        self.offset_for_time_at(self.shared().policy.read_level(), time)
    }

    /// The same for a reader at `level`.
    pub(crate) fn offset_for_time_at(
        &self,
        level: ReadLevel,
        time: Timestamp,
    ) -> Result<Option<TimedOffset>> {
        self.shared().offset_for_time(time, level)
    }

    /// Does what is due now: syncs, segment changes, retention. Needed only with [`Maintenance::Manual`].
    ///
    /// # Errors
    /// The first of the work that was due; the rest is done all the same. `Poisoned`, `Closed`.
    ///
    /// [`Maintenance::Manual`]: crate::Maintenance::Manual
    pub fn maintain(&self) -> Result<()> {
        self.shared().maintain()
    }

    /// Takes writes again after a failed write or sync has poisoned the partition.
    ///
    /// It is recovered from the disk: what was acknowledged as durable is there; what was only written may be gone.
    /// Does nothing to a partition that is well. Blocks.
    ///
    /// ```
    /// use annals::io::{Failure, Fault, Op, SimDisk};
    /// use annals::{ErrorKind, Maintenance, Partition, Record};
    ///
    /// let disk = SimDisk::new();
    /// let log = Partition::options().maintenance(Maintenance::Manual).open_in(disk.root())?;
    /// log.append([Record::new("kept")]).wait()?;
    ///
    /// disk.inject(Fault::new(Failure::Io).on(Op::Sync));
    /// let failed = log.append([Record::new("unknown")]).wait().unwrap_err();
    /// assert_eq!(failed.kind(), ErrorKind::Io); // it may be stored, or not
    /// let refused = log.append([Record::new("later")]).wait().unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::Poisoned);
    ///
    /// log.reopen()?; // the disk is well again
    /// assert!(log.log_end_offset().get() >= 1, "what was acknowledged is there");
    /// log.append([Record::new("later")]).wait()?;
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PartitionOptions::open`]; `Closed`.
    pub fn reopen(&self) -> Result<()> {
        self.shared().reopen()
    }

    /// Syncs all that is written and releases the lock, for all clones. Blocks.
    ///
    /// What was reserved is given back. Later calls that would change it say `Closed`; what it held may still be
    /// read, without the lock.
    ///
    /// # Errors
    /// `Poisoned` or `Io` when not all that was written could be synced. It is closed nevertheless.
    /// `ReadOnly` of an internal topic, which the broker closes.
    pub fn close(&self) -> Result<()> {
        self.writable()?.close()
    }

    /// Reads all of it and compares it with its checksums. Changes nothing. Blocks.
    ///
    /// It is compared with what the manifest says, too. What is deleted meanwhile may be left out.
    ///
    /// # Errors
    /// `Io` when a read fails. Damage is not an error: the report lists it.
    pub fn verify(&self) -> Result<VerifyReport> {
        self.shared().verify()
    }

    /// The first offset that can be read.
    #[must_use]
    pub fn log_start_offset(&self) -> Offset {
        self.shared().view().log_start
    }

    /// The end (exclusive) of what is synced.
    #[must_use]
    pub fn durable_offset(&self) -> Offset {
        self.shared().end_at(ReadLevel::Durable)
    }

    /// The end (exclusive) of what is written: the offset of the next record.
    #[must_use]
    pub fn log_end_offset(&self) -> Offset {
        self.shared().log_end()
    }

    /// Its segments in the order of the log.
    ///
    /// The last is the one that is appended to.
    #[must_use]
    pub fn segments(&self) -> Vec<Arc<Segment>> {
        self.shared().view().segments.clone()
    }

    /// Sizes and pointers as they are now.
    #[must_use]
    pub fn stats(&self) -> PartitionStats {
        self.shared().stats()
    }

    /// What opening it, or reopening it last, found and did.
    #[must_use]
    pub fn recovery_report(&self) -> Arc<RecoveryReport> {
        self.shared().report.lock().clone()
    }
}
