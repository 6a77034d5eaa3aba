//! T5 for brokers: every bit of the catalog is flipped, and it is cut at every length.

use crate::figure;
use crate::proof::{Count, Rate, Seed, Size};
use annals::clock::ManualClock;
use annals::io::SimDisk;
use annals::{
    Broker, BrokerOptions, ErrorKind, Maintenance, Record, Result, Retention, Timestamp, TopicOptions,
    TopicSettings,
};
use std::time::{Duration, Instant};

fn options(seed: u64) -> BrokerOptions {
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    Broker::options().maintenance(Maintenance::Manual).clock(clock).seed(seed)
}

type Topics = Vec<(String, u32, TopicSettings, u64)>;

/// The topics, and where their records end.
fn look(broker: &Broker) -> Topics {
    let stats = broker.stats();
    let topics = broker.topics();
    let seen = topics.iter().map(|topic| {
        let own = stats.partitions.iter().filter(|(place, _)| place.topic() == topic.name());
        let end = own.map(|(_, stats)| stats.log_end_offset.get()).sum();
        (topic.name().to_owned(), topic.partition_count(), topic.settings(), end)
    });
    seen.collect()
}

/// A broker that was closed, and what was in it.
fn sample() -> (SimDisk, Topics) {
    let disk = SimDisk::new();
    let broker = options(1).open_in(disk.root()).expect("the disk is well");
    let named =
        TopicOptions::new().retention(Retention::Age(Duration::from_secs(77))).segment_bytes_max(1 << 20);
    for (name, topic) in [("orders", TopicOptions::new().partitions(2)), ("audit.log", named)] {
        let topic = broker.create_topic(name, topic).expect("the disk is well");
        let log = topic.partition(0).expect("it is well");
        log.append([Record::new(name)]).wait().expect("the disk is well");
    }
    let topics = look(&broker);
    broker.close().expect("the disk is well");
    (disk, topics)
}

/// Opens what was damaged: all is there, or it is refused and nothing was changed. Says whether it opened.
fn open(disk: &SimDisk, topics: &Topics, what: &str) -> bool {
    let before = disk.content_hash();
    let opened: Result<Broker> = options(2).open_in(disk.root());
    match opened {
        Ok(broker) => {
            assert_eq!(&look(&broker), topics, "{what}");
            assert!(broker.recovery_report().refused.is_empty(), "{what}");
            broker.close().expect("the disk is well");
            let again = options(3).open_in(disk.root()).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(&look(&again), topics, "{what}, opened again");
            assert_eq!(again.recovery_report().catalog_damage, "", "{what}: it was healed");
            again.close().expect("the disk is well");
            true
        }
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported), "{what}: {error}");
            assert!(error.to_string().contains("catalog"), "{what}: {error}");
            assert_eq!(disk.content_hash(), before, "{what}: a refused open changes nothing");
            false
        }
    }
}

#[test]
fn a_damaged_catalog_is_healed_or_refused_and_never_believed() {
    let seed = Seed::of("T5 broker catalog");
    let mut random = seed.rng(0);
    let started = Instant::now();
    let (disk, topics) = sample();
    let whole = disk.read("catalog").expect("it is there");
    let slot = whole.len() / 2;
    let used = |at: usize| whole[at] != 0 || at % slot < 512;
    let sparse = Size::asked().pick(397, 1, 1);
    let (mut cases, mut refused) = (0_u64, 0_u64);
    for bit in 0..whole.len() as u64 * 8 {
        // Behind what is used there are only zeros, all alike.
        let every = if used(usize::try_from(bit / 8).expect("a small file")) { sparse } else { sparse * 16 };
        if random.u64(0..every) > 0 {
            continue;
        }
        let damaged = disk.kill();
        damaged.flip_bit("catalog", bit).expect("it is there");
        assert!(open(&damaged, &topics, &format!("bit {bit}")), "bit {bit}: the other slot is good");
        cases += 1;
        // The same bit of both slots, where neither is good any more.
        if bit < slot as u64 * 8 && random.u8(0..8) == 0 {
            let damaged = disk.kill();
            for at in [bit, bit + slot as u64 * 8] {
                damaged.flip_bit("catalog", at).expect("it is there");
            }
            assert!(!open(&damaged, &topics, &format!("bit {bit} of both slots")), "bit {bit} of both slots");
            (cases, refused) = (cases + 1, refused + 1);
        }
    }
    for len in 0..whole.len() as u64 {
        if random.u64(0..Size::asked().pick(1_201, 3, 1)) > 0 {
            continue;
        }
        let damaged = disk.kill();
        damaged.truncate("catalog", len).expect("it is there");
        let opened = open(&damaged, &topics, &format!("cut to {len}"));
        assert_eq!(opened, len >= slot as u64, "cut to {len}");
        cases += 1;
        refused += u64::from(!opened);
    }
    let damaged = disk.kill();
    damaged.delete("catalog").expect("it is there");
    assert!(!open(&damaged, &topics, "no catalog"), "there are partitions, so there was one");
    figure!(
        "T5 broker catalog: {} bits and lengths of {} bytes, {} refused, 0 wrong, {}",
        Count(cases),
        whole.len(),
        Count(refused),
        Rate(cases, started.elapsed())
    );
}
