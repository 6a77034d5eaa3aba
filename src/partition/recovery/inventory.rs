//! Which files there are, and whose they are.

use super::is_ours;
use super::salvage::{UNFINISHED, kept_name};
use crate::io::{Access, Dir, EntryKind, File};
use crate::partition::manifest::{MANIFEST_NEW, Manifest, SegmentEntry, SegmentState};
use crate::segment::{FileName, HeaderFlaw, SEGMENT_HEADER_LEN, SegmentHeader, Track, read_header};
use crate::sync::OnceLock;
use crate::{Error, ErrorKind, Offset, Result};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// The files of a partition's directory that bear our names.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// Segment files with a good header of this partition, by sequence.
    pub(crate) segments: BTreeMap<u64, SegmentFile>,
    /// Further files with a sequence that is there already: copies that somebody made. They are left alone.
    copies: Vec<SegmentFile>,
    /// Files with a segment's name and no good header of ours: what they are.
    pub(crate) strange: BTreeMap<String, HeaderFlaw>,
    /// Segment files of another partition or topic.
    pub(crate) foreign: BTreeSet<String>,
    /// First offsets of index files.
    pub(crate) indexes: BTreeSet<Offset>,
    /// Whether a manifest that was never put in place is there.
    pub(crate) has_new_manifest: bool,
    /// Whether a salvage was cut off before its result was listed, or right after.
    pub(crate) has_unfinished_salvage: bool,
    /// Whether segments are kept aside, or what recovery cut off.
    has_history: bool,
}

/// One segment file.
#[derive(Clone, Debug)]
pub(crate) struct SegmentFile {
    dir: Arc<dyn Dir>,
    pub(crate) name: String,
    pub(crate) header: SegmentHeader,
    pub(crate) len: u64,
    /// Opened when it is needed: a log may have more segments than a process may have open files.
    file: OnceLock<Arc<dyn File>>,
}

/// Whose files are looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose<'a> {
    Anyones,
    /// Those of a partition, by its topic and number.
    Partition(crate::TopicId, u32),
    /// Those of the partition that this is the manifest of. What it does not list as sealed stays open.
    Of(&'a Manifest),
}

impl Whose<'_> {
    fn admits(self, header: &SegmentHeader) -> bool {
        match self {
            Self::Anyones => true,
            Self::Partition(topic, number) => (header.topic, header.partition) == (topic, number),
            Self::Of(manifest) => is_ours(header, manifest),
        }
    }

    /// Whether it will be read.
    fn keeps_open(self, header: &SegmentHeader) -> bool {
        let Self::Of(manifest) = self else { return false };
        let open = manifest.segments.iter().filter(|entry| entry.state != SegmentState::Sealed);
        open.into_iter().any(|entry| entry.sequence == header.sequence)
    }
}

impl SegmentFile {
    pub(super) fn new(
        dir: &Arc<dyn Dir>,
        name: String,
        header: SegmentHeader,
        file: Arc<dyn File>,
    ) -> Result<Self> {
        let len = file.len().map_err(|error| Error::io("read the size of", file.path(), error))?;
        Ok(Self { dir: dir.clone(), name, header, len, file: OnceLock::from(file) })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join(&self.name)
    }

    /// The file, open for reading as long as this is there.
    pub(crate) fn file(&self) -> Result<&Arc<dyn File>> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let file = self.dir.open(&self.name, Access::Read);
        let file = file.map_err(|error| Error::io("open the segment", &self.path(), error))?;
        Ok(self.file.get_or_init(|| file))
    }

    pub(crate) fn track(&self) -> Result<Track<'_>> {
        let file = &**self.file()?;
        Ok(Track { file, salt: self.header.salt, layout: self.header.layout, len: self.len })
    }
}

/// The names that the file of a listed segment can have: the one it is made under, and the one it is given
/// once the manifest says where it begins.
fn names_of(entry: &SegmentEntry) -> [String; 2] {
    [FileName::Log(entry.first_offset).to_string(), FileName::Next { sequence: entry.sequence }.to_string()]
}

/// A file under a name that its segment never had: its header, or its name, is another segment's.
fn misplaced(dir: &dyn Dir, entry: &SegmentEntry, names: &[String; 2], found: &SegmentFile) -> Error {
    let [expected, first_name] = names;
    let message = format!(
        "{}: expected segment {} in {expected} or {first_name}, and found its header here",
        dir.path().join(&found.name).display(),
        entry.sequence
    );
    Error::new(ErrorKind::Corrupt, message)
}

impl Inventory {
    /// Looks at all names in `dir` and at the headers of segment files. Opens nothing that is not a regular
    /// file.
    ///
    /// # Errors
    /// When the directory or a header cannot be read.
    pub(crate) fn take(dir: &Arc<dyn Dir>, whose: Whose<'_>) -> Result<Self> {
        let mut inventory = Self::default();
        let entries = dir.list().map_err(|error| Error::io("list", dir.path(), error))?;
        for entry in entries.iter().filter(|entry| entry.kind == EntryKind::File) {
            match FileName::parse(&entry.name) {
                Some(FileName::Log(_) | FileName::Next { .. }) => inventory.add(dir, &entry.name, whose)?,
                Some(FileName::Index(offset) | FileName::TimeIndex(offset)) => {
                    inventory.indexes.insert(offset);
                }
                Some(FileName::Torn { .. }) => inventory.has_history = true,
                None => {
                    inventory.has_new_manifest |= entry.name == MANIFEST_NEW;
                    inventory.has_unfinished_salvage |= entry.name == UNFINISHED;
                    inventory.has_history |= kept_name(&entry.name).is_some();
                }
            }
        }
        Ok(inventory)
    }

