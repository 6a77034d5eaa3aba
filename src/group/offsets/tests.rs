//! Entries and the ledger.

use super::*;
use crate::group::Generation;
use crate::{Offset, Timestamp, TopicId};
use std::sync::Arc;
use std::time::Duration;

const TOPIC: TopicId = TopicId::from_bytes([9; 16]);
const OTHER: TopicId = TopicId::from_bytes([7; 16]);
const WEEK: Duration = Duration::from_secs(7 * 86_400);

fn group() -> Arc<str> {
    Arc::from("billing")
}

fn committed(offset: u32, at: i64) -> CommittedOffset {
    let (leader_epoch, metadata) = (3, Arc::from("note"));
    let timestamp = Timestamp::from_millis(at);
    CommittedOffset { offset: Offset::from(offset), leader_epoch, metadata, timestamp }
}

pub(super) fn entry_of_offset() -> Entry {
    Entry::Offset { group: group(), topic: TOPIC, partition: 5, committed: Some(committed(42, 1_000)) }
}

pub(super) fn entry_of_group() -> Entry {
    of_group(Some(2_000))
}

fn of_group(empty_since: Option<i64>) -> Entry {
    let generation = Generation::new(8).expect("a small number");
    let empty_since = empty_since.map(Timestamp::from_millis);
    Entry::Group { group: group(), facts: Some(GroupFacts { generation, empty_since }) }
}

pub(super) fn entry_of_start() -> Entry {
    Entry::Start { group: group(), topic: TOPIC, partition_count: Some(6) }
}

fn entries() -> [Entry; 7] {
    [
        entry_of_offset(),
        Entry::Offset { group: group(), topic: TOPIC, partition: 5, committed: None },
        entry_of_group(),
        of_group(None),
        Entry::Group { group: group(), facts: None },
        entry_of_start(),
        Entry::Start { group: group(), topic: TOPIC, partition_count: None },
    ]
}

#[test]
fn what_is_written_is_read_and_nothing_else() {
    for entry in entries() {
        let (key, value) = (entry.key(), entry.value());
        assert_eq!(Entry::decode(&key, value.as_deref()), Ok(entry.clone()));
        for len in 0..key.len() {
            let cut = Entry::decode(&key[..len], value.as_deref());
            assert!(cut.is_err(), "{entry:?}: key cut at {len}: {cut:?}");
        }
        let mut value = value.unwrap_or_default();
        for len in 0..value.len() {
            let cut = Entry::decode(&key, Some(&value[..len]));
            assert!(cut.is_err(), "{entry:?}: value cut at {len}: {cut:?}");
        }
        if !value.is_empty() {
            value.push(0);
            assert_eq!(Entry::decode(&key, Some(&value)), Err(EntryFlaw::Damaged("value")));
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let decode = |change: &dyn Fn(&mut Vec<u8>, &mut Vec<u8>), entry: &Entry| {
        let (mut key, mut value) = (entry.key(), entry.value().expect("it says something"));
        change(&mut key, &mut value);
        Entry::decode(&key, Some(&value)).expect_err("it makes no sense")
    };
    let (key, value) = (EntryFlaw::Damaged("key"), EntryFlaw::Damaged("value"));
    let offset = entry_of_offset();
    assert_eq!(decode(&|key, _| key[0] = 2, &offset), EntryFlaw::Newer { version: 2, kind: 1 });
    assert_eq!(decode(&|key, _| key[1] = 4, &offset), EntryFlaw::Newer { version: 1, kind: 4 });
    assert_eq!(decode(&|key, _| key[1] = 0, &offset), EntryFlaw::Newer { version: 1, kind: 0 });
    assert_eq!(decode(&|key, _| key[3] = 1, &offset), key);
    assert_eq!(decode(&|key, _| key[24] = b'/', &offset), key);
    assert_eq!(decode(&|_, value| value[7] = 0x80, &offset), value, "beyond the largest offset");
    assert_eq!(decode(&|_, value| value[24] = 0xff, &offset), value, "not UTF-8");
    assert_eq!(decode(&|_, value| value[4] = 2, &entry_of_group()), value);
    assert_eq!(decode(&|_, value| value[4] = 0, &entry_of_group()), value, "has members, and had none since");
    assert_eq!(decode(&|_, value| value[3] = 0x80, &entry_of_group()), value, "no generation");
    assert_eq!(decode(&|_, value| value[4] = 1, &entry_of_start()), value);
}

/// SEMANTICS 4: a committed 0 differs from none.
#[test]
fn later_entries_win_and_zero_is_not_none() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.committed("billing", TOPIC, 0), None);
    for (offset, expected) in [(7, 7), (0, 0), (3, 3)] {
        let entry = Entry::Offset {
            group: group(),
            topic: TOPIC,
            partition: 0,
            committed: Some(committed(offset, 1)),
        };
        ledger.apply(entry);
        let found = ledger.committed("billing", TOPIC, 0).map(|committed| committed.offset);
        assert_eq!(found, Some(Offset::from(expected)));
    }
    assert_eq!(ledger.committed("billing", TOPIC, 1), None);
    assert_eq!(ledger.committed("billing", OTHER, 0), None, "a recreated topic has nothing of the old");
}

