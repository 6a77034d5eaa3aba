//! What all clones of a producer share: the way of a record from the call to its batch.

use super::depot::Depot;
use super::flush::Flushing;
use super::metadata::Receipt;
use super::open_batch::Claim;
use super::options::OnFullBuffer;
use super::partitioner::{Placement, Routing};
use super::staging::{Attempt, Manner, Sending};
use super::target::{Choice, Target};
use super::topic_lines::TopicLines;
use super::topics::Topics;
use crate::broker::backend::Guest;
use crate::record::{HEADER_LEN, Record, len_bound};
use crate::sync::{Bug, Deadline, Pending, PlaceInLine, Share, block_on, planted};
use crate::upkeep::{Chore, Upkeep};
use crate::{Error, ErrorKind, Result};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// One producer.
pub(super) struct Shared {
    pub(super) depot: Arc<Depot>,
    topics: Topics,
}

impl Shared {
    pub(super) fn new(depot: Arc<Depot>) -> Result<Arc<Self>> {
        // Producers that live for one record each must not all send it to the same partition.
        let seed = depot.clock.now().as_millis().cast_unsigned();
        let shared = Arc::new(Self { topics: Topics::new(seed), depot });
        let guest: Weak<dyn Guest> = Arc::<Self>::downgrade(&shared);
        shared.depot.backend.attend(guest)?;
        Ok(shared)
    }

    #[inline]
    pub(super) fn send(&self, target: Target<'_>, record: &Record<'_>, manner: Manner) -> Result<Receipt> {
        let lines = self.topics.lines(&self.depot, target.topic)?;
        let count = lines.partition_count()?;
        let placement = match target.choice {
            Choice::Partition(number) => Placement::Partition(number),
            Choice::Partitioner => self.place(lines, record, count),
        };
        let len_bound = len_bound(record);
        let room = len_bound.saturating_add(HEADER_LEN);
        if room > self.depot.budget.bytes_max() {
            return Err(self.larger_than_buffer(room));
        }
        let sending = Sending {
            record,
            now: record.own_timestamp().unwrap_or_else(|| self.depot.clock.now()),
            len_bound,
            is_sticky: placement == Placement::Sticky,
            manner,
        };
        let mut claim = Claim::of(&self.depot.budget, 0);
        let mut has_waited = false;
        loop {
            let number = match placement {
                Placement::Partition(number) if number >= count => {
                    return Err(no_partition(lines, number, count));
                }
                Placement::Partition(number) => number,
                Placement::Sticky => lines.sticky(count),
            };
            match lines.stage(lines.line(number)?, &sending, &mut claim)? {
                Attempt::Staged(receipt) => {
                    if has_waited && self.depot.budget.is_waited_for() {
                        // They have handed over before this was staged, and wait for what it has taken.
                        self.hand_over();
                    }
                    return Ok(receipt);
                }
                Attempt::Turn => lines.turn(number, count),
                Attempt::NoRoom => {
                    // Two that wait with some in hand could wait for each other.
                    drop(claim);
                    claim = self.wait_for_room(room, manner)?;
                    has_waited = true;
                }
            }
        }
    }

    #[inline]
    fn place(&self, lines: &TopicLines, record: &Record<'_>, partition_count: u32) -> Placement {
        let (key, value) = (record.key_bytes(), record.value_bytes());
        self.depot.partitioner.place(&Routing { topic: lines.name(), partition_count, key, value })
    }

