//! Where keys go, and who gets which partition, beside kafka-python.
//!
//! ```text
//!     keys, groups ──annals──▶ lines ──standard input──▶ kafka_python.py ──▶ agrees, or says where not
//! ```
//!
//! Runs where `ANNALS_KAFKA_PYTHON` names a Python that has kafka-python; `.ci/run` prepares one.

use annals::KeyHash;
use annals::group::{Assignor, Generation, GroupSubscription, Range, RoundRobin, Sticky, Subscription};
use std::collections::BTreeMap;
use std::env;
use std::io::{BufWriter, Write};
use std::process::{Command, Stdio};

const KEY_COUNT: usize = 1_000_000;
const GROUP_COUNT: usize = 2_000;

/// SEMANTICS 25, 35
#[test]
fn kafka_python_agrees_on_where_keys_go_and_who_gets_what() {
    let Some(python) = env::var_os("ANNALS_KAFKA_PYTHON") else {
        println!(
            "skipped: keys and assignments beside kafka-python: ANNALS_KAFKA_PYTHON names no Python that has it"
        );
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/kafka_python.py");
    let mut oracle = Command::new(python).arg(script).stdin(Stdio::piped()).spawn().unwrap();
    let mut lines = BufWriter::new(oracle.stdin.take().unwrap());
    // An oracle that found differences stops listening, and its verdict is what counts.
    drop(write_keys(&mut lines).and_then(|()| write_groups(&mut lines)).and_then(|()| lines.flush()));
    drop(lines);
    assert!(oracle.wait().unwrap().success(), "it says otherwise, or could not run");
}

fn write_keys(lines: &mut impl Write) -> std::io::Result<()> {
    let mut rng = fastrand::Rng::with_seed(25);
    for number in 0..KEY_COUNT {
        let key = any_key(number, &mut rng);
        let count = *rng.choice(&[1, 2, 3, 10, 12, 100, 1_000, 65_536, 0x7fff_ffff, u32::MAX]).unwrap();
        let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        let [murmur2, crc32] = [KeyHash::Murmur2, KeyHash::Crc32].map(|hash| hash.partition(&key, count));
        writeln!(lines, "key {digits} {count} {murmur2} {crc32}")?;
    }
    Ok(())
}

/// Mostly short, since the oracle takes its time over each byte; every length up to 600 is there.
fn any_key(number: usize, rng: &mut fastrand::Rng) -> Vec<u8> {
    match number {
        0..600 => bytes(number, rng),
        _ => match rng.u8(..8) {
            0 => format!("user-{number}").into_bytes(),
            1 => std::iter::repeat_with(|| rng.char(..)).take(number % 7).collect::<String>().into_bytes(),
            2 => rng.u64(..).to_le_bytes().to_vec(),
            3 => vec![*rng.choice(&[0x00, 0x7f, 0x80, 0xff]).unwrap(); number % 13],
            _ => bytes(number % 19, rng),
        },
    }
}

fn bytes(len: usize, rng: &mut fastrand::Rng) -> Vec<u8> {
    std::iter::repeat_with(|| rng.u8(..)).take(len).collect()
}

fn write_groups(lines: &mut impl Write) -> std::io::Result<()> {
    let mut rng = fastrand::Rng::with_seed(35);
    for _ in 0..GROUP_COUNT {
        writeln!(lines, "group {}", any_group(&mut rng))?;
    }
    Ok(())
}

/// A group as JSON, as it is after some changes, with what range and sticky give each member, and round robin
/// where subscriptions are equal: kafka-python's cannot pass anybody over.
fn any_group(rng: &mut fastrand::Rng) -> String {
    let mut topics: Vec<(String, u32)> =
        (0..rng.usize(1..6)).map(|number| (format!("t{number}"), rng.u32(0..20))).collect();
    let is_equal = rng.bool();
    let mut members = BTreeMap::new();
    add_members(rng.usize(1..12), is_equal, &topics, &mut members, rng);
    let before = Sticky.assign(&group(&topics, &members));
    members.retain(|_, _| rng.u8(..4) > 0);
    for (id, member) in &mut members {
        *member = member.clone().with_owned(Generation::NONE.next(), before.of(id).to_vec());
    }
    topics.retain(|_| rng.u8(..8) > 0);
    topics.iter_mut().for_each(|(_, count)| *count += rng.u32(..3));
    let added = rng.usize(usize::from(members.is_empty())..4);
    add_members(added, is_equal, &topics, &mut members, rng);
    as_json(&group(&topics, &members), is_equal)
}

fn add_members(
    count: usize,
    is_equal: bool,
    topics: &[(String, u32)],
    members: &mut BTreeMap<String, Subscription>,
    rng: &mut fastrand::Rng,
) {
    for _ in 0..count {
        let names = topics.iter().map(|(name, _)| name.as_str()).chain(["missing"]);
        let member = Subscription::new(names.filter(|_| is_equal || rng.bool()));
        let is_static = rng.bool();
        let member =
            if is_static { member.with_instance_id(format!("i{:03}", rng.u16(..999))) } else { member };
        members.insert(format!("m{:05}", rng.u16(..)), member);
    }
}

fn group(topics: &[(String, u32)], members: &BTreeMap<String, Subscription>) -> GroupSubscription {
    let group = topics
        .iter()
        .fold(GroupSubscription::new(), |group, (name, count)| group.with_topic(name.as_str(), *count));
    members.iter().fold(group, |group, (id, member)| group.with_member(id.as_str(), member.clone()))
}

fn as_json(group: &GroupSubscription, is_equal: bool) -> String {
    let mut assigned = vec![assignment(&Range, group), assignment(&Sticky, group)];
    assigned.extend(is_equal.then(|| assignment(&RoundRobin, group)));
    let topics: Vec<String> = group.topics().map(|(name, count)| format!("{name:?}: {count}")).collect();
    // It wants static members listed before the others.
    let members = group.members_in_order().into_iter().map(|(id, member)| {
        let instance = member.instance_id().map_or("null".to_owned(), |instance| format!("{instance:?}"));
        let topics: Vec<_> = member.topics().collect();
        let owned =
            member.owned().iter().map(|place| format!("[{:?}, {}]", place.topic(), place.partition()));
        format!("[{id:?}, {instance}, {topics:?}, [{}]]", owned.collect::<Vec<_>>().join(", "))
    });
    let members: Vec<String> = members.collect();
    format!(
        "{{\"topics\": {{{}}}, \"members\": [{}], \"assigned\": {{{}}}}}",
        topics.join(", "),
        members.join(", "),
        assigned.join(", ")
    )
}

fn assignment(assignor: &dyn Assignor, group: &GroupSubscription) -> String {
    let assignment = assignor.assign(group);
    let member = |id| {
        let places: Vec<String> = assignment.of(id).iter().map(|place| format!("\"{place}\"")).collect();
        format!("{id:?}: [{}]", places.join(", "))
    };
    let members: Vec<String> = group.members().map(|(id, _)| member(id)).collect();
    format!("{:?}: {{{}}}", assignor.name(), members.join(", "))
}
