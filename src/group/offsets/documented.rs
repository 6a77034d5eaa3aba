//! `docs/format.md` says what the code of the committed offsets does.

use super::tests::{entry_of_group, entry_of_offset, entry_of_start};
use super::*;

const PAGE: &str = include_str!("../../../docs/format.md");

/// The fields of the table of the section that begins with `first`: where each ends.
fn fields(first: &str) -> Vec<(usize, &'static str)> {
    let (_, section) = PAGE.split_once("\n## Committed offsets\n").expect("the page has the section");
    let section = section.split("\n## ").next().expect("a split has a first part");
    let rows = section.lines().skip_while(|line| !line.starts_with(&format!("| 0 | `{first}` |")));
    let cells = |line: &'static str| line.split('|').map(str::trim).collect::<Vec<_>>();
    let mut end = 0;
    let field = |row: Vec<&'static str>| {
        assert_eq!(row[1].parse(), Ok(end), "{row:?}");
        end += match row[3] {
            "16 bytes" => 16,
            "u8" => 1,
            "u32" => 4,
            "u64" | "i64" => 8,
            "bytes" => 0,
            other => panic!("{other} is no type"),
        };
        (end, row[2].trim_matches('`'))
    };
    rows.take_while(|line| line.starts_with('|')).map(cells).map(field).collect()
}

/// The number that a field holds.
fn number(bytes: &[u8], fields: &[(usize, &str)], name: &str) -> u64 {
    let at = fields.iter().position(|(_, field)| *field == name).expect("the page names the field");
    let start = if at == 0 { 0 } else { fields[at - 1].0 };
    bytes[start..fields[at].0].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[test]
fn committed_offsets_are_as_written() {
    let (key, value) = (entry_of_offset().key(), entry_of_offset().value().expect("it says something"));
    let table = fields("version");
    assert_eq!(table.last(), Some(&(24, "group")));
    assert_eq!(&key[24..], b"billing");
    let names = ["version", "kind", "group_length", "zero", "partition"];
    assert_eq!(names.map(|name| number(&key, &table, name)), [1, 1, 7, 0, 5]);
    assert_eq!(key[4..20], [9; 16]);
    let table = fields("offset");
    assert_eq!(table.last(), Some(&(24, "metadata")));
    let names = ["offset", "timestamp", "leader_epoch", "metadata_length"];
    assert_eq!(names.map(|name| number(&value, &table, name)), [42, 1_000, 3, 4]);
    assert_eq!(&value[24..], b"note");

    let (key, value) = (entry_of_group().key(), entry_of_group().value().expect("it says something"));
    assert_eq!((key[1], &key[4..]), (2, &b"billing"[..]));
    let table = fields("generation");
    assert_eq!(table.last().map(|(end, _)| *end), Some(value.len()));
    let names = ["generation", "is_empty", "empty_since"];
    assert_eq!(names.map(|name| number(&value, &table, name)), [8, 1, 2_000]);

    let (key, value) = (entry_of_start().key(), entry_of_start().value().expect("it says something"));
    assert_eq!((key[1], &key[20..]), (3, &b"billing"[..]));
    let table = fields("partition_count");
    assert_eq!(table.last().map(|(end, _)| *end), Some(value.len()));
    assert_eq!(number(&value, &table, "partition_count"), 6);
    let limit = format!("bytes of metadata: at most {METADATA_LEN_MAX} ");
    assert!(PAGE.contains(&limit) && PAGE.contains(&format!("the topic `{OFFSETS_TOPIC}`")));
}
