//! Whether an assignment can be carried out.

use super::{Assignment, GroupSubscription};
use crate::{Error, ErrorKind, Result, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Checks that `assignment`, made by the assignor of this name, serves the group: every partition that has a
/// subscriber goes to exactly one of its subscribers, and nothing else goes to anybody.
///
/// # Errors
/// `InvalidInput` with the first flaw found.
pub(super) fn check(assignor: &str, assignment: &Assignment, group: &GroupSubscription) -> Result<()> {
    let flaw = misplaced(assignment, group).or_else(|| unassigned(assignment, group));
    match flaw {
        None => Ok(()),
        Some(flaw) => Err(Error::new(ErrorKind::InvalidInput, format!("the assignor {assignor:?} {flaw}"))),
    }
}

/// What was given and should not have been.
fn misplaced(assignment: &Assignment, group: &GroupSubscription) -> Option<String> {
    let mut owners: BTreeMap<&TopicPartition, &Arc<str>> = BTreeMap::new();
    for (member, partitions) in assignment.iter() {
        let Some(subscription) = group.member(member) else {
            return Some(format!("gave partitions to {member:?}, which is not a member of the group"));
        };
        for partition in partitions {
            if !group.has_partition(partition) {
                return Some(format!("gave {partition} to {member:?}: there is no such partition"));
            }
            if !subscription.is_subscribed_to(partition.topic()) {
                return Some(format!("gave {partition} to {member:?}, which is not subscribed to its topic"));
            }
            if let Some(other) = owners.insert(partition, member) {
                return Some(format!("gave {partition} twice: to {other:?} and to {member:?}"));
            }
        }
    }
    None
}

/// What was not given and should have been.
fn unassigned(assignment: &Assignment, group: &GroupSubscription) -> Option<String> {
    let given: BTreeSet<&TopicPartition> = assignment.iter().flat_map(|(_, partitions)| partitions).collect();
    let wanted: BTreeSet<&Arc<str>> = group.members().flat_map(|(_, member)| member.topics()).collect();
    for (topic, count) in group.topics().filter(|(topic, _)| wanted.contains(topic)) {
        for number in 0..count {
            let partition = TopicPartition::new(topic.clone(), number);
            if !given.contains(&partition) {
                return Some(format!("gave {partition} to nobody, though it has a subscriber"));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Subscription;

    /// What the check says of an assignment to "a" (of "t" and "u"), "b" (of "t" and "missing"); topics "t"
    /// and "u" have two and one partitions, "idle" has no subscriber.
    fn flaw(given: &[(&str, &str, u32)]) -> Option<String> {
        let group = GroupSubscription::new()
            .with_topic("t", 2)
            .with_topic("u", 1)
            .with_topic("idle", 4)
            .with_member("a", Subscription::new(["t", "u"]))
            .with_member("b", Subscription::new(["t", "missing"]));
        let give = |&(member, topic, number): &(&str, &str, u32)| {
            (Arc::from(member), TopicPartition::new(topic, number))
        };
        let assignment: Assignment = given.iter().map(give).collect();
        let error = check("mine", &assignment, &group).err()?;
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        Some(error.to_string())
    }

    #[test]
    fn only_what_can_be_carried_out_passes() {
        let cases = [
            (vec![("a", "t", 0), ("b", "t", 1), ("a", "u", 0)], ""),
            (vec![("a", "t", 0), ("a", "t", 1), ("a", "u", 0)], ""),
            (vec![("c", "t", 0)], "gave partitions to \"c\", which is not a member of the group"),
            (vec![("b", "t", 2)], "gave t-2 to \"b\": there is no such partition"),
            (vec![("b", "missing", 0)], "gave missing-0 to \"b\": there is no such partition"),
            (vec![("b", "u", 0)], "gave u-0 to \"b\", which is not subscribed to its topic"),
            (vec![("a", "idle", 0)], "gave idle-0 to \"a\", which is not subscribed to its topic"),
            (vec![("a", "t", 0), ("b", "t", 0)], "gave t-0 twice: to \"a\" and to \"b\""),
            (vec![("b", "t", 1), ("b", "t", 1)], "gave t-1 twice: to \"b\" and to \"b\""),
            (vec![("a", "t", 0), ("b", "t", 1)], "gave u-0 to nobody, though it has a subscriber"),
            (vec![], "gave t-0 to nobody, though it has a subscriber"),
        ];
        for (given, expected) in cases {
            let expected =
                if expected.is_empty() { None } else { Some(format!("the assignor \"mine\" {expected}")) };
            assert_eq!(flaw(&given), expected, "{given:?}");
        }
    }
}
