//! What can be asked on the command line. The options of a command stand beside it.

use super::{bench, consume, dump, group, produce, topic, verify};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A commit log in a directory: topics of partitions, as Kafka has them, with nothing to run beside it.
///
/// Commands that only read (topic list and describe, group list and describe, consume, dump, verify) work while another process
/// has the directory open for writing.
///
/// Exit codes: 0 fine, 1 the operation failed, 2 wrong usage, 3 damage found.
#[derive(Debug, Parser)]
#[command(
    name = "annals",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
#[command(after_help = "Examples:
  export ANNALS_DIR=data
  annals topic create orders --partitions 3
  printf 'alice:42\\nbob:7\\n' | annals produce orders --key-separator :
  annals consume orders --format json
  annals verify")]
pub(crate) struct Arguments {
    /// The data directory.
    #[arg(long = "dir", value_name = "DIR", env = "ANNALS_DIR", global = true)]
    pub(crate) directory: Option<PathBuf>,

    /// How commands that write get bytes into files.
    #[arg(long, value_name = "MODE", default_value = "automatic", global = true, hide_short_help = true)]
    pub(crate) write_mode: WriteMode,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create, list, describe, alter and delete topics.
    Topic {
        #[command(subcommand)]
        command: topic::TopicCommand,
    },
    /// Append a record for each line of standard input.
    Produce(produce::ProduceOptions),
    /// Print the records of a topic.
    Consume(consume::ConsumeOptions),
    /// List, describe, reset and delete consumer groups.
    Group {
        #[command(subcommand)]
        command: group::GroupCommand,
    },
    /// Show a segment, index, timeindex, manifest or catalog as it lies.
    Dump(dump::DumpOptions),
    /// Read everything and report what is damaged.
    Verify(verify::VerifyOptions),
    /// Measure how fast this machine appends and reads.
    Bench(bench::BenchOptions),
}

impl Arguments {
    /// What this process was asked.
    ///
    /// # Errors
    /// When that makes no sense, or is only a question for help.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let arguments = Self::try_parse()?;
        match &arguments.command {
            Command::Consume(options) if options.has_idle_separator() => {
                let message = "--key-separator is of use with --format key-value alone";
                Err(Self::command().error(ErrorKind::ArgumentConflict, message))
            }
            _ => Ok(arguments),
        }
    }
}

/// How bytes get into files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WriteMode {
    /// Through a map where that is known to be safe, else as pwrite.
    Automatic,
    /// By system calls alone.
    Pwrite,
}

impl From<WriteMode> for annals::WriteMode {
    fn from(mode: WriteMode) -> Self {
        match mode {
            WriteMode::Automatic => Self::Automatic,
            WriteMode::Pwrite => Self::Pwrite,
        }
    }
}
