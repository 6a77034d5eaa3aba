//! How good sticky assignments are, beside the best there are, and how long they take.

use super::oracle::least_cost;
use super::world::{Bounds, Cost, Problem, Subscriptions, World};
use crate::figure;
use crate::proof::{Count, Seed, Size};
use annals::group::{Assignment, Generation, GroupSubscription, Sticky, Subscription};
use std::time::{Duration, Instant};

/// The fewest moves, when everybody wants everything: the loads are fixed but for who has one more, and those
/// are best the members that own most. Each moves what it owns above that.
fn fewest_moves(problem: &Problem) -> u64 {
    let mut owned = vec![0_u64; problem.members.len()];
    problem.partitions.iter().filter_map(|piece| piece.owner).for_each(|owner| owned[owner] += 1);
    owned.sort_unstable_by(|a, b| b.cmp(a));
    let (partitions, members) = (problem.partitions.len(), problem.members.len().max(1));
    let room = |at: usize| (partitions / members + usize::from(at < partitions % members)) as u64;
    owned.iter().enumerate().map(|(at, owned)| owned.saturating_sub(room(at))).sum()
}

/// SEMANTICS 35
#[test]
fn with_equal_subscriptions_the_fewest_partitions_move_and_loads_differ_by_one() {
    let steps = Size::asked().pick(2_000, 10_000, 100_000);
    let seed = Seed::of("sticky quality, equal subscriptions");
    let (mut moved, mut assigned, mut with_moves) = (0, 0, 0);
    let mut rng = seed.rng(0);
    let mut world = World::new(Subscriptions::Equal, Bounds { members: 30, topics: 6, partitions: 200 });
    for _ in 0..steps {
        world.change(&mut rng);
        let problem = world.problem();
        let assignment = Assignment::by(&Sticky, &world.group()).expect("it can be carried out");
        let owners = problem.owners(&assignment);
        let loads = problem.loads(&owners);
        let difference = loads.iter().max().unwrap_or(&0) - loads.iter().min().unwrap_or(&0);
        assert!(difference <= 1, "{loads:?}");
        let cost = problem.cost(&owners);
        assert_eq!(cost.moves, fewest_moves(&problem), "{loads:?}");
        (moved, assigned) = (moved + cost.moves, assigned + owners.len() as u64);
        with_moves += u64::from(cost.moves > 0);
        world.take(&assignment);
    }
    assert!(with_moves > steps / 10, "moves are called for now and then, not {with_moves} times");
    figure!(
        "sticky, equal subscriptions: {} changes of groups of up to 30 members and 200 partitions: {} of {} partitions moved, the fewest possible each time; loads differ by at most 1",
        Count(steps),
        Count(moved),
        Count(assigned)
    );
}

/// SEMANTICS 35
#[test]
fn with_unequal_subscriptions_no_assignment_is_better() {
    let steps = Size::asked().pick(1_000, 10_000, 100_000);
    let seed = Seed::of("sticky quality, unequal subscriptions");
    let (mut ours, mut best, mut uneven) =
        (Cost { imbalance: 0, moves: 0 }, Cost { imbalance: 0, moves: 0 }, 0);
    let mut rng = seed.rng(0);
    let mut world = World::new(Subscriptions::Unequal, Bounds { members: 8, topics: 8, partitions: 24 });
    for _ in 0..steps {
        world.change(&mut rng);
        let problem = world.problem();
        let assignment = Assignment::by(&Sticky, &world.group()).expect("it can be carried out");
        let cost = problem.cost(&problem.owners(&assignment));
        let least = least_cost(&problem);
        assert_eq!(cost, least, "{problem:?}");
        ours = Cost { imbalance: ours.imbalance + cost.imbalance, moves: ours.moves + cost.moves };
        best = Cost { imbalance: best.imbalance + least.imbalance, moves: best.moves + least.moves };
        uneven += u64::from(cost.imbalance > 0);
        world.take(&assignment);
    }
    assert!(ours.moves > steps / 20 && uneven > steps / 10, "{ours:?}, {uneven} uneven: this says nothing");
    figure!(
        "sticky, unequal subscriptions: {} changes of groups of up to 8 members and 24 partitions: {} moves, {} by the oracle; balance scores add up to {}, {} by the oracle",
        Count(steps),
        Count(ours.moves),
        Count(best.moves),
        Count(ours.imbalance),
        Count(best.imbalance)
    );
}

/// A large group, each topic of which is wanted by each member with the same chance.
struct Large {
    group: GroupSubscription,
    wanted: Vec<(String, Vec<String>)>,
}

impl Large {
    fn new(member_count: usize, topics: (usize, u32), chance: f64, rng: &mut fastrand::Rng) -> Self {
        let (topic_count, partition_count) = topics;
        let topics: Vec<String> = (0..topic_count).map(|number| format!("topic-{number}")).collect();
        let group = topics
            .iter()
            .fold(GroupSubscription::new(), |group, topic| group.with_topic(topic.as_str(), partition_count));
        let wanted = |number| {
            let own = topics.iter().filter(|_| rng.f64() < chance).cloned().collect();
            (format!("member-{number}"), own)
        };
        let wanted = (0..member_count).map(wanted).collect();
        Self { group, wanted }
    }

    /// Only some of its members, with what they had.
    fn with(
        &self,
        members: std::ops::Range<usize>,
        before: &Assignment,
        generation: Generation,
    ) -> GroupSubscription {
        self.wanted[members].iter().fold(self.group.clone(), |group, (id, topics)| {
            let own = Subscription::new(topics.iter().map(String::as_str));
            group.with_member(id.as_str(), own.with_owned(generation, before.of(id).iter().cloned()))
        })
    }
}

fn timed(group: &GroupSubscription) -> (Assignment, Duration) {
    let started = Instant::now();
    let assignment = Assignment::by(&Sticky, group).expect("it can be carried out");
    (assignment, started.elapsed())
}

#[test]
fn a_thousand_members_and_ten_thousand_partitions_are_assigned_in_reasonable_time() {
    let (members, partitions) = Size::asked().pick((100, 1_000), (1_000, 10_000), (1_000, 10_000));
    let kinds = [
        ("equal", 100, 1.1),
        ("unequal", 100, 0.1),
        ("sparse", 100, 0.02),
        ("unequal, in topics of two,", 2, 0.1),
    ];
    let mut rng = Seed::of("large groups").rng(0);
    for (kind, per_topic, chance) in kinds {
        let large = Large::new(members, (partitions / per_topic, per_topic as u32), chance, &mut rng);
        let first = Generation::NONE.next();
        let (all, fresh) = timed(&large.with(0..members, &Assignment::new(), Generation::NONE));
        let (_, one_left) = timed(&large.with(1..members, &all, first));
        let (half, half_left) = timed(&large.with(0..members / 2, &all, first));
        let (_, doubled) = timed(&large.with(0..members, &half, first.next()));
        let (_, unchanged) = timed(&large.with(0..members, &all, first));
        figure!(
            "sticky, {members} members, {} partitions, {kind} subscriptions: fresh {fresh:.1?}, unchanged {unchanged:.1?}, one left {one_left:.1?}, half left {half_left:.1?}, twice as many {doubled:.1?}",
            Count(partitions as u64)
        );
    }
}