    fn add(&mut self, dir: &Arc<dyn Dir>, name: &str, whose: Whose<'_>) -> Result<()> {
        let path = dir.path().join(name);
        let file = match dir.open(name, Access::Read) {
            Ok(file) => file,
            // Deleted by its writer since it was listed: a reader beside it looks again if it needs the file.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("open the segment", &path, error)),
        };
        let header = match read_header(&*file)? {
            Ok(header) => header,
            Err(flaw) => {
                self.strange.insert(name.to_owned(), flaw);
                return Ok(());
            }
        };
        if !whose.admits(&header) {
            self.foreign.insert(name.to_owned());
            return Ok(());
        }
        let keeps_open = whose.keeps_open(&header);
        let mut found = SegmentFile::new(dir, name.to_owned(), header, file)?;
        if !keeps_open {
            found.file = OnceLock::new();
        }
        match self.segments.entry(found.header.sequence) {
            Entry::Vacant(place) => {
                place.insert(found);
            }
            Entry::Occupied(_) => self.copies.push(found),
        }
        Ok(())
    }

    /// The file of a segment that the manifest lists.
    ///
    /// # Errors
    /// `Corrupt` when it is missing or shorter than its end, or its header is damaged; `Unsupported` when its
    /// header is of a newer version.
    pub(crate) fn listed(&self, dir: &dyn Dir, entry: &SegmentEntry) -> Result<&SegmentFile> {
        let names = names_of(entry);
        let mut candidates = self.candidates(entry.sequence);
        let Some(found) = candidates.clone().find(|found| names.contains(&found.name)) else {
            return Err(match candidates.next() {
                None => self.missing(dir, entry, &names),
                Some(other) => misplaced(dir, entry, &names, other),
            });
        };
        if found.len < entry.end.to_u64() {
            let path = dir.path().join(&found.name);
            let message = format!(
                "{}: expected at least {} bytes, found {}: the file was cut short",
                path.display(),
                entry.end,
                found.len
            );
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(found)
    }

    /// All files whose header has this sequence.
    fn candidates(&self, sequence: u64) -> impl Iterator<Item = &SegmentFile> + Clone {
        let copies = self.copies.iter().filter(move |copy| copy.header.sequence == sequence);
        self.segments.get(&sequence).into_iter().chain(copies)
    }

    fn missing(&self, dir: &dyn Dir, entry: &SegmentEntry, names: &[String; 2]) -> Error {
        let [expected, first_name] = names;
        let path = dir.path().join(expected);
        for name in names {
            if let Some(flaw) = self.strange.get(name) {
                let kind = match flaw {
                    HeaderFlaw::Unsupported { .. } => ErrorKind::Unsupported,
                    _ => ErrorKind::Corrupt,
                };
                return Error::new(kind, format!("{}: {flaw}", dir.path().join(name).display()));
            }
            if self.foreign.contains(name) {
                let message = format!(
                    "{}: expected segment {} of this partition, found another partition's",
                    dir.path().join(name).display(),
                    entry.sequence
                );
                return Error::new(ErrorKind::Corrupt, message);
            }
        }
        let message = format!(
            "{}: segment {} with offsets from {} on is missing, and {first_name} is not there either",
            path.display(),
            entry.sequence,
            entry.first_offset
        );
        Error::new(ErrorKind::Corrupt, message)
    }

    /// Segment files that the manifest does not list: left by an interrupted roll, deletion or recovery.
    pub(crate) fn unlisted(&self, manifest: &Manifest) -> Vec<&SegmentFile> {
        let listed: BTreeSet<u64> = manifest.segments.iter().map(|entry| entry.sequence).collect();
        self.segments
            .iter()
            .filter(|(sequence, _)| !listed.contains(sequence))
            .map(|(_, file)| file)
            .collect()
    }

    /// Whether all there is may be what the interrupted making of a new partition left: its first segment,
    /// without anything behind its header. A later one says that there were records, even when it is empty.
    pub(crate) fn is_unborn(&self, dir: &dyn Dir) -> Result<bool> {
        let first = FileName::Log(Offset::ZERO).to_string();
        let is_later = self.segments.values().any(|file| file.name != first || file.header.sequence > 0)
            || self.strange.keys().any(|name| *name != first);
        if is_later || self.has_history || self.has_unfinished_salvage || !self.foreign.is_empty() {
            return Ok(false);
        }
        let named = self.segments.values().map(|file| file.name.as_str());
        for name in named.chain(self.strange.keys().map(String::as_str)) {
            let path = dir.path().join(name);
            let file =
                dir.open(name, Access::Read).map_err(|error| Error::io("open the segment", &path, error))?;
            if super::tail::has_bytes_behind(&*file, u64::from(SEGMENT_HEADER_LEN))? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
