//! Batches to test with: a few made by hand, and any that the format allows.

use super::naive::{Plain, PlainRecord};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(super) const SALT: u64 = 0x5eed_5a17_0000_0001;

pub(super) fn record(
    offset_delta: u32,
    timestamp: i64,
    key: Option<&str>,
    value: Option<&str>,
) -> PlainRecord {
    let bytes = |text: &str| text.as_bytes().to_vec();
    PlainRecord { offset_delta, timestamp, key: key.map(bytes), value: value.map(bytes), headers: Vec::new() }
}

/// One record, nothing special.
pub(super) fn plain() -> Plain {
    Plain {
        salt: SALT,
        position: 4_096,
        synced: 0,
        base_offset: 0,
        last_offset_delta: 0,
        base_timestamp: 1_357_034_400_000,
        max_timestamp: 1_357_034_400_000,
        leader_epoch: 0,
        attributes: 0,
        identity: None,
        records: vec![record(0, 1_357_034_400_000, Some("alice"), Some("42"))],
    }
}

/// All that a record can have, and time that runs backward.
pub(super) fn rich() -> Plain {
    let mut records = vec![
        record(0, 1_000, Some("k"), Some("v")),
        record(1, 400, None, None),
        record(2, -5, Some(""), Some("")),
        record(3, 1_064, None, Some("x")),
    ];
    let header = |name: &str, value: Option<&str>| (name.to_owned(), value.map(|v| v.as_bytes().to_vec()));
    records[1].headers = vec![
        header("trace", Some("7f")),
        header("trace", Some("80")),
        header("", Some("")),
        header("größe", None),
    ];
    Plain {
        synced: 4_096,
        position: 8_192,
        base_offset: 1 << 40,
        last_offset_delta: 3,
        base_timestamp: 1_000,
        max_timestamp: 1_064,
        leader_epoch: 9,
        records,
        ..plain()
    }
}

/// An idempotent producer's batch that came from Kafka.
pub(super) fn identified() -> Plain {
    Plain { attributes: 0x0300, identity: Some((77, 1_234, 5, 0xdead_beef)), base_offset: 12, ..plain() }
}

/// What compaction leaves: offsets 3 and 5 of 0 to 7.
pub(super) fn compacted() -> Plain {
    Plain {
        last_offset_delta: 7,
        records: vec![
            record(3, 1_357_034_400_000, Some("a"), Some("1")),
            record(5, 1_357_034_400_000, Some("b"), None),
        ],
        ..plain()
    }
}

/// The log's own time in the place of the producer's.
pub(super) fn append_time() -> Plain {
    let stamped = |record: PlainRecord| PlainRecord { timestamp: 99, ..record };
    let records = rich().records.into_iter().map(stamped).collect();
    Plain { attributes: 0x0008, base_timestamp: 99, max_timestamp: 99, records, ..rich() }
}

pub(super) fn all() -> Vec<(&'static str, Plain)> {
    vec![
        ("plain", plain()),
        ("rich", rich()),
        ("identified", identified()),
        ("compacted", compacted()),
        ("append-time", append_time()),
    ]
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    // Around the lengths at which a length takes one more byte.
    prop_oneof![
        20 => vec(any::<u8>(), 0..20),
        4 => vec(any::<u8>(), 60..70),
        1 => any::<u8>().prop_flat_map(|byte| (8_188..8_196_usize).prop_map(move |len| vec![byte; len])),
    ]
}

fn any_record() -> impl Strategy<Value = PlainRecord> {
    let timestamp = prop_oneof![
        4 => 0_i64..2_000,
        1 => -200_i64..0,
        1 => (i64::MIN / 2)..(i64::MAX / 2),
    ];
    let header = ("[a-zé]{0,4}", option::of(any_bytes()));
    let headers = prop_oneof![3 => Just(Vec::new()), 1 => vec(header, 1..5)];
    (timestamp, option::of(any_bytes()), option::of(any_bytes()), headers).prop_map(
        |(timestamp, key, value, headers)| PlainRecord { offset_delta: 0, timestamp, key, value, headers },
    )
}

/// Any batch that appending records can make.
pub(super) fn any_batch() -> impl Strategy<Value = Plain> {
    let place = (1..u64::MAX, any::<u32>(), any::<u32>());
    let log = (0..=(i64::MAX.cast_unsigned() - 1_000), any::<u32>());
    let records = prop_oneof![4 => vec(any_record(), 1..8), 1 => vec(any_record(), 62..68)];
    (place, log, records).prop_map(|((salt, position, synced), (base_offset, leader_epoch), mut records)| {
        for (delta, record) in (0..).zip(&mut records) {
            record.offset_delta = delta;
        }
        Plain {
            salt,
            position,
            synced,
            base_offset,
            last_offset_delta: u32::try_from(records.len() - 1).unwrap(),
            base_timestamp: records[0].timestamp,
            max_timestamp: records.iter().map(|record| record.timestamp).max().unwrap(),
            leader_epoch,
            attributes: 0,
            identity: None,
            records,
        }
    })
}
