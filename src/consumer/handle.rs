//! The handle that users hold.

use super::alarm::Alarm;
use super::closing::Closing;
use super::group_options::GroupOptions;
use super::lanes::Lanes;
use super::limits::Limits;
use super::membership::{GROUP, Membership, Readiness};
use super::options::ConsumerOptions;
use super::records::ConsumerRecords;
use super::reset::Resets;
use super::stream::ConsumerStream;
use super::wakeup::{WAKEUP, Wakeup};
use crate::broker::backend::Backend;
use crate::broker::group_member::{MemberOptions, Wanted};
use crate::sync::{Bell, Deadline, Rope, block_on};
use crate::{Maintenance, Offset, Result, StartAt, TopicPartition};
use std::collections::BTreeSet;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Reads partitions, and knows how far it got in each.
///
/// It does so alone, or as a member of a group that shares them.
///
/// It is used by one thread or task at a time, and may move between them. It does not keep the broker open. While it
/// waits it takes no processor time, and does not keep partitions from being put to rest.
///
/// ```
/// use annals::{Broker, Record, StartAt, TopicOptions};
/// use std::time::Duration;
///
/// # let data = std::env::temp_dir().join(format!("annals-doc-consumer-{}", std::process::id()));
/// let broker = Broker::open(&data)?;
/// let orders = broker.ensure_topic("orders", TopicOptions::new().partitions(3))?;
/// let producer = broker.producer().build()?;
/// producer.send(&orders, Record::new("42").key("alice"))?.wait()?;
///
/// let mut billing = broker.consumer().group("billing").subscribe(["orders"]).start_at(StartAt::Earliest).build()?;
/// let records = billing.poll(Duration::from_millis(100))?; // or recv().await, or into_stream()
/// for record in &records {
///     println!("{} {}", record.offset(), record.value().escape_ascii());
///     billing.commit_through(&record).wait()?; // up to this one,
/// }
/// billing.commit().wait()?; // or all that poll returned
/// billing.close()?;
/// # drop(broker);
/// # drop(std::fs::remove_dir_all(&data));
/// # Ok::<(), annals::Error>(())
/// ```
///
/// Without a group it is told which partitions to read, and where:
///
/// ```
/// use annals::{Broker, Record, StartAt, TopicOptions};
/// use std::time::Duration;
/// let broker = Broker::options().open_in_memory()?;
/// let orders = broker.create_topic("orders", TopicOptions::new())?;
/// orders.partition(0)?.append([Record::new("42"), Record::new("7")]).wait()?;
///
/// let mut consumer = broker.consumer().assign([(&orders, 0)]).build()?; // ("orders", 0) works too
/// assert_eq!(consumer.poll(Duration::from_millis(100))?.len(), 2);
/// consumer.seek(("orders", 0), StartAt::Earliest)?;
/// assert_eq!(consumer.poll(Duration::ZERO)?.len(), 2);
/// # Ok::<(), annals::Error>(())
/// ```
///
/// # What a group promises
///
/// Each partition of the topics that its members subscribe to has one of them at a time, and each record is handled
/// at least once: whoever gets a partition goes on at the committed offset, so records that were polled and not
/// committed come again. A member gets, gives up and loses partitions only within its polls and its close, of which
/// a [listener](ConsumerOptions::on_rebalance) hears; so poll often. One that does not poll for
/// [`poll_interval_max`](ConsumerOptions::poll_interval_max) is expelled; its commits are `Fenced` from then on, and
/// its next poll joins anew. One that is dropped, or whose thread panicked, has left; a static member
/// keeps its partitions until its [session time-out](ConsumerOptions::session_timeout).
///
/// # What it does not promise
///
/// Order across partitions. That nothing comes twice. That what is read ahead is not deleted meanwhile: as with any
/// slow reader, such records may still come.
pub struct Consumer {
    bell: Arc<Bell>,
    pub(super) lanes: Lanes,
    limits: Limits,
    resets: Resets,
    maintenance: Maintenance,
    closing: Closing,
    /// Of a member of a group.
    pub(super) membership: Option<Membership>,
}

impl Consumer {
    pub(super) fn new(options: ConsumerOptions, wanted: Option<Wanted>) -> Result<Self> {
        let backend = options.backend;
        let bell = Arc::new(Bell::default());
        let closing = Closing::new(&backend, &bell)?;
        let mut lanes = Lanes::new(&bell, options.read_level);
        for place in options.assigned {
            let topic = backend.topic(place.topic())?;
            lanes.add(&*topic, place)?.seek(options.start_at)?;
        }
        let (limits, resets, maintenance) = (options.limits, options.resets, backend.maintenance());
        let membership = match wanted {
            Some(wanted) => Some(join(backend, options.group, (wanted, options.start_at), &bell)?),
            None => None,
        };
        Ok(Self { bell, lanes, limits, resets, maintenance, closing, membership })
    }

