//! Running the tool, and what came of it.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory of this test alone, removed at the end.
pub struct Tempdir(PathBuf);

impl Tempdir {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("annals-cli-{}-{number}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).expect("the temporary directory can be written");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where a data directory can be.
    pub fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for Tempdir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// What a process came to.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: Vec<u8>,
    pub err: String,
}

impl Run {
    pub fn of(output: Output) -> Self {
        let err = String::from_utf8(output.stderr).expect("errors are text");
        Self { code: output.status.code(), out: output.stdout, err }
    }

    /// What it printed, when it went well and said nothing else.
    pub fn ok(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", String::from_utf8_lossy(&self.out));
        String::from_utf8(self.out).expect("what was printed is text")
    }
}

/// The tool, with nothing of this process's surroundings.
pub fn tool<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_annals"));
    command.args(args).env_remove("ANNALS_DIR").stdin(Stdio::null());
    command
}

/// The tool on a data directory.
pub fn on(data: &Path, args: &[&str]) -> Command {
    let mut command = tool(args);
    command.arg("--dir").arg(data);
    command
}

/// Runs it to its end.
pub fn run(data: &Path, args: &[&str]) -> Run {
    Run::of(on(data, args).output().expect("the tool can be run"))
}

/// Runs it with this input.
pub fn feed(data: &Path, args: &[&str], input: &[u8]) -> Run {
    let mut command = on(data, args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the tool can be run");
    let mut stdin = child.stdin.take().expect("it was asked for");
    std::thread::scope(|scope| {
        // It may stop reading before the end, which is its own affair.
        scope.spawn(move || drop(stdin.write_all(input)));
        Run::of(child.wait_with_output().expect("it was started here"))
    })
}

/// A data directory with one topic, `orders`, of three partitions.
pub fn with_topic() -> (Tempdir, PathBuf) {
    let dir = Tempdir::new();
    let data = dir.data();
    run(&data, &["topic", "create", "orders", "--partitions", "3"]).ok();
    (dir, data)
}
