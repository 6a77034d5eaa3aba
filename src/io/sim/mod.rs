//! The simulated disk: crash-test code that keeps its promises across power cuts, or does not.
//!
//! ```text
//!     your code ──Dir, File──▶ SimDisk ──record──▶ Recording ──replay──▶ Replay ──at every step──┐
//!                                                                                               ▼
//!     check what must hold ◀──open again── SimDisk (one of many) ◀──power_cuts, kill── SimDisk (then)
//! ```
//!
//! # What it keeps apart
//!
//! Every file has a *cache*, which all reads see, and a *disk*, which is what survives. A sync copies one to the
//! other. What lies between is made of *atoms*, each of which a power cut keeps or loses by itself:
//!
//! | atom | written by | may be |
//! |---|---|---|
//! | a sector of 512 bytes | `write_at`, a store into a map, `punch` | lost, kept, torn at any byte, as it was before it was overwritten once more, noise where nothing durable was |
//! | the length of a file | a write or an allocation beyond it | lost, kept, anything between |
//! | a change of a name | `create`, `rename`, `remove` of a file or a directory | lost, kept: in order for each directory, or any subset ([`EntryOrder`]) |
//!
//! So a file that was synced vanishes when its directory was not, and a length can survive without the bytes.
//! A rename is one atom: it is done or not done. Syncing a file says nothing about its name.
//!
//! # Crashes
//!
//! - A **power cut** leaves one of many disks: [`SimDisk::power_cuts`] goes through all subsets of up to 12 atoms
//!   and samples above, each disk different from the others; [`SimDisk::power_cut`] makes a particular one.
//! - A **killed process** leaves the cache as it is: [`SimDisk::kill`]. What was unsynced stays so.
//! - **Restart after a failed sync**: a sync that fails ([`Fault`]) gives its atoms up. They count as clean, no
//!   later sync stores them, and the cache shows the new bytes or goes back to the old ones, all of them or half
//!   ([`FailedSync`]); a kill hands that trap on to the next process.
//!
//! Each of these makes an independent disk, which can be opened, recorded and crashed again.
//!
//! There are two ways to crash at a chosen place. [`SimDisk::cut_at`] stops the disk at a step, or at a byte
//! inside a write: the code under test then sees errors, and what it acknowledges later was never seen by anybody
//! ([`SimDisk::is_dead`]). Cheaper is to run the code once and [record](SimDisk::record) it; the [`Replay`] then
//! stops at every step.
//!
//! # Faults and counts
//!
//! A [`Fault`] lets the n-th operation, or the n-th of a kind or on a file, fail with EIO, ENOSPC, EINTR, fall
//! short, or fail behind half of its work, once or for ever. [`SimDisk::set_budget`] fills the disk up.
//! [`SimDisk::counts`] says how often each kind of operation was asked for, so that a test can say "a group
//! commit is one write and one sync". Bytes can be damaged directly: [`SimDisk::flip_bit`],
//! [`SimDisk::truncate`], [`SimDisk::swap_pages`] and others.
//!
//! A store into a map where the file has no space, because none was reserved or it was punched since, panics,
//! however empty the disk is: a real one ends the process with a signal once it is full.
//!
//! # What it does not do
//!
//! A sync takes effect in one moment, at its start. Durable bytes do not rot by themselves: damage them. Write-back
//! by itself is what "kept" stands for; the last 16 contents of a sector between two syncs are remembered for it.
//! There are no links, pipes and permissions.
//!
//! # Example
//!
//! Does a saved file survive? Not if its name was never synced:
//!
//! ```
//! use annals::io::{Dir, PowerCuts, SimDisk};
//!
//! fn save(dir: &dyn Dir) -> std::io::Result<()> {
//!     let file = dir.create("settings")?;
//!     file.write_at(b"volume=11", 0)?;
//!     file.sync() // and where is dir.sync()?
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let disk = SimDisk::new();
//! save(&*disk.root())?;
//! // The power goes, after save() said that all is well.
//! let lost = disk.power_cuts(&PowerCuts::new(42)).filter(|image| image.read("settings").is_err()).count();
//! assert_eq!(lost, 1);
//!
//! disk.root().sync()?;
//! assert!(disk.power_cuts(&PowerCuts::new(42)).all(|image| image.read("settings").is_ok()));
//! # Ok(())
//! # }
//! ```
//!
//! `examples/crash_test.rs` tests a whole little program so, at every step.

mod counts;
mod cut;
mod damage;
mod dir;
mod disk;
mod fault;
mod file;
mod images;
mod map;
mod node;
mod recording;
mod shared;
mod state;
mod step;

pub use counts::{Counts, Op};
pub use cut::{Atom, Fate};
pub use disk::SimDisk;
pub use fault::{Failure, Fault};
pub use images::{EntryOrder, Images, PowerCuts};
pub use node::FailedSync;
pub use recording::{RecordedStep, Recording, Replay};
pub use shared::Maps;

#[cfg(test)]
mod tests;
