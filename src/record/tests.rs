//! What the format promises, checked against a second encoder and decoder that were written without the
//! first: slow, plain, and by the letter of `docs/format.md`.

use super::*;
use crate::{Offset, Position};

const SALT: u64 = 0x5eed_5a17_0000_0001;
const MAX: u32 = 1 << 20;

fn place(position: u32) -> Place {
    Place { salt: SALT, position: Position::new(position) }
}

fn batch(values: &[&str]) -> Batch {
    let records = values.iter().map(Record::new);
    Batch::from_records(records, Timestamp::from_millis(7), BatchLimits::default()).unwrap()
}

fn stamp_at(position: u32, base_offset: u32) -> Stamp {
    Stamp {
        salt: SALT,
        position: Position::new(position),
        synced: Position::ZERO,
        base_offset: Offset::from(base_offset),
        leader_epoch: 3,
        times: Times::AsGiven,
    }
}

#[test]
fn a_chunk_of_batches_reads_back_from_any_offset() {
    let mut buf = vec![0; 8];
    for (base, values) in [(10, &["a", "bb", "ccc"][..]), (13, &["d"]), (14, &["e", "f"])] {
        let position = u32::try_from(buf.len()).unwrap() + 4096 - 8;
        buf.extend_from_slice(batch(values).stamp(&stamp_at(position, base)));
        buf.resize(buf.len().next_multiple_of(8), 0);
    }
    let buf = buf[8..].to_vec();
    for from in 9..=16 {
        let from = Offset::from(from);
        let verified = verify_chunk(buf.clone(), place(4096), Offset::from(10), from, MAX).unwrap();
        let offsets: Vec<_> = verified.records.iter().map(|record| record.offset().get()).collect();
        let expected: Vec<_> = (from.get().max(10)..16).collect();
        assert_eq!(offsets, expected);
        assert_eq!(verified.records.len(), expected.len());
        assert_eq!(verified.records.clone().into_iter().count(), expected.len());
        assert_eq!(verified.consumed, buf.len());
        assert_eq!(verified.next_offset, Offset::from(16));
    }
}
