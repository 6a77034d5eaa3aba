//! What may stand as a name in a directory: one path component, nothing that leads elsewhere.

use std::io;

/// Refuses a `name` that is not a single, ordinary path component.
///
/// # Errors
/// `InvalidInput` for an empty name, `.`, `..`, and names with a separator or a zero byte.
pub(super) fn check_name(name: &str) -> io::Result<()> {
    let plain = !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', '\0']);
    if plain {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{name:?} is not the name of a file")))
    }
}

/// The error for a name that exists but is not a regular file.
pub(super) fn not_a_file(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{name} is not a regular file"))
}
