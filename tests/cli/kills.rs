//! T7: the tool is killed at each system call, and at random moments. Every line that it acknowledged is there
//! afterwards, at the offset that it named; nothing comes twice, and nothing comes out of order.

use crate::figure;
use crate::process::{Run, Tempdir, feed, on, run};
use crate::proof::{Count, Seed, Size, skip_for_want_of};
use annals::{Broker, Offset};
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LEVELS: [&str; 3] = ["buffered", "written", "durable"];
/// Lines of a run.
const LINES: usize = 1_000;

/// The lines that are sent, and the file they are in.
struct Input {
    lines: Vec<String>,
    path: PathBuf,
}

impl Input {
    fn new(dir: &Tempdir) -> Self {
        let lines: Vec<String> =
            (0..LINES).map(|n| format!("key {}:line {n} {}", n % 17, "x".repeat(n % 90))).collect();
        let path = dir.path().join("lines");
        std::fs::write(&path, lines.join("\n")).expect("the temporary directory can be written");
        Self { lines, path }
    }

    fn open(&self) -> Stdio {
        File::open(&self.path).expect("it was written").into()
    }
}

/// What is run: some lines at a time, so that there are many appends, and many acknowledgements on their way.
fn produce<'a>(level: &'a str, mode: &'a str) -> [&'a str; 11] {
    [
        "produce",
        "lines",
        "--key-separator",
        ":",
        "--print-offsets",
        "--batch",
        "10",
        "--durability",
        level,
        "--write-mode",
        mode,
    ]
}

/// A data directory with the topic that is written.
fn fresh(dir: &Tempdir, name: &str) -> PathBuf {
    let data = dir.path().join(name);
    let broker = Broker::open(&data).expect("a new directory");
    broker.create_topic("lines", annals::TopicOptions::new().partitions(3)).expect("room");
    broker.close().expect("nothing was written");
    data
}

/// The partitions and offsets in whole lines of what was printed.
fn acknowledged(printed: &[u8]) -> Vec<(u32, u64)> {
    let text = std::str::from_utf8(printed).expect("numbers are text");
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let place = |line: &str| {
        let (partition, offset) = line.split_once(' ')?;
        Some((partition.parse().ok()?, offset.parse().ok()?))
    };
    whole.lines().map(|line| place(line).unwrap_or_else(|| panic!("{line:?} is no place"))).collect()
}

/// Opens what is there and holds it against the input and what was acknowledged. Returns how many lines are there.
fn check(data: &Path, input: &Input, acknowledged: &[(u32, u64)], case: &str) -> usize {
    let broker = Broker::open(data).unwrap_or_else(|error| panic!("{case}: {error}"));
    let refused = &broker.recovery_report().refused;
    assert!(refused.is_empty(), "{case}: {refused:?}");
    let topic = broker.topic("lines").unwrap_or_else(|error| panic!("{case}: {error}"));
    let numbers: BTreeMap<&str, usize> = input.lines.iter().map(String::as_str).zip(0..).collect();
    let mut there = BTreeMap::new();
    let mut seen = HashSet::new();
    for partition in 0..topic.partition_count() {
        let log = topic.partition(partition).unwrap_or_else(|error| panic!("{case}: {error}"));
        let mut last = None;
        for records in log.read(Offset::ZERO) {
            for record in &records.unwrap_or_else(|error| panic!("{case}: {error}")) {
                let key = String::from_utf8_lossy(record.key().unwrap_or_default()).into_owned();
                let line = format!("{key}:{}", String::from_utf8_lossy(record.value()));
                let number = numbers.get(line.as_str());
                let number = *number.unwrap_or_else(|| panic!("{case}: {line:?} was never sent"));
                assert!(seen.insert(number), "{case}: line {number} is there twice");
                assert!(last.is_none_or(|last| last < number), "{case}: line {number} is out of order");
                last = Some(number);
                there.insert((partition, record.offset().get()), number);
            }
        }
    }
    for (number, place) in acknowledged.iter().enumerate() {
        assert_eq!(there.get(place), Some(&number), "{case}: line {number} was acknowledged at {place:?}");
    }
    broker.close().unwrap_or_else(|error| panic!("{case}: {error}"));
    seen.len()
}

/// What many kills came to.
#[derive(Default)]
struct Tally {
    kills: u64,
    ended: u64,
    acknowledged: u64,
    /// Lines that were there and not acknowledged, which is as good.
    more: u64,
}

impl Tally {
    fn note(&mut self, was_killed: bool, acknowledged: usize, there: usize) {
        self.kills += u64::from(was_killed);
        self.ended += u64::from(!was_killed);
        if was_killed {
            self.acknowledged += acknowledged as u64;
            self.more += (there - acknowledged) as u64;
        }
    }
}

