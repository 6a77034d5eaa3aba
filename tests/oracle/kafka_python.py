"""Compares what annals says with what kafka-python says. Reads lines from standard input:

    key HEX COUNT MURMUR2 CRC32           where a key goes, of COUNT partitions, by each hash
    group JSON                            topics, members, what they owned, and what assignors of annals gave them

and ends with 1 after the first ten differences. Range and round robin have to give the same; sticky has to be as
balanced, and where it is, it must not move more.
"""

import json
import logging
import sys
import zlib
from types import SimpleNamespace

from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyAssignmentExecutor, StickyAssignorMemberMetadataV1
from kafka.partitioner.default import murmur2
from kafka.structs import TopicPartition

ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor}
# Subscriptions to topics that do not exist are part of the test.
logging.disable(logging.WARNING)

differences = 0
counts = {"key": 0, "range": 0, "roundrobin": 0, "sticky": 0}
moved = {"ours": 0, "theirs": 0}
less_balanced = 0


def compare(what, ours, theirs):
    global differences
    if ours != theirs:
        differences += 1
        print(f"{what}: annals says {ours}, kafka-python {theirs}", file=sys.stderr)
        if differences == 10:
            sys.exit(1)


def key(line):
    text, count, by_murmur2, by_crc32 = line.split(" ")
    data, count = bytes.fromhex(text), int(count)
    compare(f"murmur2 of {text!r}, {count}", int(by_murmur2), (murmur2(data) & 0x7FFFFFFF) % count)
    compare(f"CRC-32 of {text!r}, {count}", int(by_crc32), zlib.crc32(data) % count)
    counts["key"] += 1


def group(line):
    group = json.loads(line)
    partitions = {topic: set(range(count)) for topic, count in group["topics"].items()}
    cluster = SimpleNamespace(partitions_for_topic=partitions.get, topics=lambda: set(partitions))
    for name, ours in group["assigned"].items():
        ours = {id: sorted(places) for id, places in ours.items()}
        if name == "sticky":
            sticky(group, cluster, ours)
        else:
            compare(f"{name} of {line}", ours, by_assignor(ASSIGNORS[name], group["members"], cluster))
        counts[name] += 1


def by_assignor(assignor, members, cluster):
    members = [
        SimpleNamespace(member_id=id, group_instance_id=instance, metadata=SimpleNamespace(topics=topics))
        for id, instance, topics, _ in members
    ]
    assigned = assignor.assign(cluster, members)
    return {id: sorted(map(named, assignment.partitions())) for id, assignment in assigned.items()}


def sticky(group, cluster, ours):
    global less_balanced
    owned = {id: places for id, _, _, places in group["members"]}
    members = {
        id: StickyAssignorMemberMetadataV1(
            subscription=topics, partitions=[TopicPartition(topic, number) for topic, number in owned[id]], generation=1
        )
        for id, _, topics, _ in group["members"]
    }
    executor = StickyAssignmentExecutor(cluster, members)
    executor.perform_initial_assignment()
    executor.balance()
    theirs = {id: sorted(map(named, executor.current_assignment[id])) for id in members}

    def cost(assigned):
        loads = [len(places) for places in assigned.values()]
        imbalance = sum(abs(a - b) for a in loads for b in loads)
        owner = {place: id for id, places in assigned.items() for place in places}
        # A partition that is gone, or no longer wanted by its owner, does not count.
        moves = sum(
            owner.get(f"{topic}-{number}", id) != id
            for id, _, topics, places in group["members"]
            for topic, number in places
            if topic in topics
        )
        return imbalance, moves

    ours, theirs = cost(ours), cost(theirs)
    compare(f"sticky, imbalance and moves, {json.dumps(group)}", ours, min(ours, theirs))
    if ours[0] == theirs[0]:
        moved["ours"] += ours[1]
        moved["theirs"] += theirs[1]
    else:
        less_balanced += 1


def named(place):
    return f"{place.topic}-{place.partition}"


for line in sys.stdin:
    kind, _, rest = line.rstrip("\n").partition(" ")
    {"key": key, "group": group}[kind](rest)

if differences:
    sys.exit(1)
print(
    f"figure: kafka-python agrees on the partitions of {counts['key']:_} keys by murmur2 and by CRC-32, "
    f"and on {counts['range']:_} range and {counts['roundrobin']:_} round-robin assignments"
)
print(
    f"figure: of {counts['sticky']:_} sticky assignments kafka-python's was less balanced {less_balanced:_} times; "
    f"in the others it moved {moved['theirs']:_} partitions, annals {moved['ours']:_}"
)
