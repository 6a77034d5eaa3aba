use super::*;
use std::collections::BTreeMap;

/// Every combination of facts.
fn all_facts() -> Vec<Facts> {
    let mut all = Vec::new();
    for read in [Read::Good, Read::Failed] {
        for version in [Version::Known, Version::Newer] {
            for slots in [Slots::Even, Slots::OneUsable, Slots::NoneUsable] {
                for segments in [Segments::AsListed, Segments::Unusable] {
                    all.extend(tails().into_iter().map(|tail| Facts {
                        read,
                        version,
                        slots,
                        segments,
                        ..tail
                    }));
                }
            }
        }
    }
    all
}

/// Every combination of what the walk can find, in a partition that is fine otherwise.
fn tails() -> Vec<Facts> {
    let mut all = Vec::new();
    for end in [End::BeforeProof, End::AtProof, End::AfterProof] {
        for rest in [Rest::Blank, Rest::TailMark, Rest::OneBitFromGood, Rest::Other] {
            for later in [Later::Empty, Later::Unproved] {
                for salvage in [Salvage::NotAsked, Salvage::Asked] {
                    for committed in [Committed::Within, Committed::Beyond] {
                        all.push(Facts { end, rest, later, salvage, committed, ..FINE });
                    }
                }
            }
        }
    }
    all
}

const FINE: Facts = Facts {
    read: Read::Good,
    version: Version::Known,
    slots: Slots::Even,
    segments: Segments::AsListed,
    end: End::AtProof,
    rest: Rest::Blank,
    later: Later::Empty,
    salvage: Salvage::NotAsked,
    committed: Committed::Within,
};

type Condition = fn(&Facts) -> bool;

/// The conditions of the rows, each as the table words it, in the table's order. Rows 3 and 11, which decide
/// nothing by themselves, are left out; row 12 stands before the rows that it replaces.
const CONDITIONS: [(u8, Condition); 10] = [
    (1, |f| f.read == Read::Failed),
    (2, |f| f.version == Version::Newer),
    (12, |f| f.salvage == Salvage::Asked && is_damaged(f)),
    (4, |f| f.slots == Slots::NoneUsable),
    (5, |f| f.segments == Segments::Unusable),
    (6, |f| f.end == End::BeforeProof),
    (7, |f| f.end == End::AtProof && is_clean(f)),
    (8, |f| f.end == End::AfterProof && is_clean(f)),
    (9, |f| f.end != End::BeforeProof && f.rest == Rest::OneBitFromGood),
    (10, |f| f.end != End::BeforeProof && (f.rest == Rest::Other || f.later == Later::Unproved)),
];

/// Nothing follows but zeros or a tail mark, in this segment or later.
fn is_clean(f: &Facts) -> bool {
    matches!(f.rest, Rest::Blank | Rest::TailMark) && f.later == Later::Empty
}

/// One of the rows 4 to 6 and 9 would match.
fn is_damaged(f: &Facts) -> bool {
    let manifest_or_files = f.slots == Slots::NoneUsable || f.segments == Segments::Unusable;
    manifest_or_files || f.end == End::BeforeProof || f.rest == Rest::OneBitFromGood
}

#[test]
fn the_first_row_that_matches_decides_and_every_row_is_reached() {
    let mut reached: BTreeMap<u8, usize> = BTreeMap::new();
    let all = all_facts();
    assert_eq!(all.len(), 2 * 2 * 3 * 2 * 3 * 4 * 2 * 2 * 2);
    for facts in &all {
        let first = CONDITIONS.iter().find(|(_, holds)| holds(facts)).map(|(row, _)| *row);
        let decision = decide(facts);
        assert_eq!(Some(decision.act.row()), first, "{facts:?}");

        let rows: Vec<u8> = decision.rows().collect();
        assert!(rows.is_sorted());
        assert_eq!(rows.iter().filter(|row| !matches!(row, 3 | 11)).count(), 1, "{facts:?}: {rows:?}");
        let opens = !matches!(decision.act, Act::Refuse(_));
        assert_eq!(rows.contains(&3), opens && facts.slots != Slots::Even, "{facts:?}: {rows:?}");
        let ends_are_kept = rows.iter().any(|row| matches!(row, 7 | 8 | 10));
        assert_eq!(rows.contains(&11), ends_are_kept && facts.committed == Committed::Beyond, "{facts:?}");
        for row in rows {
            *reached.entry(row).or_default() += 1;
        }
    }
    assert_eq!(reached.keys().copied().collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
    println!("recovery table: {} combinations of facts; row: times applied {reached:?}", all.len());
}

#[test]
fn behind_the_first_four_rows_no_two_match_but_where_the_order_says_which() {
    // Rows 5 to 8 exclude each other by their words; 9 and 10 overlap only with what comes before them.
    for facts in tails().iter().filter(|facts| facts.salvage == Salvage::NotAsked) {
        let matching: Vec<u8> =
            CONDITIONS.iter().filter(|(_, holds)| holds(facts)).map(|(row, _)| *row).collect();
        assert!(matches!(matching[..], [6] | [7] | [8] | [9] | [10] | [9, 10]), "{facts:?}: {matching:?}");
    }
}

#[test]
fn what_comes_later_in_the_list_does_not_matter_once_something_decided() {
    for facts in all_facts() {
        let settled = match decide(&facts).act {
            Act::Refuse(Refusal::ReadFailed) => Facts { read: Read::Failed, ..FINE },
            Act::Refuse(Refusal::NewerVersion) => Facts { version: Version::Newer, ..FINE },
            Act::Refuse(Refusal::NoSlotUsable) => Facts { slots: Slots::NoneUsable, ..FINE },
            Act::Refuse(Refusal::SegmentUnusable) => Facts { segments: Segments::Unusable, ..FINE },
            Act::Refuse(Refusal::DamageBeforeProof) => Facts { end: End::BeforeProof, ..FINE },
            _ => continue,
        };
        assert_eq!(decide(&facts).act, decide(&settled).act);
    }
}

#[test]
fn each_row_by_a_case() {
    let rows = |facts: Facts| decide(&facts).rows().collect::<Vec<_>>();
    let power_cut = Facts { rest: Rest::Other, ..FINE };
    assert_eq!(rows(FINE), [7], "a clean close");
    assert_eq!(rows(Facts { rest: Rest::TailMark, ..FINE }), [7], "a clean close, the mark still there");
    assert_eq!(rows(Facts { end: End::AfterProof, ..FINE }), [8], "a process was killed");
    assert_eq!(rows(power_cut), [10], "a power cut");
    assert_eq!(rows(Facts { later: Later::Unproved, ..FINE }), [10], "a power cut behind a roll");
    assert_eq!(rows(Facts { slots: Slots::OneUsable, ..power_cut }), [3, 10], "a power cut in a commit");
    assert_eq!(rows(Facts { committed: Committed::Beyond, ..power_cut }), [10, 11], "and a group was ahead");
    assert_eq!(rows(Facts { end: End::BeforeProof, ..power_cut }), [6], "a zeroed page");
    let flipped = Facts { rest: Rest::OneBitFromGood, ..FINE };
    assert_eq!(rows(flipped), [9], "a flipped bit in the last group");
    assert_eq!(rows(Facts { salvage: Salvage::Asked, ..flipped }), [12], "and its owner wants the rest");
    assert_eq!(rows(Facts { salvage: Salvage::Asked, ..power_cut }), [10], "salvage is for damage alone");
    assert_eq!(
        rows(Facts { salvage: Salvage::Asked, read: Read::Failed, ..flipped }),
        [1],
        "not for a sick disk"
    );
}
