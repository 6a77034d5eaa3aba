//! How bytes get in behind the last batch.

use super::Opened;
use crate::io::{self, MapWriter};
use crate::sync::{Bug, Published, Publisher, planted};

/// Batches of this length and more are written by a system call even where there is a map: large stores into
/// fresh pages make large folios, and then syncing a few bytes writes a megabyte.
const STORE_LEN_MAX: usize = 64 << 10;

/// Where bytes go.
#[derive(Debug)]
pub(super) enum Tail {
    Mapped(Box<dyn MapWriter>),
    Plain(Publisher),
}

impl Tail {
    /// Of a file that is closed: nothing gets in any more.
    pub(super) fn closed() -> Self {
        Self::Plain(Publisher::new(0))
    }

    pub(super) fn published(&self) -> Published {
        match self {
            Self::Mapped(map) => map.published(),
            Self::Plain(published) => published.published(),
        }
    }

    /// Writes `bytes` at `at` and moves the published end to `end`.
    pub(super) fn append(&mut self, opened: &Opened, bytes: &[u8], at: u64, end: u64) -> std::io::Result<()> {
        match self {
            Self::Mapped(map) if bytes.len() < STORE_LEN_MAX => {
                if at + bytes.len() as u64 == end {
                    map.append(bytes, at);
                } else {
                    map.store(bytes, at);
                    map.publish(end);
                }
            }
            Self::Mapped(map) => {
                io::write_all(&*opened.file, bytes, at)?;
                map.publish(end);
            }
            Self::Plain(published) => {
                if planted(Bug::PublishBeforeStore) {
                    published.advance(end);
                    std::thread::sleep(std::time::Duration::from_micros(200));
                }
                io::write_all(&*opened.file, bytes, at)?;
                published.advance(end);
            }
        }
        Ok(())
    }

    pub(super) fn store(&mut self, opened: &Opened, bytes: &[u8], at: u64) -> std::io::Result<()> {
        match self {
            Self::Mapped(map) => {
                map.store(bytes, at);
                Ok(())
            }
            Self::Plain(_) => io::write_all(&*opened.file, bytes, at),
        }
    }
}
