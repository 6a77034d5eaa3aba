//! The workloads of a broker.

use super::act::{Act, BrokerScript};
use annals::Retention;
use std::time::Duration;

const TOPICS: &[(u32, Act)] = &[(4, Act::Create), (3, Act::Delete), (4, Act::Append)];
const GROWTH: &[(u32, Act)] = &[(2, Act::Create), (4, Act::Grow), (1, Act::Delete), (5, Act::Append)];
const CHANGES: &[(u32, Act)] = &[(2, Act::Create), (5, Act::Change), (1, Act::Grow), (3, Act::Append)];
const RECORDS: &[(u32, Act)] =
    &[(1, Act::Create), (6, Act::Append), (6, Act::AppendWritten), (1, Act::Flush), (1, Act::Maintain)];
const OPENS: &[(u32, Act)] = &[
    (2, Act::Create),
    (1, Act::Grow),
    (1, Act::Delete),
    (4, Act::Append),
    (3, Act::AppendWritten),
    (3, Act::Reopen),
];
const AGES: &[(u32, Act)] = &[
    (1, Act::Create),
    (6, Act::Append),
    (4, Act::AppendWritten),
    (3, Act::Pass(Duration::from_secs(1))),
    (1, Act::Pass(Duration::from_secs(40))),
    (1, Act::Change),
    (1, Act::Maintain),
];
const FULL: &[(u32, Act)] = &[
    (1, Act::Create),
    (8, Act::Append),
    (8, Act::AppendWritten),
    (1, Act::Maintain),
    (1, Act::Delete),
    (1, Act::Pass(Duration::from_secs(40))),
];
const ALL: &[(u32, Act)] = &[
    (2, Act::Create),
    (1, Act::Grow),
    (1, Act::Change),
    (1, Act::Delete),
    (5, Act::Append),
    (5, Act::AppendWritten),
    (1, Act::Flush),
    (1, Act::Maintain),
    (1, Act::Pass(Duration::from_secs(40))),
    (1, Act::DeleteRecords),
    (1, Act::Reopen),
];

const SECONDS: Retention = Retention::Age(Duration::from_secs(2));
/// A policy that permits deletion and asks for none.
const YEAR: Retention = Retention::Age(Duration::from_secs(31_536_000));
/// Room for three small partitions and a few segments.
const CAP: u64 = 320 << 10;

pub const SCRIPTS: &[BrokerScript] = &[
    BrokerScript::new("topics come and go", TOPICS, 16),
    BrokerScript::new("topics come and go, pwrite", TOPICS, 16).pwrite().partitions(3),
    BrokerScript::new("topics grow", GROWTH, 14).partitions(4),
    BrokerScript::new("settings change", CHANGES, 16).retentions(&[
        Retention::Forever,
        YEAR,
        Retention::Bytes(1 << 20),
    ]),
    BrokerScript::new("records in many partitions", RECORDS, 20).partitions(3),
    BrokerScript::new("opened again and again", OPENS, 16),
    BrokerScript::new("kept for seconds", AGES, 22)
        .retentions(&[SECONDS, Retention::Forever])
        .values(900, 3_000),
    BrokerScript::new("kept by bytes", AGES, 22).retentions(&[Retention::Bytes(1), YEAR]).values(900, 4_000),
    BrokerScript::new("under a cap, oldest go", FULL, 70)
        .disk_bytes_max(CAP)
        .retentions(&[YEAR])
        .partitions(1)
        .values(2_000, 5_000),
    BrokerScript::new("under a cap, full", FULL, 50)
        .disk_bytes_max(CAP)
        .retentions(&[Retention::Forever])
        .partitions(1)
        .values(2_000, 5_000),
    BrokerScript::new("everything", ALL, 30)
        .retentions(&[Retention::Forever, SECONDS, Retention::Bytes(1)])
        .partitions(3)
        .values(100, 4_000),
];
