//! What the format promises, checked against a second encoder and decoder that were written without the first.

use super::batch_header::{IDENTITY_LEN, Producer};
use super::*;
use crate::{Error, ErrorKind, Offset, Position};

mod building;
mod chunks;
mod damage;
mod documented;
mod golden;
mod naive;
mod sample;

use naive::{Plain, PlainRecord};

const MAX: u32 = 1 << 20;

fn place_of(plain: &Plain) -> Place {
    Place { salt: plain.salt, position: Position::new(plain.position) }
}

/// The records as a caller would hand them in.
fn drafts(plain: &Plain) -> Vec<Record<'_>> {
    plain.records.iter().map(draft_of).collect()
}

fn draft_of(record: &PlainRecord) -> Record<'_> {
    let mut draft = match &record.value {
        Some(value) => Record::new(value),
        None => Record::tombstone(),
    };
    if let Some(key) = &record.key {
        draft = draft.key(key);
    }
    for (name, value) in &record.headers {
        draft = match value {
            Some(value) => draft.header(name, value),
            None => draft.null_header(name),
        };
    }
    draft.timestamp(Timestamp::from_millis(record.timestamp))
}

/// The batch as our own encoder makes it, stored where the sample says.
fn stamped(plain: &Plain) -> Vec<u8> {
    let limits = BatchLimits::new(BatchLimits::BYTES_MAX_MOST).unwrap();
    let mut batch = Batch::from_records(drafts(plain), Timestamp::MIN, limits).unwrap();
    batch.stamp(&stamp_of(plain)).to_vec()
}

fn stamp_of(plain: &Plain) -> Stamp {
    Stamp {
        salt: plain.salt,
        position: Position::new(plain.position),
        synced: Position::new(plain.synced),
        base_offset: Offset::new(plain.base_offset).unwrap(),
        leader_epoch: plain.leader_epoch,
        times: Times::AsGiven,
    }
}

/// A view, written down.
fn written_down(record: RecordRef<'_>, base_offset: u64) -> PlainRecord {
    PlainRecord {
        offset_delta: u32::try_from(record.offset().get() - base_offset).unwrap(),
        timestamp: record.timestamp().as_millis(),
        key: record.key().map(<[u8]>::to_vec),
        value: (!record.is_tombstone()).then(|| record.value().to_vec()),
        headers: record
            .headers()
            .map(|header| (header.key().to_owned(), header.value().map(<[u8]>::to_vec)))
            .collect(),
    }
}

/// All records of a chunk that begins with this batch.
fn read_back(bytes: &[u8], plain: &Plain) -> Vec<PlainRecord> {
    let base = Offset::new(plain.base_offset).unwrap();
    let verified =
        verify_chunk(bytes.to_vec(), place_of(plain), base, Offset::ZERO..Offset::MAX, u32::MAX).unwrap();
    let borrowed: Vec<_> = verified.records.iter().map(|r| written_down(r, plain.base_offset)).collect();
    assert_eq!(verified.records.len(), borrowed.len());
    let owned = verified.records.clone().into_iter();
    assert_eq!(owned.len(), borrowed.len());
    for (owned, borrowed) in owned.zip(&borrowed) {
        assert_eq!(&written_down(owned.as_record_ref(), plain.base_offset), borrowed);
        assert_eq!(owned.as_ref(), owned.value());
        assert_eq!(owned.leader_epoch(), plain.leader_epoch);
    }
    borrowed
}

#[test]
fn records_can_go_to_other_threads() {
    fn sendable<T: Send + Sync + Clone + 'static>() {}
    sendable::<Records>();
    sendable::<OwnedRecord>();
    sendable::<Batch>();
}
