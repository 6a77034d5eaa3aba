//! `docs/format.md` says what the code does.

use super::*;
use crate::record::batch_header::{at, bit};
use crate::record::limits::{HEADER_COUNT_MAX, RECORD_COUNT_MAX};
use std::collections::BTreeMap;

const PAGE: &str = include_str!("../../../docs/format.md");

/// The cells of each table row below `heading`, up to the next heading of its rank.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let rank = heading.split(' ').next().unwrap();
    let (_, section) = PAGE.split_once(&format!("\n{heading}\n")).expect(heading);
    let section = section.split(&format!("\n{rank} ")).next().unwrap();
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect();
    section.lines().filter(|line| line.starts_with('|')).map(cells).collect()
}

/// Name to place, of each row that begins with a number; every field begins where the one before it ends.
fn fields() -> BTreeMap<&'static str, std::ops::Range<usize>> {
    let mut fields = BTreeMap::new();
    let mut end = 0;
    for row in rows("### Fields of the header") {
        let Ok(start) = row[0].parse::<usize>() else { continue };
        assert_eq!(start, end, "{row:?}");
        end = start + row[2][1..].parse::<usize>().unwrap() / 8;
        if fields.insert(row[1].trim_matches('`'), start..end).is_some() {
            assert_eq!(row[1], "`zero`");
        }
        if start < HEADER_LEN {
            assert!(end <= HEADER_LEN, "{row:?}");
        }
    }
    assert_eq!(end, HEADER_LEN + IDENTITY_LEN);
    fields
}

#[test]
fn the_header_is_laid_out_as_written() {
    let fields = fields();
    for (name, range) in [
        ("crc32", at::CRC32),
        ("check", at::CHECK),
        ("length", at::LENGTH),
        ("synced", at::SYNCED),
        ("base_offset", at::BASE_OFFSET),
        ("last_offset_delta", at::LAST_OFFSET_DELTA),
        ("record_count", at::RECORD_COUNT),
        ("base_timestamp", at::BASE_TIMESTAMP),
        ("max_timestamp", at::MAX_TIMESTAMP),
        ("leader_epoch", at::LEADER_EPOCH),
        ("attributes", at::ATTRIBUTES),
    ] {
        assert_eq!(fields[name], range, "{name}");
    }
    assert_eq!(fields["producer_id"].start, HEADER_LEN);
}

#[test]
fn the_fields_are_read_from_where_they_are_written_down() {
    let mut bytes = naive::encode(&sample::identified());
    let fields = fields();
    let mut put = |name: &str, value: u64| {
        let range = fields[name].clone();
        let len = range.len();
        bytes[range].copy_from_slice(&value.to_le_bytes()[..len]);
    };
    for (value, name) in
        (1..).zip(["base_offset", "base_timestamp", "max_timestamp", "leader_epoch", "producer_id"])
    {
        put(name, value);
    }
    for (value, name) in (6..).zip(["base_sequence", "producer_epoch", "kafka_crc32c", "synced"]) {
        put(name, value);
    }
    let header = BatchHeader::decode(&bytes).unwrap();
    assert_eq!(header.base_offset.get(), 1);
    assert_eq!((header.base_timestamp.as_millis(), header.max_timestamp.as_millis()), (2, 3));
    assert_eq!((header.leader_epoch, header.synced.get()), (4, 9));
    let identity = header.identity.unwrap();
    assert_eq!(identity.producer, Some(Producer { id: 5, base_sequence: 6, epoch: 7 }));
    assert_eq!(identity.kafka_crc32c, Some(8));
}

#[test]
fn attribute_bits_are_as_written() {
    let mut known = 0;
    for row in &rows("### Attributes")[2..] {
        let (first, last) = row[0].split_once(" to ").unwrap_or((row[0], row[0]));
        let (first, last): (u32, u32) = (first.parse().unwrap(), last.parse().unwrap());
        let mask = (first..=last).fold(0, |mask, bit| mask | 1_u16 << bit);
        let expected = match row[1] {
            "compression" => bit::COMPRESSION,
            "log append time" => bit::LOG_APPEND_TIME,
            "transactional" => bit::TRANSACTIONAL,
            "control" => bit::CONTROL,
            "delete horizon" => bit::DELETE_HORIZON,
            "identity" => bit::IDENTITY,
            "kafka crc" => bit::KAFKA_CRC,
            "zero" => {
                assert_eq!(mask & bit::KNOWN, 0);
                continue;
            }
            other => panic!("{other}"),
        };
        assert_eq!(mask, expected, "{row:?}");
        known |= mask;
    }
    assert_eq!(known, bit::KNOWN);
}

#[test]
fn limits_are_as_written() {
    let rows = rows("## Limits");
    let limit = |what: &str| rows.iter().find(|row| row[0] == what).map(|row| row[1]).expect(what);
    assert_eq!(BatchLimits::default().bytes_max(), 1 << 20);
    assert_eq!((BatchLimits::BYTES_MAX_LEAST, BatchLimits::BYTES_MAX_MOST), (1 << 10, 1 << 30));
    assert_eq!(limit("batch, as stored"), "1 MiB unless set otherwise; from 1 KiB to 1 GiB");
    assert_eq!(limit("headers of a record").replace(',', ""), HEADER_COUNT_MAX.to_string());
    assert_eq!(RECORD_COUNT_MAX, (1 << 31) - 1);
    assert!(limit("records of a batch").starts_with("2^31 - 1"));
}
