//! Opening the data directory, for writing or beside a writer.

use super::failure::{Failure, Outcome};
use annals::{Broker, BrokerFollower, Maintenance, WriteMode};
use std::path::Path;

/// Opens the directory for writing; creates it if need be.
pub(crate) fn create(path: &Path, mode: WriteMode) -> Outcome<Broker> {
    Broker::options().write_mode(mode).open(path).map_err(Failure::of_directory)
}

/// Opens a directory that is there for writing.
pub(crate) fn open(path: &Path, mode: WriteMode) -> Outcome<Broker> {
    // A path that was mistyped does not become a data directory.
    drop(beside(path)?);
    create(path, mode)
}

/// Opens the directory for reading, beside whoever writes it.
pub(crate) fn beside(path: &Path) -> Outcome<BrokerFollower> {
    Broker::open_read_only(path).map_err(Failure::of_directory)
}

/// The same once what a process that was killed has left is recovered, when nobody has the directory open.
///
/// Without that, records that were written and not yet synced when it was killed would not be seen.
pub(crate) fn recovered(path: &Path) -> Outcome<BrokerFollower> {
    let before = beside(path)?;
    // Where somebody else has it, or it may not be written, what can be read is read all the same.
    if let Ok(broker) = Broker::options().maintenance(Maintenance::Manual).open(path) {
        drop(broker.close());
        before.refresh().map_err(Failure::of_directory)?;
    }
    Ok(before)
}
