//! All partitions of one consumer: who has something, and whose turn it is.
//!
//! ```text
//!     queue ──▶ lane: take its share ──▶ more? ──▶ back of the queue
//!                                    ──▶ none? ──▶ waits, and rings ──▶ back of the queue
//! ```
//!
//! A poll asks each partition in the queue for an equal share of what the ones before it have left, and then those
//! that had more than that, until the poll is full. So a partition that always has something takes nothing from
//! another's share.

use super::lane::{Lane, Others, Taken, Turn};
use super::limits::{Limits, Room};
use super::records::ConsumerRecords;
use super::reset::Resets;
use crate::broker::backend::BackendTopic;
use crate::broker::group_member::CommitPoint;
use crate::sync::Bell;
use crate::{Error, ErrorKind, ReadLevel, Result, TopicPartition};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::task::Poll;

/// Who is asked, and how many bytes the poll has of each.
type Round = VecDeque<(u64, usize)>;

/// The partitions of a consumer.
pub(super) struct Lanes {
    bell: Arc<Bell>,
    level: ReadLevel,
    /// By the number of their ropes, which no two lanes of a bell share, not even one after the other.
    lanes: HashMap<u64, Lane>,
    numbers: BTreeMap<TopicPartition, u64>,
    next_number: u64,
    /// Those to be asked, in the order of their turns. May name some that are gone or paused.
    queue: VecDeque<u64>,
    /// Those with something to complain of.
    failed: VecDeque<u64>,
}

impl Lanes {
    pub(super) fn new(bell: &Arc<Bell>, level: ReadLevel) -> Self {
        Self {
            bell: bell.clone(),
            level,
            lanes: HashMap::new(),
            numbers: BTreeMap::new(),
            next_number: 0,
            queue: VecDeque::new(),
            failed: VecDeque::new(),
        }
    }

