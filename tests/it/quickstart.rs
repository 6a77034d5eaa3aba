//! The first program, run by a child that is killed in the middle, again and again: in the end each flight is there
//! exactly once, and a run that finds them all appends nothing.

#[path = "../../examples/quickstart.rs"]
mod program;

use crate::basics::tempdir;
use crate::own_process;
use annals::{Broker, Offset};
use std::path::Path;

const FLIGHTS: usize = 27_004;
/// Where the child works, and after how many appended flights it waits to be killed.
const CHILD: [&str; 2] = ["ANNALS_QUICKSTART_DIR", "ANNALS_QUICKSTART_UNTIL"];

/// Runs the program in a child, and kills it once it has appended so many.
fn killed_after(dir: &Path, until: usize) {
    let mut child = own_process::running("quickstart::the_child_that_is_killed");
    child.env(CHILD[0], dir).env(CHILD[1], until.to_string());
    own_process::kill_when_ready(child);
}

#[test]
#[ignore = "the other half of the test below"]
fn the_child_that_is_killed() {
    let [Ok(dir), Ok(until)] = CHILD.map(std::env::var) else { return };
    let until: usize = until.parse().expect("a number");
    let ended = program::run(Path::new(&dir), &mut |appended| {
        if appended >= until {
            println!("ready");
            std::thread::park();
        }
    });
    ended.expect("it is not killed while it appends");
}

/// How many flights there are in each partition.
fn present(dir: &Path) -> Vec<u64> {
    let broker = Broker::open(dir).expect("nobody has it open");
    let topic = broker.topic("flights").expect("the program made it");
    let ends = (0..topic.partition_count())
        .map(|number| topic.partition(number).expect("it is well").log_end_offset().since(Offset::ZERO))
        .collect();
    broker.close().expect("nothing was written");
    ends
}

#[test]
fn the_first_program_goes_on_where_it_was_killed() {
    let dir = tempdir();
    let mut before = 0;
    for until in [100, 2_000, 3_000, 300, 2_500] {
        killed_after(&dir, until);
        let there: u64 = present(&dir).iter().sum();
        assert!(there >= before + until as u64, "{there} of {before} and {until}");
        assert!(there < FLIGHTS as u64, "it was killed in the middle");
        before = there;
    }
    let mut appended = 0;
    program::run(&dir, &mut |so_far| appended = so_far).expect("nobody kills it");
    assert_eq!(before + appended as u64, FLIGHTS as u64);
    // That each is there once and in its place, the program has compared.
    let after = present(&dir);
    assert!(after.iter().all(|count| *count > 0), "three partitions have a share: {after:?}");
    program::run(&dir, &mut |_| panic!("nothing is missing")).expect("it reads");
    assert_eq!(present(&dir), after);
    drop(std::fs::remove_dir_all(&dir));
}
