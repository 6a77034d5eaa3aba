//! What a consumer is told that is to be a member of a group.

use super::options::ConsumerOptions;
use super::rebalance::Rebalance;
use crate::broker::group_member::Wanted;
use crate::group::{Assignor, CooperativeSticky};
use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The part of a consumer's options that concerns its group.
#[derive(Clone)]
pub(super) struct GroupOptions {
    pub(super) group: String,
    pub(super) wanted: Option<Wanted>,
    pub(super) instance_id: Option<Arc<str>>,
    pub(super) client_id: Arc<str>,
    /// None: the default.
    pub(super) assignors: Option<Vec<Arc<dyn Assignor>>>,
    pub(super) poll_interval_max: Duration,
    pub(super) session_timeout: Duration,
    pub(super) auto_commit_every: Option<Duration>,
    pub(super) listener: Option<super::rebalance::Listener>,
    /// The first option that was given and does nothing outside of a group.
    members_only: Option<&'static str>,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            group: String::new(),
            wanted: None,
            instance_id: None,
            client_id: "annals".into(),
            assignors: None,
            poll_interval_max: Duration::from_secs(300),
            session_timeout: Duration::from_secs(45),
            auto_commit_every: None,
            listener: None,
            members_only: None,
        }
    }
}

impl GroupOptions {
    /// Whether the consumer is to be a member; which topics it wants then.
    ///
    /// # Errors
    /// `InvalidInput` when the options contradict each other.
    pub(super) fn check(&self, is_assigned: bool) -> Result<Option<Wanted>> {
        let refuse = |message: &str| Err(Error::new(ErrorKind::InvalidInput, message));
        match &self.wanted {
            None if self.group.is_empty() => match self.members_only {
                Some(option) => {
                    refuse(&format!("`{option}` is for members of a group: name it with `group`"))
                }
                None if is_assigned => Ok(None),
                None => refuse(
                    "a consumer needs something to read: `assign` partitions, or `subscribe` as a member of a `group`",
                ),
            },
            None if is_assigned => refuse(
                "a consumer that is assigned by hand is in no group: leave out `group`, or `subscribe` instead",
            ),
            None => refuse("a member of a group subscribes to topics: call `subscribe`"),
            Some(_) if self.group.is_empty() => {
                refuse("who subscribes is a member of a group: name it with `group`")
            }
            Some(_) if is_assigned => refuse("`assign` and `subscribe` exclude each other"),
            Some(_) if self.poll_interval_max.is_zero() => {
                refuse("poll_interval_max is 0: the member would be expelled at once")
            }
            Some(wanted) => Ok(Some(wanted.clone())),
        }
    }

    /// The ways to share partitions that it offers.
    pub(super) fn assignors_or_default(&self) -> Vec<Arc<dyn Assignor>> {
        self.assignors.clone().unwrap_or_else(|| vec![Arc::new(CooperativeSticky)])
    }
}

impl ConsumerOptions {
    /// What members are told by `option`: outside of a group it is refused.
    fn of_members(&mut self, option: &'static str) -> &mut GroupOptions {
        self.group.members_only.get_or_insert(option);
        &mut self.group
    }

