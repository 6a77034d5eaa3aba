//! What is left of a file that was closed: where it was.

use super::{File, MapReader, MapWriter};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Stands in for a file whose descriptor and map are gone, and refuses everything.
#[derive(Debug)]
pub(crate) struct ClosedFile {
    path: PathBuf,
}

impl ClosedFile {
    /// In place of `file`.
    pub(crate) fn of(file: &dyn File) -> Arc<dyn File> {
        Arc::new(Self { path: file.path().to_owned() })
    }
}

fn closed() -> io::Error {
    io::Error::other("the file was closed")
}

impl File for ClosedFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read_at(&self, _buf: &mut [u8], _position: u64) -> io::Result<usize> {
        Err(closed())
    }

    fn write_at(&self, _bytes: &[u8], _position: u64) -> io::Result<usize> {
        Err(closed())
    }

    fn len(&self) -> io::Result<u64> {
        Err(closed())
    }

    fn allocated_bytes(&self) -> io::Result<u64> {
        Err(closed())
    }

    fn allocate(&self, _from: u64, _to: u64) -> io::Result<()> {
        Err(closed())
    }

    fn punch(&self, _from: u64, _to: u64) -> io::Result<()> {
        Err(closed())
    }

    fn sync(&self) -> io::Result<()> {
        Err(closed())
    }

    fn map(&self, _published: u64, _capacity: u64) -> io::Result<(Box<dyn MapWriter>, Arc<dyn MapReader>)> {
        Err(closed())
    }

    fn map_read(&self, _len: u64) -> io::Result<Arc<dyn MapReader>> {
        Err(closed())
    }
}
