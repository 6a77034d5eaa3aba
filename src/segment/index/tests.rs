use super::*;
use crate::io::{MemoryDisk, write_all};
use crate::segment::{FileName, SEGMENT_HEADER_LEN};
use proptest::prelude::*;

const OWNER: IndexOwner = IndexOwner { salt: 0x5eed, sequence: 7, first_offset: Offset::ZERO };

/// A batch, as the log holds it.
#[derive(Clone, Copy, Debug)]
struct Batch {
    offset: Offset,
    position: Position,
    timestamp: Timestamp,
}

/// A log of batches with these record counts, lengths in units of 8 bytes, and timestamps.
fn log(shapes: &[(u32, u32, i64)]) -> (Vec<Batch>, Position) {
    let mut offset = OWNER.first_offset;
    let mut position = Position::new(SEGMENT_HEADER_LEN);
    let mut batches = Vec::new();
    for (records, length, timestamp) in shapes {
        batches.push(Batch { offset, position, timestamp: Timestamp::from_millis(*timestamp) });
        offset = offset.checked_add(u64::from(*records)).expect("a short log");
        position = Position::new(position.get() + length * 8);
    }
    (batches, position)
}

fn writer_over(batches: &[Batch]) -> IndexWriter {
    let mut writer = IndexWriter::new(OWNER);
    for batch in batches {
        writer.push(batch.offset, batch.position, batch.timestamp);
    }
    writer
}

fn shapes() -> impl Strategy<Value = Vec<(u32, u32, i64)>> {
    let small = (1..20_u32, 8..64_u32, -3..8_i64);
    let large = (1..500_u32, 400..3_000_u32, -3..8_i64);
    let extreme = (1..20_u32, 8..900_u32, prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>()]);
    prop::collection::vec(prop_oneof![4 => small, 2 => large, 1 => extreme], 0..300)
}

/// Where a scan that begins at `from` finds the first batch that `wanted` names.
fn scan(batches: &[Batch], from: Position, wanted: impl Fn(&Batch) -> bool) -> Option<Position> {
    batches
        .iter()
        .filter(|batch| batch.position >= from)
        .find(|batch| wanted(batch))
        .map(|batch| batch.position)
}

/// How far a scan may have to go before it finds what an entry promises.
fn is_near(from: Position, found: Position, batches: &[Batch]) -> bool {
    let passed = batches.iter().filter(|batch| from < batch.position && batch.position <= found);
    // All but the last batch passed must lie within one interval, or an entry was missed.
    passed.filter(|batch| batch.position.since(from) >= INDEX_INTERVAL_BYTES).count() == 0
}

/// Whether an index knows the latest timestamps, or only bounds of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    Exact,
    Bounds,
}

