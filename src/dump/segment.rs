//! A segment: its header, its batches, and what follows them.
//!
//! ```text
//!     header ─▶ walk ──flaw──▶ nothing more, a tail mark? ──no──▶ damage ─▶ the next good batch, from there on
//! ```

use super::file::Detail;
use super::item::DumpItem;
use crate::io::File;
use crate::record::{Batch, BatchHeader, Flaw, HEADER_LEN, Place, RecordRef, looks_like_batch, read_batch};
use crate::segment::{
    Checkpoint, FileName, SEGMENT_HEADER_LEN, SegmentHeader, Stop, TAIL_MARK_LEN, TailMark, Track,
    read_header, read_range, walk,
};
use crate::{Error, ErrorKind, Offset, Position, Result, Timestamp};

/// Bytes that are searched at once.
const WINDOW_LEN: usize = 1 << 20;
/// Batches begin at multiples of this.
const STRIDE: u64 = 8;

pub(super) fn show(
    file: &dyn File,
    name: Option<FileName>,
    detail: Detail,
    each: &mut dyn FnMut(&DumpItem),
) -> Result<()> {
    let header = match read_header(file)? {
        Ok(header) => header,
        Err(flaw) => {
            each(&DumpItem::damage(0, &flaw));
            return Ok(());
        }
    };
    each(&header_item(&header));
    let len = file.len().map_err(|error| Error::io("read the size of", file.path(), error))?;
    let track = Track { file, salt: header.salt, layout: header.layout, len };
    let first = Position::new(SEGMENT_HEADER_LEN);
    let start = match name {
        Some(FileName::Log(offset)) => Some(offset),
        // Where such a file begins, only its first batch says.
        _ => next_batch(track, first)?.map(|(_, header)| header.base_offset),
    };
    let mut from = Checkpoint::start(start.unwrap_or(Offset::ZERO), 0, Timestamp::MIN);
    while let Some(next) = show_run(track, from, detail, each)? {
        from = next;
    }
    Ok(())
}

/// Shows the good batches from a place on, and what stops them; returns the place to go on from, if there is one.
fn show_run(
    track: Track<'_>,
    from: Checkpoint,
    detail: Detail,
    each: &mut dyn FnMut(&DumpItem),
) -> Result<Option<Checkpoint>> {
    let walked = walk(track, from, &mut |step| {
        each(&batch_item(step.position, step.header));
        if detail == Detail::Records {
            show_records(step.position, step.bytes, each);
        }
    })?;
    let Stop::Flaw(flaw) = walked.stop else { return Ok(None) };
    let end = walked.end.position;
    let used_to = used_to(track, end.to_u64())?;
    if used_to <= end.to_u64() {
        return Ok(None);
    }
    let place = Place { salt: track.salt, position: end };
    let head = read_range(track, end.to_u64(), HEADER_LEN.max(TAIL_MARK_LEN as usize))?;
    let mark = TailMark::decode(&head, place);
    if let Ok(mark) = &mark {
        each(&mark_item(end, mark));
        if used_to <= end.to_u64().saturating_add(u64::from(TAIL_MARK_LEN)) {
            return Ok(None);
        }
    }
    // A good batch that does not belong here is one to go on from all the same.
    let is_misplaced = matches!(flaw, Flaw::Offset { .. } | Flaw::Epoch { .. });
    let search_from = if is_misplaced { Some(end) } else { end.checked_add(8) };
    let next = search_from.map_or(Ok(None), |from| next_batch(track, from))?;
    let to = next.map_or(used_to, |(position, _)| position.to_u64());
    let mut item = DumpItem::damage(end.to_u64(), &flaw).with("bytes", &to.saturating_sub(end.to_u64()));
    item = item.with("next_offset", &walked.end.next_offset);
    item.is_damage = flaw.kind() == ErrorKind::Corrupt;
    each(&item);
    Ok(next.map(|(position, header)| Checkpoint {
        position,
        next_offset: header.base_offset,
        leader_epoch: header.leader_epoch,
        ..walked.end
    }))
}

fn header_item(header: &SegmentHeader) -> DumpItem {
    DumpItem::new(0, "header")
        .with("topic", &header.topic)
        .with("partition", &header.partition)
        .with("sequence", &header.sequence)
        .with("salt", &format_args!("{:#018x}", header.salt))
        .with("created_at", &header.created_at.as_millis())
        .with("layout", &format_args!("{:?}", header.layout))
        .with("origin", &format_args!("{:?}", header.origin))
}

