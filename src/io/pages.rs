//! The bytes of a file that is held in memory: a sparse row of pages, which copies share until one is written.
//!
//! ```text
//!     Content ──▶ │ page │ none │ page │ page │  and zeros up to len
//!                    ▲             ▲
//!     its clone ─────┴─────────────┘  copies only what it writes
//! ```

use crate::sync::{AtomicU64, Ordering};
use std::ops::Range;
use std::sync::Arc;

/// The size of a page, in bytes, and the unit in which disk space is counted.
pub(super) const PAGE_BYTES: usize = 4096;
const PAGE: u64 = PAGE_BYTES as u64;

/// The size of a sector, in bytes: what a disk writes as a whole, if anything.
pub(super) const SECTOR_BYTES: usize = 512;
const SECTOR: u64 = SECTOR_BYTES as u64;

/// The bytes of one sector.
pub(super) type Sector = [u8; SECTOR_BYTES];

const ZEROS: &Sector = &[0; SECTOR_BYTES];

/// A file's bytes and the disk space they would take.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    len: u64,
    /// A missing page reads as zeros. Bytes at and beyond `len` are zero in every page.
    pages: Vec<Option<Arc<Page>>>,
    /// The pages that occupy space, by number: sorted ranges that neither overlap nor touch.
    taken: Vec<Range<u64>>,
}

#[derive(Debug)]
struct Page {
    bytes: [u8; PAGE_BYTES],
    /// The hash of the bytes; 0 for zeros, `UNKNOWN` after a write.
    hash: AtomicU64,
}

const UNKNOWN: u64 = u64::MAX;

impl Clone for Page {
    fn clone(&self) -> Self {
        Self { bytes: self.bytes, hash: AtomicU64::new(UNKNOWN) }
    }
}

impl Content {
    /// The size, in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The disk space that is occupied, in bytes.
    pub(super) fn allocated_bytes(&self) -> u64 {
        self.taken.iter().map(|range| (range.end - range.start) * PAGE).sum()
    }

    /// How many bytes of disk space the bytes `from..to` would take on top of what is occupied.
    pub(super) fn cost(&self, from: u64, to: u64) -> u64 {
        let wanted = pages_around(from, to);
        let have: u64 = self
            .taken
            .iter()
            .map(|range| range.end.min(wanted.end).saturating_sub(range.start.max(wanted.start)))
            .sum();
        (wanted.end - wanted.start - have) * PAGE
    }

    /// Copies bytes from `position` on into `buf`; returns how many there were.
    pub(super) fn read_at(&self, buf: &mut [u8], position: u64) -> usize {
        let count = to_usize(self.len.saturating_sub(position)).min(buf.len());
        for (number, inside, range) in pieces(position, count) {
            let target = &mut buf[range];
            match self.page(number) {
                Some(page) => target.copy_from_slice(&page.bytes[inside]),
                None => target.fill(0),
            }
        }
        count
    }

    /// Stores `bytes` at `position`; the file grows to hold them.
    pub(super) fn write_at(&mut self, bytes: &[u8], position: u64) {
        let end = position + bytes.len() as u64;
        self.take(pages_around(position, end));
        for (number, inside, range) in pieces(position, bytes.len()) {
            self.page_mut(number)[inside].copy_from_slice(&bytes[range]);
        }
        self.len = self.len.max(end);
    }

    /// Occupies the space of `from..to` and grows to `to`.
    pub(super) fn allocate(&mut self, from: u64, to: u64) {
        self.take(pages_around(from, to));
        self.len = self.len.max(to);
    }

    /// Makes the bytes `from..to` zeros and gives up the space of whole pages among them.
    pub(super) fn punch(&mut self, from: u64, to: u64) {
        self.zero(from, to);
        let (first, end) = (from.div_ceil(PAGE), to / PAGE);
        if first < end {
            self.release(first..end);
        }
    }

