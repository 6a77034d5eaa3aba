//! How many partitions of each class each member holds.

use super::roster::Roster;
use std::ops::Range;

/// How many partitions of each class each member holds, while the best placement is looked for.
///
/// Classes, members and shares go by number; a number that is out of range is a bug, and does nothing.
#[derive(Debug)]
pub(super) struct Placement {
    /// By class, then by member.
    shares: Vec<Share>,
    /// The shares of each class.
    by_class: Vec<Range<usize>>,
    /// The shares of each member.
    by_member: Vec<Vec<usize>>,
    /// How many partitions each member holds. Always the sum over its shares.
    loads: Vec<u32>,
    /// How many partitions of each class nobody holds yet.
    orphan_counts: Vec<u32>,
}

/// What one member holds of one class that it wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) class: usize,
    pub(super) member: usize,
    /// What it owned before.
    pub(super) owned: u32,
    /// What it is to hold.
    pub(super) held: u32,
}

impl Placement {
    /// Every member holds what it owned.
    pub(super) fn of(roster: &Roster<'_>) -> Self {
        let mut shares: Vec<Share> = Vec::new();
        let mut by_class = Vec::new();
        let mut by_member = vec![Vec::new(); roster.members.len()];
        let mut loads = vec![0_u32; roster.members.len()];
        let mut orphan_counts = Vec::new();
        for (class, content) in roster.classes.iter().enumerate() {
            let start = shares.len();
            for (member, owned) in content.subscribers.iter().zip(&content.owned) {
                if let (Some(own), Some(load)) = (by_member.get_mut(*member), loads.get_mut(*member)) {
                    let owned = count(owned.len());
                    own.push(shares.len());
                    shares.push(Share { class, member: *member, owned, held: owned });
                    *load = load.saturating_add(owned);
                }
            }
            by_class.push(start..shares.len());
            orphan_counts.push(count(content.orphans.len()));
        }
        Self { shares, by_class, by_member, loads, orphan_counts }
    }

    pub(super) fn shares(&self) -> &[Share] {
        &self.shares
    }

    pub(super) fn class_count(&self) -> usize {
        self.by_class.len()
    }

    pub(super) fn orphan_counts(&self) -> &[u32] {
        &self.orphan_counts
    }

    pub(super) fn loads(&self) -> &[u32] {
        &self.loads
    }

    pub(super) fn load(&self, member: usize) -> u32 {
        self.loads.get(member).copied().unwrap_or(0)
    }

    /// The shares of a class, with their numbers.
    pub(super) fn of_class(&self, class: usize) -> impl Iterator<Item = (usize, &Share)> {
        let range = self.by_class.get(class).cloned().unwrap_or(0..0);
        range.clone().zip(self.shares.get(range).unwrap_or(&[]))
    }

    /// The shares of a member, with their numbers.
    pub(super) fn of_member(&self, member: usize) -> impl Iterator<Item = (usize, &Share)> {
        let own = self.by_member.get(member).map_or(&[][..], Vec::as_slice);
        own.iter().filter_map(|number| Some((*number, self.shares.get(*number)?)))
    }

    /// One partition more for this share.
    pub(super) fn put(&mut self, share: usize) {
        self.change(share, |count| count.saturating_add(1));
    }

    /// One partition less for this share, which holds one.
    pub(super) fn take(&mut self, share: usize) {
        self.change(share, |count| count.saturating_sub(1));
    }

    fn change(&mut self, share: usize, change: impl Fn(u32) -> u32) {
        let Some(share) = self.shares.get_mut(share) else { return };
        let Some(load) = self.loads.get_mut(share.member) else { return };
        share.held = change(share.held);
        *load = change(*load);
    }
}

/// No group has 2^32 partitions: a topic has at most 100,000, and all of them are in memory.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
