//! A real file system in an image file, which can lose power.
//!
//! ```text
//!     image ──loop device, mount──▶ path() ──power_cut──▶ cut off, unmounted, mounted again: the journal is replayed
//! ```

use crate::proof;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The kind of a file system.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// With its journal.
    Ext4,
    /// Which has one always.
    Xfs,
    /// Which the driver of ext4 serves too, and where no space can be reserved.
    Ext3,
}

impl Kind {
    /// The program that makes one, its options, and how large it has to be, in MiB.
    fn maker(self) -> (&'static str, &'static [&'static str], u64) {
        match self {
            Self::Ext4 => ("mkfs.ext4", &["-q", "-F"], 128),
            Self::Ext3 => ("mkfs.ext3", &["-q", "-F"], 128),
            Self::Xfs => ("mkfs.xfs", &["-q", "-f"], 512),
        }
    }
}

/// What becomes of the journal when the power goes.
#[derive(Clone, Copy, Debug)]
pub enum Journal {
    /// What is in memory is written out before: names and sizes survive.
    Flushed,
    /// It is lost back to the last sync.
    Lost,
}

/// A power cut that is about to come.
#[derive(Debug)]
pub struct Armed<'d> {
    disk: &'d LoopDisk,
    switch: Child,
}

impl Armed<'_> {
    /// Cuts the power, as [`LoopDisk::power_cut`] does.
    pub fn cut(mut self, close: impl FnOnce()) {
        // It waits for the end of what it reads.
        drop(self.switch.stdin.take());
        assert!(self.switch.wait().expect("it was started").success(), "a shutdown");
        close();
        self.disk.unmount();
        self.disk.mount().expect("it was mounted before");
    }
}

/// A mounted file system; dropping it removes it.
#[derive(Debug)]
pub struct LoopDisk {
    image: PathBuf,
    mounted: PathBuf,
}

impl LoopDisk {
    /// Makes and mounts one; none, and a word about it, when that is not possible here. `suite` wants it.
    pub fn new(kind: Kind, suite: &str) -> Option<Self> {
        let (maker, options, mebibytes) = kind.maker();
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("annals-loop-{kind:?}-{}-{number}", std::process::id());
        // In memory, if there is such a place: what the image's own disk does is of no interest.
        let memory = Some(PathBuf::from("/dev/shm")).filter(|memory| memory.is_dir());
        let image = memory.unwrap_or_else(std::env::temp_dir).join(&name).with_extension("image");
        let disk = Self { image, mounted: std::env::temp_dir().join(name) };
        std::fs::create_dir_all(&disk.mounted).expect("a place to mount at");
        File::create(&disk.image).and_then(|file| file.set_len(mebibytes << 20)).expect("an image file");
        for (tool, ready) in [
            ("perl", run(Command::new("perl").arg("-e1"))),
            (maker, run(Command::new(maker).args(options).arg(&disk.image))),
            ("a loop device", disk.mount()),
        ] {
            if let Err(reason) = ready {
                proof::skip_for_want_of(tool, &format!("{suite} on {kind:?} ({reason})"));
                return None;
            }
        }
        Some(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mounted
    }

    /// Cuts the power and mounts again. `close` is called once nothing more can be written, and closes all
    /// files.
    pub fn power_cut(&self, journal: Journal, close: impl FnOnce()) {
        self.arm(journal).cut(close);
    }

    /// Prepares a power cut, so that it comes at once when it is asked for.
    pub fn arm(&self, journal: Journal) -> Armed<'_> {
        // FS_IOC_SHUTDOWN with one of its flags; perl is on every system that has a package manager.
        const SHUTDOWN: &str = r#"use Fcntl; sysopen(my $fs, $ARGV[0], O_RDONLY) or die "open: $!";
            my $flags = pack("L", $ARGV[1]); $| = 1; print "armed\n"; <STDIN>;
            ioctl($fs, 0x8004587d, $flags) or die "ioctl: $!";"#;
        let flags = match journal {
            Journal::Flushed => "1",
            Journal::Lost => "2",
        };
        let mut perl = Command::new("perl");
        perl.args(["-e", SHUTDOWN]).arg(&self.mounted).arg(flags);
        let mut switch = perl.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it ran before");
        let mut armed = [0; 6];
        let ready = switch.stdout.as_mut().expect("it is piped").read_exact(&mut armed);
        ready.expect("it can open the file system");
        Armed { disk: self, switch }
    }

    /// A child that another thread just started holds all open files until it becomes a program of its own, so
    /// the file system can be busy for a moment longer.
    fn unmount(&self) {
        let patient = (0..100).any(|_| {
            let done = run(Command::new("umount").arg(&self.mounted)).is_ok();
            if !done {
                std::thread::sleep(Duration::from_millis(20));
            }
            done
        });
        assert!(patient, "{} stayed busy", self.mounted.display());
    }

    fn mount(&self) -> Result<(), String> {
        run(Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mounted))
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("-l").arg(&self.mounted));
        let _ = std::fs::remove_dir(&self.mounted);
        let _ = std::fs::remove_file(&self.image);
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(said.lines().next().unwrap_or("it failed").to_owned()) }
}