    /// Cuts off, or extends with zeros that take no space.
    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.zero(len, self.len);
            let first = len.div_ceil(PAGE);
            self.release(first..u64::MAX / PAGE);
            self.pages.truncate(to_usize(first));
        }
        self.len = len;
    }

    /// As [`Content::set_len`], with the space that `other` takes up to there.
    pub(super) fn set_len_like(&mut self, len: u64, other: &Self) {
        self.set_len(len);
        let end = len.div_ceil(PAGE);
        for range in &other.taken {
            self.take(range.start..range.end.min(end));
        }
    }

    /// All bytes.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; to_usize(self.len)];
        self.read_at(&mut bytes, 0);
        bytes
    }

    /// The bytes of sector `number`, with zeros beyond the end.
    pub(super) fn sector(&self, number: u64) -> &Sector {
        let inside = sector_range(number);
        match self.page(number * SECTOR / PAGE) {
            Some(page) => page.bytes[inside].try_into().expect("the range is one sector long"),
            None => ZEROS,
        }
    }

    /// Replaces sector `number`; what would lie beyond the end is left out.
    pub(super) fn set_sector(&mut self, number: u64, bytes: &Sector) {
        let start = number * SECTOR;
        let count = to_usize(self.len.saturating_sub(start)).min(SECTOR_BYTES);
        if self.sector(number)[..count] != bytes[..count] {
            self.write_at(&bytes[..count], start);
        }
    }

    /// A hash of the size and the bytes.
    pub(super) fn hash(&self) -> u64 {
        let mut sum = mix(self.len ^ 0x5851_f42d_4c95_7f2d);
        for (number, page) in self.pages.iter().enumerate() {
            let hash = page.as_ref().map_or(0, |page| page.hash());
            if hash != 0 {
                sum = sum.wrapping_add(mix(hash ^ mix(number as u64 + 1)));
            }
        }
        sum
    }

    fn page(&self, number: u64) -> Option<&Page> {
        self.pages.get(to_usize(number))?.as_deref()
    }

    fn page_mut(&mut self, number: u64) -> &mut [u8; PAGE_BYTES] {
        let number = to_usize(number);
        if self.pages.len() <= number {
            self.pages.resize(number + 1, None);
        }
        let page = self.pages[number]
            .get_or_insert_with(|| Arc::new(Page { bytes: [0; PAGE_BYTES], hash: AtomicU64::new(UNKNOWN) }));
        let page = Arc::make_mut(page);
        *page.hash.get_mut() = UNKNOWN;
        &mut page.bytes
    }

    fn zero(&mut self, from: u64, to: u64) {
        let to = to.min(self.len);
        for (number, inside, _) in pieces(from, to_usize(to.saturating_sub(from))) {
            if inside.len() == PAGE_BYTES {
                if let Some(page) = self.pages.get_mut(to_usize(number)) {
                    *page = None;
                }
            } else if self.page(number).is_some() {
                self.page_mut(number)[inside].fill(0);
            }
        }
    }

    fn take(&mut self, mut wanted: Range<u64>) {
        let within = |range: &Range<u64>| range.start <= wanted.start && wanted.end <= range.end;
        if wanted.is_empty() || self.taken.iter().any(within) {
            return;
        }
        self.taken.retain(|range| {
            let joins = range.start <= wanted.end && wanted.start <= range.end;
            if joins {
                wanted = range.start.min(wanted.start)..range.end.max(wanted.end);
            }
            !joins
        });
        let at = self.taken.partition_point(|range| range.start < wanted.start);
        self.taken.insert(at, wanted);
    }

    fn release(&mut self, gone: Range<u64>) {
        let split = |range: &Range<u64>| {
            let before = range.start..range.end.min(gone.start);
            let after = range.start.max(gone.end)..range.end;
            [before, after].into_iter().filter(|part| !part.is_empty())
        };
        self.taken = self.taken.iter().flat_map(split).collect();
    }
}

impl Page {
    fn hash(&self) -> u64 {
        let known = self.hash.load(Ordering::Relaxed);
        if known != UNKNOWN {
            return known;
        }
        let hash = hash_of(&self.bytes);
        self.hash.store(hash, Ordering::Relaxed);
        hash
    }
}

