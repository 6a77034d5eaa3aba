//! Every error of the tool: each row of the table in `docs/tool.md`, produced, with its exit code and its advice.

use crate::process::{Run, Tempdir, feed, on, run, tool, with_topic};
use crate::proof::skip_for_want_of;
use annals::{Broker, Partition};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TABLE: &str = include_str!("../../docs/tool.md");

/// Holds what a process came to against the row of the table.
fn refused(error: &str, run: Run) {
    let row = TABLE.lines().find(|line| line.starts_with(&format!("| {error} |")));
    let cells: Vec<&str> = row.unwrap_or_else(|| panic!("{error} has no row")).split(" | ").collect();
    let [_, code, _, advice] = cells.as_slice() else { panic!("{error}: {cells:?}") };
    let advice = advice.trim_end_matches(" |");
    assert_eq!(run.code, code.parse().ok(), "{error}: {}", run.err);
    assert!(run.err.contains(advice), "{error}: {advice:?} is missing in\n{}", run.err);
    if error != "wrong-usage" {
        let lines: Vec<&str> = run.err.lines().collect();
        let (what, next) = (lines[0].strip_prefix("annals: "), lines[1].strip_prefix("  next: "));
        assert_eq!((what.is_some_and(|what| !what.is_empty()), next), (true, Some(advice)), "{}", run.err);
    }
}

/// Runs the tool with each call of a kind failing in one way; none where that cannot be done.
fn with_fault(what: &str, call: &str, fault: &str, data: &Path, args: &[&str], input: &[u8]) -> Option<Run> {
    if Command::new("strace").arg("-V").output().is_err() {
        skip_for_want_of("strace", what);
        return None;
    }
    let input_file = data.with_extension("input");
    std::fs::write(&input_file, input).expect("the temporary directory can be written");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e"]);
    command.arg(format!("inject={call}:error={fault}")).arg(env!("CARGO_BIN_EXE_annals")).args(args);
    command.arg("--dir").arg(data).stdin(File::open(input_file).expect("it was just written"));
    Some(Run::of(command.output().expect("strace can be run")))
}

/// Changes one byte of a file.
fn damage(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).expect("the file is there");
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).expect("the file can be written");
}

/// A topic of one partition with a hundred records in ten batches, and its segment.
fn with_records() -> (Tempdir, PathBuf, PathBuf) {
    let dir = Tempdir::new();
    let data = dir.data();
    run(&data, &["topic", "create", "orders"]).ok();
    let input: String = (0..100).map(|n| format!("record {n}\n")).collect();
    feed(&data, &["produce", "orders", "--batch", "10"], input.as_bytes()).ok();
    let segment = data.join("orders/0/00000000000000000000.log");
    (dir, data, segment)
}

/// The byte at which the batch of this number begins.
fn batch_at(segment: &Path, number: usize) -> usize {
    let dumped = tool(&["dump".as_ref(), segment.as_os_str()]).output().expect("it runs");
    let dumped = Run::of(dumped).ok();
    let batch = dumped.lines().filter(|line| line.contains(" batch ")).nth(number).expect("there are ten");
    batch.split(' ').next().and_then(|at| at.parse().ok()).expect("a line begins with its position")
}

#[test]
fn wrong_usage() {
    let (_dir, data) = with_topic();
    for args in [
        &["topic", "create"][..],
        &["topic"],
        &["frobnicate"],
        &["produce", "orders", "--batch", "0"],
        &["produce", "orders", "--key-separator", ""],
        &["produce", "orders", "--durability", "perhaps"],
        &["consume", "orders", "--from", "noon"],
        &["consume", "orders", "--from", "9223372036854775808"],
        &["consume", "orders", "--max", "-1"],
        &["consume", "orders", "--format", "xml"],
        &["topic", "create", "x", "--retention", "7d,7d"],
        &["topic", "create", "x", "--segment-bytes-max", "1 line"],
        &["topic", "create", "x", "--segment-age-max", "soon"],
        &["verify", "--salvage"],
        &["verify", "--partition", "1"],
        &["bench", "--records", "0"],
        &["consume", "orders", "--group", "g", "--follow"],
        &["consume", "orders", "--group", "g", "--partition", "0"],
        &["consume", "orders", "--key-separator", ":"],
    ] {
        refused("wrong-usage", run(&data, args));
    }
}

