//! Every command, as a person or a script would use it.

use crate::process::{Run, Tempdir, feed, on, run, tool, with_topic};
use crate::proof::skip;
use annals::{Broker, Durability, Record, Retention, Timestamp, TimestampSource, TopicOptions};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::time::Duration;

const SEGMENT: &str = "00000000000000000000.log";

/// Objects, one a line.
fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("each line is an object")).collect()
}

fn files_of(data: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![data.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).expect("a folder of the test").map(|entry| entry.expect("readable"))
        {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() != "LOCK" {
                files.push((
                    entry.path().display().to_string(),
                    std::fs::read(entry.path()).expect("readable"),
                ));
            }
        }
    }
    files.sort();
    files
}

#[test]
fn topics_are_created_listed_described_altered_and_deleted() {
    let dir = Tempdir::new();
    let data = dir.data();
    run(&data, &["topic", "create", "plain"]).ok();
    let all = [
        "topic",
        "create",
        "full",
        "--partitions",
        "3",
        "--retention",
        "7d,10GiB",
        "--segment-bytes-max",
        "8MiB",
        "--segment-age-max",
        "12h",
        "--batch-bytes-max",
        "64KiB",
        "--timestamps",
        "append",
        "--durability",
        "written",
        "--read-level",
        "written",
    ];
    run(&data, &all).ok();
    assert_eq!(run(&data, &["topic", "list"]).ok(), "full\t3 partitions\nplain\t1 partition\n");
    let broker = Broker::open(&data).expect("the tool has let go of it");
    let settings = broker.topic("full").expect("it was created").settings();
    let week = Duration::from_secs(7 * 86_400);
    assert_eq!(settings.retention, Retention::AgeOrBytes(week, 10 << 30));
    assert_eq!((settings.segment_bytes_max, settings.batch_bytes_max), (8 << 20, 64 << 10));
    assert_eq!(settings.segment_age_max, Duration::from_secs(12 * 3_600));
    assert_eq!(
        (settings.timestamps, settings.durability),
        (TimestampSource::LogAppendTime, Durability::Written)
    );
    broker.close().expect("nothing was written");

    let described = run(&data, &["topic", "describe", "full"]).ok();
    for line in [
        "partitions\t3",
        "retention\t7 d, 10 GiB",
        "segment-bytes-max\t8 MiB",
        "segment-age-max\t12 h",
        "batch-bytes-max\t64 KiB",
        "timestamps\tappend",
        "durability\twritten",
        "read-level\twritten",
        "2\t0\t0\t0",
    ] {
        assert!(described.lines().any(|found| found == line), "{line:?} is missing in\n{described}");
    }
    run(&data, &["topic", "alter", "full", "--partitions", "5", "--retention", "forever"]).ok();
    let described = run(&data, &["topic", "describe", "full"]).ok();
    for line in ["partitions\t5", "retention\tforever", "segment-bytes-max\t8 MiB", "4\t0\t0\t0"] {
        assert!(described.lines().any(|found| found == line), "{line:?} is missing in\n{described}");
    }
    run(&data, &["topic", "create", "full", "--if-not-exists"]).ok();
    run(&data, &["topic", "delete", "full"]).ok();
    assert_eq!(run(&data, &["topic", "list"]).ok(), "plain\t1 partition\n");
    assert!(!data.join("full").exists());
}

