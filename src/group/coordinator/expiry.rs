//! The two timers: is the member alive, and does it make progress?
//!
//! ```text
//!     in process   poll interval, since the last progress: a poll, or that it was seen to wait inside of one
//!                  the same, since it was asked to give something up
//!     static       session, since it left
//!     remote       session, since it was heard of; none while the coordinator owes it the answer to a join
//!     round        the longest rebalance time-out, since the round began, and again since the join completed
//! ```

use super::member::{InProcess, Kind, Member, Presence, Remote};
use super::{Coordinator, Effect};
use crate::group::GroupState;
use std::sync::Arc;
use std::time::Duration;

impl Coordinator {
    /// Expels whose time is over by `now`, and ends a step of a round whose time is.
    pub(crate) fn tick(&mut self, now: Duration) {
        let is_over = |(_, member): &(&Arc<str>, &Member)| member.due() <= now;
        let over: Vec<Arc<str>> = self.members.iter().filter(is_over).map(|(id, _)| id.clone()).collect();
        if !over.is_empty() {
            over.iter().for_each(|id| self.expel(id));
            self.changed(now);
        }
        if self.is_round_timed() && self.round_due <= now {
            self.end_round_step(now);
        }
    }

    /// When a tick will have something to do, unless something happens before; [`Duration::MAX`]: never.
    pub(crate) fn next_due(&self) -> Duration {
        let first = self.members.values().map(Member::due).min().unwrap_or(Duration::MAX);
        if self.is_round_timed() { first.min(self.round_due) } else { first }
    }

    fn is_round_timed(&self) -> bool {
        self.has_remote()
            && matches!(self.state, GroupState::PreparingRebalance | GroupState::CompletingRebalance)
    }

    /// Throws a member out. The caller sees to what follows.
    pub(super) fn expel(&mut self, id: &Arc<str>) {
        let removed = self.remove(id);
        match removed.map(|member| member.kind) {
            Some(Kind::InProcess(_)) => self.effects.push(Effect::Wake(id.clone())),
            Some(Kind::Remote(remote)) => self.answer_gone(&remote, &super::Refusal::UnknownMember),
            None => {}
        }
    }
}

impl Member {
    /// When it is to be expelled, unless something is heard of it before.
    fn due(&self) -> Duration {
        match &self.kind {
            Kind::Remote(remote) => remote.due(),
            Kind::InProcess(own) => {
                let asked = self.held.values().filter_map(|hold| hold.asked).min();
                let give_up = asked.map_or(Duration::MAX, |asked| asked.saturating_add(own.poll_interval));
                own.due().min(give_up)
            }
        }
    }
}

impl InProcess {
    fn due(&self) -> Duration {
        match self.presence {
            Presence::Working(since) => since.saturating_add(self.poll_interval),
            Presence::Away(since) => since.saturating_add(self.session_timeout),
        }
    }
}

impl Remote {
    fn due(&self) -> Duration {
        if self.join.is_some() { Duration::MAX } else { self.heard.saturating_add(self.session_timeout) }
    }
}
