//! What can go wrong, what to do about it, and with which code the process ends.
//!
//! `docs/tool.md` has the same table, and every row of it a test.

use annals::{Error, ErrorKind};
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// What a command comes to.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    trouble: Trouble,
    message: String,
}

/// One row of the table of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    NoDirectory,
    BadValue,
    OffsetOfMany,
    NoData,
    SinglePartition,
    NoTopic,
    NoPartition,
    NoGroup,
    TopicExists,
    TopicGone,
    Locked,
    OutOfRange,
    TooLarge,
    NoSpace,
    ReadOnly,
    Unsupported,
    Disk,
    Input,
    Output,
    NoFile,
    NotOurFile,
    Damage,
    DamageFound,
    CatalogDamaged,
    RecordsLost,
    /// Whoever reads our output has had enough: no error.
    ClosedPipe,
}

impl Trouble {
    /// The code the process ends with.
    fn exit_code(self) -> u8 {
        match self {
            Self::ClosedPipe => 0,
            Self::NoDirectory | Self::BadValue | Self::OffsetOfMany => 2,
            Self::Damage | Self::DamageFound | Self::CatalogDamaged | Self::RecordsLost => 3,
            _ => 1,
        }
    }

    /// What to do next.
    fn advice(self) -> &'static str {
        match self {
            Self::NoDirectory => "name the data directory with --dir DIR, or set ANNALS_DIR",
            Self::BadValue => {
                "`annals topic create --help` says what a name may be, and the bounds of each option"
            }
            Self::OffsetOfMany => "name the partition with --partition N, or begin at a time or at an end",
            Self::NoData => "check the path, or create a topic there with `annals topic create`",
            Self::SinglePartition => {
                "`annals dump` shows its files; for all else open it with annals::Partition in a program"
            }
            Self::NoTopic => {
                "see which topics there are with `annals topic list`, or create it with `annals topic create`"
            }
            Self::NoPartition => "see how many partitions there are with `annals topic describe`",
            Self::NoGroup => {
                "see which groups there are with `annals group list`; one is made by `annals group reset`"
            }
            Self::TopicExists => "change it with `annals topic alter`, or choose another name",
            Self::TopicGone => "nothing more will come; a new topic of this name is another topic",
            Self::Locked => {
                "wait for that process or stop it; consume, list, describe, dump and verify work beside it"
            }
            Self::OutOfRange => "see where each partition begins and ends with `annals topic describe`",
            Self::TooLarge => {
                "split the record, or raise the limit with `annals topic alter TOPIC --batch-bytes-max SIZE`"
            }
            Self::NoSpace => "free some space and go on; what was acknowledged is there and can be read",
            Self::ReadOnly => "run it as a user who may, or look at how the file system is mounted",
            Self::Unsupported => "read it with the newer version of annals that wrote it",
            Self::Disk => "look at the device and its file system, then run it again",
            Self::Input => "look at where standard input comes from; what was acknowledged before is there",
            Self::Output => "look at where standard output goes, then run it again",
            Self::NoFile => "check the path; `annals topic describe` says where the files of a topic are",
            Self::NotOurFile => "name a segment, index, timeindex, manifest or catalog of a data directory",
            Self::Damage => {
                "see all of it with `annals verify`, then restore from a copy, or save what is good with \
                 `annals verify TOPIC --partition N --salvage`"
            }
            Self::DamageFound => {
                "restore from a copy, or save what is good with `annals verify TOPIC --partition N --salvage`"
            }
            Self::CatalogDamaged => {
                "restore the file `catalog` from a copy; the partitions are as they were, and \
                 annals::Partition opens each by itself"
            }
            Self::RecordsLost => "nothing: they were given up by a salvage, and all that is left was read",
            Self::ClosedPipe => "",
        }
    }
}

impl Failure {
    pub(crate) fn new(trouble: Trouble, message: impl fmt::Display) -> Self {
        Self { trouble, message: message.to_string() }
    }

    pub(crate) fn no_directory() -> Self {
        Self::new(Trouble::NoDirectory, "no data directory was named")
    }

    /// An error about a topic or about what it is set to.
    pub(crate) fn of_topic(error: Error) -> Self {
        Self::by_kind(error, Trouble::NoTopic)
    }

    /// An error about one partition of a topic that is there.
    pub(crate) fn of_partition(error: Error) -> Self {
        Self::by_kind(error, Trouble::NoPartition)
    }

    /// An error about a group, or about what it has committed.
    pub(crate) fn of_group(error: Error) -> Self {
        Self::by_kind(error, Trouble::NoGroup)
    }

    /// An offset was named where there are several partitions, each with its own.
    pub(crate) fn offset_of_many(topic: &str, partition_count: impl fmt::Display) -> Self {
        let message =
            format_args!("topic {topic} has {partition_count} partitions, and each has its own offsets");
        Self::new(Trouble::OffsetOfMany, message)
    }

    /// An error about a file that was named.
    pub(crate) fn of_file(error: Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidInput => Self::new(Trouble::NotOurFile, error),
            _ => Self::by_kind(error, Trouble::NoFile),
        }
    }

    /// An error about the data directory itself.
    pub(crate) fn of_directory(error: Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidInput => Self::new(Trouble::SinglePartition, error),
            ErrorKind::Corrupt => Self::new(Trouble::CatalogDamaged, error),
            _ => Self::by_kind(error, Trouble::NoData),
        }
    }

    /// By what a caller can do about it; `absent` is what it means here that something is not there.
    fn by_kind(error: Error, absent: Trouble) -> Self {
        let trouble = match error.kind() {
            ErrorKind::NotFound => absent,
            ErrorKind::AlreadyExists => Trouble::TopicExists,
            ErrorKind::InvalidInput => Trouble::BadValue,
            ErrorKind::TooLarge => Trouble::TooLarge,
            ErrorKind::OutOfRange => Trouble::OutOfRange,
            ErrorKind::Locked => Trouble::Locked,
            ErrorKind::ReadOnly => Trouble::ReadOnly,
            ErrorKind::NoSpace => Trouble::NoSpace,
            ErrorKind::Corrupt => Trouble::Damage,
            ErrorKind::Unsupported => Trouble::Unsupported,
            _ => Trouble::Disk,
        };
        Self::new(trouble, error)
    }

    /// Standard output refused what was written to it.
    pub(crate) fn of_output(error: io::Error) -> Self {
        let closed = error.kind() == io::ErrorKind::BrokenPipe;
        let trouble = if closed { Trouble::ClosedPipe } else { Trouble::Output };
        Self::new(trouble, format_args!("cannot write to standard output: {error}"))
    }

    pub(crate) fn of_input(error: &io::Error) -> Self {
        Self::new(Trouble::Input, format_args!("cannot read standard input: {error}"))
    }

    /// The same failure with what was done before it.
    pub(crate) fn after(mut self, done: impl fmt::Display) -> Self {
        self.message = format!("{} ({done})", self.message);
        self
    }

    pub(crate) fn is_closed_pipe(&self) -> bool {
        self.trouble == Trouble::ClosedPipe
    }

    /// Says on standard error what happened and what to do next.
    pub(crate) fn report(&self) -> ExitCode {
        if !self.is_closed_pipe() {
            // Where nobody reads that either, the exit code is all there is.
            let next = self.trouble.advice();
            drop(writeln!(io::stderr(), "annals: {}\n  next: {next}", self.message));
        }
        ExitCode::from(self.trouble.exit_code())
    }
}
