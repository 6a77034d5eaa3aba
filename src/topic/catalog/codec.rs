//! One slot of the catalog.
//!
//! ```text
//!     frame [16] │ capacity u32 │ length u32 │ generation u64 │ topic_count u32 │ zero u32 │ topics │ zeros
//!     topic: id [16] │ partition_count u32 │ ready_count u32 │ segment_bytes_max u64 │ segment_age_max u64
//!            │ retention_age u64 │ retention_bytes u64 │ batch_bytes_max u32 │ retention u8 │ timestamps u8
//!            │ durability u8 │ read_level u8 │ state u8 │ name_length u8 │ zero u16 │ name
//! ```
//!
//! The checksum covers the whole slot, zeros included. Frame and capacity keep their places in every version.

use super::{Catalog, CatalogFlaw, TopicEntry, TopicState};
use crate::partition::slots::{SlotFlaw, Slotted};
use crate::segment::{FRAME_LEN, Fields};
use crate::topic::name::TopicName;
use crate::topic::settings::TopicSettings;
use crate::{Durability, ReadLevel, Retention, TimestampSource};
use std::time::Duration;

/// Bytes before the first topic.
const HEAD_LEN: usize = FRAME_LEN + 24;
/// Bytes of a topic before its name.
const TOPIC_LEN: usize = 68;

/// Why a slot of the catalog is not used.
type Flaw = SlotFlaw<CatalogFlaw>;

impl Catalog {
    /// How many bytes of a slot it takes.
    pub(super) fn encoded_len(&self) -> usize {
        let topic_len = |entry: &TopicEntry| TOPIC_LEN.saturating_add(entry.name.as_str().len());
        self.topics.iter().map(topic_len).fold(HEAD_LEN, usize::saturating_add)
    }

    /// A whole slot of this capacity.
    ///
    /// # Panics
    /// If the catalog does not fit it.
    pub(super) fn encode(&self, capacity: u32) -> Vec<u8> {
        let slot_len = usize::try_from(capacity).unwrap_or(usize::MAX);
        // So counts and lengths have 32 bits too.
        assert!(self.encoded_len() <= slot_len, "a catalog of {} bytes does not fit", self.encoded_len());
        let mut bytes = Self::FRAME.begin(slot_len);
        bytes.extend_from_slice(&capacity.to_le_bytes());
        bytes.extend_from_slice(&to_u32(self.encoded_len()).to_le_bytes());
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(&to_u32(self.topics.len()).to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        self.topics.iter().for_each(|topic| topic.encode(&mut bytes));
        bytes.resize(slot_len, 0);
        Self::FRAME.seal(&mut bytes);
        bytes
    }

    /// Reads a slot; `bytes` are all of it.
    ///
    /// # Errors
    /// When anything is wrong with it, its meaning included.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Flaw> {
        let mut fields = Self::FRAME.open(bytes)?;
        let short = Flaw::Short { expected: HEAD_LEN as u64, found: bytes.len() as u64 };
        let (Some(capacity), Some(length), Some(generation)) = (fields.u32(), fields.u32(), fields.u64())
        else {
            return Err(short);
        };
        if u64::from(capacity) != bytes.len() as u64 {
            return Err(Flaw::Short { expected: u64::from(capacity), found: bytes.len() as u64 });
        }
        let (Some(topic_count), Some(zero)) = (fields.u32(), fields.u32()) else { return Err(short) };
        expect_zero("head", u64::from(zero))?;
        // Every topic takes some bytes of the slot, so a count that is too large soon meets its end.
        let mut topics = Vec::new();
        for _ in 0..topic_count {
            topics.push(TopicEntry::decode(&mut fields)?);
        }
        let used = (bytes.len() as u64).saturating_sub(fields.rest().len() as u64);
        if u64::from(length) != used {
            return Err(Flaw::Length { expected: used, found: u64::from(length) });
        }
        if let Some(byte) = fields.rest().iter().find(|byte| **byte != 0) {
            expect_zero("rest", u64::from(*byte))?;
        }
        let catalog = Self { generation, topics };
        catalog.check().map_err(SlotFlaw::Meaning)?;
        Ok(catalog)
    }
}

/// A count or length that was checked to have 32 bits.
fn to_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn expect_zero(field: &'static str, found: u64) -> Result<(), Flaw> {
    if found == 0 { Ok(()) } else { Err(Flaw::Field { field, expected: "zeros", found }) }
}

