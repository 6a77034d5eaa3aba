//! Removing a partition for good: its files, if they are its own, and nothing else.

use super::manifest::{MANIFEST, MANIFEST_NEW, load_read_only};
use super::opening::LOCK;
use super::recovery::{Inventory, KEPT, UNFINISHED, Whose};
use crate::io::{Dir, Entry, EntryKind};
use crate::segment::FileName;
use crate::{Error, ErrorKind, Result, TopicId};
use std::io;
use std::sync::Arc;

/// Removes the directory `name` in `parent`, which is to hold partition `owner`, finished or not. What is
/// another partition's stays untouched, and files that are not of a partition stay, with their directory. The
/// caller syncs `parent`.
///
/// # Errors
/// When something of it cannot be read or removed.
pub(crate) fn remove_partition(parent: &dyn Dir, name: &str, owner: (TopicId, u32)) -> Result<()> {
    let path = parent.path().join(name);
    let dir = match parent.open_dir(name) {
        Ok(dir) => dir,
        Err(error) if is_absent(&error) => return Ok(()),
        Err(error) => return Err(Error::io("open the directory", &path, error)),
    };
    if is_foreign(&dir, owner)? {
        return Ok(());
    }
    let mut entries = dir.list().map_err(|error| Error::io("list", &path, error))?;
    // The manifest says whose the rest is, so it goes last.
    entries.sort_by_key(|entry| entry.name == MANIFEST);
    for entry in entries.iter().filter(|entry| is_ours(entry)) {
        match dir.remove(&entry.name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &path.join(&entry.name), error));
            }
            _ => {}
        }
    }
    drop(dir);
    match parent.remove_dir(name) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty || is_absent(&error) => Ok(()),
        Err(error) => Err(Error::io("remove the directory", &path, error)),
        Ok(()) => Ok(()),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether anything in there says that it belongs to another partition.
fn is_foreign(dir: &Arc<dyn Dir>, owner: (TopicId, u32)) -> Result<bool> {
    match load_read_only(&**dir) {
        Ok((manifest, _)) => return Ok((manifest.topic, manifest.partition) != owner),
        // Then its segments say whose it is.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => {}
        Err(error) => return Err(error),
    }
    Ok(!Inventory::take(dir, Whose::Partition(owner.0, owner.1))?.foreign.is_empty())
}

/// Whether a name is one that only partitions give.
fn is_ours(entry: &Entry) -> bool {
    let name = entry.name.as_str();
    let is_named = matches!(name, MANIFEST | MANIFEST_NEW | LOCK | UNFINISHED) || name.starts_with(KEPT);
    entry.kind == EntryKind::File && (is_named || FileName::parse(name).is_some())
}
