//! Assignors: what each has to keep, how good sticky assignments are, and how long they take.
//!
//! ```text
//!     World ──change──▶ group() ──Assignor──▶ Assignment ──owners, cost──▶ Cost
//!       ▲                                        │                          ║ equal
//!       └──────────────── take ──────────────────┘      problem() ──oracle──▶ Cost
//! ```

mod oracle;
mod quality;
mod rules;
mod world;
