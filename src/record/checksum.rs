//! CRC-32 of a batch, in one pass or joined from two.

use super::batch_header::{HEADER_LEN, at};
use crc32fast::Hasher;

/// The checksum of `batch`: over everything behind the field that holds it.
#[inline]
pub(super) fn checksum(batch: &[u8]) -> u32 {
    crc32fast::hash(batch.get(at::CRC32.end..).unwrap_or_default())
}

/// The CRC-32 of any bytes, as zlib reckons it.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// From this length on a batch's records are summed when it is built, outside any lock.
pub(super) const SPLIT_LEN_MIN: usize = 4 << 10;

/// The checksum of all that follows a batch's header, kept to be joined with the header's once that is known.
///
/// A CRC is a remainder of polynomials over GF(2). Bytes that follow multiply what came before by `x` to the
/// power of their bits, which is worked out once here, so that joining is one multiplication.
#[derive(Clone, Copy, Debug)]
pub(super) struct TailSum {
    sum: u32,
    /// `x` to the power of the tail's bits, modulo the CRC's polynomial.
    shift: u32,
}

impl TailSum {
    pub(super) fn of(batch: &[u8]) -> Self {
        let tail = batch.get(HEADER_LEN..).unwrap_or_default();
        let len = u64::try_from(tail.len()).unwrap_or(u64::MAX);
        let mut shift = Hasher::new_with_initial(ONE);
        shift.combine(&Hasher::new_with_initial_len(0, len));
        Self { sum: crc32fast::hash(tail), shift: shift.finalize() }
    }

    /// The checksum of the batch that has this tail and now begins with `head`.
    #[inline]
    pub(super) fn join(self, head: &[u8; HEADER_LEN]) -> u32 {
        multiply(self.shift, checksum(head)) ^ self.sum
    }
}

/// CRC-32's polynomial without its highest power; the lowest power is in the highest bit.
pub(super) const POLYNOMIAL: u32 = 0xedb8_8320;

/// The polynomial 1.
const ONE: u32 = 1 << 31;

/// `polynomial * x`, modulo the CRC's polynomial.
#[inline]
pub(super) const fn times_x(polynomial: u32) -> u32 {
    polynomial >> 1 ^ (POLYNOMIAL & (polynomial & 1).wrapping_neg())
}

/// `a * b`, modulo the CRC's polynomial: the sum of `b * x^n` for each power `n` in `a`.
#[inline]
const fn multiply(mut a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    while a != 0 {
        product ^= b & (a >> 31).wrapping_neg();
        a <<= 1;
        b = times_x(b);
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_joined_checksum_is_that_of_one_pass() {
        let batch: Vec<u8> =
            (0..70_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
        for len in (HEADER_LEN..300).chain([4_095, 4_096, 4_097, 65_536, 70_000]) {
            let batch = &batch[..len];
            let head = batch.first_chunk().unwrap();
            assert_eq!(TailSum::of(batch).join(head), checksum(batch), "{len} bytes");
        }
    }
}
