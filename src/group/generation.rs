//! The term of one assignment of a group.

use std::fmt;

/// The term of one assignment of a group; the next assignment has a higher one.
///
/// It counts up from 1. [`Generation::NONE`] is that of a member that has not been assigned anything yet. The
/// largest is `i32::MAX`, which is also Kafka's.
///
/// ```
/// use annals::group::Generation;
/// let first = Generation::NONE.next();
/// assert_eq!(first.get(), 1);
/// assert!(first < first.next());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u32);

impl Generation {
    /// Before the first assignment.
    pub const NONE: Self = Self(0);
    /// The largest generation, `i32::MAX`.
    pub const MAX: Self = Self(i32::MAX as u32);

    /// The generation with this number; none above `i32::MAX`.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The generation after this one; the largest stays where it is.
    #[must_use]
    pub const fn next(self) -> Self {
        if self.0 < Self::MAX.0 { Self(self.0 + 1) } else { self }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_generation_is_kafkas_and_has_no_successor() {
        assert_eq!(Generation::new(0x7fff_ffff), Some(Generation::MAX));
        assert_eq!(Generation::new(0x8000_0000), None);
        assert_eq!(Generation::MAX.next(), Generation::MAX);
    }
}
