//! What the model knows of a record.

use annals::{Record, RecordRef, Timestamp};

/// One record as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub offset: u64,
    pub timestamp: i64,
    pub epoch: u32,
    pub key: Option<Vec<u8>>,
    /// None: a tombstone.
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The wall clock when it was appended.
    pub appended_at: i64,
    /// The base offset of its batch.
    pub base: u64,
    /// The offset after its batch.
    pub next: u64,
}

impl Kept {
    /// The record as it is handed to an append. Its own stamp is left out where `is_stamped` is false.
    pub fn record(&self, is_stamped: bool) -> Record<'_> {
        let mut record = match &self.value {
            Some(value) => Record::new(value),
            None => Record::tombstone(),
        };
        if let Some(key) = &self.key {
            record = record.key(key);
        }
        for (name, value) in &self.headers {
            record = match value {
                Some(value) => record.header(name, value),
                None => record.null_header(name),
            };
        }
        if is_stamped { record.timestamp(Timestamp::from_millis(self.timestamp)) } else { record }
    }

    /// What of it a reader shows otherwise.
    pub fn differs_from(&self, found: &RecordRef<'_>) -> Option<String> {
        let value = (!found.is_tombstone()).then(|| found.value());
        let headers =
            found.headers().map(|header| (header.key().to_owned(), header.value().map(<[u8]>::to_vec)));
        let same = found.offset().get() == self.offset
            && found.timestamp().as_millis() == self.timestamp
            && found.leader_epoch() == self.epoch
            && found.key() == self.key.as_deref()
            && value == self.value.as_deref()
            && headers.eq(self.headers.iter().cloned());
        let (offset, millis) = (found.offset(), found.timestamp().as_millis());
        (!same).then(|| {
            let len = |value: Option<&[u8]>| value.map(<[u8]>::len);
            format!(
                "expected offset {}, time {}, epoch {}, {:?} bytes; found {offset}, {millis}, {}, {:?}",
                self.offset,
                self.timestamp,
                self.epoch,
                len(self.value.as_deref()),
                found.leader_epoch(),
                len(value),
            )
        })
    }
}
