//! Members in this process.

use super::super::*;
use super::*;
use crate::ErrorKind;
use crate::group::{Assignment, GroupSubscription, RebalanceProtocol};

/// Polls, gives up what is asked for, and says what was given.
pub(super) fn poll(group: &mut Coordinator, member: &str, now: Duration) -> Vec<u32> {
    let changes = group.poll(&id(member), now).expect("it is a member");
    if !changes.revoked.is_empty() {
        group.gave_up(&id(member), &changes.revoked, now).expect("it is a member");
    }
    check(group);
    numbers(changes.assigned.iter().map(|given| &given.partition))
}

#[test]
fn the_first_member_gets_everything_at_its_first_poll() {
    let mut group = group();
    group.join(newcomer("a", &["t", "missing"]), SECOND).expect("it may");
    assert_eq!(group.state(), GroupState::CompletingRebalance);
    assert_eq!(called(&mut group), [id("a")]);
    assert_eq!(poll(&mut group, "a", SECOND), [0, 1, 2, 3]);
    assert_eq!(group.state(), GroupState::Stable);
    assert_eq!(poll(&mut group, "a", SECOND), [] as [u32; 0]);
    assert_eq!(called(&mut group), [] as [Arc<str>; 0], "nothing is new for anybody");
}

/// SEMANTICS 29, 35: a partition goes to its new owner only after the old one gave it up; the others stay.
#[test]
fn a_partition_is_given_only_after_it_was_given_up() {
    let mut group = group();
    group.join(newcomer("a", &["t"]), SECOND).expect("it may");
    poll(&mut group, "a", SECOND);
    group.join(newcomer("b", &["t"]), SECOND).expect("it may");
    assert_eq!(poll(&mut group, "b", SECOND), [] as [u32; 0]);
    let changes = group.poll(&id("a"), SECOND).expect("it is a member");
    assert_eq!(numbers(&changes.revoked), [2, 3], "only what moves");
    assert_eq!(poll(&mut group, "b", SECOND), [] as [u32; 0], "not given up yet");
    let since = group.generation();
    assert_eq!(group.may_commit("a", &place(3), Generation::NONE.next()), Ok(()), "it may commit first");
    let again = group.poll(&id("a"), SECOND).expect("it is a member");
    assert_eq!(again, Changes::default(), "it is asked once");
    called(&mut group);
    group.gave_up(&id("a"), &[place(3)], SECOND).expect("it is a member");
    assert_eq!(called(&mut group), [id("b")]);
    assert_eq!(poll(&mut group, "b", SECOND), [3]);
    assert_eq!(group.state(), GroupState::CompletingRebalance);
    group.gave_up(&id("a"), &[place(2)], SECOND).expect("it is a member");
    assert_eq!(poll(&mut group, "b", SECOND), [2]);
    assert_eq!(group.state(), GroupState::Stable);
    assert_eq!(group.generation(), since, "one plan was enough");
    let refused = group.may_commit("a", &place(3), Generation::NONE.next());
    assert_eq!(refused, Err(Refusal::NotHeld(place(3))));
}

/// SEMANTICS 30: of the current generation, and owning it.
#[test]
fn a_commit_goes_by_the_generation_in_which_the_partition_was_given() {
    let mut group = group();
    group.join(newcomer("a", &["t"]), SECOND).expect("it may");
    poll(&mut group, "a", SECOND);
    let first = group.generation();
    group.gave_up(&id("a"), &[place(0)], SECOND).expect("it is a member");
    assert_eq!(group.may_commit("a", &place(0), first), Err(Refusal::NotHeld(place(0))));
    group.join(newcomer("b", &["other"]), SECOND).expect("it may");
    assert_eq!(poll(&mut group, "a", SECOND), [0], "it gets it back");
    assert_eq!(group.may_commit("a", &place(0), first), Err(Refusal::NotHeld(place(0))), "an old generation");
    assert_eq!(group.may_commit("a", &place(0), group.generation()), Ok(()));
    assert_eq!(group.may_commit("a", &place(1), first), Ok(()), "it has had this one all along");
    assert_eq!(group.may_commit("b", &place(1), first), Err(Refusal::NotHeld(place(1))));
    assert_eq!(group.may_commit("c", &place(1), first), Err(Refusal::UnknownMember));
}

#[test]
fn what_a_member_leaves_goes_to_the_others() {
    let mut group = group();
    for member in ["a", "b"] {
        group.join(newcomer(member, &["t"]), SECOND).expect("it may");
    }
    assert!(settle(&mut group, &["a", "b"], SECOND) <= 3);
    assert_eq!((held(&group, "a"), held(&group, "b")), (vec![0, 1], vec![2, 3]));
    called(&mut group);
    group.leave(&id("a"), SECOND).expect("it is a member");
    assert_eq!(called(&mut group), [id("b")]);
    assert_eq!(poll(&mut group, "b", SECOND), [0, 1]);
    let generation = group.generation();
    group.leave(&id("b"), SECOND).expect("it is a member");
    assert_eq!(group.state(), GroupState::Empty);
    assert!(group.generation() > generation);
    assert_eq!(group.leave(&id("b"), SECOND), Err(Refusal::UnknownMember));
    check(&group);
}

