//! What a poll returns: records of several partitions, each knowing which it comes from.

use crate::{OwnedRecord, RecordRef, Records, RecordsIntoIter, RecordsIter, TopicPartition};
use std::fmt;
use std::ops::Deref;

/// The records of one poll, in order within each partition.
///
/// They are of one or more partitions.
///
/// They are owned: clones share the buffers, and they stay valid when the consumer moves on or is gone.
///
/// ```
/// use annals::{Broker, OwnedConsumerRecord, Record, TopicOptions};
/// use std::time::Duration;
/// let broker = Broker::options().open_in_memory()?;
/// let orders = broker.create_topic("orders", TopicOptions::new())?;
/// orders.partition(0)?.append([Record::new("42").key("alice"), Record::new("7")]).wait()?;
///
/// let mut consumer = broker.consumer().assign([(&orders, 0)]).build()?;
/// let records = consumer.poll(Duration::from_secs(1))?;
/// for record in &records {
///     println!("{} {} {}", record.topic_partition(), record.offset(), record.value().escape_ascii());
/// }
/// let kept: Vec<OwnedConsumerRecord> = records.into_iter().collect();
/// assert_eq!((kept[0].topic(), kept[0].key()), ("orders", Some(&b"alice"[..])));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ConsumerRecords {
    runs: Vec<Run>,
    len: usize,
}

/// Records that follow each other in one partition.
#[derive(Clone, Debug)]
struct Run {
    place: TopicPartition,
    records: Records,
}

impl ConsumerRecords {
    /// Adds records that follow those of their partition that are in already.
    pub(super) fn push(&mut self, place: &TopicPartition, records: Records) {
        self.len = self.len.saturating_add(records.len());
        self.runs.push(Run { place: place.clone(), records });
    }

    /// How many records there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none: the time was up, or the poll was woken.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The records, one after the other.
    #[must_use]
    pub fn iter(&self) -> ConsumerRecordsIter<'_> {
        ConsumerRecordsIter { runs: self.runs.iter(), current: None, left: self.len }
    }

    /// The records by partition, in runs that follow each other. A partition that had much has several.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = (&TopicPartition, &Records)> {
        self.runs.iter().map(|run| (&run.place, &run.records))
    }
}

/// A record and the partition it comes from, borrowed from its [`ConsumerRecords`].
///
/// It has all that a [`RecordRef`] has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ConsumerRecord<'a> {
    place: &'a TopicPartition,
    record: RecordRef<'a>,
}

impl<'a> ConsumerRecord<'a> {
    /// The partition it comes from.
    #[must_use]
    pub const fn topic_partition(&self) -> &'a TopicPartition {
        self.place
    }

    /// The name of the topic it comes from.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        self.place.topic()
    }

    /// The number of the partition it comes from.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.place.partition()
    }
}

impl<'a> Deref for ConsumerRecord<'a> {
    type Target = RecordRef<'a>;

    fn deref(&self) -> &RecordRef<'a> {
        &self.record
    }
}

impl fmt::Debug for ConsumerRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.place, self.record)
    }
}

impl<'a> IntoIterator for &'a ConsumerRecords {
    type Item = ConsumerRecord<'a>;
    type IntoIter = ConsumerRecordsIter<'a>;

    fn into_iter(self) -> ConsumerRecordsIter<'a> {
        self.iter()
    }
}

/// The records of a [`ConsumerRecords`], borrowed.
#[derive(Clone, Debug)]
pub struct ConsumerRecordsIter<'a> {
    runs: std::slice::Iter<'a, Run>,
    current: Option<(&'a TopicPartition, RecordsIter<'a>)>,
    left: usize,
}

impl<'a> Iterator for ConsumerRecordsIter<'a> {
    type Item = ConsumerRecord<'a>;

    #[inline]
    fn next(&mut self) -> Option<ConsumerRecord<'a>> {
        loop {
            if let Some((place, records)) = &mut self.current
                && let Some(record) = records.next()
            {
                self.left = self.left.saturating_sub(1);
                return Some(ConsumerRecord { place, record });
            }
            let run = self.runs.next()?;
            self.current = Some((&run.place, run.records.iter()));
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for ConsumerRecordsIter<'_> {}
impl std::iter::FusedIterator for ConsumerRecordsIter<'_> {}

/// A record and the partition it comes from, to be kept or sent on.
///
/// It shares the buffer it was read into, and may go to other threads.
///
/// It has all that an [`OwnedRecord`] has. As a slice it is its value.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnedConsumerRecord {
    place: TopicPartition,
    record: OwnedRecord,
}

impl OwnedConsumerRecord {
    /// The same record, borrowed: what [`Consumer::commit_through`](crate::Consumer::commit_through) takes.
    #[must_use]
    pub fn as_consumer_record(&self) -> ConsumerRecord<'_> {
        ConsumerRecord { place: &self.place, record: self.record.as_record_ref() }
    }

    /// The partition it comes from.
    #[must_use]
    pub const fn topic_partition(&self) -> &TopicPartition {
        &self.place
    }

    /// The name of the topic it comes from.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.place.topic()
    }

    /// The number of the partition it comes from.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.place.partition()
    }
}

impl Deref for OwnedConsumerRecord {
    type Target = OwnedRecord;

    fn deref(&self) -> &OwnedRecord {
        &self.record
    }
}

impl AsRef<[u8]> for OwnedConsumerRecord {
    fn as_ref(&self) -> &[u8] {
        self.record.value()
    }
}

impl fmt::Debug for OwnedConsumerRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_consumer_record().fmt(f)
    }
}

/// The records of a [`ConsumerRecords`], each sharing its buffer.
#[derive(Clone, Debug)]
pub struct ConsumerRecordsIntoIter {
    runs: std::vec::IntoIter<Run>,
    current: Option<(TopicPartition, RecordsIntoIter)>,
    left: usize,
}

impl Iterator for ConsumerRecordsIntoIter {
    type Item = OwnedConsumerRecord;

    fn next(&mut self) -> Option<OwnedConsumerRecord> {
        loop {
            if let Some((place, records)) = &mut self.current
                && let Some(record) = records.next()
            {
                self.left = self.left.saturating_sub(1);
                return Some(OwnedConsumerRecord { place: place.clone(), record });
            }
            let run = self.runs.next()?;
            self.current = Some((run.place, run.records.into_iter()));
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for ConsumerRecordsIntoIter {}
impl std::iter::FusedIterator for ConsumerRecordsIntoIter {}

impl IntoIterator for ConsumerRecords {
    type Item = OwnedConsumerRecord;
    type IntoIter = ConsumerRecordsIntoIter;

    fn into_iter(self) -> ConsumerRecordsIntoIter {
        ConsumerRecordsIntoIter { runs: self.runs.into_iter(), current: None, left: self.len }
    }
}
