//! `docs/format.md` says what the code of the files does: every field begins where the one before it ends, and
//! the whole is as long as what is written.

use super::*;
use crate::segment::{
    FRAME_LEN, IndexOwner, IndexWriter, Layout, Origin, SEGMENT_HEADER_LEN, SegmentHeader, TAIL_MARK_LEN,
};
use std::ops::Range;

const PAGE: &str = include_str!("../../../../docs/format.md");

/// The cells of each row of the table whose first field is `first`, in the section below `heading`.
fn table(heading: &str, first: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).expect("the page has the section");
    let section = section.split("\n## ").next().expect("a split has a first part");
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    let rows = section.lines().skip_while(|line| !line.contains(&format!("| {first} |")));
    rows.take_while(|line| line.starts_with('|')).map(cells).collect()
}

/// The fields of that table by name, which follow one another without gaps from `start` on.
fn fields(heading: &str, first: &str, start: usize) -> Vec<(&'static str, Range<usize>)> {
    let mut end = start;
    let mut fields = Vec::new();
    for row in table(heading, first) {
        assert_eq!(row[0].parse(), Ok(end), "{heading}: {row:?}");
        let len = match row[2] {
            "u8" => 1,
            "u16" => 2,
            "u32" => 4,
            "u64" | "i64" => 8,
            bytes => bytes.strip_suffix(" bytes").and_then(|bytes| bytes.parse().ok()).expect("a length"),
        };
        fields.push((row[1].trim_matches('`'), end..end + len));
        end += len;
    }
    fields
}

fn end(fields: &[(&str, Range<usize>)]) -> usize {
    fields.last().map_or(0, |(_, range)| range.end)
}

/// The number that `bytes` hold in the field `name`.
fn number(bytes: &[u8], fields: &[(&str, Range<usize>)], name: &str) -> u64 {
    let (_, range) = fields.iter().find(|(field, _)| *field == name).expect("the page names the field");
    bytes[range.clone()].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[test]
fn the_frame_and_the_magics_are_as_written() {
    assert_eq!(end(&fields("Frame", "`magic`", 0)), FRAME_LEN);
    let magics: Vec<&str> =
        table("Frame", "segment header").iter().map(|row| row[0].trim_matches('`')).collect();
    let rows = PAGE.lines().filter(|line| line.starts_with("| `ANNAL")).count();
    // The catalog's is checked where the catalog is.
    assert_eq!((magics.len(), rows), (5, 5));
    let owner = IndexOwner { salt: 1, sequence: 2, first_offset: Offset::ZERO };
    let index = IndexWriter::new(owner).seal().encode(Position::new(SEGMENT_HEADER_LEN), Timestamp::MIN);
    let files = [header().encode().to_vec(), manifest().encode(4096), index.offsets, index.times];
    for (magic, file) in magics.iter().zip(files) {
        assert_eq!(&file[..12], [magic.as_bytes(), &[1, 0, 0, 0]].concat());
    }
}

fn header() -> SegmentHeader {
    let topic = TopicId::from_bytes([7; 16]);
    let created_at = Timestamp::from_millis(5);
    let (layout, origin) = (Layout::Compacted, Origin::Copied);
    SegmentHeader { topic, partition: 1, sequence: 3, salt: 4, created_at, layout, origin }
}

#[test]
fn the_segment_header_is_as_written() {
    let fields = fields("Segment header", "`topic`", FRAME_LEN);
    assert_eq!(end(&fields), header().encode().len());
    let values = ["partition", "layout", "sequence", "salt", "created_at", "origin"]
        .map(|name| number(&header().encode(), &fields, name));
    assert_eq!(values, [1, 1, 3, 4, 5, 1]);
}

#[test]
fn the_tail_mark_is_as_written() {
    let fields = fields("Tail mark", "`crc32`", 0);
    assert_eq!(u32::try_from(end(&fields)), Ok(TAIL_MARK_LEN));
    let mark = crate::segment::TailMark {
        synced: Position::new(4096),
        durable_offset: offset(2),
        last_append_time: Timestamp::from_millis(3),
        manifest_generation: 4,
    };
    let bytes = mark.encode(crate::record::Place { salt: 1, position: Position::new(8192) });
    let values = ["length", "synced", "durable_offset", "last_append_time", "manifest_generation"]
        .map(|name| number(&bytes, &fields, name));
    assert_eq!(values, [40, 4096, 2, 3, 4]);
}

#[test]
fn the_manifest_is_as_written() {
    let head = fields("Manifest", "frame", 0);
    let segment = fields("Manifest", "`sequence`", 0);
    let none = Manifest { segments: Vec::new(), lost: Vec::new(), ..manifest() };
    assert_eq!(end(&head), none.encoded_len());
    assert_eq!(end(&head) + 4 * end(&segment) + 16, manifest().encoded_len());
    let bytes = Manifest { generation: 77, ..manifest() }.encode(4096);
    let values =
        ["capacity", "length", "generation", "partition", "leader_epoch", "log_start", "next_sequence"]
            .map(|name| number(&bytes, &head, name));
    assert_eq!(values, [4096, 320, 77, 3, 5, 10, 9]);
    assert_eq!(["segment_count", "lost_count"].map(|name| number(&bytes, &head, name)), [4, 1]);
    let third = &bytes[end(&head) + 2 * end(&segment)..];
    let values =
        ["sequence", "first_offset", "end_offset", "digest", "last_append_time", "end", "state", "layout"]
            .map(|name| number(third, &segment, name));
    assert_eq!(values, [2, 300, 400, 0xd16e59, 1_000, 8192, 1, 0]);

    let most = |capacity: usize| (capacity - end(&head)) / end(&segment);
    assert!(PAGE.contains(&format!("from {} bytes ({}\nsegments)", slots::CAPACITY_MIN, most(4096))));
    assert_eq!((slots::CAPACITY_MAX, most(16 << 20) / 1_000), (16 << 20, 299));
}

#[test]
fn the_index_files_are_as_written() {
    let head = fields("Index files", "frame", 0);
    let offsets = fields("Index files", "`relative_offset`", 0);
    let times = fields("Index files", "`before`", 0);
    let mut writer = IndexWriter::new(IndexOwner { salt: 1, sequence: 2, first_offset: offset(3) });
    writer.push(offset(4), Position::new(4096), Timestamp::from_millis(5));
    writer.push(offset(9), Position::new(9000), Timestamp::from_millis(4));
    let encoded = writer.index().encode(Position::new(9104), writer.max_timestamp());
    assert_eq!(end(&head) + 2 * end(&offsets), encoded.offsets.len());
    assert_eq!(end(&head) + 2 * end(&times), encoded.times.len());
    let values = ["salt", "sequence", "first_offset", "max_timestamp", "end", "count"]
        .map(|name| number(&encoded.times, &head, name));
    assert_eq!(values, [1, 2, 3, 5, 9104, 2]);
    let second = &encoded.offsets[end(&head) + end(&offsets)..];
    assert_eq!(["relative_offset", "position"].map(|name| number(second, &offsets, name)), [6, 9000]);
    let second = &encoded.times[end(&head) + end(&times)..];
    assert_eq!(
        ["before", "relative_offset", "position"].map(|name| number(second, &times, name)),
        [5, 6, 9000]
    );
}