#[test]
fn a_whole_run_is_acknowledged_line_by_line() {
    for mode in ["automatic", "pwrite"] {
        for level in LEVELS {
            let dir = Tempdir::new();
            let input = Input::new(&dir);
            let data = fresh(&dir, "data");
            let output =
                on(&data, &produce(level, mode)).stdin(input.open()).output().expect("the tool can be run");
            let places = acknowledged(Run::of(output).ok().as_bytes());
            assert_eq!(places.len(), LINES);
            assert_eq!(check(&data, &input, &places, level), LINES);
            run(&data, &["verify"]).ok();
        }
    }
}

#[test]
fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let started = Instant::now();
    let kills = Size::asked().pick(6, 100, 1_000);
    let seed = Seed::of("T7 random kills");
    for mode in ["automatic", "pwrite"] {
        let whole = LEVELS.map(|level| kill_after(level, mode, Duration::from_secs(600), "a whole run").took);
        let mut tally = Tally::default();
        let mut rng = seed.rng(0);
        // A run that ends before its time is no kill, and another is made instead.
        for attempt in 0..4 * kills {
            if tally.kills == kills {
                break;
            }
            let which = usize::try_from(attempt % 3).expect("below three");
            let case = format!("attempt {attempt} of {mode}, {}", LEVELS[which]);
            let ended = kill_after(LEVELS[which], mode, whole[which].mul_f64(rng.f64()), &case);
            tally.note(ended.was_killed, ended.acknowledged, ended.there);
        }
        assert_eq!(tally.kills, kills, "{} runs ended before they were killed", tally.ended);
        figure!(
            "T7 random kills, write mode {mode}, all levels: {} kills, {} lines acknowledged, {} more found, 0 lost; {} s \
             so far",
            Count(tally.kills),
            Count(tally.acknowledged),
            Count(tally.more),
            started.elapsed().as_secs()
        );
    }
}

/// What a run came to that was to be killed.
struct Ended {
    was_killed: bool,
    acknowledged: usize,
    there: usize,
    took: Duration,
}