    /// Joins this group, whose members share the partitions that they [subscribe] to.
    ///
    /// A name has 1 to 249 of `A-Z a-z 0-9 . _ -`, and is neither `.` nor `..`.
    ///
    /// [subscribe]: ConsumerOptions::subscribe
    #[doc(alias = "group.id")]
    #[must_use]
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.group.group = name.into();
        self
    }

    /// Wants the partitions of these topics, now or once they exist.
    ///
    /// Of several calls, also of [`subscribe_matching`](ConsumerOptions::subscribe_matching), the last holds: they do
    /// not add up as those of [`assign`](ConsumerOptions::assign) do.
    #[must_use]
    pub fn subscribe<N: Into<Arc<str>>>(mut self, topics: impl IntoIterator<Item = N>) -> Self {
        self.group.wanted = Some(Wanted::Names(topics.into_iter().map(Into::into).collect()));
        self
    }

    /// Wants the partitions of all topics to whose names `is_wanted` says yes.
    ///
    /// Also of those that are created later; the broker's own topics are never among them. Of several calls, also of
    /// [`subscribe`](ConsumerOptions::subscribe), the last holds.
    ///
    /// ```
    /// use annals::{Broker, Record, TopicOptions};
    /// use std::time::Duration;
    ///
    /// let broker = Broker::options().open_in_memory()?;
    /// let audit = broker.consumer().group("audit");
    /// let mut consumer = audit.subscribe_matching(|name| name.starts_with("orders")).build()?;
    ///
    /// // A topic that comes later is one of them.
    /// let orders = broker.create_topic("orders-eu", TopicOptions::new())?;
    /// broker.producer().build()?.send(&orders, Record::new("42"))?.wait()?;
    /// let records = consumer.poll(Duration::from_secs(5))?;
    /// assert_eq!(records.iter().next().expect("within five seconds").value(), b"42");
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn subscribe_matching(mut self, is_wanted: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.group.wanted = Some(Wanted::Matching(Arc::new(is_wanted)));
        self
    }

    /// Makes it a static member of this name, which comes and goes without a rebalance.
    ///
    /// It may be gone for up to the [session time-out](ConsumerOptions::session_timeout), and has its partitions when it
    /// comes back. A second one of the same name takes over, and the first is `Fenced`. A name is made as that of a
    /// [group](ConsumerOptions::group). As in Kafka since [KIP-345].
    ///
    /// [KIP-345]: https://cwiki.apache.org/confluence/display/KAFKA/KIP-345%3A+Introduce+static+membership+protocol+to+reduce+consumer+rebalances
    #[doc(alias = "group.instance.id")]
    #[must_use]
    pub fn group_instance_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.of_members("group_instance_id").instance_id = Some(id.into());
        self
    }

    /// What its member id begins with, for whoever looks at the group. Default `annals`; any text.
    #[doc(alias = "client.id")]
    #[must_use]
    pub fn client_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.of_members("client_id").client_id = id.into();
        self
    }

    /// Offers a way to share partitions; the group uses one that all its members offer. Calls add up, the preferred
    /// way first. Default [`CooperativeSticky`] alone.
    ///
    /// ```
    /// use annals::group::{CooperativeSticky, Range};
    /// use annals::{Broker, TopicOptions};
    /// use std::time::Duration;
    ///
    /// let broker = Broker::options().open_in_memory()?;
    /// broker.create_topic("orders", TopicOptions::new())?;
    /// let billing = broker.consumer().group("billing").subscribe(["orders"]);
    /// let mut member = billing.assignor(Range).assignor(CooperativeSticky).build()?;
    /// member.poll(Duration::ZERO)?;
    /// assert_eq!(broker.describe_group("billing")?.assignor, "range");
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[doc(alias = "partition.assignment.strategy")]
    #[must_use]
    pub fn assignor(mut self, assignor: impl Assignor + 'static) -> Self {
        self.of_members("assignor").assignors.get_or_insert_default().push(Arc::new(assignor));
        self
    }

    /// Offers these ways to share partitions, the preferred one first, in place of those named before. At least one.
    #[must_use]
    pub fn assignors(mut self, assignors: impl IntoIterator<Item = Arc<dyn Assignor>>) -> Self {
        self.of_members("assignors").assignors = Some(assignors.into_iter().collect());
        self
    }

    /// How long it may work between two polls before it is expelled. Default 5 minutes; above 0.
    ///
    /// It is taken to be stuck then. Waiting inside of a poll does not count, up to the moment
    /// when a future or stream is woken.
    #[doc(alias = "max.poll.interval.ms")]
    #[must_use]
    pub fn poll_interval_max(mut self, interval: Duration) -> Self {
        self.of_members("poll_interval_max").poll_interval_max = interval;
        self
    }

    /// How long a static member may be away before its partitions go to others.
    ///
    /// Default 45 seconds; any time will do, and with 0 they go to others at once. Other members in this process have
    /// no session: they leave when they are dropped.
    #[doc(alias = "session.timeout.ms")]
    #[must_use]
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.of_members("session_timeout").session_timeout = timeout;
        self
    }

    /// Commits by itself, at most this often, what earlier polls returned. Default: it does not.
    ///
    /// What a poll returns counts as worked on when the next begins, and when the consumer is
    /// [closed](crate::Consumer::close). Such a commit is `Written`, and durable once partitions are given up. Any
    /// interval will do; with 0 each poll commits.
    #[doc(alias = "enable.auto.commit")]
    #[doc(alias = "auto.commit.interval.ms")]
    #[must_use]
    pub fn auto_commit_every(mut self, interval: Duration) -> Self {
        self.of_members("auto_commit_every").auto_commit_every = Some(interval);
        self
    }

    /// Calls `listener` whenever partitions come or go, from within polls and close.
    ///
    /// It must not wait for other members of the group: they may be waiting for this one. Of several calls the last
    /// holds.
    #[must_use]
    pub fn on_rebalance(mut self, listener: impl Fn(Rebalance<'_>) + Send + Sync + 'static) -> Self {
        self.of_members("on_rebalance").listener = Some(Arc::new(listener));
        self
    }
}

impl fmt::Debug for GroupOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupOptions")
            .field("group", &self.group)
            .field("wanted", &self.wanted)
            .field("instance_id", &self.instance_id)
            .field("client_id", &self.client_id)
            .field("assignors", &self.assignors)
            .field("poll_interval_max", &self.poll_interval_max)
            .field("session_timeout", &self.session_timeout)
            .field("auto_commit_every", &self.auto_commit_every)
            .finish_non_exhaustive()
    }
}
