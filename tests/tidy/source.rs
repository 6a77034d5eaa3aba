//! The text the rules look at: a file, its code without comments and literals, and that without its tests.

use std::fmt;
use std::fs;
use std::path::Path;

/// One source file. The three texts have the same length, so a byte position means the same place in each.
pub struct Source {
    /// Relative to the package, with forward slashes.
    pub path: String,
    /// As it lies on disk.
    pub text: String,
    /// With blanks for comments and for the inside of literals.
    pub code: String,
    /// With blanks for tests as well: what users run.
    pub library: String,
}

/// One broken rule: where, and what to do about it.
#[derive(Debug)]
pub struct Finding {
    path: String,
    line: usize,
    advice: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.advice)
    }
}

impl Finding {
    pub fn new(path: &str, line: usize, advice: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, advice: advice.into() }
    }
}

/// Fails with all findings, one a line.
pub fn assert_none(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

/// All of `rule`'s findings in all of `sources`.
pub fn check(sources: &[Source], rule: impl Fn(&Source) -> Vec<Finding>) {
    assert_none(&sources.iter().flat_map(rule).collect::<Vec<_>>());
}

/// The library's own files.
pub fn library() -> Vec<Source> {
    let mut sources = under("src");
    let declared: Vec<String> = sources.iter().flat_map(test_modules).collect();
    for source in &mut sources {
        if declared.iter().any(|stem| in_module(&source.path, stem)) {
            source.library = blank(&source.library);
        }
    }
    sources
}

/// All Rust files under a folder of the package, in order.
pub fn under(folder: &str) -> Vec<Source> {
    files(folder)
        .into_iter()
        .filter(|path| path.ends_with(".rs"))
        .map(|path| Source::new(&path, &read(&path)))
        .collect()
}

/// The text of a file of the package.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("cannot read {path}: {error}"))
}

/// Where the package lies.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files under a folder of the package, in order; none when there is no such folder.
pub fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(root().join(folder)) else { return found };
    for entry in entries {
        let entry = entry.expect("a readable folder");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let code = without_literals(text);
        let library = if is_test_file(path, &code) { blank(&code) } else { without_tests(&code) };
        Self { path: path.to_owned(), text: text.to_owned(), code, library }
    }

    /// A finding at byte `position` of this file.
    pub fn finding(&self, position: usize, advice: impl Into<String>) -> Finding {
        Finding::new(&self.path, self.line(position), advice)
    }

    pub fn line(&self, position: usize) -> usize {
        self.text[..position].matches('\n').count() + 1
    }

    /// Where `word` stands in what users run, as a word of its own.
    pub fn words(&self, word: &str) -> Vec<usize> {
        words(&self.library, word)
    }

    /// Lines that are not tests: all of them, or none in a file of tests.
    pub fn library_lines(&self) -> usize {
        let tests = self.test_lines();
        self.text.lines().count() - tests
    }

    /// Lines of tests.
    pub fn test_lines(&self) -> usize {
        let lines = self.code.lines().zip(self.library.lines());
        lines.filter(|(code, library)| code.trim() != library.trim()).count()
    }
}

/// Where `word` stands in `text`, as a word of its own.
pub fn words(text: &str, word: &str) -> Vec<usize> {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|&byte| byte == b'_' || byte.is_ascii_alphanumeric());
    let bytes = text.as_bytes();
    let starts = text.match_indices(word).map(|(start, _)| start);
    let first_is_word = is_word(word.as_bytes().first());
    let last_is_word = is_word(word.as_bytes().last());
    starts
        .filter(|&start| {
            let before = start.checked_sub(1).and_then(|at| bytes.get(at));
            let after = bytes.get(start + word.len());
            let goes_on = first_is_word && is_word(before) || last_is_word && is_word(after);
            !goes_on
        })
        .collect()
}

/// The position after the bracket that closes the one at `open`.
pub fn closing(code: &str, open: usize) -> usize {
    let bytes = code.as_bytes();
    let (opening, closing) = match bytes[open] {
        b'{' => (b'{', b'}'),
        b'(' => (b'(', b')'),
        _ => (b'[', b']'),
    };
    let mut depth = 0;
    for (at, &byte) in bytes.iter().enumerate().skip(open) {
        if byte == opening {
            depth += 1;
        } else if byte == closing {
            depth -= 1;
            if depth == 0 {
                return at + 1;
            }
        }
    }
    code.len()
}

/// Blanks, with the line breaks kept.
fn blank(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// Whether a whole file is tests, by its name or by its first attribute.
fn is_test_file(path: &str, code: &str) -> bool {
    let named =
        path.split('/').any(|part| part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs"));
    named || code.trim_start().starts_with("#![cfg(test)]")
}

/// The paths, without `.rs`, of the modules that this file declares for tests alone.
fn test_modules(source: &Source) -> Vec<String> {
    let folder = match source.path.rsplit_once('/') {
        Some((folder, "mod.rs" | "lib.rs")) => folder.to_owned(),
        _ => source.path.trim_end_matches(".rs").to_owned(),
    };
    let declared =
        words(&source.code, "mod").into_iter().filter(|&at| words_at(&source.library, at, "mod").is_none());
    declared
        .filter_map(|at| {
            let rest = source.code[at + 3..].trim_start();
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            rest[name.len()..].trim_start().starts_with(';').then(|| format!("{folder}/{name}"))
        })
        .collect()
}

fn words_at<'a>(text: &'a str, at: usize, word: &str) -> Option<&'a str> {
    text.get(at..at + word.len()).filter(|found| *found == word)
}

