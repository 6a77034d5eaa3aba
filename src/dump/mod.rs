//! Any file of a data directory as it lies, for people who want to see what is in it.
//!
//! ```text
//!     segment            header │ batch (records) │ batch │ ... │ tail mark
//!     index, timeindex   head │ entry │ entry │ ...                             ──▶ DumpItem, DumpItem, ...
//!     manifest, catalog  slot 0: state, parts │ slot 1
//! ```
//!
//! Nothing is looked up elsewhere and nothing is believed: each part is shown with the byte it begins at, and what
//! cannot be read is an item too, that says why.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod file;
mod index;
mod item;
mod segment;
mod slots;

pub use file::{Detail, FileDump, FileKind};
pub use item::DumpItem;
