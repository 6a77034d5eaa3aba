//! The topics that a producer has sent to, found without a lock.

use super::depot::Depot;
use super::target::Named;
use super::topic_lines::TopicLines;
use crate::sync::{AtomicU64, OnceLock, Ordering};
use crate::{Error, ErrorKind, Result, Topic, TopicId};
use std::sync::Arc;

/// Most topics that one producer sends to in its life, deleted ones included.
const TOPICS_MAX: u64 = 100_000;
/// Lists that they are spread over.
const BUCKETS: usize = 256;

/// Topics by identity. Only grows: identities are never used again, and what is left of a deleted topic is small.
pub(super) struct Topics {
    buckets: [Link; BUCKETS],
    count: AtomicU64,
    /// What decides where records without a key go first: differs from one producer to the next.
    seed: u64,
}

type Link = OnceLock<Box<Node>>;

struct Node {
    lines: Arc<TopicLines>,
    next: Link,
}

impl Topics {
    pub(super) fn new(seed: u64) -> Self {
        Self { buckets: [const { OnceLock::new() }; BUCKETS], count: AtomicU64::new(0), seed }
    }

    /// The lines to a topic.
    ///
    /// # Errors
    /// `NotFound` when there is none, or the handle is to one that was deleted; `InvalidInput` when the name is not a
    /// valid one, or it is internal; `Closed`.
    #[inline]
    pub(super) fn lines(&self, depot: &Arc<Depot>, topic: Named<'_>) -> Result<&TopicLines> {
        let id = match topic {
            Named::Handle(topic) => topic.id(),
            Named::Name(name) => depot.backend.topic_id(name)?,
        };
        match self.get(id) {
            Some(lines) => Ok(lines),
            None => self.add(depot, id, topic),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<TopicLines>> {
        self.buckets
            .iter()
            .flat_map(|bucket| std::iter::successors(bucket.get(), |node| node.next.get()))
            .map(|node| &node.lines)
    }

    #[inline]
    fn bucket(&self, id: TopicId) -> Option<&Link> {
        // Identities are drawn at random: any byte of one is as good as another.
        self.buckets.get(usize::from(id.to_bytes()[0]))
    }

    #[inline]
    fn get(&self, id: TopicId) -> Option<&TopicLines> {
        let mut link = self.bucket(id)?;
        loop {
            let node = link.get()?;
            if node.lines.id() == id {
                return Some(&node.lines);
            }
            link = &node.next;
        }
    }

    #[cold]
    fn add(&self, depot: &Arc<Depot>, id: TopicId, topic: Named<'_>) -> Result<&TopicLines> {
        let found = match topic {
            Named::Name(name) => depot.backend.topic(name)?,
            Named::Handle(topic) => {
                topic.usable()?;
                depot.backend.topic(topic.name())?
            }
        };
        if found.id() != id {
            return Err(stranger(topic));
        }
        if found.is_internal() {
            let message = format!("{}: an internal topic, which only the broker writes", found.name());
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        // Before that is set on a path that others can see, nobody else adds a topic.
        let growing = depot.grow()?;
        if self.count.fetch_add(1, Ordering::Relaxed) >= TOPICS_MAX {
            let message =
                format!("a producer sends to at most {TOPICS_MAX} topics in its life: build another");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let bytes = id.to_bytes();
        let start = bytes.iter().fold(self.seed, |seed, byte| seed.rotate_left(7) ^ u64::from(*byte));
        let mut link = self.bucket(id);
        while let Some(node) = link.and_then(OnceLock::get) {
            if node.lines.id() == id {
                return Ok(&node.lines);
            }
            link = Some(&node.next);
        }
        let node = || Box::new(Node { lines: TopicLines::new(depot, found, start), next: OnceLock::new() });
        let lines = link.map(|link| &*link.get_or_init(node).lines);
        drop(growing);
        lines.ok_or_else(|| stranger(topic))
    }
}

/// The error for a handle to a topic that the broker does not have.
fn stranger(topic: Named<'_>) -> Error {
    let name = match topic {
        Named::Handle(topic) => Topic::name(topic),
        Named::Name(name) => name,
    };
    let message = format!("topic {name}: the broker has another one of that name, or it was just deleted");
    Error::new(ErrorKind::NotFound, message)
}
