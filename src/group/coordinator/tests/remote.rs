//! Remote members: the messages as a broker of Kafka would get them.

use super::super::effect::{Joined, Synced};
use super::super::remote::{JoinRequest, Sender};
use super::super::*;
use super::*;
use crate::group::RebalanceProtocol;
use crate::group::wire::{WireSubscription, encode_assignment};
use crate::group::{Assignment, GroupSubscription};

const REBALANCE: Duration = Duration::from_secs(60);

/// An assignor that keeps what moves back, in name.
#[derive(Debug)]
struct Cooperative;

impl Assignor for Cooperative {
    fn name(&self) -> &str {
        "cooperative-sticky"
    }

    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Cooperative
    }

    fn assign(&self, group: &GroupSubscription) -> Assignment {
        Range.assign(group)
    }
}

fn metadata(owned: &[u32]) -> Arc<[u8]> {
    let topics = vec![id("t")];
    WireSubscription { topics, owned: owned.iter().map(|n| place(*n)).collect(), ..Default::default() }
        .encode()
}

fn request(number: u64, member: &str, is_new: bool) -> JoinRequest {
    JoinRequest {
        request: number,
        id: id(member),
        is_new,
        instance_id: None,
        client_id: "remote".into(),
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
        protocols: vec![(id("range"), metadata(&[]))],
    }
}

fn sender<'a>(member: &'a Arc<str>, group: &Coordinator) -> Sender<'a> {
    Sender { id: member, instance_id: None, generation: group.generation() }
}

/// The answers since the last call, by request.
fn answers(group: &mut Coordinator) -> BTreeMap<u64, Effect> {
    check(group);
    let effects = group.take_effects().into_iter();
    let answers = effects.filter_map(|effect| match effect {
        Effect::Wake(_) | Effect::Fence(_) => None,
        Effect::Joined(request, _) | Effect::Synced(request, _) => Some((request, effect)),
    });
    answers.collect()
}

fn joined(answers: &BTreeMap<u64, Effect>, request: u64) -> Joined {
    match answers.get(&request) {
        Some(Effect::Joined(_, Ok(joined))) => joined.clone(),
        other => panic!("request {request} got {other:?}"),
    }
}

fn synced(answers: &BTreeMap<u64, Effect>, request: u64) -> Synced {
    match answers.get(&request) {
        Some(Effect::Synced(_, Ok(synced))) => synced.clone(),
        other => panic!("request {request} got {other:?}"),
    }
}

fn refused(answers: &BTreeMap<u64, Effect>, request: u64) -> Refusal {
    match answers.get(&request) {
        Some(Effect::Joined(_, Err(refusal)) | Effect::Synced(_, Err(refusal))) => refusal.clone(),
        other => panic!("request {request} got {other:?}"),
    }
}

fn assignment(numbers: &[u32]) -> Arc<[u8]> {
    encode_assignment(&numbers.iter().map(|number| place(*number)).collect::<Vec<_>>())
}

/// A stable group of "a", which leads, and "b": two partitions each.
fn pair() -> Coordinator {
    let mut group = group();
    group.remote_join(request(1, "a", true), SECOND);
    answers(&mut group);
    group.remote_join(request(2, "b", true), SECOND);
    group.remote_join(request(3, "a", false), SECOND);
    answers(&mut group);
    sync_pair(&mut group, SECOND);
    group
}

/// Both sync what the leader "a" says.
fn sync_pair(group: &mut Coordinator, now: Duration) {
    let (a, b) = (id("a"), id("b"));
    group.remote_sync(sender(&b, group), 101, Vec::new(), now);
    let said = vec![(a.clone(), assignment(&[0, 1])), (b, assignment(&[2, 3]))];
    group.remote_sync(sender(&a, group), 100, said, now);
    let answers = answers(group);
    assert_eq!(synced(&answers, 100).assignment, assignment(&[0, 1]));
    assert_eq!(synced(&answers, 101).assignment, assignment(&[2, 3]));
    assert_eq!(group.state(), GroupState::Stable);
}

