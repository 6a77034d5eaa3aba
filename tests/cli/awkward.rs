//! A round trip of awkward lines: empty, 900 kB, not UTF-8, with repeated keys and with none, in both write modes.

use crate::figure;
use crate::process::{Tempdir, on, run};
use crate::proof::{Count, Rate, Seed, Size};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

const SEPARATOR: &[u8] = b"\xc2\xa7:";
/// Every so many lines one has 900 kB.
const LARGE_EVERY: usize = 50_000;
const LARGE_LEN: usize = 900_000;
/// How many different keys there are.
const KEYS: usize = 500;

/// Pieces that lines are made of.
const PIECES: [&[u8]; 12] = [
    b"",
    b"a",
    b"\"quoted\"",
    b"back\\slash",
    b"\t",
    b"\r",
    b"\0",
    b"\xff\xfe",
    "é€😀".as_bytes(),
    b"{\"json\":1}",
    b"\xed\xa0\x80",
    b" spaces  ",
];

/// One line, with a key before the separator or without.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    key: Option<Vec<u8>>,
    value: Vec<u8>,
}

impl Line {
    /// Line number `at` of the run. The number itself stands in most lines, so that none passes for another.
    fn make(at: usize, rng: &mut fastrand::Rng) -> Self {
        let key = match rng.usize(..10) {
            0 => None,
            1 => Some(Vec::new()),
            2 => Some(b"\xff\xff not UTF-8".to_vec()),
            _ => Some(format!("key {}", rng.usize(..KEYS)).into_bytes()),
        };
        let mut value = Vec::new();
        if at % LARGE_EVERY == LARGE_EVERY / 3 {
            value.resize(LARGE_LEN, b'a' + rng.u8(..26));
        } else if rng.usize(..8) > 0 {
            value.extend_from_slice(at.to_string().as_bytes());
            for _ in 0..rng.usize(..4) {
                value.extend_from_slice(PIECES[rng.usize(..PIECES.len())]);
            }
        }
        Self { key, value }
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        if let Some(key) = &self.key {
            out.write_all(key)?;
            out.write_all(SEPARATOR)?;
        }
        out.write_all(&self.value)?;
        out.write_all(b"\n")
    }

    /// From what `consume` printed.
    fn parse(object: &Value) -> Self {
        let bytes = |text: &str, encoded: &str| match (&object[text], &object[encoded]) {
            (Value::String(text), Value::Null) => Some(text.clone().into_bytes()),
            (Value::Null, Value::String(encoded)) => Some(STANDARD.decode(encoded).expect("it is base64")),
            (Value::Null, Value::Null) => None,
            both => panic!("{both:?} at once"),
        };
        let value = bytes("value", "value_base64").expect("every line has a value");
        Self { key: bytes("key", "key_base64"), value }
    }
}

/// What is still expected of one key: lines in order. Lines without a key are in order of no account to each other.
type Expected = HashMap<Option<Vec<u8>>, Vec<usize>>;

#[test]
fn awkward_lines_come_back_equal_and_in_order_per_key() {
    let count = Size::asked().pick(10_000, 1_000_000, 1_000_000);
    let seed = Seed::of("a round trip of awkward lines");
    let mut rng = seed.rng(0);
    let lines: Vec<Line> = (0..count).map(|at| Line::make(at, &mut rng)).collect();
    let dir = Tempdir::new();
    let input = dir.path().join("input");
    let mut out = BufWriter::new(File::create(&input).expect("the temporary directory can be written"));
    lines.iter().try_for_each(|line| line.write(&mut out)).expect("there is room for the lines");
    out.flush().expect("there is room for the lines");
    for mode in ["automatic", "pwrite"] {
        let data = dir.path().join(mode);
        let (produced, consumed) = round_trip(&data, mode, &input, &lines);
        figure!(
            "a round trip of {} awkward lines through the tool, write mode {mode}: produced {produced}, consumed as \
             JSON and compared {consumed}, all equal and in order per key",
            Count(count as u64)
        );
        drop(std::fs::remove_dir_all(&data));
    }
}

