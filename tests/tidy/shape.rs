//! The shape of the tree: names, sizes, doors, and lints where bytes are not to be trusted.

use crate::source::{self, Finding, Source};

const LIBRARY_LINES_MAX: usize = 400;
const TEST_LINES_MAX: usize = 150;

/// Files above the limit, each with its reason. Empty is best.
const LONG: &[(&str, &str)] = &[];

/// Where bytes from a disk are decoded or judged: nothing there may panic.
const DECODERS: &[&str] = &[
    "src/record/batch_header",
    "src/record/check",
    "src/record/chunk",
    "src/record/flip",
    "src/record/records",
    "src/record/section",
    "src/record/varint",
    "src/record/verify",
    "src/record/view",
    "src/segment/fields",
    "src/segment/frame",
    "src/segment/header",
    "src/segment/tail_mark",
    "src/segment/index",
    "src/segment/walk",
    "src/group/offsets/codec",
    "src/group/wire",
    "src/partition/manifest",
    "src/partition/recovery/",
    "src/partition/follower/open_end",
    "src/partition/slots",
    "src/dump",
    "src/topic/catalog",
];

/// What is denied there.
const DENIED: &[&str] = &[
    "clippy::unwrap_used",
    "clippy::expect_used",
    "clippy::indexing_slicing",
    "clippy::arithmetic_side_effects",
];

fn vague_name(source: &Source) -> Vec<Finding> {
    const VAGUE: &[&str] =
        &["util", "utils", "common", "helper", "helpers", "manager", "impl", "impls", "misc"];
    let vague = source.path.trim_end_matches(".rs").split('/').find(|part| VAGUE.contains(part));
    vague
        .map(|name| source.finding(0, format!("`{name}` says nothing: name the file by the noun it holds")))
        .into_iter()
        .collect()
}

fn too_long(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let excused = LONG.iter().any(|(path, _)| *path == source.path);
    let lines = source.library_lines();
    if lines > LIBRARY_LINES_MAX && !excused {
        findings.push(
            source.finding(
                0,
                format!("{lines} lines before tests, of {LIBRARY_LINES_MAX}: it holds two nouns"),
            ),
        );
    }
    let lines = source.test_lines();
    if lines > TEST_LINES_MAX && !source.library.trim().is_empty() {
        let name = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
        findings.push(source.finding(
            0,
            format!("{lines} lines of tests, of {TEST_LINES_MAX}: move them to {name}/tests.rs"),
        ));
    }
    findings
}

fn closed_door(source: &Source) -> Vec<Finding> {
    if source.path.ends_with("/mod.rs")
        && !source.text.starts_with("//!")
        && !source.library.trim().is_empty()
    {
        return vec![source.finding(0, "a door begins with `//!`: what the floor is, and its drawing")];
    }
    Vec::new()
}

/// `lib.rs` is a map: modules and re-exports.
fn code_in_lib(source: &Source) -> Vec<Finding> {
    const ITEMS: &[&str] = &[
        "fn",
        "struct",
        "enum",
        "impl",
        "trait",
        "const",
        "let",
        "type",
        "union",
        "macro_rules!",
        "thread_local!",
    ];
    let places = ITEMS.iter().flat_map(|item| source.words(item));
    places
        .map(|at| source.finding(at, "lib.rs is a map and holds no code: move it to the floor it belongs to"))
        .collect()
}

fn decodes(source: &Source) -> bool {
    DECODERS.iter().any(|decoder| source.path.starts_with(decoder)) && !source.library.trim().is_empty()
}

/// Whether a file, or the door of a folder it lies in, denies what panics.
fn may_panic(source: &Source, all: &[Source]) -> Vec<Finding> {
    if !decodes(source) {
        return Vec::new();
    }
    let mut covering: Vec<&Source> = all.iter().filter(|other| covers(&other.path, &source.path)).collect();
    covering.push(source);
    let denied = |lint: &&&str| {
        covering.iter().any(|source| sets(source, &["deny(", "forbid("], lint))
            && !sets(source, &["allow(", "warn("], lint)
    };
    let missing: Vec<&&str> = DENIED.iter().filter(|lint| !denied(lint)).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    vec![
        source.finding(
            0,
            format!("decodes what may be damaged: deny {missing:?} here or in its door by `#![..]`"),
        ),
    ]
}

/// Whether the attributes at the top of `door` hold for the file `path` as well.
fn covers(door: &str, path: &str) -> bool {
    let folder = door.strip_suffix("mod.rs").map(str::to_owned);
    let folder = folder.unwrap_or_else(|| format!("{}/", door.trim_end_matches(".rs")));
    door != "src/lib.rs" && path.starts_with(&folder)
}

/// Whether an attribute at the top of a file sets `lint` to one of `levels`.
fn sets(source: &Source, levels: &[&str], lint: &str) -> bool {
    source.library.match_indices("#![").any(|(at, _)| {
        let attribute = &source.library[at..source::closing(&source.library, at + 2)];
        levels.iter().any(|level| attribute.contains(level)) && !source::words(attribute, lint).is_empty()
    })
}

/// A `matches!` whose answer nobody looks at.
fn idle_matches(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for at in source::words(&source.code, "matches!") {
        let begins = source.code[..at].trim_end().ends_with(['{', '}', ';']);
        let Some(open) = source.code[at..].find('(').map(|len| at + len) else { continue };
        let ends = source.code[source::closing(&source.code, open)..].trim_start().starts_with(';');
        if begins && ends {
            findings
                .push(source.finding(at, "nobody looks at this `matches!`, so it cannot fail: assert it"));
        }
    }
    findings
}

