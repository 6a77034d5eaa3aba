//! Crash-tests a program of one's own: a counter in a file, saved the classical way.
//!
//!     cargo run --example crash_test
//!
//! The simulated disk runs the program once, then loses power at every step of it, in every way it may. The
//! second program forgets the last line of the recipe, and is found out.

use annals::io::{Access, Dir, PowerCuts, SimDisk, write_all};
use std::io;

/// Saves the counter: a new file, synced, takes the place of the old one, and the name is synced too.
fn save(dir: &dyn Dir, count: u64) -> io::Result<()> {
    save_without_the_name(dir, count)?;
    dir.sync()
}

/// The same, but whether the new file is found under its name after a power cut is left to chance.
fn save_without_the_name(dir: &dyn Dir, count: u64) -> io::Result<()> {
    match dir.remove("counter.new") {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = dir.create("counter.new")?;
    write_all(&*file, &count.to_le_bytes(), 0)?;
    file.sync()?;
    dir.rename("counter.new", "counter")
}

/// The counter as it was saved last; 0 if it never was.
fn load(dir: &dyn Dir) -> io::Result<u64> {
    let file = match dir.open("counter", Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        opened => opened?,
    };
    let mut bytes = [0; 8];
    let len = file.read_at(&mut bytes, 0)?;
    if len == bytes.len() { Ok(u64::from_le_bytes(bytes)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Saves 1 to 5, then checks after every power cut there can be that no saved number was lost. Returns how many
/// different disks were looked at, or what went wrong.
fn crash_test(save: fn(&dyn Dir, u64) -> io::Result<()>) -> Result<usize, String> {
    let disk = SimDisk::new();
    disk.record();
    let mut saved = vec![0];
    for count in 1..=5 {
        save(&*disk.root(), count).expect("no fault was ordered");
        saved.push(disk.steps_recorded());
    }

    let mut tried = 0;
    let mut replay = disk.recording().replay();
    loop {
        // What was acknowledged by this step, and what may just have been begun.
        let least = saved.iter().filter(|step| **step <= replay.done()).count() as u64 - 1;
        let mut images = replay.disk().power_cuts(&PowerCuts::new(42));
        while let Some(image) = images.next() {
            tried += 1;
            let found = load(&*image.root()).map_err(|error| format!("unreadable: {error}"))?;
            if found < least || found > least + 1 {
                return Err(format!(
                    "{least} was saved, {found} came back. The power cut:\n{}",
                    images.describe()
                ));
            }
        }
        if !replay.advance() {
            return Ok(tried);
        }
    }
}

fn main() {
    let tried = crash_test(save).expect("the recipe is known to be good");
    println!("the whole recipe: {tried} different disks after a power cut, nothing lost");
    assert!(tried > 50);

    let found = crash_test(save_without_the_name).expect_err("the missing sync must be found");
    println!("without the directory sync: {found}");
    assert!(found.starts_with("1 was saved, 0 came back"));
}