    /// Room for a record and a batch around it.
    #[cold]
    fn wait_for_room(&self, needed: usize, manner: Manner) -> Result<Claim<'_>> {
        let budget = &self.depot.budget;
        if manner == Manner::NeverBlocks {
            self.depot.press();
            return Err(self.full(needed));
        }
        let limit = match self.depot.settings.on_full_buffer {
            OnFullBuffer::Block(limit) => limit,
            OnFullBuffer::Refuse => {
                self.hand_over();
                return if budget.try_take(needed) {
                    Ok(Claim::of(budget, needed))
                } else {
                    Err(self.full(needed))
                };
            }
        };
        let mut place = PlaceInLine::default();
        // In line first: from then on nobody but who was in line before begins another batch, and hands it over. So
        // what is handed over now makes room.
        let mut has_handed_over = false;
        let taken = block_on(Deadline::after(limit), |context| {
            let polled = budget.poll_take(needed, &mut place, context);
            if polled.is_pending() && !std::mem::replace(&mut has_handed_over, true) {
                self.hand_over();
                return budget.poll_take(needed, &mut place, context);
            }
            polled
        });
        budget.leave(&mut place);
        match taken {
            Some(Ok(())) => Ok(Claim::of(budget, needed)),
            Some(Err(error)) => Err(error),
            None => Err(self.full(needed)),
        }
    }

    #[cold]
    fn larger_than_buffer(&self, needed: usize) -> Error {
        let max = self.depot.budget.bytes_max();
        let message =
            format!("a record that takes up to {needed} bytes: the buffer has {max} (buffer_bytes)");
        Error::new(ErrorKind::TooLarge, message)
    }

    fn full(&self, needed: usize) -> Error {
        let budget = &self.depot.budget;
        let (used, max) = (budget.in_use(), budget.bytes_max());
        let waited = match self.depot.settings.on_full_buffer {
            OnFullBuffer::Block(limit) => format!(", also after {limit:?}"),
            OnFullBuffer::Refuse => String::new(),
        };
        let message =
            format!("no room for {needed} bytes{waited}: {used} of {max} (buffer_bytes) are in use");
        Error::new(ErrorKind::BufferFull, message)
    }

    /// Appends all that is staged, or has whoever appends take it along.
    pub(super) fn hand_over(&self) {
        self.topics.iter().for_each(|lines| lines.lines().for_each(|line| lines.hand_over(line)));
    }

    /// Work that is done when all that was sent before has reached its level.
    pub(super) fn flush(&self) -> Pending<()> {
        let mut fates = Vec::new();
        for lines in self.topics.iter() {
            for line in lines.lines() {
                let stage = line.relay.lock();
                let is_staged = !stage.is_empty();
                if !planted(Bug::FlushMissesFlight) || is_staged {
                    fates.extend(stage.fates().cloned());
                }
                drop(stage);
                lines.hand_over(line);
            }
        }
        Pending::promised(Arc::new(Flushing::new(self.depot.clone(), fates)), Share::default())
    }

    /// Whether anything is staged.
    fn has_staged(&self) -> bool {
        self.topics.iter().any(|lines| lines.lines().any(|line| !line.relay.lock().is_empty()))
    }

    /// The last handle is gone: all that is staged is handed over, without blocking.
    pub(super) fn give_up(self: &Arc<Self>) {
        self.depot.close(&closed());
        if !self.has_staged() || planted(Bug::DropForgetsStaged) {
            return;
        }
        // The disk may be slow: that is for the timers thread to wait for, where there is one.
        if self.depot.is_manual() || !self.depot.upkeep.call_last(self.clone()) {
            self.hand_over();
        }
    }

    /// Closes for all clones.
    pub(super) fn close(&self) -> Result<()> {
        self.depot.close(&closed());
        self.flush().wait()
    }

    /// Lets go of partitions that nothing was sent to lately.
    fn rest(&self) {
        let lines = self.topics.iter().flat_map(|lines| lines.lines());
        let holds = lines.filter(|line| {
            let mut stage = line.relay.lock();
            stage.is_carried() || stage.rest(&self.depot)
        });
        // All of them are asked.
        if holds.count() > 0 {
            self.depot.note_held();
        }
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the producer was closed")
}

#[cold]
fn no_partition(lines: &TopicLines, number: u32, count: u32) -> Error {
    let name = lines.name();
    let message = format!("topic {name} has {count} partitions, numbered from 0: there is no {number}");
    Error::new(ErrorKind::NotFound, message)
}

impl Chore for Shared {
    fn upkeep(&self) -> &Upkeep {
        &self.depot.upkeep
    }

    fn do_due(&self) -> Duration {
        // Read once, and first: a clock is the user's, and may panic; what was taken then would be forgotten.
        let now = self.depot.clock.monotonic();
        let due = self.depot.take_due(now);
        for (lines, number) in due.lines {
            if let Some(lines) = lines.upgrade() {
                lines.look_at(number, now);
            }
        }
        if due.is_pressed || self.depot.is_over() {
            self.hand_over();
        }
        if due.rests {
            self.rest();
        }
        self.depot.next_due()
    }

    fn panicked(&self) {
        // Something of the user's did, a clock or a disk; what it was called for is not the only thing that is due.
        self.depot.upkeep.call();
    }
}

impl Guest for Shared {
    fn broker_closes(&self) {
        self.depot.close(&Error::new(ErrorKind::Closed, "the broker was closed"));
        self.hand_over();
    }

    fn as_chore(self: Arc<Self>) -> Arc<dyn Chore> {
        self
    }
}
