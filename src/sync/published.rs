//! An end that only grows: one [`Publisher`] moves it, any number of [`Published`] read it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The only handle that can move the end. It is not `Clone`.
#[derive(Debug)]
pub struct Publisher(Published);

/// The end as its readers see it.
#[derive(Clone, Debug)]
pub struct Published(Arc<AtomicU64>);

impl Publisher {
    /// A new end that starts at `start`.
    #[must_use]
    pub fn new(start: u64) -> Self {
        Self(Published(Arc::new(AtomicU64::new(start))))
    }

    /// Moves the end to `end`.
    ///
    /// What was written before this call is seen by whoever reads the new end.
    ///
    /// # Panics
    /// If the end would go back.
    pub fn advance(&mut self, end: u64) {
        assert!(end >= self.get(), "a published end went back from {} to {end}", self.get());
        self.0.0.store(end, Ordering::Release);
    }

    /// Where the end is now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.0.load(Ordering::Relaxed)
    }

    /// A handle for readers.
    #[must_use]
    pub fn published(&self) -> Published {
        self.0.clone()
    }
}

impl Published {
    /// Where the end is; all that was written up to it can be read.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_see_what_was_published() {
        let mut publisher = Publisher::new(8);
        let published = publisher.published();
        publisher.advance(24);
        assert_eq!(published.get(), 24);
    }

    #[test]
    #[should_panic(expected = "went back")]
    fn an_end_never_goes_back() {
        Publisher::new(8).advance(0);
    }
}
