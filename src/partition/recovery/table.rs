//! The recovery table: from what was found to what is done about it.
//!
//! W is the first place of the last segment with batches that is not good; F the furthest place that
//! something names as synced. Of rows 1, 2, 4 to 10 and 12, exactly one decides; row 3 goes along with those
//! that open the partition, and row 11 with those that keep its end.
//!
//! | row | found | done |
//! |---|---|---|
//! | 1 | a read failed | refuse |
//! | 2 | a newer version | refuse |
//! | 3 | one manifest slot unusable or behind | use the other, write both anew |
//! | 4 | no manifest slot usable | refuse |
//! | 5 | a listed segment that is not what is listed, or one in use that is not listed | refuse |
//! | 6 | W before F | refuse |
//! | 7 | W = F, then nothing or a tail mark | append in place |
//! | 8 | W after F, then nothing or a tail mark | copy what is unproved |
//! | 9 | a batch with one wrong bit at W, which no tear explains | refuse |
//! | 10 | other bytes at W, or later segments with batches that prove nothing | cut, copy what is unproved |
//! | 11 | the end lies before a committed offset | report the loss |
//! | 12 | rows 4, 5, 6, 9, and salvage was asked for | salvage |

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use crate::ErrorKind;

/// What was found. What comes later in the list is not looked at when something before it decides, and may
/// then be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) read: Read,
    pub(crate) version: Version,
    pub(crate) slots: Slots,
    pub(crate) segments: Segments,
    pub(crate) end: End,
    pub(crate) rest: Rest,
    pub(crate) later: Later,
    pub(crate) salvage: Salvage,
    pub(crate) committed: Committed,
}

/// Whether the disk gave what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Good,
    Failed,
}

/// Whether this build can read all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Known,
    /// A manifest slot or a listed segment is intact and of a later version.
    Newer,
}

/// The slots of the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slots {
    Even,
    /// One is damaged, or behind the other.
    OneUsable,
    NoneUsable,
}

/// The files that the manifest lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segments {
    /// All are there, but for a prefix that is known to have been deleted.
    AsListed,
    /// One is missing, has a damaged or foreign header, or is shorter than its end; or one that is in use is not
    /// listed.
    Unusable,
}

/// Where the good batches end (W), seen from the furthest proof (F).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "they are places seen from the proof")]
pub(crate) enum End {
    BeforeProof,
    AtProof,
    AfterProof,
}

/// What lies behind the good batches of the last segment that has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Zeros to the end of the file.
    Blank,
    /// A good tail mark and nothing else.
    TailMark,
    /// A batch of which one bit is wrong, and not by a tear: see [`is_tear`](super::tear::is_tear). A tail mark with
    /// one wrong bit is [`Rest::Other`].
    OneBitFromGood,
    Other,
}

/// Whether segments after the one in which the good batches end hold batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Later {
    Empty,
    /// They do, and none of them names anything as synced. (If one does, F lies behind W.)
    Unproved,
}

/// Whether the caller wants what can be had of a damaged partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Salvage {
    NotAsked,
    Asked,
}

/// Offsets that consumers committed, seen from the end that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Committed {
    Within,
    Beyond,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) act: Act,
    pub(crate) slots: SlotAct,
    pub(crate) loss: Loss,
}

/// What to do with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Change nothing and say why.
    Refuse(Refusal),
    /// Row 7: all is proved. Write nothing; the next batch goes to W.
    AppendInPlace,
    /// Row 8: copy the batches from F to W into a new segment, sync it, commit.
    CopyUnproved,
    /// Row 10: keep the bytes from W on aside and report them, then as [`Act::CopyUnproved`].
    CutAndCopy,
    /// Row 12: good batches into new segments, lost ranges into the manifest, the originals kept.
    Salvage,
}

/// Why a partition is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Row 1.
    ReadFailed,
    /// Row 2.
    NewerVersion,
    /// Row 4.
    NoSlotUsable,
    /// Row 5.
    SegmentUnusable,
    /// Row 6: damage in what was acknowledged.
    DamageBeforeProof,
    /// Row 9: damage that a power cut does not do.
    OneBitFromGood,
}