/// Checks every look-up over `batches` against a scan of all of them.
fn assert_equals_scan(index: &Index, batches: &[Batch], times: Times) -> Result<(), TestCaseError> {
    let start = Position::new(SEGMENT_HEADER_LEN);
    let bases = batches.iter().map(|batch| batch.offset.get());
    for offset in bases.flat_map(|base| [base.saturating_sub(1), base, base + 1]).chain([0, 1 << 40]) {
        let offset = Offset::new(offset).expect("a short log");
        let entry = index.floor(offset);
        let holder = batches.iter().rev().find(|batch| batch.offset <= offset);
        prop_assert!(entry.position <= holder.map_or(start, |batch| batch.position));
        prop_assert!(holder.is_none_or(|batch| is_near(entry.position, batch.position, batches)));
        let at_entry = batches.iter().find(|batch| batch.position == entry.position);
        prop_assert_eq!(at_entry.map_or(OWNER.first_offset, |batch| batch.offset), entry.offset);
    }
    let stamps = batches.iter().map(|batch| batch.timestamp.as_millis());
    let around = stamps.flat_map(|t| [t.saturating_sub(1), t, t.saturating_add(1)]);
    for t in around.chain([i64::MIN, 0, i64::MAX]).map(Timestamp::from_millis) {
        let truth = scan(batches, start, |batch| batch.timestamp >= t);
        let candidate = index.first_candidate(t);
        let found = candidate.and_then(|entry| scan(batches, entry.position, |batch| batch.timestamp >= t));
        prop_assert_eq!(found, truth, "{:?} from {:?}", t, candidate);
        if let (Some(entry), Some(found)) = (candidate, found) {
            prop_assert!(times == Times::Bounds || is_near(entry.position, found, batches));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_look_up_equals_a_linear_scan(shapes in shapes()) {
        let (batches, _) = log(&shapes);
        let writer = writer_over(&batches);
        assert_equals_scan(&writer.index(), &batches, Times::Exact)?;

        // SEMANTICS 12: none is none, once nothing can follow.
        let sealed = writer_over(&batches).seal();
        assert_equals_scan(&sealed, &batches, Times::Exact)?;
        let latest = batches.iter().map(|batch| batch.timestamp).max();
        if let Some(later) = latest.and_then(|t| t.as_millis().checked_add(1)) {
            prop_assert_eq!(sealed.first_candidate(Timestamp::from_millis(later)), None);
        }
    }

    #[test]
    fn what_was_encoded_is_read_back_and_goes_on(shapes in shapes(), cut in any::<prop::sample::Index>()) {
        let (batches, end) = log(&shapes);
        let covered = cut.index(batches.len() + 1);
        let covered_end = batches.get(covered).map_or(end, |batch| batch.position);
        // The writer is already further than what is encoded, as it is when the log is synced.
        let writer = writer_over(&batches);
        let encoded = writer.index().encode(covered_end, writer.max_timestamp());
        let (mut resumed, found_end) = encoded.decode(OWNER, end).expect("it was just encoded");
        prop_assert_eq!(found_end, covered_end);
        assert_equals_scan(&resumed.index(), &batches[..covered], Times::Exact)?;
        for batch in &batches[covered..] {
            resumed.push(batch.offset, batch.position, batch.timestamp);
        }
        prop_assert_eq!(resumed.max_timestamp(), writer.max_timestamp());
        assert_equals_scan(&resumed.index(), &batches, Times::Bounds)?;
        let again = resumed.index().encode(end, resumed.max_timestamp());
        prop_assert!(again.decode(OWNER, end).is_ok());
    }

    #[test]
    fn any_bytes_behind_a_good_checksum_are_read_or_refused(
        offsets in prop::collection::vec(any::<u8>(), 0..200), times in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let forge = |magic: &[u8; 8], bytes: &[u8]| sealed([&magic[..], &[1, 0, 0, 0, 0, 0, 0, 0], bytes].concat());
        let encoded =
            EncodedIndex { offsets: forge(b"ANNALIDX", &offsets), times: forge(b"ANNALTIX", &times) };
        prop_assert!(encoded.decode(OWNER, Position::new(u32::MAX)).is_err());
        let raw = EncodedIndex { offsets, times };
        prop_assert!(raw.decode(OWNER, Position::new(u32::MAX)).is_err());
    }

    /// Single fields are replaced, so that the forger gets past the first check.
    #[test]
    fn any_field_behind_a_good_checksum_is_read_or_refused(
        which: bool, word in any::<prop::sample::Index>(), value in prop_oneof![Just(0_u32), Just(1), Just(u32::MAX), any::<u32>()],
    ) {
        let (encoded, end) = small();
        let mut forged = encoded.clone();
        let bytes = if which { &mut forged.offsets } else { &mut forged.times };
        let at = 16 + 4 * word.index((bytes.len() - 16) / 4);
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        *bytes = sealed(std::mem::take(bytes));
        // A later timestamp between its neighbours is the one lie that nothing contradicts.
        let harmless = !which && at >= 56 && (at - 56) % 16 < 8;
        prop_assert!(forged.decode(OWNER, end).is_err() || forged == encoded || harmless, "at {}", at);
    }
}

/// The bytes with a checksum that holds.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..12]);
    hasher.update(&bytes[16..]);
    bytes[12..16].copy_from_slice(&hasher.finalize().to_le_bytes());
    bytes
}

/// An index of four entries.
fn small() -> (EncodedIndex, Position) {
    let (batches, end) = log(&[(3, 600, 5), (2, 700, 9), (9, 100, 1), (4, 800, 7), (1, 10, 12)]);
    let writer = writer_over(&batches);
    (writer.index().encode(end, writer.max_timestamp()), end)
}

fn refused(encoded: &EncodedIndex, end: Position) -> IndexFlaw {
    encoded.decode(OWNER, end).expect_err("it must be refused")
}

#[test]
fn the_bytes_lie_where_the_format_says() {
    let (encoded, end) = small();
    assert_eq!(&encoded.offsets[..12], b"ANNALIDX\x01\0\0\0");
    assert_eq!(&encoded.times[..12], b"ANNALTIX\x01\0\0\0");
    assert_eq!(encoded.offsets[16..56], encoded.times[16..56]);
    assert_eq!(&encoded.offsets[16..40], b"\xed\x5e\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(&encoded.offsets[40..48], b"\x0c\0\0\0\0\0\0\0");
    assert_eq!(&encoded.offsets[48..52], &end.get().to_le_bytes());
    assert_eq!(&encoded.offsets[52..56], b"\x04\0\0\0");
    let first_two = [[0_u32, 4096], [3, 4096 + 4800]].concat();
    let first_two: Vec<u8> = first_two.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(&encoded.offsets[56..72], &first_two[..]);
    assert_eq!(encoded.offsets.len(), 56 + 4 * 8);
    assert_eq!(&encoded.times[56..64], &i64::MIN.to_le_bytes());
    assert_eq!(&encoded.times[72..80], &5_i64.to_le_bytes());
    assert_eq!(encoded.times[80..88], encoded.offsets[64..72]);
    assert_eq!(encoded.times.len(), 56 + 4 * 16);
}

// SEMANTICS 20
#[test]
fn every_flipped_bit_cut_and_added_byte_is_found() {
    let (good, end) = small();
    assert!(good.decode(OWNER, end).is_ok());
    type Part = fn(&mut EncodedIndex) -> &mut Vec<u8>;
    let parts: [Part; 2] = [|encoded| &mut encoded.offsets, |encoded| &mut encoded.times];
    for part in parts {
        let len = part(&mut good.clone()).len();
        for bit in 0..len * 8 {
            let mut bad = good.clone();
            part(&mut bad)[bit / 8] ^= 1 << (bit % 8);
            refused(&bad, end);
        }
        for cut in 0..len {
            let mut bad = good.clone();
            part(&mut bad).truncate(cut);
            refused(&bad, end);
            // The same length, with a tail that never reached the disk.
            part(&mut bad).resize(len, 0);
            if bad != good {
                refused(&bad, end);
            }
        }
        for added in [1, 8, 16, 4096] {
            let mut bad = good.clone();
            part(&mut bad).resize(len + added, 0);
            refused(&bad, end);
            let resealed = sealed(part(&mut bad).clone());
            *part(&mut bad) = resealed;
            assert!(matches!(refused(&bad, end), IndexFlaw::Len { .. }));
        }
    }
}

/// What is said of the small index when entry `number` names this place, and this time before it, in both files.
fn flaw_of_entry(number: usize, relative_offset: u32, position: u32, before: i64) -> String {
    let (mut forged, end) = small();
    let place = [relative_offset.to_le_bytes(), position.to_le_bytes()].concat();
    forged.offsets[56 + 8 * number..][..8].copy_from_slice(&place);
    forged.times[56 + 16 * number..][..8].copy_from_slice(&before.to_le_bytes());
    forged.times[56 + 16 * number + 8..][..8].copy_from_slice(&place);
    let forged = EncodedIndex { offsets: sealed(forged.offsets), times: sealed(forged.times) };
    match forged.decode(OWNER, end) {
        Ok(_) => "none".to_owned(),
        Err(flaw) => flaw.to_string(),
    }
}

#[test]
fn entries_out_of_order_or_out_of_place_are_refused() {
    // The entries are (0, 4096, MIN), (3, 8896, 5), (5, 14496, 9), (18, 21696, 9).
    assert_eq!(flaw_of_entry(1, 3, 8896, 5), "none");
    assert_eq!(flaw_of_entry(1, 4, 9000, 7), "none");
    for (number, relative_offset, position) in [
        (0, 0, 4104),
        (1, 3, 8191),
        (1, 3, 4096 + 4088),
        (1, 3, 8900),
        (1, 0, 8896),
        (1, 5, 8896),
        (2, 5, 8896),
        (3, 18, 30_000),
        (3, 18, 22_576),
        (3, 4, 21_696),
    ] {
        let before = [i64::MIN, 5, 9, 9][number];
        let flaw = flaw_of_entry(number, relative_offset, position, before);
        assert!(flaw.starts_with("offset index: entry: expected one behind"), "{number} {position}: {flaw}");
    }
    for (number, before) in [(0, 0), (1, 13), (2, 4), (3, 8), (3, 13), (3, i64::MIN)] {
        let (relative_offset, position) = [(0, 4096), (3, 8896), (5, 14_496), (18, 21_696)][number];
        let flaw = flaw_of_entry(number, relative_offset, position, before);
        assert!(flaw.starts_with("time index: entry: expected"), "{number} {before}: {flaw}");
    }
}

#[test]
fn a_count_is_checked_before_it_is_believed() {
    for count in [5_u32, 6, 1 << 20, u32::MAX] {
        let (mut forged, end) = small();
        forged.offsets[52..56].copy_from_slice(&count.to_le_bytes());
        forged.offsets = sealed(forged.offsets);
        let flaw = refused(&forged, end);
        match count {
            // As many as could lie in the segment: then the file is too short for them.
            5 => assert!(matches!(flaw, IndexFlaw::Len { expected: 40, found: 32, .. }), "{flaw}"),
            _ => assert!(matches!(flaw, IndexFlaw::Field { field: "count", .. }), "{flaw}"),
        }
    }
}

#[test]
fn an_index_of_another_segment_or_of_more_than_there_is_is_refused() {
    let (good, end) = small();
    let others = [
        IndexOwner { salt: 1, ..OWNER },
        IndexOwner { sequence: 1, ..OWNER },
        IndexOwner { first_offset: Offset::from(1), ..OWNER },
    ];
    for owner in others {
        assert!(matches!(good.decode(owner, end), Err(IndexFlaw::Field { field: "owner", .. })));
    }
    let shorter = Position::new(end.get() - 8);
    assert!(matches!(good.decode(OWNER, shorter), Err(IndexFlaw::Field { field: "end", .. })));
    let (later, _) = log(&[(3, 600, 5), (2, 700, 9), (9, 100, 1), (4, 800, 8), (1, 10, 13)]);
    let other = writer_over(&later);
    let mixed = EncodedIndex { times: other.index().encode(end, other.max_timestamp()).times, ..good };
    assert!(matches!(mixed.decode(OWNER, end), Err(IndexFlaw::Field { field: "head", .. })));
}

#[test]
fn an_entry_is_due_every_4_kib_and_takes_16_bytes() {
    let (batches, _) = log(&vec![(1, 128, 0); 4096]);
    let index = writer_over(&batches).seal();
    assert_eq!(index.entry_count(), 1024);
    assert_eq!(index.memory_bytes(), 1024 * 16);
}

#[test]
fn offsets_beyond_32_bits_leave_a_longer_scan_not_a_wrong_one() {
    let mut writer = IndexWriter::new(OWNER);
    let far = Offset::new(u64::from(u32::MAX) + 5).expect("in range");
    let start = IndexEntry { offset: Offset::ZERO, position: Position::new(4096) };
    writer.push(Offset::ZERO, start.position, Timestamp::from_millis(3));
    writer.push(far, Position::new(9000), Timestamp::from_millis(9));
    let index = writer.seal();
    assert_eq!(index.floor(far), start);
    assert_eq!(index.first_candidate(Timestamp::from_millis(8)), Some(start));
}

#[test]
fn readers_look_up_while_the_writer_notes() {
    let (batches, end) = log(&vec![(2, 300, 1); 2_000]);
    let mut writer = IndexWriter::new(OWNER);
    let index = writer.index();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = Position::ZERO;
            for _ in 0..20_000 {
                let entry = index.floor(Offset::MAX);
                assert!(entry.position >= seen && entry.position < end);
                seen = entry.position;
            }
        });
        for batch in &batches {
            writer.push(batch.offset, batch.position, batch.timestamp);
        }
        reader.join().expect("the reader's assertions hold");
    });
}

#[test]
fn files_are_stored_loaded_replaced_and_removed() {
    let dir = MemoryDisk::new().root();
    let (encoded, end) = small();
    let missing = load(&*dir, OWNER, end).expect_err("nothing was stored");
    assert!(matches!(missing, IndexFlaw::Unread(error) if error.kind() == crate::ErrorKind::NotFound));
    for _ in 0..2 {
        store(&*dir, OWNER.first_offset, &encoded).expect("there is room");
        let (writer, found_end) = load(&*dir, OWNER, end).expect("it was just stored");
        assert_eq!(writer.index().encode(found_end, writer.max_timestamp()), encoded);
    }
    let name = FileName::TimeIndex(OWNER.first_offset).to_string();
    let file = dir.open(&name, crate::io::Access::ReadWrite).expect("it is there");
    let len = file.len().expect("memory has a length");
    write_all(&*file, &[0; 5000], len).expect("there is room");
    assert!(load(&*dir, OWNER, end).is_err(), "a file that is too long");
    for _ in 0..2 {
        remove(&*dir, OWNER.first_offset).expect("what is not there is fine");
    }
    assert_eq!(dir.list().expect("memory lists"), []);
}
