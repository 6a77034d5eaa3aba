//! The simulated disk is honest: whatever a real power cut leaves is something that it can leave.
//!
//! The same random script runs on a real file system and on a simulated disk. The real one is cut off and
//! mounted again; then every name, length and sector found must be among those that the simulated disk allows.

use crate::figure;
use crate::loop_disk::{Journal, Kind, LoopDisk};
use crate::proof::{Count, Rate, Seed, Size};
use annals::io::{Atom, Dir, DiskDir, Fate, File, MapReader, MapWriter, PowerCuts, SimDisk};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const CAPACITY: u64 = 1 << 17;

/// All files of a directory and of those below, with their bytes.
type Tree = BTreeMap<String, Vec<u8>>;

/// One step of a script; files are counted among the open ones, folder 1 lies in folder 0.
#[derive(Clone, Copy, Debug)]
enum Act {
    Create {
        folder: usize,
        name: &'static str,
    },
    Rename {
        folder: usize,
        from: &'static str,
        to: &'static str,
    },
    Remove {
        folder: usize,
        name: &'static str,
    },
    SyncDir {
        folder: usize,
    },
    Write {
        file: usize,
        position: u64,
        len: usize,
        byte: u8,
    },
    Allocate {
        file: usize,
        from: u64,
        to: u64,
    },
    Punch {
        file: usize,
        from: u64,
        to: u64,
    },
    Append {
        file: usize,
        len: usize,
        byte: u8,
    },
    Sync {
        file: usize,
    },
    /// The system writes a file back by itself. The simulated disk is not told.
    WriteBack {
        file: usize,
    },
}

fn script(random: &mut fastrand::Rng) -> Vec<Act> {
    let mut acts = vec![Act::Create { folder: random.usize(..2), name: "a" }];
    for byte in 1..=random.u8(1..60) {
        let folder = random.usize(..2);
        let (name, to) = (NAMES[random.usize(..4)], NAMES[random.usize(..4)]);
        let file = random.usize(..4);
        let position = random.u64(..30_000);
        let len = random.usize(1..9_000);
        acts.push(match random.u8(..16) {
            0..=2 => Act::Create { folder, name },
            3 => Act::Rename { folder, from: name, to },
            4 => Act::Remove { folder, name },
            5 => Act::SyncDir { folder },
            6..=8 => Act::Write { file, position, len, byte },
            9 => Act::Allocate { file, from: position, to: position + len as u64 },
            10 => Act::Punch { file, from: position, to: position + len as u64 },
            11..=12 => Act::Append { file, len, byte },
            13 => Act::Sync { file },
            _ => Act::WriteBack { file },
        });
    }
    acts
}

/// A disk that a script runs on.
struct Subject {
    folders: [Arc<dyn Dir>; 2],
    files: Vec<Open>,
    system: System,
}

struct Open {
    file: Arc<dyn File>,
    map: Option<(Box<dyn MapWriter>, Arc<dyn MapReader>)>,
}

/// Who may write back unasked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum System {
    Real,
    Simulated,
}

impl Subject {
    fn new(root: Arc<dyn Dir>, system: System) -> Self {
        let inner = root.create_dir("inner").expect("the directory is empty");
        Self { folders: [root, inner], files: Vec::new(), system }
    }

    /// Does `act`; says whether it worked. What is impossible is left out on both disks alike.
    fn run(&mut self, act: Act) -> bool {
        match act {
            Act::Create { folder, name } => match self.folders[folder].create(name) {
                Ok(file) => {
                    self.files.push(Open { file, map: None });
                    true
                }
                Err(_) => false,
            },
            Act::Rename { folder, from, to } => self.folders[folder].rename(from, to).is_ok(),
            Act::Remove { folder, name } => self.folders[folder].remove(name).is_ok(),
            Act::SyncDir { folder } => self.folders[folder].sync().is_ok(),
            Act::Write { file, .. }
            | Act::Allocate { file, .. }
            | Act::Punch { file, .. }
            | Act::Append { file, .. }
            | Act::Sync { file }
            | Act::WriteBack { file } => {
                let system = self.system;
                self.files.get_mut(file).is_some_and(|open| open.run(act, system))
            }
        }
    }
}

