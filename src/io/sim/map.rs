//! Maps of the simulated disk: every store is a step, and a cut can fall inside it.

use super::counts::Op;
use super::file::Handle;
use super::step::Step;
use crate::io::slot::{HeldSlot, WriterSlot};
use crate::io::{MapReader, MapWriter, bounds};
use crate::sync::{AtomicU64, Ordering, Published, Publisher};
use std::io;
use std::sync::Arc;

/// Maps a file that has `len` bytes. See [`File::map`](crate::io::File::map).
pub(super) fn map(
    handle: &Arc<Handle>,
    slot: &Arc<WriterSlot>,
    len: u64,
    published: u64,
    capacity: u64,
) -> io::Result<(Box<dyn MapWriter>, Arc<dyn MapReader>)> {
    bounds::check_map(published, capacity, len)?;
    let held = WriterSlot::take(slot)?;
    let publisher = Publisher::new(published);
    let reserved = AtomicU64::new(published);
    let (handle, published) = (Arc::clone(handle), publisher.published());
    let reader = Arc::new(Reader { handle, published, reserved, capacity });
    Ok((Box::new(Writer { publisher, shared: Arc::clone(&reader), _held: held }), reader))
}

/// Maps `wanted` of the `len` bytes of a file. See [`File::map_read`](crate::io::File::map_read).
pub(super) fn map_read(handle: &Arc<Handle>, len: u64, wanted: u64) -> io::Result<Arc<dyn MapReader>> {
    if len < wanted {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let (handle, published) = (Arc::clone(handle), Publisher::new(wanted).published());
    Ok(Arc::new(Reader { handle, published, reserved: AtomicU64::new(wanted), capacity: wanted }))
}

#[derive(Debug)]
struct Writer {
    publisher: Publisher,
    shared: Arc<Reader>,
    _held: HeldSlot,
}

#[derive(Debug)]
struct Reader {
    handle: Arc<Handle>,
    published: Published,
    reserved: AtomicU64,
    capacity: u64,
}

impl MapWriter for Writer {
    fn store(&mut self, bytes: &[u8], position: u64) {
        bounds::assert_store(bytes, position, self.publisher.get(), self.shared.reserved());
        let handle = &self.shared.handle;
        // The only error there can be is that the disk was cut off, which a store cannot tell anybody.
        let _ = handle.operate(Op::Store, |inner, _| match bytes {
            [] => Ok(()),
            _ => {
                inner.assert_room(handle.node, position, bytes);
                let step = Step::Write { node: handle.node, position, bytes: bytes.into() };
                inner.perform(Op::Store, &handle.path, step)
            }
        });
    }

    fn publish(&mut self, end: u64) {
        bounds::assert_publish(end, self.shared.reserved());
        self.publisher.advance(end);
    }

    fn published(&self) -> Published {
        self.publisher.published()
    }
}

impl MapReader for Reader {
    fn read(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        bounds::check_read(buf, position, self.published.get())?;
        self.handle.operate(Op::MapRead, |inner, _| {
            inner.state.file(self.handle.node).live.read_at(buf, position);
            Ok(())
        })
    }

    fn reserve(&self, to: u64) -> io::Result<()> {
        bounds::check_reserve(to, self.capacity)?;
        let from = self.reserved();
        if from < to {
            self.handle.allocate(from, to)?;
            self.reserved.fetch_max(to, Ordering::AcqRel);
        }
        Ok(())
    }

    fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Acquire)
    }
}
