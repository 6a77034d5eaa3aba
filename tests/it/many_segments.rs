//! A log with more segments than its process may have open files.

use crate::basics::tempdir;
use crate::own_process;
use annals::{Durability, Follower, Offset, Partition, PartitionOptions, ReadLevel, Record, Timestamp};
use std::path::Path;
use std::process::Command;

/// Where the child is told to make its log.
const CHILD: &str = "ANNALS_MANY_SEGMENTS_DIR";
/// Open files that the child may have.
const FILES_MAX: usize = 190;
const SEGMENTS: usize = 250;

#[test]
fn a_log_may_have_more_segments_than_its_process_may_open_files() {
    let dir = tempdir();
    let this = std::env::current_exe().expect("tests are programs");
    let limit = format!("ulimit -n {FILES_MAX}; exec \"$0\" \"$@\"");
    let mut child = Command::new("sh");
    child
        .args(["-c", &limit])
        .arg(this)
        .args(own_process::arguments("many_segments::the_child_with_few_files"));
    child.env(CHILD, &dir);
    let said = own_process::output_of(child);
    drop(std::fs::remove_dir_all(&dir));
    assert!(said.contains("all of it was read"), "{said}");
}

fn options() -> PartitionOptions {
    Partition::options()
        .segment_bytes_max(16 << 10)
        .batch_bytes_max(4 << 10)
        .durability(Durability::Written)
        .read_level(ReadLevel::Written)
}

#[test]
#[ignore = "the other half of the test above"]
fn the_child_with_few_files() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let dir = Path::new(&dir);
    let log = options().open(dir).expect("a new directory");
    let value = [7; 1000];
    let mut count = 0;
    while log.segments().len() < SEGMENTS {
        for _ in 0..10 {
            log.append([Record::new(&value).timestamp(Timestamp::from_millis(count))]).wait().expect("room");
            count += 1;
        }
    }
    let count = u64::try_from(count).expect("not negative");
    assert_eq!(read(log.read(Offset::ZERO)), count);
    log.close().expect("it syncs");

    let log = options().open(dir).expect("it was closed");
    // One reader stays behind in each of some segments, and goes on when all others have been opened since.
    let mut behind: Vec<_> = (0..20).map(|at| log.read(Offset::from(at * 15))).collect();
    for reader in &mut behind {
        reader.next().expect("there is more").expect("it is good");
    }
    assert_eq!(read(log.read(Offset::ZERO)), count);
    for at in (0..count).step_by(61) {
        let time = Timestamp::from_millis(i64::try_from(at).expect("small"));
        let found = log.offset_for_time(time).expect("it is good").expect("it is there");
        assert_eq!(found.offset().get(), at);
    }
    for (at, reader) in (0..).zip(behind) {
        let seen: u64 = read(reader);
        assert!(seen + 400 > count - at * 15, "{seen} of {count} from {} on", at * 15);
    }
    let report = log.verify().expect("it can be read");
    assert!(report.damage.is_empty() && report.good_offsets == count, "{report:?}");

    let follower = Follower::open(dir).expect("it is there");
    assert_eq!(read(follower.read(Offset::ZERO).level(ReadLevel::Written)), count);
    let report = follower.verify().expect("it can be read");
    assert!(report.damage.is_empty() && report.good_offsets == count, "{report:?}");
    log.delete_records(Offset::try_from(count / 2).expect("small")).expect("room");
    assert_eq!(read(log.read(log.log_start_offset())), count - count / 2);
    log.close().expect("it syncs");
    println!("all of it was read");
}

fn read(reader: annals::Reader) -> u64 {
    reader.map(|records| records.expect("it is good").iter().count() as u64).sum()
}
