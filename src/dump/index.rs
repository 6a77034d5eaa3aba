//! An index file: its head and its entries.

use super::item::DumpItem;
use crate::io::{File, read_full};
use crate::segment::index::IndexListing;
use crate::{Error, Result};

pub(super) fn show(file: &dyn File, each: &mut dyn FnMut(&DumpItem)) -> Result<()> {
    let len = file.len().map_err(|error| Error::io("read the size of", file.path(), error))?;
    // One byte more than the longest says that it is too long.
    let len_max = IndexListing::len_max().saturating_add(1);
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(len_max)];
    let found = read_full(file, &mut bytes, 0)
        .map_err(|error| Error::io(format_args!("read {len} bytes at position 0 of"), file.path(), error))?;
    bytes.truncate(found);
    let listing = match IndexListing::decode(&bytes) {
        Ok(listing) => listing,
        Err(flaw) => {
            each(&DumpItem::damage(0, &flaw));
            return Ok(());
        }
    };
    each(
        &DumpItem::new(0, "head")
            .with("salt", &format_args!("{:#018x}", listing.owner.salt))
            .with("sequence", &listing.owner.sequence)
            .with("first_offset", &listing.owner.first_offset)
            .with("max_timestamp", &listing.max_timestamp.as_millis())
            .with("end", &listing.end)
            .with("entries", &listing.entries.len()),
    );
    for entry in &listing.entries {
        let mut item = DumpItem::new(entry.at as u64, "entry")
            .with("offset", &entry.offset)
            .with("position", &entry.position);
        if let Some(before) = entry.before {
            item = item.with("latest_before", &before.as_millis());
        }
        each(&item);
    }
    Ok(())
}
