//! T4: for every k, the k-th sync of a workload fails, of a file or a directory.
//!
//! ```text
//!     perform ──▶ k-th sync fails ──▶ poisoned? ──┬─ reopened in process ─────┐
//!                                                 ├─ the process is killed ───┼──▶ power cut: what was shown stays
//!                                                 └─ the power goes ──────────┘
//! ```
//!
//! After a failed sync the cache shows what the disk does not hold, and no later sync stores it.

use super::examine::{Examiner, read_all};
use super::history::{Crash, Found, Moment, Promise, offset};
use super::rehearsal::{Stage, is_poisoned};
use super::subject::Subject;
use super::tally::{Tally, hash_of, on_all};
use super::workload::{Act, Workload};
use super::workloads::WORKLOADS;
use crate::figure;
use crate::proof::{Count, Rate, Seed, Size};
use annals::io::{FailedSync, Failure, Fault, Op, PowerCuts};
use annals::{Durability, ErrorKind, Retention};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Which syncs fail.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    op: Op,
    /// How many pass before.
    passes: u64,
    cache: FailedSync,
}

/// What the cache does when a sync fails, given some chance.
type Chance = fn(u64) -> FailedSync;

/// What syncs, and what the cache does when that fails. Of names a failed sync stores none.
pub const KINDS: [(Op, Chance); 5] = [
    (Op::Sync, |_| FailedSync::CacheKeeps),
    (Op::Sync, |_| FailedSync::CacheReverts),
    (Op::Sync, FailedSync::HalfReverts),
    (Op::SyncDir, |_| FailedSync::CacheKeeps),
    (Op::SyncDir, |_| FailedSync::CacheReverts),
];

/// Performs `workload` until a sync fails; then looks at what is left. False when no sync failed any more.
fn fail(workload: &Workload, seed: u64, trouble: Trouble, tally: &mut Tally) -> Result<bool, String> {
    let mut stage = Stage::open(workload, seed, |disk| disk.set_failed_sync(trouble.cache));
    stage.disk.inject(Fault::new(Failure::Io).on(trouble.op).after(trouble.passes));
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..workload.length {
        let act = workload.act(&mut random);
        let promise = stage.try_to(act);
        if stage.disk.faults_hit() > 0 {
            tally.crash_points += 1;
            return after_the_failure(&mut stage, seed, &promise, tally)
                .map(|()| true)
                .map_err(|wrong| format!("{act:?}: {wrong}"));
        }
    }
    stage.disk.cut_now();
    Ok(false)
}

fn after_the_failure(
    stage: &mut Stage<'_>,
    seed: u64,
    promise: &Promise,
    tally: &mut Tally,
) -> Result<(), String> {
    refuses_everything(stage)?;
    let workload = stage.workload;
    let disk = stage.disk.kill();
    let examiner = Examiner { workload, history: &stage.history };
    // The power goes.
    cut(stage, seed, promise, tally).map_err(|wrong| format!("the power went: {wrong}"))?;
    // The process is killed, and started again on the same cache; then the power goes.
    tally.images += 1;
    tally.reopened += 1;
    let found = examiner.recover(&disk.kill(), seed ^ 22, tally)?;
    promise.check(&found, Crash::Kill).map_err(|wrong| format!("restarted: {wrong}"))?;
    examiner
        .cut_after_open(&disk.kill(), seed ^ 22, &found, 8)
        .map_err(|wrong| format!("restarted: {wrong}"))?;
    tally.examined += 1;
    tally.images += 1;
    tally.reopened += 1;
    reopen_and_cut(stage, seed, promise, tally)
}

