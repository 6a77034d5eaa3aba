use super::*;
use crate::ErrorKind;
use crate::io::{Access, MemoryDisk};
use crate::partition::slots::dirs::{self, poke};
use proptest::prelude::*;

mod crash;
mod documented;

type Dirs = dirs::Dirs<Manifest>;

fn offset(number: u64) -> Offset {
    Offset::new(number).expect("tests use offsets in range")
}

fn sealed(sequence: u64, first: u64, end: u64) -> SegmentEntry {
    SegmentEntry {
        sequence,
        state: SegmentState::Sealed,
        first_offset: offset(first),
        end_offset: offset(end),
        end: Position::new(if first == end { 4096 } else { 8192 }),
        digest: 0xd16e57 + sequence,
        last_append_time: Timestamp::from_millis(1_000),
        max_timestamp: Timestamp::from_millis(-1),
        layout: Layout::Dense,
    }
}

fn open(sequence: u64, first: u64, end: u64) -> SegmentEntry {
    SegmentEntry { state: SegmentState::Open, ..sealed(sequence, first, end) }
}

fn prepared(sequence: u64, first: u64) -> SegmentEntry {
    SegmentEntry { state: SegmentState::Prepared, ..sealed(sequence, first, first) }
}

fn lost(from: u64, to: u64) -> LostRange {
    LostRange { from: offset(from), to: offset(to) }
}

fn manifest() -> Manifest {
    Manifest {
        generation: 0,
        topic: TopicId::from_bytes(*b"0123456789abcdef"),
        partition: 3,
        log_start: offset(10),
        next_sequence: 9,
        leader_epoch: 5,
        segments: vec![sealed(0, 0, 100), sealed(7, 100, 250), open(2, 300, 400), prepared(8, 400)],
        lost: vec![lost(250, 300)],
    }
}

/// A manifest of so many segments.
fn long(count: u64) -> Manifest {
    let segments = (0..count).map(|number| sealed(number, 100 * number, 100 * number + 100)).collect();
    Manifest { segments, log_start: Offset::ZERO, next_sequence: count, lost: Vec::new(), ..manifest() }
}

/// Puts a checksum that holds into the slot that `bytes` are.
fn reseal(bytes: &mut [u8]) {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..12]);
    hasher.update(&bytes[16..]);
    bytes[12..16].copy_from_slice(&hasher.finalize().to_le_bytes());
}

#[test]
fn the_bytes_lie_where_the_format_says() {
    let bytes = Manifest { generation: 4, ..manifest() }.encode(4096);
    assert_eq!(bytes.len(), 4096);
    assert_eq!(&bytes[..12], b"ANNALMAN\x01\0\0\0");
    assert_eq!(&bytes[16..32], b"\0\x10\0\0\x40\x01\0\0\x04\0\0\0\0\0\0\0");
    assert_eq!(&bytes[32..48], b"0123456789abcdef");
    assert_eq!(&bytes[48..56], b"\x03\0\0\0\x05\0\0\0");
    assert_eq!(&bytes[56..72], b"\x0a\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0");
    assert_eq!(&bytes[72..80], b"\x04\0\0\0\x01\0\0\0");
    let second = &bytes[80 + 56..80 + 112];
    assert_eq!(&second[..24], b"\x07\0\0\0\0\0\0\0\x64\0\0\0\0\0\0\0\xfa\0\0\0\0\0\0\0");
    assert_eq!(
        &second[24..48],
        b"\x5e\x6e\xd1\0\0\0\0\0\xe8\x03\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"
    );
    assert_eq!(&second[48..], b"\0\x20\0\0\0\0\0\0");
    assert_eq!(&bytes[80 + 168 + 48..80 + 224], b"\0\x10\0\0\x02\0\0\0");
    assert_eq!(&bytes[304..320], b"\xfa\0\0\0\0\0\0\0\x2c\x01\0\0\0\0\0\0");
    assert!(bytes[320..].iter().all(|byte| *byte == 0));
    assert_eq!(Manifest::decode(&bytes), Ok(Manifest { generation: 4, ..manifest() }));
}

