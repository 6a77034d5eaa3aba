//! What every assignor keeps, whatever the group.

use super::world::{Bounds, Subscriptions, World};
use crate::proof::{Seed, Size};
use annals::group::{Assignment, Assignor, CooperativeSticky, Range, RebalanceProtocol, RoundRobin, Sticky};
use annals::{ErrorKind, TopicPartition};
use std::collections::BTreeMap;

const ALL: [&dyn Assignor; 4] = [&Range, &RoundRobin, &Sticky, &CooperativeSticky];

/// Runs `check` after each of many changes to groups of all kinds.
fn after_changes(suite: &'static str, mut check: impl FnMut(&mut World, &mut fastrand::Rng)) {
    let seed = Seed::of(suite);
    for case in 0..Size::asked().pick(40, 400, 4_000) {
        let mut rng = seed.rng(case);
        let subscriptions = if rng.bool() { Subscriptions::Equal } else { Subscriptions::Unequal };
        let bounds =
            Bounds { members: rng.usize(2..20), topics: rng.usize(1..8), partitions: rng.u32(1..60) };
        let mut world = World::new(subscriptions, bounds);
        for _ in 0..50 {
            world.change(&mut rng);
            check(&mut world, &mut rng);
        }
    }
}

/// SEMANTICS 29
#[test]
fn each_wanted_partition_gets_one_owner_that_wants_it() {
    after_changes("rules of assignors", |world, rng| {
        let (group, problem) = (world.group(), world.problem());
        for assignor in ALL {
            let assignment = Assignment::by(assignor, &group).expect("our own can be carried out");
            problem.owners(&assignment);
            assert_eq!(assignor.assign(&group), assignment, "the same again");
        }
        world.take(&rng.choice(ALL).expect("there are some").assign(&group));
    });
}

/// With equal subscriptions; Range is as even as that in each topic.
#[test]
fn round_robin_is_even_and_range_is_so_by_topic() {
    let seed = Seed::of("even assignors");
    let mut rng = seed.rng(0);
    let mut world = World::new(Subscriptions::Equal, Bounds { members: 12, topics: 5, partitions: 60 });
    for _ in 0..400 {
        world.change(&mut rng);
        let (group, problem) = (world.group(), world.problem());
        let spread = |counts: &[u64]| counts.iter().max().unwrap_or(&0) - counts.iter().min().unwrap_or(&0);
        assert!(spread(&problem.loads(&problem.owners(&RoundRobin.assign(&group)))) <= 1);
        let owners = problem.owners(&Range.assign(&group));
        for (topic, _) in group.topics() {
            let mut loads = vec![0; problem.members.len()];
            let of_topic =
                problem.partitions.iter().zip(&owners).filter(|(piece, _)| piece.place.topic() == &**topic);
            of_topic.for_each(|(_, owner)| loads[*owner] += 1);
            assert!(spread(&loads) <= 1, "{topic}: {loads:?}");
        }
    }
}

/// SEMANTICS 35: only what moves is revoked, and nobody gets what another has not given up.
#[test]
fn a_cooperative_rebalance_is_over_after_two_generations() {
    let mut withheld = 0;
    after_changes("cooperative rebalances", |world, _| {
        let (group, problem) = (world.group(), world.problem());
        let wanted = Assignment::by(&CooperativeSticky, &group).expect("it can be carried out");
        let first = wanted.hand_over(&group);
        let mut holders: BTreeMap<TopicPartition, &str> = BTreeMap::new();
        for (id, member) in group.members() {
            // Until it hears of the new generation a member works on whatever it claims. A claim that a later
            // one has overtaken is that of a member that was expelled.
            let is_overtaken = |place: &&TopicPartition| {
                group.members().any(|(_, other)| {
                    other.generation() > member.generation() && other.owned().contains(place)
                })
            };
            let working = member.owned().iter().filter(|place| !is_overtaken(place));
            working.for_each(|place| assert_eq!(holders.insert(place.clone(), id), None));
        }
        for (id, partitions) in first.given.iter() {
            for place in partitions {
                assert!(
                    holders.get(place).is_none_or(|holder| *holder == &**id),
                    "{place} is still another's"
                );
            }
        }
        withheld += first.withheld.len();
        let moves = problem.cost(&problem.owners(&wanted)).moves;
        assert!(first.withheld.len() as u64 >= moves, "what moves waits");
        world.take(&first.given);

        let group = world.group();
        let again = Assignment::by(&CooperativeSticky, &group).expect("it can be carried out");
        let second = again.hand_over(&group);
        assert!(second.withheld.is_empty(), "{:?}", second.withheld);
        for (id, partitions) in first.given.iter() {
            assert!(
                partitions.iter().all(|place| second.given.of(id).contains(place)),
                "{id} keeps what it has"
            );
        }
        world.take(&second.given);
    });
    assert!(withheld > 1_000, "only {withheld} were withheld");
}

/// Does one thing wrong to what was given to whom.
type Fault = fn(&mut Vec<(String, TopicPartition)>);

/// Somebody's own assignor, with a fault.
#[derive(Debug)]
struct Careless(Fault);

impl Assignor for Careless {
    fn name(&self) -> &'static str {
        "careless"
    }

    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Eager
    }

    fn assign(&self, group: &annals::group::GroupSubscription) -> Assignment {
        let right = RoundRobin.assign(group);
        let given = right
            .iter()
            .flat_map(|(id, places)| places.iter().map(move |place| (id.to_string(), place.clone())));
        let mut given: Vec<_> = given.collect();
        (self.0)(&mut given);
        given.into_iter().map(|(id, place)| (id.as_str().into(), place)).collect()
    }
}

#[test]
fn what_somebody_elses_assignor_does_wrong_is_found() {
    let faults: [(&str, Fault); 5] = [
        ("twice", |given| {
            let (_, place) = given[0].clone();
            let (other, _) =
                given.iter().find(|(id, _)| *id != given[0].0).expect("there are others").clone();
            given.push((other, place));
        }),
        ("nobody", |given| drop(given.pop())),
        ("not a member", |given| given[0].0 = "nobody-here".into()),
        ("no such partition", |given| given[0].1 = TopicPartition::new(given[0].1.topic(), 1_000)),
        ("no such partition", |given| given[0].1 = TopicPartition::new("no-such-topic", 0)),
    ];
    let (mut found, mut rng) = (0, Seed::of("careless assignors").rng(0));
    let mut world = World::new(Subscriptions::Equal, Bounds { members: 6, topics: 3, partitions: 20 });
    for _ in 0..200 {
        world.change(&mut rng);
        let group = world.group();
        let problem = world.problem();
        if RoundRobin.assign(&group).iter().len() < 2 {
            continue;
        }
        for (expected, fault) in faults {
            let error = Assignment::by(&Careless(fault), &group).expect_err("it did something wrong");
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(
                error.to_string().contains("careless") && error.to_string().contains(expected),
                "{error}"
            );
            found += 1;
        }
        assert!(!problem.partitions.is_empty());
    }
    assert!(found > 200, "only {found} faults were tried");
}
