//! Records in, bytes out, records back.

use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn both_encoders_write_the_same_bytes_and_both_decoders_read_them(plain in sample::any_batch()) {
        let bytes = stamped(&plain);
        prop_assert_eq!(&bytes, &naive::encode(&plain));
        prop_assert_eq!(naive::decode(&bytes, plain.salt, plain.position), Some(plain.clone()));
        prop_assert_eq!(read_back(&bytes, &plain), plain.records.clone());
        let (header, whole) = read_batch(&bytes, place_of(&plain), u32::MAX).unwrap();
        prop_assert_eq!(whole, &bytes[..]);
        prop_assert_eq!(header.next_offset().get(), plain.base_offset + plain.records.len() as u64);
        prop_assert_eq!(header.synced.get(), plain.synced);
    }

    #[test]
    fn a_batch_passes_through_bytes_unchanged(plain in sample::any_batch()) {
        let bytes = stamped(&plain);
        let limits = BatchLimits::new(BatchLimits::BYTES_MAX_MOST).unwrap();
        let mut batch = Batch::from_bytes(&bytes, limits).unwrap();
        prop_assert_eq!(&batch.as_bytes()[4..8], &[0; 4], "check is local");
        prop_assert_eq!(&batch.as_bytes()[12..16], &[0; 4], "synced is local");
        let again = Batch::from_bytes(batch.as_bytes(), limits).unwrap();
        prop_assert_eq!(again.as_bytes(), batch.as_bytes());
        prop_assert_eq!(batch.len(), bytes.len());
        prop_assert_eq!(batch.leader_epoch(), plain.leader_epoch);
        prop_assert_eq!(batch.max_timestamp().as_millis(), plain.max_timestamp);
        prop_assert_eq!(batch.stamp(&stamp_of(&plain)), &bytes[..]);
    }

    #[test]
    fn a_reused_buffer_leaves_nothing_behind(first in sample::any_batch(), second in sample::any_batch()) {
        let limits = BatchLimits::new(BatchLimits::BYTES_MAX_MOST).unwrap();
        let mut batch = Batch::from_records(drafts(&first), Timestamp::MIN, limits).unwrap();
        batch.stamp(&Stamp { times: Times::LogAppend(Timestamp::MAX), ..stamp_of(&first) });
        let mut builder = BatchBuilder::reusing(batch.into_buffer(), limits);
        for record in drafts(&second) {
            builder.push(&record, Timestamp::MIN).unwrap();
        }
        prop_assert_eq!(builder.record_count() as usize, second.records.len());
        let len = builder.len();
        let mut batch = builder.finish().unwrap();
        prop_assert_eq!(batch.stamp(&stamp_of(&second)), &naive::encode(&second)[..]);
        prop_assert_eq!(batch.len(), len);
    }
}

#[test]
fn all_samples_read_back() {
    for (name, plain) in sample::all() {
        assert_eq!(read_back(&naive::encode(&plain), &plain), plain.records, "{name}");
    }
}

#[test]
fn a_record_takes_whatever_is_bytes() {
    let (string, vec, boxed) = (String::from("a"), vec![1_u8], Box::<[u8]>::from([2_u8]));
    let records = [
        Record::new("text").key(&string),
        Record::new(&string).key(&vec),
        Record::new(&vec).key(b"bytes"),
        Record::new(&[1_u8, 2, 3]).key(&boxed[..]),
        Record::new(&b"x"[..]).header("h", &string),
    ];
    let batch = Batch::from_records(records, Timestamp::from_millis(5), BatchLimits::default()).unwrap();
    let records = batch.records().unwrap();
    assert_eq!(records.iter().map(|record| record.value().len()).collect::<Vec<_>>(), [4, 1, 1, 3, 1]);
    assert!(records.iter().all(|record| record.timestamp() == Timestamp::from_millis(5)));
}

