//! How much disk is taken by what is not part of the log.

use super::KEPT;
use crate::io::{Access, Dir, EntryKind};
use crate::segment::FileName;
use crate::{Error, Result};

/// Bytes of disk that the files take which were put aside.
///
/// # Errors
/// When the disk refuses.
pub(super) fn aside_bytes(dir: &dyn Dir) -> Result<u64> {
    let entries = dir.list().map_err(|error| Error::io("list", dir.path(), error))?;
    let aside = entries.iter().filter(|entry| {
        let is_torn = matches!(FileName::parse(&entry.name), Some(FileName::Torn { .. }));
        entry.kind == EntryKind::File && (is_torn || entry.name.starts_with(KEPT))
    });
    aside.map(|entry| allocated_bytes(dir, &entry.name)).sum()
}

/// Bytes of disk that a file takes, and none when it is gone.
fn allocated_bytes(dir: &dyn Dir, name: &str) -> Result<u64> {
    match dir.open(name, Access::Read).and_then(|file| file.allocated_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("read the allocated size of", &dir.path().join(name), error))
        }
        found => Ok(found.unwrap_or(0)),
    }
}

/// Bytes of disk that all files of a partition take which cannot be opened.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn refused_bytes(dir: &dyn Dir) -> Result<u64> {
    let entries = dir.list().map_err(|error| Error::io("list", dir.path(), error))?;
    let files = entries.iter().filter(|entry| entry.kind == EntryKind::File);
    files.map(|entry| allocated_bytes(dir, &entry.name)).sum()
}
