//! Writing into a slice whose length was worked out before.

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a length of our own that is wrong must stop us before the bytes are stored"
)]

use super::varint::{ONE_BYTE_END, TWO_BYTES_END, zigzag};

/// A place in `out` at which integers and bytes are written, one behind the other. Whoever begins knows how
/// long they will be.
#[derive(Debug)]
pub(crate) struct Pen<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Pen<'a> {
    #[inline]
    pub(crate) const fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0 }
    }

    /// How many bytes were written.
    #[inline]
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// # Panics
    /// As all of these do, when `out` is too short: its length was computed wrongly.
    #[inline]
    pub(crate) fn byte(&mut self, byte: u8) {
        self.out[self.at] = byte;
        self.at += 1;
    }

    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        self.out[self.at..end].copy_from_slice(bytes);
        self.at = end;
    }

    /// A 32-bit integer encodes as the same number does in 64 bits.
    #[inline]
    pub(crate) fn varint(&mut self, value: i32) {
        self.varlong(i64::from(value));
    }

    #[inline]
    pub(crate) fn varlong(&mut self, value: i64) {
        let [low, high, ..] = zigzag(value).to_le_bytes();
        match zigzag(value) {
            0..ONE_BYTE_END => self.byte(low),
            ONE_BYTE_END..TWO_BYTES_END => self.bytes(&[low | 0x80, high << 1 | low >> 7]),
            raw => self.long(raw),
        }
    }

    fn long(&mut self, mut rest: u64) {
        while rest >= ONE_BYTE_END {
            self.byte(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        self.byte(rest.to_le_bytes()[0]);
    }
}
