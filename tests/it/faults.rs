//! T3: each operation of a set of workloads fails, once or for ever. Every call ends in success or a documented
//! error, nothing acknowledged is lost, and afterwards it goes on.

use crate::faults_run::{Run, Step};
use crate::figure;
use crate::proof::{Count, Rate, Seed, Size};
use annals::Durability::{Durable, Written};
use annals::io::{FailedSync, Failure, Fate, Fault, Op, SimDisk};
use annals::{Durability, OnDamage, Record, WriteMode};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What is done before the disk begins to fail, and then.
#[derive(Clone, Copy)]
struct Workload {
    name: &'static str,
    before: &'static [Step],
    steps: &'static [Step],
    state: State,
}

/// How the partition is left before the disk begins to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// As the steps left it, in the same process.
    Alive,
    /// Its process was killed.
    Killed,
    /// The power went, and with it all that was not synced.
    PowerCut,
    /// Killed, and the last written batch is torn.
    Torn,
    /// Killed, and one slot of the manifest is damaged.
    OneSlot,
    /// Killed, and a batch in the middle is damaged.
    Damaged,
}

use Step::{
    Age, AgeOut, Append, Close, DeleteAll, DeletePart, Drop, Fill, Flush, Follow, Look, Maintain, Open,
    OpenToSalvage, Read, Reopen, TakeBack, Verify,
};

const WORKLOADS: [Workload; 19] = [
    Workload { name: "create", before: &[], steps: &[Open, Append(2, Durable), Close], state: State::Alive },
    Workload {
        name: "append",
        before: &[Open, Append(1, Durable)],
        steps: &[
            Append(1, Written),
            Append(3, Durable),
            Append(2, Written),
            Flush,
            Maintain,
            Append(1, Durable),
            Reopen,
            Append(1, Durable),
        ],
        state: State::Alive,
    },
    Workload {
        name: "roll",
        before: &[Open, Fill(20), Flush],
        steps: &[Fill(20), Append(2, Durable), Fill(30), Maintain, Append(1, Durable), Maintain],
        state: State::Alive,
    },
    Workload {
        name: "roll by age",
        before: &[Open, Fill(3), Flush],
        steps: &[
            Age,
            Append(2, Durable),
            Age,
            Append(2, Written),
            Maintain,
            Flush,
            Reopen,
            Append(1, Durable),
        ],
        state: State::Alive,
    },
    Workload {
        name: "close and open",
        before: &[Open, Fill(5), Age, Append(1, Durable)],
        steps: &[Append(1, Written), Close, Open, Append(1, Durable), Close, Open, Read],
        state: State::Alive,
    },
    Workload {
        name: "drop and open",
        before: &[Open, Fill(5)],
        steps: &[Append(2, Written), Drop, Open, Append(1, Durable), Drop, Open, Read],
        state: State::Alive,
    },
    Workload {
        name: "delete records",
        before: &[Open, Fill(40), Age, Append(1, Written), Fill(10), Flush],
        steps: &[
            DeletePart(3),
            Append(1, Durable),
            DeletePart(2),
            Maintain,
            DeleteAll,
            Append(1, Durable),
            Close,
            Open,
            Append(1, Durable),
        ],
        state: State::Alive,
    },
    Workload {
        name: "truncate",
        before: &[Open, Fill(10), Age, Append(2, Written), Fill(10)],
        steps: &[
            TakeBack(4),
            Append(2, Durable),
            TakeBack(30),
            Append(2, Durable),
            Reopen,
            Close,
            Open,
            Append(1, Durable),
        ],
        state: State::Alive,
    },
    Workload {
        name: "retention",
        before: &[Open, Fill(40), Flush, Age, Append(2, Durable)],
        steps: &[
            AgeOut,
            Append(2, Durable),
            Maintain,
            AgeOut,
            Append(1, Durable),
            Close,
            Open,
            Append(1, Durable),
        ],
        state: State::Alive,
    },
    Workload {
        name: "read",
        before: &[Open, Fill(40), Age, Append(1, Durable), Fill(3), Close, Open],
        steps: &[Read, Look, Verify, Append(1, Durable), Look, Read],
        state: State::Alive,
    },
    Workload {
        name: "follow",
        before: &[Open, Fill(40), Flush],
        steps: &[Follow, Append(1, Durable), Age, Append(1, Durable), Follow, DeletePart(2), Follow],
        state: State::Alive,
    },
    Workload {
        name: "recover row 7",
        before: &[Open, Fill(10), Flush],
        steps: &[Open, Append(1, Durable), Read],
        state: State::Killed,
    },
    Workload {
        name: "recover row 8",
        before: &[Open, Fill(10), Flush, Fill(5)],
        steps: &[Open, Append(1, Durable), Close, Open],
        state: State::Killed,
    },
    Workload {
        name: "recover row 8 across a roll",
        before: &[Open, Fill(10), Flush, Fill(1), Age, Append(2, Written), Fill(2)],
        steps: &[Open, Append(1, Durable), Close, Open],
        state: State::Killed,
    },
    Workload {
        name: "recover row 10",
        before: &[Open, Fill(10), Flush, Fill(3)],
        steps: &[Open, Append(1, Durable), Close, Open],
        state: State::Torn,
    },
    Workload {
        name: "recover row 3",
        before: &[Open, Fill(10), Age, Append(1, Durable)],
        steps: &[Open, Append(1, Durable), Open],
        state: State::OneSlot,
    },
    Workload {
        name: "recover after a power cut",
        before: &[Open, Fill(10), Flush, Fill(3), Age, Append(2, Written)],
        steps: &[Open, Append(1, Durable), Close, Open],
        state: State::PowerCut,
    },
    Workload {
        name: "salvage",
        before: &[Open, Fill(10), Age, Append(2, Durable), Fill(4), Flush],
        steps: &[OpenToSalvage, Append(1, Durable), Close, Open, OpenToSalvage, Append(1, Durable)],
        state: State::Damaged,
    },
    Workload {
        name: "poisoned and reopened",
        before: &[Open, Fill(4), Flush, Fill(2)],
        steps: &[
            Flush,
            Append(1, Durable),
            Append(1, Written),
            Reopen,
            Append(1, Durable),
            Fill(2),
            Reopen,
            Flush,
        ],
        state: State::Alive,
    },
];

