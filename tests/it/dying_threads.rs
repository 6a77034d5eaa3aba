//! A thread dies while it works for a partition. Whoever waits hears of it, and a reopen sets it right.
//!
//! ```text
//!     receipts ──wait──▶ who leads ──sync──▶ panic      all of them: Poisoned; reopen: what was promised is there
//! ```

use crate::crash::interlude::{Cue, Interlude};
use crate::wakers::{Alarm, PATIENCE, in_time};
use annals::Durability::{Durable, Written};
use annals::clock::ManualClock;
use annals::io::{Fate, SimDisk};
use annals::{
    Appended, ErrorKind, Maintenance, Offset, Partition, PartitionOptions, Pending, ReadLevel, Record,
    Result, Timestamp,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// A log with one durable record, whose threads can be made to die.
struct Scene {
    disk: SimDisk,
    interlude: Interlude,
    log: Partition,
}

/// No time passes: nothing is synced because it is old.
fn options(maintenance: Maintenance) -> PartitionOptions {
    let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
    Partition::options().maintenance(maintenance).clock(clock)
}

impl Scene {
    fn new(maintenance: Maintenance) -> Self {
        let (disk, interlude) = (SimDisk::new(), Interlude::default());
        let log = options(maintenance).open_in(interlude.within(disk.root())).expect("a fresh disk");
        log.append([Record::new("durable")]).wait().expect("the disk is well");
        Self { disk, interlude, log }
    }

    fn receipt(&self) -> Pending<Appended> {
        self.log.append([Record::new("in doubt")])
    }

    /// Nobody is told yes any more; once it is reopened, all goes on.
    fn is_poisoned_and_recovers(&self) {
        assert!(self.log.stats().is_poisoned);
        for level in [Written, Durable] {
            fails(self.log.append_with(level, [Record::new("refused")]).wait());
        }
        fails(self.log.flush().wait());
        fails(self.log.maintain());
        assert_eq!(self.log.durable_offset(), Offset::from(1), "what was acknowledged, and no more");

        self.log.reopen().expect("the disk is well");
        let end = self.log.log_end_offset();
        assert_eq!(self.values()[0], "durable");
        let mut appended = self.log.append([Record::new("afterwards")]);
        let appended = in_time(move || appended.wait_for(PATIENCE)).expect("the disk is well");
        assert_eq!(appended.expect("its thread is there again").base_offset(), end);

        let log = options(Maintenance::Manual)
            .open_in(self.disk.power_cut(|_| Fate::Lost).root())
            .expect("a power cut is no damage");
        let kept: Vec<String> = values(&log);
        assert_eq!(kept, self.values(), "all of it was shown as durable");
        self.log.close().expect("the disk is well");
    }

    fn values(&self) -> Vec<String> {
        values(&self.log)
    }
}

fn values(log: &Partition) -> Vec<String> {
    let value = |record: annals::RecordRef<'_>| String::from_utf8_lossy(record.value()).into_owned();
    let read = log.read(Offset::ZERO).level(ReadLevel::Durable);
    read.flat_map(|records| records.expect("it is readable").iter().map(value).collect::<Vec<_>>()).collect()
}

fn fails<T: std::fmt::Debug>(result: Result<T>) {
    assert_eq!(result.expect_err("a thread has died at its work").kind(), ErrorKind::Poisoned);
}

/// Whoever asks later hears the same as whoever was asleep.
fn all_hear(receipts: impl IntoIterator<Item = Pending<Appended>>) {
    for receipt in receipts {
        fails(in_time(move || receipt.wait()));
    }
}

#[test]
fn the_disk_thread_dies_in_a_sync_and_all_who_wait_hear_of_it() {
    let scene = Scene::new(Maintenance::Threads);
    let receipts = [scene.receipt(), scene.receipt()];
    let mut awaited = scene.receipt();
    let (alarm, mut blocked) = (Arc::new(Alarm::default()), scene.receipt());
    let mut reader = scene.log.wait_past_at(ReadLevel::Durable, Offset::from(1));
    scene.interlude.set(Cue::Sync, || panic!("dies in a sync, on order"));
    let blocked = thread::spawn(move || blocked.wait_for(PATIENCE));
    let reader = thread::spawn(move || reader.wait_for(PATIENCE));
    let polled = alarm.poll(&mut awaited);
    fails(blocked.join().expect("the disk thread panics, not this one"));
    fails(reader.join().expect("the disk thread panics, not this one"));
    match polled {
        Poll::Ready(answer) => fails(answer),
        Poll::Pending => {
            wait_until("whoever awaits is woken", || alarm.rang());
            match alarm.poll(&mut awaited) {
                Poll::Ready(answer) => fails(answer),
                Poll::Pending => panic!("woken for nothing"),
            }
        }
    }
    all_hear(receipts);
    scene.is_poisoned_and_recovers();
}

#[test]
fn the_disk_thread_dies_while_it_takes_space_and_nothing_is_acknowledged_any_more() {
    let scene = Scene::new(Maintenance::Threads);
    let receipts = [scene.receipt(), scene.receipt()];
    scene.interlude.set(Cue::Reserve, || panic!("dies taking space, on order"));
    // More than half of what is reserved: the disk thread is called to take more.
    let receipt = scene.log.append([Record::new(&[b'x'; 40 << 10])]);
    wait_until("it is poisoned", || scene.log.stats().is_poisoned);
    all_hear(receipts.into_iter().chain([receipt]));
    scene.is_poisoned_and_recovers();
}

#[test]
fn a_caller_dies_in_a_sync_and_all_who_wait_hear_of_it() {
    let scene = Scene::new(Maintenance::Manual);
    let (first, behind, later) = (scene.receipt(), scene.receipt(), scene.receipt());
    let (begin, begun) = mpsc::channel();
    scene.interlude.set(Cue::Sync, move || {
        begin.send(thread::spawn(move || behind.wait())).expect("somebody joins it");
        // Long enough for it to fall asleep behind whoever leads.
        thread::sleep(Duration::from_millis(20));
        panic!("dies in a sync, on order");
    });
    catch_unwind(AssertUnwindSafe(|| first.wait())).expect_err("it led, and died");
    let behind = begun.recv().expect("the sync has begun");
    fails(in_time(move || behind.join().expect("it does not die with it")));
    all_hear([later]);
    scene.is_poisoned_and_recovers();
}

/// A waker that reopens the log on the thread that dies.
struct Reopens {
    log: Partition,
    done: mpsc::Sender<Result<()>>,
}

impl Wake for Reopens {
    fn wake(self: Arc<Self>) {
        drop(self.done.send(self.log.reopen()));
    }
}

/// The disk thread died in a sync, and poisoned the log twice: in the round, of which all heard, and once it was
/// unwound. Who had reopened the log in between found it poisoned again.
#[test]
fn a_log_that_is_reopened_while_its_thread_still_dies_is_not_poisoned_again() {
    let scene = Scene::new(Maintenance::Threads);
    let mut awaited = scene.receipt();
    let (done, reopened) = mpsc::channel();
    scene.interlude.set(Cue::Sync, || panic!("dies in a sync, on order"));
    let waker = Waker::from(Arc::new(Reopens { log: scene.log.clone(), done }));
    assert!(Pin::new(&mut awaited).poll(&mut Context::from_waker(&waker)).is_pending());
    reopened.recv_timeout(PATIENCE).expect("it is woken").expect("the disk is well");
    for _ in 0..2 {
        // Through the thread that has died, and so behind all that it did then.
        let mut receipt = scene.receipt();
        in_time(move || receipt.wait_for(PATIENCE)).expect("it was reopened").expect("its thread is there");
    }
    assert!(!scene.log.stats().is_poisoned);
    scene.log.close().expect("the disk is well");
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not for {PATIENCE:?}");
        thread::yield_now();
    }
}
