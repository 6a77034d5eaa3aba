//! The halves of a map of a file in memory: they copy under the file's lock.

use super::Node;
use crate::io::slot::{HeldSlot, WriterSlot};
use crate::io::{MapReader, MapWriter, bounds};
use crate::sync::{AtomicU64, Ordering, Published, Publisher};
use std::io;
use std::sync::Arc;

/// See [`File::map`](crate::io::File::map).
pub(super) fn map(
    node: &Arc<Node>,
    slot: &Arc<WriterSlot>,
    published: u64,
    capacity: u64,
) -> io::Result<(Box<dyn MapWriter>, Arc<dyn MapReader>)> {
    bounds::check_map(published, capacity, node.content.read().len())?;
    let held = WriterSlot::take(slot)?;
    let publisher = Publisher::new(published);
    let reserved = AtomicU64::new(published);
    let (node, published) = (Arc::clone(node), publisher.published());
    let reader = Arc::new(Reader { node, published, reserved, capacity });
    Ok((Box::new(Writer { publisher, shared: Arc::clone(&reader), _held: held }), reader))
}

/// See [`File::map_read`](crate::io::File::map_read).
pub(super) fn map_read(node: &Arc<Node>, len: u64) -> io::Result<Arc<dyn MapReader>> {
    if node.content.read().len() < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let (node, published) = (Arc::clone(node), Publisher::new(len).published());
    Ok(Arc::new(Reader { node, published, reserved: AtomicU64::new(len), capacity: len }))
}

#[derive(Debug)]
struct Writer {
    publisher: Publisher,
    shared: Arc<Reader>,
    _held: HeldSlot,
}

#[derive(Debug)]
struct Reader {
    node: Arc<Node>,
    published: Published,
    reserved: AtomicU64,
    capacity: u64,
}

impl MapWriter for Writer {
    fn store(&mut self, bytes: &[u8], position: u64) {
        bounds::assert_store(bytes, position, self.publisher.get(), self.shared.reserved());
        self.shared.node.content.write().write_at(bytes, position);
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
        self.node.content.read().read_at(buf, position);
        Ok(())
    }

    fn reserve(&self, to: u64) -> io::Result<()> {
        bounds::check_reserve(to, self.capacity)?;
        let from = self.reserved();
        if from < to {
            self.node.allocate(from, to)?;
            self.reserved.fetch_max(to, Ordering::AcqRel);
        }
        Ok(())
    }

    fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Acquire)
    }
}