#[test]
fn no_directory() {
    refused("no-directory", Run::of(tool(&["topic", "list"]).output().expect("it runs")));
}

#[test]
fn bad_value() {
    let (_dir, data) = with_topic();
    for args in [
        &["topic", "create", "a/b"][..],
        &["topic", "create", ".."],
        &["topic", "create", "catalog"],
        &["topic", "create", "x", "--partitions", "0"],
        &["topic", "create", "x", "--segment-bytes-max", "1"],
        &["topic", "alter", "orders", "--partitions", "2"],
        &["topic", "alter", "orders", "--batch-bytes-max", "1"],
        &["consume", "a/b"],
        &["topic", "delete", ""],
    ] {
        refused("bad-value", run(&data, args));
    }
    assert_eq!(run(&data, &["topic", "list"]).ok(), "orders\t3 partitions\n");
}

#[test]
fn offset_of_many() {
    let (_dir, data) = with_topic();
    refused("offset-of-many", run(&data, &["consume", "orders", "--from", "1"]));
    refused("offset-of-many", run(&data, &["consume", "orders", "--from", "1", "--group", "g"]));
    refused("offset-of-many", run(&data, &["group", "reset", "g", "orders", "--to", "1"]));
}

#[test]
fn no_data() {
    let dir = Tempdir::new();
    let data = dir.data();
    for args in [
        &["topic", "list"][..],
        &["topic", "describe", "x"],
        &["topic", "alter", "x"],
        &["topic", "delete", "x"],
        &["produce", "x"],
        &["consume", "x"],
        &["verify"],
    ] {
        refused("no-data", run(&data, args));
        assert!(!data.exists(), "{args:?} has made the directory");
    }
}

#[test]
fn single_partition() {
    let dir = Tempdir::new();
    Partition::open(dir.data()).and_then(|log| log.close()).expect("a new directory");
    refused("single-partition", run(&dir.data(), &["topic", "create", "x"]));
}

#[test]
fn no_topic() {
    let (_dir, data) = with_topic();
    for args in [
        &["topic", "describe", "x"][..],
        &["topic", "alter", "x"],
        &["topic", "delete", "x"],
        &["produce", "x"],
        &["consume", "x"],
        &["verify", "x"],
        &["verify", "x", "--partition", "0", "--salvage"],
    ] {
        refused("no-topic", run(&data, args));
    }
}

#[test]
fn no_partition() {
    let (_dir, data) = with_topic();
    for args in [
        &["consume", "orders", "--partition", "3"][..],
        &["verify", "orders", "--partition", "3"],
        &["verify", "orders", "--partition", "3", "--salvage"],
    ] {
        refused("no-partition", run(&data, args));
    }
}

#[test]
fn no_group() {
    let (_dir, data) = with_topic();
    for args in [&["group", "describe", "x"][..], &["group", "delete", "x"]] {
        refused("no-group", run(&data, args));
    }
    refused("bad-value", run(&data, &["group", "describe", "a/b"]));
    refused("bad-value", run(&data, &["consume", "orders", "--group", "a/b"]));
}

#[test]
fn topic_exists() {
    let (_dir, data) = with_topic();
    refused("topic-exists", run(&data, &["topic", "create", "orders"]));
}

#[test]
fn topic_gone() {
    for args in
        [&["consume", "orders", "--follow"][..], &["consume", "orders", "--follow", "--partition", "1"]]
    {
        let (_dir, data) = with_topic();
        feed(&data, &["produce", "orders", "--key-separator", ":"], b"a:1\nb:2\nc:3\nd:4\n").ok();
        let broker = Broker::open(&data).expect("nobody has it open");
        let mut child = on(&data, args);
        let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        // It may not have begun by now; then there is no such topic.
        std::thread::sleep(std::time::Duration::from_millis(500));
        broker.delete_topic("orders").expect("it is there");
        refused("topic-gone", Run::of(child.wait_with_output().expect("it was started here")));
        broker.close().expect("nothing was written");
    }
}

#[test]
fn locked() {
    let (_dir, data) = with_topic();
    let broker = Broker::open(&data).expect("nobody has it open");
    for args in [
        &["topic", "create", "x"][..],
        &["topic", "alter", "orders"],
        &["topic", "delete", "orders"],
        &["produce", "orders"],
        &["verify", "orders", "--partition", "0", "--salvage"],
        &["consume", "orders", "--group", "g"],
        &["group", "reset", "g", "orders", "--to", "latest"],
        &["group", "delete", "g"],
    ] {
        let run = run(&data, args);
        assert!(run.err.contains(&format!("process {}", std::process::id())), "it says who: {}", run.err);
        refused("locked", run);
    }
    broker.close().expect("nothing was written");
}