#[test]
fn a_first_member_leads_and_the_second_brings_everybody_together() {
    let mut group = group();
    group.remote_join(request(1, "a", true), SECOND);
    let first = joined(&answers(&mut group), 1);
    assert_eq!((&*first.leader, &*first.protocol, first.members.len()), ("a", "range", 1));
    assert_eq!(group.state(), GroupState::CompletingRebalance);
    let a = id("a");
    group.remote_sync(sender(&a, &group), 2, vec![(a.clone(), assignment(&[0, 1, 2, 3]))], SECOND);
    assert_eq!(synced(&answers(&mut group), 2).assignment, assignment(&[0, 1, 2, 3]));
    assert_eq!(held(&group, "a"), [0, 1, 2, 3]);

    group.remote_join(request(3, "b", true), SECOND);
    assert!(answers(&mut group).is_empty(), "it waits for a");
    assert_eq!(group.remote_heartbeat(sender(&a, &group), SECOND), Err(Refusal::RebalanceInProgress));
    assert_eq!(
        group.remote_may_commit(sender(&a, &group), &place(0), SECOND),
        Ok(()),
        "before it joins anew"
    );
    group.remote_join(request(4, "a", false), SECOND);
    let both = answers(&mut group);
    let (leader, follower) = (joined(&both, 4), joined(&both, 3));
    assert_eq!((leader.members.len(), follower.members.len(), &*follower.leader), (2, 0, "a"));
    assert!(leader.generation > first.generation);
    assert_eq!(held(&group, "a"), [] as [u32; 0], "who joins an eager group anew has given up everything");
    let refusal = group.remote_may_commit(sender(&a, &group), &place(0), SECOND);
    assert_eq!(refusal, Err(Refusal::RebalanceInProgress));
    sync_pair(&mut group, SECOND);
    assert_eq!((held(&group, "a"), held(&group, "b")), (vec![0, 1], vec![2, 3]));
    assert_eq!(group.remote_heartbeat(sender(&a, &group), SECOND), Ok(()));
    assert_eq!(group.remote_may_commit(sender(&a, &group), &place(0), SECOND), Ok(()));
    let refusal = group.remote_may_commit(sender(&a, &group), &place(2), SECOND);
    assert_eq!(refusal, Err(Refusal::NotHeld(place(2))), "SEMANTICS 30: it must own it");
}

#[test]
fn who_speaks_of_another_generation_or_is_unknown_is_refused() {
    let mut group = pair();
    let (a, c) = (id("a"), id("c"));
    let old = Sender { id: &a, instance_id: None, generation: Generation::NONE };
    assert_eq!(group.remote_heartbeat(old, SECOND), Err(Refusal::IllegalGeneration));
    assert_eq!(group.remote_may_commit(old, &place(0), SECOND), Err(Refusal::IllegalGeneration));
    group.remote_sync(old, 9, Vec::new(), SECOND);
    assert_eq!(refused(&answers(&mut group), 9), Refusal::IllegalGeneration);
    assert_eq!(group.remote_heartbeat(sender(&c, &group), SECOND), Err(Refusal::UnknownMember));
    group.remote_join(request(10, "c", false), SECOND);
    assert_eq!(refused(&answers(&mut group), 10), Refusal::UnknownMember);
    let odd = vec![(id("odd"), metadata(&[]))];
    group.remote_join(JoinRequest { protocols: odd, ..request(11, "c", true) }, SECOND);
    assert_eq!(refused(&answers(&mut group), 11), Refusal::InconsistentProtocol);
    assert_eq!(group.state(), GroupState::Stable, "nothing came of it");
}

#[test]
fn a_lost_answer_can_be_asked_for_again() {
    let mut group = pair();
    let generation = group.generation();
    group.remote_join(request(5, "b", false), SECOND);
    let again = joined(&answers(&mut group), 5);
    assert_eq!((again.generation, group.state()), (generation, GroupState::Stable));
    let b = id("b");
    group.remote_sync(sender(&b, &group), 6, Vec::new(), SECOND);
    assert_eq!(synced(&answers(&mut group), 6).assignment, assignment(&[2, 3]));
    group.remote_join(request(7, "a", false), SECOND);
    assert_eq!(group.state(), GroupState::PreparingRebalance, "the leader wants to assign anew");
}

#[test]
fn who_leaves_has_the_others_join_anew() {
    let mut group = pair();
    assert_eq!(group.remote_leave(&id("b"), None, SECOND), Ok(()));
    assert_eq!(group.state(), GroupState::PreparingRebalance);
    assert_eq!(group.remote_leave(&id("b"), None, SECOND), Err(Refusal::UnknownMember));
    group.remote_join(request(5, "a", false), SECOND);
    assert_eq!(joined(&answers(&mut group), 5).members.len(), 1);
    assert_eq!(group.remote_leave(&id("a"), None, SECOND), Ok(()));
    assert_eq!(group.state(), GroupState::Empty);
    check(&group);
}

