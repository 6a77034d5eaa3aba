//! Imports point down: a file uses the floors below its own, and its own folder.

use crate::source::{self, Finding, Source};

/// From the ground up. Names on one line do not use each other.
const FLOORS: &[&[&str]] = &[
    &["error"],
    &["units", "sync"],
    &["clock"],
    &["upkeep"],
    &["io"],
    &["record"],
    &["segment"],
    &["partition"],
    &["topic"],
    &["group", "dump"],
    &["broker"],
    &["producer", "consumer"],
    &["streams"],
    &["cluster"],
    &["kafka"],
    &["bin"],
];

fn height(floor: &str) -> Option<usize> {
    FLOORS.iter().position(|level| level.contains(&floor))
}

/// The floor a file belongs to: the first part of its path below `src`.
fn floor_of(path: &str) -> &str {
    let inside = path.trim_start_matches("src/");
    inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
}

/// Which floor each name at the crate's root comes from.
pub struct Root(Vec<(String, String)>);

impl Root {
    /// Read from the re-exports in `lib.rs`.
    pub fn of(lib: &Source) -> Self {
        let mut names = Vec::new();
        for start in source::words(&lib.library, "use") {
            let end = lib.library[start..].find(';').map_or(lib.library.len(), |len| start + len);
            let statement = lib.library[start + 3..end].trim();
            let Some((floor, names_of_floor)) = statement.split_once("::") else { continue };
            let names_of_floor = names_of_floor.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            for name in names_of_floor.filter(|name| !name.is_empty()) {
                names.push((name.to_owned(), floor.trim().to_owned()));
            }
        }
        Self(names)
    }

    /// The floor that a name used as `crate::name` stands on.
    fn floor<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let exported = || self.0.iter().find(|(exported, _)| exported == name);
        if height(name).is_some() { Some(name) } else { exported().map(|(_, floor)| floor.as_str()) }
    }
}

/// Every `crate::name` in what users run, also inside braces: where, and which name.
fn used(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for start in source::words(code, "crate::") {
        let rest = start + "crate::".len();
        let parts = match code.as_bytes().get(rest) {
            Some(b'{') => top_level(&code[rest + 1..source::closing(code, rest) - 1]),
            _ => vec![&code[rest..]],
        };
        for part in parts {
            let name = part.trim_start();
            let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push((start, name));
        }
    }
    found
}

/// The parts of a brace group, split at its own commas only.
fn top_level(group: &str) -> Vec<&str> {
    let mut depth = 0;
    group
        .split(|c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        })
        .collect()
}

/// How many `super::` lead out of the file's own floor.
fn depth(path: &str) -> usize {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    inside.split('/').filter(|part| *part != "mod").count()
}

pub fn imports_up(source: &Source, root: &Root) -> Vec<Finding> {
    let own = floor_of(&source.path);
    if own == "lib" || source.library.trim().is_empty() {
        return Vec::new();
    }
    let Some(own_height) = height(own) else {
        return vec![source.finding(
            0,
            format!("`{own}` has no place among the floors: give it one in tests/tidy/floors.rs"),
        )];
    };
    let mut findings = Vec::new();
    for (position, name) in used(&source.library) {
        let Some(floor) = root.floor(&name) else { continue };
        if floor != own && height(floor).is_none_or(|height| height >= own_height) {
            findings.push(source.finding(
                position,
                format!("`{own}` uses `crate::{name}` of `{floor}`, which is not below it: move it down, or use a trait"),
            ));
        }
    }
    for (position, _) in source.library.match_indices(&"super::".repeat(depth(&source.path))) {
        findings.push(
            source
                .finding(position, "leaves its floor by `super::`: write `crate::`, so that the way is seen"),
        );
    }
    findings
}

#[test]
fn a_file_uses_only_what_is_below_it() {
    let sources = source::library();
    let lib = sources.iter().find(|source| source.path == "src/lib.rs").expect("a library has a lib.rs");
    let root = Root::of(lib);
    source::check(&sources, |source| imports_up(source, &root));
}

#[test]
fn this_rule_can_fail() {
    let root =
        Root::of(&Source::new("src/lib.rs", "mod partition;\npub use partition::{Partition, Reader};"));
    let findings = |path: &str, text: &str| imports_up(&Source::new(path, text), &root).len();
    assert_eq!(findings("src/record/batch.rs", "use crate::segment::Segment;"), 1);
    assert_eq!(findings("src/record/batch.rs", "use crate::{io, partition::{self, Reader}};"), 1);
    assert_eq!(findings("src/record/batch.rs", "fn a() -> crate::Reader {}"), 1);
    assert_eq!(findings("src/units.rs", "use crate::sync::Mutex;"), 1, "across");
    assert_eq!(findings("src/consumer/a.rs", "use crate::producer::A;"), 1, "across");
    assert_eq!(findings("src/record/mod.rs", "use super::segment::Segment;"), 1);
    assert_eq!(findings("src/record/a/b.rs", "use super::super::super::segment::Segment;"), 1);
    assert_eq!(findings("src/novelty/mod.rs", "fn a() {}"), 1);

    assert_eq!(
        findings("src/segment/a/b.rs", "use super::super::c; use crate::{segment::d, record::{self, e}};"),
        0
    );
    assert_eq!(findings("src/record/batch.rs", "#[cfg(test)]\nmod tests { use crate::Partition; }"), 0);
    assert_eq!(findings("src/record/batch.rs", "// crate::partition\npub(crate) fn a() {}"), 0);
}
