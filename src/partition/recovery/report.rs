//! What recovery found and did, for the one who opens a partition.

use crate::{Offset, Position};
use std::path::PathBuf;
use std::time::Duration;

/// What opening a partition found and did. See [`crate::Partition::recovery_report`].
///
/// ```
/// use annals::io::SimDisk;
/// use annals::{Durability, Maintenance, Partition, Record, RecoveryOutcome};
///
/// let disk = SimDisk::new();
/// let open = |disk: &SimDisk| Partition::options().maintenance(Maintenance::Manual).open_in(disk.root());
/// let log = open(&disk)?;
/// log.append([Record::new("synced")]).wait()?;
/// log.append_with(Durability::Written, [Record::new("only written")]).wait()?;
///
/// let found = disk.kill(); // the process dies here; the page cache does not
/// let log = open(&found)?;
/// let report = log.recovery_report();
/// assert_eq!(report.outcome, RecoveryOutcome::Extended);
/// assert_eq!((report.copied_records, report.log_end_offset.get()), (1, 2));
/// assert!(report.torn.is_empty() && report.lost.is_empty());
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// How the partition was found.
    pub outcome: RecoveryOutcome,
    /// The rows of the [recovery table](mod@crate::durability#recovery) that were applied, in its order. None of a
    /// partition that was created.
    pub rows: Vec<u8>,
    /// Where the log ends now (exclusive).
    pub log_end_offset: Offset,
    /// Bytes of log that were read to find the end.
    pub scanned_bytes: u64,
    /// Records that were not proved to be synced, and were copied and synced now.
    pub copied_records: u64,
    /// Bytes behind the end that were not whole batches: cut off and kept aside.
    pub torn: Vec<TornBytes>,
    /// Offsets whose records are gone for good.
    pub lost: Vec<std::ops::Range<Offset>>,
    /// Files that an interrupted change had left and that were removed.
    pub removed: Vec<PathBuf>,
    /// What was wrong with one of the manifest's two slots; the other served.
    pub manifest_damage: String,
    /// How long it took.
    pub elapsed: Duration,
}

/// How a partition was found when it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecoveryOutcome {
    /// It did not exist and was created.
    Created,
    /// All that is there was proved to be synced. No record was copied or cut off.
    #[default]
    Clean,
    /// Good records followed that were not proved to be synced.
    ///
    /// They were copied, synced and kept.
    Extended,
    /// The last write was cut off: what was torn lies aside.
    Torn,
    /// Damage was met, and what was good was kept, as the options asked.
    ///
    /// It was brought into new segments.
    Salvaged,
}

/// Bytes that recovery cut off, or would.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TornBytes {
    /// The file they were in.
    pub segment: PathBuf,
    /// Where in it they began.
    pub position: Position,
    /// How many there were.
    pub len: u64,
    /// The file they were put aside in; none when nothing was moved, as in a [`VerifyReport`](crate::VerifyReport).
    pub kept_in: Option<PathBuf>,
}
