//! What must hold for any bytes that are read as batches. For the fuzzers; never part of a release.

use super::batch_header::at;
use super::checksum::checksum;
use super::verify::word;
use super::{BATCH_ALIGN, BatchHeader, HEADER_LEN, Place, Stamp, Times, Verified};
use super::{check, one_bit_from_good, read_batch, verify_chunk};
use crate::{Batch, BatchLimits, Header, Offset, OwnedRecord, Position, Record, RecordRef, Timestamp};

const LEN_MAX: u32 = 64 * 1024;

/// Where the bytes are said to lie.
const PLACE: Place = Place { salt: 0x5eed, position: Position::new(4096) };

/// Reads the bytes as a run of batches. The first byte says whether checks and checksums are put right first,
/// without which hardly any input would get past them.
///
/// True when a batch was good; then it must come back the same by every way there is.
///
/// # Panics
/// When it does not.
pub fn batches(bytes: &[u8]) -> bool {
    let Some((&mode, bytes)) = bytes.split_first() else { return false };
    let mut chunk = bytes.to_vec();
    if mode & 1 == 1 {
        mend(&mut chunk);
    }
    let expected =
        word(&chunk, at::BASE_OFFSET.start..at::BASE_OFFSET.start + 4).map_or(Offset::ZERO, u64_offset);
    let Ok(verified) = verify_chunk(chunk.clone(), PLACE, expected, Offset::ZERO..Offset::MAX, LEN_MAX)
    else {
        return false;
    };
    reads_alike(&chunk, expected, &verified);
    stores_alike(&chunk);
    encodes_alike(&verified);
    finds_the_flipped_bit(&chunk, usize::from(mode >> 1));
    true
}

fn u64_offset(low: u32) -> Offset {
    Offset::from(low)
}

/// Puts length bounds, check words and checksums right, one batch after the other.
fn mend(chunk: &mut [u8]) {
    let mut start = 0;
    while let Some(rest) = chunk.get_mut(start..).filter(|rest| rest.len() >= HEADER_LEN) {
        let length = word(rest, at::LENGTH).and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        let length = length.clamp(HEADER_LEN, rest.len());
        let place = PLACE.checked_add(start).expect("a chunk is small");
        let word = u32::try_from(length).expect("a chunk is small");
        rest[at::LENGTH].copy_from_slice(&word.to_le_bytes());
        rest[at::CHECK].copy_from_slice(&check(place, word).to_le_bytes());
        let crc = checksum(&rest[..length]);
        rest[at::CRC32].copy_from_slice(&crc.to_le_bytes());
        start += length.next_multiple_of(BATCH_ALIGN);
    }
}

/// A second reading, from any offset, shows the same records; and what is said about them is true.
fn reads_alike(chunk: &[u8], expected: Offset, verified: &Verified) {
    let records = &verified.records;
    assert_eq!(records.iter().count(), records.len());
    assert!(verified.consumed.is_multiple_of(BATCH_ALIGN));
    let mut previous = None;
    for record in records {
        assert!(previous < Some(record.offset()), "offsets grow");
        assert!(record.offset() >= expected && record.offset() < verified.next_offset);
        previous = Some(record.offset());
    }
    for (index, first) in records.iter().enumerate().step_by(1 + records.len() / 4) {
        let again = verify_chunk(chunk.to_vec(), PLACE, expected, first.offset()..Offset::MAX, LEN_MAX)
            .expect("it was good");
        assert_eq!(again.records.base_offset(), first.offset());
        assert_eq!(again.next_offset, verified.next_offset);
        assert!(again.records.iter().map(facts).eq(records.iter().skip(index).map(facts)));
    }
    let owned: Vec<OwnedRecord> = records.clone().into_iter().collect();
    assert!(owned.iter().map(|record| facts(record.as_record_ref())).eq(records.iter().map(facts)));
}

/// A batch that is taken out and stored again in the same place is the same to the last bit.
fn stores_alike(chunk: &[u8]) {
    let (header, batch) = read_batch(chunk, PLACE, LEN_MAX).expect("the first batch was good");
    let limits = BatchLimits::new(LEN_MAX).expect("within the bounds");
    let mut copy = Batch::from_bytes(batch, limits).expect("a good batch is taken verbatim");
    let BatchHeader { synced, base_offset, leader_epoch, .. } = header;
    let stamp = Stamp {
        salt: PLACE.salt,
        position: PLACE.position,
        synced,
        base_offset,
        leader_epoch,
        times: Times::AsGiven,
    };
    assert_eq!(copy.stamp(&stamp), batch);
}

/// Records that are encoded anew read like those they came from.
fn encodes_alike(verified: &Verified) {
    let limits = BatchLimits::default();
    let records = verified.records.iter().map(Record::from);
    // Only a span of time that no batch can hold, or no record at all, is refused.
    let Ok(batch) = Batch::from_records(records, Timestamp::from_millis(0), limits) else { return };
    let again = batch.records().expect("what was just built is good");
    assert!(again.iter().map(content).eq(verified.records.iter().map(content)));
}

/// In a good batch with one bit flipped, that bit is found.
fn finds_the_flipped_bit(chunk: &[u8], choice: usize) {
    let (_, batch) = read_batch(chunk, PLACE, LEN_MAX).expect("the first batch was good");
    assert_eq!(one_bit_from_good(batch, PLACE, LEN_MAX), None, "it is good already");
    let bit = choice * 7919 % (batch.len() * 8);
    let mut flipped = batch.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    assert!(read_batch(&flipped, PLACE, LEN_MAX).is_err(), "one flipped bit is always noticed");
    assert_eq!(one_bit_from_good(&flipped, PLACE, LEN_MAX), u64::try_from(bit).ok());
}

type Content<'a> = (Timestamp, Option<&'a [u8]>, Option<&'a [u8]>, Vec<Header<'a>>);

/// What the user gave.
fn content(record: RecordRef<'_>) -> Content<'_> {
    let value = (!record.is_tombstone()).then(|| record.value());
    (record.timestamp(), record.key(), value, record.headers().collect())
}

/// That, and what the log added.
fn facts(record: RecordRef<'_>) -> (Offset, u32, Content<'_>) {
    (record.offset(), record.leader_epoch(), content(record))
}