/// What to do with the manifest before anything else is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotAct {
    Leave,
    /// Row 3.
    WriteBothAnew,
}

/// What to tell of consumers' offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    Nothing,
    /// Row 11: they lie beyond the end. They are not moved silently.
    Report,
}

/// Looks the facts up in the table.
pub(crate) fn decide(facts: &Facts) -> Decision {
    let act = match damage(facts) {
        Some(refusal) if facts.salvage == Salvage::Asked && refusal.can_be_salvaged() => Act::Salvage,
        Some(refusal) => Act::Refuse(refusal),
        None => keep(facts),
    };
    let keeps_end = matches!(act, Act::AppendInPlace | Act::CopyUnproved | Act::CutAndCopy);
    let slots = match (act, facts.slots) {
        (Act::Refuse(_), _) | (_, Slots::Even) => SlotAct::Leave,
        _ => SlotAct::WriteBothAnew,
    };
    let loss = if keeps_end && facts.committed == Committed::Beyond { Loss::Report } else { Loss::Nothing };
    Decision { act, slots, loss }
}

/// What speaks against opening the partition as it is: rows 1, 2, 4, 5, 6, 9, the first that matches.
fn damage(facts: &Facts) -> Option<Refusal> {
    match facts {
        Facts { read: Read::Failed, .. } => Some(Refusal::ReadFailed),
        Facts { version: Version::Newer, .. } => Some(Refusal::NewerVersion),
        Facts { slots: Slots::NoneUsable, .. } => Some(Refusal::NoSlotUsable),
        Facts { segments: Segments::Unusable, .. } => Some(Refusal::SegmentUnusable),
        Facts { end: End::BeforeProof, .. } => Some(Refusal::DamageBeforeProof),
        Facts { rest: Rest::OneBitFromGood, .. } => Some(Refusal::OneBitFromGood),
        _ => None,
    }
}

/// Rows 7, 8, 10: what to do when nothing speaks against opening.
fn keep(facts: &Facts) -> Act {
    match (facts.rest, facts.later, facts.end) {
        (Rest::Blank | Rest::TailMark, Later::Empty, End::AtProof) => Act::AppendInPlace,
        (Rest::Blank | Rest::TailMark, Later::Empty, _) => Act::CopyUnproved,
        _ => Act::CutAndCopy,
    }
}

impl Decision {
    /// The rows of the table that were applied, in its order. Exactly one of them is not 3 or 11.
    pub(crate) fn rows(&self) -> impl Iterator<Item = u8> + use<> {
        let slots = (self.slots == SlotAct::WriteBothAnew).then_some(3);
        let loss = (self.loss == Loss::Report).then_some(11);
        slots.into_iter().chain([self.act.row()]).chain(loss)
    }
}

impl Act {
    /// Its row in the table.
    pub(crate) fn row(self) -> u8 {
        match self {
            Self::Refuse(refusal) => refusal.row(),
            Self::AppendInPlace => 7,
            Self::CopyUnproved => 8,
            Self::CutAndCopy => 10,
            Self::Salvage => 12,
        }
    }
}

impl Refusal {
    /// Its row in the table.
    pub(crate) fn row(self) -> u8 {
        match self {
            Self::ReadFailed => 1,
            Self::NewerVersion => 2,
            Self::NoSlotUsable => 4,
            Self::SegmentUnusable => 5,
            Self::DamageBeforeProof => 6,
            Self::OneBitFromGood => 9,
        }
    }

    /// The kind of the error that says so.
    pub(crate) fn kind(self) -> ErrorKind {
        match self {
            Self::ReadFailed => ErrorKind::Io,
            Self::NewerVersion => ErrorKind::Unsupported,
            Self::NoSlotUsable | Self::SegmentUnusable | Self::DamageBeforeProof | Self::OneBitFromGood => {
                ErrorKind::Corrupt
            }
        }
    }

    /// Whether salvage may read around it; what cannot be read or understood today may be whole tomorrow.
    fn can_be_salvaged(self) -> bool {
        self.kind() == ErrorKind::Corrupt
    }
}

#[cfg(test)]
mod tests;
