//! `docs/format.md` says what the code of the catalog does.

use super::tests::catalog;
use super::*;

const PAGE: &str = include_str!("../../../docs/format.md");

/// The fields of the table in the section "Catalog" that begins with `first`: where, and how many bytes.
fn fields(first: &str) -> Vec<(usize, &'static str)> {
    let (_, section) = PAGE.split_once("\n## Catalog\n").expect("the page has the section");
    let section = section.split("\n## ").next().expect("a split has a first part");
    let rows = section.lines().skip_while(|line| !line.starts_with(&format!("| 0 | {first} |")));
    let cells = |line: &'static str| line.split('|').map(str::trim).collect::<Vec<_>>();
    let rows = rows.take_while(|line| line.starts_with('|')).map(cells);
    let mut end = 0;
    let field = |row: Vec<&'static str>| {
        assert_eq!(row[1].parse(), Ok(end), "{row:?}");
        end += match row[3] {
            "16 bytes" => 16,
            "u8" => 1,
            "u16" => 2,
            "u32" => 4,
            "u64" => 8,
            "bytes" => 0,
            other => panic!("{other} is no type"),
        };
        (end, row[2].trim_matches('`'))
    };
    rows.map(field).collect()
}

#[test]
fn the_catalog_is_as_written() {
    let (head, topic) = (fields("frame"), fields("`id`"));
    let ends = |fields: &[(usize, &str)]| fields.last().map(|(end, _)| *end);
    assert_eq!(ends(&head), Some(Catalog::default().encoded_len()));
    let one = Catalog { topics: catalog().topics.drain(1..2).collect(), ..Catalog::default() };
    assert_eq!(one.encoded_len(), 40 + ends(&topic).expect("a topic has fields") + "orders".len());
    let bytes = one.encode(4096);
    assert!(bytes.starts_with(b"ANNALCAT") && PAGE.contains("| `ANNALCAT` | catalog slot |"));
    let number = |start: usize, fields: &[(usize, &str)], name: &str| {
        let at = fields.iter().position(|(_, field)| *field == name).expect("the page names the field");
        let range = start + fields[at - 1].0..start + fields[at].0;
        bytes[range].iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    assert_eq!(["capacity", "length", "topic_count"].map(|name| number(0, &head, name)), [4096, 114, 1]);
    let names = ["partition_count", "ready_count", "segment_bytes_max", "segment_age_max", "retention_age"];
    assert_eq!(names.map(|name| number(40, &topic, name)), [5, 3, 1 << 20, 1_234, 77]);
    let names =
        ["retention_bytes", "batch_bytes_max", "retention", "timestamps", "durability", "name_length"];
    assert_eq!(names.map(|name| number(40, &topic, name)), [88, 2_048, 3, 1, 0, 6]);
}