    /// Adds a partition that is not among them.
    pub(super) fn add(&mut self, topic: &dyn BackendTopic, place: TopicPartition) -> Result<&mut Lane> {
        if self.numbers.contains_key(&place) {
            let message = format!("partition {place} is named twice");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let number = self.next_number;
        let lane = Lane::new(topic, place.clone(), self.level, (&self.bell, number))?;
        self.next_number += 1;
        self.numbers.insert(place, number);
        self.queue.push_back(number);
        Ok(self.lanes.entry(number).or_insert(lane))
    }

    /// Takes a partition out.
    pub(super) fn remove(&mut self, place: &TopicPartition) -> Option<Lane> {
        let number = self.numbers.remove(place)?;
        self.queue.retain(|queued| *queued != number);
        self.lanes.remove(&number)
    }

    /// What to commit for these: the positions of those that are among the lanes.
    pub(super) fn commit_points(&self, places: &[TopicPartition]) -> Vec<(TopicPartition, CommitPoint)> {
        let lanes = places.iter().filter_map(|place| self.get(place).ok());
        lanes.filter_map(Lane::commit_point).collect()
    }

    /// What to commit for all of them.
    pub(super) fn all_commit_points(&self) -> Vec<(TopicPartition, CommitPoint)> {
        self.iter().filter_map(Lane::commit_point).collect()
    }

    pub(super) fn places(&self) -> impl Iterator<Item = &TopicPartition> {
        self.numbers.keys()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.numbers.values().filter_map(|number| self.lanes.get(number))
    }

    pub(super) fn get(&self, place: &TopicPartition) -> Result<&Lane> {
        let number = self.number_of(place)?;
        self.lanes.get(&number).ok_or_else(|| not_assigned(place))
    }

    /// A partition that is to be asked again, because its position or its turn changes.
    pub(super) fn stir(&mut self, place: &TopicPartition) -> Result<&mut Lane> {
        let number = self.number_of(place)?;
        let lane = self.lanes.get_mut(&number).ok_or_else(|| not_assigned(place))?;
        if lane.turn == Turn::Waiting {
            lane.turn = Turn::Queued;
            self.queue.push_back(number);
        }
        Ok(lane)
    }

    pub(super) fn pause(&mut self, place: &TopicPartition) -> Result<()> {
        let number = self.number_of(place)?;
        self.queue.retain(|queued| *queued != number);
        self.lanes.get_mut(&number).ok_or_else(|| not_assigned(place))?.turn = Turn::Paused;
        Ok(())
    }

    pub(super) fn resume(&mut self, place: &TopicPartition) -> Result<()> {
        let number = self.number_of(place)?;
        let lane = self.lanes.get_mut(&number).ok_or_else(|| not_assigned(place))?;
        if lane.turn == Turn::Paused {
            lane.turn = Turn::Queued;
            self.queue.push_back(number);
        }
        Ok(())
    }

    fn number_of(&self, place: &TopicPartition) -> Result<u64> {
        self.numbers.get(place).copied().ok_or_else(|| not_assigned(place))
    }

    /// A lane has rung: it is asked at the next opportunity.
    pub(super) fn rung(&mut self, number: u64) {
        if let Some(lane) = self.lanes.get_mut(&number)
            && lane.turn == Turn::Waiting
        {
            lane.turn = Turn::Queued;
            self.queue.push_back(number);
        }
    }

    /// Takes what there is room for. Nothing: all of them wait.
    pub(super) fn collect(&mut self, limits: &Limits, resets: &Resets) -> Result<ConsumerRecords> {
        self.complain()?;
        let mut found = ConsumerRecords::default();
        // Where something has come between the look and the wait, another time around finds it.
        while found.is_empty() && !self.queue.is_empty() {
            let mut room = Room::of_poll(limits);
            let mut round: Round = self.queue.drain(..).map(|number| (number, 0)).collect();
            while !round.is_empty() {
                round = self.go_round(round, &mut room, &mut found, (limits, resets));
            }
            if found.is_empty() {
                self.complain()?;
            }
        }
        Ok(found)
    }

    /// Asks those in `round`, each with the bytes that this poll has of it, and returns those that had more than
    /// their share and are to be asked once more. All others it puts back into the queue, unless they wait now.
    fn go_round(
        &mut self,
        mut round: Round,
        room: &mut Room,
        found: &mut ConsumerRecords,
        (limits, resets): (&Limits, &Resets),
    ) -> Round {
        let mut hungry = Round::new();
        while let Some((number, bytes)) = round.pop_front() {
            let bytes_left = limits.partition_bytes_max.saturating_sub(bytes);
            let share = room.share(round.len().saturating_add(1), bytes_left);
            let answer = if room.is_used_up() {
                Answer::TooLarge
            } else {
                self.ask(number, share, found, resets).unwrap_or_else(|error| {
                    self.note(number, error);
                    Answer::Took(Room::NONE)
                })
            };
            match answer {
                Answer::Nothing => {}
                Answer::Took(taken) => {
                    room.take(taken.records, taken.bytes);
                    if share.is_used_up_by(taken) && taken.bytes < bytes_left {
                        hungry.push_back((number, bytes.saturating_add(taken.bytes)));
                    } else {
                        self.queue.push_back(number);
                    }
                }
                Answer::TooLarge => {
                    // The next poll asks it first, and then its record comes whatever its size.
                    let left = round.into_iter().chain(hungry).map(|(number, _)| number);
                    let asked = std::mem::take(&mut self.queue);
                    self.queue = std::iter::once(number).chain(left).chain(asked).collect();
                    return Round::new();
                }
            }
        }
        hungry
    }

    /// Takes what one lane has, up to its share.
    fn ask(
        &mut self,
        number: u64,
        mut share: Room,
        found: &mut ConsumerRecords,
        resets: &Resets,
    ) -> Result<Answer> {
        let Some(lane) = self.lanes.get_mut(&number) else { return Ok(Answer::Nothing) };
        let whole = share;
        let took = |share: Room| {
            let (records, bytes) = (whole.records - share.records, whole.bytes - share.bytes);
            Answer::Took(Room { records, bytes })
        };
        while !share.is_used_up() {
            let others = if found.is_empty() { Others::None } else { Others::Taken };
            match lane.take(share, others, resets) {
                Ok(Taken::Records(records, bytes)) => {
                    share.take(records.len(), bytes);
                    found.push(lane.place(), records);
                }
                Ok(Taken::TooLarge) if share == whole => return Ok(Answer::TooLarge),
                Ok(Taken::TooLarge) => return Ok(took(share)),
                // It is asked again at the next poll, and waits then if there is still nothing.
                Ok(Taken::Nothing) if share != whole => return Ok(took(share)),
                Ok(Taken::Nothing) => {
                    return match lane.wait() {
                        Poll::Pending => {
                            lane.turn = Turn::Waiting;
                            Ok(Answer::Nothing)
                        }
                        Poll::Ready(Ok(())) => Ok(took(share)),
                        Poll::Ready(Err(error)) => Err(error),
                    };
                }
                Err(error) if share == whole => return Err(error),
                Err(error) => {
                    self.note(number, error);
                    return Ok(took(share));
                }
            }
        }
        Ok(took(share))
    }

    /// Keeps what is wrong with a lane, to be said by the next poll that has nothing to return before.
    fn note(&mut self, number: u64, error: Error) {
        if let Some(lane) = self.lanes.get_mut(&number) {
            let error = if error.kind() == ErrorKind::Closed { error } else { lane.blame(&error) };
            lane.failed = Some(error);
            self.failed.push_back(number);
        }
    }

    /// Says what is wrong with a lane, unless it has been moved or taken out meanwhile.
    fn complain(&mut self) -> Result<()> {
        while let Some(number) = self.failed.pop_front() {
            if let Some(error) = self.lanes.get_mut(&number).and_then(|lane| lane.failed.take()) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Does what the lanes wait for and nobody else does; says whether there was anything.
    pub(super) fn serve(&mut self) -> Result<bool> {
        let mut served = false;
        for (number, lane) in &mut self.lanes {
            if lane.turn == Turn::Waiting && lane.serve()? {
                lane.turn = Turn::Queued;
                self.queue.push_back(*number);
                served = true;
            }
        }
        Ok(served)
    }
}

/// What one lane had.
enum Answer {
    Took(Room),
    TooLarge,
    /// It waits now.
    Nothing,
}

fn not_assigned(place: &TopicPartition) -> Error {
    Error::new(ErrorKind::NotFound, format!("partition {place} is not assigned to this consumer"))
}
