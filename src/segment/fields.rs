//! Reading little-endian fields one after the other.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use crate::{Offset, Position, Timestamp, TopicId};

/// What is left of some bytes. Each call takes the next field, or nothing when too few bytes are left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// None also when the number is above the largest offset.
    pub(crate) fn offset(&mut self) -> Option<Offset> {
        self.u64().and_then(Offset::new)
    }

    pub(crate) fn position(&mut self) -> Option<Position> {
        self.u32().map(Position::new)
    }

    pub(crate) fn timestamp(&mut self) -> Option<Timestamp> {
        self.i64().map(Timestamp::from_millis)
    }

    pub(crate) fn topic(&mut self) -> Option<TopicId> {
        self.array().map(TopicId::from_bytes)
    }

    /// So many bytes as they are.
    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(field)
    }

    /// The bytes that no call has taken yet.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}
