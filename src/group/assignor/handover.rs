//! What of an assignment can be given out before its old owners gave it up.

use super::claims::Claims;
use super::{Assignment, GroupSubscription};
use crate::TopicPartition;
use std::sync::Arc;

/// What of an assignment can be given out now, and what has to wait.
///
/// What waits is still to be given up by its old owner.
///
/// A cooperative rebalance stops nobody's work but on what moves. So a partition that another member still
/// claims is withheld in this generation; that member sees that it is not to keep it, gives it up and joins
/// again, and in the next generation the partition is free. While nothing is withheld, a single generation is
/// enough.
///
/// ```
/// use annals::group::{Assignment, Generation, GroupSubscription, Subscription};
/// use annals::TopicPartition;
/// let place = |number| TopicPartition::new("orders", number);
/// let first = Generation::NONE.next();
/// let group = GroupSubscription::new()
///     .with_topic("orders", 2)
///     .with_member("a", Subscription::new(["orders"]).with_owned(first, [place(0), place(1)]))
///     .with_member("b", Subscription::new(["orders"]));
/// let mut wanted = Assignment::new();
/// wanted.give("a", place(0));
/// wanted.give("b", place(1));
///
/// let handover = wanted.hand_over(&group);
/// assert_eq!(handover.given.of("a"), [place(0)]);
/// assert!(handover.given.of("b").is_empty(), "a may still be reading it");
/// assert_eq!(handover.withheld, [place(1)]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// What each member gets in this generation.
    pub given: Assignment,
    /// What nobody gets in this generation, sorted. Not empty: another rebalance has to follow.
    pub withheld: Vec<TopicPartition>,
}

impl Assignment {
    /// What of it can be given out to the members of this group now.
    ///
    /// It says as well what has to wait.
    ///
    /// A partition is withheld when any other member claims to own it, unless the member that is to get it is
    /// its true owner: the one whose claim is of the latest generation, and the only one of that.
    #[must_use]
    pub fn hand_over(&self, group: &GroupSubscription) -> Handover {
        let claims = Claims::of(group);
        let is_free = |(member, partition): &(Arc<str>, TopicPartition)| {
            claims.owner(partition) == Some(member) || !claims.is_claimed(partition)
        };
        let wanted = self.iter().flat_map(|(member, partitions)| {
            partitions.iter().map(|partition| (member.clone(), partition.clone()))
        });
        let (given, withheld): (Vec<_>, Vec<_>) = wanted.partition(is_free);
        let mut withheld: Vec<_> = withheld.into_iter().map(|(_, partition)| partition).collect();
        withheld.sort_unstable();
        Handover { given: given.into_iter().collect(), withheld }
    }
}
