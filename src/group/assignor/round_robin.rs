//! All partitions dealt out in turn.

use super::{Assignment, Assignor, GroupSubscription, RebalanceProtocol};
use crate::TopicPartition;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Deals the partitions of all topics to the members in turn.
///
/// Partitions go by topic and number, members in order (static ones by instance id, then the others by member
/// id); a member that is not subscribed to the topic is passed over. With equal subscriptions no member gets
/// two partitions more than another. It remembers nothing.
///
/// ```
/// use annals::group::{Assignment, GroupSubscription, RoundRobin, Subscription};
/// let group = GroupSubscription::new()
///     .with_topic("orders", 3)
///     .with_topic("refunds", 1)
///     .with_member("a", Subscription::new(["orders", "refunds"]))
///     .with_member("b", Subscription::new(["orders", "refunds"]));
/// let assignment = Assignment::by(&RoundRobin, &group)?;
/// assert_eq!(assignment.of("a")[1].to_string(), "orders-2");
/// assert_eq!(assignment.of("b")[1].to_string(), "refunds-0");
/// # Ok::<(), annals::Error>(())
/// ```
#[doc(alias = "RoundRobinAssignor")]
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin;

impl Assignor for RoundRobin {
    fn name(&self) -> &'static str {
        "roundrobin"
    }

    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Eager
    }

    fn assign(&self, group: &GroupSubscription) -> Assignment {
        let members = group.members_in_order();
        let wanted: BTreeSet<&Arc<str>> = members.iter().flat_map(|(_, member)| member.topics()).collect();
        let topics = group.topics().filter(|(topic, _)| wanted.contains(topic));
        let mut turns = members.iter().cycle();
        let mut given = Vec::new();
        for (topic, partition_count) in topics {
            for number in 0..partition_count {
                // Somebody wants the topic, so this ends within one round.
                let next = turns.find(|(_, member)| member.is_subscribed_to(topic));
                let owner = next.map(|(id, _)| (*id).clone());
                given.extend(owner.map(|owner| (owner, TopicPartition::new(topic.clone(), number))));
            }
        }
        given.into_iter().collect()
    }
}
