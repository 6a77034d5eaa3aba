//! Whether bytes are one bit away from a good batch.
//!
//! A torn write does not look like that; a decayed bit does. A CRC is linear: flipping one bit of the message
//! changes the checksum by a pattern that depends on the bit's distance from the end alone, so that one walk
//! over the distances finds the only bit that explains a wrong checksum.

use super::batch_header::{HEADER_LEN, at};
use super::check::{Place, check};
use super::checksum::{POLYNOMIAL, checksum, times_x};
use super::verify::{read_batch, word};

/// The one bit (bit `n % 8` of byte `n / 8`, the lowest is 0) whose flip makes the bytes at the start of
/// `bytes`, read at `place`, a good batch. None when they are one already, or when no single flip does.
pub(crate) fn one_bit_from_good(bytes: &[u8], place: Place, batch_len_max: u32) -> Option<u64> {
    let (found, length) = (word(bytes, at::CHECK)?, word(bytes, at::LENGTH)?);
    let expected = check(place, length);
    if found == expected {
        let batch = bytes.get(..whole(length, batch_len_max)?)?;
        let bit = bit_of_checksum(batch)?;
        return confirmed(batch, place, batch_len_max, bit);
    }
    let wrong = found ^ expected;
    if wrong.is_power_of_two() {
        let bit = bit_in(at::CHECK.start, wrong.trailing_zeros());
        let confirmed = whole(length, batch_len_max)
            .and_then(|len| bytes.get(..len))
            .and_then(|batch| confirmed(batch, place, batch_len_max, bit));
        if confirmed.is_some() {
            return confirmed;
        }
    }
    (0..u32::BITS).find_map(|index| {
        let length = length ^ (1 << index);
        let batch = bytes.get(..whole(length, batch_len_max)?)?;
        (check(place, length) == found).then_some(())?;
        confirmed(batch, place, batch_len_max, bit_in(at::LENGTH.start, index))
    })
}

/// The length of a whole batch, if it is within the bounds.
fn whole(length: u32, batch_len_max: u32) -> Option<usize> {
    let len = usize::try_from(length).ok()?;
    (len >= HEADER_LEN && length <= batch_len_max).then_some(len)
}

/// The only bit of `batch` whose flip mends its checksum, that of the field which holds it included.
fn bit_of_checksum(batch: &[u8]) -> Option<u64> {
    let wrong = word(batch, at::CRC32)? ^ checksum(batch);
    if wrong == 0 {
        return None;
    }
    if wrong.is_power_of_two() {
        return Some(bit_in(at::CRC32.start, wrong.trailing_zeros()));
    }
    // What the last bit of the message does to the checksum: the polynomial itself. Each bit before it, one
    // power more.
    let mut pattern = POLYNOMIAL;
    for bit in (bit_in(at::CRC32.end, 0)..bit_in(batch.len(), 0)).rev() {
        if pattern == wrong {
            return Some(bit);
        }
        pattern = times_x(pattern);
    }
    None
}

/// The bit, if its flip does make a good batch.
fn confirmed(batch: &[u8], place: Place, batch_len_max: u32, bit: u64) -> Option<u64> {
    let mut mended = batch.to_vec();
    let byte = mended.get_mut(usize::try_from(bit / 8).ok()?)?;
    *byte ^= 1 << (bit % 8);
    read_batch(&mended, place, batch_len_max).is_ok().then_some(bit)
}

/// Bit `index`, counted from the byte `at` on.
fn bit_in(at: usize, index: u32) -> u64 {
    let byte = u64::try_from(at).unwrap_or(u64::MAX);
    byte.saturating_mul(8).saturating_add(u64::from(index))
}
