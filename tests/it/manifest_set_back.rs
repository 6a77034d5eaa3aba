//! T5: a manifest that is put back as it was some time ago, by a backup, a copy, or a disk that lost its last
//! writes. It must not open the log as it was then: what was appended since lies in segments that it does not list.

use crate::damage_salvage::{left, salvage};
use crate::damage_sample::{self as sample, Builder, Sample, Tally, Verdict};
use crate::figure;
use crate::proof::{Rate, Size};
use annals::io::SimDisk;
use annals::{ErrorKind, ReadMode, WriteMode};
use std::time::{Duration, Instant};

const MANIFEST: &str = "manifest";
/// Bytes of a slot of a short manifest.
const SLOT_LEN: usize = 4096;

/// What is done in the life of a partition; after each step it is killed, in one of the cases.
#[derive(Clone, Copy, Debug)]
enum Step {
    Append(u64),
    Flush,
    /// Goes on in a new segment, and seals the one before.
    Roll,
    /// Goes on in a new segment, and nobody maintains or flushes anything.
    RollUnsynced,
    /// The process is killed, and another one goes on: what is not proved is copied.
    Kill,
    Close,
}

use Step::{Append, Close, Flush, Kill, Roll, RollUnsynced};

const LIVES: [(&str, &[Step]); 5] = [
    ("flushed", &[Append(3), Flush, Roll, Append(2), Flush, Roll, Append(4), Flush, Append(1), Close]),
    ("written", &[Append(3), RollUnsynced, Append(2), RollUnsynced, RollUnsynced, Append(4), RollUnsynced]),
    (
        "mixed",
        &[Append(3), RollUnsynced, Flush, Append(2), RollUnsynced, Append(1), Roll, RollUnsynced, Flush],
    ),
    ("recovered", &[Append(3), Kill, Append(2), Kill, RollUnsynced, Append(1), Kill, RollUnsynced, Close]),
    ("reopened", &[Append(3), Close, Roll, Close, RollUnsynced, Append(1), Close, Append(1), Kill, Roll]),
];

/// One day in the life of a partition: how it is found when the process dies then.
fn days(write_mode: WriteMode, life: &[Step]) -> Vec<Sample> {
    let mut builder = Builder::new(write_mode);
    let mut days = vec![builder.killed("empty")];
    for step in life {
        match step {
            Append(count) => builder.append(*count),
            Flush => builder.flush(),
            Roll => builder.roll(),
            RollUnsynced => {
                builder.clock.advance(Duration::from_secs(61));
                builder.append(1);
            }
            Kill => builder.open_again(),
            Close => {
                builder.log.close().expect("the disk is well");
                builder.open_again();
            }
        }
        days.push(builder.killed("killed"));
    }
    days
}

/// The ways in which an old manifest may come back: all of it, or a slot beside one that is damaged or of today.
fn set_back(now: &[u8], old: &[u8]) -> [(&'static str, Vec<u8>, bool); 5] {
    let (zero, one) = (0..SLOT_LEN, SLOT_LEN..2 * SLOT_LEN);
    let with = |slot: std::ops::Range<usize>, is_other_damaged: bool| {
        let mut bytes = now.to_vec();
        bytes[slot.clone()].copy_from_slice(&old[slot.clone()]);
        if is_other_damaged {
            bytes[(slot.start + SLOT_LEN) % (2 * SLOT_LEN) + 100] ^= 4;
        }
        bytes
    };
    [
        ("all of it", old.to_vec(), false),
        ("slot 0, slot 1 damaged", with(zero.clone(), true), false),
        ("slot 1, slot 0 damaged", with(one.clone(), true), false),
        ("slot 0 alone", with(zero, false), true),
        ("slot 1 alone", with(one, false), true),
    ]
}

fn manifest_of(day: &SimDisk) -> Vec<u8> {
    let bytes = day.read(MANIFEST).expect("it is there");
    assert_eq!(bytes.len(), 2 * SLOT_LEN);
    bytes
}

/// Story: only a manifest with one damaged slot was suspected of being an old one. One that had come back whole
/// opened the log as it was then, and removed the segments that it did not know.
#[test]
fn a_manifest_set_back_never_shortens_the_log() {
    let started = Instant::now();
    let one_in = Size::asked().pick(4, 1, 1);
    let mut tally = Tally::default();
    for write_mode in [WriteMode::Automatic, WriteMode::Pwrite] {
        for (life, steps) in LIVES {
            let days = days(write_mode, steps);
            for (today, sample) in days.iter().enumerate() {
                let earlier = days[..today].iter().enumerate();
                for (day, old) in earlier.filter(|(day, _)| (day * 3 + today).is_multiple_of(one_in)) {
                    let (now, old) = (manifest_of(&sample.disk), manifest_of(&old.disk));
                    for (how, bytes, is_newer_there) in set_back(&now, &old) {
                        let image = sample.copy();
                        image.write(MANIFEST, &bytes).expect("it is there");
                        // The file that an error names may be any that the old one lists.
                        sample.judged.set(0);
                        let what = format!("{life}, on day {today}: {how} as it was on day {day}");
                        let verdict = sample.judge(&image, &[""], ReadMode::Automatic, &what);
                        let is_complete = verdict == Verdict::Harmless;
                        assert!(is_complete || verdict == Verdict::Refused, "{what}: {verdict:?}");
                        assert!(is_complete || !is_newer_there, "{what}: the newer slot is good");
                        if !is_complete {
                            assert_eq!(salvage(sample, &image, &left(sample, &image), &what), 0, "{what}");
                        }
                        tally.note(verdict);
                    }
                }
            }
        }
    }
    assert!(tally.refused > tally.cases / 5, "{tally}");
    let rate = Rate(tally.cases, started.elapsed());
    figure!("T5 a manifest set back to an older one of itself: {tally}, 0 shortened, {rate}");
}

/// What was deleted inside of the open segment is known to the manifest alone, and to the marks that follow it.
#[test]
fn a_manifest_set_back_before_a_deletion_is_refused() {
    for write_mode in [WriteMode::Automatic, WriteMode::Pwrite] {
        let mut builder = Builder::new(write_mode);
        builder.append(3);
        builder.append(4);
        builder.flush();
        let old = manifest_of(&builder.disk.kill());
        builder.log.delete_records(sample::offset(3)).expect("the disk is well");
        builder.append(1);
        builder.flush();
        let sample = builder.killed("deleted from");
        let image = sample.copy();
        image.write(MANIFEST, &old).expect("it is there");
        let error = sample.options(ReadMode::Automatic).open_in(image.root()).expect_err("it is refused");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains("manifest: expected generation"), "{error}");
    }
}
