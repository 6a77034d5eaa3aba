//! One member of a group.

use crate::TopicPartition;
use crate::group::{Assignor, Generation};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// One life of a member.
#[derive(Debug)]
pub(crate) struct Member {
    /// Of a static member.
    pub(crate) instance_id: Option<Arc<str>>,
    /// What its owner calls it.
    pub(crate) client_id: Arc<str>,
    pub(super) kind: Kind,
    /// What it has.
    pub(crate) held: BTreeMap<TopicPartition, Hold>,
    /// What it is to have.
    pub(super) target: BTreeSet<TopicPartition>,
    /// What it was told that it has, and has no more. Nobody who is told of it is in `held`, unless it got the
    /// partition anew.
    pub(super) lost: BTreeSet<TopicPartition>,
    /// Whether the next poll of a member in process has anything to look for.
    pub(super) has_news: bool,
}

/// That a member has a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    /// The generation in which it was given.
    pub(super) since: Generation,
    /// Whether the member knows. One that came in the place of another does not before its first poll.
    pub(super) is_told: bool,
    /// When it was asked to give it up, if it was.
    pub(super) asked: Option<Duration>,
}

/// Where a member lives.
#[derive(Debug)]
pub(super) enum Kind {
    InProcess(InProcess),
    Remote(Remote),
}

/// What is known of a member in this process.
#[derive(Debug)]
pub(super) struct InProcess {
    pub(super) topics: BTreeSet<Arc<str>>,
    /// The preferred one first.
    pub(super) assignors: Vec<Arc<dyn Assignor>>,
    pub(super) poll_interval: Duration,
    /// How long a static member may be away.
    pub(super) session_timeout: Duration,
    pub(super) presence: Presence,
    /// Whether it has joined the round that is under way. Meaningless without one.
    pub(super) has_joined: bool,
}

/// What a member in process does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It made progress then.
    Working(Duration),
    /// A static member that left then, and may come back.
    Away(Duration),
}

/// What is known of a member that speaks the Kafka protocol.
#[derive(Debug)]
pub(super) struct Remote {
    /// Names of assignors, the preferred one first, with what that assignor is to know of the member.
    pub(super) protocols: Vec<(Arc<str>, Arc<[u8]>)>,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    /// When it was heard of last.
    pub(super) heard: Duration,
    /// Its request to join, until that is answered.
    pub(super) join: Option<u64>,
    /// Its request to sync, until that is answered.
    pub(super) sync: Option<u64>,
    /// Whether it has synced in this generation.
    pub(super) has_synced: bool,
    /// What the leader sent for it.
    pub(super) assignment: Arc<[u8]>,
    /// Whether `assignment` says nothing that we can read: then its commits go by the generation alone.
    pub(super) is_opaque: bool,
    /// The topics that it wants, as far as we can read that.
    pub(super) topics: BTreeSet<Arc<str>>,
}

impl Member {
    pub(super) fn new(instance_id: Option<Arc<str>>, client_id: Arc<str>, kind: Kind) -> Self {
        Self {
            instance_id,
            client_id,
            kind,
            held: BTreeMap::new(),
            target: BTreeSet::new(),
            lost: BTreeSet::new(),
            has_news: true,
        }
    }

    /// The topics it wants.
    pub(super) fn topics(&self) -> impl Iterator<Item = Arc<str>> {
        match &self.kind {
            Kind::InProcess(member) => member.topics.iter().cloned(),
            Kind::Remote(member) => member.topics.iter().cloned(),
        }
    }

    /// Whether there is anything between what it has, or thinks it has, and what it is to have.
    pub(super) fn is_unsettled(&self) -> bool {
        match &self.kind {
            Kind::Remote(_) => false,
            Kind::InProcess(_) => {
                !self.lost.is_empty()
                    || self.held.len() != self.target.len()
                    || self.held.iter().any(|(place, hold)| !hold.is_told || !self.target.contains(place))
            }
        }
    }

    /// Whether it lives elsewhere.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self.kind, Kind::Remote(_))
    }
}

impl InProcess {
    pub(super) fn is_away(&self) -> bool {
        matches!(self.presence, Presence::Away(_))
    }
}
