//! What many partitions take of one disk, and the cap on the sum of it.
//!
//! ```text
//!     partition ──Booking::cover──▶ Account: all bookings together stay below the cap
//!               ◀────── no ───────
//!     append ────Account::make_room──▶ Shedder: count anew, let readers go, delete the oldest ──▶ cover again
//! ```
//!
//! A booking is raised before its partition takes space and lowered after it gave some back, so their sum is
//! never less than what lies on the disk.

use crate::sync::{AtomicU64, Mutex, OnceLock, Ordering};
use std::fmt;
use std::sync::{Arc, Weak};

/// Who can give space back, of all the partitions that share an account. Called without any lock held but the
/// account's own for shedding.
pub(crate) trait Shedder: Send + Sync {
    /// Has every open partition book what it takes now.
    fn recount(&self);
    /// Has readers let go of what was deleted.
    fn let_go(&self);
    /// Deletes the oldest segment that the policy of its topic permits to delete; says whether there was one. Calls no
    /// wakers.
    fn shed_oldest(&self) -> bool;
}

/// The bookings of all partitions together.
pub(crate) struct Account {
    cap: u64,
    ledger: Mutex<Ledger>,
    /// Held while space is made: two that shed at once would delete twice as much.
    shedding: Mutex<()>,
    shedder: OnceLock<Weak<dyn Shedder>>,
}

#[derive(Debug, Default)]
struct Ledger {
    /// The sum of all bookings.
    booked: u64,
    /// The booking for which space is being made. No other grows meanwhile, or those who did nothing for it
    /// would take what was given back.
    favoured: Option<u64>,
    /// The number that the next booking gets.
    next_id: u64,
}

/// How much of the account one partition has taken.
#[derive(Debug)]
pub(crate) struct Booking {
    account: Arc<Account>,
    id: u64,
    /// Changed under the account's lock.
    bytes: AtomicU64,
}

impl Account {
    /// An account of which at most `cap` bytes can be booked.
    pub(crate) fn new(cap: u64) -> Arc<Self> {
        let (ledger, shedding) = (Mutex::default(), Mutex::new(()));
        Arc::new(Self { cap, ledger, shedding, shedder: OnceLock::new() })
    }

    /// Says who gives space back.
    pub(crate) fn connect(&self, shedder: Weak<dyn Shedder>) {
        drop(self.shedder.set(shedder));
    }

    /// Most bytes that can be booked.
    pub(crate) fn cap(&self) -> u64 {
        self.cap
    }

    /// Whether there is a cap at all.
    pub(crate) fn is_capped(&self) -> bool {
        self.cap < u64::MAX
    }

    /// Bytes that are booked.
    pub(crate) fn booked(&self) -> u64 {
        self.ledger.lock().booked
    }

    /// Gives space back until `fits`, which covers more by `booking`, succeeds; says whether it did. Blocks;
    /// the caller holds no lock of a partition.
    pub(crate) fn make_room(&self, booking: &Booking, fits: &dyn Fn() -> bool) -> bool {
        let Some(shedder) = self.shedder.get().and_then(Weak::upgrade) else { return fits() };
        let _one_at_a_time = self.shedding.lock();
        self.ledger.lock().favoured = Some(booking.id);
        let made = Self::shed_until(&*shedder, fits);
        self.ledger.lock().favoured = None;
        made
    }

    fn shed_until(shedder: &dyn Shedder, fits: &dyn Fn() -> bool) -> bool {
        if fits() {
            return true;
        }
        shedder.recount();
        if fits() {
            return true;
        }
        loop {
            shedder.let_go();
            shedder.recount();
            if fits() {
                return true;
            }
            if !shedder.shed_oldest() {
                return false;
            }
        }
    }
}

impl Booking {
    /// Of nothing so far.
    pub(crate) fn new(account: &Arc<Account>) -> Arc<Self> {
        let mut ledger = account.ledger.lock();
        let id = ledger.next_id;
        ledger.next_id = id.wrapping_add(1);
        drop(ledger);
        Arc::new(Self { account: account.clone(), id, bytes: AtomicU64::new(0) })
    }

    pub(crate) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Books `bytes` in place of what was booked, if that fits under the cap; says whether it does.
    pub(crate) fn cover(&self, bytes: u64) -> bool {
        let mut ledger = self.account.ledger.lock();
        let before = self.bytes.load(Ordering::Relaxed);
        let sum = ledger.booked.saturating_sub(before).saturating_add(bytes);
        let must_wait = bytes > before && ledger.favoured.is_some_and(|favoured| favoured != self.id);
        if sum > self.account.cap || must_wait {
            return false;
        }
        ledger.booked = sum;
        self.bytes.store(bytes, Ordering::Relaxed);
        true
    }

