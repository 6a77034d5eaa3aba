//! Salvage: behind every damage that refuses a partition, all that is undamaged is there again, what is lost is
//! told, and the originals are kept. Cut off at any operation, it is run again and comes to the same.

use crate::damage_sample::{self as sample, Builder, HEADER_LEN, Sample};
use crate::figure;
use crate::proof::{Count, Rate, Seed, Size};
use annals::io::{Fate, SimDisk};
use annals::{
    ErrorKind, Maintenance, Offset, OnDamage, Partition, ReadLevel, ReadMode, RecoveryOutcome, WriteMode,
};
use std::ops::Range;
use std::time::Instant;

/// What of a sample a damage left.
pub struct Left {
    /// For each offset whether its record is undamaged.
    is_good: Vec<bool>,
}

/// Compares the segment files of `image` with the sample's.
pub fn left(sample: &Sample, image: &SimDisk) -> Left {
    let end = usize::try_from(sample.end).expect("samples are small");
    let mut is_good = vec![false; end];
    for (_, file) in &sample.segments {
        let whole = sample.disk.read(file).expect("it is there");
        let Ok(found) = image.read(file) else { continue };
        if found.get(..HEADER_LEN) != whole.get(..HEADER_LEN) {
            continue;
        }
        for batch in sample::batches(&whole) {
            if found.get(batch.bytes.clone()) == whole.get(batch.bytes.clone()) {
                for offset in batch.offsets {
                    is_good[usize::try_from(offset).expect("samples are small")] = true;
                }
            }
        }
    }
    Left { is_good }
}

fn salvaging(sample: &Sample) -> annals::PartitionOptions {
    sample.options(ReadMode::Pread).on_damage(OnDamage::Salvage)
}

/// Whether it is refused without salvage, at opening or at reading.
fn is_refused(sample: &Sample, image: &SimDisk) -> bool {
    match sample.options(ReadMode::Pread).open_in(image.kill().root()) {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            true
        }
        Ok(log) => !log.verify().expect("reads succeed").damage.is_empty(),
    }
}

/// Reads a salvaged partition: each offset is the record that was appended, or told to be lost. Returns how many
/// are lost.
fn check(sample: &Sample, log: &Partition, left: &Left, what: &str) -> u64 {
    let report = log.recovery_report();
    let context = || format!("{} sample, {what}: {report:?}", sample.name);
    assert_eq!(log.log_start_offset(), Offset::ZERO, "{}", context());
    let end = log.log_end_offset().get();
    assert!(
        (sample.proved..=sample.end).contains(&end),
        "the end is {end} of {}: {}",
        sample.proved,
        context()
    );
    let mut told: Vec<Range<u64>> = Vec::new();
    let mut next = 0;
    let mut reader = log.read(Offset::ZERO).level(ReadLevel::Written);
    loop {
        match reader.next() {
            None => break,
            Some(Ok(records)) => {
                for record in &records {
                    assert_eq!(record.offset().get(), next, "{}", context());
                    assert_eq!(record.value(), sample::values().at(next), "offset {next}: {}", context());
                    next += 1;
                }
            }
            Some(Err(error)) => {
                let lost = error.lost_range().map(|lost| lost.start.get()..lost.end.get());
                let lost = lost.unwrap_or_else(|| panic!("{error}: {}", context()));
                assert_eq!(lost.start, next, "{}", context());
                for offset in lost.start..lost.end.min(sample.end) {
                    let is_good = left.is_good[usize::try_from(offset).expect("small")];
                    assert!(!is_good, "offset {offset} is undamaged and told to be lost: {}", context());
                }
                next = lost.end;
                told.push(lost);
            }
        }
    }
    assert_eq!(next, end, "{}", context());
    for offset in end..sample.end {
        assert!(
            !left.is_good[usize::try_from(offset).expect("small")],
            "offset {offset} is gone: {}",
            context()
        );
    }
    let reported: Vec<_> = report.lost.iter().map(|lost| lost.start.get()..lost.end.get()).collect();
    assert_eq!(told, reported, "{}", context());
    told.iter().map(|lost| lost.end - lost.start).sum()
}

/// Every file with records that `image` had is still there, under some name that keeps it.
fn check_kept(image: &SimDisk, after: &SimDisk, what: &str) {
    let files = after.files();
    for file in image.files().iter().filter(|file| file.ends_with(".log") || file.starts_with("next-")) {
        let bytes = image.read(file).expect("it is listed");
        let is_kept =
            |name: &&String| name.starts_with("damaged-") && after.read(name).is_ok_and(|kept| kept == bytes);
        assert!(files.iter().any(|name| is_kept(&name)), "{what}: {file} is not kept: {files:?}");
    }
}