/// It is reopened in process; then the power goes.
fn reopen_and_cut(
    stage: &mut Stage<'_>,
    seed: u64,
    promise: &Promise,
    tally: &mut Tally,
) -> Result<(), String> {
    let was_well = !stage.log.stats().is_poisoned;
    match stage.log.reopen() {
        Err(error) if error.kind() == ErrorKind::Closed => stage.open_again(),
        other => other.map_err(|error| format!("I16: reopen: {error}"))?,
    }
    if was_well {
        stage.log.flush().wait().map_err(|error| format!("flush: {error}"))?;
    }
    let found = read_all(&stage.log, &stage.history)?;
    promise.check(&found, Crash::PowerCut).map_err(|wrong| format!("reopened: {wrong}"))?;
    if stage.log.durable_offset().get() != found.end {
        return Err(format!(
            "what was recovered is not all durable: {found:?}, {}",
            stage.log.durable_offset()
        ));
    }
    cut(stage, seed, &Promise::of(&found), tally).map_err(|wrong| format!("reopened, then cut: {wrong}"))?;
    // It is a log as good as any.
    stage.adopt(&found);
    for _ in 0..8 {
        match stage.append(Durability::Durable).and_then(annals::Pending::wait) {
            Err(error) if error.kind() == ErrorKind::NoSpace => break,
            other => drop(other.map_err(|error| format!("append after reopen: {error}"))?),
        }
    }
    let found = read_all(&stage.log, &stage.history)?;
    cut(stage, seed, &Promise::of(&found), tally)
        .map_err(|wrong| format!("reopened and gone on: {wrong}"))?;
    stage.disk.cut_now();
    Ok(())
}

/// Cuts the power now.
fn cut(stage: &Stage<'_>, seed: u64, promise: &Promise, tally: &mut Tally) -> Result<(), String> {
    let examiner = Examiner { workload: stage.workload, history: &stage.history };
    for image in stage.disk.power_cuts(&PowerCuts::new(seed).exhaustive_max(4).samples(8).torn(2)) {
        tally.images += 1;
        tally.reopened += 1;
        let after = examiner.recover(&image, seed ^ 23, tally)?;
        promise.check(&after, Crash::PowerCut)?;
    }
    Ok(())
}

/// A poisoned log acknowledges nothing, and its durable offset stays. One that could do without the sync that
/// failed goes on.
fn refuses_everything(stage: &mut Stage<'_>) -> Result<(), String> {
    if !stage.log.stats().is_poisoned {
        return Ok(());
    }
    let (durable, steps) = (stage.log.durable_offset(), stage.disk.counts());
    for level in [Durability::Durable, Durability::Written] {
        let answer = stage.log.append_with(level, [annals::Record::new("refused")]).wait();
        if !matches!(&answer, Err(error) if is_poisoned(error)) {
            return Err(format!("I15: an append to a poisoned log says {answer:?}"));
        }
    }
    if durable < stage.log.log_end_offset() && stage.log.flush().wait().is_ok() {
        return Err("I15: a poisoned log flushes".to_owned());
    }
    drop(stage.log.maintain());
    if stage.log.durable_offset() != durable {
        return Err(format!("I15: the durable offset of a poisoned log went from {durable} on"));
    }
    let done = stage.disk.counts() - steps;
    if done.mutations() > 0 {
        return Err(format!("I15: a poisoned log wrote: {done:?}"));
    }
    Ok(())
}

fn fail_each(
    workload: &Workload,
    rounds: u64,
    stride: u64,
    seed: &Seed,
    syncs: &AtomicU64,
) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for round in 0..rounds {
        let seed = seed.rng(round).u64(..) ^ hash_of(workload.name);
        for (op, cache) in KINDS {
            let mut passes = seed % stride;
            loop {
                let trouble = Trouble { op, passes, cache: cache(seed ^ passes) };
                let failed = fail(workload, seed, trouble, &mut tally)
                    .map_err(|wrong| format!("round {round}, {trouble:?}: {wrong}"))?;
                if !failed {
                    break;
                }
                syncs.fetch_add(1, Ordering::Relaxed);
                passes += stride;
            }
        }
    }
    Ok(tally)
}

#[test]
fn nothing_unproved_is_shown_as_durable_after_a_failed_sync() {
    let seed = Seed::of("T4 failed syncs");
    let (rounds, stride) = Size::asked().pick((1, 40), (1, 1), (10, 1));
    let syncs = AtomicU64::new(0);
    let started = Instant::now();
    let total = on_all(WORKLOADS, |workload| fail_each(workload, rounds, stride, &seed, &syncs));
    let rate = Rate(total.images, started.elapsed());
    figure!(
        "T4 failed syncs: {} workloads, {} syncs failed, {total}, 0 violations, {rate}",
        WORKLOADS.len(),
        Count(syncs.into_inner())
    );
}

