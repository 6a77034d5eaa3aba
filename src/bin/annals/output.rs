//! Standard output, written in large pieces.

use super::failure::{Failure, Outcome};
use std::fmt;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Bytes that are collected before they are written.
const BUFFER_LEN: usize = 256 << 10;

/// Standard output.
pub(crate) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    pub(crate) fn new() -> Self {
        Self(BufWriter::with_capacity(BUFFER_LEN, io::stdout().lock()))
    }

    /// Writes one line.
    pub(crate) fn line(&mut self, line: &dyn fmt::Display) -> Outcome {
        self.write(|out| writeln!(out, "{line}"))
    }

    /// Writes by whatever means.
    pub(crate) fn write(
        &mut self,
        write: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>,
    ) -> Outcome {
        write(&mut self.0).map_err(Failure::of_output)
    }

    /// Hands over what was collected.
    pub(crate) fn flush(&mut self) -> Outcome {
        self.0.flush().map_err(Failure::of_output)
    }
}
