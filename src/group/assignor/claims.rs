//! Whose a partition is, when members say what they owned.

use super::GroupSubscription;
use crate::TopicPartition;
use crate::group::Generation;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which partitions are claimed, and whose they are.
///
/// The claim of the latest generation holds: a member that missed a rebalance still says what it had before.
/// Two claims of one generation cannot both be true, and nothing tells which is, so neither holds.
#[derive(Debug)]
pub(super) struct Claims<'a>(BTreeMap<&'a TopicPartition, Claim<'a>>);

#[derive(Clone, Copy, Debug)]
struct Claim<'a> {
    generation: Generation,
    /// The member whose claim holds; none when two are of this generation.
    owner: Option<&'a Arc<str>>,
}

impl<'a> Claims<'a> {
    /// All claims of the members of a group, also to what does not exist or they no longer want.
    pub(super) fn of(group: &'a GroupSubscription) -> Self {
        let mut claims: BTreeMap<&TopicPartition, Claim<'_>> = BTreeMap::new();
        for (member, subscription) in group.members() {
            let generation = subscription.generation();
            for partition in subscription.owned() {
                let own = Claim { generation, owner: Some(member) };
                claims.entry(partition).and_modify(|claim| claim.meet(own)).or_insert(own);
            }
        }
        Self(claims)
    }

    /// The member whose the partition is.
    pub(super) fn owner(&self, partition: &TopicPartition) -> Option<&'a Arc<str>> {
        self.0.get(partition).and_then(|claim| claim.owner)
    }

    /// Whether any member claims the partition.
    pub(super) fn is_claimed(&self, partition: &TopicPartition) -> bool {
        self.0.contains_key(partition)
    }
}

impl<'a> Claim<'a> {
    /// What is left of it beside another claim to the same partition.
    fn meet(&mut self, other: Claim<'a>) {
        match self.generation.cmp(&other.generation) {
            Ordering::Less => *self = other,
            Ordering::Equal => self.owner = None,
            Ordering::Greater => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Subscription;

    fn owner_among(generations: &[u32]) -> Option<String> {
        let place = TopicPartition::new("t", 0);
        let mut group = GroupSubscription::new();
        for (index, generation) in generations.iter().enumerate() {
            let generation = Generation::new(*generation).expect("a small generation");
            let member = Subscription::new(["t"]).with_owned(generation, [place.clone()]);
            group = group.with_member(format!("m{index}"), member);
        }
        let claims = Claims::of(&group);
        assert_eq!(claims.is_claimed(&place), !generations.is_empty());
        claims.owner(&place).map(ToString::to_string)
    }

    #[test]
    fn the_latest_claim_holds_and_equal_claims_do_not() {
        assert_eq!(owner_among(&[]), None);
        assert_eq!(owner_among(&[0]).as_deref(), Some("m0"));
        assert_eq!(owner_among(&[3, 4, 2]).as_deref(), Some("m1"));
        assert_eq!(owner_among(&[4, 4]), None);
        assert_eq!(owner_among(&[4, 4, 4]), None, "a third claim brings back none");
        assert_eq!(owner_among(&[4, 4, 5, 4]).as_deref(), Some("m2"));
    }
}
