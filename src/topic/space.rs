//! The disk that a broker takes, and the cap on it.
//!
//! ```text
//!     Account ◀── Booking of each partition, open, at rest or refused
//!             ◀── Booking of the catalog
//! ```
//!
//! A booking outlives its partition's being open: what lies on the disk counts, whoever uses it.

use crate::partition::{Account, Booking, Books, new_partition_bytes};
use crate::sync::Mutex;
use crate::{Error, ErrorKind, Result, TopicId};
use std::collections::HashMap;
use std::sync::Arc;

/// Most bytes of disk that the directory of the broker and its lock file take.
const ROOT_BYTES: u64 = 2 * 4096;

/// What all partitions of a broker have booked.
#[derive(Debug)]
pub(crate) struct Space {
    account: Arc<Account>,
    catalog: Arc<Booking>,
    partitions: Mutex<HashMap<(TopicId, u32), Arc<Booking>>>,
}

impl Space {
    /// Space of at most `cap` bytes.
    pub(crate) fn new(cap: u64) -> Self {
        let account = Account::new(cap);
        Self { catalog: Booking::new(&account), partitions: Mutex::default(), account }
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Where a partition books.
    pub(super) fn books(&self, owner: (TopicId, u32)) -> Books {
        if self.account.is_capped() { Books::Shared(self.booking(owner)) } else { Books::Own }
    }

    /// The booking of a partition: a new one, of nothing, if it has none yet.
    fn booking(&self, owner: (TopicId, u32)) -> Arc<Booking> {
        self.partitions.lock().entry(owner).or_insert_with(|| Booking::new(&self.account)).clone()
    }

    /// Books what a partition takes that cannot be opened.
    pub(super) fn set(&self, owner: (TopicId, u32), bytes: u64) {
        if self.account.is_capped() {
            self.booking(owner).set(bytes);
        }
    }

    /// Books what a new partition will take.
    ///
    /// # Errors
    /// `NoSpace` when no room can be made for it.
    pub(super) fn book_new(&self, owner: (TopicId, u32)) -> Result<()> {
        if !self.account.is_capped() {
            return Ok(());
        }
        let booking = self.booking(owner);
        self.make_room(&booking, new_partition_bytes()).inspect_err(|_| self.forget(owner))
    }

    /// Ends the booking of a partition whose files are removed. Who still has them open goes on holding it.
    pub(super) fn forget(&self, owner: (TopicId, u32)) {
        self.partitions.lock().remove(&owner);
    }

    /// Books a catalog of so many bytes of disk, its successor included, before it is written.
    ///
    /// # Errors
    /// `NoSpace` when it would be longer and no room can be made for it.
    pub(crate) fn book_catalog(&self, bytes: u64) -> Result<()> {
        let bytes = bytes.saturating_add(ROOT_BYTES);
        if !self.account.is_capped() || bytes <= self.catalog.bytes() {
            return Ok(());
        }
        self.make_room(&self.catalog, bytes)
    }

    /// Books a catalog that is there already.
    pub(crate) fn set_catalog(&self, bytes: u64) {
        self.catalog.set(bytes.saturating_add(ROOT_BYTES));
    }

    fn make_room(&self, booking: &Booking, bytes: u64) -> Result<()> {
        if self.account.make_room(booking, &|| booking.cover(bytes)) {
            return Ok(());
        }
        let (taken, cap) = (self.account.booked(), self.account.cap());
        let message = format!("{bytes} bytes were needed, {taken} are taken, and disk_bytes_max is {cap}");
        Err(Error::new(ErrorKind::NoSpace, message))
    }
}
