//! The rules of style that a test can check. Each finding names file and line and says what to do.
//!
//! Every rule is also run on a bad snippet, so that a rule that has gone blind is noticed.

#![allow(unreachable_pub, reason = "nothing outside can reach into a test binary")]

#[path = "tidy/aliases.rs"]
mod aliases;
#[path = "tidy/bans.rs"]
mod bans;
#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/promises.rs"]
mod promises;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tool.rs"]
mod tool;
