//! What every disk must do, run on each of them: in memory, simulated, and the real file systems at hand.

use super::{Access, Dir, DiskDir, EntryKind, File, MapReader, MapWriter, MemoryDisk, SimDisk};
use super::{read_full, write_all};
use std::io::ErrorKind::{
    AlreadyExists, DirectoryNotEmpty, InvalidInput, NotADirectory, NotFound, ResourceBusy, UnexpectedEof,
    Unsupported,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory of the real file system that is removed in the end.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(base: &Path) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(base.join(format!("annals-io-{}-{number}", std::process::id())))
    }

    pub(super) fn dir(&self) -> Arc<dyn Dir> {
        DiskDir::open_or_create(&self.0).expect("a directory for the test")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A directory on a disk that has maps; where the temporary directory cannot map, the test says so.
type Halves = (Box<dyn MapWriter>, Arc<dyn MapReader>);

fn map(file: &dyn File, published: u64, capacity: u64) -> Option<Halves> {
    match file.map(published, capacity) {
        Err(error) if error.kind() == Unsupported => {
            eprintln!("SKIPPED: no maps on the file system of {}", file.path().display());
            None
        }
        mapped => Some(mapped.expect("the arguments are good")),
    }
}

fn bytes_of(file: &dyn File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    assert_eq!(read_full(file, &mut bytes, 0).unwrap(), bytes.len());
    bytes
}

fn names(dir: &dyn Dir) -> Vec<(String, EntryKind)> {
    let mut entries: Vec<_> = dir.list().unwrap().into_iter().map(|entry| (entry.name, entry.kind)).collect();
    entries.sort();
    entries
}

macro_rules! suite {
    ($($behaviour:ident)*) => {
        mod memory {
            $(#[test] fn $behaviour() { super::$behaviour(super::MemoryDisk::new().root()); })*
        }
        mod simulated {
            $(#[test] fn $behaviour() { super::$behaviour(super::SimDisk::new().root()); })*
        }
        mod temporary_directory {
            $(#[test] fn $behaviour() {
                let scratch = super::Scratch::new(&std::env::temp_dir());
                super::$behaviour(scratch.dir());
            })*
        }
        #[cfg(target_os = "linux")]
        mod tmpfs {
            $(#[test] fn $behaviour() {
                let scratch = super::Scratch::new("/dev/shm".as_ref());
                super::$behaviour(scratch.dir());
            })*
        }
    };
}

suite! {
    names_are_given_once
    names_that_lead_elsewhere_are_refused
    only_files_open_as_files
    a_rename_replaces_in_one_step
    a_removed_file_stays_for_its_handles
    a_removed_directory_takes_no_names
    bytes_are_where_they_were_written
    a_handle_for_reading_does_not_write
    allocation_grows_with_zeros_and_keeps_what_is_there
    punching_leaves_zeros_and_the_size
    a_lock_has_one_holder
    a_map_publishes_to_readers_and_to_the_file
    a_map_grows_into_what_is_reserved
    a_map_refuses_what_does_not_fit
    a_map_trusts_no_space_that_may_have_been_given_back
    a_sealed_map_reads_all_of_it
    a_map_outlives_name_and_handle
    readers_follow_a_writer_in_another_thread
    a_store_into_published_bytes_panics
    a_store_beyond_the_reserve_panics
    an_end_beyond_the_reserve_panics
    hostile_positions_are_errors
}

fn names_are_given_once(dir: Arc<dyn Dir>) {
    assert_eq!(names(&*dir), []);
    dir.create("b").unwrap();
    dir.create_dir("a").unwrap();
    let both = [("a".to_owned(), EntryKind::Dir), ("b".to_owned(), EntryKind::File)];
    assert_eq!(names(&*dir), both);
    for taken in ["a", "b"] {
        assert_eq!(dir.create(taken).unwrap_err().kind(), AlreadyExists);
        assert_eq!(dir.create_dir(taken).unwrap_err().kind(), AlreadyExists);
    }
    let inner = dir.open_dir("a").unwrap();
    inner.create("c").unwrap();
    assert_eq!(dir.remove_dir("a").unwrap_err().kind(), DirectoryNotEmpty);
    inner.remove("c").unwrap();
    inner.sync().unwrap();
    dir.remove_dir("a").unwrap();
    dir.remove("b").unwrap();
    dir.sync().unwrap();
    assert_eq!(names(&*dir), []);
    assert_eq!(dir.remove("b").unwrap_err().kind(), NotFound);
    assert_eq!(dir.remove_dir("a").unwrap_err().kind(), NotFound);
}

fn names_that_lead_elsewhere_are_refused(dir: Arc<dyn Dir>) {
    dir.create("a").unwrap();
    for name in ["", ".", "..", "x/y", "/x", "../x", "x\\y", "x\0"] {
        assert_eq!(dir.create(name).unwrap_err().kind(), InvalidInput, "{name:?}");
        assert_eq!(dir.open(name, Access::Read).unwrap_err().kind(), InvalidInput, "{name:?}");
        assert_eq!(dir.remove(name).unwrap_err().kind(), InvalidInput, "{name:?}");
        assert_eq!(dir.rename("a", name).unwrap_err().kind(), InvalidInput, "{name:?}");
        assert_eq!(dir.rename(name, "b").unwrap_err().kind(), InvalidInput, "{name:?}");
        assert_eq!(dir.create_dir(name).unwrap_err().kind(), InvalidInput, "{name:?}");
        assert_eq!(dir.open_dir(name).unwrap_err().kind(), InvalidInput, "{name:?}");
        assert_eq!(dir.remove_dir(name).unwrap_err().kind(), InvalidInput, "{name:?}");
        assert_eq!(dir.lock(name).unwrap_err().kind(), InvalidInput, "{name:?}");
    }
}

fn only_files_open_as_files(dir: Arc<dyn Dir>) {
    dir.create_dir("folder").unwrap();
    dir.create("file").unwrap();
    for access in [Access::Read, Access::ReadWrite] {
        assert_eq!(dir.open("folder", access).unwrap_err().kind(), InvalidInput);
        assert_eq!(dir.open("missing", access).unwrap_err().kind(), NotFound);
    }
    assert_eq!(dir.open_dir("file").unwrap_err().kind(), NotADirectory);
    assert_eq!(dir.open_dir("missing").unwrap_err().kind(), NotFound);
    assert_eq!(dir.remove_dir("file").unwrap_err().kind(), NotADirectory);
    assert_eq!(dir.lock("folder").unwrap_err().kind(), InvalidInput);
    assert!(dir.remove("folder").is_err());
}

fn a_rename_replaces_in_one_step(dir: Arc<dyn Dir>) {
    let (new, old) = (dir.create("new").unwrap(), dir.create("old").unwrap());
    write_all(&*new, b"new", 0).unwrap();
    write_all(&*old, b"old", 0).unwrap();
    dir.rename("new", "old").unwrap();
    assert_eq!(names(&*dir), [("old".to_owned(), EntryKind::File)]);
    assert_eq!(bytes_of(&*dir.open("old", Access::Read).unwrap()), b"new");
    assert_eq!(bytes_of(&*old), b"old");
    dir.rename("old", "old").unwrap();
    assert_eq!(dir.rename("new", "old").unwrap_err().kind(), NotFound);
    dir.create_dir("folder").unwrap();
    assert!(dir.rename("old", "folder").is_err());
}

fn a_removed_file_stays_for_its_handles(dir: Arc<dyn Dir>) {
    let file = dir.create("a").unwrap();
    write_all(&*file, b"here", 0).unwrap();
    dir.remove("a").unwrap();
    assert_eq!(dir.open("a", Access::Read).unwrap_err().kind(), NotFound);
    let next = dir.create("a").unwrap();
    write_all(&*file, b"!", 4).unwrap();
    file.sync().unwrap();
    assert_eq!(bytes_of(&*file), b"here!");
    assert_eq!(next.len().unwrap(), 0);
}

fn a_removed_directory_takes_no_names(dir: Arc<dyn Dir>) {
    let gone = dir.create_dir("gone").unwrap();
    dir.remove_dir("gone").unwrap();
    assert_eq!(gone.create("a").unwrap_err().kind(), NotFound);
    assert_eq!(gone.create_dir("a").unwrap_err().kind(), NotFound);
}

fn bytes_are_where_they_were_written(dir: Arc<dyn Dir>) {
    let file = dir.create("a").unwrap();
    assert_eq!((file.len().unwrap(), file.read_at(&mut [0; 4], 0).unwrap()), (0, 0));
    write_all(&*file, b"tail", 10_000).unwrap();
    write_all(&*file, b"head", 0).unwrap();
    assert_eq!(file.len().unwrap(), 10_004);
    let mut expected = vec![0; 10_004];
    expected[..4].copy_from_slice(b"head");
    expected[10_000..].copy_from_slice(b"tail");
    assert_eq!(bytes_of(&*file), expected);
    let mut buf = [9; 8];
    assert_eq!(read_full(&*file, &mut buf, 10_002).unwrap(), 2);
    assert_eq!(buf, *b"il\x09\x09\x09\x09\x09\x09");
    assert_eq!(file.read_at(&mut buf, 20_000).unwrap(), 0);
    file.sync().unwrap();
    assert_eq!(bytes_of(&*dir.open("a", Access::ReadWrite).unwrap()), expected);
}

fn a_handle_for_reading_does_not_write(dir: Arc<dyn Dir>) {
    write_all(&*dir.create("a").unwrap(), &[7; 100], 0).unwrap();
    let file = dir.open("a", Access::Read).unwrap();
    assert!(file.write_at(b"x", 0).is_err());
    assert!(file.allocate(0, 8192).is_err());
    assert!(file.punch(0, 50).is_err());
    assert!(file.map(0, 100).is_err());
    assert_eq!(bytes_of(&*file), [7; 100]);
}

fn allocation_grows_with_zeros_and_keeps_what_is_there(dir: Arc<dyn Dir>) {
    let file = dir.create("a").unwrap();
    write_all(&*file, &[7; 5_000], 0).unwrap();
    file.allocate(1_000, 20_000).unwrap();
    file.allocate(0, 10_000).unwrap();
    file.allocate(30_000, 30_000).unwrap();
    let mut expected = vec![7; 5_000];
    expected.resize(20_000, 0);
    assert_eq!(bytes_of(&*file), expected);
    assert!(file.allocated_bytes().unwrap() >= 20_000);
}

fn punching_leaves_zeros_and_the_size(dir: Arc<dyn Dir>) {
    let file = dir.create("a").unwrap();
    write_all(&*file, &[7; 65_536], 0).unwrap();
    file.sync().unwrap();
    let before = file.allocated_bytes().unwrap();
    file.punch(100, 40_000).unwrap();
    file.punch(65_000, 1_000_000).unwrap();
    file.punch(5, 5).unwrap();
    let mut expected = vec![7; 65_536];
    expected[100..40_000].fill(0);
    expected[65_000..].fill(0);
    assert_eq!(bytes_of(&*file), expected);
    // Eight whole pages lie between 4,096 and 36,864.
    assert!(file.allocated_bytes().unwrap() <= before - 8 * 4_096);
}

fn a_lock_has_one_holder(dir: Arc<dyn Dir>) {
    let lock = dir.lock("LOCK").unwrap().expect("nobody holds it");
    lock.write_note("a long note").unwrap();
    lock.write_note("pid 7").unwrap();
    assert_eq!(bytes_of(&*dir.open("LOCK", Access::Read).unwrap()), b"pid 7");
    assert!(dir.lock("LOCK").unwrap().is_none());
    assert!(dir.lock("OTHER").unwrap().is_some());
    drop(lock);
    assert!(dir.lock("LOCK").unwrap().is_some());
}

fn a_map_publishes_to_readers_and_to_the_file(dir: Arc<dyn Dir>) {
    let file = dir.create("a").unwrap();
    write_all(&*file, b"first", 0).unwrap();
    let Some((mut writer, reader)) = map(&*file, 5, 1 << 20) else { return };
    assert_eq!((reader.reserved(), writer.published().get()), (5, 5));
    reader.reserve(100).unwrap();
    writer.store(b"??????", 5);
    writer.store(b"second", 5);
    let mut buf = [0; 11];
    assert_eq!(reader.read(&mut buf, 0).unwrap_err().kind(), UnexpectedEof);
    assert_eq!(reader.read(&mut buf, u64::MAX).unwrap_err().kind(), UnexpectedEof);
    writer.publish(11);
    reader.read(&mut buf, 0).unwrap();
    assert_eq!(buf, *b"firstsecond");
    writer.append(b"third", 11);
    assert_eq!(writer.published().get(), 16);
    file.sync().unwrap();
    let mut all = b"firstsecondthird".to_vec();
    all.resize(100, 0);
    assert_eq!(bytes_of(&*file), all);
    // A large write goes around the map, and is published through it.
    write_all(&*file, b"FOURTH", 16).unwrap();
    writer.publish(22);
    reader.read(&mut buf, 11).unwrap();
    assert_eq!(buf, *b"thirdFOURTH");
}

fn a_map_grows_into_what_is_reserved(dir: Arc<dyn Dir>) {
    let file = dir.create("a").unwrap();
    let Some((mut writer, reader)) = map(&*file, 0, 1 << 20) else { return };
    assert_eq!((reader.reserved(), file.len().unwrap()), (0, 0));
    for step in [1, 4_096, 65_536, 65_537, 1 << 20] {
        reader.reserve(step).unwrap();
        reader.reserve(step / 2).unwrap();
        assert_eq!((reader.reserved(), file.len().unwrap()), (step, step));
        writer.append(&[7], step - 1);
    }
    assert!(file.allocated_bytes().unwrap() >= 1 << 20);
    assert_eq!(reader.reserve((1 << 20) + 1).unwrap_err().kind(), InvalidInput);
    let bytes = bytes_of(&*file);
    assert_eq!(bytes.iter().filter(|byte| **byte == 7).count(), 5);
}

fn a_map_refuses_what_does_not_fit(dir: Arc<dyn Dir>) {
    let file = dir.create("a").unwrap();
    write_all(&*file, &[7; 100], 0).unwrap();
    let Some(halves) = map(&*file, 100, 4_096) else { return };
    assert_eq!(file.map(100, 4_096).unwrap_err().kind(), ResourceBusy);
    drop(halves);
    assert_eq!(file.map(101, 4_096).unwrap_err().kind(), InvalidInput);
    assert_eq!(file.map(100, 99).unwrap_err().kind(), InvalidInput);
    assert_eq!(file.map(0, 0).unwrap_err().kind(), InvalidInput);
    assert_eq!(file.map_read(101).unwrap_err().kind(), UnexpectedEof);
}

fn a_map_trusts_no_space_that_may_have_been_given_back(dir: Arc<dyn Dir>) {
    let file = dir.create("a").unwrap();
    write_all(&*file, &[7; 100], 0).unwrap();
    file.allocate(0, 1 << 20).unwrap();
    file.punch(4_096, 1 << 20).unwrap();
    let Some((mut writer, reader)) = map(&*file, 100, 1 << 20) else { return };
    assert_eq!(reader.reserved(), 100);
    reader.reserve(9_000).unwrap();
    writer.append(&[8; 8_900], 100);
    file.sync().unwrap();
    assert!(file.allocated_bytes().unwrap() >= 9_000);
}

fn a_sealed_map_reads_all_of_it(dir: Arc<dyn Dir>) {
    write_all(&*dir.create("a").unwrap(), &[7; 10_000], 0).unwrap();
    let file = dir.open("a", Access::Read).unwrap();
    let reader = match file.map_read(9_000) {
        Err(error) if error.kind() == Unsupported => return,
        reader => reader.unwrap(),
    };
    let mut buf = [0; 9_000];
    reader.read(&mut buf, 0).unwrap();
    assert_eq!(buf, [7; 9_000]);
    assert_eq!(reader.read(&mut buf, 1).unwrap_err().kind(), UnexpectedEof);
    assert_eq!((reader.reserved(), reader.reserve(9_001).unwrap_err().kind()), (9_000, InvalidInput));
    file.map_read(0).unwrap().read(&mut [], 0).unwrap();
}

fn a_map_outlives_name_and_handle(dir: Arc<dyn Dir>) {
    let file = dir.create("a").unwrap();
    let Some((mut writer, reader)) = map(&*file, 0, 8_192) else { return };
    dir.remove("a").unwrap();
    drop(file);
    reader.reserve(8_192).unwrap();
    writer.append(b"still here", 0);
    let mut buf = [0; 10];
    reader.read(&mut buf, 0).unwrap();
    assert_eq!(buf, *b"still here");
}

fn readers_follow_a_writer_in_another_thread(dir: Arc<dyn Dir>) {
    const RECORDS: u64 = 2_000;
    let file = dir.create("a").unwrap();
    let Some((mut writer, reader)) = map(&*file, 0, RECORDS * 8) else { return };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (published, reader) = (writer.published(), Arc::clone(&reader));
            scope.spawn(move || {
                let mut next = 0;
                while next < RECORDS {
                    while next * 8 < published.get() {
                        let mut buf = [0; 8];
                        reader.read(&mut buf, next * 8).unwrap();
                        assert_eq!(u64::from_le_bytes(buf), next + 1);
                        next += 1;
                    }
                    std::thread::yield_now();
                }
            });
        }
        for number in 0..RECORDS {
            if reader.reserved() == number * 8 {
                reader.reserve((reader.reserved() + 4_000).min(RECORDS * 8)).unwrap();
            }
            writer.append(&(number + 1).to_le_bytes(), number * 8);
        }
    });
}