#[test]
fn what_was_committed_is_loaded_and_a_load_writes_nothing() {
    let dir = Dirs::empty();
    assert_eq!(ManifestFile::load(&dir).expect_err("there is none").kind(), ErrorKind::NotFound);
    let mut file = ManifestFile::create(&dir, &manifest()).expect("a new directory");
    assert_eq!(Dirs::load(&dir), (manifest(), SlotReport::Even));
    assert_eq!(
        ManifestFile::create(&dir, &manifest()).expect_err("it exists").kind(),
        ErrorKind::AlreadyExists
    );
    for round in 1..10 {
        let mut next = manifest();
        next.leader_epoch = round;
        file.commit(&mut next).expect("memory has room");
        assert_eq!(next.generation, u64::from(round));
        let before = Dirs::content(&dir);
        assert_eq!(Dirs::load(&dir), (next.clone(), SlotReport::Even));
        assert_eq!(Dirs::content(&dir), before);
        // A commit goes on behind a load as behind a commit.
        file = ManifestFile::load(&dir).expect("it was just committed").0;
    }
    assert_eq!(file.disk_bytes(), 8192);
    assert_eq!(dir.list().expect("memory lists").len(), 1);
}

#[test]
fn a_manifest_that_makes_no_sense_is_not_written() {
    let dir = Dirs::empty();
    let mut file = ManifestFile::create(&dir, &manifest()).expect("a new directory");
    let mut bad = manifest();
    bad.next_sequence = 8;
    assert_eq!(file.commit(&mut bad).expect_err("sequence 8 is taken").kind(), ErrorKind::InvalidInput);
    assert_eq!(Dirs::load(&dir), (manifest(), SlotReport::Even));
    let mut too_long = long(300_000);
    assert_eq!(file.commit(&mut too_long).expect_err("16.8 MB").kind(), ErrorKind::TooLarge);
    file.commit(&mut manifest()).expect("nothing was written, so all can go on");
}

#[test]
fn every_flipped_bit_is_healed_by_the_other_slot() {
    let dir = Dirs::empty();
    let mut newest = manifest();
    ManifestFile::create(&dir, &manifest())
        .expect("a new directory")
        .commit(&mut newest)
        .expect("memory has room");
    Dirs::flip_every_bit(&dir, &newest);
}

#[test]
fn two_damaged_slots_are_corrupt_and_name_both_flaws() {
    let dir = Dirs::empty();
    ManifestFile::create(&dir, &manifest()).expect("a new directory");
    let good = Dirs::content(&dir);
    for (first, second) in [(0, 4096), (12, 5000), (17, 4096 + 17), (4095, 8191), (3000, 4096 + 8)] {
        let mut bad = good.clone();
        bad[first] ^= 0x40;
        bad[second] ^= 0x10;
        assert_eq!(Dirs::refusal(&Dirs::with(&bad)), ErrorKind::Corrupt);
    }
    let zeros = ManifestFile::load(&Dirs::with(&[0; 8192])).expect_err("nothing is there").to_string();
    assert!(zeros.contains("slot 0: expected the magic \"ANNALMAN\", found \"\\x00"), "{zeros}");
    assert!(zeros.contains("slot 1: expected the magic"), "{zeros}");
}

#[test]
fn every_cut_is_found() {
    for (count, step) in [(3, 1), (200, 97)] {
        let dir = Dirs::empty();
        let newest = long(count);
        let file = ManifestFile::create(&dir, &newest).expect("a new directory");
        let good = Dirs::content(&dir);
        let slot_len = usize::try_from(file.disk_bytes() / 2).expect("a short file");
        for len in (0..good.len()).step_by(step) {
            let cut = Dirs::with(&good[..len]);
            if len < slot_len {
                assert_eq!(Dirs::refusal(&cut), ErrorKind::Corrupt, "cut at {len}");
            } else {
                let (loaded, report) = Dirs::load(&cut);
                assert_eq!(loaded, newest);
                assert!(matches!(report, SlotReport::OneBad { bad: Slot::One, .. }), "cut at {len}");
            }
        }
        assert_eq!(Dirs::load(&Dirs::with(&[&good[..], &[0; 100]].concat())), (newest, SlotReport::Even));
    }
}

