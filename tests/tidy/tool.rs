//! The table of the tool's errors, its code and its tests agree.

use crate::source::{self, Finding};

const TABLE: &str = "docs/tool.md";
const CODE: &str = "src/bin/annals/failure.rs";
const TESTS: &str = "tests/cli/errors.rs";

/// One row: the error's name, its exit code, and the advice.
#[derive(Debug)]
struct Row {
    line: usize,
    name: String,
    advice: String,
}

fn rows(table: &str) -> Vec<Row> {
    let row = |(index, line): (usize, &str)| {
        let cells: Vec<&str> = line.trim_start_matches("| ").trim_end_matches(" |").split(" | ").collect();
        let [name, code, _, advice] = cells.as_slice() else { return None };
        let is_code = code.len() == 1 && code.bytes().all(|byte| byte.is_ascii_digit());
        is_code.then(|| Row { line: index + 1, name: (*name).to_owned(), advice: (*advice).to_owned() })
    };
    table.lines().enumerate().filter_map(row).collect()
}

/// The names of the variants of an enum, as a table writes them: `NoTopic` is no-topic.
fn variants(code: &str, name: &str) -> Vec<String> {
    let start = code.find(&format!("enum {name} {{")).expect("the enum is there");
    let open = start + code[start..].find('{').expect("it was just found");
    let body = &code[open + 1..source::closing(code, open) - 1];
    let names = body.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(kebab).collect()
}

fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(letter.to_lowercase());
    }
    kebab
}

/// Text with the strings that go on in the next line made whole.
fn joined(text: &str) -> String {
    let parts: Vec<&str> = text.split("\\\n").collect();
    let trimmed = parts.iter().enumerate().map(|(at, part)| if at == 0 { part } else { part.trim_start() });
    trimmed.collect()
}

fn disagreements(table: &str, code: &source::Source, tests: &str) -> Vec<Finding> {
    let rows = rows(table);
    let mut findings = Vec::new();
    let text = joined(&code.text);
    for row in &rows {
        let finding = |advice: String| Finding::new(TABLE, row.line, format!("{}: {advice}", row.name));
        // What the parser of arguments says is not ours.
        if row.name != "wrong-usage" && !text.contains(&format!("\"{}\"", row.advice)) {
            findings.push(finding(format!("{CODE} does not give this advice")));
        }
        if !tests.contains(&format!("refused(\"{}\"", row.name)) {
            findings.push(finding(format!("no test in {TESTS} produces it")));
        }
    }
    for variant in variants(&code.code, "Trouble").iter().filter(|name| *name != "closed-pipe") {
        if !rows.iter().any(|row| row.name == *variant) {
            findings.push(Finding::new(TABLE, 1, format!("no row for {variant}, which {CODE} knows")));
        }
    }
    findings
}

#[test]
fn every_error_of_the_tool_has_a_row_and_a_test() {
    let code = source::Source::new(CODE, &source::read(CODE));
    let table = source::read(TABLE);
    source::assert_none(&disagreements(&table, &code, &source::read(TESTS)));
    println!("figure: the tool: {} kinds of error, each produced by a test", rows(&table).len());
}

#[test]
fn this_rule_can_fail() {
    let table = "| error | exit code | what | next |\n|---|---|---|---|\n| no-topic | 1 | gone | look |\n";
    let code = "enum Trouble {\n    NoTopic,\n    /// None.\n    ClosedPipe,\n}\nfn a() -> &'static str { \"lo\\\n      ok\" }";
    let code = source::Source::new(CODE, code);
    assert_eq!(disagreements(table, &code, "refused(\"no-topic\"").len(), 0);
    assert_eq!(disagreements(table, &code, "").len(), 1);
    assert_eq!(disagreements(&table.replace("look", "wait"), &code, "refused(\"no-topic\"").len(), 1);
    assert_eq!(disagreements("", &code, "").len(), 1);
}
