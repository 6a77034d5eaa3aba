//! `docs/promises.md` names a test for every promise; here is checked that it exists, runs and cites it.

use crate::source::{self, Finding, Source};
use std::collections::BTreeSet;

const TABLE: &str = "docs/promises.md";

/// The numbers that the code there is so far has to keep.
const NUMBERS: std::ops::RangeInclusive<u32> = 1..=40;
/// Those among them that are about code to come: idempotence.
const LATER: &[u32] = &[27];

/// One row of the table.
struct Row {
    line: usize,
    number: u32,
    test: String,
}

fn rows(table: &str) -> Vec<Row> {
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let row = |(index, line): (usize, &str)| match cells(line).as_slice() {
        [_, number, _, test, _] => Some(Row {
            line: index + 1,
            number: number.parse().ok()?,
            test: test.trim_matches('`').to_owned(),
        }),
        _ => None,
    };
    table.lines().enumerate().filter_map(row).collect()
}

fn without_row(rows: &[Row]) -> Vec<Finding> {
    let kept: BTreeSet<u32> = rows.iter().map(|row| row.number).collect();
    let missing = NUMBERS.filter(|number| !kept.contains(number) && !LATER.contains(number));
    missing
        .map(|number| {
            Finding::new(TABLE, 1, format!("no row for promise {number}: name the test that holds it"))
        })
        .collect()
}

/// What is wrong with the test of a row, if anything is.
fn broken(row: &Row, sources: &[Source]) -> Option<Finding> {
    let named = format!("fn {}(", row.test);
    let found = sources.iter().find_map(|source| source.code.find(&named).map(|at| (source, at)));
    let finding = |advice: String| Some(Finding::new(TABLE, row.line, format!("`{}` {advice}", row.test)));
    let Some((source, at)) = found else {
        return finding("does not exist: write it, or name the one that holds this".to_owned());
    };
    let around = with_its_comments(source, at);
    let place = format!("{}:{}", source.path, source.line(at));
    if source::words(around, "#[test]").is_empty() || !source::words(around, "#[ignore").is_empty() {
        return finding(format!("at {place} does not run: it needs `#[test]` and no `#[ignore]`"));
    }
    let cites = format!("SEMANTICS {}", row.number);
    let cited = !source::words(around, &cites).is_empty();
    if cited { None } else { finding(format!("at {place} does not cite `// {cites}`")) }
}

/// The text of the function at `at`, with the comments and attributes above it.
fn with_its_comments(source: &Source, at: usize) -> &str {
    let mut start = source.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    while start > 0 {
        let above = source.text[..start - 1].rfind('\n').map_or(0, |newline| newline + 1);
        let line = source.text[above..start].trim_start();
        if !(line.starts_with("//") || line.starts_with("#[")) {
            break;
        }
        start = above;
    }
    let open = source.code[at..].find('{').map_or(source.code.len() - 1, |len| at + len);
    &source.text[start..source::closing(&source.code, open)]
}

#[test]
fn every_promise_has_a_test_that_runs() {
    let rows = rows(&source::read(TABLE));
    source::assert_none(&without_row(&rows));
    let folders = ["src", "tests/it", "tests/oracle"];
    let sources: Vec<Source> = folders.iter().flat_map(|folder| source::under(folder)).collect();
    source::assert_none(&rows.iter().filter_map(|row| broken(row, &sources)).collect::<Vec<_>>());
    println!("figure: SEMANTICS: {} promises held by {} tests", NUMBERS.count() - LATER.len(), rows.len());
}

#[test]
fn these_rules_can_fail() {
    let table =
        "| SEMANTICS | promise | test |\n|---|---|---|\n| 1 | One. | `holds` |\n| 2 | Two. | `gone` |\n";
    let rows = rows(table);
    assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(without_row(&rows).len(), 37);

    let source = |text: &str| [Source::new("tests/it/a.rs", text)];
    let kept = source("/// SEMANTICS 1: it holds.\n#[test]\nfn holds() { assert!(a) }");
    assert!(broken(&rows[0], &kept).is_none());
    assert!(broken(&rows[1], &kept).is_some(), "no such test");
    for spoilt in [
        "// SEMANTICS 1\nfn holds() {}",
        "// SEMANTICS 1\n#[test]\n#[ignore = \"slow\"]\nfn holds() {}",
        "#[test]\nfn holds() { // SEMANTICS 12\n}",
        "// SEMANTICS 1\n\n#[test]\nfn holds() {}",
        "// fn holds() SEMANTICS 1",
    ] {
        assert!(broken(&rows[0], &source(spoilt)).is_some(), "{spoilt}");
    }
}
