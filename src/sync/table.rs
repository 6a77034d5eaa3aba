//! A list that only grows, and is read without a lock.

use std::fmt;
use std::sync::OnceLock;

/// Chunks of 1, 2, 4, .. places: so places never move.
const CHUNKS: usize = 24;

/// Values at small numbers, each set once and then shared for as long as the table lives.
pub(crate) struct Table<T> {
    chunks: [OnceLock<Box<[OnceLock<T>]>>; CHUNKS],
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self { chunks: [const { OnceLock::new() }; CHUNKS] }
    }

    /// The value at `number`, if it was set.
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let (chunk, at) = place(number);
        self.chunks.get(chunk)?.get()?.get(at)?.get()
    }

    /// The value at `number`, set now if it was not; none beyond 16 million.
    pub(crate) fn get_or_set(&self, number: u32, value: impl FnOnce() -> T) -> Option<&T> {
        let (chunk, at) = place(number);
        let len = 1_usize << chunk.min(CHUNKS);
        let places = self.chunks.get(chunk)?.get_or_init(|| (0..len).map(|_| OnceLock::new()).collect());
        Some(places.get(at)?.get_or_init(value))
    }

    /// All values, in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let chunks = self.chunks.iter().filter_map(|chunk| chunk.get());
        chunks.flat_map(|places| places.iter()).filter_map(|place| place.get())
    }
}

/// The chunk that `number` lies in, and where.
fn place(number: u32) -> (usize, usize) {
    let counted = u64::from(number) + 1;
    let chunk = counted.ilog2();
    let at = counted - (1 << chunk);
    (usize::try_from(chunk).unwrap_or(usize::MAX), usize::try_from(at).unwrap_or(usize::MAX))
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("count", &self.iter().count()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_place_of_its_own() {
        let table = Table::new();
        let numbers = [0, 1, 2, 3, 6, 7, 1_000, 99_999];
        for number in numbers {
            assert_eq!(table.get(number), None);
            assert_eq!(table.get_or_set(number, || number), Some(&number));
            assert_eq!(table.get_or_set(number, || 0), Some(&number));
        }
        assert!(numbers.iter().all(|number| table.get(*number) == Some(number)));
        assert_eq!(table.iter().copied().collect::<Vec<_>>(), numbers);
        assert_eq!(table.get_or_set(u32::MAX, || 0), None);
    }
}