    /// The records that come next, waiting at most `timeout` for the first of them.
    ///
    /// None when the time is up. With [`Duration::ZERO`] it never waits. Reading what is not in memory, and
    /// opening what rests, blocks.
    ///
    /// # Errors
    /// - `OutOfRange`: a position is not in the log, and its [reset](ConsumerOptions::reset_below_start) is
    ///   [`Reset::Fail`](crate::Reset::Fail).
    /// - `Corrupt`: what is to be read is damaged; or it was lost to damage before, see
    ///   [`Error::lost_range`](crate::Error::lost_range), and the next poll goes on behind it.
    /// - `NotFound`: the topic was deleted. `Closed`: the broker was.
    /// - `Poisoned`, `Io`: what is waited for cannot become durable; a read failed.
    /// - `Fenced`: another member has taken over its [instance id](ConsumerOptions::group_instance_id), for good.
    /// - `InvalidInput`, `Conflict`, `TooLarge`: its assignor failed; the group has no assignor in common with it any
    ///   more, or has no place for it.
    /// - what an automatic [commit](Consumer::commit) says; else as [`Topic::partition`](crate::Topic::partition).
    ///
    /// [`Error::topic_partition`](crate::Error::topic_partition) says which partition it is about. Its position has
    /// not moved, unless it says that records were lost; the other partitions go on at the next poll.
    pub fn poll(&mut self, timeout: Duration) -> Result<ConsumerRecords> {
        if let Some(found) = self.look()? {
            return Ok(found);
        }
        if timeout.is_zero() {
            return Ok(ConsumerRecords::default());
        }
        let found = block_on(Deadline::after(timeout), |context| self.poll_records(context));
        self.waiting_ends();
        found.unwrap_or_else(|| Ok(ConsumerRecords::default()))
    }

    /// Nobody waits any more.
    pub(super) fn waiting_ends(&self) {
        self.bell.forget_sleeper();
        if let Some(membership) = &self.membership {
            membership.wait_ends();
        }
    }

