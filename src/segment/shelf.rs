//! Which segments stay open after they were read.
//!
//! ```text
//!     reader ──hold──▶ Readable { file, map, index }      open as long as it is held
//!                          ▲
//!     Shelf ───────────────┘   the last so many that were opened; who falls off and is not held is closed
//! ```
//!
//! A log may have more segments than a process may have open files. All partitions of a broker share one shelf.

use super::{Index, Opened};
use crate::sync::{AtomicU64, Mutex, Ordering};
use std::collections::VecDeque;
use std::sync::{Arc, Weak};

/// How many segments stay open that nobody reads at the moment.
const OPEN_MAX: usize = 64;

/// What of a segment is in memory only while it is open.
#[derive(Debug)]
pub(crate) struct Readable {
    pub(super) opened: Mutex<Option<Arc<Opened>>>,
    pub(super) index: Mutex<Option<Index>>,
    /// How many hold it.
    holders: AtomicU64,
}

impl Readable {
    pub(super) fn new(opened: Option<Arc<Opened>>, index: Option<Index>) -> Arc<Self> {
        Arc::new(Self { opened: Mutex::new(opened), index: Mutex::new(index), holders: AtomicU64::new(0) })
    }

    fn is_held(&self) -> bool {
        self.holders.load(Ordering::Acquire) > 0
    }

    /// Closes it if nobody holds it; says whether it is closed now.
    pub(super) fn close_unless_held(&self) -> bool {
        let mut opened = self.opened.lock();
        // Who comes to hold it after this look finds it closed, and opens it.
        if self.is_held() {
            return false;
        }
        let closed = opened.take();
        drop(opened);
        let index = self.index.lock().take();
        drop((closed, index));
        true
    }
}

/// Keeps a segment open.
#[derive(Debug)]
pub(crate) struct Hold(Arc<Readable>);

impl Hold {
    pub(super) fn new(readable: &Arc<Readable>) -> Self {
        readable.holders.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(readable))
    }
}

impl Clone for Hold {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.holders.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The segments that were opened last, and are no longer appended to.
#[derive(Debug, Default)]
pub(crate) struct Shelf(Mutex<VecDeque<Weak<Readable>>>);

impl Shelf {
    /// Takes in one that was opened; it is not there yet. Others may be closed.
    pub(super) fn put(&self, readable: &Arc<Readable>) {
        let mut fallen = Vec::new();
        let mut shelf = self.0.lock();
        shelf.push_back(Arc::downgrade(readable));
        for _ in 0..shelf.len() {
            if shelf.len() <= OPEN_MAX {
                break;
            }
            let Some(oldest) = shelf.pop_front() else { break };
            match oldest.upgrade() {
                Some(readable) if readable.is_held() => shelf.push_back(oldest),
                Some(readable) => fallen.push(readable),
                None => {}
            }
        }
        drop(shelf);
        for readable in fallen {
            if !readable.close_unless_held() {
                self.0.lock().push_back(Arc::downgrade(&readable));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{Dir, MemoryDisk};

    fn opened(dir: &dyn Dir, name: &str) -> Arc<Readable> {
        let file = dir.create(name).expect("a new name");
        Readable::new(Some(Arc::new(Opened::new(file, None, 0))), None)
    }

    #[test]
    fn the_last_ones_and_those_that_are_held_stay_open() {
        let disk = MemoryDisk::new();
        let dir = disk.root();
        let shelf = Shelf::default();
        let all: Vec<_> = (0..OPEN_MAX + 10).map(|number| opened(&*dir, &number.to_string())).collect();
        let hold = Hold::new(&all[3]);
        all.iter().for_each(|readable| shelf.put(readable));
        let open = |number: usize| all[number].opened.lock().is_some();
        assert_eq!(
            (0..all.len()).filter(|&number| !open(number)).collect::<Vec<_>>(),
            [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]
        );
        drop(hold);
        let more: Vec<_> = (0..OPEN_MAX).map(|number| opened(&*dir, &format!("more-{number}"))).collect();
        more.iter().for_each(|readable| shelf.put(readable));
        assert!(!(0..all.len()).any(open), "nobody holds one of them any more");
        assert!(more.iter().all(|readable| readable.opened.lock().is_some()));
    }
}
