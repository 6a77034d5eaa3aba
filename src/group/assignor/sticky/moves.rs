//! The fewest moves among equally balanced placements.

use super::placement::Placement;

/// How many looks at a share are spent on saving moves: about a second. Groups that need more are balanced
/// just as well, and may move more partitions than they have to.
pub(super) const WORK_MAX: u64 = 400_000_000;

/// Changes a balanced placement into the one, among all that are balanced as well, that takes the fewest
/// partitions from their owners.
///
/// Two placements that are balanced equally differ by cycles: a member gives one to another, that one to a
/// third, and so on, until one gives to the first; or until one has become as full as the first one was, and
/// they have changed places. A cycle costs one for each partition that leaves its owner, and saves one for each
/// that comes back. As long as there is a cycle that saves, it is followed; when there is none, no placement
/// is better. After `work_max` looks at a share it stops where it is.
///
/// ```text
///     member ──gives one of──▶ class ──which goes to──▶ member ──is now as full as──▶ level
///        ▲                                                                              │
///        └───────────────────────── which this one has been, and is no longer ──────────┘
/// ```
pub(super) fn reduce_moves(placement: &mut Placement, work_max: u64) {
    let mut work_left = work_max;
    loop {
        let cycles = Search::new(placement).saving_cycles(&mut work_left);
        if cycles.is_empty() {
            return;
        }
        for change in cycles {
            match change {
                Change::Give(share) => placement.take(share),
                Change::Get(share) => placement.put(share),
                Change::Level => {}
            }
        }
    }
}

/// A step from one node of the drawing to another.
#[derive(Clone, Copy)]
enum Change {
    /// A member gives one from this share to its class.
    Give(usize),
    /// A member gets one for this share from its class.
    Get(usize),
    /// From a member to a level, or from a level to a member.
    Level,
}

/// Bellman and Ford's search for cycles of negative cost, from all nodes at once.
struct Search<'a> {
    placement: &'a Placement,
    /// The least cost found so far of a way that ends here. Nodes: members, classes, levels.
    costs: Vec<i64>,
    /// The last step of that way: where from, and which.
    steps: Vec<Option<(usize, Change)>>,
}

impl<'a> Search<'a> {
    fn new(placement: &'a Placement) -> Self {
        let level_count = placement.loads().iter().max().map_or(0, |most| usize_of(*most).saturating_add(2));
        let member_count = placement.loads().len();
        let node_count = member_count.saturating_add(placement.class_count()).saturating_add(level_count);
        Self { placement, costs: vec![0; node_count], steps: vec![None; node_count] }
    }

    /// The steps of some cycles that save moves and share no node; none when there are none, or the work is
    /// used up.
    fn saving_cycles(mut self, work_left: &mut u64) -> Vec<Change> {
        let looks = u64::try_from(self.placement.shares().len()).unwrap_or(u64::MAX).saturating_add(1);
        while let Some(left) = work_left.checked_sub(looks) {
            *work_left = left;
            if !self.pass() {
                break;
            }
            let cycles = self.cycles();
            if !cycles.is_empty() {
                return cycles;
            }
        }
        Vec::new()
    }

    /// Follows every step once; whether any led to a lower cost.
    fn pass(&mut self) -> bool {
        let placement = self.placement;
        let mut is_lower = false;
        for class in 0..placement.class_count() {
            let node = self.class_node(class);
            for (number, share) in placement.of_class(class).filter(|(_, share)| share.held > 0) {
                let cost = i64::from(share.held <= share.owned);
                is_lower |= self.follow(share.member, node, cost, Change::Give(number));
            }
            for (number, share) in placement.of_class(class) {
                let cost = if share.held < share.owned { -1 } else { 0 };
                is_lower |= self.follow(node, share.member, cost, Change::Get(number));
            }
        }
        for (member, load) in placement.loads().iter().enumerate() {
            is_lower |= self.follow(member, self.level_node(load.saturating_add(1)), 0, Change::Level);
        }
        for (member, load) in placement.loads().iter().enumerate() {
            is_lower |= self.follow(self.level_node(*load), member, 0, Change::Level);
        }
        is_lower
    }

