//! Failures on order: which operation fails, how, and how often.

use super::counts::Op;
use std::io;

/// How an operation fails. It has no effect, but for a short one, one done by half, and a failed sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The device failed (EIO). A sync that fails loses what it should have stored: see
    /// [`FailedSync`](super::FailedSync).
    Io,
    /// The disk is full (ENOSPC).
    NoSpace,
    /// A signal came (EINTR).
    Interrupted,
    /// A read or a write does half of its bytes, at least one.
    ///
    /// No other operation can.
    Short,
    /// A write stores half of its bytes, at least one, and then fails as the device does. Nothing tells how far
    /// it came. No other operation can.
    HalfThenIo,
    /// The same on a disk that is full after half of the bytes.
    HalfThenNoSpace,
}

impl Failure {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::Io, Self::NoSpace, Self::Interrupted, Self::Short, Self::HalfThenIo, Self::HalfThenNoSpace];

    /// Whether operations of kind `op` can fail this way.
    fn can_hit(self, op: Op) -> bool {
        match self {
            Self::Io | Self::NoSpace | Self::Interrupted => op.can_fail(),
            Self::Short => op.can_be_short(),
            Self::HalfThenIo | Self::HalfThenNoSpace => op == Op::Write,
        }
    }

    pub(super) fn error(self) -> io::Error {
        match self {
            Self::NoSpace | Self::HalfThenNoSpace => {
                io::Error::new(io::ErrorKind::StorageFull, "no space left (injected)")
            }
            Self::Interrupted => io::Error::new(io::ErrorKind::Interrupted, "interrupted (injected)"),
            Self::Io | Self::Short | Self::HalfThenIo => io::Error::other("input/output error (injected)"),
        }
    }
}

/// An order to let operations fail; once, unless told otherwise.
///
/// ```
/// use annals::io::{Failure, Fault, Op, SimDisk};
/// # fn main() -> std::io::Result<()> {
/// let disk = SimDisk::new();
/// let file = disk.root().create("a")?;
/// disk.inject(Fault::new(Failure::Io).on(Op::Sync).after(1));
/// file.sync()?;
/// assert!(file.sync().is_err());
/// file.sync()?;
/// assert_eq!(disk.faults_hit(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    failure: Failure,
    op: Option<Op>,
    path_part: String,
    /// How many matching operations still pass.
    passes: u64,
    once: bool,
}

impl Fault {
    /// Lets the next operation that can fail this way fail.
    #[must_use]
    pub fn new(failure: Failure) -> Self {
        Self { failure, op: None, path_part: String::new(), passes: 0, once: true }
    }

    /// Counts and hits operations of kind `op` only.
    #[must_use]
    pub fn on(mut self, op: Op) -> Self {
        self.op = Some(op);
        self
    }

    /// Counts and hits only operations on files and directories whose path contains `part`.
    #[must_use]
    pub fn within(mut self, part: &str) -> Self {
        part.clone_into(&mut self.path_part);
        self
    }

    /// Lets `count` matching operations pass before the first that fails.
    #[must_use]
    pub fn after(mut self, count: u64) -> Self {
        self.passes = count;
        self
    }

    /// Lets all matching operations from then on fail.
    #[must_use]
    pub fn for_ever(mut self) -> Self {
        self.once = false;
        self
    }

    fn matches(&self, op: Op, path: &str) -> bool {
        self.failure.can_hit(op)
            && self.op.is_none_or(|wanted| wanted == op)
            && path.contains(&self.path_part)
    }
}

/// The orders that are in force.
#[derive(Debug, Default)]
pub(super) struct Faults {
    orders: Vec<Fault>,
    hit: u64,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.orders.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.orders.clear();
    }

    /// How many operations have failed on order.
    pub(super) fn hit(&self) -> u64 {
        self.hit
    }

    /// Whether the operation that begins now is to fail.
    pub(super) fn check(&mut self, op: Op, path: &str) -> Option<Failure> {
        let mut failure = None;
        self.orders.retain_mut(|fault| {
            if failure.is_some() || !fault.matches(op, path) {
                return true;
            }
            if fault.passes > 0 {
                fault.passes -= 1;
                return true;
            }
            failure = Some(fault.failure);
            !fault.once
        });
        self.hit += u64::from(failure.is_some());
        failure
    }
}
