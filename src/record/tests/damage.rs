//! Damage on purpose: never a wrong record, never a panic.

use super::naive::{crc32, decode, encode, encode_around, encode_record};
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

fn flip(bytes: &mut [u8], bit: u64) {
    bytes[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
}

/// Makes the check word and the checksum fit whatever the bytes now say.
fn mend(bytes: &mut [u8], place: Place) {
    let length = u32::from_le_bytes(bytes[8..12].try_into().unwrap());
    bytes[4..8].copy_from_slice(&check(place, length).to_le_bytes());
    let end = usize::try_from(length).unwrap().clamp(4, bytes.len());
    let crc = crc32(&bytes[4..end]);
    bytes[..4].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn every_flipped_bit_is_found_and_named() {
    for (name, plain) in sample::all() {
        let good = encode(&plain);
        assert!(read_batch(&good, place_of(&plain), MAX).is_ok(), "{name}");
        assert_eq!(one_bit_from_good(&good, place_of(&plain), MAX), None, "{name} is good already");
        for bit in 0..good.len() as u64 * 8 {
            let mut bytes = good.clone();
            flip(&mut bytes, bit);
            assert!(read_batch(&bytes, place_of(&plain), MAX).is_err(), "{name}, bit {bit}");
            // Behind a batch there is more of the segment.
            bytes.extend([0xa5; 40]);
            assert_eq!(one_bit_from_good(&bytes, place_of(&plain), MAX), Some(bit), "{name}, bit {bit}");
        }
    }
}

#[test]
fn the_flipped_bit_of_a_large_batch_is_found() {
    let records = (0..5_000).map(|delta| sample::record(delta, 0, None, Some("some value"))).collect();
    let plain =
        Plain { records, last_offset_delta: 4_999, base_timestamp: 0, max_timestamp: 0, ..sample::plain() };
    let good = encode(&plain);
    for bit in [0, 40, 64, 128, 450, 1_001, 99_999, good.len() as u64 * 8 - 1] {
        let mut bytes = good.clone();
        flip(&mut bytes, bit);
        assert_eq!(one_bit_from_good(&bytes, place_of(&plain), MAX), Some(bit));
    }
}

#[test]
fn every_cut_is_found() {
    for (name, plain) in sample::all() {
        let good = encode(&plain);
        for len in 0..good.len() {
            let flaw = read_batch(&good[..len], place_of(&plain), MAX).unwrap_err();
            let expected = match len {
                0 => Flaw::Blank,
                1..12 => Flaw::Incomplete { needed: 56 },
                _ => Flaw::Incomplete { needed: good.len() },
            };
            assert_eq!(flaw, expected, "{name} cut to {len}");
            assert_eq!(one_bit_from_good(&good[..len], place_of(&plain), MAX), None);
            assert_eq!(looks_like_batch(&good[..len], place_of(&plain), MAX), len >= 12);
        }
    }
}

#[test]
fn zeroes_are_blank_at_every_length() {
    let place = place_of(&sample::plain());
    for len in 0..200 {
        assert_eq!(read_batch(&vec![0; len], place, MAX).unwrap_err(), Flaw::Blank);
        assert!(!looks_like_batch(&vec![0; len], place, MAX));
        assert_eq!(one_bit_from_good(&vec![0; len], place, MAX), None);
    }
}

/// Whatever we accept the second decoder accepts, with the same records, and the other way round.
fn agree(bytes: &[u8], plain: &Plain) {
    let ours = read_batch(bytes, place_of(plain), u32::MAX);
    let theirs = decode(bytes, plain.salt, plain.position);
    assert_eq!(ours.is_ok(), theirs.is_some(), "ours: {ours:?}, theirs: {theirs:?}, of {bytes:02x?}");
    let Some(theirs) = theirs else { return };
    if theirs.attributes & 0x27 == 0 {
        assert_eq!(read_back(bytes, &theirs), theirs.records);
    }
}

#[test]
fn a_flipped_bit_under_a_mended_checksum_never_panics() {
    for (_, plain) in sample::all() {
        let good = encode(&plain);
        for bit in 0..good.len() as u64 * 8 {
            let mut bytes = good.clone();
            flip(&mut bytes, bit);
            mend(&mut bytes, place_of(&plain));
            agree(&bytes, &plain);
        }
    }
}

#[test]
fn every_byte_value_under_a_mended_checksum_never_panics() {
    let plain = sample::rich();
    let good = encode(&plain);
    for at in 56..good.len() {
        for value in 0..=255 {
            let mut bytes = good.clone();
            bytes[at] = value;
            mend(&mut bytes, place_of(&plain));
            agree(&bytes, &plain);
        }
    }
}

#[test]
fn hostile_lengths_are_refused() {
    let record = sample::record(0, 0, Some("key"), Some("value"));
    let good = encode_record(&record, 0);
    let huge = naive::number(i128::from(i32::MAX));
    let cases: &[(&str, Vec<u8>)] = &[
        ("a record of 2 GiB", [&huge[..], &good[1..]].concat()),
        ("a record of negative length", [&naive::number(-1)[..], &good[1..]].concat()),
        ("a record without a body", vec![0]),
        ("a key of 2 GiB", [&[28, 0, 0, 0], &huge[..], b"xxxxxx"].concat()),
        ("a key of length -2", [&[28, 0, 0, 0][..], &[3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat()),
        ("2^31 - 1 headers", [&[22, 0, 0, 0, 1, 1], &huge[..], &[0]].concat()),
        ("-1 headers", vec![12, 0, 0, 0, 1, 1, 1]),
        ("a header name of length -1", vec![16, 0, 0, 0, 1, 1, 2, 1, 1]),
        ("a header name that is not UTF-8", vec![18, 0, 0, 0, 1, 1, 2, 2, 0xff, 1]),
        ("a byte behind the headers", vec![14, 0, 0, 0, 1, 1, 0, 0]),
        ("a negative offset", vec![12, 0, 0, 1, 1, 1, 0]),
        ("an offset beyond the last", vec![12, 0, 0, 2, 1, 1, 0]),
        ("a time beyond the latest", vec![12, 0, 2, 0, 1, 1, 0]),
    ];
    let plain = Plain { base_timestamp: 0, max_timestamp: 0, ..sample::plain() };
    let accepted = encode_around(&plain, &[12, 0, 0, 0, 1, 1, 0], 1);
    assert!(read_batch(&accepted, place_of(&plain), MAX).is_ok());
    for (name, section) in cases {
        let bytes = encode_around(&plain, section, 1);
        let flaw = read_batch(&bytes, place_of(&plain), MAX).unwrap_err();
        assert!(matches!(flaw, Flaw::Records { index: 0, .. }), "{name}: {flaw}");
        agree(&bytes, &plain);
    }
}

#[test]
fn a_record_has_as_many_headers_as_are_allowed() {
    for (count, allowed) in [(65_535, true), (65_536, false)] {
        let headers = vec![(String::new(), None); count];
        let record = naive::PlainRecord { headers, ..sample::record(0, 0, None, None) };
        let plain = Plain { records: vec![record], base_timestamp: 0, max_timestamp: 0, ..sample::plain() };
        let bytes = encode(&plain);
        assert_eq!(read_batch(&bytes, place_of(&plain), MAX).is_ok(), allowed, "{count}");
    }
}

#[test]
fn a_compressed_batch_promises_no_more_records_than_it_has_offsets() {
    let plain = Plain { attributes: 1, last_offset_delta: 4, records: Vec::new(), ..sample::plain() };
    let judge = |count| {
        let bytes = encode_around(&plain, b"block", count);
        read_batch(&bytes, place_of(&plain), MAX).map(|(header, _)| header.record_count)
    };
    assert_eq!(judge(5), Ok(5));
    assert_eq!(judge(6), Err(Flaw::Field { name: "record_count", found: 6 }));
}

#[test]
fn a_section_holds_as_many_records_as_the_header_says() {
    let plain = Plain { last_offset_delta: 9, ..sample::rich() };
    let section: Vec<u8> =
        plain.records.iter().flat_map(|r| encode_record(r, plain.base_timestamp)).collect();
    for count in 0..=10 {
        let bytes = encode_around(&plain, &section, count);
        assert_eq!(read_batch(&bytes, place_of(&plain), MAX).is_ok(), count == 4, "{count}");
    }
}

#[test]
fn header_fields_out_of_their_bounds_are_named() {
    let base = sample::plain();
    let identified = sample::identified();
    let largest = i64::MAX.cast_unsigned();
    let cases = [
        ("base_offset", Plain { base_offset: u64::MAX, ..base.clone() }),
        ("base_offset", Plain { base_offset: 1 << 63, ..base.clone() }),
        ("last_offset_delta", Plain { base_offset: largest, ..base.clone() }),
        ("last_offset_delta", Plain { last_offset_delta: 1 << 31, ..base.clone() }),
        ("attributes", Plain { attributes: 0x0010, ..base.clone() }),
        ("attributes", Plain { attributes: 0x0200, ..base.clone() }),
    ];
    for (field, plain) in cases {
        let bytes = encode(&plain);
        match read_batch(&bytes, place_of(&plain), MAX) {
            Err(Flaw::Field { name, .. }) => assert_eq!(name, field),
            other => panic!("{field}: {other:?}"),
        }
        agree(&bytes, &plain);
    }
    let cramped = encode_around(&Plain { attributes: 0x0100, ..base.clone() }, &[0; 23], 0);
    let flaw = read_batch(&cramped, place_of(&base), MAX).unwrap_err();
    assert_eq!(flaw, Flaw::Field { name: "length", found: 79 }, "no room for the identity block");
    let newer = Plain { attributes: 0x0080, ..base.clone() };
    let flaw = read_batch(&encode(&newer), place_of(&newer), MAX).unwrap_err();
    assert_eq!((flaw, flaw.kind()), (Flaw::Newer { attributes: 0x0080 }, ErrorKind::Unsupported));
    for at in [54, 55, 70, 71, 76, 77, 78, 79] {
        let mut bytes = encode(&identified);
        bytes[at] = 1;
        mend(&mut bytes, place_of(&identified));
        let flaw = read_batch(&bytes, place_of(&identified), MAX).unwrap_err();
        assert!(matches!(flaw, Flaw::Field { .. }), "byte {at}: {flaw}");
        agree(&bytes, &identified);
    }
}

#[test]
fn a_batch_above_the_limit_is_none() {
    let plain = sample::plain();
    let bytes = encode(&plain);
    let len = u32::try_from(bytes.len()).unwrap();
    assert!(read_batch(&bytes, place_of(&plain), len).is_ok());
    assert!(matches!(read_batch(&bytes, place_of(&plain), len - 1), Err(Flaw::NotABatch { .. })));
    assert_eq!(one_bit_from_good(&bytes, place_of(&plain), len - 1), None);
}

/// What the search by the CRC's linearity must agree with: trying every bit.
fn by_trying(bytes: &[u8], place: Place) -> Option<u64> {
    if read_batch(bytes, place, MAX).is_ok() {
        return None;
    }
    (0..bytes.len() as u64 * 8).find(|&bit| {
        let mut bytes = bytes.to_vec();
        flip(&mut bytes, bit);
        read_batch(&bytes, place, MAX).is_ok()
    })
}

proptest! {
    #[test]
    fn the_search_for_a_flipped_bit_finds_what_trying_every_bit_finds(
        which in 0..5_usize,
        flips in vec(any::<prop::sample::Index>(), 0..4),
        tail in vec(any::<u8>(), 0..16),
    ) {
        let (_, plain) = sample::all().swap_remove(which);
        let mut bytes = encode(&plain);
        bytes.extend(tail);
        for index in flips {
            let bit = index.index(bytes.len() * 8) as u64;
            flip(&mut bytes, bit);
        }
        let place = place_of(&plain);
        prop_assert_eq!(one_bit_from_good(&bytes, place, MAX), by_trying(&bytes, place));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..400), salt in any::<u64>(), at in any::<u32>()) {
        let place = Place { salt, position: Position::new(at) };
        prop_assert!(read_batch(&bytes, place, u32::MAX).is_err());
        prop_assert!(!looks_like_batch(&bytes, place, u32::MAX));
        prop_assert_eq!(one_bit_from_good(&bytes, place, u32::MAX), None);
        prop_assert!(verify_chunk(bytes.clone(), place, Offset::ZERO, Offset::ZERO..Offset::MAX, u32::MAX).is_err());
        prop_assert!(Batch::from_bytes(&bytes, BatchLimits::default()).is_err());
    }

    #[test]
    fn both_decoders_judge_arbitrary_sections_alike(
        section in vec(prop_oneof![3 => 0..20_u8, 1 => any::<u8>()], 0..120),
        count in 0..6_u32,
        attributes in prop_oneof![4 => Just(0_u16), 1 => any::<u16>()],
        base_timestamp in prop_oneof![3 => Just(0_i64), 1 => any::<i64>()],
    ) {
        let plain = Plain { attributes, base_timestamp, last_offset_delta: 9, ..sample::plain() };
        let identity = (attributes & 0x100 != 0).then_some((1, 2, 3, 4));
        agree(&encode_around(&Plain { identity, ..plain.clone() }, &section, count), &plain);
    }

    #[test]
    fn both_decoders_judge_a_mangled_batch_alike(
        plain in sample::any_batch(),
        edits in vec((any::<prop::sample::Index>(), prop_oneof![0..4_u8, 126..130_u8, any::<u8>()]), 1..4),
    ) {
        let mut bytes = encode(&plain);
        for (index, value) in edits {
            let at = 12 + index.index(bytes.len() - 12);
            bytes[at] = value;
        }
        mend(&mut bytes, place_of(&plain));
        agree(&bytes, &plain);
    }
}
