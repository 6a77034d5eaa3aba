//! `annals dump`: one file as it lies.

use super::failure::{Failure, Outcome, Trouble};
use super::output::Output;
use annals::dump::{Detail, FileDump};
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  annals dump data/orders/0/00000000000000000000.log
  annals dump --records data/orders/0/00000000000000000000.log
  annals dump data/orders/0/manifest

Each line is one part of the file: the byte it begins at, what it is, and its fields. Where the file is
damaged a line says so, what is good behind it follows, and the exit code is 3.")]
pub(crate) struct DumpOptions {
    /// A segment, index, timeindex, manifest or catalog.
    file: PathBuf,

    /// Show the records of each batch of a segment as well.
    #[arg(long)]
    records: bool,
}

pub(crate) fn run(options: &DumpOptions) -> Outcome {
    let dump = FileDump::open(&options.file).map_err(Failure::of_file)?;
    let detail = if options.records { Detail::Records } else { Detail::Batches };
    let mut output = Output::new();
    let (mut written, mut damaged) = (Ok(()), 0_u64);
    let shown = dump.show(detail, &mut |item| {
        damaged += u64::from(item.is_damage);
        if written.is_ok() {
            written = output.line(item);
        }
    });
    written?;
    output.flush()?;
    shown.map_err(Failure::of_file)?;
    match damaged {
        0 => Ok(()),
        1 => Err(Failure::new(
            Trouble::Damage,
            format_args!("{}: damaged in one place", options.file.display()),
        )),
        _ => Err(Failure::new(
            Trouble::Damage,
            format_args!("{}: damaged in {damaged} places", options.file.display()),
        )),
    }
}
