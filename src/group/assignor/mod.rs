//! Assignors: who gets which partition.
//!
//! ```text
//!     GroupSubscription ──Assignor::assign──▶ Assignment ──check──▶ Assignment ──hand_over──▶ Handover
//!       topics: partition counts                member ─▶ partitions      given: in this generation
//!       members: Subscription                                             withheld: in the next one
//!         topics, instance id,
//!         owned, of which generation
//! ```
//!
//! An assignor is a pure function, and its answer depends on nothing but its input: no clock, no chance, no
//! order of a hash table. So each member, and each test, comes to the same assignment.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod assignment;
mod check;
mod claims;
mod handover;
mod range;
mod round_robin;
mod sticky;
mod subscription;

pub use assignment::Assignment;
pub use handover::Handover;
pub use range::Range;
pub use round_robin::RoundRobin;
pub use sticky::{CooperativeSticky, Sticky};
pub use subscription::{GroupSubscription, Subscription};

use std::fmt;

/// Decides which member of a group reads which partition.
///
/// It must give every partition that has a subscriber to exactly one of its subscribers, and nothing else;
/// [`Assignment::by`] refuses any other answer. The same input must give the same answer.
///
/// ```
/// use annals::group::{Assignment, Assignor, GroupSubscription, RebalanceProtocol, Subscription};
/// use annals::TopicPartition;
///
/// /// Each topic goes whole to its first subscriber.
/// #[derive(Debug)]
/// struct WholeTopics;
///
/// impl Assignor for WholeTopics {
///     fn name(&self) -> &str {
///         "whole-topics"
///     }
///
///     fn protocol(&self) -> RebalanceProtocol {
///         RebalanceProtocol::Eager
///     }
///
///     fn assign(&self, group: &GroupSubscription) -> Assignment {
///         let mut assignment = Assignment::new();
///         for (topic, partition_count) in group.topics() {
///             let subscriber = group.members().find(|(_, member)| member.is_subscribed_to(topic));
///             let Some((id, _)) = subscriber else { continue };
///             for partition in 0..partition_count {
///                 assignment.give(id.clone(), TopicPartition::new(topic.clone(), partition));
///             }
///         }
///         assignment
///     }
/// }
///
/// let group = GroupSubscription::new()
///     .with_topic("orders", 2)
///     .with_member("a", Subscription::new(["orders"]))
///     .with_member("b", Subscription::new(["orders"]));
/// let assignment = Assignment::by(&WholeTopics, &group)?;
/// assert_eq!(assignment.of("a").len(), 2);
/// # Ok::<(), annals::Error>(())
/// ```
#[doc(alias = "partition.assignment.strategy")]
pub trait Assignor: Send + Sync + fmt::Debug {
    /// What members of a group know it by. All of them must offer one of the same name.
    fn name(&self) -> &str;

    /// How partitions get from one member to another.
    fn protocol(&self) -> RebalanceProtocol;

    /// Who gets what.
    fn assign(&self, group: &GroupSubscription) -> Assignment;
}

/// How partitions get from one member to another in a rebalance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RebalanceProtocol {
    /// Every member gives up all its partitions before any is given out anew.
    ///
    /// So Kafka's clients do it. Members in this process give up only what moves, whatever the protocol.
    Eager,
    /// Members keep what stays theirs and give up what moves.
    ///
    /// Its new owner gets that one generation later.
    Cooperative,
}
