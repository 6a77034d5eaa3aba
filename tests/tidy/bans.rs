//! What may not stand in the library, or only in a few places.

use crate::source::{self, Finding, Source};

const MMAP: &str = "src/io/mmap.rs";
/// What it does with the environment is not compiled into what ships.
const PLANTED: &str = "src/sync/planted.rs";

/// Findings for each place of each word of `words`, unless the file is one of `allowed`.
fn banned(source: &Source, words: &[&str], allowed: &[&str], advice: &str) -> Vec<Finding> {
    if allowed.iter().any(|allowed| source.path.starts_with(allowed)) {
        return Vec::new();
    }
    let places = words.iter().flat_map(|word| source.words(word).into_iter().map(move |at| (at, word)));
    places.map(|(at, word)| source.finding(at, format!("`{word}`: {advice}"))).collect()
}

fn unsafe_outside(source: &Source) -> Vec<Finding> {
    banned(source, &["unsafe", "allow(unsafe_code)"], &[MMAP], "unsafe code stands in src/io/mmap.rs alone")
}

/// Where the unsafe blocks and implementations begin.
fn blocks(source: &Source) -> Vec<usize> {
    let begins = |at: &usize| {
        let rest = source.library[at + "unsafe".len()..].trim_start();
        rest.starts_with('{') || rest.starts_with("impl")
    };
    source.words("unsafe").into_iter().filter(begins).collect()
}

fn unsafe_inside(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = source.text.lines().count();
    if lines > 150 {
        findings.push(source.finding(0, format!("{lines} lines: the file with unsafe code has at most 150")));
    }
    let blocks = blocks(source);
    if blocks.len() > 10 {
        findings.push(source.finding(0, format!("{} unsafe blocks: at most 10", blocks.len())));
    }
    for at in blocks {
        let line = source.line(at);
        let above =
            source.text.lines().take(line).skip(line.saturating_sub(8)).collect::<Vec<_>>().join("\n");
        if !above.contains("// SAFETY:") {
            findings.push(
                source.finding(at, "an unsafe block without `// SAFETY:` just above it: answer the contract"),
            );
        }
    }
    findings
}

fn panics(source: &Source) -> Vec<Finding> {
    let mut findings = banned(
        source,
        &[".unwrap()", ".unwrap_err()", "todo!", "unimplemented!"],
        &[],
        "return an error, or say in an `expect` why it cannot happen",
    );
    for at in source.words(".expect(") {
        // A reason kept in a variable is read where the variable is.
        let reason = source.text[at + ".expect(".len()..].split(')').next().unwrap_or_default();
        if reason.starts_with('"') && reason.split_whitespace().count() < 3 {
            findings.push(source.finding(at, "an `expect` says why it cannot happen, in a few words"));
        }
    }
    findings
}

fn surroundings(source: &Source) -> Vec<Finding> {
    let mut findings = banned(
        source,
        &["println!", "print!", "eprintln!", "eprint!", "dbg!"],
        &["src/bin"],
        "the library does not print",
    );
    findings.extend(banned(
        source,
        &["std::env", "env::var", "env::args"],
        &["src/bin", PLANTED],
        "the library reads no environment: take an option",
    ));
    findings.extend(banned(
        source,
        &["std::fs", "fs::File"],
        &["src/io/", "src/bin"],
        "all disk access goes through `io`",
    ));
    findings.extend(banned(
        source,
        &["SystemTime::now", "Instant::now"],
        &["src/clock", "src/sync/", "src/bin"],
        "time comes from a `Clock`",
    ));
    findings.extend(state(source));
    findings
}

/// State of the whole process: a static that can change.
fn state(source: &Source) -> Vec<Finding> {
    const CHANGES: &[&str] = &["mut", "Atomic", "Mutex", "RwLock", "Cell", "OnceLock", "LazyLock", "Once"];
    if source.path.starts_with("src/clock") || source.path == PLANTED {
        return Vec::new();
    }
    let is_state = |at: &usize| {
        let declared = source.library[*at..].split(['=', ';']).next().unwrap_or_default();
        !source.library[..*at].ends_with('\'') && CHANGES.iter().any(|word| declared.contains(word))
    };
    let statics = source.words("static").into_iter().filter(is_state);
    let all = statics.chain(source.words("thread_local!"));
    all.map(|at| source.finding(at, "state of the whole process: keep it in a value that somebody owns"))
        .collect()
}

