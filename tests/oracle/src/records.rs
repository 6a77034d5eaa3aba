//! Batches of ours read by `kafka-protocol`, and batches of its making read by us.

use crate::ours::{KAFKA_HEADER_LEN, from_kafka, kafka_crc_holds, to_kafka};
use annals::{Batch, BatchLimits, Offset, Record, RecordRef, Timestamp};
use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record as KafkaRecord, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions,
    TimestampType,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

/// A record in neither form. The header names differ, since the other codec keeps one of a name.
#[derive(Clone, Debug, PartialEq)]
struct Plain {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    // Around the lengths at which a length takes one more byte.
    prop_oneof![
        20 => vec(any::<u8>(), 0..20),
        4 => vec(any::<u8>(), 60..70),
        1 => any::<u8>().prop_flat_map(|byte| (8_188..8_196_usize).prop_map(move |len| vec![byte; len])),
    ]
}

fn any_record() -> impl Strategy<Value = Plain> {
    let headers = btree_map("[a-zé]{0,5}", option::of(any_bytes()), 0..4);
    let timestamp = prop_oneof![4 => 0_i64..5_000, 1 => -9_000_000_000_i64..9_000_000_000];
    let record = (timestamp, option::of(any_bytes()), option::of(any_bytes()), headers);
    record.prop_map(|(timestamp, key, value, headers)| Plain {
        timestamp,
        key,
        value,
        headers: headers.into_iter().collect(),
    })
}

fn any_records() -> impl Strategy<Value = Vec<Plain>> {
    prop_oneof![20 => vec(any_record(), 1..6), 1 => vec(any_record(), 62..68)]
}

fn build(records: &[Plain]) -> Batch {
    Batch::from_records(records.iter().map(draft), Timestamp::MIN, limits()).unwrap()
}

fn draft(record: &Plain) -> Record<'_> {
    let mut draft = record.value.as_ref().map_or_else(Record::tombstone, Record::new);
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

fn limits() -> BatchLimits {
    BatchLimits::new(BatchLimits::BYTES_MAX_MOST).unwrap()
}

fn plain_of_ours(record: RecordRef<'_>) -> Plain {
    Plain {
        timestamp: record.timestamp().as_millis(),
        key: record.key().map(<[u8]>::to_vec),
        value: (!record.is_tombstone()).then(|| record.value().to_vec()),
        headers: record
            .headers()
            .map(|header| (header.key().to_owned(), header.value().map(<[u8]>::to_vec)))
            .collect(),
    }
}

fn plain_of_kafkas(record: &KafkaRecord) -> Plain {
    let bytes = |bytes: &Option<Bytes>| bytes.as_ref().map(|bytes| bytes.to_vec());
    Plain {
        timestamp: record.timestamp,
        key: bytes(&record.key),
        value: bytes(&record.value),
        headers: record.headers.iter().map(|(name, value)| (name.to_string(), bytes(value))).collect(),
    }
}

/// What a producer sets on all records of a batch.
#[derive(Clone, Copy, Debug)]
struct Producer {
    id: i64,
    epoch: i16,
    base_sequence: i32,
    transactional: bool,
    control: bool,
}

const NOBODY: Producer =
    Producer { id: -1, epoch: -1, base_sequence: -1, transactional: false, control: false };

/// One batch as the other codec writes it.
fn encode_kafkas(records: &[Plain], base_offset: i64, leader_epoch: i32, producer: Producer) -> Vec<u8> {
    let of = |(delta, plain): (i32, &Plain)| KafkaRecord {
        transactional: producer.transactional,
        control: producer.control,
        delete_horizon: false,
        partition_leader_epoch: leader_epoch,
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        timestamp_type: TimestampType::Creation,
        offset: base_offset + i64::from(delta),
        sequence: producer.base_sequence.wrapping_add(delta),
        timestamp: plain.timestamp,
        key: plain.key.clone().map(Bytes::from),
        value: plain.value.clone().map(Bytes::from),
        headers: plain
            .headers
            .iter()
            .map(|(name, value)| (StrBytes::from_string(name.clone()), value.clone().map(Bytes::from)))
            .collect(),
    };
    let records: Vec<_> = (0..).zip(records).map(of).collect();
    let mut buf = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut buf, &records, &options).unwrap();
    buf.to_vec()
}

fn decode_kafkas(kafka: &[u8]) -> Vec<KafkaRecord> {
    let mut sets = RecordBatchDecoder::decode_all(&mut Bytes::copy_from_slice(kafka)).unwrap();
    assert_eq!(sets.len(), 1);
    sets.remove(0).records
}

