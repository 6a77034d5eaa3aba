//! Runs of batches: what a reader is shown of them, and what it is refused.

use super::naive::{encode, encode_around};
use super::*;

const START: u32 = 4_096;

/// The batches one behind the other from `START` on, each where it says it lies.
fn lay(batches: Vec<Plain>) -> Vec<u8> {
    let mut buf = Vec::new();
    for mut plain in batches {
        plain.position = START + u32::try_from(buf.len()).unwrap();
        buf.extend(encode(&plain));
        buf.resize(buf.len().next_multiple_of(8), 0);
    }
    buf
}

/// `count` records from `base` on.
fn numbered(base: u64, count: u32) -> Plain {
    let records = (0..count).map(|delta| sample::record(delta, 0, None, Some("value"))).collect();
    let last_offset_delta = count - 1;
    Plain {
        base_offset: base,
        last_offset_delta,
        base_timestamp: 0,
        max_timestamp: 0,
        records,
        ..sample::plain()
    }
}

fn start() -> Place {
    Place { salt: sample::SALT, position: Position::new(START) }
}

fn verify(buf: &[u8], expected: u32, from: u32) -> Result<Verified, Damage> {
    verify_chunk(buf.to_vec(), start(), Offset::from(expected), Offset::from(from)..Offset::MAX, MAX)
}

fn verify_compacted(buf: &[u8], least: u32, from: u32) -> Result<Verified, Damage> {
    verify_compacted_chunk(buf.to_vec(), start(), Offset::from(least), Offset::from(from)..Offset::MAX, MAX)
}

fn offsets(verified: &Verified) -> Vec<u64> {
    let offsets: Vec<_> = verified.records.iter().map(|record| record.offset().get()).collect();
    assert_eq!(verified.records.len(), offsets.len());
    let first = offsets.first().copied().unwrap_or(verified.records.next_offset().get());
    assert_eq!(verified.records.base_offset().get(), first);
    assert_eq!(verified.records.is_empty(), offsets.is_empty());
    offsets
}

// SEMANTICS 8
#[test]
fn a_read_inside_a_batch_begins_at_the_offset_asked_for() {
    let buf = lay(vec![numbered(10, 3), numbered(13, 1), numbered(14, 2)]);
    for from in 9..=16 {
        let verified = verify(&buf, 10, from).unwrap();
        assert_eq!(offsets(&verified), (u64::from(from.max(10))..16).collect::<Vec<_>>());
        assert_eq!((verified.consumed, verified.next_offset), (buf.len(), Offset::from(16)));
        assert_eq!(verified.records.next_offset(), Offset::from(16));
        let first = verified.records.bytes();
        let reached = [(13, 0), (14, 1), (16, 2)].iter().find(|(end, _)| from < *end);
        let expected = reached.map_or(0, |(_, skipped)| {
            lay([numbered(10, 3), numbered(13, 1), numbered(14, 2)][*skipped..].to_vec()).len()
        });
        assert_eq!(first.len().next_multiple_of(8), expected, "from {from}");
    }
}

#[test]
fn a_chunk_ends_before_the_batch_that_it_cuts() {
    let buf = lay(vec![numbered(0, 3), numbered(3, 3)]);
    let first = lay(vec![numbered(0, 3)]);
    let exact = encode(&Plain { position: START, ..numbered(0, 3) }).len();
    assert_ne!(exact % 8, 0, "the padding is to be tested");
    for len in 0..buf.len() {
        match verify(&buf[..len], 0, 0) {
            Err(damage) => {
                assert!(len < exact, "{len}: {damage}");
                let needed = if len < 12 { 56 } else { exact };
                let expected = if len == 0 { Flaw::Blank } else { Flaw::Incomplete { needed } };
                assert_eq!(damage.flaw, expected, "cut to {len}");
            }
            Ok(verified) => {
                let whole = len + 7 >= buf.len() && len >= first.len() + exact;
                let expected = if whole { 6 } else { 3 };
                assert_eq!(offsets(&verified).len(), expected, "cut to {len}");
                assert_eq!(verified.consumed, if whole { buf.len() } else { first.len() });
            }
        }
    }
}

#[test]
fn a_gap_is_damage_in_a_dense_segment_and_not_in_a_compacted_one() {
    let buf = lay(vec![numbered(5, 2)]);
    let flaw = Flaw::Offset { expected: Offset::from(4), found: Offset::from(5) };
    let damage = verify(&buf, 4, 0).unwrap_err();
    assert_eq!((damage.flaw, damage.position), (flaw, Position::new(START)));
    assert_eq!(damage.to_error("00.log").kind(), ErrorKind::Corrupt);
    assert_eq!(
        damage.to_error("00.log").to_string(),
        "00.log: at position 4096, where offset 4 should be: base offset 5 where 4 was expected"
    );
    assert_eq!(offsets(&verify_compacted(&buf, 4, 0).unwrap()), [5, 6]);
    assert_eq!(offsets(&verify_compacted(&buf, 5, 0).unwrap()), [5, 6]);
    assert!(verify_compacted(&buf, 6, 0).is_err(), "offsets never go back");
}