/// Locks and atomics come from `crate::sync`, so that a model checker can stand in for them.
fn locks(source: &Source) -> Vec<Finding> {
    const WORDS: &[&str] =
        &["Mutex", "RwLock", "Condvar", "Barrier", "OnceLock", "LazyLock", "mpsc", "atomic"];
    if ["src/sync", "src/clock", "src/bin"].iter().any(|folder| source.path.starts_with(folder)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for start in source.words("std::sync::") {
        let rest = &source.library[start..];
        let path = &rest[..rest.find([';', '(', '<', '>', '=']).unwrap_or(rest.len())];
        for word in WORDS.iter().filter(|word| !source::words(path, word).is_empty()) {
            findings.push(
                source.finding(start, format!("`{word}` comes from `crate::sync`; re-export it there")),
            );
        }
    }
    findings
}

/// Foreign engines, and the files (or the number of files) that may name them.
const ENGINES: &[(&str, &[&str], usize)] = &[
    ("memmap2", &[MMAP], 1),
    ("rustix", &["src/io/", "src/clock"], 6),
    ("parking_lot", &["src/sync/"], 2),
    ("crossbeam_channel", &["src/"], 1),
    ("getrandom", &["src/"], 1),
    ("crc32fast", &["src/record/", "src/segment/"], 3),
    ("fastrand", &["src/"], 3),
    ("clap", &["src/bin/"], 12),
    ("indicatif", &["src/bin/"], 1),
    ("jiff", &["src/bin/"], 2),
    ("base64", &["src/bin/"], 1),
    ("serde", &["src/bin/"], 1),
    ("serde_json", &["src/bin/"], 1),
];

fn engines(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (engine, homes, files_max) in ENGINES {
        let naming: Vec<(&Source, usize)> = sources
            .iter()
            .filter_map(|source| source.words(engine).first().map(|&at| (source, at)))
            .collect();
        for (source, at) in &naming {
            if !homes.iter().any(|home| source.path.starts_with(home)) {
                findings.push(
                    source.finding(*at, format!("`{engine}` is named in {homes:?} alone: go through them")),
                );
            }
        }
        if naming.len() > *files_max {
            let (source, at) = naming[naming.len() - 1];
            let count = naming.len();
            findings.push(
                source.finding(at, format!("`{engine}` is named in {count} files: at most {files_max}")),
            );
        }
    }
    findings
}

/// Work that was put off, in any text of the project.
fn put_off(path: &str, text: &str) -> Vec<Finding> {
    let markers = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for marker in markers.iter().filter(|marker| !source::words(line, marker).is_empty()) {
            findings.push(Finding::new(
                path,
                index + 1,
                format!("{marker}: do it, or say what is not done in words"),
            ));
        }
    }
    findings
}

/// Paths of one machine and remarks about how the text was made: the project's text speaks of the project.
fn of_one_machine(path: &str, text: &str) -> Vec<Finding> {
    const SYSTEM: &[&str] = &["proc", "dev", "sys", "etc", "usr", "tmp", "var", "mnt", "bin", "sbin", "path"];
    const REMARKS: &[&str] = &["co-authored-by", "language model", "generated with", "as requested"];
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for (at, _) in line.match_indices('/') {
            let starts = line[..at].ends_with(|c: char| c.is_whitespace() || "\"'`(=".contains(c)) || at == 0;
            let name: String = line[at + 1..].chars().take_while(char::is_ascii_lowercase).collect();
            let goes_on = line[at + 1 + name.len()..].starts_with('/');
            if starts
                && goes_on
                && !name.is_empty()
                && !SYSTEM.contains(&name.as_str())
                && !source::root().join(&name).exists()
            {
                findings.push(Finding::new(
                    path,
                    index + 1,
                    format!("/{name}/ is a place on one machine: leave it out"),
                ));
            }
        }
        let lower = line.to_lowercase();
        for remark in REMARKS.iter().filter(|remark| lower.contains(*remark)) {
            findings.push(Finding::new(
                path,
                index + 1,
                format!("`{remark}`: the text speaks of the project alone"),
            ));
        }
    }
    findings
}