impl Open {
    fn run(&mut self, act: Act, system: System) -> bool {
        match act {
            Act::Write { position, len, byte, .. } => self.file.write_at(&vec![byte; len], position).is_ok(),
            Act::Allocate { from, to, .. } => self.file.allocate(from, to).is_ok(),
            Act::Punch { from, to, .. } => self.file.punch(from, to).is_ok(),
            Act::Sync { .. } => self.file.sync().is_ok(),
            Act::WriteBack { .. } => system == System::Simulated || self.file.sync().is_ok(),
            Act::Append { len, byte, .. } => self.append(&vec![byte; len]),
            _ => unreachable!("the other acts are of directories"),
        }
    }

    fn append(&mut self, bytes: &[u8]) -> bool {
        if self.map.is_none() {
            let len = self.file.len().expect("a size");
            self.map = Some(self.file.map(len, CAPACITY).expect("the disks under test have maps"));
        }
        let (writer, reader) = self.map.as_mut().expect("it was just made");
        let start = writer.published().get();
        let end = start + bytes.len() as u64;
        if end > CAPACITY {
            return false;
        }
        // As a log does: space is reserved in steps, and stores follow.
        reader.reserve(end.next_multiple_of(4_096).min(CAPACITY)).expect("there is room");
        // A punch may have given some of it back, as no log does where it goes on.
        self.file.allocate(start, end).expect("there is room");
        writer.append(bytes, start);
        true
    }
}

fn tree_of(path: &Path) -> Tree {
    let mut tree = Tree::new();
    for (folder, prefix) in [(path.to_owned(), ""), (path.join("inner"), "inner/")] {
        // The inner directory may be lost.
        for entry in std::fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
                tree.insert(name, std::fs::read(entry.path()).unwrap());
            }
        }
    }
    tree
}

fn tree_of_sim(disk: &SimDisk) -> Tree {
    disk.files().into_iter().map(|path| (path.clone(), disk.read(&path).unwrap())).collect()
}

/// What one power cut can leave of the names: of each directory the first few changes.
struct Possible {
    /// The files with the shortest and the longest length they can have.
    lengths: [Tree; 2],
    /// The files in each version of their sectors.
    versions: Vec<Tree>,
}

fn possibilities(disk: &SimDisk) -> Vec<Possible> {
    let mut entries: BTreeMap<usize, usize> = BTreeMap::new();
    let mut versions_max = 2;
    let _ = disk.power_cut(|atom| {
        match atom {
            Atom::Entry { dir, .. } => *entries.entry(*dir).or_default() += 1,
            Atom::Sector { versions, .. } => versions_max = versions_max.max(*versions),
            _ => {}
        }
        Fate::Kept
    });
    let mut choices = vec![BTreeMap::new()];
    for (dir, count) in entries {
        let with = |chosen: &BTreeMap<usize, usize>| {
            let chosen = chosen.clone();
            (0..=count).map(move |kept| {
                let mut chosen = chosen.clone();
                chosen.insert(dir, kept);
                chosen
            })
        };
        choices = choices.iter().flat_map(with).collect();
    }
    let possible = |kept: &BTreeMap<usize, usize>| {
        let tree = |length: Fate, version: usize| {
            tree_of_sim(&disk.power_cut(|atom| match atom {
                Atom::Entry { dir, index, .. } => {
                    if *index < kept[dir] {
                        Fate::Kept
                    } else {
                        Fate::Lost
                    }
                }
                Atom::Length { .. } => length,
                Atom::Sector { versions, .. } => Fate::Version(version.min(versions - 1)),
                other => panic!("nothing else is known: {other:?}"),
            }))
        };
        let versions = (0..versions_max).map(|version| tree(Fate::Kept, version)).collect();
        Possible { lengths: [tree(Fate::Lost, 0), tree(Fate::Kept, 0)], versions }
    };
    choices.iter().map(possible).collect()
}