#[test]
fn a_commit_torn_at_any_byte_leaves_the_old_state_or_the_new() {
    let dir = Dirs::empty();
    let mut old = manifest();
    let mut file = ManifestFile::create(&dir, &old).expect("a new directory");
    file.commit(&mut old).expect("memory has room");
    let before = Dirs::content(&dir);
    let mut new = manifest();
    new.segments.truncate(3);
    new.segments[2] = open(2, 300, 500);
    file.commit(&mut new).expect("memory has room");
    let after = Dirs::content(&dir);

    let torn = Dirs::with(&before);
    let raw = torn.open(MANIFEST, Access::ReadWrite).expect("the manifest is there");
    // Generation 2 writes slot 0 first.
    for at in 0..8192 {
        let (loaded, report) = Dirs::load(&torn);
        let expected = if at <= 4095 && before[at..4096] != after[at..4096] { &old } else { &new };
        assert_eq!(&loaded, expected, "torn at {at}: {report:?}");
        poke(&*raw, at, &after[at..=at]);
        if at % 512 == 17 {
            // Whatever was found, the next commit goes through, and heals both slots.
            let copy = Dirs::with(&Dirs::content(&torn));
            let (mut file, mut loaded, _) = ManifestFile::load(&copy).expect("one slot is good");
            let before_heal = loaded.generation;
            file.commit(&mut loaded).expect("memory has room");
            assert!(loaded.generation > before_heal);
            assert_eq!(Dirs::load(&copy), (loaded, SlotReport::Even));
        }
    }
    assert_eq!(Dirs::load(&torn), (new, SlotReport::Even));
}

#[test]
fn the_slot_that_may_not_be_on_the_disk_is_written_first() {
    let dir = Dirs::empty();
    let mut state = manifest();
    ManifestFile::create(&dir, &state).expect("a new directory").commit(&mut state).expect("memory has room");
    let even = Dirs::content(&dir);
    for damaged in [Slot::Zero, Slot::One] {
        let mut bytes = even.clone();
        bytes[if damaged == Slot::Zero { 100 } else { 4196 }] ^= 1;
        let dir = Dirs::with(&bytes);
        let (mut file, mut loaded, _) = ManifestFile::load(&dir).expect("one slot is good");
        file.commit(&mut loaded).expect("memory has room");
        assert_eq!(Slot::first_of(loaded.generation), damaged);
    }
    // A commit cut off between the slots: the newer one may be in the cache alone.
    let newer = Manifest { generation: state.generation + 1, ..manifest() }.encode(4096);
    let dir = Dirs::with(&[&newer[..], &even[4096..]].concat());
    let (mut file, mut loaded, report) = ManifestFile::load(&dir).expect("both are good");
    assert_eq!(report, SlotReport::Uneven { newer: Slot::Zero });
    file.commit(&mut loaded).expect("memory has room");
    assert_eq!(Slot::first_of(loaded.generation), Slot::Zero);
}

#[test]
fn a_newer_version_is_unsupported_even_beside_a_good_slot() {
    let good = manifest().encode(4096);
    let mut newer = good.clone();
    newer[8] = 2;
    newer[40] = 0xff;
    reseal(&mut newer);
    let mut broken = newer.clone();
    broken[9] ^= 1;
    for pair in [[&newer, &good], [&good, &newer], [&newer, &newer], [&broken, &newer], [&newer, &broken]] {
        assert_eq!(Dirs::refusal(&Dirs::with(&pair.map(|slot| &slot[..]).concat())), ErrorKind::Unsupported);
    }
    // A version that only a flipped bit made: the checksum does not hold.
    let (loaded, report) = Dirs::load(&Dirs::with(&[&broken[..], &good].concat()));
    assert_eq!(loaded, manifest());
    assert!(matches!(report, SlotReport::OneBad { bad: Slot::Zero, .. }));
}