fn batch_item(position: Position, header: &BatchHeader) -> DumpItem {
    let mut item = DumpItem::new(position.to_u64(), "batch")
        .with("base_offset", &header.base_offset)
        .with("records", &header.record_count)
        .with("next_offset", &header.next_offset())
        .with("bytes", &header.length)
        .with("synced", &header.synced)
        .with("leader_epoch", &header.leader_epoch)
        .with("base_timestamp", &header.base_timestamp.as_millis())
        .with("max_timestamp", &header.max_timestamp.as_millis())
        .with("crc32", &format_args!("{:#010x}", header.crc32));
    if let Some(codec) = header.codec() {
        item = item.with("compression", &codec);
    }
    if header.is_control() {
        item = item.with("control", &true);
    }
    item
}

fn show_records(position: Position, bytes: &[u8], each: &mut dyn FnMut(&DumpItem)) {
    // A compressed batch keeps its records to itself; that it is compressed was said.
    let Ok(records) = Batch::from_stored(bytes).and_then(|batch| batch.records()) else { return };
    for record in &records {
        each(&record_item(position, record));
    }
}

fn record_item(position: Position, record: RecordRef<'_>) -> DumpItem {
    let mut item = DumpItem::new(position.to_u64(), "record")
        .with("offset", &record.offset())
        .with("timestamp", &record.timestamp().as_millis());
    if let Some(key) = record.key() {
        item = item.with("key", &key.escape_ascii());
    }
    item = match record.is_tombstone() {
        true => item.with("tombstone", &true),
        false => item.with("value", &record.value().escape_ascii()),
    };
    for header in record.headers() {
        let value = header.value().map_or_else(String::new, |value| format!("={}", value.escape_ascii()));
        item = item.with("header", &format_args!("{}{value}", header.key()));
    }
    item
}

fn mark_item(position: Position, mark: &TailMark) -> DumpItem {
    DumpItem::new(position.to_u64(), "tail_mark")
        .with("synced", &mark.synced)
        .with("durable_offset", &mark.durable_offset)
        .with("last_append_time", &mark.last_append_time.as_millis())
        .with("manifest_generation", &mark.manifest_generation)
}

/// Where the bytes from `from` on that are not zero end.
fn used_to(track: Track<'_>, from: u64) -> Result<u64> {
    let mut used_to = from;
    let mut at = from;
    while at < track.len {
        let window = read_range(track, at, WINDOW_LEN)?;
        if window.is_empty() {
            break;
        }
        if let Some(last) = window.iter().rposition(|byte| *byte != 0) {
            used_to = at.saturating_add(last as u64).saturating_add(1);
        }
        at = at.saturating_add(window.len() as u64);
    }
    Ok(used_to)
}

/// The first good batch at or behind `from`.
fn next_batch(track: Track<'_>, from: Position) -> Result<Option<(Position, BatchHeader)>> {
    let mut at = from.to_u64().next_multiple_of(STRIDE);
    while at < track.len {
        let window = read_range(track, at, WINDOW_LEN)?;
        let places = window.len().saturating_sub(HEADER_LEN).saturating_add(1);
        for skip in (0..places).step_by(8) {
            let Ok(position) = Position::try_from(at.saturating_add(skip as u64)) else { return Ok(None) };
            let place = Place { salt: track.salt, position };
            let len_max = u32::try_from(track.len.saturating_sub(position.to_u64())).unwrap_or(u32::MAX);
            let head = window.get(skip..).unwrap_or_default();
            if !looks_like_batch(head, place, len_max) {
                continue;
            }
            let bytes = match read_batch(head, place, len_max) {
                Err(Flaw::Incomplete { needed }) => read_range(track, position.to_u64(), needed)?,
                Ok((header, _)) => return Ok(Some((position, header))),
                Err(_) => continue,
            };
            if let Ok((header, _)) = read_batch(&bytes, place, len_max) {
                return Ok(Some((position, header)));
            }
        }
        if window.len() < WINDOW_LEN {
            break;
        }
        // Where the window cuts a header, the next one begins before it.
        at = at.saturating_add((places as u64).next_multiple_of(STRIDE)).saturating_sub(STRIDE);
    }
    Ok(None)
}
