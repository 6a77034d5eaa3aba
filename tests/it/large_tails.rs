//! T5: damage to segments of megabytes. What recovery reads, searches, copies and puts aside piece by piece must be
//! all of it, also where it is longer than a piece.

use crate::damage_sample::offset;
use crate::figure;
use crate::proof::{Rate, Seed, Size};
use annals::io::SimDisk;
use annals::{
    ErrorKind, Maintenance, OnDamage, Partition, PartitionOptions, ReadLevel, Record, RecoveryOutcome,
    WriteMode,
};
use std::ops::Range;
use std::time::Instant;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const SEGMENT: &str = "00000000000000000000.log";
const HEADER_LEN: usize = 4096;

/// One segment, never maintained, and the process that wrote it killed.
struct Large {
    disk: SimDisk,
    /// The batches, each of one record: where they lie.
    batches: Vec<Range<usize>>,
    write_mode: WriteMode,
}

fn options(write_mode: WriteMode) -> PartitionOptions {
    Partition::options()
        .segment_bytes_max(64 << 20)
        .maintenance(Maintenance::Manual)
        .read_level(ReadLevel::Written)
        .write_mode(write_mode)
        .seed(5)
}

/// The value of the record at this offset: no two are alike, and none ends with a zero.
fn value(number: usize, len: usize) -> Vec<u8> {
    let mut value = vec![0; len + number % 1_000];
    fastrand::Rng::with_seed(number as u64).fill(&mut value);
    value.push(1);
    value
}

impl Large {
    /// Fills a segment with values of this length, and syncs whenever it has come to one of `synced_at`.
    fn filled(write_mode: WriteMode, len: usize, value_len: usize, synced_at: &[usize]) -> Self {
        let disk = SimDisk::new();
        let log = options(write_mode).open_in(disk.root()).expect("an empty disk");
        let mut due = synced_at.iter();
        let mut next_due = due.next();
        let mut batches = Vec::new();
        let mut at = HEADER_LEN;
        while at < len {
            let value = value(batches.len(), value_len);
            log.append_with(annals::Durability::Written, [Record::new(&value)])
                .wait()
                .expect("there is room");
            let end = usize::try_from(log.segments()[0].len_bytes()).expect("it is in memory");
            batches.push(at..end);
            at = end;
            if next_due.is_some_and(|due| at >= *due) {
                log.flush().wait().expect("the disk is well");
                next_due = due.next();
            }
        }
        Self { disk: disk.kill(), batches, write_mode }
    }

    /// A copy in which some bytes of this batch are others.
    fn damaged(&self, batch: usize, random: &mut fastrand::Rng) -> SimDisk {
        let image = self.disk.kill();
        for _ in 0..5 {
            let at = random.usize(self.batches[batch].clone()) as u64;
            image.flip_bit(SEGMENT, at * 8 + random.u64(..8)).expect("it is there");
        }
        image
    }

    /// Checks that the records are there up to `end`, but for those that are told to be lost; returns these.
    fn read(&self, log: &Partition, end: usize, value_len: usize) -> Vec<Range<u64>> {
        assert_eq!(log.log_end_offset(), offset(end as u64));
        let (mut next, mut lost) = (0, Vec::new());
        for records in log.read(offset(0)) {
            match records {
                Ok(records) => {
                    for record in &records {
                        assert_eq!(record.offset().get(), next as u64);
                        assert!(record.value() == value(next, value_len), "offset {next} has another value");
                        next += 1;
                    }
                }
                Err(error) => {
                    let said = error.lost_range().map(|lost| lost.start.get()..lost.end.get());
                    let range = said.unwrap_or_else(|| panic!("offset {next}: {error}"));
                    next = usize::try_from(range.end).expect("small");
                    lost.push(range);
                }
            }
        }
        assert_eq!(next, end);
        lost
    }

    fn open(&self, disk: &SimDisk) -> annals::Result<Partition> {
        options(self.write_mode).open_in(disk.root())
    }
}