/// Salvages, checks, appends, opens again without salvage, and checks again.
pub fn salvage(sample: &Sample, image: &SimDisk, left: &Left, what: &str) -> u64 {
    let disk = image.kill();
    let log = salvaging(sample)
        .open_in(disk.root())
        .unwrap_or_else(|error| panic!("{what}: {error}\n{}", sample::listing(image)));
    let lost = check(sample, &log, left, what);
    assert_eq!(log.recovery_report().outcome, RecoveryOutcome::Salvaged, "{what}");
    check_kept(image, &disk, what);
    assert_eq!(log.verify().expect("reads succeed").damage, [], "{what}");
    let end = log.log_end_offset();
    let appended = log.append([annals::Record::new("behind")]).wait().expect("it takes records again");
    assert_eq!(appended.base_offset(), end, "{what}");
    log.close().expect("nothing fails");
    let log = sample
        .options(ReadMode::Automatic)
        .open_in(disk.root())
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(log.recovery_report().outcome, RecoveryOutcome::Clean, "{what}");
    assert_eq!(log.log_end_offset(), end.next(), "{what}");
    lost
}

/// Some of all kinds of damage.
fn damage(sample: &Sample, random: &mut fastrand::Rng) -> (SimDisk, String) {
    let image = sample.copy();
    let (_, file) = &sample.segments[random.usize(..sample.segments.len())];
    let bytes = image.read(file).expect("it is there");
    let used = sample::batches(&bytes).last().map_or(HEADER_LEN, |batch| batch.bytes.end);
    let what = match random.u8(..8) {
        0 => {
            let bit = random.usize(..used * 8);
            image.flip_bit(file, bit as u64).expect("there");
            format!("bit {bit} of {file}")
        }
        1 => {
            let from = random.usize(..used);
            let to = (from + random.usize(1..3_000)).min(used);
            image.zero(file, from as u64..to as u64).expect("there");
            format!("{file} zeroed from {from} to {to}")
        }
        2 => {
            let len = random.usize(..used);
            image.truncate(file, len as u64).expect("there");
            format!("{file} cut to {len}")
        }
        3 => {
            image.delete(file).expect("there");
            format!("{file} deleted")
        }
        4 => {
            image.delete("manifest").expect("there");
            "no manifest".to_owned()
        }
        5 => {
            let len = random.u64(..4_096);
            image.truncate("manifest", len).expect("there");
            format!("the manifest cut to {len}")
        }
        6 => {
            let bit = random.usize(..used * 8);
            image.flip_bit(file, bit as u64).expect("there");
            image.flip_bit("manifest", 5_000).expect("there");
            image.flip_bit("manifest", 9 + 4096 * 8).expect("there");
            format!("bit {bit} of {file}, and both slots of the manifest")
        }
        _ => {
            let pages = (used / 512).max(2);
            let (one, other) = (random.usize(1..pages), random.usize(1..pages));
            let mut swapped = bytes.clone();
            swapped.copy_within(one * 512..(one + 1) * 512, other * 512);
            image.write(file, &swapped).expect("there");
            format!("page {one} of {file} over page {other}")
        }
    };
    (image, what)
}

fn samples() -> Vec<Sample> {
    vec![
        sample::sealed(WriteMode::Automatic),
        sample::closed(WriteMode::Pwrite),
        sample::marked(WriteMode::Automatic),
        sample::unproved(WriteMode::Pwrite),
    ]
}

/// What is gone took its own proofs along: with the end of a file those in it, with a header, which holds the
/// salt, those of the whole segment. Then less is known to have been there.
fn provable(sample: &Sample, image: &SimDisk) -> Sample {
    let file = sample.active();
    let (whole, found) = (sample.disk.read(file).expect("it is there"), image.read(file).unwrap_or_default());
    let is_listed = |slot: usize| {
        let slot = slot * 4_096..(slot + 1) * 4_096;
        let manifest = sample.disk.read("manifest").expect("it is there");
        image.read("manifest").is_ok_and(|found| found.get(slot.clone()) == manifest.get(slot))
    };
    let by_manifest = if is_listed(0) || is_listed(1) { sample.proved_by(&[]) } else { 0 };
    let killed = Sample { name: "left without a manifest", ..sample.clone() };
    let by_file = match found.get(..HEADER_LEN) == whole.get(..HEADER_LEN) {
        true => killed.proved_by(&found),
        false => {
            killed.proved_by(&[]).min(if file.ends_with(".log") && !found.is_empty() { u64::MAX } else { 0 })
        }
    };
    Sample { proved: by_manifest.max(by_file).min(sample.proved), ..sample.clone() }
}