#[test]
fn slots_that_contradict_each_other_are_corrupt() {
    let other = Manifest { partition: 4, ..manifest() };
    let dir = Dirs::with(&[manifest().encode(4096), other.encode(4096)].concat());
    assert_eq!(Dirs::refusal(&dir), ErrorKind::Corrupt);
}

#[test]
fn slots_grow_by_a_new_file_and_shrink_in_place() {
    let dir = Dirs::empty();
    let mut state = long(70);
    let mut file = ManifestFile::create(&dir, &state).expect("a new directory");
    assert_eq!(file.disk_bytes(), 8192);
    // What an interrupted growth left behind is no hindrance.
    poke(&*dir.create(MANIFEST_NEW).expect("the name is free"), 0, &[7; 100]);
    for (count, disk_bytes) in [(72, 16_384), (2, 16_384), (1_000, 131_072), (1_100, 131_072), (0, 131_072)] {
        state = Manifest { generation: state.generation, ..long(count) };
        file.commit(&mut state).expect("memory has room");
        assert_eq!(file.disk_bytes(), disk_bytes, "{count} segments");
        assert_eq!(Dirs::load(&dir), (state.clone(), SlotReport::Even));
        assert_eq!(dir.list().expect("memory lists").len(), 1);
    }
    // With slot 0 gone, slot 1 is found by its place alone.
    for (count, slot_len) in [(1_u64, 65_536_usize), (1_000, 65_536)] {
        state = Manifest { generation: state.generation, ..long(count) };
        file.commit(&mut state).expect("memory has room");
        for at in [0, 9, 13, 17, 18, 30] {
            let mut bytes = Dirs::content(&dir);
            bytes[at] ^= 0x20;
            let (loaded, report) = Dirs::load(&Dirs::with(&bytes));
            assert_eq!(loaded, state);
            assert!(matches!(report, SlotReport::OneBad { bad: Slot::Zero, .. }));
        }
        let zeroed = [vec![0; slot_len], Dirs::content(&dir)[slot_len..].to_vec()].concat();
        assert_eq!(Dirs::load(&Dirs::with(&zeroed)).0, state);
    }
}

#[test]
fn a_full_disk_stops_growth_and_nothing_else() {
    let dir = MemoryDisk::with_budget(12_288).root();
    let mut state = long(70);
    let mut file = ManifestFile::create(&dir, &state).expect("two pages of three");
    let mut longer = Manifest { generation: 17, ..long(80) };
    assert_eq!(file.commit(&mut longer).expect_err("four more pages").kind(), ErrorKind::NoSpace);
    assert_eq!(longer.generation, 17);
    assert_eq!(Dirs::load(&dir), (state.clone(), SlotReport::Even));
    // Deleting segments needs no room, so a full disk can be relieved.
    state.segments.remove(0);
    state.log_start = offset(100);
    file.commit(&mut state).expect("it is written in place");
    assert_eq!(Dirs::load(&dir), (state, SlotReport::Even));
}

/// What is wrong with the manifest after `change`.
fn flaw(change: impl FnOnce(&mut Manifest)) -> MeaningFlaw {
    let mut changed = manifest();
    change(&mut changed);
    let flaw = changed.check().expect_err("it makes no sense");
    // The same is found in a slot whose checksum holds.
    assert_eq!(Manifest::decode(&changed.encode(4096)), Err(SlotFlaw::Meaning(flaw.clone())));
    flaw
}

