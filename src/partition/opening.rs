//! From a directory to an open partition, and to the same partition opened anew.

use super::handle::Partition;
use super::options::PartitionOptions;
use super::policy::Policy;
use super::recovery::{Recovered, recover};
use super::retention_clock::RetentionClock;
use super::shared::{Admin, Shared};
use super::space::Pinned;
use super::state::State;
use super::view::View;
use super::writer::Writer;
use crate::io::{Access, Dir, Lock, read_full};
use crate::sync::{AtomicBool, Gate, GroupCommit, Mutex, RwLock};
use crate::upkeep::{Chore, Upkeep};
use crate::{Error, ErrorKind, Offset, Result};
use std::sync::{Arc, Weak};

/// The file that keeps a second writer out.
pub(super) const LOCK: &str = "LOCK";
/// Most bytes of its note that are read.
const NOTE_LEN_MAX: usize = 256;

/// What to do where there is no partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// Make one.
    Create,
    /// There was one: it is lost.
    Refuse,
}

impl Partition {
    /// Opens or creates the partition in `dir`, with options that were checked.
    pub(super) fn open_in(dir: Arc<dyn Dir>, options: PartitionOptions) -> Result<Self> {
        let lock = take_lock(&*dir)?;
        let recovered = recover(&dir, &options, Offset::ZERO)?;
        let shared = Shared::new(dir, options, lock, recovered);
        if !shared.is_manual() {
            let chore: Weak<dyn Chore> = shared.me.clone();
            shared.upkeep.connect(chore, &shared.options.attendance, &shared.options.clock)?;
        }
        Ok(Self::from_shared(shared))
    }
}

/// Takes the lock of the directory, or says who holds it.
pub(crate) fn take_lock(dir: &dyn Dir) -> Result<Box<dyn Lock>> {
    let path = dir.path().join(LOCK);
    let lock = dir.lock(LOCK).map_err(|error| Error::io("lock", &path, error))?;
    let Some(lock) = lock else {
        let message = format!("{}: open for writing elsewhere ({})", dir.path().display(), holder(dir));
        return Err(Error::new(ErrorKind::Locked, message));
    };
    // The note is for people; a full disk must not keep the log from being opened.
    drop(lock.write_note(&format!("process {}\n", std::process::id())));
    Ok(lock)
}

/// What the holder of the lock says of itself.
fn holder(dir: &dyn Dir) -> String {
    let mut note = [0; NOTE_LEN_MAX];
    let read = dir.open(LOCK, Access::Read).and_then(|file| read_full(&*file, &mut note, 0));
    let len = read.unwrap_or(0);
    let note = String::from_utf8_lossy(note.get(..len).unwrap_or_default()).trim().to_owned();
    if note.is_empty() { "it left no note".to_owned() } else { note }
}

impl Shared {
    fn new(
        dir: Arc<dyn Dir>,
        options: PartitionOptions,
        lock: Box<dyn Lock>,
        recovered: Recovered,
    ) -> Arc<Self> {
        let end = recovered.active.end().next_offset.get();
        let report = Arc::new(recovered.report.clone());
        let retention_clock = options
            .retention_clock
            .clone()
            .unwrap_or_else(|| RetentionClock::new(options.clock.now(), options.clock.monotonic()));
        let view = View::of(&recovered);
        let (file, manifest, writer) = Writer::of(recovered);
        let policy = Policy::of(&options);
        let booking = options.books.booking(options.disk_bytes_max);
        let shared = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            identity: (manifest.topic, manifest.partition),
            dir,
            options,
            admin: Mutex::new(Admin { file, manifest, doubtful_from: Offset::MAX, lock: Some(lock) }),
            growing: Mutex::default(),
            writer: Mutex::new(writer),
            view: RwLock::new(Arc::new(view)),
            end: Gate::new(end),
            commit: GroupCommit::new(end),
            left_asleep: AtomicBool::new(false),
            pinned: Pinned::default(),
            booking,
            policy,
            upkeep: Upkeep::default(),
            report: Mutex::new(report),
            retention_clock,
        });
        shared.recount();
        shared
    }

    /// Recovers anew after a failure: what is not proved to be synced is copied and synced before it counts as
    /// durable.
    pub(super) fn reopen(&self) -> Result<()> {
        let mut admin = self.administer()?;
        let growing = self.growing.lock();
        let mut writer = self.writer.lock();
        match &writer.state {
            State::Open => return Ok(()),
            State::Closing | State::Closed => return Err(self.closed()),
            State::Poisoned(_) => {}
        }
        let recovered = recover(&self.dir, &self.options_now(), self.durable_end().min(admin.doubtful_from))?;
        let end = recovered.active.end().next_offset;
        *self.report.lock() = Arc::new(recovered.report.clone());
        let rewinds = self.view().rewinds + 1;
        let view = View { rewinds, ..View::of(&recovered) };
        let (file, manifest, fresh) = Writer::of(recovered);
        *writer = Writer { reopens: writer.reopens.saturating_add(1), ..fresh };
        (admin.file, admin.manifest) = (file, manifest);
        admin.doubtful_from = Offset::MAX;
        *self.view.write() = Arc::new(view);
        self.end.store(end.get());
        self.commit.restart(end.get());
        drop(writer);
        drop(growing);
        drop(admin);
        self.recount();
        // All of them: the log may end before the place where some wait.
        self.end.wake_all();
        self.upkeep.call();
        Ok(())
    }
}

impl View {
    fn of(recovered: &Recovered) -> Self {
        let mut segments = recovered.sealed.clone();
        segments.push(recovered.active.segment().clone());
        let lost = recovered.manifest.lost.clone().into();
        Self { log_start: recovered.manifest.log_start, segments, lost, rewinds: 0 }
    }
}

impl Writer {
    fn of(recovered: Recovered) -> (super::manifest::ManifestFile, super::manifest::Manifest, Self) {
        let Recovered { file, manifest, active, next, changed, aside_bytes, .. } = recovered;
        let generation = manifest.generation;
        let recovery_point = manifest.recovery_point_of(active.segment());
        let writer = Self {
            active,
            next,
            sealing: None,
            state: State::Open,
            reopens: 0,
            unsynced_since: None,
            watched: false,
            reserve_called: false,
            claimed: 0,
            changed,
            confirmed: file.is_confirmed(),
            generation,
            recovery_point,
            aside_bytes,
        };
        (file, manifest, writer)
    }
}