#[test]
fn records_are_produced_with_and_without_keys_and_consumed() {
    let (_dir, data) = with_topic();
    let keyed = "alice:42\nbob:7\nalice:43:44\n:empty key\nno key";
    let printed =
        feed(&data, &["produce", "orders", "--key-separator", ":", "--print-offsets"], keyed.as_bytes()).ok();
    let places: Vec<(u32, u64)> = printed
        .lines()
        .map(|line| line.split_once(' ').expect("PARTITION OFFSET"))
        .map(|(partition, offset)| (partition.parse().expect("a number"), offset.parse().expect("a number")))
        .collect();
    assert_eq!(places.len(), 5, "{printed}");
    assert_eq!(
        (places[0].0, places[2].1),
        (places[2].0, places[0].1 + if places[0].0 == places[1].0 { 2 } else { 1 })
    );
    let consumed = objects(&run(&data, &["consume", "orders", "--format", "json"]).ok());
    let expected = [
        (Some("alice"), "42"),
        (Some("bob"), "7"),
        (Some("alice"), "43:44"),
        (Some(""), "empty key"),
        (None, "no key"),
    ];
    for ((key, value), (partition, offset)) in expected.into_iter().zip(&places) {
        let found =
            consumed.iter().find(|found| found["partition"] == *partition && found["offset"] == *offset);
        let found = found.unwrap_or_else(|| panic!("{partition} {offset} is missing in {consumed:?}"));
        assert_eq!(
            (&found["key"], &found["value"], &found["topic"]),
            (&json!(key), &json!(value), &json!("orders"))
        );
        assert_eq!(found["headers"], json!([]));
    }
    assert_eq!(consumed.len(), 5);
    let alice = places[0].0.to_string();
    let values = run(&data, &["consume", "orders", "--partition", &alice]).ok();
    assert!(values.contains("42\n") && values.contains("43:44\n"), "{values}");
    let pairs = run(&data, &["consume", "orders", "--format", "key-value", "--key-separator", " -> "]).ok();
    assert!(pairs.contains("alice -> 42\n") && pairs.contains("\n -> no key\n"), "{pairs}");
    assert_eq!(feed(&data, &["produce", "orders"], b"").ok(), "", "nothing is no record");
}

#[test]
fn json_tells_all_there_is_of_a_record() {
    let dir = Tempdir::new();
    let data = dir.data();
    let broker = Broker::open(&data).expect("a new directory");
    let topic = broker.create_topic("odd", TopicOptions::new()).expect("room");
    let records = [
        Record::new(&[0xff_u8, 0xfe]).key(&[0xc3_u8]).timestamp(Timestamp::from_millis(0)),
        Record::tombstone().key("k").timestamp(Timestamp::from_millis(1_358_251_200_123)),
        Record::new("q\"\\\n\u{1}é").timestamp(Timestamp::from_millis(-1)),
        Record::new("").header("h", "1").header("h", &[0x80_u8]).null_header("n").timestamp(Timestamp::MIN),
    ];
    let partition = topic.partition(0).expect("it was made");
    for record in records {
        partition.append([record]).wait().expect("room");
    }
    broker.close().expect("all is synced");
    let common = |offset: u64| json!({ "topic": "odd", "partition": 0, "offset": offset, "headers": [] });
    let with = |offset, fields: Value| {
        let mut object = common(offset);
        let fields = fields.as_object().expect("an object").clone();
        object.as_object_mut().expect("an object").extend(fields);
        object
    };
    let expected = [
        with(
            0,
            json!({ "timestamp": "1970-01-01T00:00:00.000Z", "key_base64": "ww==", "value_base64": "//4=" }),
        ),
        with(1, json!({ "timestamp": "2013-01-15T12:00:00.123Z", "key": "k", "value": null })),
        with(2, json!({ "timestamp": "1969-12-31T23:59:59.999Z", "key": null, "value": "q\"\\\n\u{1}é" })),
        with(
            3,
            json!({
                "timestamp_ms": i64::MIN, "key": null, "value": "",
                "headers": [
                    { "name": "h", "value": "1" }, { "name": "h", "value_base64": "gA==" }, { "name": "n", "value": null },
                ],
            }),
        ),
    ];
    let printed = run(&data, &["consume", "odd", "--format", "json"]).ok();
    assert_eq!(objects(&printed), expected);
    let names: Vec<usize> = ["topic", "partition", "offset", "timestamp", "key", "value", "headers"]
        .iter()
        .map(|name| {
            printed.find(&format!("\"{name}\":")).or_else(|| printed.find(&format!("\"{name}_base64\":")))
        })
        .map(|at| at.expect("every field is there"))
        .collect();
    assert!(printed.lines().next().is_some_and(|line| line.starts_with("{\"topic\"")), "{names:?}");
    // By time: the first at or after it. The one that is not UTF-8 is from 1970, and the last from very long ago.
    let late =
        run(&data, &["consume", "odd", "--format", "json", "--from", "2000-01-01T01:00:00+01:00"]).ok();
    assert_eq!(objects(&late), expected[1..]);
    assert_eq!(run(&data, &["consume", "odd", "--from", "2013-01-15T12:00:00.124Z"]).ok(), "");
}

