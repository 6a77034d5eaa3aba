//! A partition whose files are damaged at will: an error or the right records, never wrong ones.

use crate::clock::ManualClock;
use crate::io::SimDisk;
use crate::{
    ErrorKind, Maintenance, Offset, OnDamage, Partition, PartitionOptions, ReadLevel, Record, Timestamp,
};
use std::time::Duration;

const DAMAGES_MAX: usize = 16;
const BATCHES: u64 = 24;
const RECORDS: u64 = 4;

/// Takes the bytes for damages, five for each: to which file, how, where. True when the partition still opens.
///
/// # Panics
/// When it shows a record that was never stored there, or fails in a way that is not documented.
pub fn damage(bytes: &[u8]) -> bool {
    let Some((&mode, bytes)) = bytes.split_first() else { return false };
    let disk = stored(mode & 1 == 1);
    for &[file, how, low, high, value] in bytes.as_chunks::<5>().0.iter().take(DAMAGES_MAX) {
        spoil(&disk, file, how, u16::from_le_bytes([low, high]), value);
    }
    let on_damage = if mode & 2 == 2 { OnDamage::Salvage } else { OnDamage::Refuse };
    let opened = options().on_damage(on_damage).open_in(disk.root());
    let log = match opened {
        Ok(log) => log,
        Err(error) => {
            let documented =
                [ErrorKind::Corrupt, ErrorKind::Unsupported, ErrorKind::InvalidInput, ErrorKind::Io];
            assert!(documented.contains(&error.kind()), "{error:?}");
            return false;
        }
    };
    let appended = log.append([Record::new("after the damage")]).wait().expect("an open log takes records");
    only_what_was_stored(&log, appended.base_offset());
    log.close().expect("nothing fails");
    let log =
        options().on_damage(on_damage).open_in(disk.root()).expect("what was opened and closed opens again");
    only_what_was_stored(&log, appended.base_offset());
    true
}

fn options() -> PartitionOptions {
    Partition::options()
        .segment_bytes_max(16 << 10)
        .batch_bytes_max(4 << 10)
        .read_level(ReadLevel::Written)
        .maintenance(Maintenance::Manual)
        .clock(ManualClock::new(Timestamp::from_millis(1_000_000)))
        .seed(7)
}

/// The value of the record with this offset.
fn value(offset: u64) -> String {
    format!("record {offset}, ").repeat(1 + usize::try_from(offset % 30).expect("a small number"))
}

/// A disk with a partition of a few segments, closed in order or killed.
fn stored(closed: bool) -> SimDisk {
    let disk = SimDisk::new();
    let log = options().segment_age_max(Duration::from_secs(60)).open_in(disk.root()).expect("a new disk");
    for batch in 0..BATCHES {
        let values: Vec<String> = (0..RECORDS).map(|number| value(batch * RECORDS + number)).collect();
        log.append(values.iter().map(Record::new)).wait().expect("there is room, and no fault");
    }
    if closed {
        log.close().expect("nothing fails");
    }
    disk.kill()
}

fn spoil(disk: &SimDisk, file: u8, how: u8, position: u16, value: u8) {
    let files = disk.files();
    let Some(path) = files.get(usize::from(file) % files.len().max(1)) else { return };
    let position = u64::from(position);
    let len = disk.read(path).expect("the file was listed").len() as u64;
    let spoilt = match how % 12 {
        0..=5 if len == 0 => Ok(()),
        0..=5 => disk.flip_bit(path, position % len * 8 + u64::from(value % 8)),
        6 | 7 => disk.zero(path, position..position + u64::from(value) * 16),
        8 | 9 => disk.truncate(path, position),
        10 => disk.swap_pages(path, position % 16, u64::from(value) % 16),
        _ => disk.delete(path),
    };
    spoilt.expect("the file was listed");
}

/// Every record is the one that was stored with its offset, or the one after the damage.
fn only_what_was_stored(log: &Partition, after: Offset) {
    let mut reader = log.read(log.log_start_offset());
    let mut seen = None;
    // After an error a reader may stay where it is; so many steps pass every batch there is.
    for records in reader.by_ref().take(2 * usize::try_from(BATCHES).expect("a small number")) {
        let Ok(records) = records else { continue };
        for record in &records {
            assert!(seen < Some(record.offset()), "offsets grow");
            seen = Some(record.offset());
            let is_stored = record.value() == value(record.offset().get()).as_bytes();
            let is_after = record.offset() == after && record.value() == b"after the damage";
            assert!(is_stored || is_after, "offset {}: {}", record.offset(), record.value().escape_ascii());
            assert!(is_after || record.offset() != after, "offset {after} was given twice");
        }
    }
}