proptest! {
    #[test]
    fn kafkas_codec_reads_what_we_write(
        records in any_records(),
        base in 0..(i64::MAX.cast_unsigned() - 1_000),
        epoch in 0..i32::MAX.cast_unsigned(),
    ) {
        let batch = build(&records).with_base_offset(Offset::new(base).unwrap()).unwrap();
        let read = decode_kafkas(&to_kafka(batch.with_leader_epoch(epoch).as_bytes()));
        prop_assert_eq!(read.iter().map(plain_of_kafkas).collect::<Vec<_>>(), records);
        for (delta, record) in (0..).zip(&read) {
            prop_assert_eq!(record.offset, base.cast_signed() + delta);
            prop_assert_eq!(record.partition_leader_epoch, epoch.cast_signed());
            prop_assert_eq!((record.producer_id, record.timestamp_type), (-1, TimestampType::Creation));
        }
    }

    #[test]
    fn we_read_what_kafkas_codec_writes_and_give_it_back_unchanged(
        records in any_records(),
        base in 0..(i64::MAX - 1_000),
        epoch in 0..i32::MAX,
        transactional in any::<bool>(),
        base_sequence in 0..i32::MAX - 1_000,
    ) {
        let producer = Producer { id: 7, epoch: 3, base_sequence, transactional, control: false };
        let kafka = encode_kafkas(&records, base, epoch, producer);
        let batch = Batch::from_bytes(&from_kafka(&kafka), limits()).unwrap();
        let read = batch.records().unwrap();
        prop_assert_eq!(read.iter().map(plain_of_ours).collect::<Vec<_>>(), records);
        prop_assert_eq!(read.base_offset().get(), base.cast_unsigned());
        prop_assert_eq!(batch.leader_epoch(), epoch.cast_unsigned());
        prop_assert_eq!(to_kafka(batch.as_bytes()), kafka);
    }

    #[test]
    fn both_write_the_same_section(mut records in any_records()) {
        // The other codec counts time from the earliest record, we count it from the first.
        let earliest = records.iter().map(|record| record.timestamp).min().unwrap();
        records[0].timestamp = earliest;
        let theirs = encode_kafkas(&records, 0, 0, NOBODY);
        prop_assert_eq!(to_kafka(build(&records).as_bytes()), theirs);
    }

    #[test]
    fn a_new_offset_and_epoch_leave_kafkas_checksum_in_force(
        records in any_records(),
        base in 0..(i64::MAX.cast_unsigned() - 1_000),
        epoch in 0..i32::MAX.cast_unsigned(),
    ) {
        let kafka = encode_kafkas(&records, 0, -1, NOBODY);
        let batch = Batch::from_bytes(&from_kafka(&kafka), limits()).unwrap();
        let moved = batch.with_base_offset(Offset::new(base).unwrap()).unwrap().with_leader_epoch(epoch);
        let moved = to_kafka(moved.as_bytes());
        prop_assert!(kafka_crc_holds(&moved));
        prop_assert_eq!(&moved[KAFKA_HEADER_LEN..], &kafka[KAFKA_HEADER_LEN..]);
        prop_assert_eq!(decode_kafkas(&moved)[0].offset, base.cast_signed());
    }
}

#[test]
fn marks_of_transactions_are_kept_and_not_read() {
    let marks =
        [Plain { timestamp: 5, key: Some(vec![0, 0, 0, 1]), value: Some(vec![0; 6]), headers: Vec::new() }];
    let producer = Producer { id: 7, epoch: 3, base_sequence: -1, transactional: true, control: true };
    let kafka = encode_kafkas(&marks, 40, 2, producer);
    let batch = Batch::from_bytes(&from_kafka(&kafka), limits()).unwrap();
    assert_eq!((batch.record_count(), batch.records().unwrap().len()), (1, 0));
    assert_eq!(to_kafka(batch.as_bytes()), kafka);
}

/// A section written by hand after Kafka's protocol guide: one record with the headers a=1, a=2, b=null, a="".
const REPEATED: &[u8] = &[
    42, // length 21
    0,  // attributes
    0, 0, // timestamp delta, offset delta
    1, // no key
    2, b'v', // value
    8,    // four headers
    2, b'a', 2, b'1', //
    2, b'a', 2, b'2', //
    2, b'b', 1, // null
    2, b'a', 0, // empty
];

#[test]
fn repeated_header_names_are_kept_in_their_order() {
    let record = Record::new("v").header("a", "1").header("a", "2").null_header("b").header("a", "");
    let record = record.timestamp(Timestamp::from_millis(9));
    let batch = Batch::from_records([record], Timestamp::MIN, limits()).unwrap();
    assert_eq!(&batch.as_bytes()[56..], REPEATED);

    let mut kafka =
        encode_kafkas(&[Plain { timestamp: 9, key: None, value: None, headers: Vec::new() }], 0, 0, NOBODY);
    kafka.truncate(KAFKA_HEADER_LEN);
    kafka.extend(REPEATED);
    let batch = Batch::from_bytes(&from_kafka(&kafka), limits()).unwrap();
    let records = batch.records().unwrap();
    let headers: Vec<_> = records.iter().flat_map(|record| record.headers()).collect();
    let headers: Vec<_> = headers.iter().map(|header| (header.key(), header.value())).collect();
    let expected: [(&str, Option<&[u8]>); 4] =
        [("a", Some(b"1")), ("a", Some(b"2")), ("b", None), ("a", Some(b""))];
    assert_eq!(headers, expected);
    assert_eq!(&to_kafka(batch.as_bytes())[KAFKA_HEADER_LEN..], REPEATED);
}
