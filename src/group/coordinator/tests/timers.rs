//! The timers.

use super::super::*;
use super::*;

/// SEMANTICS 34: a member in process that makes no progress is expelled, however long it may live.
#[test]
fn a_member_that_does_not_poll_is_expelled() {
    let mut group = group();
    for member in ["a", "b"] {
        group.join(newcomer(member, &["t"]), SECOND).expect("it may");
    }
    settle(&mut group, &["a", "b"], SECOND);
    assert_eq!(group.next_due(), SECOND + INTERVAL);
    poll(&mut group, "b", 2 * SECOND);
    group.tick(SECOND + INTERVAL - Duration::from_nanos(1));
    assert_eq!(held(&group, "a"), [0, 1]);
    group.tick(SECOND + INTERVAL);
    assert_eq!(group.poll(&id("a"), SECOND + INTERVAL), Err(Refusal::UnknownMember));
    assert_eq!(poll(&mut group, "b", SECOND + INTERVAL), [0, 1]);
    check(&group);
}

#[test]
fn a_member_that_waits_for_records_makes_progress() {
    let mut group = group();
    group.join(newcomer("a", &["t"]), SECOND).expect("it may");
    poll(&mut group, "a", SECOND);
    for round in 1..10 {
        group.progress("a", Presence::Working(round * INTERVAL)).expect("it is a member");
        group.tick(round * INTERVAL + SECOND);
        assert_eq!(held(&group, "a"), [0, 1, 2, 3]);
    }
    assert_eq!(group.next_due(), 10 * INTERVAL);
}

#[test]
fn who_does_not_give_up_what_it_is_asked_for_is_expelled() {
    let mut group = group();
    group.join(newcomer("a", &["t"]), SECOND).expect("it may");
    poll(&mut group, "a", SECOND);
    group.join(newcomer("b", &["t"]), SECOND).expect("it may");
    let changes = group.poll(&id("a"), 2 * SECOND).expect("it is a member");
    assert_eq!(numbers(&changes.revoked), [2, 3]);
    for minute in 1..=4 {
        let now = 60 * minute * SECOND;
        group.tick(now);
        group.poll(&id("a"), now).expect("it is a member and polls");
        group.poll(&id("b"), now).expect("it is a member");
    }
    group.tick(2 * SECOND + INTERVAL);
    assert_eq!(group.poll(&id("a"), 2 * SECOND + INTERVAL), Err(Refusal::UnknownMember));
    assert_eq!(poll(&mut group, "b", 2 * SECOND + INTERVAL), [0, 1, 2, 3]);
}

#[test]
fn a_static_member_that_stays_away_is_expelled_by_its_session() {
    let mut group = group();
    group.join(of_instance("a1", "A"), SECOND).expect("it may");
    poll(&mut group, "a1", SECOND);
    group.leave(&id("a1"), 5 * SECOND).expect("it is a member");
    assert_eq!(group.next_due(), 5 * SECOND + SESSION);
    group.tick(5 * SECOND + SESSION);
    assert_eq!(group.state(), GroupState::Empty);
    check(&group);
}