/// How the disk fails.
#[derive(Clone, Copy, Debug)]
struct Order {
    failure: Failure,
    on: Option<Op>,
    for_ever: bool,
    failed_sync: FailedSync,
}

impl Order {
    fn fault(self, passes: u64) -> Fault {
        let mut fault = Fault::new(self.failure).after(passes);
        if let Some(op) = self.on {
            fault = fault.on(op);
        }
        if self.for_ever { fault.for_ever() } else { fault }
    }

    /// Whether nobody may notice.
    fn is_invisible(self) -> bool {
        let is_retried = self.failure == Failure::Short
            || (self.failure == Failure::Interrupted && matches!(self.on, Some(Op::Read | Op::Write)));
        is_retried && !self.for_ever
    }
}

fn orders() -> Vec<Order> {
    let mut orders = Vec::new();
    for for_ever in [false, true] {
        for failed_sync in [FailedSync::CacheKeeps, FailedSync::CacheReverts] {
            for failure in [Failure::Io, Failure::NoSpace] {
                orders.push(Order { failure, on: None, for_ever, failed_sync });
            }
        }
        let failed_sync = FailedSync::CacheKeeps;
        orders.push(Order { failure: Failure::Short, on: None, for_ever, failed_sync });
        for failure in [Failure::HalfThenIo, Failure::HalfThenNoSpace] {
            orders.push(Order { failure, on: Some(Op::Write), for_ever, failed_sync });
        }
        for on in [None, Some(Op::Read), Some(Op::Write)] {
            orders.push(Order { failure: Failure::Interrupted, on, for_ever, failed_sync });
        }
    }
    orders
}

