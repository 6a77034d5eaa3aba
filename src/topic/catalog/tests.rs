use super::*;
use crate::io::Access;
use crate::partition::slots::dirs::{self, poke};
use crate::{Durability, ErrorKind, ReadLevel, Retention, TimestampSource};
use proptest::prelude::*;
use std::time::Duration;

type Dirs = dirs::Dirs<Catalog>;

fn topic(name: &str, id: u8) -> TopicEntry {
    TopicEntry {
        name: TopicName::new(name).expect("tests use good names"),
        id: TopicId::from_bytes([id; 16]),
        state: TopicState::Live,
        partition_count: 3,
        ready_count: 3,
        settings: TopicSettings::new(),
    }
}

pub(super) fn catalog() -> Catalog {
    let odd = TopicSettings {
        segment_bytes_max: 1 << 20,
        segment_age_max: Duration::from_millis(1_234),
        batch_bytes_max: 2_048,
        retention: Retention::AgeOrBytes(Duration::from_millis(77), 88),
        timestamps: TimestampSource::LogAppendTime,
        durability: Durability::Written,
        read_level: ReadLevel::Written,
    };
    let topics = vec![
        topic("Audit", 1),
        TopicEntry { settings: odd, partition_count: 5, ..topic("orders", 2) },
        TopicEntry { state: TopicState::Deleting, ..topic("orders.v0", 3) },
    ];
    Catalog { generation: 0, topics }
}

/// A catalog of so many topics.
fn long(count: usize) -> Catalog {
    let name = |number| format!("topic-{number:06}");
    let id = |number: usize| TopicId::from_bytes(u128::try_from(number).expect("small").to_le_bytes());
    let topics = (0..count).map(|number| TopicEntry { id: id(number), ..topic(&name(number), 0) }).collect();
    Catalog { generation: 0, topics }
}

/// Puts a checksum that holds into the slot that `bytes` are.
fn reseal(bytes: &mut [u8]) {
    bytes[..16].copy_from_slice(&Catalog::FRAME.begin(0));
    Catalog::FRAME.seal(bytes);
}

#[test]
fn the_bytes_lie_where_the_format_says() {
    let bytes = Catalog { generation: 4, ..catalog() }.encode(4096);
    assert_eq!(bytes.len(), 4096);
    assert_eq!(&bytes[..12], b"ANNALCAT\x01\0\0\0");
    assert_eq!(&bytes[16..40], b"\0\x10\0\0\x08\x01\0\0\x04\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0");
    let second = &bytes[40 + 68 + 5..][..68 + 6];
    assert_eq!(
        &second[..24],
        b"\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x05\0\0\0\x03\0\0\0"
    );
    assert_eq!(&second[24..40], b"\0\0\x10\0\0\0\0\0\xd2\x04\0\0\0\0\0\0");
    assert_eq!(&second[40..56], b"\x4d\0\0\0\0\0\0\0\x58\0\0\0\0\0\0\0");
    assert_eq!(&second[56..], b"\0\x08\0\0\x03\x01\0\0\0\x06\0\0orders");
    assert!(bytes[264..].iter().all(|byte| *byte == 0));
    assert_eq!(Catalog::decode(&bytes), Ok(Catalog { generation: 4, ..catalog() }));
}

#[test]
fn what_was_committed_is_loaded() {
    let dir = Dirs::empty();
    assert_eq!(CatalogFile::load(&dir).expect_err("there is none").kind(), ErrorKind::NotFound);
    let mut file = CatalogFile::create(&dir, &Catalog::default()).expect("a new directory");
    // It grows beyond a slot, and shrinks again.
    for count in [0, 3, 200, 199, 1] {
        let mut next = long(count);
        file.commit(&mut next).expect("memory has room");
        assert_eq!(Dirs::load(&dir), (next, CatalogReport::Even));
    }
    assert_eq!(dir.list().expect("memory lists").len(), 1);
}

#[test]
fn every_flipped_bit_is_healed_by_the_other_slot() {
    let dir = Dirs::empty();
    CatalogFile::create(&dir, &catalog()).expect("a new directory");
    Dirs::flip_every_bit(&dir, &catalog());
}