#[test]
fn salvage_reads_on_behind_damage() {
    let started = Instant::now();
    let seed = Seed::of("T5 salvage");
    let samples = samples();
    let (mut cases, mut lost) = (0, 0);
    for case in 0..Size::asked().pick(60, 8_000, 80_000) {
        let mut random = seed.rng(case);
        let sample = &samples[random.usize(..samples.len())];
        let (image, what) = damage(sample, &mut random);
        if !is_refused(sample, &image) {
            continue;
        }
        let what = format!("case {case}: {what}");
        lost += salvage(&provable(sample, &image), &image, &left(sample, &image), &what);
        cases += 1;
    }
    assert!(cases > 30, "{cases} cases were refused");
    figure!(
        "T5 salvage: {} refused partitions salvaged, {} records lost and told, all others there, {}",
        Count(cases),
        Count(lost),
        Rate(cases, started.elapsed())
    );
}

/// Salvage is cut off at each of its operations, by a kill or a power cut; then it is run again.
#[test]
fn salvage_can_be_cut_off_anywhere() {
    let started = Instant::now();
    let seed = Seed::of("T5 salvage cut off");
    let mut crashes = 0;
    for sample in [small(), sample::unproved(WriteMode::Pwrite)] {
        for damaged in 0..Size::asked().pick(3, 40, 400) {
            let mut random = seed.rng(damaged);
            let (image, what) = damage(&sample, &mut random);
            if !is_refused(&sample, &image) {
                continue;
            }
            let image = settled(&image);
            let (left, sample) = (left(&sample, &image), provable(&sample, &image));
            let whole = image.kill();
            drop(salvaging(&sample).open_in(whole.root()).expect("salvage succeeds"));
            let step_by = Size::asked().pick(19, 1, 1);
            for step in
                (random.u64(..step_by)..whole.steps()).step_by(usize::try_from(step_by).expect("small"))
            {
                let disk = image.kill();
                disk.cut_at(step, random.usize(..600));
                drop(salvaging(&sample).open_in(disk.root()));
                if !disk.is_dead() {
                    continue;
                }
                let images = [
                    disk.kill(),
                    disk.power_cut(|_| Fate::Lost),
                    disk.power_cut(|_| if random.bool() { Fate::Kept } else { Fate::Lost }),
                ];
                for (kind, found) in images.iter().enumerate() {
                    let what = format!("damage {damaged}: {what}, cut off at step {step}, crash {kind}");
                    unsaid(&sample, found, &left, &what);
                    let log = salvaging(&sample)
                        .open_in(found.root())
                        .unwrap_or_else(|error| panic!("{what}: {error}\n{}", sample::listing(found)));
                    check(&sample, &log, &left, &what);
                    check_kept(&image, found, &what);
                    crashes += 1;
                }
            }
        }
    }
    figure!(
        "T5 salvage cut off and run again: {} crashes, {}",
        Count(crashes),
        Rate(crashes, started.elapsed())
    );
}

/// The same with all of it on the disk, so that a power cut takes back no more than what came later.
fn settled(image: &SimDisk) -> SimDisk {
    let disk = SimDisk::new();
    for file in image.files() {
        disk.write(&file, &image.read(&file).expect("it is listed")).expect("an empty disk");
    }
    disk
}

/// Opened without being asked to salvage, it is refused, or complete: never a log that is silently shorter.
fn unsaid(sample: &Sample, found: &SimDisk, left: &Left, what: &str) {
    match sample.options(ReadMode::Pread).open_in(found.kill().root()) {
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}"),
        Ok(log) if !log.verify().expect("reads succeed").damage.is_empty() => {}
        Ok(log) => {
            check(sample, &log, left, what);
        }
    }
}

/// A partition of a few small segments.
fn small() -> Sample {
    let mut builder = Builder::new(WriteMode::Automatic);
    for _ in 0..3 {
        builder.append(2);
        builder.append(3);
        builder.roll();
    }
    builder.append(2);
    builder.flush();
    builder.killed("small")
}

/// An empty log that has a past keeps its offsets when its manifest is gone.
#[test]
fn the_next_offset_outlives_all_records_and_the_manifest() {
    let clock = sample::clock();
    let mut builder = Builder::with(WriteMode::Automatic, sample::options(&clock), clock);
    builder.append(5);
    builder.roll();
    builder.roll();
    builder.flush();
    let end = builder.log.log_end_offset();
    builder.log.delete_records(end).expect("nothing fails");
    builder.clock.advance(std::time::Duration::from_secs(61));
    builder.log.truncate(end).expect("nothing fails");
    builder.log.close().expect("nothing fails");
    let disk = builder.disk;
    disk.delete("manifest").expect("it is there");
    let options = Partition::options().maintenance(Maintenance::Manual).seed(3);
    let refused = options.clone().open_in(disk.root()).expect_err("it has a past");
    assert_eq!(refused.kind(), ErrorKind::Corrupt, "{refused}");
    let log = options.on_damage(OnDamage::Salvage).open_in(disk.root()).expect("salvage succeeds");
    assert_eq!(log.log_end_offset(), end);
}
