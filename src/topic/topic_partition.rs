//! The name of a partition among all topics.

use super::Topic;
use std::fmt;
use std::sync::Arc;

/// Which partition of which topic.
///
/// ```
/// use annals::TopicPartition;
/// let place = TopicPartition::new("orders", 2);
/// assert_eq!((place.topic(), place.partition()), ("orders", 2));
/// assert_eq!(place.to_string(), "orders-2");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    topic: Arc<str>,
    partition: u32,
}

impl TopicPartition {
    /// The partition of this number in the topic of this name.
    pub fn new(topic: impl Into<Arc<str>>, partition: u32) -> Self {
        Self { topic: topic.into(), partition }
    }

    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition's number in it.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.partition
    }
}

impl fmt::Display for TopicPartition {
    /// As Kafka writes it: `orders-2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl From<&Self> for TopicPartition {
    fn from(place: &Self) -> Self {
        place.clone()
    }
}

impl From<(&str, u32)> for TopicPartition {
    fn from((topic, partition): (&str, u32)) -> Self {
        Self::new(topic, partition)
    }
}

impl From<(String, u32)> for TopicPartition {
    fn from((topic, partition): (String, u32)) -> Self {
        Self::new(topic, partition)
    }
}

impl From<(&Topic, u32)> for TopicPartition {
    fn from((topic, partition): (&Topic, u32)) -> Self {
        Self::new(topic.name(), partition)
    }
}
