//! From counts back to partitions.

use super::placement::{Placement, Share};
use super::roster::{Class, Roster};
use crate::TopicPartition;
use crate::group::Assignment;
use std::collections::VecDeque;
use std::sync::Arc;

/// Has each member keep as many of its own as it may, and deals out the rest in turn, so that the partitions
/// of a topic spread.
pub(super) fn deal(roster: &Roster<'_>, placement: &Placement) -> Assignment {
    let mut given = Vec::new();
    for (number, class) in roster.classes.iter().enumerate() {
        let shares: Vec<&Share> = placement.of_class(number).map(|(_, share)| share).collect();
        let dealt = deal_class(class, &shares);
        let owner = |member: usize| roster.members.get(member).map(|id| Arc::clone(id));
        given.extend(dealt.into_iter().filter_map(|(member, place)| Some((owner(member)?, place))));
    }
    given.into_iter().collect()
}

/// The partitions of one class, each with the number of the member that gets it.
fn deal_class(class: &Class, shares: &[&Share]) -> Vec<(usize, TopicPartition)> {
    let mut dealt = Vec::new();
    let mut free = class.orphans.clone();
    let mut waiting = VecDeque::new();
    for (share, owned) in shares.iter().zip(&class.owned) {
        let kept_count = usize::try_from(share.held.min(share.owned)).unwrap_or(usize::MAX);
        let (kept, given_up) = owned.split_at_checked(kept_count).unwrap_or((owned, &[]));
        dealt.extend(kept.iter().map(|partition| (share.member, partition.clone())));
        free.extend_from_slice(given_up);
        if share.held > share.owned {
            waiting.push_back((share.member, share.held.saturating_sub(share.owned)));
        }
    }
    free.sort_unstable();
    for partition in free {
        let Some((member, wanted)) = waiting.pop_front() else { break };
        dealt.push((member, partition));
        if wanted > 1 {
            waiting.push_back((member, wanted.saturating_sub(1)));
        }
    }
    dealt
}
