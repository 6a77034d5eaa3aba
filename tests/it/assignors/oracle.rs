//! The best assignment there is, by minimum-cost flow.
//!
//! ```text
//!              a unit each        to subscribers               n-th partition of a member
//!     source ──────────────▶ partition ──────────────▶ member ────────────────────────────▶ sink
//!                                 costs 1 unless it is the owner's,   costs (2 n - 1) * BALANCE
//!                                 or nobody owned it
//! ```
//!
//! What the edges to the sink cost adds up to the sum of squares of the loads. Of all assignments that
//! subscriptions allow, the one with the least sum of squares also has the least differences between pairs of
//! members, Kafka's measure of balance: sorted by size, its loads are majorized by those of every other. So the
//! cheapest flow is, first, as balanced as can be in Kafka's sense, and then moves the fewest partitions.

use super::world::{Cost, Problem};

/// More than all moves together.
const BALANCE: i64 = 1 << 32;

/// The least cost of any assignment.
pub fn least_cost(problem: &Problem) -> Cost {
    let mut owners: Vec<Option<usize>> = vec![None; problem.partitions.len()];
    for at in 0..owners.len() {
        augment(problem, &mut owners, at);
    }
    let owners: Vec<usize> = owners.into_iter().map(|owner| owner.expect("each has a subscriber")).collect();
    problem.cost(&owners)
}

/// Gives one more partition an owner along the cheapest way, on which others may change theirs.
fn augment(problem: &Problem, owners: &mut [Option<usize>], start: usize) {
    let moved =
        |at: usize, to: usize| i64::from(problem.partitions[at].owner.is_some_and(|owner| owner != to));
    let mut to_partition = vec![None; owners.len()];
    // The least cost of a way to each member, and the partition that goes there last.
    let mut to_member: Vec<Option<(i64, usize)>> = vec![None; problem.members.len()];
    to_partition[start] = Some(0);
    let mut changed = true;
    while changed {
        changed = false;
        for (at, piece) in problem.partitions.iter().enumerate() {
            let so_far = match owners[at] {
                // To take it from its present owner is to undo what it cost there.
                Some(owner) => to_member[owner].map(|(cost, _)| cost - moved(at, owner)),
                None => to_partition[at],
            };
            to_partition[at] = so_far;
            let Some(so_far) = so_far else { continue };
            for &member in piece.subscribers.iter().filter(|member| owners[at] != Some(**member)) {
                let cost = so_far + moved(at, member);
                if to_member[member].is_none_or(|(best, _)| cost < best) {
                    to_member[member] = Some((cost, at));
                    changed = true;
                }
            }
        }
    }
    let load = |member: usize| owners.iter().filter(|owner| **owner == Some(member)).count() as i64;
    let ends = (0..to_member.len())
        .filter_map(|member| Some((to_member[member]?.0 + BALANCE * (2 * load(member) + 1), member)));
    let mut member = ends.min().expect("it has a subscriber").1;
    loop {
        let at = to_member[member].expect("the way leads here").1;
        match owners[at].replace(member) {
            Some(before) => member = before,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::{Bounds, Subscriptions, World};
    use super::*;

    /// The oracle against every assignment there is.
    #[test]
    fn no_assignment_is_better_than_the_oracles() {
        let bounds = Bounds { members: 4, topics: 4, partitions: 6 };
        let mut compared = 0;
        for seed in 0..20 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut world = World::new(Subscriptions::Unequal, bounds);
            for _ in 0..40 {
                world.change(&mut rng);
                let problem = world.problem();
                let best = all(&problem).iter().map(|owners| problem.cost(owners)).min();
                assert_eq!(Some(least_cost(&problem)), best, "{problem:?}");
                compared += usize::from(problem.partitions.len() > 3 && problem.members.len() > 1);
                let chosen = all(&problem).swap_remove(0);
                let given = problem.partitions.iter().zip(chosen);
                let given =
                    given.map(|(piece, owner)| (problem.members[owner].as_str().into(), piece.place.clone()));
                world.take(&given.collect());
            }
        }
        assert!(compared > 100, "only {compared} of them say anything");
    }

    fn all(problem: &Problem) -> Vec<Vec<usize>> {
        problem.partitions.iter().fold(vec![Vec::new()], |all, piece| {
            let with = |owners: &Vec<usize>, member: usize| [owners.as_slice(), &[member]].concat();
            all.iter()
                .flat_map(|owners| piece.subscribers.iter().map(|member| with(owners, *member)))
                .collect()
        })
    }
}