/// All text of the project but these rules themselves, which have to name what they look for.
fn all_text() -> Vec<(String, String)> {
    let folders = ["src", "tests", "docs", "benches", "examples", "fuzz", ".ci"];
    let tops = ["README.md", "Cargo.toml"].map(str::to_owned);
    let paths = folders.iter().flat_map(|folder| source::files(folder)).chain(tops);
    let is_text = |path: &String| {
        let ends = [".rs", ".md", ".toml", ".sh", "run", "proof"];
        let built = ["/target/", "/corpus/", "/artifacts/", "examples/data/", "tests/tidy/"];
        ends.iter().any(|end| path.ends_with(end)) && !built.iter().any(|part| path.contains(part))
    };
    paths
        .filter(is_text)
        .map(|path| {
            let text = source::read(&path);
            (path, text)
        })
        .collect()
}

#[test]
fn unsafe_code_stands_in_one_small_file() {
    source::check(&source::library(), unsafe_outside);
    let sources = source::library();
    for source in sources.iter().filter(|source| source.path == MMAP) {
        let (blocks, lines) = (blocks(source).len(), source.text.lines().count());
        println!("figure: T12 unsafe: {blocks} blocks in one file of {lines} lines, none elsewhere");
        source::assert_none(&unsafe_inside(source));
    }
}

#[test]
fn the_library_has_no_careless_panics() {
    source::check(&source::library(), panics);
}

#[test]
fn the_library_touches_nothing_but_its_disk_and_clock() {
    source::check(&source::library(), surroundings);
}

#[test]
fn locks_and_atomics_come_from_sync() {
    source::check(&source::library(), locks);
}

#[test]
fn foreign_engines_are_named_in_few_files() {
    source::assert_none(&engines(&source::library()));
}

#[test]
fn nothing_is_put_off_and_nothing_is_said_about_one_machine() {
    for (path, text) in all_text() {
        source::assert_none(&put_off(&path, &text));
        source::assert_none(&of_one_machine(&path, &text));
    }
}

#[test]
fn these_rules_can_fail() {
    let at = |path: &str, text: &str| Source::new(path, text);
    assert_eq!(unsafe_outside(&at("src/io/disk.rs", "fn a() { unsafe { b() } }")).len(), 1);
    assert_eq!(unsafe_outside(&at(MMAP, "fn a() { unsafe { b() } }")).len(), 0);
    assert_eq!(unsafe_inside(&at(MMAP, &"// SAFETY: no\nfn a() { unsafe { b() } }\n".repeat(11))).len(), 1);
    assert_eq!(unsafe_inside(&at(MMAP, "fn a() { unsafe { b() } }")).len(), 1);
    assert_eq!(unsafe_inside(&at(MMAP, &"\n".repeat(151))).len(), 1);

    assert_eq!(panics(&at("src/a.rs", "fn a() { b.unwrap(); c.expect(\"no\"); todo!() }")).len(), 3);
    assert_eq!(
        panics(&at("src/a.rs", "fn a() { b.unwrap_or(1); c.expect(\"the queue is never empty\"); }")).len(),
        0
    );

    assert_eq!(surroundings(&at("src/a.rs", "fn a() { println!(); dbg!(b); }")).len(), 2);
    assert_eq!(
        surroundings(&at("src/a.rs", "use std::env; use std::fs; static A: AtomicU8 = b();")).len(),
        3
    );
    assert_eq!(
        surroundings(&at("src/a.rs", "static A: u8 = 1; fn a(b: &'static Cell) { Instant::now(); }")).len(),
        1
    );

    assert_eq!(
        locks(&at("src/a.rs", "use std::sync::{Arc, Mutex};\nuse std::sync::atomic::AtomicU8;")).len(),
        2
    );
    assert_eq!(locks(&at("src/a.rs", "use std::sync::Arc; use crate::sync::Mutex;")).len(), 0);

    assert_eq!(engines(&[at("src/io/disk.rs", "use memmap2::Mmap;")]).len(), 1);
    assert_eq!(engines(&[at("src/a.rs", "use getrandom::a;"), at("src/b.rs", "use getrandom::a;")]).len(), 1);

    assert_eq!(put_off("a.md", concat!("TO", "DO: later")).len(), 1);
    assert_eq!(of_one_machine("a.md", "see `/somewhere/else/a.md`, read/write, `/proc/self`").len(), 1);
    assert_eq!(of_one_machine("a.md", "Co-Authored-By: nobody").len(), 1);
}
