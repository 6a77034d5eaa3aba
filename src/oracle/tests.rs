use super::*;
use crate::{Batch, BatchLimits, Record, Timestamp};

type Oracle = fn(&[u8]) -> bool;

const ORACLES: &[(&str, Oracle)] = &[
    ("batches", batches),
    ("segment_header", segment_header),
    ("tail_mark", tail_mark),
    ("index", index),
    ("index_of_batches", index_of_batches),
    ("file_name", file_name),
    ("manifest_slot", manifest_slot),
    ("damage", damage),
    ("history", history),
];

/// Says which oracle failed on what.
struct Asked<'a> {
    name: &'a str,
    bytes: &'a [u8],
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}({:?})", self.name, self.bytes);
        }
    }
}

/// Good batches with two of everything, one byte of mode before them.
fn good_batches(mode: u8) -> Vec<u8> {
    let mut chunk = vec![mode];
    for _ in 0..2 {
        let records = [
            Record::new("a").key("k").header("h", "1").header("h", "2").null_header("n"),
            Record::tombstone().key("").timestamp(Timestamp::from_millis(7)),
        ];
        let batch = Batch::from_records(records, Timestamp::from_millis(9), BatchLimits::default());
        let offset = crate::Offset::from(u32::from(chunk.len() > 1) * 2);
        let batch = batch.and_then(|batch| batch.with_base_offset(offset)).expect("a small batch");
        chunk.resize(1 + (chunk.len() - 1).next_multiple_of(8), 0);
        chunk.extend_from_slice(batch.as_bytes());
    }
    chunk
}

#[test]
fn random_bytes_break_nothing() {
    let mut rng = fastrand::Rng::with_seed(1);
    for (name, oracle) in ORACLES {
        let inputs = if matches!(*name, "damage" | "history") { 50 } else { 2_000 };
        for _ in 0..inputs {
            let bytes: Vec<u8> = (0..rng.usize(..300)).map(|_| rng.u8(..)).collect();
            let asked = Asked { name, bytes: &bytes };
            oracle(asked.bytes);
        }
    }
}

#[test]
fn every_oracle_sees_something_good() {
    let zeros = [0; 200];
    let mended = |len: usize| [&[1], &zeros[..len]].concat();
    let tail_mark_at = |synced: u16| {
        let mut mark = [0; 40];
        mark[12..14].copy_from_slice(&synced.to_le_bytes());
        [&[1, 0, 0, 3][..], &mark].concat()
    };
    let mut empty_index = vec![1, 0];
    empty_index.extend_from_slice(&zeros[..112]);
    empty_index[2 + 48..2 + 52].copy_from_slice(&4096_u32.to_le_bytes());

    assert!(batches(&good_batches(1)));
    assert!(!batches(&good_batches(0)), "a batch without its check word is nobody's");
    assert!(segment_header(&mended(0)) && !segment_header(&zeros[..10]));
    assert!(tail_mark(&tail_mark_at(4096)) && !tail_mark(&tail_mark_at(4097)));
    assert!(index(&empty_index));
    assert!(index_of_batches(b"any bytes are batches, of any time"));
    assert!(file_name(b" 00000000000000000042.log") && !file_name(b" 42.log"));
    assert!(manifest_slot(&mended(0)) && !manifest_slot(&zeros[..10]));
    assert!(damage(&[0]) && damage(&[1]), "without damage it opens");
    assert!(!damage(&[0, 0, 11, 0, 0, 0]), "a file is missing");
    assert!(history(b"any bytes are a history"));
}

#[test]
fn every_bit_of_good_batches_may_flip() {
    let good = good_batches(1);
    for bit in 0..good.len() * 8 {
        for mode in [0, 1] {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped[0] = mode;
            batches(&flipped);
        }
    }
}

/// A log start inside the active segment was refused by the manifest, which lists an open segment only up to its
/// recovery point: as long as a partition had one segment, nothing could be deleted from it.
#[test]
fn records_of_the_only_segment_can_be_deleted() {
    let append_one = [3, 0, 15, 0];
    let delete_all = [6, 1, 0, 0];
    assert!(history(&[append_one, delete_all].concat()));
}
