//! Bugs that are put in on purpose, to see that the suites find them.
//!
//! ```text
//!     if planted(Bug::X) { the wrong thing }      without --cfg annals_planted: `false`, and nothing is left of it
//!                                                 with it: true in a process whose ANNALS_BUG is X
//! ```

/// Wrong things that a log can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    unreachable_pub,
    reason = "each says where it is planted what it does; public when planted"
)]
pub enum Bug {
    AckBeforeSync,
    AddedFromStartAt,
    AppendIfIgnoresEnd,
    BatchOverReserve,
    BatchesSwapped,
    BellSleepsOn,
    BeyondEndReset,
    BlockedNotWoken,
    BothSlotsAtOnce,
    CloseForgetsWaiters,
    CommitAheadOfData,
    CommitByAnybody,
    CommitNotWoken,
    CommitThroughAgain,
    CopyNotSynced,
    CutNotNoticed,
    DropForgetsDemand,
    DropForgetsStaged,
    DurableBeforeSync,
    DurableSeesWritten,
    EndNotWoken,
    EpochNotFenced,
    ExpelledKeepsPartitions,
    FailureKeepsRoom,
    FailureOvertaken,
    FlushMissesFlight,
    ExpiryFromCommit,
    FirstCommitWins,
    ForgetsAppendTime,
    GivenBeforeGivenUp,
    IndexTrusted,
    LeaveNotFlushed,
    LingerForgotten,
    LogStartNotKept,
    LossForgotten,
    LostStillRead,
    ManifestNameNotSynced,
    MarkClaimsMore,
    NextSegmentNotListed,
    NoCopyOfTail,
    NoPoison,
    OffsetNotChecked,
    PinnedNotCounted,
    PreparedIsLeftover,
    ProofClaimsMore,
    PublishBeforeStore,
    PunchIntoLog,
    ReadChecksumIgnored,
    ReadWholeBatch,
    ReceiptBeforeSync,
    RecoveryPointUnsynced,
    RestSkipped,
    RetentionBelowFloor,
    RetriedSync,
    RollNotSynced,
    SaltConstant,
    SegmentNameNotSynced,
    ShareIgnored,
    SlotNotStirred,
    SlotNotSynced,
    SnapshotNotSynced,
    StaticLeaves,
    StickyBreaksOff,
    StillWaiting,
    TimeStrictlyAfter,
    TruncationNotCommitted,
    UnlinkBeforeManifest,
    WorkInHandCommitted,
    YoungStampKeepsAll,
}

/// Whether this bug is in.
#[cfg(not(annals_planted))]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}

#[cfg(annals_planted)]
pub(crate) use enabled::planted;

#[cfg(annals_planted)]
mod enabled {
    use super::Bug;
    use std::sync::OnceLock;

    impl Bug {
        /// All of them.
        pub const ALL: &[Self] = &[
            Self::AckBeforeSync,
            Self::AddedFromStartAt,
            Self::AppendIfIgnoresEnd,
            Self::BatchOverReserve,
            Self::BatchesSwapped,
            Self::BellSleepsOn,
            Self::BeyondEndReset,
            Self::BlockedNotWoken,
            Self::BothSlotsAtOnce,
            Self::CloseForgetsWaiters,
            Self::CommitAheadOfData,
            Self::CommitByAnybody,
            Self::CommitNotWoken,
            Self::CommitThroughAgain,
            Self::CopyNotSynced,
            Self::CutNotNoticed,
            Self::DropForgetsDemand,
            Self::DropForgetsStaged,
            Self::DurableBeforeSync,
            Self::DurableSeesWritten,
            Self::EndNotWoken,
            Self::EpochNotFenced,
            Self::ExpelledKeepsPartitions,
            Self::FailureKeepsRoom,
            Self::FailureOvertaken,
            Self::FlushMissesFlight,
            Self::ExpiryFromCommit,
            Self::FirstCommitWins,
            Self::ForgetsAppendTime,
            Self::GivenBeforeGivenUp,
            Self::IndexTrusted,
            Self::LeaveNotFlushed,
            Self::LingerForgotten,
            Self::LogStartNotKept,
            Self::LossForgotten,
            Self::LostStillRead,
            Self::ManifestNameNotSynced,
            Self::MarkClaimsMore,
            Self::NextSegmentNotListed,
            Self::NoCopyOfTail,
            Self::NoPoison,
            Self::OffsetNotChecked,
            Self::PinnedNotCounted,
            Self::PreparedIsLeftover,
            Self::ProofClaimsMore,
            Self::PublishBeforeStore,
            Self::PunchIntoLog,
            Self::ReadChecksumIgnored,
            Self::ReadWholeBatch,
            Self::ReceiptBeforeSync,
            Self::RecoveryPointUnsynced,
            Self::RestSkipped,
            Self::RetentionBelowFloor,
            Self::RetriedSync,
            Self::RollNotSynced,
            Self::SaltConstant,
            Self::SegmentNameNotSynced,
            Self::ShareIgnored,
            Self::SlotNotStirred,
            Self::SlotNotSynced,
            Self::SnapshotNotSynced,
            Self::StaticLeaves,
            Self::StickyBreaksOff,
            Self::StillWaiting,
            Self::TimeStrictlyAfter,
            Self::TruncationNotCommitted,
            Self::UnlinkBeforeManifest,
            Self::WorkInHandCommitted,
            Self::YoungStampKeepsAll,
        ];
    }

    /// Whether this bug is in: asked of the environment once, as a bug is there from the first moment on.
    pub(crate) fn planted(bug: Bug) -> bool {
        static PLANTED: OnceLock<String> = OnceLock::new();
        let planted = PLANTED.get_or_init(|| std::env::var("ANNALS_BUG").unwrap_or_default());
        !planted.is_empty() && format!("{bug:?}") == *planted
    }
}
