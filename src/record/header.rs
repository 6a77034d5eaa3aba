//! A record's header: a name and a value.

use super::shown::Shown;
use std::fmt;

/// A name and a value that travel with a record beside its own value.
///
/// A header whose value is null is not a header whose value is empty.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header<'a> {
    key: &'a str,
    value: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    pub(crate) const fn new(key: &'a str, value: Option<&'a [u8]>) -> Self {
        Self { key, value }
    }

    /// The name. It may be empty, and need not be unique in its record.
    #[must_use]
    pub const fn key(&self) -> &'a str {
        self.key
    }

    /// The value; none when it is null.
    #[must_use]
    pub const fn value(&self) -> Option<&'a [u8]> {
        self.value
    }
}

impl fmt::Debug for Header<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.map(Shown);
        f.debug_struct("Header").field("key", &self.key).field("value", &value).finish()
    }
}