#[test]
fn topics_that_come_grow_and_go_change_the_assignment() {
    let mut group = group();
    group.join(newcomer("a", &["t", "late"]), SECOND).expect("it may");
    group.join(newcomer("b", &["t"]), SECOND).expect("it may");
    settle(&mut group, &["a", "b"], SECOND);
    let generation = group.generation();
    turn_topics(&mut group, &[("t", 4), ("unwanted", 9)], 1);
    assert_eq!((group.generation(), group.state()), (generation, GroupState::Stable));
    turn_topics(&mut group, &[("t", 6), ("late", 1)], 1);
    assert!(settle(&mut group, &["a", "b"], SECOND) <= 3);
    assert_eq!(group.members["a"].held.len() + group.members["b"].held.len(), 7);
    assert!(group.members["a"].held.contains_key(&TopicPartition::new("late", 0)));
    turn_topics(&mut group, &[("late", 1)], 1);
    let changes = group.poll(&id("b"), SECOND).expect("it is a member");
    assert_eq!((changes.lost.len(), changes.revoked.len()), (3, 0), "lost is not revoked: {changes:?}");
    settle(&mut group, &["a", "b"], SECOND);
    assert_eq!((group.members["a"].held.len(), group.members["b"].held.len()), (1, 0));
    let earlier = topics(1, &[("t", 4)], 1);
    group.topics_changed(&earlier, SECOND);
    assert!(group.topics.get("t").is_none(), "what was true before is no longer");
}

/// A topic that was deleted and made anew is another one: what was held of the first is lost, also by number.
#[test]
fn a_recreated_topic_is_another_one() {
    let mut group = group();
    group.join(newcomer("a", &["t"]), SECOND).expect("it may");
    poll(&mut group, "a", SECOND);
    let before = group.generation();
    turn_topics(&mut group, &[("t", 4)], 2);
    assert_eq!(group.may_commit("a", &place(0), before), Err(Refusal::NotHeld(place(0))));
    let changes = group.poll(&id("a"), SECOND).expect("it is a member");
    assert_eq!(numbers(&changes.lost), [0, 1, 2, 3]);
    assert_eq!(changes.assigned.len(), 4);
    assert_eq!(group.may_commit("a", &place(0), changes.assigned[0].since), Ok(()));
}

#[test]
fn a_member_that_wants_other_topics_gives_up_what_it_no_longer_wants() {
    let mut group = group();
    group.join(newcomer("a", &["t"]), SECOND).expect("it may");
    poll(&mut group, "a", SECOND);
    group.subscribe(&id("a"), [id("t")].into(), SECOND).expect("it is a member");
    assert_eq!(group.state(), GroupState::Stable, "it is what it wanted before");
    group.subscribe(&id("a"), [id("other")].into(), SECOND).expect("it is a member");
    let changes = group.poll(&id("a"), SECOND).expect("it is a member");
    assert_eq!(numbers(&changes.revoked), [0, 1, 2, 3]);
}

/// SEMANTICS 39: a static member returns without a rebalance.
#[test]
fn a_static_member_returns_without_a_rebalance() {
    let mut group = group();
    group.join(of_instance("a1", "A"), SECOND).expect("it may");
    group.join(of_instance("b1", "B"), SECOND).expect("it may");
    settle(&mut group, &["a1", "b1"], SECOND);
    let generation = group.generation();
    group.leave(&id("a1"), SECOND).expect("it is a member");
    called(&mut group);
    assert_eq!(held(&group, "a1"), [0, 1], "it keeps them while it is away");
    group.join(of_instance("a2", "A"), 2 * SECOND).expect("it may");
    assert!(!called(&mut group).contains(&id("b1")), "nobody else hears of it");
    assert_eq!(group.generation(), generation);
    assert_eq!(
        group.may_commit("a2", &place(0), generation),
        Err(Refusal::NotHeld(place(0))),
        "not told yet"
    );
    assert_eq!(poll(&mut group, "a2", 2 * SECOND), [0, 1], "it is told of all");
    assert_eq!(group.state(), GroupState::Stable);
    assert_eq!(group.poll(&id("a1"), 2 * SECOND), Err(Refusal::UnknownMember));
}