#[test]
fn each_contradiction_is_found() {
    assert_eq!(flaw(|m| m.segments[1].sequence = 8), MeaningFlaw::SequenceTwice { sequence: 8 });
    assert_eq!(flaw(|m| m.next_sequence = 8), MeaningFlaw::Sequence { next: 8, sequence: 8 });
    let state = |sequence, expected, found| MeaningFlaw::State { sequence, expected, found };
    let two_open = flaw(|m| m.segments[1].state = SegmentState::Open);
    assert_eq!(two_open, state(2, "a prepared", SegmentState::Open));
    let sealed_last = flaw(|m| m.segments[3] = sealed(8, 400, 401));
    assert_eq!(sealed_last, state(8, "a prepared", SegmentState::Sealed));
    let two_prepared = flaw(|m| m.segments[2] = prepared(2, 300));
    assert_eq!(two_prepared, state(8, "no", SegmentState::Prepared));

    for end in [0, 4088, 8191] {
        let end = Position::new(end);
        assert_eq!(flaw(|m| m.segments[1].end = end), MeaningFlaw::End { sequence: 7, end });
    }
    let offsets = |flaw: MeaningFlaw| match flaw {
        MeaningFlaw::Offsets { expected, .. } => expected,
        other => panic!("expected a flaw of the offsets, found {other}"),
    };
    assert_eq!(offsets(flaw(|m| m.segments[1].end_offset = offset(99))), "the first not behind the end");
    let full = flaw(|m| m.segments[3].end = Position::new(4104));
    assert_eq!(offsets(full), "no batches in a prepared segment");
    let counted = flaw(|m| m.segments[3].end_offset = offset(401));
    assert_eq!(offsets(counted), "no offsets in a prepared segment");
    let hollow = flaw(|m| m.segments[2].end = Position::new(4096));
    assert_eq!(offsets(hollow), "no offsets where there are no batches");
    let silent = flaw(|m| m.segments[2].end_offset = offset(300));
    assert_eq!(offsets(silent), "offsets where there are batches");

    let order = flaw(|m| m.segments[1] = sealed(7, 0, 250));
    assert_eq!(order, MeaningFlaw::Order { sequence: 7, before: offset(0), found: offset(0) });
    let gap =
        |expected, found| MeaningFlaw::Gap { sequence: 7, expected: offset(expected), found: offset(found) };
    assert_eq!(flaw(|m| m.segments[0].end_offset = offset(99)), gap(99, 100));
    assert_eq!(flaw(|m| m.segments[0].end_offset = offset(101)), gap(101, 100));
    let gap = |m: &mut Manifest, range| m.lost = vec![range];
    for range in [lost(251, 300), lost(250, 299), lost(200, 249), lost(301, 350)] {
        assert!(matches!(flaw(|m| gap(m, range)), MeaningFlaw::Gap { sequence: 2, .. }), "{range:?}");
    }

    let bad_lost = flaw(|m| m.lost = vec![lost(250, 300), lost(299, 310)]);
    assert_eq!(bad_lost, MeaningFlaw::Lost { after: offset(300), from: offset(299), to: offset(310) });
    assert!(matches!(flaw(|m| m.lost = vec![lost(7, 7)]), MeaningFlaw::Lost { .. }));
    let beyond_sealed = flaw(|m| {
        m.segments.truncate(1);
        (m.lost, m.log_start) = (Vec::new(), offset(101));
    });
    assert!(matches!(beyond_sealed, MeaningFlaw::LogStart { .. }));
    let uncovered = flaw(|m| {
        m.segments.remove(0);
    });
    assert!(matches!(uncovered, MeaningFlaw::LogStart { .. }));
}