#[test]
fn every_cut_is_found() {
    let dir = Dirs::empty();
    CatalogFile::create(&dir, &catalog()).expect("a new directory");
    let good = Dirs::content(&dir);
    for len in 0..good.len() {
        let cut = Dirs::with(&good[..len]);
        if len < 4096 {
            assert_eq!(Dirs::refusal(&cut), ErrorKind::Corrupt, "cut at {len}");
        } else {
            assert_eq!(Dirs::load(&cut).0, catalog(), "cut at {len}");
        }
    }
}

#[test]
fn a_commit_torn_at_any_byte_leaves_the_old_state_or_the_new() {
    let dir = Dirs::empty();
    let mut file = CatalogFile::create(&dir, &catalog()).expect("a new directory");
    let before = Dirs::content(&dir);
    let mut new = catalog();
    new.topics.remove(0);
    file.commit(&mut new).expect("memory has room");
    let after = Dirs::content(&dir);
    let torn = Dirs::with(&before);
    let raw = torn.open(CATALOG, Access::ReadWrite).expect("the catalog is there");
    // Generation 1 writes slot 1 first.
    for at in (4096..8192).chain(0..4096) {
        let (loaded, report) = Dirs::load(&torn);
        let expected = if at >= 4096 && before[at..] != after[at..] { catalog() } else { new.clone() };
        assert_eq!(loaded, expected, "torn at {at}: {report:?}");
        poke(&*raw, at, &after[at..=at]);
    }
    assert_eq!(Dirs::load(&torn), (new, CatalogReport::Even));
}

#[test]
fn a_newer_version_is_unsupported() {
    let mut newer = catalog().encode(4096);
    newer[8] = 2;
    let frame = crate::segment::Frame { version: 2, ..Catalog::FRAME };
    frame.seal(&mut newer);
    let good = catalog().encode(4096);
    assert_eq!(Dirs::refusal(&Dirs::with(&[newer, good].concat())), ErrorKind::Unsupported);
}

#[test]
fn a_catalog_that_makes_no_sense_is_refused() {
    let flaw = |change: &dyn Fn(&mut Vec<TopicEntry>)| {
        let mut changed = catalog();
        change(&mut changed.topics);
        let flaw = changed.check().expect_err("it makes no sense");
        let decoded = Catalog::decode(&changed.encode(4096)).expect_err("nor when it is read");
        assert_eq!(decoded, slots::SlotFlaw::Meaning(flaw.clone()));
        flaw
    };
    assert!(matches!(flaw(&|topics| topics.swap(0, 1)), CatalogFlaw::Order { .. }));
    assert!(matches!(flaw(&|topics| topics[1] = topic("Audit", 9)), CatalogFlaw::Order { .. }));
    assert!(matches!(flaw(&|topics| topics[1].id = topics[0].id), CatalogFlaw::SharedId { .. }));
    for (count, ready) in [(0, 0), (2, 3), (100_001, 0)] {
        let change = |topics: &mut Vec<TopicEntry>| {
            (topics[0].partition_count, topics[0].ready_count) = (count, ready);
        };
        assert!(matches!(flaw(&change), CatalogFlaw::Partitions { .. }));
    }
    let change = |topics: &mut Vec<TopicEntry>| topics[0].settings.segment_bytes_max = 1;
    assert!(matches!(flaw(&change), CatalogFlaw::Settings { .. }));
}

#[test]
fn codes_and_names_that_never_were_are_refused() {
    let good = catalog().encode(4096);
    // Count, zero, retention, timestamps, durability, read level, state, name's length, zero, name.
    let first = 40;
    let wrong = [(32, 200), (36, 1), (20, 7), (100, 4), (101, 2), (102, 2), (103, 2), (104, 2), (105, 255)];
    let wrong = wrong.into_iter().chain([(106, 1), (108, b'/'), (first + 40, 1), (4000, 1)]);
    for (at, byte) in wrong {
        let mut bad = good.clone();
        bad[at] = byte;
        reseal(&mut bad);
        assert!(Catalog::decode(&bad).is_err(), "byte {at} is {byte}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read_back_the_same(mut bytes in proptest::collection::vec(any::<u8>(), 24..400)) {
        bytes.resize(4096, 0);
        bytes[16..20].copy_from_slice(&4096_u32.to_le_bytes());
        reseal(&mut bytes);
        if let Ok(catalog) = Catalog::decode(&bytes) {
            prop_assert_eq!(catalog.encode(4096), bytes);
        }
    }
}
