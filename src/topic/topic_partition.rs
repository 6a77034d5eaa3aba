//! The name of a partition among all topics.

use super::Topic;
use crate::units::{digits, shown};
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Which partition of which topic.
///
/// ```
/// use annals::TopicPartition;
/// let place = TopicPartition::new("orders", 2);
/// assert_eq!((place.topic(), place.partition()), ("orders", 2));
/// assert_eq!(place.to_string(), "orders-2");
/// assert_eq!("orders-2".parse::<TopicPartition>()?, place);
/// # Ok::<(), annals::Error>(())
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

impl FromStr for TopicPartition {
    type Err = Error;

    /// Reads what `Display` writes: what stands before the last hyphen is the topic's name, which is looked at where
    /// it is used.
    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.rsplit_once('-').and_then(|(topic, number)| {
            let partition = digits(number)?.parse().ok()?;
            (!topic.is_empty()).then(|| Self::new(topic, partition))
        });
        parsed.ok_or_else(|| {
            let message = format!("{} is no partition: a topic, a hyphen, a number", shown(text));
            Error::new(ErrorKind::InvalidInput, message)
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_read_from_what_it_is_written_as() {
        for (topic, partition) in [("orders", 2), ("orders-eu", 0), ("a--", u32::MAX), ("7", 7)] {
            let place = TopicPartition::new(topic, partition);
            assert_eq!(place.to_string().parse::<TopicPartition>().expect("it is one"), place);
        }
        for refused in ["", "orders", "-1", "orders-", "orders-+1", "orders-4294967296", "orders-2 "] {
            let error = refused.parse::<TopicPartition>().expect_err(refused);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
    }
}