#[test]
fn what_looks_odd_and_is_not_is_accepted() {
    let accepted = |change: &dyn Fn(&mut Manifest)| {
        let mut changed = manifest();
        change(&mut changed);
        assert_eq!(changed.check(), Ok(()));
        assert_eq!(Manifest::decode(&changed.encode(4096)), Ok(changed));
    };
    accepted(&|m| m.segments.clear());
    accepted(&|m| m.segments.truncate(2));
    accepted(&|m| m.segments = vec![prepared(8, 700)]);
    accepted(&|m| m.segments = vec![sealed(0, 0, 100), prepared(8, 0)]);
    accepted(&|m| m.segments = vec![sealed(0, 0, 100), open(3, 100, 100)]);
    accepted(&|m| m.log_start = offset(400));
    // An open segment goes on behind the end that is listed.
    accepted(&|m| m.log_start = offset(401));
    accepted(&|m| m.lost = vec![lost(240, 260), lost(260, 290), lost(290, 1_000)]);
    accepted(&|m| m.segments[2].layout = Layout::Compacted);
    accepted(&|m| {
        m.lost = vec![lost(0, 100), lost(250, 300)];
        m.segments.remove(0);
    });
    // Compaction took everything out of a segment, which keeps its offsets.
    accepted(&|m| {
        m.segments[1].layout = Layout::Compacted;
        m.segments[1].end = Position::new(4096);
    });
}

#[test]
fn counts_and_lengths_are_checked_before_anything_is_read_by_them() {
    let slot = manifest().encode(4096);
    let forged = |at: usize, bytes: &[u8]| {
        let mut forged = slot.clone();
        forged[at..at + bytes.len()].copy_from_slice(bytes);
        reseal(&mut forged);
        Manifest::decode(&forged)
    };
    assert!(matches!(forged(72, &[0xff; 8]), Err(SlotFlaw::Length { found: 320, .. })));
    assert!(matches!(forged(20, &[0xff; 4]), Err(SlotFlaw::Length { expected: 320, .. })));
    // 200 segments and a length that agrees: more than the slot has.
    let counts =
        [&(80_u32 + 200 * 56).to_le_bytes()[..], &slot[24..72], &200_u32.to_le_bytes(), &[0; 4]].concat();
    assert_eq!(forged(20, &counts), Err(SlotFlaw::Short { expected: 11_280, found: 4096 }));
    assert_eq!(forged(16, &[0, 0x20]), Err(SlotFlaw::Short { expected: 8192, found: 4096 }));
    let field = |field, expected, found| Err(SlotFlaw::Field { field, expected, found });
    assert_eq!(forged(80 + 52, &[3]), field("segment state", "0 to 2", 3));
    assert_eq!(forged(80 + 53, &[2]), field("layout", "0 or 1", 2));
    assert_eq!(forged(80 + 55, &[1]), field("segment", "zeros at its end", 256));
    assert_eq!(forged(4095, &[1]), field("rest", "zeros", 1));
    assert_eq!(forged(63, &[0x80]), field("log start", "at most 2^63 - 1", 1 << 63 | 10));
    for capacity in [0_u32, 1, 4095, 5000, 1 << 25, u32::MAX] {
        let mut bytes = slot.clone();
        bytes[16..20].copy_from_slice(&capacity.to_le_bytes());
        reseal(&mut bytes);
        assert_eq!(slots::probe::<Manifest>(&bytes), Err(SlotFlaw::Capacity { found: capacity }));
        assert_eq!(Dirs::load(&Dirs::with(&[&bytes[..], &slot].concat())).0, manifest());
    }
}

proptest! {
    #[test]
    fn any_fields_behind_a_good_checksum_are_read_or_refused(
        at in 16_usize..400, bytes in prop::collection::vec(any::<u8>(), 1..24),
    ) {
        let mut forged = manifest().encode(4096);
        forged[at..at + bytes.len()].copy_from_slice(&bytes);
        reseal(&mut forged);
        if let Ok(read) = Manifest::decode(&forged) {
            prop_assert_eq!(read.encode(4096), forged);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..9000), framed: bool) {
        let mut bytes = bytes;
        if framed && bytes.len() >= 20 {
            bytes[..12].copy_from_slice(b"ANNALMAN\x01\0\0\0");
            let capacity = u32::try_from(bytes.len()).expect("a short slot");
            bytes[16..20].copy_from_slice(&capacity.to_le_bytes());
            reseal(&mut bytes);
        }
        prop_assert!(Manifest::decode(&bytes).is_err());
        prop_assert_eq!(Dirs::refusal(&Dirs::with(&bytes)), ErrorKind::Corrupt);
    }
}
