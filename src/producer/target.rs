//! What a record is sent to.

use crate::{Topic, TopicPartition};

/// Where to send a record: a topic, and perhaps which of its partitions.
///
/// The topic is named by a handle or by its name.
///
/// A [`Topic`] is found faster than a name. Where no partition is named, the producer's partitioner chooses.
///
/// ```
/// use annals::{Broker, Record, TopicOptions, TopicPartition};
/// let broker = Broker::options().open_in_memory()?;
/// let orders = broker.ensure_topic("orders", TopicOptions::new().partitions(3))?;
/// let producer = broker.producer().build()?;
/// producer.send(&orders, Record::new("a").key("alice"))?;
/// producer.send("orders", Record::new("b").key("alice"))?;
/// producer.send((&orders, 2), Record::new("c"))?;
/// producer.send(&TopicPartition::new("orders", 2), Record::new("d"))?;
/// producer.flush().wait()?;
/// assert!(orders.partition(2)?.log_end_offset().get() >= 2);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub(super) topic: Named<'a>,
    pub(super) choice: Choice,
}

/// How the topic is named.
#[derive(Clone, Copy, Debug)]
pub(super) enum Named<'a> {
    Handle(&'a Topic),
    Name(&'a str),
}

/// Who chooses the partition.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    Partitioner,
    Partition(u32),
}

impl<'a> Target<'a> {
    fn new(topic: Named<'a>, choice: Choice) -> Self {
        Self { topic, choice }
    }
}

impl<'a> From<&'a Topic> for Target<'a> {
    fn from(topic: &'a Topic) -> Self {
        Self::new(Named::Handle(topic), Choice::Partitioner)
    }
}

impl<'a> From<&'a str> for Target<'a> {
    fn from(name: &'a str) -> Self {
        Self::new(Named::Name(name), Choice::Partitioner)
    }
}

impl<'a> From<&'a String> for Target<'a> {
    fn from(name: &'a String) -> Self {
        Self::from(name.as_str())
    }
}

impl<'a> From<(&'a Topic, u32)> for Target<'a> {
    fn from((topic, partition): (&'a Topic, u32)) -> Self {
        Self::new(Named::Handle(topic), Choice::Partition(partition))
    }
}

impl<'a> From<(&'a str, u32)> for Target<'a> {
    fn from((name, partition): (&'a str, u32)) -> Self {
        Self::new(Named::Name(name), Choice::Partition(partition))
    }
}

impl<'a> From<&'a TopicPartition> for Target<'a> {
    fn from(place: &'a TopicPartition) -> Self {
        Self::from((place.topic(), place.partition()))
    }
}
