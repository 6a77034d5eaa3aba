//! T3 and T4 for brokers: each operation fails, once or for ever; each sync fails, and the process starts again.

use super::act::BrokerScript;
use super::history::{Certainty, Promise};
use super::performance::Performance;
use super::scripts::SCRIPTS;
use super::stage::Stage;
use crate::crash::failed_syncs::KINDS;
use crate::crash::history::Crash;
use crate::crash::subject::Subject;
use crate::crash::tally::{Tally, hash_of, on_all};
use crate::figure;
use crate::proof::{Count, Rate, Seed, Size};
use annals::io::{Failure, Fault, PowerCuts, SimDisk};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Performs a script on a disk that fails so. False when it came to its end without a failure of the disk.
fn fail(
    script: &BrokerScript,
    seed: u64,
    prepare: impl Fn(&SimDisk),
    cuts_after_open: u64,
    tally: &mut Tally,
) -> Result<bool, String> {
    let disk = SimDisk::new();
    prepare(&disk);
    let nothing = Promise { before: Rc::default(), after: Rc::default(), certainty: Certainty::Doubtful };
    let mut stage = match Stage::open(script, seed, disk.clone()) {
        Ok(stage) => stage,
        Err(_) if disk.faults_hit() > 0 => {
            let history = super::history::History::default();
            let performance = Performance { script, history: &history };
            disk.clear_faults();
            return look(&performance, &disk, &nothing, seed, cuts_after_open, tally).map(|()| true);
        }
        Err(error) => return Err(format!("I16: {error}")),
    };
    let mut failed = None;
    for _ in 0..script.length {
        let act = stage.next_act();
        if let Err(error) = stage.perform(act) {
            if disk.faults_hit() == 0 {
                return Err(format!("{act:?}: {error}"));
            }
            failed = Some(format!("{act:?}: {error}"));
            break;
        }
    }
    if disk.faults_hit() == 0 {
        disk.cut_now();
        return Ok(false);
    }
    disk.clear_faults();
    let promise = stage.promise();
    let performance = Performance { script, history: &stage.history };
    look(&performance, &disk, &promise, seed, cuts_after_open, tally)
        .map_err(|wrong| format!("{}: {wrong}", failed.unwrap_or_default()))?;
    disk.cut_now();
    Ok(true)
}

/// Looks at what is there after the process was killed, and after the power went; then goes on with it.
fn look(
    performance: &Performance<'_>,
    disk: &SimDisk,
    promise: &Promise,
    seed: u64,
    cuts_after_open: u64,
    tally: &mut Tally,
) -> Result<(), String> {
    tally.crash_points += 1;
    tally.images += 1;
    tally.reopened += 1;
    let killed = disk.kill();
    let found = performance.recover(&killed.kill(), seed ^ 31, tally)?;
    performance.check(promise, &found, Crash::Kill).map_err(|wrong| format!("killed: {wrong}"))?;
    for image in disk.power_cuts(&PowerCuts::new(seed).exhaustive_max(1).samples(1).torn(0)) {
        tally.images += 1;
        tally.reopened += 1;
        let found = performance.recover(&image, seed ^ 32, tally)?;
        performance.check(promise, &found, Crash::PowerCut).map_err(|wrong| format!("power cut: {wrong}"))?;
    }
    if cuts_after_open > 0 {
        tally.images += cuts_after_open;
        tally.reopened += cuts_after_open;
        performance
            .cut_after_open(&killed.kill(), seed ^ 31, &found, cuts_after_open)
            .map_err(|wrong| format!("started again: {wrong}"))?;
    }
    if seed.is_multiple_of(4) {
        tally.examined += 1;
        performance.examine(&killed, seed ^ 31, &found).map_err(|wrong| format!("going on: {wrong}"))?;
    }
    Ok(())
}

/// Has `fail` let ever more operations pass, in steps of about `stride`, until its fault hits none; how often one was hit.
fn until_spared(
    random: &mut fastrand::Rng,
    stride: u64,
    mut fail: impl FnMut(u64) -> Result<bool, String>,
) -> Result<u64, String> {
    let (mut count, mut passes) = (0, random.u64(0..stride));
    while fail(passes)? {
        count += 1;
        passes += random.u64(1..=2 * stride - 1);
    }
    Ok(count)
}

#[test]
fn topics_survive_a_failure_of_any_operation() {
    let seed = Seed::of("T3 broker faults");
    let stride = Size::asked().pick(1_201, 13, 1);
    let cases = AtomicU64::new(0);
    let started = Instant::now();
    let total = on_all(SCRIPTS, |script| {
        let mut tally = Tally::default();
        for &failure in Failure::ALL {
            for for_ever in [false, true] {
                let mut random = seed.rng(hash_of(script.name) ^ u64::from(for_ever));
                let count = until_spared(&mut random, stride, |passes| {
                    let fault = Fault::new(failure).after(passes);
                    let fault = if for_ever { fault.for_ever() } else { fault };
                    let script_seed = seed.value() ^ passes ^ hash_of(script.name);
                    fail(script, script_seed, |disk| disk.inject(fault.clone()), 0, &mut tally)
                        .map_err(|wrong| format!("{failure:?} after {passes}, for ever {for_ever}: {wrong}"))
                })?;
                cases.fetch_add(count, Ordering::Relaxed);
            }
        }
        Ok(tally)
    });
    let rate = Rate(total.images, started.elapsed());
    let cases = Count(cases.into_inner());
    figure!("T3 broker faults: {} workloads, {cases} cases, {total}, 0 violations, {rate}", SCRIPTS.len());
}

#[test]
fn nothing_unproved_is_shown_of_topics_after_a_failed_sync() {
    let seed = Seed::of("T4 broker failed syncs");
    let stride = Size::asked().pick(211, 5, 1);
    let cases = AtomicU64::new(0);
    let started = Instant::now();
    let total = on_all(SCRIPTS, |script| {
        let mut tally = Tally::default();
        for (op, cache) in KINDS {
            let mut random = seed.rng(hash_of(script.name));
            let count = until_spared(&mut random, stride, |passes| {
                let script_seed = seed.value() ^ passes ^ hash_of(script.name);
                let cache = cache(script_seed);
                let prepare = |disk: &SimDisk| {
                    disk.set_failed_sync(cache);
                    disk.inject(Fault::new(Failure::Io).on(op).after(passes));
                };
                fail(script, script_seed, prepare, 4, &mut tally)
                    .map_err(|wrong| format!("{op:?} number {passes}, {cache:?}: {wrong}"))
            })?;
            cases.fetch_add(count, Ordering::Relaxed);
        }
        Ok(tally)
    });
    let rate = Rate(total.images, started.elapsed());
    let cases = Count(cases.into_inner());
    figure!(
        "T4 broker failed syncs: {} workloads, {cases} syncs failed, {total}, 0 violations, {rate}",
        SCRIPTS.len()
    );
}