#[test]
fn out_of_range() {
    let (_dir, data, _) = with_records();
    refused("out-of-range", run(&data, &["consume", "orders", "--from", "101"]));
    refused("out-of-range", run(&data, &["group", "reset", "g", "orders", "--to", "101"]));
    let broker = Broker::open(&data).expect("nobody has it open");
    let partition = broker.topic("orders").and_then(|topic| topic.partition(0)).expect("it is well");
    partition.delete_records(annals::Offset::from(50)).expect("they are there");
    broker.close().expect("all is synced");
    refused("out-of-range", run(&data, &["consume", "orders", "--from", "49"]));
    assert_eq!(run(&data, &["consume", "orders", "--from", "50"]).ok().lines().count(), 50);
}

#[test]
fn too_large() {
    let (_dir, data) = with_topic();
    let mut input = b"small\n".to_vec();
    input.resize(2 << 20, b'x');
    let run = feed(&data, &["produce", "orders", "--print-offsets"], &input);
    assert!(run.err.contains("line 2"), "{}", run.err);
    assert_eq!(run.out.iter().filter(|byte| **byte == b'\n').count(), 1, "what came before it is there");
    refused("too-large", run);
}

#[test]
fn no_space() {
    let (_dir, data) = with_topic();
    let what = "a full disk under the tool";
    let args = ["topic", "create", "more"];
    let Some(run) = with_fault(what, "fallocate", "ENOSPC", &data, &args, b"") else { return };
    refused("no-space", run);
}

#[test]
fn read_only() {
    let dir = Tempdir::new();
    let what = "a file system that is read-only, under the tool";
    let args = ["topic", "create", "orders"];
    let Some(run) = with_fault(what, "mkdir", "EROFS", &dir.data(), &args, b"") else { return };
    refused("read-only", run);
}

#[test]
fn unsupported() {
    let (_dir, data) = with_topic();
    let path = data.join("catalog");
    let mut bytes = std::fs::read(&path).expect("the file is there");
    let slot_len = bytes.len() / 2;
    for slot in bytes.chunks_mut(slot_len) {
        slot[8] += 1;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&slot[..12]);
        hasher.update(&slot[16..]);
        slot[12..16].copy_from_slice(&hasher.finalize().to_le_bytes());
    }
    std::fs::write(&path, bytes).expect("the file can be written");
    refused("unsupported", run(&data, &["topic", "list"]));
    refused("unsupported", run(&data, &["produce", "orders"]));
}

#[test]
fn disk() {
    let (_dir, data) = with_topic();
    let what = "a failing sync under the tool";
    let args = ["produce", "orders", "--print-offsets"];
    let Some(run) = with_fault(what, "fdatasync", "EIO", &data, &args, b"a\n") else { return };
    assert_eq!(run.out, b"", "nothing is acknowledged that was not synced");
    refused("disk", run);
}

#[test]
fn input() {
    let (dir, data) = with_topic();
    let mut command = on(&data, &["produce", "orders"]);
    command.stdin(File::open(dir.path()).expect("a directory can be opened, and not read"));
    refused("input", Run::of(command.output().expect("it runs")));
}

#[test]
fn output() {
    let (_dir, data, _) = with_records();
    for args in [&["consume", "orders"][..], &["topic", "list"], &["verify"]] {
        let mut command = on(&data, args);
        let full = File::options().write(true).open("/dev/full").expect("Linux has it");
        command.stdout(full).stderr(Stdio::piped());
        refused("output", Run::of(command.output().expect("it runs")));
    }
}

#[test]
fn no_file() {
    let dir = Tempdir::new();
    refused("no-file", run(dir.path(), &["dump", &dir.path().join("none.log").display().to_string()]));
}

#[test]
fn not_our_file() {
    let dir = Tempdir::new();
    let notes = dir.path().join("notes");
    std::fs::write(&notes, "these are notes").expect("the temporary directory can be written");
    for path in [&notes, &dir.path().to_path_buf(), &PathBuf::from("/dev/null")] {
        refused("not-our-file", run(dir.path(), &["dump", &path.display().to_string()]));
    }
}