// SEMANTICS 1
#[test]
fn reading_at_a_gap_gives_the_next_record() {
    let empty = Plain { base_offset: 8, last_offset_delta: 3, records: Vec::new(), ..sample::plain() };
    let later = Plain { base_offset: 20, ..sample::compacted() };
    let buf = lay(vec![sample::compacted(), empty, later]);
    let verified = verify_compacted(&buf, 0, 0).unwrap();
    assert_eq!(offsets(&verified), [3, 5, 23, 25]);
    assert_eq!(verified.next_offset, Offset::from(28), "the last offset stays with its batch");
    assert_eq!(offsets(&verify_compacted(&buf, 0, 4).unwrap()), [5, 23, 25]);
    assert_eq!(offsets(&verify_compacted(&buf, 0, 6).unwrap()), [23, 25]);
    assert_eq!(offsets(&verify_compacted(&buf, 0, 9).unwrap()), [23, 25]);
    assert_eq!(offsets(&verify_compacted(&buf, 0, 26).unwrap()), [0; 0]);
}

// SEMANTICS 2
#[test]
fn a_batch_keeps_its_last_offset_without_its_last_record() {
    let buf = lay(vec![sample::compacted()]);
    let verified = verify_compacted(&buf, 0, 6).unwrap();
    assert!(verified.records.is_empty(), "offsets 6 and 7 are gone");
    assert_eq!(verified.records.next_offset(), Offset::from(8), "and reading gets past them");
    let batch = Batch::from_bytes(&encode(&sample::compacted()), BatchLimits::default()).unwrap();
    assert_eq!((batch.base_offset(), batch.next_offset()), (Offset::ZERO, Offset::from(8)));
    assert_eq!(batch.records().unwrap().next_offset(), Offset::from(8));
}

// SEMANTICS 3
#[test]
fn a_record_count_is_no_offset_difference() {
    let batch = Batch::from_bytes(&encode(&sample::compacted()), BatchLimits::default()).unwrap();
    assert_eq!((batch.record_count(), batch.offset_count()), (2, 8));
    let records = batch.records().unwrap();
    assert_eq!((records.len(), records.next_offset().since(records.base_offset())), (2, 5));
}

#[test]
fn control_batches_are_passed_over() {
    let control = |base| Plain { attributes: 0x20, ..numbered(base, 1) };
    let buf = lay(vec![control(0), numbered(1, 2), control(3), control(4), numbered(5, 1), control(6)]);
    let verified = verify(&buf, 0, 0).unwrap();
    assert_eq!(offsets(&verified), [1, 2, 5]);
    assert_eq!(verified.next_offset, Offset::from(7));
    assert_eq!(verified.records.bytes().len().next_multiple_of(8), buf.len());
    assert_eq!(offsets(&verify(&buf, 0, 3).unwrap()), [5]);
    assert_eq!(offsets(&verify(&buf, 0, 6).unwrap()), [0; 0]);
    let batch = Batch::from_bytes(&encode(&control(0)), BatchLimits::default()).unwrap();
    assert_eq!((batch.record_count(), batch.records().unwrap().len()), (1, 0));
}

#[test]
fn a_batch_from_elsewhere_is_none() {
    let buf = lay(vec![numbered(0, 1)]);
    let place = |salt, position| Place { salt, position: Position::new(position) };
    for (place, why) in [
        (place(sample::SALT + 1, START), "another segment"),
        (place(sample::SALT, START + 8), "another position"),
        (place(sample::SALT, 0), "the start of the file"),
    ] {
        let damage =
            verify_chunk(buf.clone(), place, Offset::ZERO, Offset::ZERO..Offset::MAX, MAX).unwrap_err();
        assert!(matches!(damage.flaw, Flaw::NotABatch { .. }), "{why}: {damage}");
        assert!(!looks_like_batch(&buf, place, MAX), "{why}");
    }
    assert!(looks_like_batch(&buf, start(), MAX));
    assert!(!looks_like_batch(&buf, start(), 60), "it is above the limit");
}

