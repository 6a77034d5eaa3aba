//! Power cuts, killed processes, failing disks and a damaged catalog under a broker with several topics.
//!
//! ```text
//!     Script ──▶ Stage: acts on a broker ──▶ Recording, History ──▶ Performance: Subject ──▶ Crasher, Nest
//! ```
//!
//! The machinery is that of the partition's crash suites. What is checked after every crash: there are the topics
//! that were acknowledged, or those and the change that was under way, each with its partitions and its settings
//! (a change of topics is whole or not at all); every partition keeps what it acknowledged, has nothing else, and
//! never a record of an older topic of that name; the log start only grows, and no further than somebody asked;
//! nothing is left of what is not there.

mod act;
mod catalog_damage;
mod crashes;
mod faults;
mod history;
mod performance;
mod scripts;
mod stage;
