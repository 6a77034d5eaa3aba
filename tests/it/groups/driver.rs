//! A member of the group, and what it thinks it has.

use annals::{Consumer, Offset, Rebalance, TopicPartition};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a listener has heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Assigned(Vec<TopicPartition>),
    /// And how far the member had got in each, and whether the listener committed that.
    Revoked(Vec<(TopicPartition, Offset)>, bool),
    Lost(Vec<TopicPartition>),
}

/// Which topics a member wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Those whose bit is set.
    Some(u8),
    /// All of them, by a rule.
    All,
}

impl Wants {
    pub fn topic(self, number: usize) -> bool {
        match self {
            Self::Some(bits) => bits >> number & 1 == 1,
            Self::All => true,
        }
    }
}

/// A member.
pub struct Driver {
    pub consumer: Consumer,
    pub heard: Arc<Mutex<Vec<Heard>>>,
    pub wants: Wants,
    /// Of a static member.
    pub instance: Option<u8>,
    pub commits_by_itself: bool,
    /// What it thinks it has: of which life of the topic, and the next offset it will get.
    pub owned: BTreeMap<TopicPartition, Owned>,
    pub polled_at: Duration,
    pub fence: Fence,
}

/// Whether another has taken over the instance id of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    No,
    /// One has, but when this one was expelled already: it may be expelled in turn before this one comes back.
    Perhaps,
    Yes,
}

/// What a member thinks of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owned {
    pub life: u32,
    pub next: u64,
    /// Whether somebody else may have it already: the member was expelled, fenced, or the topic is gone.
    pub is_stale: bool,
}

/// The listener of a member: notes what it hears, and commits what is revoked if it is told to.
pub fn listener(
    heard: &Arc<Mutex<Vec<Heard>>>,
    commits: bool,
) -> impl Fn(Rebalance<'_>) + Send + Sync + 'static {
    let heard = heard.clone();
    move |event| {
        let noted = match event {
            Rebalance::Assigned(given) => Heard::Assigned(given.partitions().to_vec()),
            Rebalance::Revoked(revoked) => {
                let position = |place: &TopicPartition| {
                    (place.clone(), revoked.position(place.clone()).expect("it still has it"))
                };
                let positions = revoked.partitions().iter().map(position).collect();
                let committed = commits && revoked.commit().wait().is_ok();
                Heard::Revoked(positions, committed)
            }
            Rebalance::Lost(partitions) => Heard::Lost(partitions.to_vec()),
            other => panic!("nothing else is known: {other:?}"),
        };
        heard.lock().expect("no listener panics").push(noted);
    }
}