/// Hashes a page in four lanes; zeros hash to 0, so that a missing page and a page of zeros are the same.
fn hash_of(bytes: &[u8; PAGE_BYTES]) -> u64 {
    if bytes.iter().all(|byte| *byte == 0) {
        return 0;
    }
    let mut lanes = [1u64, 2, 3, 4];
    for block in bytes.chunks_exact(32) {
        for (lane, word) in lanes.iter_mut().zip(block.chunks_exact(8)) {
            let word = u64::from_le_bytes(word.try_into().expect("a chunk is eight bytes"));
            *lane = (*lane ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
    }
    let hash = lanes.into_iter().fold(0, |sum, lane| mix(sum ^ lane));
    hash.clamp(1, UNKNOWN - 1)
}

/// Spreads the bits of `word`.
pub(super) fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let word = (word ^ (word >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    word ^ (word >> 32)
}

/// Where sector `number` lies in its page.
fn sector_range(number: u64) -> Range<usize> {
    let start = to_usize(number * SECTOR % PAGE);
    start..start + SECTOR_BYTES
}

/// The numbers of the pages that hold a byte of `from..to`.
fn pages_around(from: u64, to: u64) -> Range<u64> {
    if from < to { from / PAGE..to.div_ceil(PAGE) } else { 0..0 }
}

/// Cuts `count` bytes from `position` on at page borders: page number, range in the page, range in the count.
fn pieces(position: u64, count: usize) -> impl Iterator<Item = (u64, Range<usize>, Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done == count {
            return None;
        }
        let at = position + done as u64;
        let start = to_usize(at % PAGE);
        let len = (PAGE_BYTES - start).min(count - done);
        let piece = (at / PAGE, start..start + len, done..done + len);
        done += len;
        Some(piece)
    })
}

/// A size that does not fit the address space is larger than anything that memory can hold.
pub(super) fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same operations on a plain vector, with a set of pages for the space.
    #[test]
    fn agrees_with_a_plain_vector() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut content, mut model) = (Content::default(), Vec::new());
            let mut space = std::collections::BTreeSet::new();
            for _ in 0..60 {
                let from = random.u64(0..20_000);
                let to = from + random.u64(1..6_000);
                let (start, end) = (to_usize(from), to_usize(to));
                match random.u8(0..4) {
                    0 => {
                        let bytes = vec![random.u8(..); end - start];
                        content.write_at(&bytes, from);
                        model.resize(model.len().max(end), 0);
                        model[start..end].copy_from_slice(&bytes);
                        space.extend(pages_around(from, to));
                    }
                    1 => {
                        content.allocate(from, to);
                        model.resize(model.len().max(end), 0);
                        space.extend(pages_around(from, to));
                    }
                    2 => {
                        content.punch(from, to);
                        let end = end.min(model.len());
                        if let Some(hole) = model.get_mut(start..end) {
                            hole.fill(0);
                        }
                        space.retain(|page| page * PAGE < from || (page + 1) * PAGE > to);
                    }
                    _ => {
                        content.set_len(from);
                        model.resize(start, 0);
                        space.retain(|page| page * PAGE < from);
                    }
                }
                assert_eq!(content.to_vec(), model, "seed {seed}");
                assert_eq!(content.allocated_bytes(), space.len() as u64 * PAGE, "seed {seed}");
            }
        }
    }

    #[test]
    fn a_clone_keeps_its_bytes() {
        let mut content = Content::default();
        content.write_at(b"before", 5_000);
        let (copy, hash) = (content.clone(), content.hash());
        content.write_at(b"after!", 5_000);
        assert_eq!(copy.to_vec()[5_000..], *b"before");
        assert_eq!(copy.hash(), hash);
        assert_ne!(content.hash(), hash);
    }

    #[test]
    fn zeros_hash_like_a_hole() {
        let (mut hole, mut zeros) = (Content::default(), Content::default());
        hole.set_len(9_000);
        zeros.write_at(&[0; 9_000], 0);
        assert_eq!(hole.hash(), zeros.hash());
        zeros.write_at(&[1], 8_999);
        assert_ne!(hole.hash(), zeros.hash());
    }
}
