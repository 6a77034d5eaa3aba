use super::*;
use proptest::prelude::*;

const AT: Position = Position::new(8192);
const PLACE: Place = Place { salt: 0x5eed, position: AT };

fn mark() -> TailMark {
    TailMark {
        synced: Position::new(8184),
        durable_offset: Offset::from(4200),
        last_append_time: Timestamp::from_millis(-2),
        manifest_generation: 9,
    }
}

/// The mark with `bytes` put at `at` and a checksum that holds.
fn forged(at: usize, bytes: &[u8]) -> [u8; LEN] {
    let mut forged = mark().encode(PLACE);
    forged[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = crc32fast::hash(&forged[4..]);
    forged[..4].copy_from_slice(&crc.to_le_bytes());
    forged
}

#[test]
fn the_bytes_lie_where_the_format_says() {
    let bytes = mark().encode(PLACE);
    assert_eq!(&bytes[..4], &crc32fast::hash(&bytes[4..]).to_le_bytes());
    assert_eq!(&bytes[4..8], &check(PLACE, 40).to_le_bytes());
    assert_eq!(&bytes[8..16], b"\x28\0\0\0\xf8\x1f\0\0");
    assert_eq!(&bytes[16..32], b"\x68\x10\0\0\0\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff");
    assert_eq!(&bytes[32..], b"\x09\0\0\0\0\0\0\0");
    assert_eq!(TailMark::decode(&bytes, PLACE), Ok(mark()));
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let good = mark().encode(PLACE);
    for bit in 0..good.len() * 8 {
        let mut bytes = good;
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(TailMark::decode(&bytes, PLACE).is_err(), "bit {bit}");
    }
    for len in 0..good.len() {
        assert_eq!(TailMark::decode(&good[..len], PLACE), Err(TailMarkFlaw::Short { found: len }));
    }
}

#[test]
fn a_mark_of_another_segment_or_place_proves_nothing() {
    let bytes = mark().encode(PLACE);
    let elsewhere = [8184, 8200].map(|at| Place { position: Position::new(at), ..PLACE });
    for place in [Place { salt: PLACE.salt + 1, ..PLACE }, elsewhere[0], elsewhere[1]] {
        let flaw = TailMark::decode(&bytes, place);
        assert!(matches!(flaw, Err(TailMarkFlaw::Check { .. })), "{flaw:?}");
    }
    assert!(TailMark::decode(&[0; LEN], PLACE).is_err());
}

#[test]
fn fields_without_meaning_are_refused() {
    for synced in [0_u32, 4088, 8188, 8200] {
        let flaw = TailMark::decode(&forged(12, &synced.to_le_bytes()), PLACE);
        assert_eq!(flaw, Err(TailMarkFlaw::Synced { position: AT, found: Position::new(synced) }));
    }
    for synced in [4096_u32, 8192] {
        assert!(TailMark::decode(&forged(12, &synced.to_le_bytes()), PLACE).is_ok());
    }
    let offset = 1_u64 << 63;
    let flaw = TailMark::decode(&forged(16, &offset.to_le_bytes()), PLACE);
    assert_eq!(flaw, Err(TailMarkFlaw::Offset { found: offset }));
    let flaw = TailMark::decode(&forged(8, &[48, 0, 0, 0]), PLACE);
    assert_eq!(flaw, Err(TailMarkFlaw::Length { found: 48 }));
}

proptest! {
    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        prop_assert!(TailMark::decode(&bytes, PLACE).is_err());
    }

    #[test]
    fn any_fields_behind_a_good_checksum_are_read_or_refused(fields in proptest::collection::vec(any::<u8>(), 28)) {
        let bytes = forged(12, &fields);
        if let Ok(mark) = TailMark::decode(&bytes, PLACE) {
            prop_assert_eq!(mark.encode(PLACE), bytes);
        }
    }
}