    /// The records that come next, as soon as there are any.
    ///
    /// None when it was [woken](Consumer::wakeup). Dropping the future loses nothing. As [`Consumer::poll`] it
    /// blocks for what is not in memory.
    ///
    /// ```
    /// async fn follow(mut consumer: annals::Consumer) -> annals::Result<()> {
    ///     loop {
    ///         for record in &consumer.recv().await? {
    ///             println!("{} {}", record.topic(), record.value().escape_ascii());
    ///         }
    ///         consumer.commit().await?;
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Consumer::poll`].
    pub async fn recv(&mut self) -> Result<ConsumerRecords> {
        let waiting = Waiting(self);
        poll_fn(|context| waiting.0.poll_records(context)).await
    }

    /// Its polls as a stream, which ends when the broker is closed.
    #[must_use]
    pub fn into_stream(self) -> ConsumerStream {
        ConsumerStream::new(self)
    }

    /// Asks for records, and to be woken when there may be some.
    pub(super) fn poll_records(&mut self, context: &mut Context<'_>) -> Poll<Result<ConsumerRecords>> {
        loop {
            if let Some(found) = self.look().transpose() {
                return Poll::Ready(found);
            }
            let readiness = self.membership.as_ref().map_or(Readiness::Ready, Membership::wait_begins);
            if readiness == Readiness::Ready && self.sleep(context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Asks whether anything has rung, and to be woken when it does.
    fn sleep(&self, context: &Context<'_>) -> Poll<()> {
        let Some(membership) = &self.membership else { return self.bell.poll(context) };
        self.bell.poll(&Context::from_waker(&membership.noting(context.waker())))
    }

    /// What there is to return now: records, or none because it was woken. Nothing: there is nothing yet.
    fn look(&mut self) -> Result<Option<ConsumerRecords>> {
        loop {
            let rung = self.bell.take();
            if self.hear(&rung) {
                return Ok(Some(ConsumerRecords::default()));
            }
            self.closing.check()?;
            if let Some(membership) = &mut self.membership {
                membership.step(&mut self.lanes)?;
            }
            let found = self.lanes.collect(&self.limits, &self.resets)?;
            if !found.is_empty() {
                if let Some(membership) = &mut self.membership {
                    membership.returned(&self.lanes);
                }
                return Ok(Some(found));
            }
            if self.maintenance != Maintenance::Manual || !self.lanes.serve()? {
                return Ok(None);
            }
        }
    }

    /// Puts those that have rung into the queue; says whether it was woken.
    fn hear(&mut self, rung: &BTreeSet<u64>) -> bool {
        rung.iter().for_each(|number| self.lanes.rung(*number));
        rung.contains(&WAKEUP)
    }

    /// A handle that ends a poll from another thread.
    #[must_use]
    pub fn wakeup(&self) -> Wakeup {
        Wakeup::new(&self.bell)
    }

    /// The partitions it reads, in the order of their names.
    #[must_use]
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.lanes.places().cloned().collect()
    }

    /// The offset of the next record that polls return of a partition.
    ///
    /// Or a smaller one where offsets have gaps.
    ///
    /// # Errors
    /// `NotFound` when the partition is not assigned.
    pub fn position(&self, partition: impl Into<TopicPartition>) -> Result<Offset> {
        Ok(self.lanes.get(&partition.into())?.position())
    }

    /// Goes on from another place in a partition. `Earliest`, `Latest` and times are looked up now; an offset that is
    /// not in the log is found out by the next poll.
    ///
    /// # Errors
    /// `NotFound` when the partition is not assigned. For all but an offset as
    /// [`Topic::partition`](crate::Topic::partition), for a time also as
    /// [`Partition::offset_for_time`](crate::Partition::offset_for_time). The position is as it was.
    pub fn seek(&mut self, partition: impl Into<TopicPartition>, start: impl Into<StartAt>) -> Result<()> {
        self.lanes.stir(&partition.into())?.seek(start.into())
    }

    /// Leaves a partition alone until it is resumed. Its position stays.
    ///
    /// # Errors
    /// `NotFound` when the partition is not assigned.
    pub fn pause(&mut self, partition: impl Into<TopicPartition>) -> Result<()> {
        self.lanes.pause(&partition.into())
    }

    /// Goes on with a partition that was paused.
    ///
    /// # Errors
    /// `NotFound` when the partition is not assigned.
    pub fn resume(&mut self, partition: impl Into<TopicPartition>) -> Result<()> {
        self.lanes.resume(&partition.into())
    }

    /// How many offsets each partition's position is from the end it may see.
    ///
    /// That is more than the records that are left, where offsets have gaps.
    ///
    /// # Errors
    /// As [`Topic::partition`](crate::Topic::partition).
    pub fn lag(&self) -> Result<Vec<(TopicPartition, u64)>> {
        self.lanes.iter().map(|lane| Ok((lane.place().clone(), lane.lag()?))).collect()
    }
}

impl Consumer {
    /// Leaves the group at once, so that others get the partitions.
    ///
    /// Before that, one that commits by itself commits all that polls returned, and the listener hears that they
    /// are revoked. Blocks until what was committed is durable. A consumer that is dropped leaves its group too,
    /// and commits nothing. Others get the partitions of a static member only after its [session
    /// time-out](ConsumerOptions::session_timeout).
    ///
    /// # Errors
    /// As [`Consumer::commit`]. It has left nevertheless.
    pub fn close(mut self) -> Result<()> {
        self.membership.take().map_or(Ok(()), |membership| membership.close(&mut self.lanes))
    }

    /// Subscribes a member of a group to other topics.
    ///
    /// Its next polls say what it has then.
    ///
    /// # Errors
    /// `InvalidInput` when the consumer is in no group. `Closed`, `Fenced`.
    pub fn subscribe<N: Into<Arc<str>>>(&mut self, topics: impl IntoIterator<Item = N>) -> Result<()> {
        self.member()?.subscribe(Wanted::Names(topics.into_iter().map(Into::into).collect()))
    }

    /// Subscribes a member of a group to all topics whose names `is_wanted` accepts.
    ///
    /// Also to those that are created later.
    ///
    /// # Errors
    /// As [`Consumer::subscribe`].
    pub fn subscribe_matching(
        &mut self,
        is_wanted: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Result<()> {
        self.member()?.subscribe(Wanted::Matching(Arc::new(is_wanted)))
    }

    /// What its group calls it now. It gets another id when it was expelled and joins anew.
    ///
    /// # Errors
    /// `InvalidInput` when the consumer is in no group.
    pub fn member_id(&self) -> Result<Arc<str>> {
        Ok(self.member()?.id())
    }
}

/// Joins the group that the options name.
fn join(
    backend: Arc<dyn Backend>,
    options: GroupOptions,
    (wanted, start_at): (Wanted, StartAt),
    bell: &Arc<Bell>,
) -> Result<Membership> {
    let auto = match options.auto_commit_every {
        Some(interval) => Some((interval, Alarm::new(&*backend, bell, GROUP)?)),
        None => None,
    };
    let assignors = options.assignors_or_default();
    let member = backend.clone().join_group(MemberOptions {
        group: options.group,
        instance_id: options.instance_id,
        client_id: options.client_id,
        wanted,
        assignors,
        poll_interval: options.poll_interval_max,
        session_timeout: options.session_timeout,
    })?;
    let waker = Rope::waker(bell, GROUP);
    Ok(Membership::new(backend, member, (start_at, options.listener), auto, waker))
}

/// A consumer that a future waits with: when that is dropped, nobody waits any more.
struct Waiting<'c>(&'c mut Consumer);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting_ends();
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let positions = self.lanes.iter().map(|lane| (lane.place(), lane.position()));
        f.debug_struct("Consumer").field("positions", &positions.collect::<Vec<_>>()).finish_non_exhaustive()
    }
}
