//! This test binary once more, as a process of its own that runs one test: to be killed, limited, or measured alone.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// The process that runs `test`, and nothing else.
pub fn running(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("tests are programs"));
    command.args(arguments(test));
    command
}

/// What this binary is called with to do so.
pub fn arguments(test: &str) -> [&str; 4] {
    [test, "--exact", "--include-ignored", "--nocapture"]
}

/// Kills the process once it has printed a line that ends with that it is ready; returns that line.
pub fn kill_when_ready(mut command: Command) -> String {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it can be run again");
    let output = BufReader::new(child.stdout.take().expect("it was piped"));
    let ready = output.lines().map_while(Result::ok).find(|line| line.ends_with("ready"));
    child.kill().expect("it waits to be killed");
    child.wait().expect("it was killed");
    ready.expect("it came to its end too early")
}

/// What the process prints until its end.
///
/// # Panics
/// When it fails.
pub fn output_of(mut command: Command) -> String {
    let output = command.output().expect("it can be run again");
    let printed =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
    printed
}

/// Lets the process come to its end, and prints the figures that it measured.
pub fn relay_figures(command: Command) {
    output_of(command).lines().filter(|line| line.starts_with("figure:")).for_each(|line| println!("{line}"));
}
