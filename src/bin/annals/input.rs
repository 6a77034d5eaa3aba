//! Lines of standard input, as many at a time as are there.
//!
//! ```text
//!     reader thread ──read──▶ whole lines ──bounded queue──▶ next(count): up to that many; fewer when no more
//!                                                            have come for a moment
//! ```

use super::failure::{Failure, Outcome};
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Bytes that are read at once.
const CHUNK_LEN: usize = 256 << 10;
/// How many chunks may wait to be taken.
const CHUNKS_MAX: usize = 4;
/// How long lines that have come wait for more to go with them.
const LINGER: Duration = Duration::from_millis(5);

/// The lines of standard input.
pub(crate) struct Lines {
    chunks: Receiver<io::Result<Chunk>>,
    current: Chunk,
    /// Lines of `current` that were taken.
    taken: usize,
    is_over: bool,
}

/// Whole lines, one after the other.
#[derive(Debug, Default)]
struct Chunk {
    bytes: Vec<u8>,
    /// Where each line ends in `bytes`; the next begins there.
    ends: Vec<usize>,
}

impl Chunk {
    fn line(&self, number: usize) -> &[u8] {
        let begin = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(number).copied().unwrap_or(begin);
        self.bytes.get(begin..end).unwrap_or_default()
    }
}

impl Lines {
    pub(crate) fn of_stdin() -> Self {
        let (send, chunks) = sync_channel(CHUNKS_MAX);
        // It ends with the input, or with the process.
        drop(thread::spawn(move || read_all(&mut io::stdin().lock(), &send)));
        Self { chunks, current: Chunk::default(), taken: 0, is_over: false }
    }

    /// The next lines, without their line feeds: at least one, at most `count_max`, of `bytes_max` bytes unless the
    /// first is longer; none at the end of the input. Waits for the first.
    pub(crate) fn next(&mut self, count_max: usize, bytes_max: usize) -> Outcome<Vec<Vec<u8>>> {
        let mut lines = Vec::new();
        let mut bytes = 0_usize;
        while lines.len() < count_max {
            if self.taken >= self.current.ends.len() && !self.refill(lines.is_empty())? {
                break;
            }
            let line = self.current.line(self.taken);
            bytes = bytes.saturating_add(line.len());
            if bytes > bytes_max && !lines.is_empty() {
                break;
            }
            lines.push(line.to_vec());
            self.taken += 1;
        }
        Ok(lines)
    }

    /// Takes the next chunk; says whether there is one. Waits for it, or only for a moment.
    fn refill(&mut self, waits: bool) -> Outcome<bool> {
        if self.is_over {
            return Ok(false);
        }
        let limit = if waits { Duration::MAX } else { LINGER };
        let found = match self.chunks.recv_timeout(limit) {
            Ok(found) => found,
            Err(RecvTimeoutError::Timeout) => return Ok(false),
            Err(RecvTimeoutError::Disconnected) => {
                self.is_over = true;
                return Ok(false);
            }
        };
        self.current = found.map_err(|error| Failure::of_input(&error))?;
        self.taken = 0;
        Ok(true)
    }
}

/// Reads until the end of the input or its first failure, and hands over whole lines as they come.
fn read_all(input: &mut dyn Read, send: &SyncSender<io::Result<Chunk>>) {
    // The beginning of a line whose end has not come yet.
    let mut begun: Vec<u8> = Vec::new();
    let mut buffer = vec![0; CHUNK_LEN];
    loop {
        let found = match input.read(&mut buffer) {
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                drop(send.send(Err(error)));
                return;
            }
        };
        let chunk = if found.is_empty() { last_line(&mut begun) } else { whole_lines(&mut begun, found) };
        let is_empty = chunk.ends.is_empty();
        if (!is_empty && send.send(Ok(chunk)).is_err()) || found.is_empty() {
            return;
        }
    }
}

/// The lines that end in `found`; what follows the last of them begins the next.
fn whole_lines(begun: &mut Vec<u8>, found: &[u8]) -> Chunk {
    let Some(last) = found.iter().rposition(|byte| *byte == b'\n') else {
        begun.extend_from_slice(found);
        return Chunk::default();
    };
    let (whole, rest) = found.split_at(last);
    let mut chunk = Chunk { bytes: std::mem::take(begun), ends: Vec::new() };
    for line in whole.split(|byte| *byte == b'\n') {
        chunk.bytes.extend_from_slice(line);
        chunk.ends.push(chunk.bytes.len());
    }
    begun.extend(rest.iter().skip(1));
    chunk
}

/// A last line that no line feed ends.
fn last_line(begun: &mut Vec<u8>) -> Chunk {
    let bytes = std::mem::take(begun);
    let ends = if bytes.is_empty() { Vec::new() } else { vec![bytes.len()] };
    Chunk { bytes, ends }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes so many at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buf.len());
            buf[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        let text = b"a\n\nbcd\n\xff\xfe\n\n\nlast";
        let expected: Vec<&[u8]> = vec![b"a", b"", b"bcd", b"\xff\xfe", b"", b"", b"last"];
        for step in 1..=text.len() {
            let (send, chunks) = sync_channel(100);
            read_all(&mut Drip(text, step), &send);
            drop(send);
            let mut lines = Lines { chunks, current: Chunk::default(), taken: 0, is_over: false };
            let mut found = Vec::new();
            loop {
                let some = lines.next(3, 4).expect("nothing fails");
                if some.is_empty() {
                    break;
                }
                assert!(
                    some.len() <= 3 && (some.len() == 1 || some.iter().map(Vec::len).sum::<usize>() <= 4)
                );
                found.extend(some);
            }
            assert_eq!(found, expected, "{step} bytes at a time");
        }
    }
}
