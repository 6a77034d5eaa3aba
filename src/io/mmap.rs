//! Real maps: the only file of the crate with `unsafe` in it.
//!
//! ```text
//!     file   │ published: never changes again │ the writer's alone │ reserved ... capacity: not there yet │
//!     Reader ──copies from here──▶              Writer stores here
//! ```
//!
//! What makes the copies sound, and who answers for it:
//! - Every byte below `reserved` is in the file: `map` checks the length, `reserve` allocates before it moves the
//!   end, and no file of ours is ever shrunk (space is given back by punching holes with the size kept).
//! - Only a `Writer` stores, there is one per file handle (`WriterSlot`), and one handle per file that writes:
//!   the directory's lock keeps other processes and handles out.
//! - It stores at or after the published end, and readers copy only before it. The end moves with release and
//!   acquire, so a reader that sees it sees the bytes before it.
//!
//! A sync of the descriptor, which was open before the first store, covers the map; so there is no `msync`.

use super::growth::Growth;
use super::slot::{HeldSlot, WriterSlot};
use super::{MapReader, MapWriter, bounds};
use crate::sync::{AtomicU64, Mutex, Ordering, Published, Publisher};
use memmap2::{MmapOptions, MmapRaw};
use std::fs::File;
use std::io;
use std::sync::Arc;

/// Maps the first `capacity` bytes of `file`; `slot` belongs to the file handle and admits one writer at a time.
///
/// # Errors
/// `ResourceBusy` while another writer of this handle lives; see [`bounds::check_map`].
pub(super) fn map(
    file: &Arc<File>,
    slot: &Arc<WriterSlot>,
    published: u64,
    capacity: u64,
) -> io::Result<(Box<dyn MapWriter>, Arc<dyn MapReader>)> {
    bounds::check_map(published, capacity, file.metadata()?.len())?;
    let held = WriterSlot::take(slot)?;
    let map = MmapOptions::new().len(to_usize(capacity)?).map_raw(&**file)?;
    let publisher = Publisher::new(published);
    let reserved = AtomicU64::new(published);
    let (file, published) = (Arc::clone(file), publisher.published());
    let reader = Arc::new(Reader { map, file, published, reserved, growth: Mutex::default() });
    Ok((Box::new(Writer { publisher, shared: Arc::clone(&reader), _held: held }), reader))
}

/// Maps the first `len` bytes of `file` for reading.
///
/// # Errors
/// `UnexpectedEof` when the file is shorter.
pub(super) fn map_read(file: &Arc<File>, len: u64) -> io::Result<Arc<dyn MapReader>> {
    if file.metadata()?.len() < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let map = MmapOptions::new().len(to_usize(len)?).map_raw_read_only(&**file)?;
    let (file, published) = (Arc::clone(file), Publisher::new(len).published());
    Ok(Arc::new(Reader { map, file, published, reserved: AtomicU64::new(len), growth: Mutex::default() }))
}

#[derive(Debug)]
struct Writer {
    publisher: Publisher,
    shared: Arc<Reader>,
    _held: HeldSlot,
}

#[derive(Debug)]
struct Reader {
    map: MmapRaw,
    /// Keeps the descriptor open whose sync covers the map.
    file: Arc<File>,
    published: Published,
    /// Never beyond the file's length nor the map's.
    reserved: AtomicU64,
    /// Held while the file grows.
    growth: Mutex<Growth>,
}

impl MapWriter for Writer {
    #[expect(unsafe_code, reason = "a store into a shared map is a copy to a raw pointer")]
    fn store(&mut self, bytes: &[u8], position: u64) {
        bounds::assert_store(bytes, position, self.publisher.get(), self.shared.reserved());
        let position = to_usize(position).expect("it lies below the map's length, which is a usize");
        // SAFETY: `position + bytes.len() <= reserved <= map.len()` was just asserted, so the pointer stays inside
        // the map and its pages are in the file; `&mut self` is the only writer, and nobody reads at or after the
        // published end, so no one else touches this range; `bytes` cannot overlap it, as no reference into the
        // map is ever given out.
        unsafe {
            self.shared.map.as_mut_ptr().add(position).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len())
        }
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
    #[expect(unsafe_code, reason = "a read from a shared map is a copy from a raw pointer")]
    fn read(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        bounds::check_read(buf, position, self.published.get())?;
        let position = to_usize(position)?;
        // SAFETY: `position + buf.len() <= published <= reserved <= map.len()` was just checked, so the pointer
        // stays inside the map and its pages are in the file; bytes below the published end are never stored to
        // again, and the acquire load above has made them visible; `buf` is exclusive and not of this map.
        unsafe { self.map.as_ptr().add(position).copy_to_nonoverlapping(buf.as_mut_ptr(), buf.len()) }
        Ok(())
    }

    fn reserve(&self, to: u64) -> io::Result<()> {
        bounds::check_reserve(to, self.map.len() as u64)?;
        let mut growth = self.growth.lock();
        let from = self.reserved();
        if from < to {
            growth.grow(&self.file, &(from..to))?;
            populate(&self.map, from, to)?;
            self.reserved.store(to, Ordering::Release);
        }
        Ok(())
    }

    fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Acquire)
    }
}

/// Makes the pages of `from..to` present and writable, so that no store waits for them.
#[cfg(target_os = "linux")]
fn populate(map: &MmapRaw, from: u64, to: u64) -> io::Result<()> {
    match map.advise_range(memmap2::Advice::PopulateWrite, to_usize(from)?, to_usize(to - from)?) {
        // A kernel before 5.14 does not know the advice; there the first store to each page is slower.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}

#[cfg(not(target_os = "linux"))]
fn populate(_map: &MmapRaw, _from: u64, _to: u64) -> io::Result<()> {
    Ok(())
}

fn to_usize(number: u64) -> io::Result<usize> {
    usize::try_from(number).map_err(|_| io::ErrorKind::FileTooLarge.into())
}
