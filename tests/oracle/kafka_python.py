"""Compares what annals says with what kafka-python says. Reads lines from standard input:

    key HEX COUNT MURMUR2 CRC32           where a key goes, of COUNT partitions, by each hash
    group JSON                            topics, members, and what range and roundrobin gave them

and ends with 1 after the first ten differences.
"""

import json
import logging
import sys
import zlib
from types import SimpleNamespace

from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.partitioner.default import murmur2

ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor}
# Subscriptions to topics that do not exist are part of the test.
logging.disable(logging.WARNING)

differences = 0
counts = {"key": 0, "range": 0, "roundrobin": 0}


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
    cluster = SimpleNamespace(partitions_for_topic=partitions.get)
    members = [
        SimpleNamespace(member_id=id, group_instance_id=instance, metadata=SimpleNamespace(topics=topics))
        for id, instance, topics in group["members"]
    ]
    for name, ours in group["assigned"].items():
        theirs = ASSIGNORS[name].assign(cluster, members)
        theirs = {
            id: sorted(f"{place.topic}-{place.partition}" for place in assignment.partitions())
            for id, assignment in theirs.items()
        }
        compare(f"{name} of {line}", {id: sorted(places) for id, places in ours.items()}, theirs)
        counts[name] += 1


for line in sys.stdin:
    kind, _, rest = line.rstrip("\n").partition(" ")
    {"key": key, "group": group}[kind](rest)

if differences:
    sys.exit(1)
print(
    f"figure: kafka-python agrees on the partitions of {counts['key']:_} keys by murmur2 and by CRC-32, "
    f"and on {counts['range']:_} range and {counts['roundrobin']:_} round-robin assignments"
)
