//! Index files in a directory. They are caches: written without a sync, trusted only when all of it holds.

use super::{EncodedIndex, IndexFlaw, IndexOwner, IndexWriter};
use crate::io::{Access, Dir, read_full, write_all};
use crate::segment::FileName;
use crate::{Error, Offset, Position, Result};
use std::io::ErrorKind;

/// Writes both files of the segment that begins with `first_offset`, in place of what is there.
///
/// # Errors
/// When the disk refuses. A file that was left half-written is found out when it is read.
pub(crate) fn store(dir: &dyn Dir, first_offset: Offset, encoded: &EncodedIndex) -> Result<()> {
    let [offsets, times] = names(first_offset);
    for (name, bytes) in [(offsets, &encoded.offsets), (times, &encoded.times)] {
        remove_one(dir, &name)?;
        let file = dir.create(&name).map_err(|error| Error::io("create", &dir.path().join(&name), error))?;
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        write_all(&*file, bytes, 0).map_err(|error| {
            Error::io(format_args!("write {len} bytes at position 0 of"), file.path(), error)
        })?;
    }
    Ok(())
}

/// Reads the index of `owner`, whose batches end at `end`; see [`EncodedIndex::decode`].
///
/// # Errors
/// When a file is missing, cannot be read, or anything in it is wrong: rebuild the index.
pub(crate) fn load(
    dir: &dyn Dir,
    owner: IndexOwner,
    end: Position,
) -> Result<(IndexWriter, Position), IndexFlaw> {
    let [offsets, times] = names(owner.first_offset);
    let (offsets_len_max, times_len_max) = EncodedIndex::len_max(end);
    let offsets = read(dir, &offsets, offsets_len_max)?;
    let times = read(dir, &times, times_len_max)?;
    EncodedIndex { offsets, times }.decode(owner, end)
}

/// Removes both files; that they are not there is fine.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn remove(dir: &dyn Dir, first_offset: Offset) -> Result<()> {
    names(first_offset).iter().try_for_each(|name| remove_one(dir, name))
}

fn remove_one(dir: &dyn Dir, name: &str) -> Result<()> {
    match dir.remove(name) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::io("remove", &dir.path().join(name), error))
        }
        _ => Ok(()),
    }
}

/// The whole file, or one byte more than `len_max` of a file that is longer, which no decoder accepts.
fn read(dir: &dyn Dir, name: &str, len_max: usize) -> Result<Vec<u8>> {
    let path = dir.path().join(name);
    let file = dir.open(name, Access::Read).map_err(|error| Error::io("open", &path, error))?;
    let len = file.len().map_err(|error| Error::io("read the length of", &path, error))?;
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(len_max.saturating_add(1))];
    let found = read_full(&*file, &mut bytes, 0)
        .map_err(|error| Error::io(format_args!("read {len} bytes at position 0 of"), &path, error))?;
    bytes.truncate(found);
    Ok(bytes)
}

fn names(first_offset: Offset) -> [String; 2] {
    [FileName::Index(first_offset).to_string(), FileName::TimeIndex(first_offset).to_string()]
}
