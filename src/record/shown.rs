//! Bytes as a programmer would type them: `b"a\xff"`.

use std::fmt;

/// Bytes whose `Debug` is a byte string.
pub(super) struct Shown<'a>(pub(super) &'a [u8]);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}