/// SEMANTICS 34, 39: a crashed remote member is expelled by its session time-out.
#[test]
fn a_session_runs_out_without_heartbeats() {
    let mut group = pair();
    let a = id("a");
    let later = SECOND + SESSION / 2;
    assert_eq!(group.remote_heartbeat(sender(&a, &group), later), Ok(()));
    assert_eq!(group.next_due(), SECOND + SESSION, "b was heard of last when it synced");
    group.tick(SECOND + SESSION);
    let b = id("b");
    assert_eq!(group.remote_heartbeat(sender(&b, &group), SECOND + SESSION), Err(Refusal::UnknownMember));
    assert_eq!(
        group.remote_heartbeat(sender(&a, &group), SECOND + SESSION),
        Err(Refusal::RebalanceInProgress)
    );
}

#[test]
fn a_round_does_not_wait_for_ever() {
    let mut group = pair();
    group.remote_join(request(5, "c", true), 2 * SECOND);
    let (a, b) = (id("a"), id("b"));
    // Both live, but neither joins anew.
    for second in [20, 40, 60] {
        for member in [&a, &b] {
            let beat = group.remote_heartbeat(sender(member, &group), second * SECOND);
            assert_eq!(beat, Err(Refusal::RebalanceInProgress));
        }
    }
    group.tick(2 * SECOND + REBALANCE);
    let alone = joined(&answers(&mut group), 5);
    assert_eq!((&*alone.leader, alone.members.len()), ("c", 1));
    assert_eq!(group.members.len(), 1, "the others are expelled");
    // And c does not sync.
    let c = id("c");
    for second in [90, 120] {
        assert_eq!(group.remote_heartbeat(sender(&c, &group), second * SECOND), Ok(()));
    }
    group.tick(2 * SECOND + 2 * REBALANCE);
    assert_eq!(group.state(), GroupState::Empty);
    check(&group);
}

#[test]
fn who_waits_for_an_answer_is_not_expelled_meanwhile() {
    let mut group = pair();
    group.remote_join(request(5, "c", true), SECOND);
    group.tick(SECOND + SESSION);
    assert!(group.members.contains_key("c"), "the coordinator owes it an answer");
}

#[test]
fn a_sync_that_waits_hears_of_a_new_round() {
    let mut group = group();
    group.remote_join(request(1, "a", true), SECOND);
    group.remote_join(request(2, "b", true), SECOND);
    group.remote_join(request(3, "a", false), SECOND);
    answers(&mut group);
    let b = id("b");
    group.remote_sync(sender(&b, &group), 4, Vec::new(), SECOND);
    assert!(answers(&mut group).is_empty());
    group.remote_join(request(5, "c", true), SECOND);
    assert_eq!(refused(&answers(&mut group), 4), Refusal::RebalanceInProgress);
}

fn of_static(number: u64, member: &str, is_new: bool) -> JoinRequest {
    JoinRequest { instance_id: Some(id("A")), ..request(number, member, is_new) }
}

#[test]
fn a_static_remote_member_returns_without_a_rebalance_and_fences_the_one_before() {
    let mut group = group();
    group.remote_join(of_static(1, "a1", true), SECOND);
    let (a1, a2, instance) = (id("a1"), id("a2"), id("A"));
    group.remote_sync(sender(&a1, &group), 2, vec![(a1.clone(), assignment(&[0, 1]))], SECOND);
    answers(&mut group);
    let generation = group.generation();
    group.remote_join(of_static(3, "a2", true), SECOND);
    let back = joined(&answers(&mut group), 3);
    assert_eq!((back.generation, &*back.leader, back.skips_assignment), (generation, "a2", true));
    group.remote_sync(sender(&a2, &group), 4, Vec::new(), SECOND);
    assert_eq!(synced(&answers(&mut group), 4).assignment, assignment(&[0, 1]));
    assert_eq!(held(&group, "a2"), [0, 1]);
    let before = Sender { instance_id: Some(&instance), ..sender(&a1, &group) };
    assert_eq!(group.remote_heartbeat(before, SECOND), Err(Refusal::FencedInstance(instance.clone())));
    group.remote_join(of_static(5, "a1", false), SECOND);
    assert_eq!(refused(&answers(&mut group), 5), Refusal::FencedInstance(instance));
}