impl Stage<'_> {
    /// Performs `act` on a disk whose sync may fail in it; says what must hold then.
    fn try_to(&mut self, act: Act) -> Promise {
        self.doubt_what_is_written();
        let before = self.history.last();
        let after = match act {
            Act::Append | Act::AppendVerbatim | Act::Look | Act::FailedSync => {
                let level = self.workload.level(&mut self.random);
                let appended = self.append(level);
                drop(appended.and_then(annals::Pending::wait));
                None
            }
            Act::Overlap => {
                self.try_to_overlap();
                None
            }
            Act::Burst => {
                let waits: Vec<_> = (0..3).map(|_| self.append(Durability::Durable)).collect();
                let heard: Vec<_> =
                    waits.into_iter().map(|wait| wait.and_then(annals::Pending::wait)).collect();
                let first = heard.iter().position(|heard| matches!(heard, Err(error) if is_poisoned(error)));
                let rest = first.map_or(&[][..], |first| &heard[first..]);
                assert!(rest.iter().all(Result::is_err), "all who wait hear of a failed sync: {heard:?}");
                None
            }
            Act::Flush => {
                drop(self.log.flush().wait());
                None
            }
            Act::Maintain => {
                drop(self.log.maintain());
                None
            }
            Act::Pass(time) => {
                self.clock.advance(time);
                drop(self.log.maintain());
                None
            }
            Act::DeleteRecords => {
                let start = self.random.u64(before.start..=before.end);
                drop(self.log.delete_records(offset(start)));
                Some(Moment { start, ..before })
            }
            Act::Truncate => {
                let to = self.random.u64(before.start..=before.end);
                let kept = self.batch_end(to).max(before.start);
                let line = self.history.branch(kept);
                match self.log.truncate(offset(to)) {
                    Ok(_) => {
                        self.note_line(line);
                        None
                    }
                    Err(_) => Some(Moment { line, end: kept, ..before }),
                }
            }
            Act::Reopen => {
                drop(self.log.close());
                self.open_again();
                None
            }
        };
        let steps = self.disk.steps_recorded();
        let durable = self.log.durable_offset().get();
        let last = self.history.last();
        let end = self.history.line().len() as u64;
        let start = self.log.log_start_offset().get();
        let now = Moment { steps, end, durable, written: durable, start, ..last };
        self.history.moments.push(now);
        let before =
            if last.line == before.line { Moment { durable, written: durable, ..before } } else { now };
        let mut after = after.unwrap_or(now);
        if self.workload.retention != Retention::Forever {
            // A deletion by policy may be on the disk, or not.
            after.start = after.start.max(durable);
        }
        Promise::between(before, after)
    }

    /// Others append inside of a sync that may fail behind their back: they are told no more than "written".
    fn try_to_overlap(&mut self) {
        drop(self.append(Durability::Written).and_then(annals::Pending::wait));
        if self.log.stats().is_poisoned || !self.has_room_to_overlap() {
            return;
        }
        let (flushed, inside) = self.flush_and_append_inside();
        let inside = inside.transpose().expect("a sync that is under way fails no append yet");
        let durable = self.log.durable_offset();
        assert!(inside.is_none_or(|inside| durable < inside.next_offset()), "no sync has covered it");
        assert!(flushed.is_ok() || self.log.stats().is_poisoned, "{flushed:?}");
    }

    /// Goes on with what was found.
    fn adopt(&mut self, found: &Found) {
        let line = found.lines.trailing_zeros() as usize;
        let last = self.history.last();
        self.history.moments.push(Moment { line, ..last });
        let line = self.history.branch(found.end);
        self.note_line(line);
    }

    /// Takes writes again, however the log has come to its end.
    fn open_again(&mut self) {
        if self.open_anew().is_err() {
            assert!(self.disk.faults_hit() > 0, "an open fails for a reason");
            let opened = self.open_anew();
            opened.unwrap_or_else(|error| panic!("I16: {}: {error}", self.workload.name));
        }
    }
}
