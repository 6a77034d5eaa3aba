//! Bytes that every later version must read, and this one writes.

use super::*;

const GOLDEN: [(&str, &[u8]); 5] = [
    ("plain", include_bytes!("../../../tests/golden/batch-plain.bin")),
    ("rich", include_bytes!("../../../tests/golden/batch-rich.bin")),
    ("identified", include_bytes!("../../../tests/golden/batch-identified.bin")),
    ("compacted", include_bytes!("../../../tests/golden/batch-compacted.bin")),
    ("append-time", include_bytes!("../../../tests/golden/batch-append-time.bin")),
];

#[test]
fn golden_batches_read_as_they_always_did() {
    for ((name, bytes), (sample, plain)) in GOLDEN.iter().zip(sample::all()) {
        assert_eq!(*name, sample);
        assert_eq!(naive::decode(bytes, plain.salt, plain.position), Some(plain.clone()), "{name}");
        assert_eq!(read_back(bytes, &plain), plain.records, "{name}");
    }
}

#[test]
fn golden_batches_are_written_as_they_always_were() {
    for ((name, bytes), (_, plain)) in GOLDEN.iter().zip(sample::all()) {
        if matches!(*name, "plain" | "rich") {
            assert_eq!(&stamped(&plain), bytes, "{name}");
        }
        let mut verbatim = Batch::from_bytes(bytes, BatchLimits::default()).unwrap();
        assert_eq!(&verbatim.stamp(&stamp_of(&plain)), bytes, "{name}");
    }
}

#[test]
fn the_check_word_is_what_it_always_was() {
    let check = |salt, position, length| check(Place { salt, position: Position::new(position) }, length);
    for (salt, position, length) in
        [(0, 0, 0), (1, 4_096, 56), (sample::SALT, 4_096, 75), (u64::MAX, u32::MAX, u32::MAX)]
    {
        assert_eq!(check(salt, position, length), naive::check(salt, position, length));
    }
    assert_eq!(check(0, 0, 0), 1_210_155_558);
    // The upper half of what is mixed is zero here.
    assert_eq!(check(0, 2_556_861_640, 57), 1, "a blank is never a check word");
}

/// Half of the bits move, whichever bit of salt, position or length does.
#[test]
fn each_bit_of_a_place_moves_half_of_the_check_word() {
    let mut moved = [0_u32; 128];
    const ROUNDS: u32 = 500;
    for round in 0..ROUNDS {
        let salt = u64::from(round).wrapping_mul(0x2545_f491_4f6c_dd1d);
        let (position, length) = (round * 8, 56 + round * 13);
        let place = |salt, position| Place { salt, position: Position::new(position) };
        let base = check(place(salt, position), length);
        let salts = (0..64).map(|bit| check(place(salt ^ 1 << bit, position), length));
        let positions = (0..32).map(|bit| check(place(salt, position ^ 1 << bit), length));
        let lengths = (0..32).map(|bit| check(place(salt, position), length ^ 1 << bit));
        for (moved, check) in moved.iter_mut().zip(salts.chain(positions).chain(lengths)) {
            *moved += (base ^ check).count_ones();
        }
    }
    for (bit, moved) in moved.iter().enumerate() {
        let average = f64::from(*moved) / f64::from(ROUNDS);
        assert!((15.0..17.0).contains(&average), "bit {bit} moves {average} of 32");
    }
}
