//! What can happen to a group.

/// How many members there are at most.
pub const SEATS: usize = 7;
/// How many topics there are at most.
pub const TOPICS: usize = 4;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A member joins, if the seat is free.
    Join(usize),
    /// A static member joins, in the place of one of its name wherever that is.
    JoinStatic(usize, u8),
    /// A member closes.
    Close(usize),
    /// A member is dropped.
    Crash(usize),
    /// A member polls.
    Poll(usize),
    /// All poll, in turn.
    PollAll,
    /// A member commits what it has.
    Commit(usize),
    /// A member commits only a part of what it has, of one partition.
    CommitPart(usize),
    /// A member commits a partition that is not its own.
    CommitForeign(usize),
    /// A member wants other topics.
    Subscribe(usize),
    /// Records are appended.
    Append(usize),
    /// A topic is made, or grows.
    Grow(usize),
    /// A topic is deleted.
    Delete(usize),
    /// A little time passes.
    Wait,
    /// So much time passes that who does not poll is expelled.
    Stall,
    /// What is due is done.
    Maintain,
    /// What the broker says of the group is looked at.
    Describe,
    /// Everything that disturbs ends for a while.
    CalmDown,
    /// The broker is closed and opened again.
    Restart,
}

impl Step {
    pub fn random(rng: &mut fastrand::Rng) -> Self {
        let seat = rng.usize(..SEATS);
        let topic = rng.usize(..TOPICS);
        match rng.u32(..1_000) {
            0..70 => Self::Join(seat),
            70..100 => Self::JoinStatic(seat, rng.u8(..3)),
            100..115 => Self::Close(seat),
            115..135 => Self::Crash(seat),
            135..520 => Self::Poll(seat),
            520..560 => Self::PollAll,
            560..660 => Self::Commit(seat),
            660..690 => Self::CommitPart(seat),
            690..720 => Self::CommitForeign(seat),
            720..740 => Self::Subscribe(seat),
            740..860 => Self::Append(topic),
            860..875 => Self::Grow(topic),
            875..879 => Self::Delete(topic),
            879..920 => Self::Wait,
            920..932 => Self::Stall,
            932..965 => Self::Maintain,
            965..990 => Self::Describe,
            990..998 => Self::CalmDown,
            _ => Self::Restart,
        }
    }
}