    fn follow(&mut self, from: usize, to: usize, cost: i64, change: Change) -> bool {
        let way = self.costs.get(from).map_or(i64::MAX, |so_far| so_far.saturating_add(cost));
        let (Some(best), Some(step)) = (self.costs.get_mut(to), self.steps.get_mut(to)) else { return false };
        let is_lower = way < *best;
        if is_lower {
            (*best, *step) = (way, Some((from, change)));
        }
        is_lower
    }

    /// The steps of all cycles among the last steps to each node. Each of them saves something: costs only
    /// fall, so the way around came back lower than it began.
    fn cycles(&self) -> Vec<Change> {
        let mut seen_from: Vec<Option<usize>> = vec![None; self.steps.len()];
        let mut changes = Vec::new();
        for start in 0..self.steps.len() {
            let mut node = start;
            while let Some(seen @ None) = seen_from.get_mut(node) {
                *seen = Some(start);
                let Some(Some((from, _))) = self.steps.get(node) else { break };
                node = *from;
            }
            let leads_on = self.steps.get(node).is_some_and(Option::is_some);
            if leads_on && seen_from.get(node).copied().flatten() == Some(start) {
                self.walk_around(node, &mut changes);
            }
        }
        changes
    }

    /// Collects the steps of the cycle that goes through `start`.
    fn walk_around(&self, start: usize, changes: &mut Vec<Change>) {
        let mut node = start;
        while let Some(Some((from, change))) = self.steps.get(node) {
            changes.push(*change);
            node = *from;
            if node == start {
                return;
            }
        }
    }

    fn class_node(&self, class: usize) -> usize {
        self.placement.loads().len().saturating_add(class)
    }

    fn level_node(&self, load: u32) -> usize {
        self.class_node(self.placement.class_count()).saturating_add(usize_of(load))
    }
}

/// Where an address has fewer than 32 bits, no group is that large.
fn usize_of(load: u32) -> usize {
    usize::try_from(load).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::roster::Roster;
    use super::*;
    use crate::TopicPartition;
    use crate::group::{Generation, GroupSubscription, Subscription};

    #[test]
    fn two_that_swapped_swap_back_while_there_is_work_left() {
        let owning = |topics: &[&str], topic: &str, number| {
            let owned = TopicPartition::new(topic, number);
            Subscription::new(topics.iter().copied()).with_owned(Generation::NONE.next(), [owned])
        };
        let group = GroupSubscription::new()
            .with_topic("x", 1)
            .with_topic("y", 2)
            .with_member("a", owning(&["x", "y"], "x", 0))
            .with_member("b", owning(&["x", "y"], "y", 0))
            .with_member("c", owning(&["y"], "y", 1));
        let roster = Roster::of(&group);
        let mut placement = Placement::of(&roster);
        let held =
            |placement: &Placement| placement.shares().iter().map(|share| share.held).collect::<Vec<_>>();
        let at_first = held(&placement);

        let share_of = |class: usize, member: usize| {
            let shares = placement.shares().iter();
            shares
                .clone()
                .position(|share| (share.class, share.member) == (class, member))
                .expect("it wants that")
        };
        let of_x = usize::from(roster.classes[0].subscribers.len() == 3);
        let shares = [(of_x, 0), (of_x, 1), (1 - of_x, 1), (1 - of_x, 0)]
            .map(|(class, member)| share_of(class, member));
        placement.take(shares[0]);
        placement.put(shares[1]);
        placement.take(shares[2]);
        placement.put(shares[3]);
        let swapped = held(&placement);
        assert_ne!(swapped, at_first);

        reduce_moves(&mut placement, 0);
        assert_eq!(held(&placement), swapped, "no work, no change");
        reduce_moves(&mut placement, WORK_MAX);
        assert_eq!(held(&placement), at_first);
    }
}
