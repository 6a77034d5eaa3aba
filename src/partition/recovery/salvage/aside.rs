//! Keeping the damaged files aside, and telling them from what an interrupted salvage left.
//!
//! ```text
//!     segments ──rename──▶ damaged-*      synced
//!     salvage-unfinished is created       synced: from here on, a segment that nothing lists is a half-made copy
//!     manifest of no use ──rename──▶ damaged-manifest
//! ```

use crate::io::{Access, Dir, EntryKind};
use crate::partition::manifest::{MANIFEST, Manifest};
use crate::segment::{FileName, read_header};
use crate::{Error, Result};
use std::collections::BTreeSet;

/// What the name of a file that is kept aside begins with. None of our names does, so nothing of ours ever
/// removes it, but the deletion of its topic.
pub(crate) const KEPT: &str = "damaged-";
/// Stands for as long as the manifest does not list what salvage makes.
pub(crate) const UNFINISHED: &str = "salvage-unfinished";

/// The segment's name that a file was kept aside under.
pub(crate) fn kept_name(name: &str) -> Option<FileName> {
    let mut name = name.strip_prefix(KEPT)?;
    while let Some(shorter) = name.strip_prefix(KEPT) {
        name = shorter;
    }
    FileName::parse(name)
}

/// Renames what is there, so that nothing takes it for a part of the log or for a leftover. `manifest` is none
/// where the file is of no use.
pub(super) fn keep_aside(dir: &dyn Dir, manifest: Option<&Manifest>) -> Result<()> {
    let entries = dir.list().map_err(|error| Error::io("list", dir.path(), error))?;
    let names: BTreeSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let files = entries.iter().filter(|entry| entry.kind == EntryKind::File);
    for name in files.map(|entry| entry.name.as_str()) {
        if !matches!(FileName::parse(name), Some(FileName::Log(_) | FileName::Next { .. })) {
            continue;
        }
        if names.contains(UNFINISHED) && is_half_made(dir, name, manifest)? {
            dir.remove(name).map_err(|error| Error::io("remove", &dir.path().join(name), error))?;
        } else {
            rename_aside(dir, name, &names)?;
        }
    }
    sync(dir)?;
    if !names.contains(UNFINISHED) {
        let path = dir.path().join(UNFINISHED);
        drop(dir.create(UNFINISHED).map_err(|error| Error::io("create", &path, error))?);
        sync(dir)?;
    }
    if manifest.is_none() && names.contains(MANIFEST) {
        rename_aside(dir, MANIFEST, &names)?;
    }
    Ok(())
}

/// Whether a segment beside the mark of an unfinished salvage is a copy that was not listed yet. All that was
/// there before bears another name by then.
fn is_half_made(dir: &dyn Dir, name: &str, manifest: Option<&Manifest>) -> Result<bool> {
    let Some(manifest) = manifest else { return Ok(true) };
    let path = dir.path().join(name);
    let file = dir.open(name, Access::Read).map_err(|error| Error::io("open", &path, error))?;
    let is_listed = |sequence| manifest.segments.iter().any(|listed| listed.sequence == sequence);
    Ok(read_header(&*file)?.is_ok_and(|header| !is_listed(header.sequence)))
}

fn rename_aside(dir: &dyn Dir, name: &str, names: &BTreeSet<&str>) -> Result<()> {
    let mut kept = format!("{KEPT}{name}");
    while names.contains(kept.as_str()) {
        kept.insert_str(0, KEPT);
    }
    dir.rename(name, &kept)
        .map_err(|error| Error::io(format_args!("rename {name} to"), &dir.path().join(&kept), error))
}

/// Takes the mark of an unfinished salvage away, once the manifest lists what it made. One that stays is
/// removed by the next open.
pub(super) fn finished(dir: &dyn Dir) {
    drop(dir.remove(UNFINISHED));
}

fn sync(dir: &dyn Dir) -> Result<()> {
    dir.sync().map_err(|error| Error::io("sync the directory", dir.path(), error))
}
