//! The least difference between loads.

use super::placement::Placement;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// Gives each partition that nobody holds to the subscriber that has least; the earlier one, of equals.
pub(super) fn place_orphans(placement: &mut Placement) {
    // Where there is least choice it is made first.
    let mut classes: Vec<usize> = (0..placement.class_count()).collect();
    classes.sort_by_key(|class| placement.of_class(*class).count());
    for class in classes {
        let orphan_count = placement.orphan_counts().get(class).copied().unwrap_or(0);
        let shares = placement.of_class(class).take_while(|_| orphan_count > 0);
        let mut least: BinaryHeap<_> =
            shares.map(|(number, share)| Reverse((placement.load(share.member), number))).collect();
        for _ in 0..orphan_count {
            let Some(Reverse((load, number))) = least.pop() else { break };
            placement.put(number);
            least.push(Reverse((load.saturating_add(1), number)));
        }
    }
}

/// Moves partitions from members that hold more to members that hold less, also by way of others, until no
/// member can be brought one closer to another that holds at least two less.
///
/// What then is has the least sum of squares of loads, and with it the least differences in pairs.
pub(super) fn balance(placement: &mut Placement) {
    let mut unsettled: BTreeSet<(u32, usize)> = placement.loads().iter().copied().zip(0..).collect();
    let mut settled = vec![false; unsettled.len()];
    // Each path lessens the sum of squares, and each search without one settles a member: so it ends.
    while let Some((load, fullest)) = unsettled.last().copied() {
        match search(placement, fullest, &settled) {
            Search::Path { end, shifts } => {
                unsettled.remove(&(load, fullest));
                unsettled.remove(&(placement.load(end), end));
                for (give, take) in shifts {
                    placement.take(give);
                    placement.put(take);
                }
                unsettled.insert((placement.load(fullest), fullest));
                unsettled.insert((placement.load(end), end));
            }
            Search::Closed { reached } => {
                // None of these has two less than the fullest, and what they hold leads to none but these.
                // Every later search begins no higher, so it neither ends here nor comes out again.
                for member in reached {
                    unsettled.remove(&(placement.load(member), member));
                    mark(&mut settled, member);
                }
            }
        }
    }
}

/// What was found from a member on.
enum Search {
    /// A way to a member that holds at least two less: each step takes one from a share, and puts one to
    /// another of the same class.
    Path { end: usize, shifts: Vec<(usize, usize)> },
    /// There is none; these are all that can be reached, the first one among them.
    Closed { reached: Vec<usize> },
}

/// Looks for the nearest member that holds at least two less than `start`; of equally near ones, for the one
/// that holds least.
fn search(placement: &Placement, start: usize, settled: &[bool]) -> Search {
    let mut seen = settled.to_vec();
    let mut seen_classes = vec![false; placement.class_count()];
    // How each member was reached: from which share, to which.
    let mut shift_to: Vec<Option<(usize, usize)>> = vec![None; settled.len()];
    let mut reached = Vec::new();
    let mut layer = vec![start];
    mark(&mut seen, start);
    while !layer.is_empty() {
        let mut next = Vec::new();
        for (give, class) in givers(placement, &layer) {
            // Whoever wants the class was reached when it was first seen.
            if !mark(&mut seen_classes, class) {
                continue;
            }
            for (take, share) in placement.of_class(class) {
                if mark(&mut seen, share.member) {
                    shift_to.get_mut(share.member).into_iter().for_each(|shift| *shift = Some((give, take)));
                    next.push(share.member);
                }
            }
        }
        let least = next.iter().copied().min_by_key(|member| (placement.load(*member), *member));
        let is_enough = |end: &usize| placement.load(*end).saturating_add(2) <= placement.load(start);
        if let Some(end) = least.filter(is_enough) {
            return Search::Path { end, shifts: way_back(placement, end, &shift_to) };
        }
        reached.append(&mut layer);
        layer = next;
    }
    Search::Closed { reached }
}

/// The shares from which these members can give something, with their classes; first what was not their own.
fn givers(placement: &Placement, members: &[usize]) -> Vec<(usize, usize)> {
    let shares = members.iter().flat_map(|member| placement.of_member(*member));
    let mut shares: Vec<_> = shares.filter(|(_, share)| share.held > 0).collect();
    shares.sort_by_key(|(_, share)| share.held <= share.owned);
    shares.into_iter().map(|(number, share)| (number, share.class)).collect()
}

/// The steps that lead to `end`, the last one first.
fn way_back(placement: &Placement, end: usize, shift_to: &[Option<(usize, usize)>]) -> Vec<(usize, usize)> {
    let mut shifts = Vec::new();
    let mut member = end;
    while let Some(Some((give, take))) = shift_to.get(member) {
        shifts.push((*give, *take));
        let Some(share) = placement.shares().get(*give) else { break };
        member = share.member;
    }
    shifts
}

/// Marks one of many; whether it was not marked before.
fn mark(marks: &mut [bool], number: usize) -> bool {
    marks.get_mut(number).is_some_and(|marked| !std::mem::replace(marked, true))
}