/// A workload up to where its disk begins to fail.
fn prepare(workload: &Workload, write_mode: WriteMode) -> Run {
    let mut run = Run::new(write_mode);
    if workload.name == "retention" {
        run = run.with_retention();
    }
    workload.before.iter().for_each(|step| run.take(*step));
    assert_eq!(run.failures, 0, "{}: nothing fails yet", workload.name);
    match workload.state {
        State::Alive => return run,
        State::PowerCut => {
            run.disk = run.disk.power_cut(|_| Fate::Lost);
            run.model.lose_written();
        }
        State::Killed | State::Torn | State::OneSlot | State::Damaged => {}
    }
    let mut next = run.next_process();
    let active = |disk: &SimDisk| {
        disk.files().into_iter().rfind(|file| file.ends_with(".log")).expect("it has segments")
    };
    match workload.state {
        State::Torn => {
            let file = active(&next.disk);
            let bytes = next.disk.read(&file).expect("there");
            let end = bytes.iter().rposition(|byte| *byte != 0).expect("it has records") as u64;
            next.disk.zero(&file, end - 30..end + 1).expect("there");
            next.model.tear_last();
        }
        State::OneSlot => next.disk.flip_bit("manifest", 5_000).expect("there"),
        State::Damaged => {
            let file =
                next.disk.files().into_iter().find(|file| file.ends_with(".log")).expect("it has segments");
            next.disk.zero(&file, 4_700..4_710).expect("there");
        }
        _ => {}
    }
    next
}

/// Runs the steps, counting what the disk is asked for.
fn run_steps(run: &mut Run, workload: &Workload) {
    workload.steps.iter().for_each(|step| run.take(*step));
}

/// Which record the damage of the salvage workload took, found by salvaging without faults.
fn note_damage(run: &mut Run) {
    let probe = run.next_process();
    let log = probe
        .options
        .clone()
        .on_damage(OnDamage::Salvage)
        .open_in(probe.disk.root())
        .expect("salvage succeeds");
    let lost = log.recovery_report().lost.first().cloned().expect("something is damaged");
    // Before the first loss, offsets and records have the same numbers here.
    run.model.damage(lost.start.get());
}

/// What must hold once the disk is well again: for the next process, for the next machine start, for this one.
fn check_after(run: &mut Run, order: Order) {
    let keeps = order.failed_sync == FailedSync::CacheKeeps;
    let required = if keeps { Written } else { Durable };
    let killed = (run.disk.kill(), required);
    let cut = (run.disk.power_cut(|_| Fate::Lost), Durable);
    let half = (
        run.disk.power_cut(|atom| if format!("{atom:?}").len() % 2 == 0 { Fate::Kept } else { Fate::Lost }),
        Durable,
    );
    for (disk, least) in [killed, cut, half] {
        disk.clear_faults();
        open_and_check(run, &disk, least);
    }
    run.disk.clear_faults();
    if let Some(log) = &run.log {
        log.reopen().expect("the disk is well again");
        run.model.check(log, required);
        log.append([Record::new("00000000 ")]).wait().expect("it goes on");
    }
}

fn open_and_check(run: &Run, disk: &SimDisk, least: Durability) {
    let on_damage = if run.model.damaged.is_empty() { OnDamage::Refuse } else { OnDamage::Salvage };
    let log =
        run.options.clone().on_damage(on_damage).open_in(disk.root()).expect("a disk that is well again");
    run.model.check(&log, least);
    let end = log.log_end_offset();
    let appended = log.append([Record::new("x")]).wait().expect("it goes on");
    assert_eq!(appended.base_offset(), end);
    log.close().expect("the disk is well again");
}

/// Says which case it was when something panics, and notices when nothing ends any more.
#[derive(Clone, Default)]
struct Watch {
    case: Arc<Mutex<String>>,
    count: Arc<AtomicU64>,
}