impl TopicEntry {
    fn encode(&self, bytes: &mut Vec<u8>) {
        let settings = &self.settings;
        let (retention, age, size) = match settings.retention {
            Retention::Forever => (0, Duration::ZERO, 0),
            Retention::Age(age) => (1, age, 0),
            Retention::Bytes(size) => (2, Duration::ZERO, size),
            Retention::AgeOrBytes(age, size) => (3, age, size),
        };
        let timestamps = match settings.timestamps {
            TimestampSource::CreateTime => 0,
            TimestampSource::LogAppendTime => 1,
        };
        let durability = match settings.durability {
            Durability::Written => 0,
            Durability::Durable => 1,
        };
        let read_level = match settings.read_level {
            ReadLevel::Written => 0,
            ReadLevel::Durable => 1,
        };
        let state = match self.state {
            TopicState::Live => 0,
            TopicState::Deleting => 1,
        };
        // A topic's name is at most 249 bytes long.
        let name_len = u8::try_from(self.name.as_str().len()).unwrap_or(u8::MAX);
        bytes.extend_from_slice(&self.id.to_bytes());
        bytes.extend_from_slice(&self.partition_count.to_le_bytes());
        bytes.extend_from_slice(&self.ready_count.to_le_bytes());
        bytes.extend_from_slice(&settings.segment_bytes_max.to_le_bytes());
        bytes.extend_from_slice(&millis(settings.segment_age_max).to_le_bytes());
        bytes.extend_from_slice(&millis(age).to_le_bytes());
        bytes.extend_from_slice(&size.to_le_bytes());
        bytes.extend_from_slice(&settings.batch_bytes_max.to_le_bytes());
        bytes.extend_from_slice(&[retention, timestamps, durability, read_level, state, name_len, 0, 0]);
        bytes.extend_from_slice(self.name.as_str().as_bytes());
    }

    fn decode(fields: &mut Fields<'_>) -> Result<Self, Flaw> {
        let left = fields.rest().len() as u64;
        let cut = |expected: usize| Flaw::Short { expected: expected as u64, found: left };
        let (Some(id), Some(partition_count), Some(ready_count)) =
            (fields.topic(), fields.u32(), fields.u32())
        else {
            return Err(cut(TOPIC_LEN));
        };
        let (Some(segment_bytes_max), Some(segment_age), Some(age), Some(size), Some(batch_bytes_max)) =
            (fields.u64(), fields.u64(), fields.u64(), fields.u64(), fields.u32())
        else {
            return Err(cut(TOPIC_LEN));
        };
        let (Some([retention, timestamps, durability, read_level, state, name_len]), Some(zero)) =
            (fields.array(), fields.u16())
        else {
            return Err(cut(TOPIC_LEN));
        };
        expect_zero("topic", u64::from(zero))?;
        let settings = TopicSettings {
            segment_bytes_max,
            segment_age_max: Duration::from_millis(segment_age),
            batch_bytes_max,
            retention: decode_retention(retention, age, size)?,
            timestamps: one_of(
                "timestamps",
                timestamps,
                [TimestampSource::CreateTime, TimestampSource::LogAppendTime],
            )?,
            durability: one_of("durability", durability, [Durability::Written, Durability::Durable])?,
            read_level: one_of("read level", read_level, [ReadLevel::Written, ReadLevel::Durable])?,
        };
        let state = one_of("state", state, [TopicState::Live, TopicState::Deleting])?;
        let name = decode_name(fields, usize::from(name_len)).ok_or(Flaw::Field {
            field: "name",
            expected: "a name that a topic can have",
            found: u64::from(name_len),
        })?;
        Ok(Self { name, id, state, partition_count, ready_count, settings })
    }
}

/// The milliseconds of a duration that was made from milliseconds.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn decode_name(fields: &mut Fields<'_>, len: usize) -> Option<TopicName> {
    let name = fields.take(len)?;
    TopicName::new(std::str::from_utf8(name).ok()?).ok()
}

fn decode_retention(code: u8, age: u64, size: u64) -> Result<Retention, Flaw> {
    let duration = Duration::from_millis(age);
    let (retention, unused) = match code {
        0 => (Retention::Forever, age | size),
        1 => (Retention::Age(duration), size),
        2 => (Retention::Bytes(size), age),
        3 => (Retention::AgeOrBytes(duration, size), 0),
        _ => return Err(Flaw::Field { field: "retention", expected: "0 to 3", found: u64::from(code) }),
    };
    expect_zero("unused retention", unused)?;
    Ok(retention)
}

/// The choice that a code of 0 or 1 stands for.
fn one_of<T>(field: &'static str, code: u8, [zero, one]: [T; 2]) -> Result<T, Flaw> {
    match code {
        0 => Ok(zero),
        1 => Ok(one),
        _ => Err(Flaw::Field { field, expected: "0 or 1", found: u64::from(code) }),
    }
}