    /// Books `bytes` in place of what was booked, over the cap if need be: they are taken already.
    pub(crate) fn set(&self, bytes: u64) {
        let mut ledger = self.account.ledger.lock();
        let others = ledger.booked.saturating_sub(self.bytes.swap(bytes, Ordering::Relaxed));
        ledger.booked = others.saturating_add(bytes);
    }

    /// Bytes that are booked.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Booking {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// Where a partition books what it takes.
#[derive(Clone, Debug)]
pub(crate) enum Books {
    /// In an account of its own.
    Own,
    /// With others.
    Shared(Arc<Booking>),
}

impl Books {
    /// Whether others book there too.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Self::Shared(_))
    }

    /// The booking of a partition whose own cap is `cap`.
    pub(crate) fn booking(&self, cap: u64) -> Arc<Booking> {
        match self {
            Self::Own => Booking::new(&Account::new(cap)),
            Self::Shared(booking) => booking.clone(),
        }
    }
}

impl super::PartitionOptions {
    /// Whether there is a cap on the disk that it, or it and others, may take.
    pub(super) fn is_capped(&self) -> bool {
        match &self.books {
            Books::Own => self.disk_bytes_max < u64::MAX,
            Books::Shared(booking) => booking.account().is_capped(),
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("cap", &self.cap)
            .field("booked", &self.booked())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bookings_never_pass_the_cap_together_and_end_with_their_holders() {
        let account = Account::new(100);
        let (one, other) = (Booking::new(&account), Booking::new(&account));
        assert!(one.cover(60) && !other.cover(41) && other.cover(40));
        assert_eq!(account.booked(), 100);
        assert!(!one.cover(61) && one.cover(59) && other.cover(41));
        // What is taken is taken; nobody else takes any more until there is room.
        other.set(70);
        assert_eq!(account.booked(), 129);
        assert!(!one.cover(59) && !one.cover(31) && one.cover(30));
        drop(other);
        assert_eq!((account.booked(), one.bytes()), (30, 30));
    }

    /// Gives back ten bytes of one booking at a time, the readers' share first.
    struct Giver {
        booking: Arc<Booking>,
        deletes: AtomicU64,
        releases: AtomicU64,
    }

    impl Giver {
        fn connected_to(account: &Arc<Account>) -> Arc<Self> {
            let (deletes, releases) = (AtomicU64::new(0), AtomicU64::new(0));
            let giver = Arc::new(Self { booking: Booking::new(account), deletes, releases });
            let shedder: Weak<dyn Shedder> = Arc::<Self>::downgrade(&giver);
            account.connect(shedder);
            giver
        }
    }

    impl Shedder for Giver {
        fn recount(&self) {}

        fn let_go(&self) {
            if self.releases.fetch_add(1, Ordering::Relaxed) == 0 {
                self.booking.set(self.booking.bytes() - 10);
            }
        }

        fn shed_oldest(&self) -> bool {
            self.deletes.fetch_add(1, Ordering::Relaxed);
            let has_more = self.booking.bytes() >= 10;
            self.booking.set(self.booking.bytes().saturating_sub(10));
            has_more
        }
    }

    #[test]
    fn no_more_is_shed_than_is_needed() {
        let account = Account::new(100);
        let giver = Giver::connected_to(&account);
        assert!(giver.booking.cover(100));
        let taker = Booking::new(&account);
        assert!(account.make_room(&taker, &|| taker.cover(5)));
        assert_eq!(giver.deletes.load(Ordering::Relaxed), 0, "the readers' share was enough");
        assert!(account.make_room(&taker, &|| taker.cover(35)));
        assert_eq!((giver.deletes.load(Ordering::Relaxed), account.booked()), (3, 95));
        assert!(!account.make_room(&taker, &|| taker.cover(101)));
        assert_eq!(taker.bytes(), 35);
    }

    #[test]
    fn what_is_given_back_for_one_is_not_taken_by_another() {
        let account = Account::new(100);
        let giver = Giver::connected_to(&account);
        let (taker, thief) = (Booking::new(&account), Booking::new(&account));
        assert!(giver.booking.cover(80) && thief.cover(20));
        let fits = || {
            assert!(!thief.cover(21), "space is being made for another");
            thief.cover(19) && thief.bytes() == 19 && taker.cover(30)
        };
        assert!(account.make_room(&taker, &|| fits() || {
            thief.set(20);
            false
        }));
        assert!(thief.cover(20));
    }
}
