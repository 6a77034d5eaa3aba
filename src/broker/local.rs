//! The backend of a broker in this process: its own topics and partitions.

use super::backend::{Backend, BackendPartition, BackendReader, BackendTopic, BackendWatch, Guest};
use super::core::Core;
use super::group_member::{GroupMember, MemberOptions};
use crate::clock::Clock;
use crate::partition::{Landmark, StoredBatch};
use crate::record::Batch;
use crate::sync::{Ordering, Ticket};
use crate::topic::{Extent, Topic, TopicSettings, Watch};
use crate::{
    Durability, Maintenance, Offset, Partition, ReadLevel, Reader, Records, Result, TimedOffset, Timestamp,
    TopicId,
};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

impl Backend for Core {
    fn topic_id(&self, name: &str) -> Result<TopicId> {
        self.topic(name).map(|topic| topic.id())
    }

    fn topic(&self, name: &str) -> Result<Arc<dyn BackendTopic>> {
        Ok(Arc::new(Core::topic(self, name)?))
    }

    fn topics_version(&self) -> u64 {
        self.topics_version.load(Ordering::Acquire)
    }

    fn usable(&self) -> Result<()> {
        Core::usable(self)
    }

    fn await_close(&self, waker: Waker) -> Ticket {
        self.closing.enroll(1, waker)
    }

    fn leave_close(&self, ticket: Ticket) {
        self.closing.leave(ticket);
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        self.home.clock()
    }

    fn maintenance(&self) -> Maintenance {
        self.home.maintenance()
    }

    fn join_group(self: Arc<Self>, options: MemberOptions) -> Result<Box<dyn GroupMember>> {
        Ok(Box::new(Core::join_group(&self, options)?))
    }

    fn attend(&self, guest: Weak<dyn Guest>) -> Result<()> {
        self.usable()?;
        self.guests.admit(guest, self)
    }
}

impl BackendTopic for Topic {
    fn id(&self) -> TopicId {
        Topic::id(self)
    }

    fn name(&self) -> Arc<str> {
        self.name_arc()
    }

    fn is_internal(&self) -> bool {
        Topic::is_internal(self)
    }

    #[inline]
    fn partition_count(&self) -> Result<u32> {
        self.usable()?;
        Ok(Topic::partition_count(self))
    }

    fn settings(&self) -> TopicSettings {
        Topic::settings(self)
    }

    fn partition(&self, number: u32) -> Result<Arc<dyn BackendPartition>> {
        Ok(Arc::new(Topic::partition(self, number)?))
    }

    fn watch(&self, number: u32, level: ReadLevel) -> Result<Box<dyn BackendWatch>> {
        Ok(Box::new(Topic::watch(self, number, level)?))
    }
}

impl BackendWatch for Watch {
    fn extent(&self) -> Result<Extent> {
        Watch::extent(self)
    }

    fn open(&mut self) -> Result<Arc<dyn BackendPartition>> {
        Ok(Arc::new(Watch::open(self)?))
    }

    fn is_cut_below(&mut self, offset: Offset) -> bool {
        Watch::is_cut_below(self, offset)
    }

    fn landmark(&self) -> Landmark {
        Watch::landmark(self)
    }

    fn count_cuts_from(&mut self, landmark: Landmark) {
        Watch::count_cuts_from(self, landmark);
    }

    fn poll(&mut self, offset: Offset, context: &mut Context<'_>) -> Poll<Result<()>> {
        Watch::poll(self, offset, context)
    }

    fn serve(&self, offset: Offset) -> Result<bool> {
        Watch::serve(self, offset)
    }
}

impl BackendPartition for Partition {
    fn append(&self, batch: &mut Batch, level: Durability) -> Result<StoredBatch> {
        self.append_prepared(batch, level)
    }

    fn reader(&self, from: Offset, level: ReadLevel) -> Box<dyn BackendReader> {
        Box::new(self.read(from).level(level))
    }

    fn offset_for_time(&self, time: Timestamp, level: ReadLevel) -> Result<Option<TimedOffset>> {
        self.offset_for_time_at(level, time)
    }
}

impl BackendReader for Reader {
    fn next_records(&mut self) -> Result<Option<Records>> {
        self.read_on()
    }

    fn position(&self) -> Offset {
        Reader::position(self)
    }
}

#[cfg(test)]
mod tests;
