//! Files of the simulated disk.

use super::counts::Op;
use super::node::NodeId;
use super::shared::{Extent, Inner, Maps, Shared};
use super::step::Step;
use crate::io::pages::Content;
use crate::io::slot::WriterSlot;
use crate::io::{Access, File, MapReader, MapWriter, bounds, map};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Keeps a removed file's space taken until it is dropped.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) disk: Arc<Shared>,
    pub(super) node: NodeId,
    pub(super) path: Arc<Path>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut inner = self.disk.inner();
        if let Some(count) = inner.handles.get_mut(&self.node) {
            *count -= 1;
            if *count == 0 {
                inner.handles.remove(&self.node);
            }
        }
    }
}

impl Handle {
    /// Runs an operation on the file.
    pub(super) fn operate<T>(
        &self,
        op: Op,
        act: impl FnOnce(&mut Inner, Extent) -> io::Result<T>,
    ) -> io::Result<T> {
        self.disk.operate(op, &self.path, act)
    }

    pub(super) fn allocate(&self, from: u64, to: u64) -> io::Result<()> {
        bounds::end_of(0, to)?;
        self.operate(Op::Allocate, |inner, _| {
            inner.check_free(inner.state.file(self.node).live.cost(from, to))?;
            inner.perform(Op::Allocate, &self.path, Step::Allocate { node: self.node, from, to })
        })
    }
}

#[derive(Debug)]
pub(super) struct SimFile {
    handle: Arc<Handle>,
    access: Access,
    slot: Arc<WriterSlot>,
}

impl SimFile {
    pub(super) fn new(handle: Handle, access: Access) -> Self {
        Self { handle: Arc::new(handle), access, slot: Arc::default() }
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::Read => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    fn size<T>(&self, of: impl FnOnce(&Content) -> T) -> io::Result<T> {
        self.handle.operate(Op::Size, |inner, _| Ok(of(&inner.state.file(self.handle.node).live)))
    }

    /// The present length, if files can be mapped.
    fn mappable_len(&self) -> io::Result<u64> {
        self.handle.operate(Op::Map, |inner, _| match inner.maps() {
            Maps::Offered => Ok(inner.state.file(self.handle.node).live.len()),
            Maps::Refused => Err(io::ErrorKind::Unsupported.into()),
        })
    }
}

impl File for SimFile {
    fn path(&self) -> &Path {
        &self.handle.path
    }

    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.handle.operate(Op::Read, |inner, extent| {
            let count = extent.of(buf.len());
            Ok(inner.state.file(self.handle.node).live.read_at(&mut buf[..count], position))
        })
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        self.check_writable()?;
        self.handle.operate(Op::Write, |inner, extent| {
            let bytes = &bytes[..extent.of(bytes.len())];
            inner.write(Op::Write, &self.handle.path, self.handle.node, bytes, position)
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.size(|content| content.len())
    }

    fn allocated_bytes(&self) -> io::Result<u64> {
        self.size(|content| content.allocated_bytes())
    }

    fn allocate(&self, from: u64, to: u64) -> io::Result<()> {
        self.check_writable()?;
        if from < to { self.handle.allocate(from, to) } else { Ok(()) }
    }

    fn punch(&self, from: u64, to: u64) -> io::Result<()> {
        self.check_writable()?;
        if from >= to {
            return Ok(());
        }
        self.handle.operate(Op::Punch, |inner, _| {
            inner.perform(Op::Punch, &self.handle.path, Step::Punch { node: self.handle.node, from, to })
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.handle.disk.sync(Op::Sync, &self.handle.path, self.handle.node)
    }

    fn map(&self, published: u64, capacity: u64) -> io::Result<(Box<dyn MapWriter>, Arc<dyn MapReader>)> {
        self.check_writable()?;
        let len = self.mappable_len()?;
        map::map(self.handle.clone(), &self.slot, len, published, capacity)
    }

    fn map_read(&self, len: u64) -> io::Result<Arc<dyn MapReader>> {
        map::map_read(self.handle.clone(), self.mappable_len()?, len)
    }
}
