//! What must hold for any bytes that are read as a segment's header, tail mark or index, and for any file
//! name. For the fuzzers; never part of a release.

use super::index::{EncodedIndex, Index, IndexEntry, IndexOwner, IndexWriter};
use super::{
    FileName, Frame, INDEX_INTERVAL_BYTES, SEGMENT_HEADER_LEN, SegmentHeader, TAIL_MARK_LEN, TailMark,
};
use crate::record::{Place, check};
use crate::{Offset, Position, Timestamp};

const HEADER: Frame = Frame { magic: *b"ANNALSEG", version: 1 };
const OFFSETS: Frame = Frame { magic: *b"ANNALIDX", version: 1 };
const TIMES: Frame = Frame { magic: *b"ANNALTIX", version: 1 };

/// Bytes of an index file before its entries.
const INDEX_HEAD_LEN: usize = 56;

/// Frames `bytes` anew: magic, version and checksum are put right.
fn framed(frame: Frame, bytes: &[u8]) -> Vec<u8> {
    let mut framed = frame.begin(bytes.len());
    framed.extend_from_slice(bytes.get(framed.len()..).unwrap_or_default());
    frame.seal(&mut framed);
    framed
}

/// Reads the bytes as a segment header, zeros behind them; the first byte says whether the frame is put right
/// first. True when it was good; then writing it gives the same bytes.
///
/// # Panics
/// When it does not.
pub fn segment_header(bytes: &[u8]) -> bool {
    let Some((&mode, bytes)) = bytes.split_first() else { return false };
    let mut block = bytes.to_vec();
    block.resize(usize::try_from(SEGMENT_HEADER_LEN).expect("4096 fits"), 0);
    let block = if mode & 1 == 1 { framed(HEADER, &block) } else { block };
    let Ok(header) = SegmentHeader::decode(&block) else { return false };
    assert_eq!(header.encode()[..], block);
    true
}

/// Reads the bytes as a tail mark, at a place that they name; the first byte says whether checksum and check
/// word are put right first. True when it was good; then writing it gives the same bytes.
///
/// # Panics
/// When it does not.
pub fn tail_mark(bytes: &[u8]) -> bool {
    let Some((&[mode, salt, low, high], bytes)) = bytes.split_first_chunk() else { return false };
    let position = u32::from(u16::from_le_bytes([low, high])) * 8;
    let place = Place { salt: u64::from(salt), position: Position::new(position) };
    let mut bytes = bytes.to_vec();
    if mode & 1 == 1 && bytes.len() >= 40 {
        bytes[4..8].copy_from_slice(&check(place, TAIL_MARK_LEN).to_le_bytes());
        bytes[8..12].copy_from_slice(&TAIL_MARK_LEN.to_le_bytes());
        let crc = crc32fast::hash(&bytes[4..40]);
        bytes[..4].copy_from_slice(&crc.to_le_bytes());
    }
    let Ok(mark) = TailMark::decode(&bytes, place) else { return false };
    assert!(mark.synced <= place.position, "a mark lies behind what it speaks of");
    assert_eq!(mark.encode(place)[..], bytes[..40]);
    true
}

/// Reads the bytes as the two files of an index; the first byte says whether their frames and owners are put
/// right first. True when they were good; then writing them gives the same bytes, and each look-up what a scan
/// of the entries gives.
///
/// # Panics
/// When it does not.
pub fn index(bytes: &[u8]) -> bool {
    let Some((&[mode, cut], bytes)) = bytes.split_first_chunk() else { return false };
    let owner = IndexOwner { salt: 1, sequence: 2, first_offset: Offset::from(3_u32) };
    // The files hold the same entries, of 8 and 16 bytes, behind the same head.
    let count = usize::from(cut).min(bytes.len().saturating_sub(2 * INDEX_HEAD_LEN) / 24);
    let (offsets, times) = bytes.split_at((INDEX_HEAD_LEN + count * 8).min(bytes.len()));
    let (mut offsets, mut times) = (offsets.to_vec(), times.to_vec());
    if mode & 1 == 1 && offsets.len() >= INDEX_HEAD_LEN && times.len() >= INDEX_HEAD_LEN {
        for (place, field) in offsets[16..40].chunks_exact_mut(8).zip([1_u64, 2, 3]) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        offsets[52..56].copy_from_slice(&u32::try_from(count).expect("a byte").to_le_bytes());
        times[16..INDEX_HEAD_LEN].copy_from_slice(&offsets[16..INDEX_HEAD_LEN]);
        times.truncate(INDEX_HEAD_LEN + count * 16);
        for (time, place) in
            times[INDEX_HEAD_LEN..].chunks_exact_mut(16).zip(offsets[INDEX_HEAD_LEN..].chunks_exact(8))
        {
            time[8..].copy_from_slice(place);
        }
        (offsets, times) = (framed(OFFSETS, &offsets), framed(TIMES, &times));
    }
    let encoded = EncodedIndex { offsets, times };
    let Ok((writer, covered)) = encoded.decode(owner, Position::new(u32::MAX)) else { return false };
    let latest = encoded.offsets[40..].first_chunk().copied().map_or(0, i64::from_le_bytes);
    assert_eq!(writer.index().encode(covered, Timestamp::from_millis(latest)), encoded);
    let entries: Vec<IndexEntry> =
        encoded.offsets[INDEX_HEAD_LEN..].chunks_exact(8).map(|entry| entry_of(owner, entry)).collect();
    for entry in &entries {
        for offset in [entry.offset.get().saturating_sub(1), entry.offset.get(), entry.offset.get() + 1] {
            let offset =
                Offset::new(offset.max(owner.first_offset.get())).expect("32 bits above a small number");
            // Before the first entry there is nothing to find, so that a scan begins with it.
            let scanned = entries.iter().rfind(|entry| entry.offset <= offset).or(entries.first());
            assert_eq!(Some(&writer.index().floor(offset)), scanned);
        }
    }
    true
}