#[test]
fn a_stored_record_can_be_appended_elsewhere() {
    let plain = sample::rich();
    let limits = BatchLimits::default();
    let batch = Batch::from_bytes(&naive::encode(&plain), limits).unwrap();
    let records = batch.records().unwrap();
    let copy = Batch::from_records(records.iter().map(Record::from), Timestamp::MIN, limits).unwrap();
    let copied: Vec<_> = copy.records().unwrap().iter().map(|record| written_down(record, 0)).collect();
    assert_eq!(copied, plain.records);
}

#[test]
fn a_batch_without_records_is_refused() {
    let error = Batch::from_records([], Timestamp::MIN, BatchLimits::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_batch_at_its_limit_passes_and_one_byte_more_names_size_and_limit() {
    let limits = BatchLimits::new(1_024).unwrap();
    let value = [0; 1_024];
    let build = |len: usize| Batch::from_records([Record::new(&value[..len])], Timestamp::MIN, limits);
    // 56 of header; 2 + 7 of record before and behind the value, whose length takes 2.
    assert_eq!(build(1_024 - 56 - 9).unwrap().len(), 1_024);
    let error = build(1_024 - 56 - 8).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(error.to_string(), "batch of 1025 bytes or more: the limit is 1024 bytes");
    let many = std::iter::repeat(Record::new("x"));
    let error = Batch::from_records(many, Timestamp::MIN, limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "an endless input ends at the limit: {error}");
}

#[test]
fn a_record_that_was_refused_leaves_the_batch_as_it_was() {
    let limits = BatchLimits::new(1_024).unwrap();
    let mut builder = BatchBuilder::new(limits);
    builder.push(&Record::new("a"), Timestamp::from_millis(1)).unwrap();
    assert!(builder.push(&Record::new(&[0; 2_000]), Timestamp::from_millis(2)).is_err());
    builder.push(&Record::new("b"), Timestamp::from_millis(1)).unwrap();
    let batch = builder.finish().unwrap().sealed();
    assert_eq!(batch.max_timestamp(), Timestamp::from_millis(1));
    let records = batch.records().unwrap();
    assert_eq!(records.iter().map(|record| record.value()).collect::<Vec<_>>(), [b"a", b"b"]);
}

#[test]
fn a_million_headers_are_refused() {
    let mut record = Record::new("x");
    for _ in 0..1_000_000 {
        record = record.null_header("");
    }
    let limits = BatchLimits::new(1 << 30).unwrap();
    let error = Batch::from_records([record], Timestamp::MIN, limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(error.to_string(), "record with 1000000 headers: the limit is 65535");
}

#[test]
fn as_many_headers_as_are_allowed_read_back() {
    let mut record = Record::new("x");
    for _ in 0..65_535 {
        record = record.null_header("");
    }
    let batch = Batch::from_records([record], Timestamp::MIN, BatchLimits::default()).unwrap();
    let records = batch.records().unwrap();
    assert_eq!(records.iter().map(|record| record.headers().count()).sum::<usize>(), 65_535);
}

#[test]
fn times_too_far_apart_are_refused_and_the_farthest_that_fit_are_not() {
    let at = |millis| Record::new("x").timestamp(Timestamp::from_millis(millis));
    let build = |a, b| Batch::from_records([at(a), at(b)], Timestamp::MIN, BatchLimits::default());
    assert_eq!(build(i64::MIN, 0).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(build(1, i64::MIN).unwrap_err().kind(), ErrorKind::InvalidInput);
    for (a, b) in [(0, i64::MIN), (i64::MIN, -1), (-1, i64::MAX - 1), (i64::MAX, 0)] {
        let records = build(a, b).unwrap().records().unwrap();
        let times: Vec<_> = records.iter().map(|record| record.timestamp().as_millis()).collect();
        assert_eq!(times, [a, b]);
    }
}

#[test]
fn an_offset_past_the_largest_is_refused() {
    let build = || {
        let records = [Record::new("a"), Record::new("b")];
        Batch::from_records(records, Timestamp::MIN, BatchLimits::default()).unwrap()
    };
    let last = Offset::new(Offset::MAX.get() - 2).unwrap();
    assert_eq!(build().with_base_offset(last).unwrap().next_offset(), Offset::MAX);
    assert_eq!(build().with_base_offset(last.next()).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn what_is_set_on_a_batch_is_covered_by_its_checksum() {
    for count in [1, 500] {
        let records = (0..count).map(|_| Record::new("0123456789"));
        let batch = Batch::from_records(records, Timestamp::MIN, BatchLimits::default()).unwrap();
        let batch = batch.with_base_offset(Offset::from(7)).unwrap().with_leader_epoch(3);
        let copy = Batch::from_bytes(batch.as_bytes(), BatchLimits::default()).unwrap();
        assert_eq!((copy.base_offset(), copy.leader_epoch()), (Offset::from(7), 3));
        assert_eq!(copy.records().unwrap().iter().last().map(|last| last.offset().get()), Some(6 + count));
    }
}

// SEMANTICS 16
#[test]
fn log_append_time_replaces_record_stamps() {
    let mut batch = Batch::from_bytes(&naive::encode(&sample::identified()), BatchLimits::default()).unwrap();
    assert_eq!(batch.header().identity.unwrap().kafka_crc32c, Some(0xdead_beef));
    let mut stamp = stamp_of(&sample::identified());
    stamp.base_offset = Offset::from(500);
    stamp.leader_epoch = 4;
    batch.stamp(&stamp);
    let identity = batch.header().identity.unwrap();
    assert_eq!(identity.kafka_crc32c, Some(0xdead_beef), "offset and epoch are not covered by it");
    assert_eq!(identity.producer, Some(Producer { id: 77, epoch: 5, base_sequence: 1_234 }));

    stamp.times = Times::LogAppend(Timestamp::from_millis(99));
    batch.stamp(&stamp);
    assert_eq!(batch.header().identity.unwrap().kafka_crc32c, None);
    assert_eq!(batch.max_timestamp(), Timestamp::from_millis(99));
    let (header, _) = read_batch(batch.as_bytes(), place_of(&sample::identified()), MAX).unwrap();
    assert_eq!(header.append_time(), Some(Timestamp::from_millis(99)));
    let times: Vec<_> =
        batch.records().unwrap().iter().map(|record| record.timestamp().as_millis()).collect();
    assert_eq!(times, [99]);
}

#[test]
fn foreign_bytes_are_refused_as_a_batch() {
    let kind = |bytes: &[u8]| Batch::from_bytes(bytes, BatchLimits::default()).unwrap_err().kind();
    let good = naive::encode(&sample::rich());
    assert_eq!(kind(&[]), ErrorKind::Corrupt);
    assert_eq!(kind(&[0; 56]), ErrorKind::Corrupt);
    assert_eq!(kind(&vec![0; (1 << 20) + 1]), ErrorKind::TooLarge);
    assert_eq!(kind(&[&good[..], &[0; 3]].concat()), ErrorKind::Corrupt, "padding is not of the batch");
    for len in 0..good.len() {
        assert_eq!(kind(&good[..len]), ErrorKind::Corrupt, "cut to {len}");
    }
    let newer = naive::encode(&Plain { attributes: 0x8000, ..sample::plain() });
    assert_eq!(kind(&newer), ErrorKind::Unsupported);
}

#[test]
fn a_compressed_batch_is_kept_as_it_is_and_its_records_are_not_read() {
    let plain = Plain { attributes: 4, last_offset_delta: 9, records: Vec::new(), ..sample::plain() };
    let bytes = naive::encode_around(&plain, b"whatever a codec made", 10);
    let mut batch = Batch::from_bytes(&bytes, BatchLimits::default()).unwrap();
    assert_eq!((batch.record_count(), batch.next_offset()), (10, Offset::from(10)));
    assert_eq!(batch.stamp(&stamp_of(&plain)), &bytes[..]);
    let error: Error = batch.records().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("zstd"), "{error}");
}

#[test]
fn limits_have_bounds() {
    assert!(BatchLimits::new(1_023).is_err());
    assert!(BatchLimits::new((1 << 30) + 1).is_err());
    assert_eq!(BatchLimits::new(1_024).unwrap().bytes_max(), 1_024);
}
