use super::*;
use proptest::prelude::*;

fn header() -> SegmentHeader {
    SegmentHeader {
        topic: TopicId::from_bytes(*b"0123456789abcdef"),
        partition: 3,
        sequence: 7,
        salt: 0x0102_0304_0506_0708,
        created_at: Timestamp::from_millis(-5),
        layout: Layout::Compacted,
        origin: Origin::Copied,
    }
}

/// A header with `bytes` put at `at` and a checksum that holds.
fn forged(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut forged = header().encode().to_vec();
    forged[at..at + bytes.len()].copy_from_slice(bytes);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&forged[..12]);
    hasher.update(&forged[16..]);
    let crc = hasher.finalize();
    forged[12..16].copy_from_slice(&crc.to_le_bytes());
    forged
}

#[test]
fn the_bytes_lie_where_the_format_says() {
    let bytes = header().encode();
    assert_eq!(bytes.len(), usize::try_from(SEGMENT_HEADER_LEN).expect("4096 fits"));
    assert_eq!(&bytes[..12], b"ANNALSEG\x01\0\0\0");
    assert_eq!(&bytes[16..32], b"0123456789abcdef");
    assert_eq!(&bytes[32..48], b"\x03\0\0\0\x01\0\0\0\x07\0\0\0\0\0\0\0");
    assert_eq!(&bytes[48..64], b"\x08\x07\x06\x05\x04\x03\x02\x01\xfb\xff\xff\xff\xff\xff\xff\xff");
    assert_eq!(&bytes[64..68], b"\x01\0\0\0");
    assert!(bytes[68..].iter().all(|byte| *byte == 0));
    assert_eq!(SegmentHeader::decode(&bytes), Ok(header()));
}

#[test]
fn every_flipped_bit_is_found() {
    let good = header().encode();
    for bit in 0..good.len() * 8 {
        let mut bytes = good;
        bytes[bit / 8] ^= 1 << (bit % 8);
        let flaw = SegmentHeader::decode(&bytes).expect_err("a flipped bit must be found");
        match bit / 8 {
            0..8 => assert!(matches!(flaw, HeaderFlaw::Foreign { .. }), "bit {bit}: {flaw}"),
            _ => assert!(matches!(flaw, HeaderFlaw::Damaged(_)), "bit {bit}: {flaw}"),
        }
    }
}

#[test]
fn the_future_the_foreign_the_blank_and_the_damaged_are_told_apart() {
    let newer = SegmentHeader::decode(&forged(8, &[2, 0, 0, 0]));
    assert_eq!(newer, Err(HeaderFlaw::Unsupported { found: 2 }));
    let older = SegmentHeader::decode(&forged(8, &[0, 0, 0, 0]));
    assert_eq!(older, Err(HeaderFlaw::Damaged(FrameFlaw::Version { expected: 1, found: 0 })));
    let foreign = SegmentHeader::decode(&forged(0, b"SQLite f"));
    assert_eq!(foreign, Err(HeaderFlaw::Foreign { found: *b"SQLite f" }));
    assert_eq!(SegmentHeader::decode(&[0; 4096]), Err(HeaderFlaw::Blank));
    let layout = SegmentHeader::decode(&forged(36, &[0, 1, 0, 0]));
    assert_eq!(layout, Err(HeaderFlaw::Field { field: "layout", expected: "0 or 1", found: 256 }));
    let origin = SegmentHeader::decode(&forged(64, &[2, 0, 0, 0]));
    assert_eq!(origin, Err(HeaderFlaw::Field { field: "origin", expected: "0 or 1", found: 2 }));
    let rest = SegmentHeader::decode(&forged(4095, &[9]));
    assert_eq!(rest, Err(HeaderFlaw::Field { field: "rest", expected: "zeros", found: 9 }));
}

#[test]
fn every_cut_is_found() {
    let bytes = header().encode();
    for len in 0..bytes.len() {
        assert_eq!(SegmentHeader::decode(&bytes[..len]), Err(HeaderFlaw::Short { found: len }));
    }
}

#[test]
fn a_flaw_says_what_was_expected_and_found() {
    let message = SegmentHeader::decode(&forged(0, b"SQLite f")).expect_err("a foreign file").to_string();
    assert_eq!(message, "segment header: expected the magic \"ANNALSEG\", found \"SQLite f\"");
}

proptest! {
    #[test]
    fn every_header_is_read_back(
        topic: [u8; 16], partition: u32, sequence: u64, salt: u64, created_at: i64, compacted: bool, copied: bool,
    ) {
        let header = SegmentHeader {
            topic: TopicId::from_bytes(topic),
            partition,
            sequence,
            salt,
            created_at: Timestamp::from_millis(created_at),
            layout: if compacted { Layout::Compacted } else { Layout::Dense },
            origin: if copied { Origin::Copied } else { Origin::Appended },
        };
        prop_assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
        prop_assert!(SegmentHeader::decode(&bytes).is_err());
    }

    #[test]
    fn any_fields_behind_a_good_frame_are_read_or_refused(fields in proptest::collection::vec(any::<u8>(), 56)) {
        let bytes = forged(16, &fields);
        if let Ok(header) = SegmentHeader::decode(&bytes) {
            prop_assert_eq!(&header.encode()[..], &bytes[..]);
        }
    }
}
