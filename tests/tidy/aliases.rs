//! The README's table of Kafka's names: the documentation knows them, and ours exist.

use crate::source::{self, Finding, Source};
use std::collections::BTreeSet;

const PAGE: &str = "README.md";
const HEADING: &str = "## Kafka's names, and ours";

/// The names in backticks of a cell.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The rows of the table: the line, Kafka's names, ours.
fn rows(page: &str) -> Vec<(usize, Vec<&str>, Vec<&str>)> {
    let lines = page.lines().enumerate().skip_while(|(_, line)| *line != HEADING).skip(1);
    let section = lines.take_while(|(_, line)| !line.starts_with("## "));
    let cells = section.map(|(index, line)| (index + 1, line.split('|').collect::<Vec<_>>()));
    let rows = cells.filter(|(_, cells)| cells.len() == 5);
    rows.map(|(line, cells)| (line, quoted(cells[1]), quoted(cells[2])))
        .filter(|(_, theirs, _)| !theirs.is_empty())
        .collect()
}

/// All of `#[doc(alias = "..")]` in a file.
fn aliases(source: &Source) -> impl Iterator<Item = &str> {
    source.text.split("doc(alias = \"").skip(1).filter_map(|rest| rest.split('"').next())
}

/// Whether the library has something of this name, or each part of this path.
fn exists(name: &str, sources: &[Source]) -> bool {
    name.split("::").all(|part| sources.iter().any(|source| !source::words(&source.library, part).is_empty()))
}

fn untrue(page: &str, sources: &[Source]) -> Vec<Finding> {
    let rows = rows(page);
    let known: BTreeSet<&str> = sources.iter().flat_map(aliases).collect();
    let mut findings = Vec::new();
    for (line, theirs, ours) in &rows {
        for name in theirs.iter().filter(|name| !known.contains(*name)) {
            findings.push(Finding::new(PAGE, *line, format!("nothing has `#[doc(alias = \"{name}\")]`")));
        }
        for name in ours.iter().filter(|name| !exists(name, sources)) {
            findings.push(Finding::new(PAGE, *line, format!("the library has no `{name}`")));
        }
    }
    findings
}

#[test]
fn kafkas_names_lead_to_ours() {
    let page = source::read(PAGE);
    assert!(!rows(&page).is_empty(), "{PAGE} has a table under {HEADING:?}");
    source::assert_none(&untrue(&page, &source::library()));
}

#[test]
fn this_rule_can_fail() {
    let page =
        format!("# A\n| `x.y` | `Gone` | |\n{HEADING}\n| `a.b`, `c.d` | `E::f` | as there |\n## More\n");
    let findings = |text: &str| untrue(&page, &[Source::new("src/a.rs", text)]).len();
    let good = "#[doc(alias = \"a.b\")]\n#[doc(alias = \"c.d\")]\nenum E { f }";
    assert_eq!(findings(good), 0);
    assert_eq!(findings("#[doc(alias = \"a.b\")]\nenum E { f }"), 1, "an alias is missing");
    assert_eq!(findings(&good.replace('f', "g")), 1, "ours is not there");
}
