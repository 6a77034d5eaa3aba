//! T5: every kind of damage to every file of small partitions. What comes back is an error that names the file,
//! or the right records; never a wrong record, never a panic, and no loss below the last proof that is not told.

use crate::damage_sample::{self as sample, Builder, HEADER_LEN, Placed, Sample, Tally, Verdict};
use crate::figure;
use crate::proof::{Rate, Seed, Size};
use crate::tears;
use annals::io::SimDisk;
use annals::{ReadMode, WriteMode};
use std::ops::Range;
use std::time::Instant;

/// How a sample is made.
type Make = fn(WriteMode) -> Sample;

/// The states in which an active segment can be found.
const ACTIVE: [Make; 4] = [sample::closed, sample::marked, sample::unproved, sample::powerless];
const MODES: [WriteMode; 2] = [WriteMode::Automatic, WriteMode::Pwrite];

/// One way to damage a file.
#[derive(Clone, Copy, Debug)]
enum Flip {
    Bit(u64),
    Byte { at: u64, xor: u8 },
}

fn apply(disk: &SimDisk, file: &str, flip: Flip) {
    match flip {
        Flip::Bit(bit) => disk.flip_bit(file, bit).expect("the file is there"),
        Flip::Byte { at, xor } => {
            for bit in (0..8).filter(|bit| xor & (1 << bit) != 0) {
                disk.flip_bit(file, at * 8 + bit).expect("the file is there");
            }
        }
    }
}

/// One case: a copy, the damage, the judgement.
fn case(sample: &Sample, file: &str, flip: Flip, read_mode: ReadMode) -> Verdict {
    let image = sample.copy();
    apply(&image, file, flip);
    sample.judge(&image, &[file], read_mode, &format_args!("{flip:?} of {file}"))
}

/// Flips every `step`-th bit of a file.
fn flip_bits(sample: &Sample, file: &str, step: usize, read_mode: ReadMode) -> Tally {
    let len = sample.disk.read(file).expect("the file is there").len() as u64;
    let mut tally = Tally::default();
    for bit in (0..len * 8).step_by(step) {
        tally.note(case(sample, file, Flip::Bit(bit), read_mode));
    }
    tally
}

/// Flips every `step`-th bit of the batches that nothing proves. That is decay and no tear, and it is refused, but
/// where a tear may have done it.
fn flip_unproved(sample: &Sample, step: usize, read_mode: ReadMode) -> Tally {
    let file = sample.active();
    let whole = sample.disk.read(file).expect("the file is there");
    let batches = sample::batches(&whole);
    let mut tally = Tally::default();
    for batch in batches.iter().filter(|batch| batch.offsets.start >= sample.proved) {
        let mut own = Tally::default();
        for bit in (batch.bytes.start as u64 * 8..batch.bytes.end as u64 * 8).step_by(step) {
            let verdict = case(sample, file, Flip::Bit(bit), read_mode);
            let is_excused = tears::may_have_left(&whole, &batch.bytes, bit);
            assert!(verdict == Verdict::Refused || is_excused, "bit {bit} of {batch:?}: {verdict:?}");
            own.note(verdict);
        }
        // Those of its first batch at least, where no chance in its bytes excuses more.
        assert!(tally.cases > 0 || own.refused * 10 >= own.cases * 9, "{}: {batch:?}: {own}", sample.name);
        tally.add(own);
    }
    assert!(tally.cases > 0, "{}: it has batches that nothing proves", sample.name);
    tally
}

/// How many of the bits, bytes or lengths of a file are tried.
fn one_in(step: usize, of: &str) -> String {
    if step == 1 { format!("every {of}") } else { format!("one {of} in {step}") }
}

fn print(what: &str, tally: Tally, started: Instant) {
    figure!("T5 {what}: {tally}, 0 wrong, {}", Rate(tally.cases, started.elapsed()));
}

/// Whether a byte of a segment counts: it is of the header or of a batch, and not between two or behind all.
fn counts(batches: &[Placed], at: u64) -> bool {
    let at = usize::try_from(at).expect("samples are small");
    at < HEADER_LEN || batches.iter().any(|batch| batch.bytes.contains(&at))
}

