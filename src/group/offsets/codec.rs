//! An entry as a record: the key says what it is about, the value what is said.
//!
//! ```text
//!     key      version u8 │ kind u8 │ group_length u8 │ zero u8 │ topic [16] (kinds 1, 3) │ partition u32 (kind 1)
//!              │ group
//!     value 1  offset u64 │ timestamp i64 │ leader_epoch u32 │ metadata_length u32 │ metadata
//!     value 2  generation u32 │ is_empty u32 │ empty_since i64
//!     value 3  partition_count u32 │ zero u32
//! ```
//!
//! The batch that the record lies in is checksummed: what is wrong here was written so.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use super::{CommittedOffset, Entry, GroupFacts, METADATA_LEN_MAX};
use crate::TopicId;
use crate::group::Generation;
use crate::group::name::GroupName;
use crate::segment::Fields;
use std::sync::Arc;

/// The version of keys.
const VERSION: u8 = 1;
const OFFSET: u8 = 1;
const GROUP: u8 = 2;
const START: u8 = 3;

/// Why a record is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EntryFlaw {
    #[error("expected version 1 and a kind of 1 to 3, found version {version} and kind {kind}")]
    Newer { version: u8, kind: u8 },
    #[error("the {0} is not one that was ever written")]
    Damaged(&'static str),
}

impl Entry {
    /// The key of its record.
    pub(crate) fn key(&self) -> Vec<u8> {
        let (kind, group) = match self {
            Self::Offset { group, .. } => (OFFSET, group),
            Self::Group { group, .. } => (GROUP, group),
            Self::Start { group, .. } => (START, group),
        };
        // A group's name is at most 249 bytes long.
        let mut key = vec![VERSION, kind, u8::try_from(group.len()).unwrap_or(u8::MAX), 0];
        match self {
            Self::Offset { topic, partition, .. } => {
                key.extend_from_slice(&topic.to_bytes());
                key.extend_from_slice(&partition.to_le_bytes());
            }
            Self::Group { .. } => {}
            Self::Start { topic, .. } => key.extend_from_slice(&topic.to_bytes()),
        }
        key.extend_from_slice(group.as_bytes());
        key
    }

    /// The value of its record; none where what was said before holds no longer.
    pub(crate) fn value(&self) -> Option<Vec<u8>> {
        match self {
            Self::Offset { committed, .. } => committed.as_ref().map(CommittedOffset::encode),
            Self::Group { facts, .. } => facts.as_ref().map(GroupFacts::encode),
            Self::Start { partition_count, .. } => partition_count.map(|count| {
                let mut value = count.to_le_bytes().to_vec();
                value.extend_from_slice(&[0; 4]);
                value
            }),
        }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When it is not one that this version writes.
    pub(crate) fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Self, EntryFlaw> {
        let mut fields = Fields::new(key);
        let Some([version, kind, group_len, zero]) = fields.array() else {
            return Err(EntryFlaw::Damaged("key"));
        };
        if version != VERSION || !(OFFSET..=START).contains(&kind) {
            return Err(EntryFlaw::Newer { version, kind });
        }
        let (topic, partition) = match kind {
            OFFSET => (fields.topic(), fields.u32()),
            START => (fields.topic(), Some(0)),
            _ => (Some(TopicId::from_bytes([0; 16])), Some(0)),
        };
        let (Some(topic), Some(partition), Some(group), 0) =
            (topic, partition, decode_group(fields.rest(), group_len), zero)
        else {
            return Err(EntryFlaw::Damaged("key"));
        };
        let damaged = EntryFlaw::Damaged("value");
        Ok(match kind {
            OFFSET => {
                let committed = value.map(|value| CommittedOffset::decode(value).ok_or(damaged));
                Self::Offset { group, topic, partition, committed: committed.transpose()? }
            }
            GROUP => {
                let facts = value.map(|value| GroupFacts::decode(value).ok_or(damaged));
                Self::Group { group, facts: facts.transpose()? }
            }
            _ => {
                let partition_count = value.map(|value| decode_count(value).ok_or(damaged));
                Self::Start { group, topic, partition_count: partition_count.transpose()? }
            }
        })
    }
}

fn decode_group(bytes: &[u8], len: u8) -> Option<Arc<str>> {
    let name = std::str::from_utf8(bytes).ok().filter(|name| name.len() == usize::from(len))?;
    GroupName::new(name).ok().map(|name| name.to_arc())
}

fn decode_count(value: &[u8]) -> Option<u32> {
    let mut fields = Fields::new(value);
    let (count, zero) = (fields.u32()?, fields.u32()?);
    (zero == 0 && fields.rest().is_empty()).then_some(count)
}

impl CommittedOffset {
    fn encode(&self) -> Vec<u8> {
        // Metadata is at most 4096 bytes long.
        let metadata_len = u32::try_from(self.metadata.len()).unwrap_or(u32::MAX);
        let mut value = self.offset.get().to_le_bytes().to_vec();
        value.extend_from_slice(&self.timestamp.as_millis().to_le_bytes());
        value.extend_from_slice(&self.leader_epoch.to_le_bytes());
        value.extend_from_slice(&metadata_len.to_le_bytes());
        value.extend_from_slice(self.metadata.as_bytes());
        value
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(value);
        let (offset, timestamp) = (fields.offset()?, fields.timestamp()?);
        let (leader_epoch, metadata_len) = (fields.u32()?, usize::try_from(fields.u32()?).ok()?);
        let metadata = std::str::from_utf8(fields.rest()).ok()?;
        let fits = metadata.len() == metadata_len && metadata_len <= METADATA_LEN_MAX;
        fits.then(|| Self { offset, leader_epoch, metadata: metadata.into(), timestamp })
    }
}

impl GroupFacts {
    fn encode(&self) -> Vec<u8> {
        let mut value = self.generation.get().to_le_bytes().to_vec();
        value.extend_from_slice(&u32::from(self.empty_since.is_some()).to_le_bytes());
        value.extend_from_slice(&self.empty_since.unwrap_or_default().as_millis().to_le_bytes());
        value
    }

    fn decode(value: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(value);
        let generation = fields.u32().and_then(Generation::new)?;
        let (is_empty, since) = (fields.u32()?, fields.timestamp()?);
        let empty_since = match is_empty {
            0 if since.as_millis() == 0 => None,
            1 => Some(since),
            _ => return None,
        };
        fields.rest().is_empty().then_some(Self { generation, empty_since })
    }
}
