//! The halves of a map over bytes that are not mapped: a file in memory, or one of the simulated disk.
//!
//! ```text
//!     Writer ──store──▶ Backing ◀──load── Reader       the same bounds as those of a real map
//! ```

use super::slot::{HeldSlot, WriterSlot};
use super::{MapReader, MapWriter, bounds};
use crate::sync::{AtomicU64, Ordering, Published, Publisher};
use std::fmt::Debug;
use std::io;
use std::sync::Arc;

/// The bytes behind a map. Bounds were checked before they are asked for.
pub(super) trait Backing: Debug + Send + Sync + 'static {
    fn store(&self, bytes: &[u8], position: u64);
    fn load(&self, buf: &mut [u8], position: u64) -> io::Result<()>;
    fn allocate(&self, from: u64, to: u64) -> io::Result<()>;
}

/// Maps a file of `len` bytes. See [`File::map`](super::File::map).
pub(super) fn map<B: Backing>(
    backing: B,
    slot: &Arc<WriterSlot>,
    len: u64,
    published: u64,
    capacity: u64,
) -> io::Result<(Box<dyn MapWriter>, Arc<dyn MapReader>)> {
    bounds::check_map(published, capacity, len)?;
    let held = WriterSlot::take(slot)?;
    let publisher = Publisher::new(published);
    let reserved = AtomicU64::new(published);
    let published = publisher.published();
    let reader = Arc::new(Reader { backing, published, reserved, capacity });
    Ok((Box::new(Writer { publisher, shared: Arc::clone(&reader), _held: held }), reader))
}

/// Maps `wanted` of the `len` bytes of a file. See [`File::map_read`](super::File::map_read).
pub(super) fn map_read<B: Backing>(backing: B, len: u64, wanted: u64) -> io::Result<Arc<dyn MapReader>> {
    if len < wanted {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let published = Publisher::new(wanted).published();
    Ok(Arc::new(Reader { backing, published, reserved: AtomicU64::new(wanted), capacity: wanted }))
}

#[derive(Debug)]
struct Writer<B> {
    publisher: Publisher,
    shared: Arc<Reader<B>>,
    _held: HeldSlot,
}

#[derive(Debug)]
struct Reader<B> {
    backing: B,
    published: Published,
    reserved: AtomicU64,
    capacity: u64,
}

impl<B: Backing> MapWriter for Writer<B> {
    fn store(&mut self, bytes: &[u8], position: u64) {
        bounds::assert_store(bytes, position, self.publisher.get(), self.shared.reserved());
        self.shared.backing.store(bytes, position);
    }

    fn publish(&mut self, end: u64) {
        bounds::assert_publish(end, self.shared.reserved());
        self.publisher.advance(end);
    }

    fn published(&self) -> Published {
        self.publisher.published()
    }
}

impl<B: Backing> MapReader for Reader<B> {
    fn read(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        bounds::check_read(buf, position, self.published.get())?;
        self.backing.load(buf, position)
    }

    fn reserve(&self, to: u64) -> io::Result<()> {
        bounds::check_reserve(to, self.capacity)?;
        let from = self.reserved();
        if from < to {
            self.backing.allocate(from, to)?;
            self.reserved.fetch_max(to, Ordering::AcqRel);
        }
        Ok(())
    }

    fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Acquire)
    }
}