/// Every bit of a sealed segment of 64 KiB, in one mode; the other modes are sampled.
#[test]
fn a_flipped_bit_in_a_sealed_segment_is_found() {
    let started = Instant::now();
    let mut tally = Tally::default();
    for write_mode in MODES {
        let sample = sample::sealed(write_mode);
        let file = sample.segments[1].1.clone();
        let bytes = sample.disk.read(&file).expect("it is there");
        let batches = sample::batches(&bytes);
        let full = Size::asked().pick(9_973, 1, 1);
        let steps = match write_mode {
            WriteMode::Pwrite => [(ReadMode::Pread, full * 31), (ReadMode::Automatic, full * 37)],
            _ => [(ReadMode::Automatic, full), (ReadMode::Pread, full * 41)],
        };
        for (read_mode, step) in steps {
            for bit in (0..64 * 1024 * 8).step_by(step) {
                let verdict = case(&sample, &file, Flip::Bit(bit), read_mode);
                let found = matches!(verdict, Verdict::Refused | Verdict::Told);
                assert_eq!(found, counts(&batches, bit / 8), "bit {bit}: {verdict:?}");
                tally.note(verdict);
            }
        }
    }
    let full = one_in(Size::asked().pick(9_973, 1, 1), "bit");
    print(
        &format!("{full} of a sealed segment of 64 KiB in one mode, one in 31 to 41 of these in three"),
        tally,
        started,
    );
}

/// The bits of an active segment of 64 KiB, however it was left.
#[test]
fn a_flipped_bit_in_an_active_segment_is_found() {
    let size = Size::asked();
    for (at, make) in ACTIVE.into_iter().enumerate() {
        let started = Instant::now();
        let (mut tally, mut name, mut said) = (Tally::default(), "", String::new());
        for write_mode in MODES {
            let sample = make(write_mode);
            let file = sample.active().to_owned();
            let full = size.pick(24_001, 1, 1);
            let is_thorough = at == 1 || (at > 1 && size == Size::Full);
            let thinned = size.pick(full, 31, 31);
            let step = if is_thorough && write_mode == WriteMode::Automatic { full } else { thinned };
            let mut own = flip_bits(&sample, &file, step, ReadMode::Automatic);
            own.add(flip_bits(&sample, &file, full * 61, ReadMode::Pread));
            if at < 2 {
                assert_eq!(own.cut, 0, "{}: all of it is proved", sample.name);
            }
            tally.add(own);
            name = sample.name;
            said = format!("{said}, {} at {write_mode:?}", one_in(step, "bit"));
        }
        print(&format!("active segment of 64 KiB, {name}{said}"), tally, started);
    }
}

/// Damage that nothing proves to lie in what was synced is told from a tear all the same.
#[test]
fn a_flipped_bit_in_what_nothing_proves_is_no_tear() {
    let started = Instant::now();
    let mut tally = Tally::default();
    let step = Size::asked().pick(61, 3, 1);
    for make in [sample::unproved as Make, sample::powerless] {
        for write_mode in MODES {
            tally.add(flip_unproved(&make(write_mode), step, ReadMode::Automatic));
        }
    }
    print(&format!("{} of batches that nothing proves", one_in(step, "bit")), tally, started);
}

/// Every bit of what the sealed and the active segments have beside them.
#[test]
fn a_flipped_bit_in_an_index_or_a_manifest_does_no_harm() {
    let started = Instant::now();
    let (mut indexes, mut manifests) = (Tally::default(), Tally::default());
    for (make, write_mode) in
        [(sample::sealed as Make, WriteMode::Automatic), (sample::unproved, WriteMode::Pwrite)]
    {
        let sample = make(write_mode);
        let step = Size::asked().pick(163, 1, 1);
        for file in sample.disk.files().iter().filter(|file| file.ends_with("index")) {
            let len = sample.disk.read(file).expect("it is there").len() as u64;
            for bit in (0..len * 8).step_by(step) {
                let image = sample.copy();
                image.flip_bit(file, bit).expect("the file is there");
                let what = format!("bit {bit} of {file}");
                indexes.note(sample.judge(&image, &[], ReadMode::Automatic, &what));
                look_up(&sample, &image, &what);
            }
        }
        let step = Size::asked().pick(1_201, 1, 1) * if write_mode == WriteMode::Pwrite { 7 } else { 1 };
        manifests.add(flip_bits(&sample, "manifest", step, ReadMode::Automatic));
    }
    assert_eq!(indexes.harmless, indexes.cases, "an index is a cache");
    assert_eq!(manifests.harmless, manifests.cases, "one slot of the manifest is enough");
    print(&format!("{} of the indexes", one_in(Size::asked().pick(163, 1, 1), "bit")), indexes, started);
    let full = one_in(Size::asked().pick(1_201, 1, 1), "bit");
    print(&format!("{full} of one manifest, one in 7 of these of another"), manifests, started);
}

