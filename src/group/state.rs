//! Where a group stands.

use std::fmt;

/// Where a group stands. The names are Kafka's.
///
/// ```
/// use annals::group::GroupState;
/// assert_eq!(GroupState::PreparingRebalance.to_string(), "PreparingRebalance");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GroupState {
    /// It has no members. It may have committed offsets.
    Empty,
    /// Its members are joining anew. Only a group with remote members waits for that.
    PreparingRebalance,
    /// It is decided who is to have what, and not everybody has it yet.
    CompletingRebalance,
    /// Everybody has what it is to have.
    Stable,
    /// It was deleted.
    Dead,
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
