//! Which kind of file it is, and the way to its parts.

use super::item::DumpItem;
use super::{index, segment, slots};
use crate::io::{Access, Dir, DiskDir, File, read_full};
use crate::partition::manifest::{MANIFEST, MANIFEST_NEW, Manifest};
use crate::partition::slots::Slotted;
use crate::segment::{FileName, SEGMENT_FRAME};
use crate::topic::catalog::{CATALOG, CATALOG_NEW, Catalog};
use crate::{Error, ErrorKind, Result};
use std::path::Path;
use std::sync::Arc;

/// What a file of a data directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A log of batches.
    Segment,
    /// From offsets to places in a segment.
    Index,
    /// From timestamps to places in a segment.
    TimeIndex,
    /// What a partition consists of.
    Manifest,
    /// Which topics there are.
    Catalog,
    /// Bytes that recovery cut off a segment and kept.
    Torn,
}

/// How much of a file is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Detail {
    /// Down to batches and entries.
    #[default]
    Batches,
    /// Each record of a batch as well.
    Records,
}

/// A file of a data directory, opened to be shown as it lies. Takes no lock and writes nothing.
///
/// ```
/// use annals::dump::{Detail, FileDump, FileKind};
/// use annals::{Partition, Record};
/// # let dir = std::env::temp_dir().join(format!("annals-doc-dump-{}", std::process::id()));
/// let log = Partition::open(&dir)?;
/// log.append([Record::new("a"), Record::new("b")]).wait()?;
/// log.close()?;
///
/// let dump = FileDump::open(dir.join("00000000000000000000.log"))?;
/// assert_eq!(dump.kind(), FileKind::Segment);
/// let mut lines = Vec::new();
/// dump.show(Detail::Batches, &mut |item| lines.push(item.to_string()))?;
/// assert!(lines[1].starts_with("4096 batch base_offset=0 records=2"), "{lines:?}");
/// # drop(std::fs::remove_dir_all(&dir));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Debug)]
pub struct FileDump {
    file: Arc<dyn File>,
    /// What its name says; none for a name that is not ours.
    name: Option<FileName>,
    kind: FileKind,
}

impl FileDump {
    /// Opens the file at `path`. What it is, its first bytes say; where they are damaged, its name.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` when it is not a regular file, or not one of a data directory; `Io`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or_else(|| Path::new("."));
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(Error::new(ErrorKind::InvalidInput, format!("{}: not a file", path.display())));
        };
        let dir = DiskDir::open(parent).map_err(|error| Error::io("open the directory", parent, error))?;
        Self::open_in(&*dir, name)
    }

    /// Opens the file `name` in `dir`, on whatever disk that is.
    ///
    /// # Errors
    /// As [`FileDump::open`].
    pub fn open_in(dir: &dyn Dir, name: &str) -> Result<Self> {
        let path = dir.path().join(name);
        let file = dir.open(name, Access::Read).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidInput => {
                Error::new(ErrorKind::InvalidInput, format!("{}: not a regular file", path.display()))
            }
            _ => Error::io("open", &path, error),
        })?;
        let mut magic = [0; 8];
        let found = read_full(&*file, &mut magic, 0)
            .map_err(|error| Error::io("read 8 bytes at position 0 of", &path, error))?;
        // What salvage keeps has a word before its name.
        let bare = name.trim_start_matches("damaged-");
        let parsed = FileName::parse(bare);
        let Some(kind) =
            kind_by_magic(magic.get(..found).unwrap_or_default()).or_else(|| kind_by_name(bare, parsed))
        else {
            let message =
                format!("{}: neither its first bytes nor its name are of our files", path.display());
            return Err(Error::new(ErrorKind::InvalidInput, message));
        };
        Ok(Self { file, name: parsed, kind })
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// Shows each part of it to `each`, from its first byte on. Blocks.
    ///
    /// Of a file that somebody writes the end may be met half-written.
    ///
    /// # Errors
    /// `Io` when a read fails. Damage is not an error: it is shown.
    pub fn show(&self, detail: Detail, each: &mut dyn FnMut(&DumpItem)) -> Result<()> {
        let file = &*self.file;
        match self.kind {
            FileKind::Segment => segment::show(file, self.name, detail, each),
            FileKind::Index | FileKind::TimeIndex => index::show(file, each),
            FileKind::Manifest => slots::show::<Manifest>(file, each),
            FileKind::Catalog => slots::show::<Catalog>(file, each),
            FileKind::Torn => {
                let len = file.len().map_err(|error| Error::io("read the size of", file.path(), error))?;
                let mut item = DumpItem::new(0, "torn").with("bytes", &len);
                if let Some(FileName::Torn { sequence, position }) = self.name {
                    item = item.with("cut_from_segment", &sequence).with("at", &position);
                }
                each(&item);
                Ok(())
            }
        }
    }
}

fn kind_by_magic(magic: &[u8]) -> Option<FileKind> {
    let kinds = [
        (SEGMENT_FRAME, FileKind::Segment),
        (crate::segment::index::OFFSETS, FileKind::Index),
        (crate::segment::index::TIMES, FileKind::TimeIndex),
        (Manifest::FRAME, FileKind::Manifest),
        (Catalog::FRAME, FileKind::Catalog),
    ];
    kinds.into_iter().find(|(frame, _)| frame.magic == magic).map(|(_, kind)| kind)
}

fn kind_by_name(name: &str, parsed: Option<FileName>) -> Option<FileKind> {
    match (name, parsed) {
        (_, Some(FileName::Log(_) | FileName::Next { .. })) => Some(FileKind::Segment),
        (_, Some(FileName::Index(_))) => Some(FileKind::Index),
        (_, Some(FileName::TimeIndex(_))) => Some(FileKind::TimeIndex),
        (_, Some(FileName::Torn { .. })) => Some(FileKind::Torn),
        (MANIFEST | MANIFEST_NEW, None) => Some(FileKind::Manifest),
        (CATALOG | CATALOG_NEW, None) => Some(FileKind::Catalog),
        _ => None,
    }
}