#[test]
fn a_bad_batch_ends_the_chunk_and_begins_the_next() {
    let mut buf = lay(vec![numbered(0, 2), numbered(2, 2), numbered(4, 2)]);
    let second = lay(vec![numbered(0, 2)]).len();
    buf[second + 70] ^= 1;
    let verified = verify(&buf, 0, 0).unwrap();
    assert_eq!((offsets(&verified).len(), verified.consumed), (2, second));
    let place = Place { position: Position::new(START + u32::try_from(second).unwrap()), ..start() };
    let damage = verify_chunk(buf[second..].to_vec(), place, Offset::from(2), Offset::ZERO..Offset::MAX, MAX)
        .unwrap_err();
    assert!(matches!(damage.flaw, Flaw::Checksum { .. }), "{damage}");
    assert_eq!((damage.position, damage.offset), (place.position, Offset::from(2)));
}

#[test]
fn an_epoch_that_falls_is_damage() {
    let of = |epoch, base| Plain { leader_epoch: epoch, ..numbered(base, 1) };
    let buf = lay(vec![of(4, 0), of(4, 1), of(3, 2)]);
    assert_eq!(offsets(&verify(&buf, 0, 0).unwrap()), [0, 1]);
}

#[test]
fn compressed_records_are_named_as_such() {
    let plain = Plain { attributes: 2, records: Vec::new(), ..sample::plain() };
    let buf = encode_around(&plain, b"snappy block", 1);
    let damage = verify(&buf, 0, 0).unwrap_err();
    assert_eq!(damage.flaw, Flaw::Compressed { codec: "snappy" });
    assert_eq!(damage.to_error("00.log").kind(), ErrorKind::Unsupported);
    assert!(read_batch(&buf, start(), MAX).is_ok(), "for recovery it is a batch like any other");
}

#[test]
fn nothing_read_is_no_records() {
    let records = Records::empty(Offset::from(7));
    assert_eq!((records.len(), records.bytes().len()), (0, 0));
    assert_eq!((records.base_offset(), records.next_offset()), (Offset::from(7), Offset::from(7)));
    assert_eq!(records.iter().count() + records.into_iter().count(), 0);
}

#[test]
fn a_chunk_at_the_end_of_the_position_space_is_refused() {
    let place = Place { salt: sample::SALT, position: Position::new(u32::MAX - 7) };
    let plain = Plain { position: u32::MAX - 7, ..numbered(0, 1) };
    let buf = [encode(&plain), encode(&plain)].concat();
    let verified = verify_chunk(buf, place, Offset::ZERO, Offset::ZERO..Offset::MAX, MAX).unwrap();
    assert_eq!(verified.records.len(), 1);
}

/// Split into heads of any sizes, a run shows the same records, and each head's bytes are the whole batches it needs.
#[test]
fn a_run_can_be_split_between_any_two_records() {
    let buf = lay(vec![numbered(10, 3), numbered(13, 1), numbered(14, 2)]);
    for (count, bytes, from) in
        (1..=6_usize).flat_map(|count| [(count, 1_000, 10), (count, 12, 11), (9, count * 4, 10)])
    {
        let whole = verify(&buf, 10, from).unwrap().records;
        let mut rest = whole.clone();
        let mut found = Vec::new();
        while !rest.is_empty() {
            assert_eq!(rest.first_len(), "value".len());
            let (head, taken) = rest.split_to(count, bytes);
            let offsets: Vec<_> = head.iter().map(|record| record.offset()).collect();
            assert!(!offsets.is_empty() && offsets.len() <= count && offsets.len() == head.len());
            assert!(
                taken == 5 * offsets.len() && (taken <= bytes || offsets.len() == 1),
                "{taken} of {bytes}"
            );
            assert_eq!((head.base_offset(), head.next_offset()), (offsets[0], rest.base_offset()));
            let own = verify_chunk_of(head.bytes());
            assert!(offsets.iter().all(|offset| own.contains(offset)), "{offsets:?} in {own:?}");
            found.extend(offsets);
        }
        assert!(found.into_iter().eq(whole.iter().map(|record| record.offset())));
        assert_eq!((rest.base_offset(), rest.next_offset()), (Offset::from(16), Offset::from(16)));
        assert_eq!(rest.split_to(3, 3).0.len(), 0);
    }
}

/// The offsets that whole batches cover, wherever they lie.
fn verify_chunk_of(mut batches: &[u8]) -> Vec<Offset> {
    let mut offsets = Vec::new();
    while let Ok(header) = BatchHeader::decode(batches) {
        offsets.extend((header.base_offset.get()..header.next_offset().get()).filter_map(Offset::new));
        let len = usize::try_from(header.length).unwrap().next_multiple_of(8);
        batches = batches.get(len..).unwrap_or_default();
    }
    offsets
}
