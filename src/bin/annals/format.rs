//! How a record is printed.

use super::failure::Outcome;
use super::moment;
use super::output::Output;
use annals::RecordRef;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use std::io::Write;

/// How a record is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Its value, and a line feed.
    Value,
    /// Its key, a separator, its value, and a line feed.
    KeyValue,
    /// An object a line: topic, partition, offset, timestamp, key, value, headers.
    Json,
}

/// Where a record was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: u32,
}

impl Format {
    /// Prints one record.
    pub(crate) fn print(
        self,
        output: &mut Output,
        place: Place<'_>,
        record: RecordRef<'_>,
        separator: &str,
    ) -> Outcome {
        output.write(|out| {
            match self {
                Self::Value => out.write_all(record.value())?,
                Self::KeyValue => {
                    out.write_all(record.key().unwrap_or_default())?;
                    out.write_all(separator.as_bytes())?;
                    out.write_all(record.value())?;
                }
                Self::Json => serde_json::to_writer(&mut *out, &JsonRecord { place, record })?,
            }
            out.write_all(b"\n")
        })
    }
}

struct JsonRecord<'a> {
    place: Place<'a>,
    record: RecordRef<'a>,
}

impl Serialize for JsonRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (place, record) = (self.place, self.record);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("topic", place.topic)?;
        map.serialize_entry("partition", &place.partition)?;
        map.serialize_entry("offset", &record.offset().get())?;
        match moment::show(record.timestamp()) {
            Some(text) => map.serialize_entry("timestamp", &text)?,
            None => map.serialize_entry("timestamp_ms", &record.timestamp().as_millis())?,
        }
        bytes_entry(&mut map, ["key", "key_base64"], record.key())?;
        bytes_entry(&mut map, ["value", "value_base64"], (!record.is_tombstone()).then(|| record.value()))?;
        map.serialize_entry("headers", &JsonHeaders(record))?;
        map.end()
    }
}

/// All headers, in order: names may repeat.
struct JsonHeaders<'a>(RecordRef<'a>);

impl Serialize for JsonHeaders<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for header in self.0.headers() {
            list.serialize_element(&JsonHeader { name: header.key(), value: header.value() })?;
        }
        list.end()
    }
}

struct JsonHeader<'a> {
    name: &'a str,
    value: Option<&'a [u8]>,
}

impl Serialize for JsonHeader<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", self.name)?;
        bytes_entry(&mut map, ["value", "value_base64"], self.value)?;
        map.end()
    }
}

/// Bytes under the first name where they are UTF-8, under the second in base64 where they are not.
fn bytes_entry<M: SerializeMap>(
    map: &mut M,
    names: [&'static str; 2],
    bytes: Option<&[u8]>,
) -> Result<(), M::Error> {
    let [text, encoded] = names;
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => map.serialize_entry(text, &()),
        Some((_, Ok(utf8))) => map.serialize_entry(text, utf8),
        Some((bytes, Err(_))) => map.serialize_entry(encoded, &STANDARD.encode(bytes)),
    }
}