/// Looks some offsets and times up, through whatever index there is.
fn look_up(sample: &Sample, image: &SimDisk, what: &str) {
    let log = sample.options(ReadMode::Pread).open_in(image.root()).expect("it opened before");
    for at in [1, sample.end / 3, sample.end / 2, sample.end * 2 / 3, sample.end - 2] {
        let read = sample.read(&log, at, at + 1);
        assert!(read.is_ok(), "{what}: offset {at}: {read:?}");
        let found = log.offset_for_time(sample::time(at)).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(found.map(|found| found.offset().get()), Some(at), "{what}: the time of offset {at}");
    }
}

/// Every byte of a segment of 1 MiB gets another value.
#[test]
fn a_changed_byte_is_found() {
    let started = Instant::now();
    let seed = Seed::of("T5 bytes");
    let mut tally = Tally::default();
    let bytes = Size::asked().pick(64 << 10, 64 << 10, 1 << 20);
    let step = Size::asked().pick(907, 1, 1);
    let sealed = sample::sealed_of(WriteMode::Automatic, bytes);
    let unproved = sample::unproved(WriteMode::Automatic);
    for (sample, file) in [(&sealed, &sealed.segments[1].1), (&unproved, &unproved.segments[1].1)] {
        let len = sample.disk.read(file).expect("it is there").len() as u64;
        for at in (0..len.min(bytes)).step_by(step) {
            let xor = seed.rng(at).u8(1..);
            let read_mode = if at % 2 == 0 { ReadMode::Automatic } else { ReadMode::Pread };
            tally.note(case(sample, file, Flip::Byte { at, xor }, read_mode));
        }
    }
    let what = format!(
        "{} of a sealed segment of {} KiB and of an active one changed",
        one_in(step, "byte"),
        bytes >> 10
    );
    print(&what, tally, started);
}

/// Every file, cut at every length, or at some.
#[test]
fn a_file_that_was_cut_short_is_found() {
    let started = Instant::now();
    let mut tally = Tally::default();
    for sample in [
        sample::sealed(WriteMode::Automatic),
        sample::closed(WriteMode::Pwrite),
        sample::unproved(WriteMode::Automatic),
    ] {
        for file in sample.disk.files() {
            let len = sample.disk.read(&file).expect("it is there").len();
            let step = match Size::asked() {
                Size::Quick => 1 + len / 16,
                Size::Ci => 7,
                Size::Full => 1,
            };
            for len in (0..len).step_by(step) {
                let image = sample.copy();
                image.truncate(&file, len as u64).expect("it is there");
                let what = format!("{file} cut to {len} bytes");
                if file == sample.active() {
                    let cut = image.read(&file).expect("it is there");
                    let left = Sample { proved: sample.proved_by(&cut), shortened: true, ..sample.clone() };
                    tally.note(left.judge(&image, &[&file], ReadMode::Automatic, &what));
                    continue;
                }
                tally.note(sample.judge(&image, &[&file], ReadMode::Automatic, &what));
            }
        }
    }
    let step = Size::asked().pick("some lengths", "one length in 7", "every length");
    print(&format!("every file cut at {step}"), tally, started);
}

/// Pages that are zeroed, exchanged with another page, or with the same page of another segment.
#[test]
fn a_misplaced_or_zeroed_page_is_found() {
    let started = Instant::now();
    let seed = Seed::of("T5 pages");
    let mut tally = Tally::default();
    for make in [sample::sealed, sample::closed, sample::marked, sample::unproved] {
        let sample = make(WriteMode::Automatic);
        for page in [512, 4096] {
            let (first, second) = (&sample.segments[0].1, &sample.segments[1].1);
            let pages = sample.disk.read(second).expect("it is there").len() / page;
            let mut random = seed.rng(page as u64);
            for number in (0..pages).step_by(Size::asked().pick(29, 1, 1)) {
                let other = random.usize(..pages);
                for kind in
                    [Page::Zero, Page::Swap { with: number + 1 }, Page::Swap { with: other }, Page::Old]
                {
                    let image = sample.copy();
                    damage_page(&image, second, number * page..(number + 1) * page, kind);
                    let what = format!("{kind:?} of page {number} of {page} bytes of {second}");
                    let active = image.read(sample.active()).expect("it is there");
                    let left = Sample { proved: sample.proved_by(&active), ..sample.clone() };
                    tally.note(left.judge(&image, &[second], ReadMode::Automatic, &what));
                }
                let image = sample.copy();
                exchange(&image, first, second, number * page..(number + 1) * page);
                let what = format!("page {number} of {page} bytes exchanged between {first} and {second}");
                let active = image.read(sample.active()).expect("it is there");
                let left = Sample { proved: sample.proved_by(&active), ..sample.clone() };
                tally.note(left.judge(&image, &[first, second], ReadMode::Pread, &what));
            }
        }
    }
    print("pages of 512 and 4096 bytes zeroed, swapped and exchanged", tally, started);
}

