//! Whether a partition takes writes.
//!
//! ```text
//!     Open ──a write or a sync fails──▶ Poisoned ──reopen──▶ Open
//!      │                                   │ ▲
//!      └──close──▶ Closing ──a sync fails──│─┘
//!                     │                    │ close
//!                     └──────▶ Closed ◀────┘
//! ```

use super::shared::Shared;
use super::writer::Writer;
use crate::sync::{Bug, planted};
use crate::{Error, ErrorKind, Result};

/// Whether the partition takes writes.
#[derive(Clone, Debug)]
pub(super) enum State {
    Open,
    /// A write or a sync has failed.
    Poisoned(Error),
    /// Nothing is appended any more; what was appended is still to be synced, by rounds like any other. Whoever
    /// closes holds the lock of structural changes for as long.
    Closing,
    /// The directory may be somebody else's.
    Closed,
}

impl Writer {
    /// Refuses to go on after a failure or a close.
    pub(super) fn usable(&self, shared: &Shared) -> Result<()> {
        match self.state {
            State::Closing => Err(shared.closed()),
            _ => self.syncable(shared),
        }
    }

    /// The same for a round, which closing waits for.
    pub(super) fn syncable(&self, shared: &Shared) -> Result<()> {
        match &self.state {
            State::Open | State::Closing => Ok(()),
            State::Poisoned(error) => Err(error.clone()),
            State::Closed => Err(shared.closed()),
        }
    }

    pub(super) fn poison(&mut self, cause: &Error) {
        if let State::Open | State::Closing = self.state
            && !planted(Bug::NoPoison)
        {
            let message = format!("writes are refused until the partition is reopened, because: {cause}");
            self.state = State::Poisoned(Error::with_source(ErrorKind::Poisoned, message, cause.clone()));
        }
    }

    pub(super) fn is_poisoned(&self) -> bool {
        matches!(self.state, State::Poisoned(_))
    }
}
