//! The steps, and how they are drawn.

use annals::{Durability, ReadLevel, Retention, TimestampSource};
use std::time::Duration;

/// How a partition is opened.
#[derive(Clone, Debug)]
pub struct Settings {
    pub is_mapped: bool,
    pub reads_mapped: bool,
    pub segment_bytes: u64,
    pub batch_bytes: u32,
    pub retention: Retention,
    pub timestamps: TimestampSource,
    pub seed: u64,
}

impl Settings {
    pub fn draw(rng: &mut fastrand::Rng) -> Self {
        let minutes = Duration::from_secs(rng.u64(1..600));
        let bytes = rng.u64(0..200_000);
        Self {
            is_mapped: rng.bool(),
            reads_mapped: rng.bool(),
            segment_bytes: 16_384 << rng.u32(0..3),
            batch_bytes: [8 << 10, 8 << 10, 24 << 10, 160 << 10][rng.usize(0..4)],
            retention: match rng.u8(0..6) {
                0 => Retention::Age(minutes),
                1 => Retention::Bytes(bytes),
                2 => Retention::AgeOrBytes(minutes, bytes),
                _ => Retention::Forever,
            },
            timestamps: if rng.u8(0..5) == 0 {
                TimestampSource::LogAppendTime
            } else {
                TimestampSource::CreateTime
            },
            seed: rng.u64(..),
        }
    }
}

/// One step. Fractions are of 1,000.
#[derive(Clone, Debug)]
pub enum Step {
    Append { level: Durability, then: Then, records: Vec<Shape> },
    AppendIf { off_by: i8, records: Vec<Shape> },
    AppendBatch { epoch_step: i8, off_by: i8, gap: u32, records: Vec<Shape> },
    Read { from: u64, level: ReadLevel },
    OpenReader { from: u64, level: ReadLevel },
    AdvanceReader { which: usize, runs: usize },
    OffsetForTime { at: u64 },
    DeleteRecords { before: u64 },
    Truncate { to: u64 },
    PassTime { millis: u64 },
    SetClock { back: bool, millis: u64 },
    Maintain,
    Flush,
    CloseAndOpen,
    KillAndOpen,
    CutAndOpen { seed: u64 },
    Follow { level: ReadLevel },
    Segments,
    Stats,
    Verify,
    WaitPast { beyond: u64, level: ReadLevel },
}

/// What is done with the receipt.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    Wait,
    Drop,
    Keep,
}

/// What a record is like.
#[derive(Clone, Debug)]
pub struct Shape {
    pub value: Option<usize>,
    pub key: Option<usize>,
    pub headers: usize,
    /// Milliseconds around the start of the test; none: unstamped.
    pub stamp: Option<i64>,
}

impl Step {
    pub fn draw(rng: &mut fastrand::Rng) -> Self {
        let level = if rng.bool() { Durability::Durable } else { Durability::Written };
        let read = if rng.bool() { ReadLevel::Durable } else { ReadLevel::Written };
        // One more than all: beyond both ends is drawn too.
        let fraction = rng.u64(0..=1_000);
        let off_by = if rng.u8(0..5) == 0 { rng.i8(-2..3) } else { 0 };
        match rng.u8(0..100) {
            0..=33 => {
                let then = [Then::Wait, Then::Wait, Then::Drop, Then::Keep][rng.usize(0..4)];
                Self::Append { level, then, records: shapes(rng) }
            }
            34..=37 => Self::AppendIf { off_by, records: shapes(rng) },
            38..=43 => {
                let gap = if rng.u8(0..3) == 0 { rng.u32(0..9) } else { 0 };
                let epoch_step = [0, 0, 0, 1, 3, -1][rng.usize(0..6)];
                Self::AppendBatch { epoch_step, off_by, gap, records: shapes(rng) }
            }
            44..=49 => Self::Read { from: fraction, level: read },
            50..=53 => Self::OpenReader { from: fraction, level: read },
            54..=61 => Self::AdvanceReader { which: rng.usize(0..8), runs: rng.usize(1..4) },
            62..=64 => Self::OffsetForTime { at: fraction },
            65..=67 => Self::DeleteRecords { before: fraction },
            68..=69 => Self::Truncate { to: fraction },
            70..=72 => Self::PassTime { millis: rng.u64(0..200_000) },
            73..=73 => Self::SetClock { back: rng.bool(), millis: rng.u64(0..900_000) },
            74..=78 => Self::Maintain,
            79..=81 => Self::Flush,
            82..=84 => Self::CloseAndOpen,
            85..=87 => Self::KillAndOpen,
            88..=89 => Self::CutAndOpen { seed: rng.u64(..) },
            90..=93 => Self::Follow { level: read },
            94 => Self::Segments,
            95 => Self::Stats,
            96 => Self::Verify,
            _ => Self::WaitPast { beyond: rng.u64(0..20), level: read },
        }
    }
}

fn shapes(rng: &mut fastrand::Rng) -> Vec<Shape> {
    let count = if rng.u8(0..4) == 0 { rng.usize(2..12) } else { 1 };
    (0..count).map(|_| shape(rng)).collect()
}

fn shape(rng: &mut fastrand::Rng) -> Shape {
    let value = match rng.u8(0..20) {
        0 => None,
        1 => Some(0),
        2..=9 => Some(rng.usize(0..200)),
        10..=16 => Some(rng.usize(0..3_000)),
        17..=18 => Some(rng.usize(3_000..8_200)),
        _ => Some(rng.usize(8_000..130_000)),
    };
    let key = match rng.u8(0..3) {
        0 => None,
        1 => Some(0),
        _ => Some(rng.usize(0..40)),
    };
    let headers = if rng.u8(0..6) == 0 { rng.usize(0..4) } else { 0 };
    let stamp = (rng.u8(0..3) > 0).then(|| rng.i64(-900_000..900_000));
    Shape { value, key, headers, stamp }
}
