//! The handle that users hold.

use super::backend::Backend;
use super::core::Core;
use super::follower::BrokerFollower;
use super::options::BrokerOptions;
use super::report::BrokerReport;
use super::stats::BrokerStats;
use crate::{Result, Topic, TopicOptions};
use std::path::Path;
use std::sync::Arc;

/// A directory of topics, opened for writing by this process alone.
///
/// Handles are cheap to clone, and all clones are the same broker. It is closed by [`Broker::close`], or when
/// the last handle is dropped, which syncs what is written but cannot report a failure. Topics and partitions
/// do not keep it open.
///
/// One thread does the work in the background, whatever the number of partitions; a second one, for what goes by
/// the clock, is started with the first producer or member of a group. A partition that nobody
/// holds is put to rest after half a minute: it takes no file, no map and next to no memory until it is asked
/// for again.
///
/// ```
/// use annals::{Broker, Record, TopicOptions};
/// # let data = std::env::temp_dir().join(format!("annals-doc-broker-{}", std::process::id()));
/// let broker = Broker::open(&data)?;
/// let orders = broker.ensure_topic("orders", TopicOptions::new().partitions(3))?;
/// orders.partition(0)?.append([Record::new("a")]).wait()?;
/// broker.close()?;
///
/// let again = Broker::open(&data)?;
/// assert_eq!(again.topic("orders")?.partition(0)?.log_end_offset().get(), 1);
/// # again.close()?;
/// # drop(std::fs::remove_dir_all(&data));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Broker {
    handle: Arc<Handle>,
}

/// Closes the broker when the last clone is dropped.
#[derive(Debug)]
struct Handle(Arc<Core>);

impl Drop for Handle {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure; who wants to know calls `close`.
        drop(self.0.close());
    }
}

impl Broker {
    /// The options to open a broker with.
    #[must_use]
    pub fn options() -> BrokerOptions {
        BrokerOptions::default()
    }

    /// Opens the broker in the directory at `path` with the default options. Blocks.
    ///
    /// # Errors
    /// As [`BrokerOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path)
    }

    /// Opens the directory at `path` for reading beside a broker that may write it.
    ///
    /// No lock is taken and nothing is written. Blocks.
    ///
    /// # Errors
    /// As [`BrokerFollower::open`].
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<BrokerFollower> {
        BrokerFollower::open(path)
    }

    pub(super) fn from_core(core: Arc<Core>) -> Self {
        Self { handle: Arc::new(Handle(core)) }
    }

    /// What handles talk to. It does not keep the broker open.
    pub(crate) fn backend(&self) -> Arc<dyn Backend> {
        self.handle.0.clone()
    }

    fn core(&self) -> &Core {
        self.arc_core()
    }

    pub(super) fn arc_core(&self) -> &Arc<Core> {
        &self.handle.0
    }

    /// Creates a topic. Blocks.
    ///
    /// # Errors
    /// - `AlreadyExists`: there is a topic of this name, or something else where its files are to be.
    /// - `InvalidInput`: the name is not one a topic can have (1 to 249 of `A-Z a-z 0-9 . _ -`, neither `.` nor
    ///   `..`, nor a file of the broker, nor an internal topic), or an option is outside its bounds.
    /// - `NoSpace`: there is no room. Nothing of it is left.
    /// - `TooLarge`: there are too many topics. `Closed`, `Io`.
    /// - `Poisoned`: an earlier change of topics failed, and what the catalog on the disk says is not known:
    ///   open the broker again.
    pub fn create_topic(&self, name: &str, options: TopicOptions) -> Result<Topic> {
        self.core().create_topic(name, &options)
    }

    /// Creates the topic, or changes what the options name of the one there is.
    ///
    /// Adds partitions if need be. What the options do not name stays as it is. Open partitions go by the new
    /// values at once. Blocks.
    ///
    /// # Errors
    /// `InvalidInput` also when fewer partitions are named than there are. Else as [`Broker::create_topic`].
    pub fn ensure_topic(&self, name: &str, options: TopicOptions) -> Result<Topic> {
        self.core().ensure_topic(name, &options)
    }

    /// The topic of this name.
    ///
    /// # Errors
    /// `NotFound` when there is none; `InvalidInput` when the name is not a valid one; `Closed`.
    pub fn topic(&self, name: &str) -> Result<Topic> {
        self.core().topic(name)
    }

    /// All topics, in the order of their names; none once the broker is closed.
    #[must_use]
    pub fn topics(&self) -> Vec<Topic> {
        if self.core().usable().is_ok() { self.core().topics() } else { Vec::new() }
    }

    /// Deletes a topic with all its records. Its handles say `NotFound` from then on, those of its partitions
    /// `Closed`; records that were read stay valid, and disk space is held until the last handle and reader is
    /// dropped. A new topic of the same name has nothing of it. Blocks.
    ///
    /// # Errors
    /// - `NotFound`: there is no such topic. `InvalidInput`: the name is not a valid one, or it is internal.
    /// - `Closed`. `Poisoned` as for [`Broker::create_topic`].
    /// - Any other: it is gone if [`Broker::topic`] says so; what could not be removed of its files is removed
    ///   when the broker is opened the next time, or before a topic of this name is created.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        self.core().delete_topic(name)
    }

    /// Does all that is due now. Needed only with [`Maintenance::Manual`].
    ///
    /// - Of partitions: syncs, segment changes, retention. Those that nobody has held for half a minute rest.
    /// - Of committed offsets: those that have expired go, and their log begins anew where it has become long.
    /// - With [`Maintenance::Manual`] also what goes by the clock: batches whose linger is over, commits that wait
    ///   for their data, members of groups that have been away for too long.
    ///
    /// # Errors
    /// `Closed` when the broker was. Else the first error of the partitions, in the order of their topics, or that of
    /// the committed offsets; the rest was done all the same. What a producer's batch fails with, its receipts say.
    ///
    /// [`Maintenance::Manual`]: crate::Maintenance::Manual
    pub fn maintain(&self) -> Result<()> {
        self.core().maintain()
    }

    /// Sizes and pointers of all partitions as they are now.
    #[must_use]
    pub fn stats(&self) -> BrokerStats {
        self.core().stats()
    }

    /// What opening the broker found and did.
    #[must_use]
    pub fn recovery_report(&self) -> Arc<BrokerReport> {
        self.core().report.clone()
    }

    /// Syncs all that is written, closes all partitions and releases the lock, for all clones. Later calls
    /// say `Closed`; what handles of partitions held may still be read, without the lock. Blocks.
    ///
    /// # Errors
    /// The first of those of closing the partitions. All are closed nevertheless.
    pub fn close(&self) -> Result<()> {
        self.core().close()
    }
}