impl Watch {
    fn begin(&self, case: &dyn fmt::Display) {
        *self.case.lock().expect("it is only written") = case.to_string();
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    fn case(&self) -> String {
        self.case.lock().expect("it is only written").clone()
    }

    /// Runs `work` beside this thread, which looks whether it goes on.
    fn over<T: Send + 'static>(work: impl FnOnce(&Self) -> T + Send + 'static) -> T {
        let watch = Self::default();
        let own = watch.clone();
        let worker = std::thread::spawn(move || work(&own));
        let (mut seen, mut since) = (0, Instant::now());
        while !worker.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
            let count = watch.count.load(Ordering::Relaxed);
            if count != seen {
                (seen, since) = (count, Instant::now());
            }
            assert!(since.elapsed() < Duration::from_secs(120), "it hangs: {}", watch.case());
        }
        worker.join().unwrap_or_else(|_| panic!("in the case: {}", watch.case()))
    }
}

/// What a loop came to.
#[derive(Default)]
struct Tally {
    cases: u64,
    hit: u64,
    sites: u64,
    kinds: std::collections::BTreeSet<String>,
}

fn fault_loop(
    watch: &Watch,
    workload: &Workload,
    write_mode: WriteMode,
    order: Order,
    step: u64,
    tally: &mut Tally,
) {
    // A run in which nothing fails says how many operations there are.
    let mut run = prepare(workload, write_mode);
    let before = run.disk.counts();
    watch.begin(&format_args!("{}, {write_mode:?}, nothing fails", workload.name));
    run_steps(&mut run, workload);
    assert_eq!(run.failures, 0, "{}: nothing fails", workload.name);
    let counts = run.disk.counts() - before;
    tally
        .kinds
        .extend(Op::ALL.iter().filter(|op| op.can_fail() && counts.of(**op) > 0).map(|op| format!("{op:?}")));
    let operations = order.on.map_or(counts.fallible(), |op| counts.of(op));
    drop(run);
    let mut passes = 0;
    while passes <= operations {
        watch.begin(&format_args!("{}, {write_mode:?}, {order:?}, after {passes}", workload.name));
        let mut run = prepare(workload, write_mode);
        if workload.state == State::Damaged {
            note_damage(&mut run);
        }
        run.disk.set_failed_sync(order.failed_sync);
        run.reverts = order.failed_sync == FailedSync::CacheReverts;
        run.disk.inject(order.fault(passes));
        run_steps(&mut run, workload);
        if run.disk.faults_hit() > 0 {
            tally.hit += run.disk.faults_hit();
            tally.sites += 1;
        }
        assert!(run.failures == 0 || !order.is_invisible(), "an interruption or a short call was noticed");
        check_after(&mut run, order);
        tally.cases += 1;
        passes += step;
    }
}

#[test]
fn every_operation_may_fail() {
    let started = Instant::now();
    let tally = Watch::over(|watch| {
        let seed = Seed::of("T3 fault loops");
        let mut random = seed.rng(0);
        let mut tally = Tally::default();
        for workload in &WORKLOADS {
            for write_mode in [WriteMode::Automatic, WriteMode::Pwrite] {
                for order in orders() {
                    let step = match Size::asked() {
                        Size::Quick => 70 + random.u64(..60),
                        Size::Ci | Size::Full => 1,
                    };
                    fault_loop(watch, workload, write_mode, order, step, &mut tally);
                }
            }
        }
        tally
    });
    figure!(
        "T3 fault loops: {} workloads, {} cases, {} calls that failed on order at {} places, {} of {} kinds of operation, {}",
        WORKLOADS.len(),
        Count(tally.cases),
        Count(tally.hit),
        Count(tally.sites),
        tally.kinds.len(),
        Op::ALL.iter().filter(|op| op.can_fail()).count(),
        Rate(tally.cases, started.elapsed())
    );
}
