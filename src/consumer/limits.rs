//! How much one poll returns, and how the partitions share it.

use crate::{Error, ErrorKind, Result};

/// The limits of a consumer's polls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) records_max: usize,
    pub(super) bytes_max: usize,
    pub(super) partition_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { records_max: 500, bytes_max: 50 << 20, partition_bytes_max: 1 << 20 }
    }
}

impl Limits {
    /// Refuses limits that let nothing through.
    pub(super) fn check(&self) -> Result<()> {
        let named = [
            ("poll_records_max", self.records_max),
            ("poll_bytes_max", self.bytes_max),
            ("partition_bytes_max", self.partition_bytes_max),
        ];
        match named.into_iter().find(|(_, limit)| *limit == 0) {
            Some((name, _)) => {
                Err(Error::new(ErrorKind::InvalidInput, format!("{name} is 0: it must be 1 or more")))
            }
            None => Ok(()),
        }
    }
}

/// What is left of the limits of one poll, or of one partition's share in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

impl Room {
    pub(super) const NONE: Self = Self { records: 0, bytes: 0 };

    pub(super) fn of_poll(limits: &Limits) -> Self {
        Self { records: limits.records_max, bytes: limits.bytes_max }
    }

    /// An equal share for one of the `count` partitions that are still to be asked, of which the poll can have
    /// `bytes_left`.
    pub(super) fn share(&self, count: usize, bytes_left: usize) -> Self {
        let part = |whole: usize| whole.div_ceil(count.max(1));
        Self { records: part(self.records), bytes: part(self.bytes).min(bytes_left) }
    }

    pub(super) fn take(&mut self, records: usize, bytes: usize) {
        self.records = self.records.saturating_sub(records);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(super) const fn is_used_up(&self) -> bool {
        self.records == 0 || self.bytes == 0
    }

    /// Whether `taken` is all there was room for.
    pub(super) const fn is_used_up_by(&self, taken: Self) -> bool {
        taken.records >= self.records || taken.bytes >= self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_partition_leaves_is_shared_by_the_others() {
        let limits = Limits { records_max: 10, bytes_max: 100, partition_bytes_max: 40 };
        let mut room = Room::of_poll(&limits);
        assert_eq!(room.share(3, 40), Room { records: 4, bytes: 34 });
        room.take(1, 2);
        assert_eq!(room.share(2, 40), Room { records: 5, bytes: 40 });
        room.take(5, 30);
        assert_eq!(room.share(1, 40), Room { records: 4, bytes: 40 });
        room.take(4, 1);
        assert!(room.is_used_up());
    }

    #[test]
    fn a_limit_of_nothing_is_refused_by_name() {
        assert!(Limits::default().check().is_ok());
        let error = Limits { bytes_max: 0, ..Limits::default() }.check().expect_err("nothing gets through");
        assert!(error.to_string().contains("poll_bytes_max"), "{error}");
    }
}
