//! The bounds every map keeps, whatever lies behind it: one place, so that all implementations agree.
//!
//! ```text
//!     0 ──readers──▶ published ──the writer's──▶ reserved ──not yet──▶ capacity
//! ```

use std::io;

/// Where `len` bytes from `position` on end.
///
/// # Errors
/// `FileTooLarge` when that is beyond any file.
pub(super) fn end_of(len: usize, position: u64) -> io::Result<u64> {
    let end = position.checked_add(len as u64).filter(|end| i64::try_from(*end).is_ok());
    end.ok_or_else(|| io::ErrorKind::FileTooLarge.into())
}

/// Checks the arguments of `map` against the present `len`.
///
/// # Errors
/// `InvalidInput` unless `published <= len`, `published <= capacity` and `capacity > 0`.
pub(super) fn check_map(published: u64, capacity: u64, len: u64) -> io::Result<()> {
    if capacity == 0 || published > capacity || published > len {
        let text = format!("cannot map {capacity} bytes with {published} published: the file has {len}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(())
}

/// # Errors
/// `InvalidInput` when `to` lies beyond the mapped capacity.
pub(super) fn check_reserve(to: u64, capacity: u64) -> io::Result<()> {
    if to <= capacity {
        return Ok(());
    }
    let text = format!("cannot reserve up to {to}: the map ends at {capacity}");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// # Errors
/// `UnexpectedEof` when the range reaches beyond `published`.
pub(super) fn check_read(buf: &[u8], position: u64, published: u64) -> io::Result<()> {
    match position.checked_add(buf.len() as u64) {
        Some(end) if end <= published => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Stops a store that would change published bytes or fall into space that is not there.
pub(super) fn assert_store(bytes: &[u8], position: u64, published: u64, reserved: u64) {
    let end = position.checked_add(bytes.len() as u64).expect("positions lie far below u64::MAX");
    assert!(
        position >= published,
        "a store at {position} would change published bytes: they end at {published}"
    );
    assert!(end <= reserved, "a store up to {end} passes what is reserved: {reserved}");
}

/// Stops a publication of bytes that are not there.
pub(super) fn assert_publish(end: u64, reserved: u64) {
    assert!(end <= reserved, "a published end of {end} passes what is reserved: {reserved}");
}
