//! What members of a group tell each other in the Kafka protocol: its "consumer" embedded protocol.
//!
//! ```text
//!     subscription   version i16 │ topics [string] │ user data │ owned [topic, [partition i32]] (from 1)
//!                    │ generation i32 (from 2) │ rack (from 3)
//!     assignment     version i16 │ [topic, [partition i32]] │ user data
//! ```
//!
//! Integers are big-endian; a string has 2 bytes of length, an array 4, user data 4 and -1 for none. What a
//! newer version adds stands behind what is read here.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use super::Generation;
use crate::TopicPartition;
use std::sync::Arc;

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What a member wants, as an assignor elsewhere reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WireSubscription {
    pub(crate) topics: Vec<Arc<str>>,
    pub(crate) owned: Vec<TopicPartition>,
    pub(crate) generation: Generation,
}

impl WireSubscription {
    /// As version 2, the first with a generation.
    pub(crate) fn encode(&self) -> Arc<[u8]> {
        let mut bytes = 2_i16.to_be_bytes().to_vec();
        put_count(&mut bytes, self.topics.len());
        self.topics.iter().for_each(|topic| put_string(&mut bytes, topic));
        bytes.extend_from_slice(&(-1_i32).to_be_bytes());
        put_partitions(&mut bytes, &self.owned);
        bytes.extend_from_slice(&self.generation.get().to_be_bytes());
        bytes.into()
    }

    /// Of any version.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut wire = Wire(bytes);
        let version = wire.version()?;
        let topics = wire.array(Wire::string)?;
        wire.user_data()?;
        let owned = if version >= 1 { wire.partitions()? } else { Vec::new() };
        let generation = if version >= 2 { Generation::new(wire.u32()?) } else { None };
        Ok(Self { topics, owned, generation: generation.unwrap_or_default() })
    }
}

/// What a member was assigned.
pub(crate) fn decode_assignment(bytes: &[u8]) -> Result<Vec<TopicPartition>, Malformed> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut wire = Wire(bytes);
    wire.version()?;
    wire.partitions()
}

/// An assignment as version 0.
#[cfg(test)]
pub(crate) fn encode_assignment(partitions: &[TopicPartition]) -> Arc<[u8]> {
    let mut bytes = 0_i16.to_be_bytes().to_vec();
    put_partitions(&mut bytes, partitions);
    bytes.extend_from_slice(&(-1_i32).to_be_bytes());
    bytes.into()
}

/// Counts here are of names or partitions that are in memory: far below the largest.
fn put_count(bytes: &mut Vec<u8>, count: usize) {
    bytes.extend_from_slice(&i32::try_from(count).unwrap_or(i32::MAX).to_be_bytes());
}

/// Names have at most 249 bytes.
fn put_string(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&i16::try_from(text.len()).unwrap_or(i16::MAX).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

/// Partitions, which are sorted, by topic.
fn put_partitions(bytes: &mut Vec<u8>, partitions: &[TopicPartition]) {
    let topics: Vec<&[TopicPartition]> = partitions.chunk_by(|a, b| a.topic() == b.topic()).collect();
    put_count(bytes, topics.len());
    for of_topic in topics {
        put_string(bytes, of_topic.first().map_or("", TopicPartition::topic));
        put_count(bytes, of_topic.len());
        of_topic.iter().for_each(|place| bytes.extend_from_slice(&place.partition().to_be_bytes()));
    }
}

/// Bytes that were not read yet.
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn word<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (word, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*word)
    }

    fn version(&mut self) -> Result<i16, Malformed> {
        let version = i16::from_be_bytes(self.word()?);
        if version < 0 { Err(Malformed) } else { Ok(version) }
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.word()?))
    }

    fn string(&mut self) -> Result<Arc<str>, Malformed> {
        let len = usize::try_from(i16::from_be_bytes(self.word()?)).map_err(|_| Malformed)?;
        std::str::from_utf8(self.take(len)?).map(Arc::from).map_err(|_| Malformed)
    }

    fn user_data(&mut self) -> Result<(), Malformed> {
        let len = i32::from_be_bytes(self.word()?);
        if len > 0 {
            self.take(usize::try_from(len).map_err(|_| Malformed)?)?;
        }
        Ok(())
    }

    /// Each element takes some of the bytes, so a count that is too large soon meets their end.
    fn array<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.u32()?;
        let mut elements = Vec::new();
        for _ in 0..i32::try_from(count).map_err(|_| Malformed)? {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    fn partitions(&mut self) -> Result<Vec<TopicPartition>, Malformed> {
        let topics = self.array(|wire| {
            let topic = wire.string()?;
            wire.array(|wire| {
                let number = i32::from_be_bytes(wire.word()?);
                let number = u32::try_from(number).map_err(|_| Malformed)?;
                Ok(TopicPartition::new(topic.clone(), number))
            })
        })?;
        Ok(topics.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Vec<TopicPartition> {
        [("orders", 0), ("orders", 7), ("refunds", 3)]
            .map(|(topic, number)| TopicPartition::new(topic, number))
            .to_vec()
    }

    #[test]
    fn what_is_written_is_read() {
        let topics = ["orders", "refunds"].map(Arc::from).to_vec();
        let generation = Generation::new(9).expect("a small number");
        let subscription = WireSubscription { topics, owned: places(), generation };
        let bytes = subscription.encode();
        assert_eq!(WireSubscription::decode(&bytes), Ok(subscription));
        for len in 0..bytes.len() {
            assert_eq!(WireSubscription::decode(&bytes[..len]), Err(Malformed), "cut at {len}");
        }
        assert_eq!(decode_assignment(&encode_assignment(&places())), Ok(places()));
    }

    /// The bytes that Kafka's own clients write for version 0 and for a version of the future.
    #[test]
    fn other_versions_are_read() {
        let zero = b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff";
        let topics = vec![Arc::from("t")];
        assert_eq!(WireSubscription::decode(zero), Ok(WireSubscription { topics, ..Default::default() }));
        let later = b"\0\x09\0\0\0\0\0\0\0\x02ud\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x05\0\0\0\x04\xff\xff??";
        let read = WireSubscription::decode(later).expect("what is added stands behind");
        assert_eq!(read.owned, [TopicPartition::new("t", 5)]);
        assert_eq!(read.generation.get(), 4);
        let hostile = b"\0\0\x7f\xff\xff\xff";
        assert_eq!(WireSubscription::decode(hostile), Err(Malformed));
    }
}
