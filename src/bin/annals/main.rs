//! `annals`: topics, records and files of a data directory, from a shell.
//!
//! ```text
//!     arguments ──▶ one file per command ──▶ the library's public face
//!                        │
//!                        └── Failure ──▶ stderr: what happened, what to do next ──▶ exit code
//! ```
//!
//! It is a user of the library like any other: what it can do, a program can.

mod arguments;
mod bench;
mod consume;
mod directory;
mod dump;
mod failure;
mod format;
mod group;
mod input;
mod membership;
mod moment;
mod output;
mod produce;
mod progress;
mod quantity;
mod start;
mod topic;
mod verify;

use arguments::{Arguments, Command};
use failure::{Failure, Outcome};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors, and a closed pipe is none either.
            drop(error.print());
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(arguments: &Arguments) -> Outcome {
    let directory = || arguments.directory.as_deref().ok_or_else(Failure::no_directory);
    match &arguments.command {
        Command::Topic { command } => topic::run(command, directory()?, arguments.write_mode),
        Command::Produce(options) => produce::run(options, directory()?, arguments.write_mode),
        Command::Consume(options) => consume::run(options, directory()?, arguments.write_mode),
        Command::Group { command } => group::run(command, directory()?, arguments.write_mode),
        Command::Dump(options) => dump::run(options),
        Command::Verify(options) => verify::run(options, directory()?, arguments.write_mode),
        Command::Bench(options) => bench::run(options, directory()?, arguments.write_mode),
    }
}