/// The only proof that damage lies in what was synced is megabytes behind it.
#[test]
fn damage_far_before_its_proof_is_refused_and_salvaged() {
    let started = Instant::now();
    let seed = Seed::of("T5 large, proved");
    let (len, mut cases) = (4 * MIB, 0);
    for write_mode in [WriteMode::Automatic, WriteMode::Pwrite] {
        let large = Large::filled(write_mode, len, 4 * KIB, &[len - 50 * KIB]);
        for case in 0..Size::asked().pick(3, 40, 400) {
            let mut random = seed.rng(case);
            let batch = random.usize(..100);
            let image = large.damaged(batch, &mut random);
            let error = large.open(&image).expect_err("it was synced");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            let place = format!("at position {}, where offset {batch} should be", large.batches[batch].start);
            assert!(error.to_string().contains(&place), "{error}");
            let log = options(write_mode).on_damage(OnDamage::Salvage).open_in(image.root());
            let log = log.expect("salvage succeeds");
            let lost = large.read(&log, large.batches.len(), 4 * KIB);
            assert_eq!(
                lost,
                [offset(batch as u64)..offset(batch as u64 + 1)].map(|lost| lost.start.get()..lost.end.get())
            );
            cases += 1;
        }
    }
    let rate = Rate(cases, started.elapsed());
    figure!(
        "T5 damage megabytes before its proof: {cases} cases refused, and salvaged but for one batch, {rate}"
    );
}

/// A tail that nothing proves: what is good of it is copied, what is torn is kept aside, however long both are.
#[test]
fn a_long_unproved_tail_is_copied_and_a_long_torn_one_kept_aside() {
    let started = Instant::now();
    let seed = Seed::of("T5 large, unproved");
    let (mut cases, mut aside) = (0, 0);
    // The last is more than recovery keeps in memory of what it has verified.
    for (len, value_len) in [(4 * MIB, 4 * KIB), (6 * MIB, 90 * KIB), (20 * MIB, 200 * KIB)] {
        for write_mode in [WriteMode::Automatic, WriteMode::Pwrite] {
            let large = Large::filled(write_mode, len, value_len, &[300 * KIB]);
            let count = large.batches.len();
            let whole = large.disk.kill();
            let log = large.open(&whole).expect("nothing is damaged");
            assert_eq!(log.recovery_report().outcome, RecoveryOutcome::Extended);
            assert_eq!(large.read(&log, count, value_len), []);
            drop(log);
            assert_eq!(large.read(&large.open(&whole.kill()).expect("it is whole"), count, value_len), []);
            for case in 0..Size::asked().pick(1, 8, 80) {
                let mut random = seed.rng(case);
                // Of what is behind it, more than is put aside at once.
                let torn = random.usize(count / 3..count / 2);
                let image = large.damaged(torn, &mut random);
                let before = image.read(SEGMENT).expect("it is there");
                let log = large.open(&image).expect("nothing of it was proved");
                let report = log.recovery_report();
                assert_eq!(report.outcome, RecoveryOutcome::Torn);
                assert_eq!(large.read(&log, torn, value_len), []);
                let (from, to) = (large.batches[torn].start, large.batches[count - 1].end);
                let kept = report.torn[0].kept_in.as_ref().and_then(|path| path.file_name());
                let kept = kept.expect("it is a file").to_string_lossy();
                let kept = image.read(&kept).expect("it is there");
                // The last record has no headers, and padding behind it: zeros, which need not be kept.
                assert!(to - from - kept.len() <= 8 && kept.len() > MIB, "{} of {}", kept.len(), to - from);
                assert!(kept == before[from..from + kept.len()], "what is kept is not what was there");
                drop(log);
                let again = large.open(&image.kill()).expect("it is whole");
                assert_eq!(large.read(&again, torn, value_len), []);
                (cases, aside) = (cases + 1, aside + kept.len());
            }
        }
    }
    let (aside, rate) = (aside / MIB, Rate(cases, started.elapsed()));
    figure!("T5 long torn tails: {cases} cases cut, {aside} MiB kept aside, all before them copied, {rate}");
}
