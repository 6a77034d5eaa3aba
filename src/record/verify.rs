//! Whether the bytes at a place are the batch that was stored there.

use super::batch_header::{HEADER_LEN, at};
use super::check::{Place, check};
use super::checksum::checksum;
use super::{BatchHeader, Flaw, section};
use crate::sync::{Bug, planted};

/// Bytes that have to be there before the check word and the length can be looked at.
const CHECKED_LEN: usize = at::LENGTH.end;

/// The batch at the start of `bytes`, which were read at `place`: its header and all of its bytes.
///
/// Good is: the check word and the bounds of the length, the checksum, each field's bounds, and a records
/// section that holds what the header promises (a compressed one is not opened). Which offset and which
/// epoch belong here, only the caller knows.
pub(crate) fn read_batch(
    bytes: &[u8],
    place: Place,
    batch_len_max: u32,
) -> Result<(BatchHeader, &[u8]), Flaw> {
    let length = proved_length(bytes, place, batch_len_max)?;
    let batch = bytes.get(..length).ok_or(Flaw::Incomplete { needed: length })?;
    let header = verify_batch(batch)?;
    Ok((header, batch))
}

/// Whether a batch, or what is left of one, could begin here: the check word and the bounds of the length.
/// Of places where none does it passes one in four thousand million.
pub(crate) fn looks_like_batch(bytes: &[u8], place: Place, batch_len_max: u32) -> bool {
    proved_length(bytes, place, batch_len_max).is_ok()
}

/// Checksum, fields and records of `batch`, wherever it lies.
pub(super) fn verify_batch(batch: &[u8]) -> Result<BatchHeader, Flaw> {
    let found = word(batch, at::CRC32).ok_or(Flaw::Incomplete { needed: HEADER_LEN })?;
    let expected = checksum(batch);
    if found != expected && !planted(Bug::ReadChecksumIgnored) {
        return Err(Flaw::Checksum { expected, found });
    }
    let header = BatchHeader::decode(batch)?;
    section::verify(batch, &header)?;
    Ok(header)
}

/// The length of the batch at the start of `bytes`, once its check word has proved it.
fn proved_length(bytes: &[u8], place: Place, batch_len_max: u32) -> Result<usize, Flaw> {
    let start = bytes.get(..HEADER_LEN).unwrap_or(bytes);
    if start.iter().all(|&byte| byte == 0) {
        return Err(Flaw::Blank);
    }
    let (Some(found), Some(length)) = (word(bytes, at::CHECK), word(bytes, at::LENGTH)) else {
        return Err(Flaw::Incomplete { needed: HEADER_LEN });
    };
    let expected = check(place, length);
    match usize::try_from(length) {
        Ok(len) if found == expected && len >= HEADER_LEN && length <= batch_len_max => Ok(len),
        _ => Err(Flaw::NotABatch { length, expected, found }),
    }
}

/// The 32-bit word at `range`; none when the bytes end before it does.
pub(super) fn word(bytes: &[u8], range: std::ops::Range<usize>) -> Option<u32> {
    bytes.get(range)?.first_chunk().copied().map(u32::from_le_bytes)
}

const _: () = assert!(CHECKED_LEN == 12, "`Flaw::Incomplete` speaks of 12 bytes");
