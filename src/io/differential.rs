//! The same random script on every disk: what one says and shows, all say and show.

use super::suite::Scratch;
use super::{Access, Dir, File, MapReader, MapWriter, MemoryDisk, SimDisk, read_full};
use std::fmt::Write;
use std::io;
use std::sync::Arc;

const NAMES: [&str; 5] = ["a", "b", "c", "folder", "LOCK"];
const CAPACITY: u64 = 1 << 16;

/// A disk under test, with the handles that the script has opened on it.
struct Subject {
    dir: Arc<dyn Dir>,
    open: Vec<Open>,
}

struct Open {
    file: Arc<dyn File>,
    map: Option<(Box<dyn MapWriter>, Arc<dyn MapReader>)>,
}

/// One step of a script; `handle` counts among the open ones.
#[derive(Clone, Debug)]
enum Act {
    Create { name: &'static str },
    CreateDir { name: &'static str },
    Open { name: &'static str, access: Access },
    Close { handle: usize },
    Rename { from: &'static str, to: &'static str },
    Remove { name: &'static str },
    RemoveDir { name: &'static str },
    List,
    SyncDir,
    Write { handle: usize, position: u64, byte: u8, len: usize },
    Read { handle: usize, position: u64, len: usize },
    Len { handle: usize },
    Allocate { handle: usize, from: u64, to: u64 },
    Punch { handle: usize, from: u64, to: u64 },
    Sync { handle: usize },
    Map { handle: usize },
    Reserve { handle: usize, to: u64 },
    Append { handle: usize, byte: u8, len: usize, stored_only: bool },
    MapRead { handle: usize, position: u64, len: usize },
    Unmap { handle: usize },
}

fn script(seed: u64) -> Vec<Act> {
    let mut random = fastrand::Rng::with_seed(seed);
    let random = &mut random;
    let name = |random: &mut fastrand::Rng| NAMES[random.usize(..NAMES.len())];
    (0..random.usize(20..150))
        .map(|_| {
            let handle = random.usize(..6);
            let position = random.u64(..40_000);
            let len = random.usize(1..9_000);
            match random.u8(..24) {
                0..=2 => Act::Create { name: name(random) },
                3 => Act::CreateDir { name: name(random) },
                4 | 5 => {
                    let access = if random.u8(..4) == 0 { Access::Read } else { Access::ReadWrite };
                    Act::Open { name: name(random), access }
                }
                6 => Act::Close { handle },
                7 | 8 => Act::Rename { from: name(random), to: name(random) },
                9 => Act::Remove { name: name(random) },
                10 => Act::RemoveDir { name: name(random) },
                11 => Act::List,
                12 => Act::SyncDir,
                13 | 14 => Act::Write { handle, position, byte: random.u8(1..), len },
                15 => Act::Read { handle, position, len },
                16 => Act::Len { handle },
                17 => Act::Allocate { handle, from: position, to: position + len as u64 },
                18 => Act::Punch { handle, from: position, to: position + len as u64 },
                19 => Act::Sync { handle },
                20 => Act::Map { handle },
                21 => Act::Reserve { handle, to: random.u64(..CAPACITY + 100) },
                22 => Act::Append { handle, byte: random.u8(1..), len, stored_only: random.bool() },
                _ if random.bool() => Act::MapRead { handle, position, len },
                _ => Act::Unmap { handle },
            }
        })
        .collect()
}

impl Subject {
    fn new(dir: Arc<dyn Dir>) -> Self {
        Self { dir, open: Vec::new() }
    }

    /// Does `act`, and says what came of it.
    fn run(&mut self, act: &Act) -> String {
        match self.try_run(act) {
            Ok(text) => text,
            // A system has more than one word for "a directory is in the way".
            Err(error) if matches!(act, Act::Rename { .. } | Act::Remove { .. }) => {
                let missing = error.kind() == io::ErrorKind::NotFound;
                if missing { "not found" } else { "refused" }.to_owned()
            }
            // Nor is there one kind for writing through a handle that only reads.
            Err(error) if matches!(act, Act::Write { .. } | Act::Allocate { .. } | Act::Punch { .. }) => {
                assert_ne!(error.kind(), io::ErrorKind::StorageFull);
                "refused".to_owned()
            }
            Err(error) if matches!(act, Act::Map { .. }) && is_refusal(&error) => "refused".to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        }
    }

    fn try_run(&mut self, act: &Act) -> io::Result<String> {
        let done = |()| "done".to_owned();
        match *act {
            Act::Create { name } => self.dir.create(name).map(|file| self.keep(file)),
            Act::CreateDir { name } => self.dir.create_dir(name).map(|_| "done".to_owned()),
            Act::Open { name, access } => self.dir.open(name, access).map(|file| self.keep(file)),
            Act::Rename { from, to } => self.dir.rename(from, to).map(done),
            Act::Remove { name } => self.dir.remove(name).map(done),
            Act::RemoveDir { name } => self.dir.remove_dir(name).map(done),
            Act::List => Ok(list(&*self.dir)),
            Act::SyncDir => self.dir.sync().map(done),
            Act::Close { handle } if handle < self.open.len() => {
                self.open.remove(handle);
                Ok("closed".to_owned())
            }
            Act::Write { handle, .. }
            | Act::Read { handle, .. }
            | Act::Len { handle }
            | Act::Allocate { handle, .. }
            | Act::Punch { handle, .. }
            | Act::Sync { handle }
            | Act::Map { handle }
            | Act::Reserve { handle, .. }
            | Act::Append { handle, .. }
            | Act::MapRead { handle, .. }
            | Act::Unmap { handle } => match self.open.get_mut(handle) {
                Some(open) => open.run(act),
                None => Ok("no handle".to_owned()),
            },
            Act::Close { .. } => Ok("no handle".to_owned()),
        }
    }

    fn keep(&mut self, file: Arc<dyn File>) -> String {
        self.open.push(Open { file, map: None });
        "opened".to_owned()
    }
}

fn is_refusal(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput)
}

impl Open {
    fn run(&mut self, act: &Act) -> io::Result<String> {
        match *act {
            Act::Write { position, byte, len, .. } => {
                self.file.write_at(&vec![byte; len], position).map(|count| format!("wrote {count}"))
            }
            Act::Read { position, len, .. } => {
                let mut buf = vec![0; len];
                let count = read_full(&*self.file, &mut buf, position)?;
                Ok(digest(&buf[..count]))
            }
            Act::Len { .. } => self.file.len().map(|len| len.to_string()),
            Act::Allocate { from, to, .. } => self.file.allocate(from, to).map(|()| "done".to_owned()),
            Act::Punch { from, to, .. } => self.file.punch(from, to).map(|()| "done".to_owned()),
            Act::Sync { .. } => self.file.sync().map(|()| "done".to_owned()),
            Act::Map { .. } => {
                let published = self.file.len()?.min(CAPACITY) / 2;
                self.map = Some(self.file.map(published, CAPACITY)?);
                Ok(format!("mapped from {published}"))
            }
            Act::Unmap { .. } => Ok(if self.map.take().is_some() { "unmapped" } else { "no map" }.to_owned()),
            _ => match &mut self.map {
                Some((writer, reader)) => {
                    if let Act::Append { .. } = act {
                        // What was punched since it was reserved: the simulated disk stops a store into a hole.
                        self.file.allocate(writer.published().get(), reader.reserved())?;
                    }
                    run_mapped(act, &mut **writer, &**reader)
                }
                None => Ok("no map".to_owned()),
            },
        }
    }
}

fn run_mapped(act: &Act, writer: &mut dyn MapWriter, reader: &dyn MapReader) -> io::Result<String> {
    match *act {
        Act::Reserve { to, .. } => reader.reserve(to).map(|()| reader.reserved().to_string()),
        Act::Append { byte, len, stored_only, .. } => {
            let end = writer.published().get();
            let len = len.min(usize::try_from(reader.reserved() - end).unwrap());
            writer.store(&vec![byte; len], end);
            if !stored_only {
                writer.publish(end + len as u64);
            }
            Ok(format!("published {}", writer.published().get()))
        }
        Act::MapRead { position, len, .. } => {
            let mut buf = vec![0; len];
            reader.read(&mut buf, position)?;
            Ok(digest(&buf))
        }
        _ => unreachable!("the other acts need no map"),
    }
}

fn list(dir: &dyn Dir) -> String {
    let mut entries = dir.list().expect("a listing");
    entries.sort();
    entries.iter().fold(String::new(), |mut text, entry| {
        let _ = write!(text, "{} {:?}, ", entry.name, entry.kind);
        text
    })
}

fn digest(bytes: &[u8]) -> String {
    format!("{} bytes, crc {:08x}", bytes.len(), crc32fast::hash(bytes))
}

/// All that can be seen: names, sizes, bytes.
fn everything(dir: &dyn Dir) -> String {
    let mut text = list(dir);
    for name in NAMES {
        if let Ok(file) = dir.open(name, Access::Read) {
            let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
            let count = read_full(&*file, &mut bytes, 0).unwrap();
            assert_eq!(count, bytes.len());
            let _ = write!(text, "{name}: {}; ", digest(&bytes));
        }
    }
    text
}

fn agree(seeds: std::ops::Range<u64>, real: impl Fn() -> Scratch) {
    for seed in seeds {
        let scratch = real();
        let mut real = Subject::new(scratch.dir());
        let (memory, sim) = (MemoryDisk::new(), SimDisk::new());
        let mut others = [Subject::new(memory.root()), Subject::new(sim.root())];
        for (at, act) in script(seed).iter().enumerate() {
            let expected = real.run(act);
            for (other, name) in others.iter_mut().zip(["memory", "simulated"]) {
                assert_eq!(other.run(act), expected, "{name} disk, seed {seed}, act {at}: {act:?}");
            }
        }
        let expected = everything(&*real.dir);
        assert_eq!(everything(&*others[0].dir), expected, "memory disk, seed {seed}");
        assert_eq!(everything(&*others[1].dir), expected, "simulated disk, seed {seed}");
        // A process restart shows the same; so does a power cut that loses nothing.
        assert_eq!(everything(&*sim.kill().root()), expected, "killed, seed {seed}");
        let kept = sim.power_cut(|_| super::Fate::Kept);
        assert_eq!(everything(&*kept.root()), expected, "nothing lost, seed {seed}");
        assert_eq!(kept.content_hash(), sim.content_hash(), "seed {seed}");
    }
}

#[test]
fn all_disks_agree_with_the_temporary_directory() {
    agree(0..150, || Scratch::new(&std::env::temp_dir()));
}

#[test]
#[cfg(target_os = "linux")]
fn all_disks_agree_with_tmpfs() {
    agree(1_000..2_000, || Scratch::new("/dev/shm".as_ref()));
}