impl Possible {
    /// The first thing in `found` that cannot be.
    fn check(&self, found: &Tree) -> Result<(), String> {
        let names: Vec<_> = found.keys().collect();
        if !self.lengths[0].keys().eq(found.keys()) {
            return Err(format!("the names are {names:?}"));
        }
        for (name, bytes) in found {
            let [one, other] = [0, 1].map(|side: usize| self.lengths[side][name].len());
            if !(one.min(other)..=one.max(other)).contains(&bytes.len()) {
                return Err(format!("{name} has {} bytes, not {one} to {other}", bytes.len()));
            }
            for (number, sector) in bytes.chunks(512).enumerate() {
                let is_in = |tree: &Tree| {
                    let start = number * 512;
                    let all = tree[name].get(start..).unwrap_or_default();
                    let same = all.len().min(sector.len());
                    all[..same] == sector[..same] && sector[same..].iter().all(|byte| *byte == 0)
                };
                if !self.versions.iter().any(is_in) {
                    return Err(format!(
                        "sector {number} of {name} begins with {:?}",
                        &sector[..8.min(sector.len())]
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Says why `found` is nothing that a power cut of `disk` could leave.
fn check(disk: &SimDisk, found: &Tree) -> Result<(), String> {
    let mut reasons = Vec::new();
    for possible in possibilities(disk) {
        match possible.check(found) {
            Ok(()) => return Ok(()),
            Err(reason) => reasons.push(reason),
        }
    }
    reasons.sort_by_key(|reason| reason.starts_with("the names"));
    reasons.truncate(4);
    Err(reasons.join("; "))
}

fn real_power_cuts(kind: Kind) {
    let Some(disk) = LoopDisk::new(kind, "real power cuts against the simulated disk") else { return };
    let cycles = Size::asked().pick(15, 150, 2_000);
    let seed = Seed::of("the simulated disk is honest");
    let (started, mut partly) = (Instant::now(), 0);
    for cycle in 0..cycles {
        let mut random = seed.rng(cycle);
        let path = disk.path().join(format!("cycle-{cycle}"));
        let sim = SimDisk::new();
        let mut real = Subject::new(DiskDir::open_or_create(&path).unwrap(), System::Real);
        let mut simulated = Subject::new(sim.root(), System::Simulated);
        let acts = script(&mut random);
        for act in &acts {
            assert_eq!(real.run(*act), simulated.run(*act), "cycle {cycle}: {act:?}");
        }
        assert_eq!(tree_of(&path), tree_of_sim(&sim), "cycle {cycle}: before the cut");
        let journal = if random.bool() { Journal::Flushed } else { Journal::Lost };
        disk.power_cut(journal, || drop(real));
        let found = tree_of(&path);
        if let Err(reason) = check(&sim, &found) {
            panic!(
                "cycle {cycle} on {kind:?}, {journal:?}: the simulated disk does not allow it: {reason}\n{acts:#?}"
            );
        }
        let extremes = [Fate::Lost, Fate::Kept].map(|fate| tree_of_sim(&sim.power_cut(|_| fate)));
        partly += u64::from(!extremes.contains(&found));
        std::fs::remove_dir_all(&path).unwrap();
    }
    assert!(partly > 0, "every cut lost all or nothing: these scripts say little");
    figure!(
        "real power cuts on {kind:?} against the simulated disk: {} cycles, {}, {} lost a part, 0 not allowed",
        Count(cycles),
        Rate(cycles, started.elapsed()),
        Count(partly),
    );
}

#[test]
fn what_ext4_leaves_is_allowed() {
    real_power_cuts(Kind::Ext4);
}

#[test]
fn what_xfs_leaves_is_allowed() {
    real_power_cuts(Kind::Xfs);
}

/// The check itself, without a real disk: it passes what the simulated disk leaves, and nothing else.
#[test]
fn the_check_can_fail() {
    let seed = Seed::of("the check of the simulated disk");
    let mut refused = 0;
    for case in 0..200 {
        let mut random = seed.rng(case);
        let sim = SimDisk::new();
        let mut subject = Subject::new(sim.root(), System::Simulated);
        for act in script(&mut random) {
            subject.run(act);
        }
        for image in sim.power_cuts(&PowerCuts::new(case).exhaustive_max(5).torn(0).samples(2)) {
            let mut found = tree_of_sim(&image);
            assert_eq!(check(&sim, &found), Ok(()), "case {case}");
            if let Some(name) =
                found.iter().find(|(_, bytes)| !bytes.is_empty()).map(|(name, _)| name.clone())
            {
                let bytes = found.get_mut(&name).expect("it was just found");
                let at = random.usize(..bytes.len());
                let good = std::mem::replace(&mut bytes[at], 0xfe);
                assert!(check(&sim, &found).is_err(), "case {case}: a byte that was never there");
                found.get_mut(&name).expect("it was just found")[at] = good;
                refused += 1;
            }
            found.insert("never".to_owned(), Vec::new());
            assert!(check(&sim, &found).is_err(), "case {case}: a name that was never there");
        }
    }
    assert!(refused > 40, "only {refused} images had bytes to damage");
}