/// Runs it and kills it after a while, unless it ends before.
fn kill_after(level: &str, mode: &str, limit: Duration, case: &str) -> Ended {
    let dir = Tempdir::new();
    let input = Input::new(&dir);
    let data = fresh(&dir, "data");
    let mut command = on(&data, &produce(level, mode));
    let began = Instant::now();
    let child = command.stdin(input.open()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the tool can be run");
    if !ended_by(&mut child, began + limit) {
        child.kill().expect("it was started here");
    }
    let took = began.elapsed();
    let output = child.wait_with_output().expect("it was started here");
    let was_killed = output.status.code().is_none();
    assert!(was_killed || output.status.success(), "{case}: {output:?}");
    let places = acknowledged(&output.stdout);
    let there = check(&data, &input, &places, case);
    Ended { was_killed, acknowledged: places.len(), there, took }
}

/// Waits until the process ends or the time comes; says whether it ended.
fn ended_by(child: &mut std::process::Child, deadline: Instant) -> bool {
    loop {
        if child.try_wait().expect("it was started here").is_some() {
            return true;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        std::thread::sleep(left.min(Duration::from_micros(300)));
    }
}

/// Killed again and again, a member of a group prints each record at least once: what it commits was handed over.
#[test]
fn a_member_of_a_group_that_is_killed_passes_nothing_over() {
    let dir = Tempdir::new();
    let data = fresh(&dir, "data");
    let lines: String = (0..100_000).map(|n| format!("{}:{n}\n", n % 97)).collect();
    feed(&data, &["produce", "lines", "--key-separator", ":"], lines.as_bytes()).ok();
    let seed = Seed::of("T7 kills of a member of a group");
    let mut rng = seed.rng(0);
    let mut printed: HashSet<u32> = HashSet::new();
    let (mut kills, mut count) = (0_u64, 0_u64);
    loop {
        let mut command = on(&data, &["consume", "lines", "--group", "g"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the tool can be run");
        let mut out = child.stdout.take().expect("it was asked for");
        // After so many bytes it is killed, wherever it is by then; what is in the pipe was handed over.
        let (limit, mut text, mut chunk) = (rng.usize(0..100_000), Vec::new(), vec![0; 4_096]);
        while text.len() <= limit {
            let len = out.read(&mut chunk).expect("a pipe can be read");
            if len == 0 {
                break;
            }
            text.extend_from_slice(&chunk[..len]);
        }
        // Every second time at once: then what was just read is seldom committed.
        if kills % 2 == 1 {
            std::thread::sleep(Duration::from_micros(rng.u64(0..3_000)));
        }
        drop(child.kill());
        out.read_to_end(&mut text).expect("a pipe can be read");
        let status = child.wait().expect("it was started here");
        let text = String::from_utf8(text).expect("digits are text");
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let numbers = whole.lines().map(|line| line.parse::<u32>().expect("a number"));
        count += numbers.clone().count() as u64;
        printed.extend(numbers);
        if status.code().is_some() {
            assert!(status.success());
            break;
        }
        kills += 1;
        assert!(kills < 1_000, "it never comes to its end");
    }
    assert_eq!(printed.len(), 100_000, "after {kills} kills");
    assert!(kills > 1 && count > 100_000, "it was killed between printing and committing");
    figure!(
        "T7 a member of a group, killed {} times: each of {} records printed, {} of them again, none passed over",
        Count(kills),
        Count(100_000),
        Count(count - 100_000)
    );
}

/// A place to kill it at: the n-th call of this name in some thread.
type Stop = (String, u64);

#[test]
fn killed_at_each_system_call_nothing_acknowledged_is_lost() {
    if Command::new("strace").arg("-V").output().is_err() {
        return skip_for_want_of("strace", "T7 kills at system calls");
    }
    let started = Instant::now();
    let seed = Seed::of("T7 kills at system calls");
    for (which, level) in (0_u64..).zip(LEVELS) {
        let stops = stops(level);
        let asked = Size::asked().pick(5, 100, stops.len()).min(stops.len());
        let mut chosen: Vec<usize> = (0..stops.len()).collect();
        seed.rng(which).shuffle(&mut chosen);
        let mut tally = Tally::default();
        for at in chosen.into_iter().take(asked) {
            let (call, number) = &stops[at];
            let (was_killed, acknowledged, there) = killed_at(level, call, *number);
            tally.note(was_killed, acknowledged, there);
        }
        // How often a thread waits differs from run to run; what it writes and syncs hardly does.
        assert!(tally.kills * 4 >= asked as u64, "{} of {asked} came before the end", tally.kills);
        figure!(
            "T7 kills at system calls, write mode pwrite, {level}: {} of {} calls of a run of {} lines, {} kills, {} lines \
             acknowledged, {} more found, 0 lost; {} s so far",
            Count(asked as u64),
            Count(stops.len() as u64),
            Count(LINES as u64),
            Count(tally.kills),
            Count(tally.acknowledged),
            Count(tally.more),
            started.elapsed().as_secs()
        );
    }
}

/// The calls that a whole run makes.
fn stops(level: &str) -> Vec<Stop> {
    let dir = Tempdir::new();
    let input = Input::new(&dir);
    let data = fresh(&dir, "data");
    let log = dir.path().join("calls");
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-o"])
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_annals"))
        .args(produce(level, "pwrite"));
    let output = strace.arg("--dir").arg(&data).stdin(input.open()).output().expect("strace can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    for line in std::fs::read_to_string(&log).expect("strace wrote it").lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((call, _)) = rest.trim_start().split_once('(') else { continue };
        if call.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
            *counts.entry((call.to_owned(), thread.to_owned())).or_default() += 1;
        }
    }
    // Calls are counted for each thread, so the n-th is that of whichever thread comes to it first.
    let mut most: BTreeMap<String, u64> = BTreeMap::new();
    for ((call, _), count) in counts {
        let known = most.entry(call).or_default();
        *known = (*known).max(count);
    }
    // What starts the process is not its own doing, and cannot be stopped at by name.
    most.remove("execve");
    most.into_iter().flat_map(|(call, count)| (1..=count).map(move |number| (call.clone(), number))).collect()
}

/// Runs it with a kill at that call; returns whether it was killed, and how many lines were acknowledged and found.
fn killed_at(level: &str, call: &str, number: u64) -> (bool, usize, usize) {
    let dir = Tempdir::new();
    let input = Input::new(&dir);
    let data = fresh(&dir, "data");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e"]);
    strace.arg(format!("inject={call}:signal=KILL:when={number}")).arg(env!("CARGO_BIN_EXE_annals"));
    strace.args(produce(level, "pwrite")).arg("--dir").arg(&data).stdin(input.open());
    let output = strace.output().expect("strace can be run");
    let places = acknowledged(&output.stdout);
    let case = format!("call {number} of {call}, {level}");
    let was_killed = !output.status.success();
    assert!(was_killed || places.len() == LINES, "{case}: it ended well after {} lines", places.len());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("annals: "), "{case}: {errors}");
    (was_killed, places.len(), check(&data, &input, &places, &case))
}