#[test]
fn a_second_member_of_an_instance_fences_the_first() {
    let mut group = group();
    group.join(of_instance("a1", "A"), SECOND).expect("it may");
    poll(&mut group, "a1", SECOND);
    let since = group.generation();
    group.join(of_instance("a2", "A"), SECOND).expect("it may");
    assert!(called(&mut group).contains(&id("a1")));
    assert!(group.is_fenced("a1", "A") && !group.is_fenced("a2", "A"));
    assert_eq!(group.may_commit("a1", &place(0), since), Err(Refusal::UnknownMember));
    assert_eq!(group.poll(&id("a1"), SECOND), Err(Refusal::UnknownMember));
    assert_eq!(poll(&mut group, "a2", SECOND), [0, 1, 2, 3]);
}

#[test]
fn a_static_member_that_is_away_gives_up_what_moves_at_once() {
    let mut group = group();
    group.join(of_instance("a1", "A"), SECOND).expect("it may");
    poll(&mut group, "a1", SECOND);
    group.leave(&id("a1"), SECOND).expect("it is a member");
    group.join(newcomer("b", &["t"]), SECOND).expect("it may");
    assert_eq!(poll(&mut group, "b", SECOND), [2, 3], "nobody works on them");
    group.join(of_instance("a2", "A"), SECOND).expect("it may");
    assert_eq!(poll(&mut group, "a2", SECOND), [0, 1]);
    assert_eq!(group.state(), GroupState::Stable);
}

/// An assignor of a user that does as it is told.
#[derive(Debug)]
struct Odd {
    name: &'static str,
    panics: bool,
}

impl Assignor for Odd {
    fn name(&self) -> &str {
        self.name
    }

    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Eager
    }

    fn assign(&self, _: &GroupSubscription) -> Assignment {
        assert!(!self.panics, "as it was told");
        Assignment::new()
    }
}

#[test]
fn an_assignor_that_panics_or_errs_is_heard_of_and_harms_nobody() {
    for panics in [true, false] {
        let mut group = group();
        group.join(newcomer("a", &["t"]), SECOND).expect("it may");
        poll(&mut group, "a", SECOND);
        group.leave(&id("a"), SECOND).expect("it is a member");
        let odd: Arc<dyn Assignor> = Arc::new(Odd { name: "odd", panics });
        group
            .join(Newcomer { assignors: vec![odd], ..newcomer("b", &["t"]) }, SECOND)
            .expect("it is the only one");
        let Err(Refusal::Assignor(error)) = group.poll(&id("b"), SECOND) else { panic!("{group:?}") };
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        check(&group);
        group.leave(&id("b"), SECOND).expect("it is a member");
        group.join(newcomer("c", &["t"]), SECOND).expect("it may");
        assert_eq!(poll(&mut group, "c", SECOND), [0, 1, 2, 3]);
    }
}

#[test]
fn members_need_an_assignor_in_common_and_the_preferred_one_is_used() {
    let odd: Arc<dyn Assignor> = Arc::new(Odd { name: "odd", panics: false });
    let range: Arc<dyn Assignor> = Arc::new(Range);
    let mut group = group();
    let both = vec![odd.clone(), range.clone()];
    group.join(Newcomer { assignors: both.clone(), ..newcomer("a", &["t"]) }, SECOND).expect("it may");
    assert_eq!(&**group.assignor(), "odd");
    group.join(newcomer("b", &["t"]), SECOND).expect("it may");
    assert_eq!(&**group.assignor(), "range", "the only one in common");
    let refused = group.join(Newcomer { assignors: vec![odd], ..newcomer("c", &["t"]) }, SECOND);
    assert_eq!(refused, Err(Refusal::InconsistentProtocol));
    assert!(settle(&mut group, &["a", "b"], SECOND) <= 3);
}

#[test]
fn only_an_empty_group_can_be_deleted_and_then_nobody_joins_it() {
    let mut group = group();
    group.join(newcomer("a", &["t"]), SECOND).expect("it may");
    assert_eq!(group.delete(), Err(Refusal::NotEmpty));
    group.leave(&id("a"), SECOND).expect("it is a member");
    assert_eq!(group.delete(), Ok(()));
    assert_eq!(group.join(newcomer("b", &["t"]), SECOND), Err(Refusal::Dead));
}

/// DESIGN 6: with undisturbed members that poll in turn a group settles within three rounds.
#[test]
fn any_change_settles_within_three_rounds() {
    let mut group = group();
    turn_topics(&mut group, &[("t", 30)], 1);
    let names: Vec<String> = (0..12).map(|number| format!("m{number:02}")).collect();
    let mut members: Vec<&str> = Vec::new();
    for name in &names {
        group.join(newcomer(name, &["t"]), SECOND).expect("it may");
        members.push(name);
        assert!(settle(&mut group, &members, SECOND) <= 3);
    }
    for _ in 0..6 {
        group.leave(&id(members.remove(0)), SECOND).expect("it is a member");
        members.reverse();
        assert!(settle(&mut group, &members, SECOND) <= 3);
    }
}
