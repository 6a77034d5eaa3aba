//! Per topic, a range of neighbours for each subscriber.

use super::{Assignment, Assignor, GroupSubscription, RebalanceProtocol};
use crate::TopicPartition;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Gives each subscriber of a topic a range of neighbouring partitions.
///
/// Topic by topic, the members subscribed to it are taken in order (static ones by instance id, then the
/// others by member id), and the first ones get one partition more when it does not come out even. So
/// partitions of the same number, in topics with the same count and the same subscribers, go to the same
/// member; and the same members get more in every topic. It remembers nothing.
///
/// ```
/// use annals::group::{Assignment, GroupSubscription, Range, Subscription};
/// let group = GroupSubscription::new()
///     .with_topic("orders", 3)
///     .with_member("a", Subscription::new(["orders"]))
///     .with_member("b", Subscription::new(["orders"]));
/// let assignment = Assignment::by(&Range, &group)?;
/// assert_eq!((assignment.of("a").len(), assignment.of("b").len()), (2, 1));
/// # Ok::<(), annals::Error>(())
/// ```
#[doc(alias = "RangeAssignor")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Range;

impl Assignor for Range {
    fn name(&self) -> &'static str {
        "range"
    }

    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Eager
    }

    fn assign(&self, group: &GroupSubscription) -> Assignment {
        let mut subscribers: BTreeMap<&Arc<str>, Vec<&Arc<str>>> = BTreeMap::new();
        for (id, member) in group.members_in_order() {
            for topic in member.topics() {
                subscribers.entry(topic).or_default().push(id);
            }
        }
        let topics =
            group.topics().filter_map(|(topic, count)| Some((topic, count, subscribers.get(topic)?)));
        topics.flat_map(|(topic, count, subscribers)| ranges(topic, count, subscribers)).collect()
    }
}

/// The partitions of one topic, each with its owner.
fn ranges<'a>(
    topic: &'a Arc<str>,
    partition_count: u32,
    subscribers: &'a [&Arc<str>],
) -> impl Iterator<Item = (Arc<str>, TopicPartition)> + 'a {
    // A group has fewer than 2^32 members.
    let count = u32::try_from(subscribers.len()).unwrap_or(u32::MAX);
    let each = partition_count.checked_div(count).unwrap_or(0);
    let more = partition_count.checked_rem(count).unwrap_or(0);
    let sizes = (0..count).map(move |index| if index < more { each.saturating_add(1) } else { each });
    let owners = subscribers
        .iter()
        .zip(sizes)
        .flat_map(|(owner, size)| std::iter::repeat_n(*owner, usize::try_from(size).unwrap_or(usize::MAX)));
    owners
        .zip(0..partition_count)
        .map(|(owner, number)| (owner.clone(), TopicPartition::new(topic.clone(), number)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Subscription;

    /// What each member gets, as "a: t-0 t-1; b: t-2".
    fn assigned(topics: &[(&str, u32)], members: &[(&str, &[&str])]) -> String {
        let group = topics
            .iter()
            .fold(GroupSubscription::new(), |group, (name, count)| group.with_topic(*name, *count));
        let group = members.iter().fold(group, |group, (id, topics)| {
            group.with_member(*id, Subscription::new(topics.iter().copied()))
        });
        let assignment = Assignment::by(&Range, &group).expect("a range is always possible");
        let show = |(member, list): (&Arc<str>, &[TopicPartition])| {
            format!("{member}: {}", list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        assignment.iter().map(show).collect::<Vec<_>>().join("; ")
    }

    /// SEMANTICS 35
    #[test]
    fn range_assigns_per_topic_also_to_members_that_differ() {
        assert_eq!(
            assigned(&[("t", 3), ("u", 3)], &[("a", &["t", "u"]), ("b", &["t", "u"])]),
            "a: t-0 t-1 u-0 u-1; b: t-2 u-2",
            "the first member gets more in every topic"
        );
        assert_eq!(
            assigned(&[("t", 3), ("u", 3)], &[("a", &["t"]), ("b", &["t", "u"])]),
            "a: t-0 t-1; b: t-2 u-0 u-1 u-2"
        );
        assert_eq!(assigned(&[("t", 2)], &[("a", &["t"]), ("b", &["t"]), ("c", &["t"])]), "a: t-0; b: t-1");
        assert_eq!(assigned(&[("t", 0)], &[("a", &["t", "missing"])]), "");
        assert_eq!(assigned(&[("t", 1)], &[("a", &[])]), "");
        assert_eq!(
            assigned(&[("t", 7)], &[("a", &["t"]), ("b", &["t"]), ("c", &["t"])]),
            "a: t-0 t-1 t-2; b: t-3 t-4; c: t-5 t-6"
        );
    }

    #[test]
    fn a_static_member_that_comes_back_gets_what_it_had() {
        let group = |id: &str| {
            GroupSubscription::new()
                .with_topic("t", 3)
                .with_member("b", Subscription::new(["t"]))
                .with_member(id, Subscription::new(["t"]).with_instance_id("i"))
        };
        assert_eq!(Range.assign(&group("a")).of("a"), Range.assign(&group("c")).of("c"));
    }
}