#[test]
fn consuming_begins_and_ends_where_it_is_told() {
    let dir = Tempdir::new();
    let data = dir.data();
    run(&data, &["topic", "create", "one"]).ok();
    let input: String = (0..100).map(|n| format!("{n}\n")).collect();
    feed(&data, &["produce", "one", "--batch", "7"], input.as_bytes()).ok();
    let lines = |args: &[&str]| run(&data, &[&["consume", "one"], args].concat()).ok();
    assert_eq!(lines(&[]), input);
    assert_eq!(lines(&["--from", "latest"]), "");
    assert_eq!(lines(&["--from", "100"]), "");
    assert_eq!(lines(&["--from", "98"]), "98\n99\n");
    assert_eq!(lines(&["--from", "10", "--max", "3"]), "10\n11\n12\n");
    assert_eq!(lines(&["--max", "0"]), "");
    assert_eq!(lines(&["--from", "earliest", "--partition", "0", "--max", "1"]), "0\n");
}

/// What a process that was killed has left is seen: it is recovered first when nobody has the directory.
#[test]
fn a_reader_recovers_what_nobody_else_does() {
    let (_dir, data) = with_topic();
    let mut child = on(&data, &["produce", "orders", "--durability", "written", "--print-offsets"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tool can be run");
    let mut stdin = child.stdin.take().expect("it was asked for");
    stdin.write_all(b"written\n").expect("it reads");
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("it was asked for"));
    out.read_line(&mut line).expect("an interactive line is acknowledged without an end of input");
    child.kill().expect("it was started here");
    child.wait().expect("it was started here");
    assert_eq!(run(&data, &["consume", "orders"]).ok(), "written\n");
}

/// Each line of a slow input is stored and acknowledged by itself, though a batch could hold a thousand.
#[test]
fn a_slow_input_does_not_wait_for_a_full_batch() {
    let (_dir, data) = with_topic();
    let mut child = on(&data, &["produce", "orders", "--print-offsets"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tool can be run");
    let mut stdin = child.stdin.take().expect("it was asked for");
    let mut out = BufReader::new(child.stdout.take().expect("it was asked for"));
    for n in 0..5 {
        stdin.write_all(format!("{n}\n").as_bytes()).expect("it reads");
        let mut line = String::new();
        out.read_line(&mut line).expect("it answers");
        assert!(line.ends_with('\n') && line.split(' ').count() == 2, "{line:?}");
    }
    drop(stdin);
    assert!(child.wait().expect("it was started here").success());
    assert_eq!(run(&data, &["consume", "orders"]).ok().lines().count(), 5);
}

#[test]
fn reading_commands_work_beside_a_writer_and_following_sees_what_comes() {
    let (_dir, data) = with_topic();
    let broker = Broker::open(&data).expect("nobody has it open");
    let topic = broker.topic("orders").expect("it was created");
    topic.partition(1).expect("it is well").append([Record::new("first")]).wait().expect("room");
    let mut follower = on(&data, &["consume", "orders", "--follow", "--max", "4"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the tool can be run");
    let mut out = BufReader::new(follower.stdout.take().expect("it was asked for"));
    let mut next = || {
        let mut line = String::new();
        out.read_line(&mut line).expect("it prints");
        line
    };
    assert_eq!(next(), "first\n");
    for (number, value) in [(0, "second"), (2, "third")] {
        topic.partition(number).expect("it is well").append([Record::new(value)]).wait().expect("room");
        assert_eq!(next(), format!("{value}\n"));
    }
    // A partition that is added later is read from its beginning.
    let topic = broker.ensure_topic("orders", TopicOptions::new().partitions(4)).expect("room");
    topic.partition(3).expect("it was added").append([Record::new("fourth")]).wait().expect("room");
    assert_eq!(next(), "fourth\n");
    assert!(follower.wait().expect("it was started here").success(), "it ends after four");

    let segment = data.join("orders/1/00000000000000000000.log").display().to_string();
    for args in [
        &["topic", "list"][..],
        &["topic", "describe", "orders"],
        &["verify"],
        &["consume", "orders"],
        &["dump", &segment],
    ] {
        assert!(!run(&data, args).ok().is_empty(), "{args:?}");
    }
    broker.close().expect("all is synced");
}

/// One partition is followed without looking at the others.
#[test]
fn one_partition_is_followed() {
    let (_dir, data) = with_topic();
    let broker = Broker::open(&data).expect("nobody has it open");
    let topic = broker.topic("orders").expect("it was created");
    let mut child =
        on(&data, &["consume", "orders", "--partition", "2", "--from", "latest", "--follow", "--max", "1"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the tool can be run");
    // Whatever comes before it has begun is not the latest; so it comes until it is seen.
    let mut number = 0;
    while child.try_wait().expect("it was started here").is_none() {
        topic.partition(0).expect("it is well").append([Record::new("other")]).wait().expect("room");
        topic.partition(2).expect("it is well").append([Record::new("this")]).wait().expect("room");
        number += 1;
        assert!(number < 100_000, "it never saw any");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(Run::of(child.wait_with_output().expect("it ended")).ok(), "this\n");
}

#[test]
fn a_group_goes_on_where_it_left_off() {
    let (_dir, data) = with_topic();
    let lines = |from: u32, to: u32| (from..to).map(|n| format!("key {n}:{n}\n")).collect::<String>();
    let produce = |from, to| {
        feed(&data, &["produce", "orders", "--key-separator", ":"], lines(from, to).as_bytes()).ok();
    };
    let sorted = |text: &str| {
        let mut numbers: Vec<u32> = text.lines().map(|line| line.parse().expect("a number")).collect();
        numbers.sort_unstable();
        numbers
    };
    let billing = ["consume", "orders", "--group", "billing"];
    produce(0, 100);
    assert_eq!(run(&data, &["group", "list"]).ok(), "");
    let first = run(&data, &[&billing[..], &["--max", "30"]].concat()).ok();
    assert_eq!(first.lines().count(), 30);
    let rest = run(&data, &billing).ok();
    assert_eq!(sorted(&(first + &rest)), (0..100).collect::<Vec<_>>(), "each once");
    assert_eq!(run(&data, &billing).ok(), "");
    assert_eq!(run(&data, &["group", "list"]).ok(), "billing\n");

    // How far it is can be seen beside a process that has the directory open.
    produce(100, 110);
    let broker = Broker::open(&data).expect("nobody has it open");
    let described = run(&data, &["group", "describe", "billing"]).ok();
    let lag = |text: &str| {
        let lags =
            text.lines().skip(1).map(|line| line.rsplit('\t').next().and_then(|lag| lag.parse::<u64>().ok()));
        lags.map(|lag| lag.expect("a number")).sum::<u64>()
    };
    assert_eq!((lag(&described), described.lines().count()), (10, 4), "{described}");
    broker.close().expect("nothing was written");

    let reset = run(&data, &["group", "reset", "billing", "orders", "--to", "earliest"]).ok();
    assert_eq!(reset, "orders-0\t0\norders-1\t0\norders-2\t0\n");
    assert_eq!(sorted(&run(&data, &billing).ok()), (0..110).collect::<Vec<_>>());
    run(&data, &["group", "reset", "billing", "orders", "--partition", "1", "--to", "5"]).ok();
    let described = run(&data, &["group", "describe", "billing"]).ok();
    assert!(described.lines().any(|line| line.starts_with("orders-1\t5\t")), "{described}");
    run(&data, &["group", "reset", "billing", "orders", "--to", "2100-01-01T00:00:00Z"]).ok();
    assert_eq!(lag(&run(&data, &["group", "describe", "billing"]).ok()), 0);

    run(&data, &["group", "delete", "billing"]).ok();
    assert_eq!(run(&data, &["group", "list"]).ok(), "");
    // A new group begins where it is told.
    assert_eq!(run(&data, &["consume", "orders", "--group", "new", "--from", "latest"]).ok(), "");
}

#[test]
fn files_are_dumped_as_they_lie() {
    let (_dir, data) = with_topic();
    feed(&data, &["produce", "orders", "--key-separator", ":"], b"alice:42\nalice:43\n").ok();
    let of = |number: u32| data.join(format!("orders/{number}"));
    let has_records = |path: &std::path::PathBuf| dump(&path.join(SEGMENT), &[]).contains("4096 batch");
    let partition = (0..3).map(of).find(has_records).expect("the records are somewhere");
    let segment = dump(&partition.join(SEGMENT), &["--records"]);
    assert!(segment.starts_with("0 header topic="), "{segment}");
    for part in [
        "4096 batch base_offset=0 records=2",
        "offset=0",
        "key=alice value=42",
        "key=alice value=43",
        "tail_mark",
    ] {
        assert!(segment.contains(part), "{part:?} is missing in\n{segment}");
    }
    let manifest = dump(&partition.join("manifest"), &[]);
    assert_eq!(manifest.matches(" slot ").count(), 2, "{manifest}");
    assert!(dump(&data.join("catalog"), &[]).contains("name=orders"));
}

fn dump(path: &std::path::Path, args: &[&str]) -> String {
    let path = path.display().to_string();
    let run = tool(&[&["dump", &path], args].concat()).output().expect("the tool can be run");
    Run::of(run).ok()
}

#[test]
fn verifying_changes_nothing() {
    let (_dir, data) = with_topic();
    let input: String = (0..1_000).map(|n| format!("{n}:{n}\n")).collect();
    feed(&data, &["produce", "orders", "--key-separator", ":"], input.as_bytes()).ok();
    let before = files_of(&data);
    let printed = run(&data, &["verify"]).ok();
    assert!(
        printed.contains("1 topic of 3 partitions") && printed.contains("1,000 offsets: no damage"),
        "{printed}"
    );
    let printed = run(&data, &["verify", "orders", "--partition", "1"]).ok();
    assert!(printed.contains("1 topic of 1 partitions"), "{printed}");
    assert_eq!(files_of(&data), before);
    let printed = run(&data, &["verify", "orders", "--partition", "1", "--salvage"]).ok();
    assert!(printed.contains("nothing to save"), "{printed}");
}

#[test]
fn a_bench_prints_its_figures_and_leaves_nothing() {
    let dir = Tempdir::new();
    let data = dir.data();
    for mode in ["automatic", "pwrite"] {
        let args =
            ["bench", "--records", "1000", "--record-bytes", "1KiB", "--batch", "10", "--write-mode", mode];
        let printed = run(&data, &args).ok();
        for line in [
            "1,000 records of 1 KiB, 10 to a batch",
            "append, written:",
            "append, durable:",
            "read, verified:",
        ] {
            assert!(printed.contains(line), "{line:?} is missing in\n{printed}");
        }
        assert!(printed.contains("records/s") && printed.contains("p99"), "{printed}");
        assert_eq!(std::fs::read_dir(&data).expect("the bench made it").count(), 0);
    }
}

/// The reader of our output may leave at any time.
#[test]
fn a_closed_pipe_is_no_error() {
    let (_dir, data) = with_topic();
    let input: String = (0..200_000).map(|n| format!("line {n}\n")).collect();
    feed(&data, &["produce", "orders"], input.as_bytes()).ok();
    for args in [&["consume", "orders"][..], &["consume", "orders", "--format", "json"]] {
        let mut child =
            on(&data, args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut first = [0; 10];
        let mut out = child.stdout.take().expect("it was asked for");
        out.read_exact(&mut first).expect("there are records");
        drop(out);
        let run = Run::of(child.wait_with_output().expect("it was started here"));
        assert_eq!((run.code, run.err.as_str()), (Some(0), ""), "{args:?}");
    }
    // An error is one whether or not somebody reads why.
    let mut child = on(&data, &["consume", "none"]).stderr(Stdio::piped()).spawn().expect("it runs");
    drop(child.stderr.take());
    assert_eq!(child.wait().expect("it was started here").code(), Some(1));
    // Nobody hears of the acknowledgements: what was appended is there, and that is no error.
    let mut child = on(&data, &["produce", "orders", "--print-offsets", "--batch", "10"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("it was asked for");
    drop(stdin.write_all(input.as_bytes()));
    drop(stdin);
    let run = Run::of(child.wait_with_output().expect("it was started here"));
    assert_eq!((run.code, run.err.as_str()), (Some(0), ""));
}

/// What is said in a pipe every test holds to be nothing.
#[test]
fn progress_is_shown_on_a_terminal() {
    let (dir, data) = with_topic();
    let input = dir.path().join("input");
    let lines: String = (0..100_000).map(|n| format!("{n}\n")).collect();
    std::fs::write(&input, lines).expect("the temporary directory can be written");
    let quoted = |path: &std::path::Path| format!("'{}'", path.display());
    let tool = quoted(std::path::Path::new(env!("CARGO_BIN_EXE_annals")));
    let command = format!("{tool} produce orders --dir {} < {}", quoted(&data), quoted(&input));
    let Ok(output) = std::process::Command::new("script").args(["-qec", &command, "/dev/null"]).output()
    else {
        return skip("progress on a terminal: for want of script (package bsdutils)");
    };
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("appended: "), "{shown}");
    assert_eq!(feed(&data, &["produce", "orders"], b"one more\n").ok(), "", "and nowhere else");
}

#[test]
fn help_has_examples_and_goes_to_standard_output() {
    for args in [
        &["--help"][..],
        &["topic", "create", "--help"],
        &["topic", "list", "--help"],
        &["topic", "describe", "--help"],
        &["topic", "alter", "--help"],
        &["topic", "delete", "--help"],
        &["produce", "--help"],
        &["consume", "--help"],
        &["group", "list", "--help"],
        &["group", "describe", "--help"],
        &["group", "reset", "--help"],
        &["group", "delete", "--help"],
        &["dump", "--help"],
        &["verify", "--help"],
        &["bench", "--help"],
    ] {
        let printed = Run::of(tool(args).output().expect("it runs")).ok();
        assert!(printed.contains("Example"), "{args:?} has no example:\n{printed}");
    }
    let version = Run::of(tool(&["--version"]).output().expect("it runs")).ok();
    assert_eq!(version, format!("annals {}\n", env!("CARGO_PKG_VERSION")));
}

/// The directory can be named by the environment, and an option is stronger.
#[test]
fn the_environment_names_the_directory() {
    let (_dir, data) = with_topic();
    let listed = tool(&["topic", "list"]).env("ANNALS_DIR", &data).output().expect("it runs");
    assert_eq!(Run::of(listed).ok(), "orders\t3 partitions\n");
    let listed = on(&data, &["topic", "list"]).env("ANNALS_DIR", "nowhere").output().expect("it runs");
    assert_eq!(Run::of(listed).ok(), "orders\t3 partitions\n");
}