/// Runs `act` on a map with 8 of 4,096 reserved bytes published, and returns the panic's message.
fn panic_of(dir: &dyn Dir, act: impl FnOnce(&mut dyn MapWriter)) -> Option<String> {
    let file = dir.create("a").unwrap();
    file.allocate(0, 4_096).unwrap();
    let (mut writer, _) = map(&*file, 8, 8_192)?;
    let act = std::panic::AssertUnwindSafe(|| act(&mut *writer));
    let panic = std::panic::catch_unwind(act).expect_err("a bug of the caller must not pass");
    Some(*panic.downcast::<String>().expect("the message has arguments"))
}

fn a_store_into_published_bytes_panics(dir: Arc<dyn Dir>) {
    if let Some(text) = panic_of(&*dir, |writer| writer.store(b"x", 7)) {
        assert!(text.contains("would change published bytes"), "{text}");
    }
}

fn a_store_beyond_the_reserve_panics(dir: Arc<dyn Dir>) {
    if let Some(text) = panic_of(&*dir, |writer| writer.store(b"xx", 4_095)) {
        assert!(text.contains("passes what is reserved"), "{text}");
    }
}

fn an_end_beyond_the_reserve_panics(dir: Arc<dyn Dir>) {
    if let Some(text) = panic_of(&*dir, |writer| writer.publish(4_097)) {
        assert!(text.contains("passes what is reserved"), "{text}");
    }
}

