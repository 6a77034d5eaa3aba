//! Why a coordinator refuses.

use crate::{Error, ErrorKind, TopicPartition};
use std::sync::Arc;

/// Why an event was refused. Nothing has changed then.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "remote members come with the Kafka protocol")]
pub(crate) enum Refusal {
    /// There is no such member: it left, or it was expelled.
    UnknownMember,
    /// Another one has taken over this instance id.
    FencedInstance(Arc<str>),
    /// The member speaks of another generation.
    IllegalGeneration,
    /// The member has to join again first.
    RebalanceInProgress,
    /// It has no assignor in common with the others.
    InconsistentProtocol,
    /// It does not hold this partition, or was given it in another generation.
    NotHeld(TopicPartition),
    /// The group has as many members as it can.
    Full,
    /// The group has members.
    NotEmpty,
    /// The group was deleted.
    Dead,
    /// The assignor gave no assignment that can be used.
    Assignor(Error),
}

impl Refusal {
    /// The error that a caller gets for it.
    pub(crate) fn to_error(&self, group: &str) -> Error {
        let (kind, what) = match self {
            Self::UnknownMember => (ErrorKind::Fenced, "the member is no longer one".to_owned()),
            Self::FencedInstance(id) => {
                (ErrorKind::Fenced, format!("another member has taken over the instance id {id:?}"))
            }
            Self::IllegalGeneration => {
                (ErrorKind::Fenced, "the member speaks of another generation".to_owned())
            }
            Self::RebalanceInProgress => (ErrorKind::Conflict, "the member has to join again".to_owned()),
            Self::InconsistentProtocol => {
                (ErrorKind::Conflict, "the members have no assignor in common".to_owned())
            }
            Self::NotHeld(partition) => {
                (ErrorKind::Fenced, format!("the member does not hold {partition} any more"))
            }
            Self::Full => {
                let most = super::MEMBERS_MAX;
                (ErrorKind::TooLarge, format!("it has {most} members, which is the limit"))
            }
            Self::NotEmpty => (ErrorKind::Conflict, "it has members".to_owned()),
            Self::Dead => (ErrorKind::NotFound, "it was deleted".to_owned()),
            Self::Assignor(error) => {
                return Error::with_source(
                    error.kind(),
                    format!("group {group}: partitions cannot be assigned: {error}"),
                    error.clone(),
                );
            }
        };
        Error::new(kind, format!("group {group}: {what}"))
    }
}

impl PartialEq for Refusal {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::NotHeld(one), Self::NotHeld(another)) => one == another,
            (Self::FencedInstance(one), Self::FencedInstance(another)) => one == another,
            (Self::Assignor(one), Self::Assignor(another)) => one.kind() == another.kind(),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}
