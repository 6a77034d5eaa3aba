//! The one error type of the crate.
//!
//! [`Error::kind`] says what a caller can do about it; the message says what happened: what was expected,
//! what was found, in which file and where. It is one word wide, and cheap to clone, because one failed sync
//! answers every waiter of a group commit.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// What a fallible call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed.
///
/// Its `Display` is complete: it tells the causes as well. [`source`](std::error::Error::source) leads to them too, for
/// who looks for one of a certain type; printing both says the same twice.
///
/// ```
/// use annals::{Error, ErrorKind};
/// let error = Error::new(ErrorKind::TooLarge, "record of 9 bytes: the limit is 8 bytes");
/// assert_eq!(error.kind(), ErrorKind::TooLarge);
/// assert_eq!(error.to_string(), "record of 9 bytes: the limit is 8 bytes");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Cause>,
    lost: Option<Range<u64>>,
    place: Option<(String, u32)>,
}

/// The cause of an error, shared by all clones of it.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What a caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was named does not exist.
    NotFound,
    /// What was to be created exists.
    AlreadyExists,
    /// An argument or an option is not a valid one there; nothing was done.
    /// So it is with a [`Pending`](crate::Pending) whose result was taken already.
    InvalidInput,
    /// A record, a batch or a number of things is above its limit.
    ///
    /// Nothing of it was stored.
    TooLarge,
    /// The offset lies below the log start or beyond the log end.
    OutOfRange,
    /// What is there is not what the caller expected.
    ///
    /// Another log end, a group with members, records that were taken back. The call's docs say whether anything was
    /// stored.
    Conflict,
    /// Another handle or process has the directory open for writing.
    Locked,
    /// The directory, the file system or this handle does not allow writing.
    ReadOnly,
    /// The disk or the configured cap is full. Nothing was acknowledged; what is stored stays readable.
    NoSpace,
    /// What lies on disk is damaged, and the message says where.
    ///
    /// Or it was, and a salvage has given it up: then [`Error::lost_range`] says which offsets.
    Corrupt,
    /// The data is of a newer version, or needs what is not compiled in.
    Unsupported,
    /// An earlier write or sync failed: the handle refuses writes until it is reopened.
    Poisoned,
    /// A newer owner has taken over, or the member has lost its place.
    Fenced,
    /// The producer's buffer is full.
    BufferFull,
    /// The handle was closed.
    Closed,
    /// The operating system refused a read, a write or a sync.
    Io,
}

impl Error {
    /// An error of this kind with this message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), source: None, lost: None, place: None }))
    }

    /// The same with the error that caused it. The message is to tell that, too.
    pub fn with_source(kind: ErrorKind, message: impl Into<String>, source: impl Into<Cause>) -> Self {
        let (message, source) = (message.into(), Some(source.into()));
        Self(Arc::new(Inner { kind, message, source, lost: None, place: None }))
    }

    /// Records that were lost to damage, and that salvage has given up: those of these offsets.
    pub(crate) fn of_lost_numbers(range: Range<u64>) -> Self {
        let message = format!("offsets {} to {} (exclusive) were lost to damage", range.start, range.end);
        let kind = ErrorKind::Corrupt;
        Self(Arc::new(Inner { kind, message, source: None, lost: Some(range), place: None }))
    }

    /// What the operating system said while we did `action` (as in "write 40 bytes at position 4096 of") to
    /// the file or directory at `path`.
    pub(crate) fn io(action: impl fmt::Display, path: &Path, source: std::io::Error) -> Self {
        let kind = kind_of(&source);
        Self::with_source(kind, format!("cannot {action} {}: {source}", path.display()), source)
    }

    /// The offsets that were lost to damage, as numbers; as offsets they are known a floor above.
    pub(crate) fn lost_numbers(&self) -> Option<Range<u64>> {
        self.0.lost.clone()
    }

    /// The same, said of one of many partitions.
    pub(crate) fn at_partition(&self, topic: &str, partition: u32) -> Self {
        let (kind, lost) = (self.kind(), self.lost_numbers());
        let message = format!("{topic}-{partition}: {self}");
        let (source, place) = (Some(self.clone().into()), Some((topic.to_owned(), partition)));
        Self(Arc::new(Inner { kind, message, source, lost, place }))
    }

    /// Which partition of which topic it is about.
    ///
    /// None where whoever reported it has to do with one alone.
    #[must_use]
    pub fn topic_partition(&self) -> Option<(&str, u32)> {
        self.0.place.as_ref().map(|(topic, partition)| (topic.as_str(), *partition))
    }

    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

/// The kind of an error of the operating system.
fn kind_of(error: &std::io::Error) -> ErrorKind {
    use std::io::ErrorKind as Os;
    match error.kind() {
        Os::NotFound => ErrorKind::NotFound,
        Os::AlreadyExists => ErrorKind::AlreadyExists,
        Os::StorageFull | Os::QuotaExceeded => ErrorKind::NoSpace,
        Os::PermissionDenied | Os::ReadOnlyFilesystem => ErrorKind::ReadOnly,
        Os::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Io,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn an_error_is_one_word_and_keeps_its_cause() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        let os = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = Error::io("write 8 bytes at position 16 of", Path::new("a/b.log"), os);
        assert_eq!(error.kind(), ErrorKind::NoSpace);
        assert!(error.to_string().starts_with("cannot write 8 bytes at position 16 of a/b.log: "));
        assert!(error.source().expect("a cause was given").is::<std::io::Error>());
    }

    #[test]
    fn an_error_goes_anywhere_and_tells_all_by_itself() {
        fn anywhere<T: std::error::Error + Send + Sync + 'static>() {}
        anywhere::<Error>();
        let os = std::io::Error::other("the cable is out");
        let error = Error::io("sync", Path::new("a.log"), os).at_partition("orders", 2);
        let mut cause = error.source();
        let mut count = 0;
        while let Some(inner) = cause {
            assert!(error.to_string().contains(&inner.to_string()), "{error} leaves out {inner}");
            (cause, count) = (inner.source(), count + 1);
        }
        assert_eq!(count, 2);
    }
}