fn hostile_positions_are_errors(dir: Arc<dyn Dir>) {
    let file = dir.create("a").unwrap();
    for position in [u64::MAX, u64::MAX - 1, i64::MAX as u64] {
        assert!(file.write_at(b"xx", position).is_err(), "{position}");
        assert!(file.allocate(0, position.max(1 << 63)).is_err(), "{position}");
        assert_ne!(file.read_at(&mut [0; 2], position).ok(), Some(2));
    }
    assert_eq!(file.len().unwrap(), 0);
}

/// Links, pipes and permissions: only a real disk has them.
#[cfg(unix)]
mod real {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    #[test]
    fn what_is_made_is_its_owners_alone() {
        let scratch = Scratch::new(&std::env::temp_dir());
        let dir = DiskDir::open_or_create(scratch.0.join("deep/down")).unwrap();
        dir.create("file").unwrap();
        dir.create_dir("folder").unwrap();
        let _lock = dir.lock("LOCK").unwrap();
        for (path, mode) in
            [("", 0o700), ("deep", 0o700), ("deep/down/file", 0o600), ("deep/down/LOCK", 0o600)]
        {
            let found = std::fs::metadata(scratch.0.join(path)).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode, "{path}");
        }
        assert_eq!(std::fs::metadata(scratch.0.join("deep/down/folder")).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn links_pipes_and_sockets_are_never_opened() {
        let scratch = Scratch::new(&std::env::temp_dir());
        let dir = scratch.dir();
        dir.create("file").unwrap();
        dir.create_dir("folder").unwrap();
        symlink("file", scratch.0.join("link")).unwrap();
        symlink("nowhere", scratch.0.join("dangling")).unwrap();
        symlink("folder", scratch.0.join("link-to-folder")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(scratch.0.join("pipe")).status().unwrap();
        assert!(made.success());
        let _socket = std::os::unix::net::UnixListener::bind(scratch.0.join("socket")).unwrap();
        for name in ["link", "dangling", "link-to-folder", "pipe", "socket"] {
            for access in [Access::Read, Access::ReadWrite] {
                assert_eq!(dir.open(name, access).unwrap_err().kind(), InvalidInput, "{name}");
            }
            assert_eq!(dir.create(name).unwrap_err().kind(), AlreadyExists, "{name}");
            assert_eq!(dir.lock(name).unwrap_err().kind(), InvalidInput, "{name}");
            assert_eq!(dir.open_dir(name).unwrap_err().kind(), NotADirectory, "{name}");
            let kind = dir.list().unwrap().into_iter().find(|entry| entry.name == name).unwrap().kind;
            assert_eq!(kind, EntryKind::Other, "{name}");
        }
        assert!(!scratch.0.join("nowhere").exists());
    }

    /// Page faults are what the reserve is there to keep out of the appends.
    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_reserved_is_populated() {
        let scratch = Scratch::new("/dev/shm".as_ref());
        let file = scratch.dir().create("populated").unwrap();
        let (_writer, reader) = file.map(0, 1 << 24).unwrap();
        reader.reserve(100).unwrap();
        reader.reserve(1 << 20).unwrap();
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let path = file.path().display().to_string();
        let mut of_file = maps.lines().skip_while(|line| !line.ends_with(&path));
        let present = of_file.find(|line| line.starts_with("Rss:")).expect("a map has a size");
        assert_eq!(present.split_whitespace().nth(1), Some("1024"), "{present}");
    }

    #[test]
    fn a_file_or_nothing_is_not_a_directory() {
        let scratch = Scratch::new(&std::env::temp_dir());
        scratch.dir().create("file").unwrap();
        assert_eq!(DiskDir::open(scratch.0.join("file")).unwrap_err().kind(), NotADirectory);
        assert_eq!(DiskDir::open(scratch.0.join("none")).unwrap_err().kind(), NotFound);
    }
}