fn entry_of(owner: IndexOwner, bytes: &[u8]) -> IndexEntry {
    let number = bytes.first_chunk().copied().map_or(0, u64::from_le_bytes);
    let low = |number: u64| u32::try_from(number & u64::from(u32::MAX)).expect("32 bits");
    let offset =
        owner.first_offset.checked_add(u64::from(low(number))).expect("32 bits above a small number");
    IndexEntry { offset, position: Position::new(low(number >> 32)) }
}

/// Batches of an invented segment: each look-up is compared with a scan over all of them.
const BATCHES_MAX: usize = 128;

/// One batch of an invented segment.
struct Noted {
    place: IndexEntry,
    next_offset: Offset,
    max_timestamp: Timestamp,
}

/// Takes the bytes for a segment's batches (four each: records, length, time) and compares each look-up in their index
/// with a scan over all of them.
///
/// # Panics
/// When a scan that begins where the index says would miss what it looks for.
pub fn index_of_batches(bytes: &[u8]) -> bool {
    let owner = IndexOwner { salt: 1, sequence: 2, first_offset: Offset::from(100_u32) };
    let mut writer = IndexWriter::new(owner);
    let batches = invented(owner, bytes);
    for batch in &batches {
        writer.push(batch.place.offset, batch.place.position, batch.max_timestamp);
    }
    let index = if bytes.first().is_some_and(|byte| byte & 1 == 1) { writer.seal() } else { writer.index() };
    for batch in &batches {
        finds_offset(&index, &batches, batch.place.offset);
        for millis in [-1, 0, 1] {
            let time = Timestamp::from_millis(batch.max_timestamp.as_millis() + millis);
            finds_time(&index, &batches, time);
        }
    }
    !batches.is_empty()
}

fn invented(owner: IndexOwner, bytes: &[u8]) -> Vec<Noted> {
    let (mut offset, mut position) = (owner.first_offset, Position::new(SEGMENT_HEADER_LEN));
    let mut batches = Vec::new();
    for &[records, length, low, high] in bytes.as_chunks::<4>().0.iter().take(BATCHES_MAX) {
        let place = IndexEntry { offset, position };
        offset = offset.checked_add(u64::from(records) + 1).expect("few batches of few records");
        position = position.checked_add((usize::from(length) + 8) * 64).expect("few batches of few bytes");
        let max_timestamp = Timestamp::from_millis(i64::from(i16::from_le_bytes([low, high])));
        batches.push(Noted { place, next_offset: offset, max_timestamp });
    }
    batches
}

/// The scan from where the index says finds the batch without passing more than the interval and one batch.
fn finds_offset(index: &Index, batches: &[Noted], offset: Offset) {
    let holding =
        batches.iter().find(|batch| batch.next_offset > offset).expect("an offset of a batch").place;
    let found = index.floor(offset);
    assert!(batches.iter().any(|batch| batch.place == found), "an entry is a batch");
    assert!(found <= holding, "{found:?} lies behind {holding:?}");
    assert!(
        holding.position.since(found.position) < INDEX_INTERVAL_BYTES,
        "{holding:?} is far from {found:?}"
    );
}

/// No record at or after the time lies before where the index says.
fn finds_time(index: &Index, batches: &[Noted], time: Timestamp) {
    let first = batches.iter().find(|batch| batch.max_timestamp >= time).map(|batch| batch.place);
    match (index.first_candidate(time), first) {
        (Some(found), Some(first)) => assert!(found <= first, "{found:?} lies behind {first:?}"),
        (None, Some(first)) => panic!("nothing at or after {time:?}, and yet there is {first:?}"),
        (Some(_) | None, None) => {}
    }
}

/// Reads the bytes as a file name, or, where the first of them is odd, as the numbers in one. True when the name is
/// ours; then writing what was read gives the same name.
///
/// # Panics
/// When it does not.
pub fn file_name(bytes: &[u8]) -> bool {
    let Some((&mode, rest)) = bytes.split_first() else { return false };
    let name = if mode & 1 == 1 { named(mode, rest) } else { String::from_utf8_lossy(rest).into_owned() };
    let Some(read) = FileName::parse(&name) else { return false };
    assert_eq!(read.to_string(), name);
    true
}

/// A name such as ours, with the number that the bytes hold and the rest of them behind it.
fn named(mode: u8, bytes: &[u8]) -> String {
    let number = bytes.first_chunk().copied().map_or(0, u64::from_le_bytes);
    let rest = String::from_utf8_lossy(bytes.get(8..).unwrap_or_default());
    match mode >> 1 & 3 {
        0 => format!("{number:020}.log{rest}"),
        1 => format!("{number:020}.timeindex{rest}"),
        2 => format!("next-{number}{rest}"),
        _ => format!("torn-{number}-{rest}"),
    }
}
