//! A partition: one writer, many readers, and what must be known to find its records again.

pub(crate) mod manifest;
mod recovery;
