//! The most even assignment there is, with as little change as that allows.
//!
//! ```text
//!     GroupSubscription ─▶ Roster              members, and classes of partitions: those wanted by the same
//!                            │                 members can stand in for each other
//!                        Placement             how many of each class each member holds, to begin with its own
//!                            │ place_orphans   what nobody owns goes to who has least
//!                            │ balance         along paths, from who has more to who has less
//!                            │ reduce_moves    around cycles that change no load
//!                            ▼
//!                          deal ─▶ Assignment  a member keeps of its own what it may; the rest is dealt out
//! ```
//!
//! What counts is, first, the balance: the loads of all members, compared in pairs, differ by as little as
//! subscriptions allow. Among the assignments with that balance, one that takes the fewest partitions from
//! their owners is chosen. Both are exact, the second as long as
//! `moves::WORK_MAX` suffices.

mod balance;
mod deal;
mod moves;
mod placement;
mod roster;

use super::{Assignment, Assignor, GroupSubscription, RebalanceProtocol};

/// Balances as well as subscriptions allow, and takes the fewest partitions from their owners.
///
/// Kafka's clients give up everything in each rebalance with it, and get most of it back: see
/// [`CooperativeSticky`] for the same without that pause. Members in this process give up only what moves, with
/// either of them.
///
/// ```
/// use annals::group::{Assignment, Generation, GroupSubscription, Sticky, Subscription};
/// use annals::TopicPartition;
/// let place = |number| TopicPartition::new("orders", number);
/// let first = Generation::NONE.next();
/// let group = GroupSubscription::new()
///     .with_topic("orders", 3)
///     .with_member("a", Subscription::new(["orders"]).with_owned(first, [place(0), place(1), place(2)]))
///     .with_member("b", Subscription::new(["orders"]));
/// let assignment = Assignment::by(&Sticky, &group)?;
/// assert_eq!(assignment.of("a"), [place(0), place(1)], "it keeps two of its own");
/// assert_eq!(assignment.of("b"), [place(2)]);
/// # Ok::<(), annals::Error>(())
/// ```
#[doc(alias = "StickyAssignor")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Sticky;

impl Assignor for Sticky {
    fn name(&self) -> &'static str {
        "sticky"
    }

    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Eager
    }

    fn assign(&self, group: &GroupSubscription) -> Assignment {
        assign(group)
    }
}

/// Places as [`Sticky`] does, and interrupts nobody whose partitions stay.
///
/// What moves is given up by its old owner in one generation and given to its new one in the next:
/// [`Assignment::hand_over`]. So it is in Kafka since [KIP-429].
///
/// [KIP-429]: https://cwiki.apache.org/confluence/display/KAFKA/KIP-429%3A+Kafka+Consumer+Incremental+Rebalance+Protocol
///
/// ```
/// use annals::group::{Assignor, CooperativeSticky, RebalanceProtocol};
/// assert_eq!(CooperativeSticky.protocol(), RebalanceProtocol::Cooperative);
/// ```
#[doc(alias = "CooperativeStickyAssignor")]
#[derive(Clone, Copy, Debug, Default)]
pub struct CooperativeSticky;

impl Assignor for CooperativeSticky {
    fn name(&self) -> &'static str {
        "cooperative-sticky"
    }

    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Cooperative
    }

    fn assign(&self, group: &GroupSubscription) -> Assignment {
        assign(group)
    }
}

fn assign(group: &GroupSubscription) -> Assignment {
    let roster = roster::Roster::of(group);
    let mut placement = placement::Placement::of(&roster);
    balance::place_orphans(&mut placement);
    balance::balance(&mut placement);
    moves::reduce_moves(&mut placement, moves::WORK_MAX);
    deal::deal(&roster, &placement)
}