#[test]
fn damage_met() {
    let (_dir, data, segment) = with_records();
    damage(&segment, batch_at(&segment, 4) + 70);
    let consumed = run(&data, &["consume", "orders"]);
    assert_eq!(
        consumed.out.iter().filter(|byte| **byte == b'\n').count(),
        40,
        "what lies before it is printed"
    );
    refused("damage", consumed);
    let consumed = run(&data, &["consume", "orders", "--group", "g"]);
    assert_eq!(consumed.out.iter().filter(|byte| **byte == b'\n').count(), 40, "a member prints it as well");
    refused("damage", consumed);
    let dumped = run(&data, &["dump", &segment.display().to_string()]);
    let text = String::from_utf8_lossy(&dumped.out).into_owned();
    assert_eq!((text.matches(" batch ").count(), text.matches(" damage ").count()), (9, 1), "{text}");
    refused("damage", dumped);
    let manifest = data.join("orders/0/manifest");
    let len = usize::try_from(std::fs::metadata(&manifest).expect("it is there").len()).expect("it is small");
    [30, len / 2 + 30].iter().for_each(|at| damage(&manifest, *at));
    refused("damage", feed(&data, &["produce", "orders"], b"one more\n"));
}

#[test]
fn damage_found() {
    let (_dir, data, segment) = with_records();
    let before = std::fs::read(&segment).expect("the file is there");
    damage(&segment, batch_at(&segment, 4) + 70);
    let verified = run(&data, &["verify"]);
    assert!(String::from_utf8_lossy(&verified.out).contains("orders-0: damaged"), "{verified:?}");
    refused("damage-found", verified);
    std::fs::write(&segment, before).expect("the file can be written");
    run(&data, &["verify"]).ok();
    // A partition whose files are gone, and one whose manifest is damaged in both copies.
    let manifest = data.join("orders/0/manifest");
    let len = std::fs::metadata(&manifest).expect("it is there").len();
    damage(&manifest, 30);
    refused("damage-found", run(&data, &["verify", "orders"]));
    damage(&manifest, usize::try_from(len / 2).expect("it is small") + 30);
    refused("damage-found", run(&data, &["verify", "orders", "--partition", "0"]));
    std::fs::remove_dir_all(data.join("orders/0")).expect("it is there");
    refused("damage-found", run(&data, &["verify"]));
}

#[test]
fn catalog_damaged() {
    let (_dir, data) = with_topic();
    let catalog = data.join("catalog");
    let len = std::fs::metadata(&catalog).expect("it is there").len();
    damage(&catalog, 30);
    assert_eq!(run(&data, &["topic", "list"]).ok(), "orders\t3 partitions\n", "one copy serves");
    refused("damage-found", run(&data, &["verify"]));
    damage(&catalog, usize::try_from(len / 2).expect("it is small") + 30);
    for args in [&["topic", "list"][..], &["consume", "orders"], &["produce", "orders"], &["verify"]] {
        refused("catalog-damaged", run(&data, args));
    }
    std::fs::remove_file(&catalog).expect("it is there");
    refused("catalog-damaged", run(&data, &["topic", "create", "more"]));
}

#[test]
fn records_lost() {
    let (_dir, data, segment) = with_records();
    damage(&segment, batch_at(&segment, 4) + 70);
    let saved = run(&data, &["verify", "orders", "--partition", "0", "--salvage"]).ok();
    assert!(saved.contains("offsets 40 to 50 (exclusive) are lost"), "{saved}");
    let verified = run(&data, &["verify"]).ok();
    assert!(verified.contains("offsets 40 to 50 (exclusive) were lost"), "{verified}");
    let consumed = run(&data, &["consume", "orders"]);
    let expected: String = (0..40).chain(50..100).map(|n| format!("record {n}\n")).collect();
    assert_eq!(String::from_utf8_lossy(&consumed.out), expected);
    refused("records-lost", consumed);
    let consumed = run(&data, &["consume", "orders", "--group", "g"]);
    assert_eq!(String::from_utf8_lossy(&consumed.out), expected);
    refused("records-lost", consumed);
    feed(&data, &["produce", "orders"], b"one more\n").ok();
    assert_eq!(run(&data, &["consume", "orders", "--from", "100"]).ok(), "one more\n");
}
