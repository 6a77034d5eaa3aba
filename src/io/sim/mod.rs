//! The simulated disk: crash-test code that keeps its promises across power cuts, or does not.
//!
//! ```text
//!     your code ──Dir, File──▶ SimDisk ──record──▶ Recording ──replay──▶ Replay ──at every step──┐
//!                                                                                               ▼
//!     check what must hold ◀──open again── SimDisk (one of many) ◀──power_cuts, kill── SimDisk (then)
//! ```
mod counts;
mod cut;
mod damage;
mod disk;
mod fault;
mod handle;
mod images;
mod node;
mod recording;
mod state;
mod step;

pub use counts::{Counts, Op};
pub use cut::{Atom, Fate};
pub use disk::{Maps, SimDisk};
pub use fault::{Failure, Fault};
pub use images::{EntryOrder, Images, PowerCuts};
pub use node::FailedSync;
pub use recording::{RecordedStep, Recording, Replay};

#[cfg(test)]
mod tests;
