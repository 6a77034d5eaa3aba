//! How a mapped file grows: disk space first, then pages, so that no store waits for either.
//!
//! ```text
//!     a calm log    reserve ──▶ populate                    4 KiB pages: a sync of few bytes writes little
//!     a busy log    reserve ──▶ write zeros ──▶ populate    64 KiB pages: three times as fast to bring in
//! ```

use super::space::reserve;
use crate::clock::stopwatch;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::time::Duration;

/// What zeros are written in: the file system makes one large page of each.
const CHUNK: u64 = 64 << 10;
/// Growth by less than this is never in bulk.
const BULK_LEN_MIN: u64 = 512 << 10;
/// A step that lasts less than this is followed by one in bulk: that is 50 MB a second and more.
const BULK_STEP_LASTS: Duration = Duration::from_millis(20);
/// What may lie beyond the end of a file that is opened again: a tail mark, which must stay.
const MARK_LEN_MAX: u64 = 4096;

/// The growth of one mapped file.
#[derive(Debug, Default)]
pub(super) struct Growth {
    /// When it grew last, by the stopwatch.
    last: Option<Duration>,
}

impl Growth {
    /// Takes disk space for `range` of the file, and brings its pages into the page cache where that is worth it.
    pub(super) fn grow(&mut self, file: &File, range: &Range<u64>) -> io::Result<()> {
        reserve(file, range.start, range.end)?;
        let now = stopwatch();
        let is_busy = self.last.is_some_and(|last| now.saturating_sub(last) < BULK_STEP_LASTS);
        self.last = Some(now);
        if is_busy && range.end - range.start >= BULK_LEN_MIN {
            write_zeros(file, range)?;
        }
        Ok(())
    }
}

/// Writes zeros where zeros are, by whole chunks inside of `range`.
#[cfg(target_os = "linux")]
fn write_zeros(file: &File, range: &Range<u64>) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    static ZEROS: [u8; CHUNK as usize] = [0; CHUNK as usize];
    let mut at = (range.start + MARK_LEN_MAX).next_multiple_of(CHUNK);
    while at + CHUNK <= range.end {
        file.write_all_at(&ZEROS, at)?;
        at += CHUNK;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn write_zeros(_file: &File, _range: &Range<u64>) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::io::suite::Scratch;
    use std::os::unix::fs::FileExt;

    /// The tail mark of a log that is opened again is a proof of what was synced.
    #[test]
    fn growth_in_bulk_leaves_what_lies_at_its_beginning() {
        let scratch = Scratch::new(&std::env::temp_dir());
        let path = scratch.dir().create("busy").unwrap().path().to_owned();
        let file = File::options().read(true).write(true).open(path).unwrap();
        let (end, capacity) = (CHUNK - 20, 4 << 20);
        file.set_len(capacity).unwrap();
        file.write_all_at(&[7; 48], end).unwrap();
        let mut growth = Growth { last: Some(stopwatch()) };
        growth.grow(&file, &(end..capacity)).unwrap();
        let mut found = vec![1; (capacity - end) as usize];
        file.read_exact_at(&mut found, end).unwrap();
        assert_eq!(found[..48], [7; 48]);
        assert!(found[48..].iter().all(|&byte| byte == 0));
    }
}