#[derive(Clone, Copy, Debug)]
enum Page {
    Zero,
    Swap {
        with: usize,
    },
    /// What lay there before: the page one to the left, as a drive that missed its place writes it.
    Old,
}

fn damage_page(disk: &SimDisk, file: &str, range: Range<usize>, kind: Page) {
    let mut bytes = disk.read(file).expect("it is there");
    let len = range.len();
    match kind {
        Page::Zero => bytes[range].fill(0),
        Page::Swap { with } => {
            let other = with * len..(with + 1) * len;
            if other.end <= bytes.len() {
                let kept = bytes[range.clone()].to_vec();
                bytes.copy_within(other.clone(), range.start);
                bytes[other].copy_from_slice(&kept);
            }
        }
        Page::Old if range.start >= len => bytes.copy_within(range.start - len..range.start, range.start),
        Page::Old => {}
    }
    disk.write(file, &bytes).expect("it is there");
}

fn exchange(disk: &SimDisk, one: &str, other: &str, range: Range<usize>) {
    let (mut first, mut second) = (disk.read(one).expect("there"), disk.read(other).expect("there"));
    if range.end <= first.len().min(second.len()) {
        first[range.clone()].swap_with_slice(&mut second[range]);
        disk.write(one, &first).expect("there");
        disk.write(other, &second).expect("there");
    }
}

/// Whole files that are gone, exchanged, or of another day.
#[test]
fn a_missing_or_misplaced_file_is_found() {
    let started = Instant::now();
    let mut tally = Tally::default();
    for make in [sample::sealed as Make, sample::closed, sample::marked, sample::unproved, sample::powerless]
    {
        for write_mode in MODES {
            let sample = make(write_mode);
            for file in sample.disk.files().iter().filter(|file| *file != "LOCK") {
                let image = sample.copy();
                image.delete(file).expect("it is there");
                let verdict =
                    sample.judge(&image, &[file], ReadMode::Automatic, &format_args!("{file} deleted"));
                let expected = if file.ends_with("index") { Verdict::Harmless } else { Verdict::Refused };
                assert_eq!(verdict, expected, "{file} deleted from the {} sample", sample.name);
                tally.note(verdict);
            }
            // An index of another segment is no index, however good.
            let indexes: Vec<_> =
                sample.disk.files().into_iter().filter(|file| file.ends_with(".index")).collect();
            for (one, other) in indexes.iter().zip(indexes.iter().skip(1)) {
                let image = sample.copy();
                for extension in ["index", "timeindex"] {
                    let theirs = image.read(&other.replace("index", extension)).expect("there");
                    image.write(&one.replace("index", extension), &theirs).expect("there");
                }
                look_up(&sample, &image, &format!("{one} is that of {other}"));
                tally.note(Verdict::Harmless);
            }
            for (at, (_, one)) in sample.segments.iter().enumerate() {
                for (_, other) in &sample.segments[at + 1..] {
                    let image = sample.copy();
                    let (first, second) =
                        (image.read(one).expect("there"), image.read(other).expect("there"));
                    image.write(one, &second).expect("there");
                    image.write(other, &first).expect("there");
                    let what = format!("{one} and {other} exchanged");
                    tally.note(sample.judge(&image, &[one, other], ReadMode::Automatic, &what));
                }
            }
        }
    }
    print("files deleted and exchanged", tally, started);
}

/// A segment that is put back as it was some time ago.
#[test]
fn a_segment_set_back_is_found() {
    let started = Instant::now();
    let mut tally = Tally::default();
    for write_mode in MODES {
        let mut builder = Builder::new(write_mode);
        let mut days = Vec::new();
        for round in 0..12 {
            builder.append(1 + round % 4);
            if round % 3 == 1 {
                builder.flush();
            }
            if round == 7 {
                builder.roll();
            }
            days.push(builder.disk.kill());
        }
        let sample = builder.closed("closed");
        for (_, file) in &sample.segments {
            for (day, old) in days.iter().enumerate() {
                let Ok(bytes) = old.read(file) else { continue };
                let now = sample.disk.read(file).expect("it is there");
                let image = sample.copy();
                image.write(file, &bytes).expect("it is there");
                let what = format!("{file} as it was on day {day}");
                let verdict = sample.judge(&image, &[file], ReadMode::Automatic, &what);
                let is_same = sample::batches(&bytes).len() == sample::batches(&now).len();
                assert_eq!(verdict == Verdict::Harmless, is_same, "{what}: {verdict:?}");
                tally.note(verdict);
            }
        }
    }
    print("a segment set back to an older copy of itself", tally, started);
}