fn in_module(path: &str, stem: &str) -> bool {
    path.strip_prefix(stem).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// The code with blanks for everything that is compiled for tests alone, or to plant bugs.
fn without_tests(code: &str) -> String {
    let mut kept = code.as_bytes().to_vec();
    for (start, _) in code.match_indices("#[cfg(") {
        let after = closing(code, start + 1);
        let condition = &code[start..after];
        let builds = ["test", "annals_planted"].iter().any(|build| !words(condition, build).is_empty());
        if !builds || condition.contains("not(") {
            continue;
        }
        for byte in &mut kept[start..item_end(code, after)] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    String::from_utf8(kept).expect("whole items were blanked, and they are whole characters")
}

/// The position after the item that begins at `start`, attributes before it included.
fn item_end(code: &str, start: usize) -> usize {
    let mut at = start;
    while let Some(byte) = code.as_bytes().get(at) {
        match byte {
            b'(' | b'[' => at = closing(code, at),
            b'{' => return closing(code, at),
            b';' => return at + 1,
            _ => at += 1,
        }
    }
    code.len()
}

/// The text with blanks for comments and for the inside of strings and characters.
fn without_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut kept = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let (from, to, end) = literal(text, at);
        for byte in &mut kept[from..to] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(kept).expect("literals and comments are whole characters")
}

/// What begins at byte `at`: the range to blank (empty for plain code), and where to go on.
fn literal(text: &str, at: usize) -> (usize, usize, usize) {
    let rest = &text.as_bytes()[at..];
    let plain = (at, at, at + 1);
    match rest {
        [b'/', b'/', ..] => {
            let end = at + rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
            (at, end, end)
        }
        [b'/', b'*', ..] => {
            let end = comment_end(rest) + at;
            (at, end, end)
        }
        [b'"', ..] => {
            let end = at + string_end(rest, 1);
            (at + 1, end - 1, end)
        }
        [b'r', ..] if raw_begins(text.as_bytes(), at) => {
            let hashes = rest[1..].iter().take_while(|&&byte| byte == b'#').count();
            let closing = format!("\"{}", "#".repeat(hashes));
            let begin = at + hashes + 2;
            let end = text[begin..].find(&closing).map_or(text.len(), |found| begin + found);
            (begin, end, (end + closing.len()).min(text.len()))
        }
        [b'\'', b'\\', ..] => {
            let end = at + 3 + rest[3..].iter().position(|&byte| byte == b'\'').unwrap_or(0);
            (at + 1, end, end + 1)
        }
        [b'\'', ..] => {
            let wide = text[at + 1..].chars().next().map_or(1, char::len_utf8);
            if rest.get(1 + wide) == Some(&b'\'') { (at + 1, at + 1 + wide, at + 2 + wide) } else { plain }
        }
        _ => plain,
    }
}

/// The length of the comment that `rest` begins with; such comments nest.
fn comment_end(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of the string that `rest` begins with.
fn string_end(rest: &[u8], mut at: usize) -> usize {
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Whether the `r` at byte `at` begins a raw string and is not the end of a name.
fn raw_begins(bytes: &[u8], at: usize) -> bool {
    let is_word = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    let prefix = at.checked_sub(1).map_or(b' ', |before| bytes[before]);
    let before_prefix = at.checked_sub(2).map_or(b' ', |before| bytes[before]);
    let starts = !is_word(prefix) || (matches!(prefix, b'b' | b'c') && !is_word(before_prefix));
    let rest = &bytes[at + 1..];
    let hashes = rest.iter().take_while(|&&byte| byte == b'#').count();
    starts && rest.get(hashes) == Some(&b'"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank_and_the_rest_stays() {
        let text = r###"let a = "x // y"; // unsafe
let b = '"'; let c: &'static str = r#"un"safe"#; /* a /* b */ c */ let d = '\''; end"###;
        let code = without_literals(text);
        assert_eq!(code.len(), text.len());
        for gone in ["x", "y", "un", "safe", "b */ c"] {
            assert!(!code.contains(gone), "{gone} stands in {code}");
        }
        for kept in ["let a", "let b", "&'static str", "let d", "end"] {
            assert!(code.contains(kept), "{kept} is missing in {code}");
        }
    }

    #[test]
    fn tests_are_no_part_of_the_library() {
        let text = "fn a() { x }\n#[cfg(test)]\n#[allow(b)]\nmod tests {\n  fn c() { y }\n}\nfn d() {}\n\
                    #[cfg(test)]\nmod model;\n#[cfg(not(test))]\nfn e() {}";
        let source = Source::new("src/a/mod.rs", text);
        for (kept, name) in
            [(true, "fn a"), (false, "fn c"), (true, "fn d"), (true, "fn e"), (false, "model")]
        {
            assert_eq!(source.library.contains(name), kept, "{name} in {}", source.library);
        }
        assert_eq!(test_modules(&source), ["src/a/model"]);
        assert!(in_module("src/a/model/x.rs", "src/a/model") && !in_module("src/a/models.rs", "src/a/model"));
        assert_eq!((source.test_lines(), source.library_lines()), (7, 4));
        assert_eq!(Source::new("src/a/tests.rs", "fn a() {}").library.trim(), "");
    }

    #[test]
    fn words_stand_alone() {
        assert_eq!(words("unsafe_code unsafe (unsafe)", "unsafe"), [12, 20]);
        assert_eq!(words("a.unwrap() b.unwrap_or()", ".unwrap()"), [1]);
    }
}