fn round_trip(data: &Path, mode: &str, input: &Path, lines: &[Line]) -> (Rate, Rate) {
    run(data, &["topic", "create", "lines", "--partitions", "3", "--write-mode", mode]).ok();
    let started = Instant::now();
    let separator = std::str::from_utf8(SEPARATOR).expect("it is written as UTF-8");
    let mut produce = on(data, &["produce", "lines", "--key-separator", separator, "--write-mode", mode]);
    produce.stdin(File::open(input).expect("it was just written"));
    let produced = produce.output().expect("the tool can be run");
    assert!(produced.status.success(), "{}", String::from_utf8_lossy(&produced.stderr));
    let produce_rate = Rate(lines.len() as u64, started.elapsed());
    let started = Instant::now();
    compare(data, lines);
    (produce_rate, Rate(lines.len() as u64, started.elapsed()))
}

/// Reads all of it back and holds it against the lines.
fn compare(data: &Path, lines: &[Line]) {
    let mut expected = Expected::new();
    // In reverse, so that the next is the last.
    for (at, line) in lines.iter().enumerate().rev() {
        expected.entry(line.key.clone()).or_default().push(at);
    }
    let mut keyless = HashMap::<&[u8], usize>::new();
    for at in expected.remove(&None).unwrap_or_default() {
        *keyless.entry(&lines[at].value).or_default() += 1;
    }
    let mut consume = on(data, &["consume", "lines", "--format", "json"]);
    let mut child = consume.stdout(Stdio::piped()).spawn().expect("the tool can be run");
    let mut out = BufReader::with_capacity(1 << 20, child.stdout.take().expect("it was asked for"));
    let mut next_offsets: HashMap<u64, u64> = HashMap::new();
    let (mut text, mut count) = (String::new(), 0);
    while out.read_line(&mut text).expect("JSON is UTF-8") > 0 {
        let object: Value = serde_json::from_str(&text).expect("each line is an object");
        let (partition, offset) = (object["partition"].as_u64(), object["offset"].as_u64());
        let next = next_offsets.entry(partition.expect("a number")).or_default();
        assert_eq!(offset, Some(*next), "offsets follow one another: {partition:?}");
        *next += 1;
        let found = Line::parse(&object);
        if found.key.is_none() {
            let left = keyless.get_mut(found.value.as_slice()).filter(|left| **left > 0);
            *left.unwrap_or_else(|| panic!("{found:?} was never sent, or came twice")) -= 1;
        } else {
            let at = expected.get_mut(&found.key).and_then(Vec::pop);
            let at = at.unwrap_or_else(|| panic!("one more of key {:?} than was sent", found.key));
            assert!(lines[at] == found, "line {at}: expected {:?}, found {found:?}", lines[at]);
        }
        text.clear();
        count += 1;
    }
    assert!(child.wait().expect("it was started here").success());
    assert_eq!(count, lines.len());
    assert!(next_offsets.len() == 3, "keys spread over all partitions");
}

/// Large lines are among those of the short form, too, and lines of every kind.
#[test]
fn the_lines_are_awkward_enough() {
    let mut rng = Seed::of("a round trip of awkward lines").rng(0);
    let lines: Vec<Line> = (0..20_000).map(|at| Line::make(at, &mut rng)).collect();
    let count = |is: fn(&Line) -> bool| lines.iter().filter(|line| is(line)).count();
    assert_eq!(count(|line| line.value.len() >= LARGE_LEN), 1);
    assert!(count(|line| line.value.is_empty()) > 1_000);
    assert!(count(|line| line.key.is_none()) > 1_000);
    assert!(count(|line| std::str::from_utf8(&line.value).is_err()) > 1_000);
    let mut written = Vec::new();
    lines.iter().try_for_each(|line| line.write(&mut written)).expect("memory has room");
    assert_eq!(written.split(|byte| *byte == b'\n').count(), lines.len() + 1, "a line is a line");
}