#[test]
fn a_snapshot_says_all_that_holds() {
    let mut ledger = Ledger::default();
    for entry in [entry_of_offset(), entry_of_group(), entry_of_start()] {
        ledger.apply(entry.clone());
        ledger.apply(entry);
    }
    assert_eq!((ledger.entry_count(), ledger.entries().count()), (3, 3));
    let mut copy = Ledger::default();
    ledger.entries().for_each(|entry| copy.apply(entry));
    assert_eq!(copy, ledger);
    ledger.without_group("billing").into_iter().for_each(|entry| ledger.apply(entry));
    assert_eq!(ledger, Ledger::default());
    copy.without_topics(|id| id != TOPIC).into_iter().for_each(|entry| copy.apply(entry));
    assert_eq!(copy.entries().collect::<Vec<_>>(), [entry_of_group()]);
}

/// How many entries of a group that has been empty since `empty_since`, with one commit at `commit`, have expired
/// at `now`.
fn expired(empty_since: Option<i64>, commit: i64, now: i64) -> usize {
    let mut ledger = Ledger::default();
    ledger.apply(of_group(empty_since));
    ledger.apply(entry_of_start());
    let committed = Some(committed(1, commit));
    ledger.apply(Entry::Offset { group: group(), topic: TOPIC, partition: 0, committed });
    ledger.expired(Timestamp::from_millis(now), WEEK).len()
}

/// SEMANTICS 36: the time begins when the group is empty, not at the commit.
#[test]
fn offsets_expire_once_their_group_has_been_empty_for_long_enough() {
    let week = i64::try_from(WEEK.as_millis()).expect("it is short");
    assert_eq!(expired(None, 0, 100 * week), 0, "a group with members keeps its offsets");
    assert_eq!(expired(Some(5 * week), 0, 6 * week - 1), 0);
    assert_eq!(expired(Some(5 * week), 0, 6 * week), 3, "all of the group");
    assert_eq!(expired(Some(5 * week), 6 * week, 6 * week), 0, "a later commit begins anew");
}

#[test]
fn of_several_offsets_each_expires_in_its_time() {
    let mut ledger = Ledger::default();
    ledger.apply(of_group(Some(0)));
    let week = i64::try_from(WEEK.as_millis()).expect("it is short");
    for (partition, at) in [(0, 0), (1, 5)] {
        let committed = Some(committed(1, at));
        ledger.apply(Entry::Offset { group: group(), topic: TOPIC, partition, committed });
    }
    let expired = ledger.expired(Timestamp::from_millis(week), WEEK);
    assert_eq!(expired, [Entry::Offset { group: group(), topic: TOPIC, partition: 0, committed: None }]);
}
