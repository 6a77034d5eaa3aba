//! The disk space of a real file: taken, and given back.

use std::fs;
use std::io;

/// Lets the file grow to `to`, with disk space for the bytes `from..to` where space can be reserved.
pub(super) fn allocate(file: &fs::File, from: u64, to: u64) -> io::Result<()> {
    match reserve(file, from, to) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => grow(file, to),
        done => done,
    }
}

/// Takes disk space for the bytes `from..to`, and lets the file grow to `to`.
///
/// # Errors
/// `Unsupported` where the file system cannot reserve it. Systems other than Linux have no call for it that leaves
/// what is stored and the size alone.
#[cfg(target_os = "linux")]
pub(super) fn reserve(file: &fs::File, from: u64, to: u64) -> io::Result<()> {
    fallocate(file, rustix::fs::FallocateFlags::empty(), from, to)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn reserve(_file: &fs::File, _from: u64, _to: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
fn fallocate(file: &fs::File, flags: rustix::fs::FallocateFlags, from: u64, to: u64) -> io::Result<()> {
    // A signal may interrupt it on tmpfs; the other calls are made again by the standard library.
    match rustix::io::retry_on_intr(|| rustix::fs::fallocate(file, flags, from, to - from)) {
        Err(rustix::io::Errno::OPNOTSUPP) => Err(io::ErrorKind::Unsupported.into()),
        done => Ok(done?),
    }
}

fn grow(file: &fs::File, to: u64) -> io::Result<()> {
    if file.metadata()?.len() < to { file.set_len(to) } else { Ok(()) }
}

/// Gives the disk space of the bytes `from..to` back, where the file system can.
#[cfg(target_os = "linux")]
pub(super) fn punch(file: &fs::File, from: u64, to: u64) -> io::Result<()> {
    use rustix::fs::FallocateFlags;
    match fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, from, to) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        done => done,
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn punch(_file: &fs::File, _from: u64, _to: u64) -> io::Result<()> {
    Ok(())
}

/// Refuses a file that cannot reserve space. The driver of ext4 serves ext2 and ext3 as well, under the same name, and
/// their files cannot; nor can those that a volume had before it became ext4. Byte 0 of a segment has its space already.
#[cfg(target_os = "linux")]
pub(super) fn check_reservable(file: &fs::File) -> io::Result<()> {
    fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, 1)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn check_reservable(_file: &fs::File) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
