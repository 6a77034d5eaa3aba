//! A file of two slots: each slot's state, part by part.

use super::item::DumpItem;
use crate::Result;
use crate::io::File;
use crate::partition::manifest::{Manifest, SegmentEntry};
use crate::partition::slots::{SlotFlaw, Slots, Slotted};
use crate::topic::catalog::{Catalog, TopicEntry};

/// A state whose parts can be shown.
pub(super) trait Parts: Slotted {
    /// What it says of itself.
    fn head(&self, slot: DumpItem) -> DumpItem;
    /// What it lists; `position` is where its slot begins.
    fn parts(&self, position: u64) -> Vec<DumpItem>;
}

pub(super) fn show<S: Parts>(file: &dyn File, each: &mut dyn FnMut(&DumpItem)) -> Result<()> {
    let Slots { zero, one, capacity } = Slots::<S>::read(file)?;
    show_slot(0, 0, &zero, each);
    show_slot(1, u64::from(capacity), &one, each);
    Ok(())
}

fn show_slot<S: Parts>(
    number: u8,
    position: u64,
    slot: &Result<S, SlotFlaw<S::Flaw>>,
    each: &mut dyn FnMut(&DumpItem),
) {
    match slot {
        Ok(state) => {
            let item = DumpItem::new(position, "slot").with("number", &number);
            each(&state.head(item.with("generation", &state.generation())));
            state.parts(position).iter().for_each(each);
        }
        Err(flaw) => each(&DumpItem::damage(position, &flaw).with("slot", &number)),
    }
}

impl Parts for Manifest {
    fn head(&self, slot: DumpItem) -> DumpItem {
        slot.with("topic", &self.topic)
            .with("partition", &self.partition)
            .with("log_start_offset", &self.log_start)
            .with("next_sequence", &self.next_sequence)
            .with("leader_epoch", &self.leader_epoch)
            .with("segments", &self.segments.len())
            .with("lost", &self.lost.len())
    }

    fn parts(&self, position: u64) -> Vec<DumpItem> {
        let segments = self.segments.iter().map(|entry| segment_item(position, entry));
        let lost = self
            .lost
            .iter()
            .map(|range| DumpItem::new(position, "lost").with("from", &range.from).with("to", &range.to));
        segments.chain(lost).collect()
    }
}

fn segment_item(position: u64, entry: &SegmentEntry) -> DumpItem {
    DumpItem::new(position, "segment")
        .with("sequence", &entry.sequence)
        .with("state", &format_args!("{:?}", entry.state))
        .with("first_offset", &entry.first_offset)
        .with("end_offset", &entry.end_offset)
        .with("end", &entry.end)
        .with("digest", &format_args!("{:#018x}", entry.digest))
        .with("last_append_time", &entry.last_append_time.as_millis())
        .with("max_timestamp", &entry.max_timestamp.as_millis())
        .with("layout", &format_args!("{:?}", entry.layout))
}

impl Parts for Catalog {
    fn head(&self, slot: DumpItem) -> DumpItem {
        slot.with("topics", &self.topics.len())
    }

    fn parts(&self, position: u64) -> Vec<DumpItem> {
        self.topics.iter().map(|entry| topic_item(position, entry)).collect()
    }
}

fn topic_item(position: u64, entry: &TopicEntry) -> DumpItem {
    let settings = &entry.settings;
    DumpItem::new(position, "topic")
        .with("name", &entry.name)
        .with("id", &entry.id)
        .with("state", &format_args!("{:?}", entry.state))
        .with("partitions", &entry.partition_count)
        .with("ready", &entry.ready_count)
        .with("segment_bytes_max", &settings.segment_bytes_max)
        .with("segment_age_max", &format_args!("{:?}", settings.segment_age_max))
        .with("batch_bytes_max", &settings.batch_bytes_max)
        .with("retention", &format_args!("{:?}", settings.retention))
        .with("timestamps", &format_args!("{:?}", settings.timestamps))
        .with("durability", &format_args!("{:?}", settings.durability))
        .with("read_level", &format_args!("{:?}", settings.read_level))
}
