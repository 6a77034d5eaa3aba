//! Whether an open partition can be closed without anybody noticing, and what must be known of it meanwhile.

use super::handle::Partition;
use super::retention::oldest_append_time;
use super::shared::Shared;
use crate::{Result, Timestamp};
use std::sync::Arc;

impl Partition {
    /// Whether the caller's handle is the only one, no reader or waiter is left, and it is well: then nobody
    /// notices when it is closed and opened again.
    pub(crate) fn is_unheld(&self) -> bool {
        self.is_only_handle() && Arc::strong_count(self.shared()) == 1 && !self.shared().is_poisoned()
    }

    /// Ends the work of the disk thread for it, if that is not at it; says whether it has ended.
    pub(crate) fn stop_idle_upkeep(&self) -> bool {
        self.shared().upkeep.stop_if_idle()
    }

    /// Closes it for somebody who holds a lock, and calls [`Partition::wake_closed`] once it is released.
    ///
    /// # Errors
    /// As [`Partition::close`].
    pub(crate) fn close_quietly(&self) -> Result<()> {
        self.shared().close_quietly()
    }

    /// Has whoever waits for it hear that it is closed. Calls wakers.
    pub(crate) fn wake_closed(&self) {
        self.shared().wake_closed();
    }

    /// How often it has begun anew, by a truncation or a reopen.
    pub(crate) fn rewinds(&self) -> u64 {
        self.shared().view().rewinds
    }

    /// Whether it was closed, or is about to be.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared().is_closed()
    }

    /// Blocks until whoever is closing it is done. Calls no wakers.
    pub(crate) fn wait_until_closed(&self) {
        self.shared().wait_until_closed();
    }

    /// When the first segment that age counts from was last appended to; none where there are no records.
    pub(crate) fn oldest_append_time(&self) -> Option<Timestamp> {
        let shared = self.shared();
        oldest_append_time(&shared.segment_facts(), shared.retention_now())
    }

    /// When the oldest segment that can be deleted was last appended to; none where there is none.
    pub(crate) fn oldest_sealed(&self) -> Option<Timestamp> {
        self.shared().oldest_sealed()
    }

    /// Deletes the oldest segment, unless it is the one that is appended to; says whether it did.
    ///
    /// # Errors
    /// As [`Partition::delete_records`].
    pub(crate) fn shed_oldest(&self) -> Result<bool> {
        self.shared().shed_oldest()
    }

    /// Books the disk that it takes now.
    pub(crate) fn recount(&self) {
        self.shared().recount();
    }

    /// Books the disk that it takes, now that it was closed.
    pub(crate) fn recount_closed(&self) {
        self.shared().recount_closed();
    }

    /// Has readers let go of what was deleted.
    pub(crate) fn let_go(&self) {
        self.shared().let_go();
    }

    /// Goes by these options from now on, as far as they can change while the partition is open.
    pub(crate) fn change_policy(&self, options: &super::PartitionOptions) {
        self.shared().change_policy(options);
    }
}

impl Shared {
    fn is_poisoned(&self) -> bool {
        self.writer.lock().is_poisoned()
    }
}
