//! What others do in the middle of a call: a directory that lets something happen, once, inside of a sync, or before
//! a file is opened, its size is read, or space is taken.
//!
//! ```text
//!     flush ──▶ sync begins ── bytes are on the disk ── others append ── sync returns ──▶ tail mark, wake
//! ```
//!
//! In one thread, so that it is the same each time.

use annals::io::{Access, Dir, Entry, File, Lock, MapReader, MapWriter};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What is to happen.
#[derive(Clone, Default)]
pub struct Interlude(Arc<Mutex<Option<(Cue, Work)>>>);

/// When it is to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cue {
    /// Inside of the next sync of a file.
    Sync,
    /// Before the next file is opened.
    Open,
    /// Before the size of the file of this name is read next.
    Len(&'static str),
    /// Before space is taken through a map.
    Reserve,
    /// Before space is taken by a call: between the look at the size and the change of it.
    Allocate,
}

type Work = Box<dyn FnOnce() + Send>;

impl Interlude {
    pub fn set(&self, cue: Cue, work: impl FnOnce() + Send + 'static) {
        *self.0.lock().expect("nobody panics here") = Some((cue, Box::new(work)));
    }

    /// Whether it was still to happen; it does not any more.
    pub fn cancel(&self) -> bool {
        self.0.lock().expect("nobody panics here").take().is_some()
    }

    fn play(&self, is_now: impl Fn(Cue) -> bool) {
        let work = self.0.lock().expect("nobody panics here").take_if(|(set, _)| is_now(*set));
        if let Some((_, work)) = work {
            work();
        }
    }

    /// The same directory, whose files play it.
    pub fn within(&self, dir: Arc<dyn Dir>) -> Arc<dyn Dir> {
        Arc::new(PlayedDir { dir, interlude: self.clone() })
    }

    fn around(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(PlayedFile { file, interlude: self.clone() })
    }
}

impl fmt::Debug for Interlude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interlude")
    }
}

#[derive(Debug)]
struct PlayedDir {
    dir: Arc<dyn Dir>,
    interlude: Interlude,
}

impl Dir for PlayedDir {
    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        self.dir.list()
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn File>> {
        self.interlude.play(|cue| cue == Cue::Open);
        self.dir.open(name, access).map(|file| self.interlude.around(file))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.dir.create(name).map(|file| self.interlude.around(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.dir.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.dir.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        self.dir.sync()
    }

    fn open_dir(&self, name: &str) -> io::Result<Arc<dyn Dir>> {
        self.dir.open_dir(name).map(|dir| self.interlude.within(dir))
    }

    fn create_dir(&self, name: &str) -> io::Result<Arc<dyn Dir>> {
        self.dir.create_dir(name).map(|dir| self.interlude.within(dir))
    }

    fn remove_dir(&self, name: &str) -> io::Result<()> {
        self.dir.remove_dir(name)
    }

    fn lock(&self, name: &str) -> io::Result<Option<Box<dyn Lock>>> {
        self.dir.lock(name)
    }
}

#[derive(Debug)]
struct PlayedFile {
    file: Arc<dyn File>,
    interlude: Interlude,
}

impl File for PlayedFile {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(buf, position)
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<usize> {
        self.file.write_at(bytes, position)
    }

    fn len(&self) -> io::Result<u64> {
        let name = self.path().file_name().and_then(|name| name.to_str()).unwrap_or_default();
        self.interlude.play(|cue| matches!(cue, Cue::Len(of) if of == name));
        self.file.len()
    }

    fn allocated_bytes(&self) -> io::Result<u64> {
        self.file.allocated_bytes()
    }

    fn allocate(&self, from: u64, to: u64) -> io::Result<()> {
        // As where space cannot be reserved: a file that is too short gets its new size, whatever it is by then.
        let is_short = self.file.len()? < to;
        self.interlude.play(|cue| cue == Cue::Allocate);
        if is_short {
            self.file.punch(to, self.file.len()?)?;
        }
        self.file.allocate(from, to)
    }

    fn punch(&self, from: u64, to: u64) -> io::Result<()> {
        self.file.punch(from, to)
    }

    fn sync(&self) -> io::Result<()> {
        // The simulated disk stores what there is when the call begins, as a real one may.
        let result = self.file.sync();
        self.interlude.play(|cue| cue == Cue::Sync);
        result
    }

    fn map(&self, published: u64, capacity: u64) -> io::Result<(Box<dyn MapWriter>, Arc<dyn MapReader>)> {
        let (writer, map) = self.file.map(published, capacity)?;
        Ok((writer, Arc::new(PlayedMap { map, interlude: self.interlude.clone() })))
    }

    fn map_read(&self, len: u64) -> io::Result<Arc<dyn MapReader>> {
        self.file.map_read(len)
    }
}

#[derive(Debug)]
struct PlayedMap {
    map: Arc<dyn MapReader>,
    interlude: Interlude,
}

impl MapReader for PlayedMap {
    fn read(&self, buf: &mut [u8], position: u64) -> io::Result<()> {
        self.map.read(buf, position)
    }

    fn reserve(&self, to: u64) -> io::Result<()> {
        self.interlude.play(|cue| cue == Cue::Reserve);
        self.map.reserve(to)
    }

    fn reserved(&self) -> u64 {
        self.map.reserved()
    }
}