#[test]
fn an_eager_mixed_group_takes_turns_by_rounds() {
    let mut group = group();
    group.join(newcomer("here", &["t"]), SECOND).expect("it may");
    poll(&mut group, "here", SECOND);
    group.remote_join(request(1, "there", true), SECOND);
    assert!(called(&mut group).contains(&id("here")));
    let changes = group.poll(&id("here"), SECOND).expect("it is a member");
    assert_eq!(numbers(&changes.revoked), [0, 1, 2, 3], "an eager round takes everything");
    assert!(answers(&mut group).is_empty(), "not given up yet");
    group.gave_up(&id("here"), &changes.revoked, SECOND).expect("it is a member");
    let leads = joined(&answers(&mut group), 1);
    assert_eq!((&*leads.leader, leads.members.len()), ("there", 2), "who has an assignor elsewhere leads");
    let of_here = leads.members.iter().find(|member| &*member.member_id == "here").expect("it has joined");
    let wants = WireSubscription::decode(&of_here.metadata).expect("it is written here");
    assert_eq!(wants.topics, [id("t")]);
    let there = id("there");
    let said = vec![(id("here"), assignment(&[0])), (there.clone(), assignment(&[1, 2, 3]))];
    group.remote_sync(sender(&there, &group), 2, said, SECOND);
    answers(&mut group);
    assert_eq!(poll(&mut group, "here", SECOND), [0]);
    assert_eq!((held(&group, "here"), held(&group, "there")), (vec![0], vec![1, 2, 3]));
    assert_eq!(group.remote_leave(&there, None, SECOND), Ok(()));
    assert_eq!(poll(&mut group, "here", SECOND), [1, 2, 3], "among themselves they need no round");
    assert_eq!(group.state(), GroupState::Stable);
}

#[test]
fn a_cooperative_mixed_group_keeps_what_does_not_move() {
    let mut group = group();
    let cooperative: Arc<dyn Assignor> = Arc::new(Cooperative);
    group
        .join(Newcomer { assignors: vec![cooperative], ..newcomer("here", &["t"]) }, SECOND)
        .expect("it may");
    poll(&mut group, "here", SECOND);
    let there = id("there");
    let join = |number, is_new, owned: &[u32]| JoinRequest {
        protocols: vec![(id("cooperative-sticky"), metadata(owned))],
        ..request(number, "there", is_new)
    };
    group.remote_join(join(1, true, &[]), SECOND);
    assert_eq!(poll(&mut group, "here", SECOND), [] as [u32; 0]);
    assert_eq!(held(&group, "here"), [0, 1, 2, 3], "it goes on with all of them");
    let leads = joined(&answers(&mut group), 1);
    let of_here = leads.members.iter().find(|member| &*member.member_id == "here").expect("it has joined");
    assert_eq!(WireSubscription::decode(&of_here.metadata).expect("it is written here").owned.len(), 4);
    // The leader holds back what moves.
    let said = vec![(id("here"), assignment(&[0, 1])), (there.clone(), assignment(&[]))];
    group.remote_sync(sender(&there, &group), 2, said, SECOND);
    answers(&mut group);
    assert_eq!(poll(&mut group, "here", SECOND), [] as [u32; 0]);
    assert_eq!(held(&group, "here"), [0, 1]);
    assert_eq!(
        group.state(),
        GroupState::PreparingRebalance,
        "what was given up is assigned in another round"
    );
    poll(&mut group, "here", SECOND);
    group.remote_join(join(3, false, &[]), SECOND);
    joined(&answers(&mut group), 3);
    let said = vec![(id("here"), assignment(&[0, 1])), (there.clone(), assignment(&[2, 3]))];
    group.remote_sync(sender(&there, &group), 4, said, SECOND);
    answers(&mut group);
    assert_eq!((held(&group, "here"), held(&group, "there")), (vec![0, 1], vec![2, 3]));
    // A leader that hands over directly is not believed: the new owner gets it once it was given up.
    group.remote_join(join(5, false, &[2, 3]), SECOND);
    poll(&mut group, "here", SECOND);
    let said = vec![(id("here"), assignment(&[0])), (there.clone(), assignment(&[1, 2, 3]))];
    group.remote_sync(sender(&there, &group), 6, said, SECOND);
    assert_eq!(held(&group, "there"), [2, 3]);
    poll(&mut group, "here", SECOND);
    assert_eq!((held(&group, "here"), held(&group, "there")), (vec![0], vec![1, 2, 3]));
    check(&group);
}

#[test]
fn what_cannot_be_read_is_passed_on_and_goes_by_the_generation() {
    let mut group = group();
    let protocols = vec![(id("mine"), Arc::from(&b"?"[..]))];
    group.remote_join(JoinRequest { protocols, ..request(1, "a", true) }, SECOND);
    assert_eq!(&*joined(&answers(&mut group), 1).members[0].metadata, b"?");
    let a = id("a");
    group.remote_sync(sender(&a, &group), 2, vec![(a.clone(), Arc::from(&b"!"[..]))], SECOND);
    assert_eq!(&*synced(&answers(&mut group), 2).assignment, b"!");
    assert_eq!(group.remote_may_commit(sender(&a, &group), &place(7), SECOND), Ok(()));
}