/// Each direct dependency is few, and has its reason in `docs/design.md`.
fn dependencies(manifest: &str, design: &str) -> Vec<Finding> {
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let lines = || section.lines().filter_map(|line| line.split_once('='));
    let names: Vec<&str> = lines().map(|(name, _)| name.trim()).collect();
    let mut findings = Vec::new();
    // What only a feature brings is not built for those who link the library as it is.
    let always = lines().filter(|(_, what)| !what.contains("optional = true")).count();
    if always > 12 {
        findings.push(Finding::new("Cargo.toml", 1, format!("{always} direct dependencies: at most 12")));
    }
    for name in names.iter().filter(|name| !design.contains(&format!("`{name}`"))) {
        findings.push(Finding::new("docs/design.md", 1, format!("does not say why `{name}` is needed")));
    }
    findings
}

/// Links of a page to files of the project that are not there.
fn dead_links(page: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let folder = page.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let links = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        for link in links.filter(|link| !link.is_empty() && !link.contains("://")) {
            if !exists(&format!("{folder}{link}")) {
                findings.push(Finding::new(page, index + 1, format!("links to {link}, which is not there")));
            }
        }
    }
    findings
}

#[test]
fn links_lead_somewhere() {
    let pages = source::files("docs").into_iter().filter(|page| page.ends_with(".md"));
    for page in pages.chain(["README.md".to_owned()]) {
        source::assert_none(&dead_links(&page, &source::read(&page), |path| {
            source::root().join(path).exists()
        }));
    }
}

#[test]
fn files_are_named_by_the_noun_they_hold() {
    source::check(&source::library(), vague_name);
}

#[test]
fn files_stay_small() {
    source::check(&source::library(), too_long);
}

#[test]
fn every_floor_has_a_door_with_its_drawing() {
    source::check(&source::library(), closed_door);
}

#[test]
fn lib_is_a_map_and_holds_no_code() {
    source::check(&source::library(), |source| {
        if source.path == "src/lib.rs" { code_in_lib(source) } else { Vec::new() }
    });
}

#[test]
fn decoders_deny_what_panics() {
    let sources = source::library();
    source::check(&sources, |source| may_panic(source, &sources));
    let strict = sources.iter().filter(|source| decodes(source)).count();
    println!(
        "figure: T13 panics: {strict} files that decode or recover deny unwrap, expect, indexing and overflow"
    );
}

#[test]
fn no_test_ends_in_a_question_nobody_asks() {
    for folder in ["src", "tests", "examples", "fuzz/fuzz_targets"] {
        source::check(&source::under(folder), idle_matches);
    }
}

#[test]
fn dependencies_are_few_and_justified() {
    source::assert_none(&dependencies(&source::read("Cargo.toml"), &source::read("docs/design.md")));
}

#[test]
fn these_rules_can_fail() {
    let at = |path: &str, text: &str| Source::new(path, text);
    assert_eq!(vague_name(&at("src/record/utils.rs", "")).len(), 1);
    assert_eq!(vague_name(&at("src/record/varint.rs", "")).len(), 0);

    assert_eq!(too_long(&at("src/a.rs", &"fn a() {}\n".repeat(401))).len(), 1);
    let tests = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn b() {}\n".repeat(151));
    assert_eq!(too_long(&at("src/a.rs", &tests)).len(), 1);
    assert_eq!(too_long(&at("src/a/tests.rs", &tests)).len(), 0);

    assert_eq!(closed_door(&at("src/a/mod.rs", "mod b;")).len(), 1);
    assert_eq!(code_in_lib(&at("src/lib.rs", "//! A map.\nmod a;\npub use a::B;\nfn c() {}")).len(), 1);

    let door = at("src/record/mod.rs", "//! Records.\n#![deny(clippy::unwrap_used, clippy::expect_used)]");
    let inner =
        "#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]\nfn a() {}";
    let sources = [door, at("src/record/view.rs", inner), at("src/record/section.rs", "fn a() {}")];
    assert_eq!(sources.iter().map(|source| may_panic(source, &sources).len()).collect::<Vec<_>>(), [0, 0, 1]);

    let lifted = at("src/record/view.rs", &format!("{inner}\n#![allow(clippy::indexing_slicing)]"));
    assert_eq!(may_panic(&lifted, &sources).len(), 1, "a decoder does not lift it for itself");

    assert_eq!(idle_matches(&at("tests/a.rs", "fn a() { b(); matches!(c(1), Ok(_)); }")).len(), 1);
    assert_eq!(
        idle_matches(&at("tests/a.rs", "fn a() -> bool { assert!(matches!(b, c)); matches!(b, c) }")).len(),
        0
    );

    let page = "[a](b.md) [c](d.md#e) [f](#g) [h](https://i.j)";
    assert_eq!(dead_links("docs/k.md", page, |path| path == "docs/b.md").len(), 1);

    let manifest = "[package]\n\n[dependencies]\na = \"1\"\nb = \"1\"\n\n[lints]\nc = 1\n";
    assert_eq!(dependencies(manifest, "`a` is there because").len(), 1);
    let many: String = (0..13).map(|n| format!("d{n} = \"1\"\n")).collect();
    let design: String = (0..13).map(|n| format!("`d{n}`")).collect();
    assert_eq!(dependencies(&format!("\n[dependencies]\n{many}"), &design).len(), 1);
    let optional = many.replace("\"1\"", "{ version = \"1\", optional = true }");
    assert_eq!(dependencies(&format!("\n[dependencies]\n{optional}"), &design).len(), 0);
}
