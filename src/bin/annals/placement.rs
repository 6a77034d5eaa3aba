//! From lines to appends: which partition each goes to, and the receipts in the order of the lines.
//!
//! ```text
//!     a round of lines ──key──▶ partition 0: a batch ──append──▶ Pending ┐
//!                      ──key──▶ partition 2: a batch ──append──▶ Pending ┴──▶ Round
//! ```

use super::failure::{Failure, Outcome, Trouble};
use annals::{Appended, Durability, Partition, Pending, Record, Topic};
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

/// Bytes a batch takes beside its records, at most.
const BATCH_OVERHEAD: usize = 128;
/// Bytes a record takes beside its key and value, at most.
pub(crate) const RECORD_OVERHEAD: usize = 40;

/// What a line becomes.
pub(crate) struct Entry {
    /// None where the line has no key.
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Vec<u8>,
}

/// A record that was appended, and where.
pub(crate) struct Stored {
    pub(crate) partition: u32,
    pub(crate) offset: u64,
}

/// Appends rounds of records to the partitions of a topic.
pub(crate) struct Placement {
    topic: Topic,
    /// Opened when they are first used.
    partitions: Vec<Option<Partition>>,
    /// Where records without a key go until the round is over.
    sticky: u32,
    level: Durability,
    batch_bytes_max: usize,
}

/// Records on their way, and where each stands among those of its partition.
pub(crate) struct Round {
    batches: VecDeque<Batch>,
    /// For each record, in the order of the lines, which batch it is in.
    order: Vec<usize>,
}

struct Batch {
    partition: u32,
    pending: Option<Pending<Appended>>,
    next_offset: u64,
}

impl Placement {
    pub(crate) fn new(topic: Topic, level: Durability) -> Self {
        let count = topic.partition_count();
        // Many short runs spread over all partitions.
        let chance = RandomState::new().hash_one(std::process::id());
        let sticky = u32::try_from(chance % u64::from(count.max(1))).unwrap_or(0);
        let batch_bytes_max = usize::try_from(topic.settings().batch_bytes_max).unwrap_or(usize::MAX);
        let partitions = (0..count).map(|_| None).collect();
        Self { topic, partitions, sticky, level, batch_bytes_max }
    }

    /// Bytes of lines that fit one batch, whatever they are.
    pub(crate) fn round_bytes_max(&self, count_max: usize) -> usize {
        let overhead = count_max.saturating_mul(RECORD_OVERHEAD).saturating_add(BATCH_OVERHEAD);
        self.batch_bytes_max.saturating_sub(overhead).max(self.batch_bytes_max / 2)
    }

    /// Appends the records, those of a partition as one batch.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> Outcome<Round> {
        let numbers: Vec<u32> = entries
            .iter()
            .map(|entry| entry.key.as_ref().map_or(self.sticky, |key| self.topic.partition_for_key(key)))
            .collect();
        self.sticky = (self.sticky + 1) % self.topic.partition_count().max(1);
        let mut used: Vec<u32> = Vec::new();
        let order = numbers.iter().map(|number| {
            used.iter().position(|known| known == number).unwrap_or_else(|| {
                used.push(*number);
                used.len() - 1
            })
        });
        let order = order.collect();
        let mut batches = VecDeque::new();
        for number in used {
            let of_it = entries.iter().zip(&numbers).filter(|(_, at)| **at == number).map(|(entry, _)| entry);
            batches.push_back(self.append_to(number, &of_it.collect::<Vec<_>>())?);
        }
        Ok(Round { batches, order })
    }

    fn append_to(&mut self, number: u32, entries: &[&Entry]) -> Outcome<Batch> {
        let level = self.level;
        let partition = self.partition(number)?;
        let before = partition.log_end_offset();
        let records = entries.iter().map(|entry| {
            let record = Record::new(&entry.value);
            match &entry.key {
                Some(key) => record.key(key),
                None => record,
            }
        });
        let pending = partition.append_with(level, records);
        if partition.log_end_offset() == before {
            // It was refused: nothing later may be stored before it.
            pending.wait().map_err(Failure::of_partition)?;
            return Err(Failure::new(Trouble::Disk, "an append was refused without a reason"));
        }
        Ok(Batch { partition: number, pending: Some(pending), next_offset: 0 })
    }

    fn partition(&mut self, number: u32) -> Outcome<Partition> {
        let slot = usize::try_from(number).ok().and_then(|at| self.partitions.get_mut(at));
        if let Some(Some(partition)) = slot {
            return Ok(partition.clone());
        }
        let opened = self.topic.partition(number).map_err(Failure::of_partition)?;
        if let Some(slot) = slot {
            *slot = Some(opened.clone());
        }
        Ok(opened)
    }
}

impl Round {
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Waits for each record, in the order of the lines, and shows where it is.
    pub(crate) fn acknowledge(mut self, each: &mut dyn FnMut(Stored) -> Outcome) -> Outcome {
        for at in &self.order {
            let Some(batch) = self.batches.get_mut(*at) else { continue };
            if let Some(pending) = batch.pending.take() {
                batch.next_offset = pending.wait().map_err(Failure::of_partition)?.base_offset().get();
            }
            let stored = Stored { partition: batch.partition, offset: batch.next_offset };
            batch.next_offset += 1;
            each(stored)?;
        }
        Ok(())
    }
}
