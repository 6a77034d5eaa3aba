//! What the simulated disk loses, keeps and counts.

use super::*;
use crate::io::{Access, File, read_full};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

/// A disk with the file `a`, whose name, length and bytes are durable: `len` times the byte 1.
fn disk_with_file(len: usize) -> (SimDisk, Arc<dyn File>) {
    let disk = SimDisk::new();
    let file = disk.root().create("a").unwrap();
    file.write_at(&vec![1; len], 0).unwrap();
    file.sync().unwrap();
    disk.root().sync().unwrap();
    assert_eq!(disk.atoms(), 0);
    (disk, file)
}

/// The distinct contents that `path` can have after a power cut now, missing files included.
fn outcomes(disk: &SimDisk, cuts: &PowerCuts, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    disk.power_cuts(cuts).map(|image| image.read(path).ok()).collect()
}

fn all() -> PowerCuts {
    PowerCuts::new(0).torn(0)
}

#[test]
fn a_synced_file_vanishes_when_its_directory_was_not_synced() {
    let disk = SimDisk::new();
    let file = disk.root().create("a").unwrap();
    file.write_at(b"here", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(outcomes(&disk, &all(), "a"), [None, Some(b"here".to_vec())].into());
    disk.root().sync().unwrap();
    assert_eq!(outcomes(&disk, &all(), "a"), [Some(b"here".to_vec())].into());
}

#[test]
fn all_in_an_unsynced_directory_vanishes_with_it() {
    let disk = SimDisk::new();
    let folder = disk.root().create_dir("folder").unwrap();
    folder.create("a").unwrap().sync().unwrap();
    folder.sync().unwrap();
    assert_eq!(outcomes(&disk, &all(), "folder/a"), [None, Some(vec![])].into());
    disk.root().sync().unwrap();
    assert_eq!(outcomes(&disk, &all(), "folder/a"), [Some(vec![])].into());
}

#[test]
fn every_subset_of_unsynced_sectors_can_be_lost() {
    let (disk, file) = disk_with_file(5 * 512);
    file.write_at(&[2; 4 * 512], 512).unwrap();
    assert_eq!(disk.atoms(), 4);
    let images = disk.power_cuts(&all());
    assert!(images.is_exhaustive());
    assert_eq!(images.count(), 1 << 4);
    for bytes in outcomes(&disk, &all(), "a").into_iter().flatten() {
        let sectors: Vec<_> = bytes.chunks(512).collect();
        assert_eq!(sectors[0], [1; 512]);
        assert!(sectors[1..].iter().all(|sector| *sector == [1; 512] || *sector == [2; 512]));
    }
}

#[test]
fn above_the_limit_a_sample_is_drawn_the_same_for_a_seed() {
    let (disk, file) = disk_with_file(512 * 20);
    file.write_at(&[2; 512 * 20], 0).unwrap();
    let hashes = |seed| {
        let images = disk.power_cuts(&PowerCuts::new(seed).samples(200));
        assert!(!images.is_exhaustive());
        images.map(|image| image.content_hash()).collect::<Vec<_>>()
    };
    let first = hashes(7);
    assert!(first.len() > 150, "{}", first.len());
    assert_eq!(first, hashes(7));
    assert_ne!(first, hashes(8));
    // The extremes are always among them.
    assert_eq!(first[0], disk_with_file(512 * 20).0.content_hash());
    assert_eq!(first[1], disk.content_hash());
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), first.len());
}

#[test]
fn a_sector_tears_at_any_byte_and_shows_older_bytes() {
    let (disk, file) = disk_with_file(512);
    file.write_at(&[2; 512], 0).unwrap();
    file.write_at(&[3; 512], 0).unwrap();
    let cut = |fate| disk.power_cut(|_| fate).read("a").unwrap();
    assert_eq!(cut(Fate::Lost), [1; 512]);
    assert_eq!(cut(Fate::Version(0)), [1; 512]);
    assert_eq!(cut(Fate::Version(1)), [2; 512]);
    assert_eq!(cut(Fate::Version(2)), [3; 512]);
    assert_eq!(cut(Fate::Kept), [3; 512]);
    for at in 0..=512 {
        let bytes = cut(Fate::Torn { at, head: 2, tail: 0 });
        assert_eq!((&bytes[..at], &bytes[at..]), (&[3; 512][..at], &[1; 512][at..]));
    }
    // A sector that holds its old bytes again may have shown others in between.
    let (back, file) = disk_with_file(512);
    file.write_at(&[2; 512], 0).unwrap();
    file.write_at(&[1; 512], 0).unwrap();
    assert_eq!(back.power_cut(|_| Fate::Version(1)).read("a").unwrap(), [2; 512]);
    // The samples on top of the subsets find all of that by themselves.
    let found = outcomes(&disk, &PowerCuts::new(1).torn(300), "a");
    assert!(found.contains(&Some(vec![2; 512])));
    assert!(found.len() > 100, "{}", found.len());
}

#[test]
fn garbage_appears_only_where_nothing_was_durable() {
    let (disk, file) = disk_with_file(100);
    file.write_at(&[2; 1_500], 0).unwrap();
    let bytes = disk
        .power_cut(|atom| if let Atom::Sector { .. } = atom { Fate::Garbage(9) } else { Fate::Kept })
        .read("a")
        .unwrap();
    assert_eq!(bytes.len(), 1_500);
    assert_eq!(bytes[..100], [1; 100]);
    let zeros = bytes[100..].iter().filter(|byte| **byte == 0).count();
    assert!(zeros < 40, "noise, not {zeros} zeros");
}

#[test]
fn a_length_can_be_lost_and_can_outlive_its_bytes() {
    let (disk, file) = disk_with_file(512);
    file.allocate(0, 1_024).unwrap();
    file.write_at(&[2; 10], 512).unwrap();
    let zeros = [[1; 512], [0; 512]].concat();
    let mut kept = zeros.clone();
    kept[512..522].fill(2);
    assert_eq!(outcomes(&disk, &all(), "a"), [Some(vec![1; 512]), Some(zeros), Some(kept)].into());
    let short = disk.power_cut(|_| Fate::Torn { at: 7, head: 1, tail: 1 });
    assert_eq!(short.read("a").unwrap().len(), 519);
}

#[test]
fn names_survive_in_order_unless_any_subset_is_asked_for() {
    let disk = SimDisk::new();
    for name in ["a", "b", "c"] {
        disk.root().create(name).unwrap();
    }
    assert_eq!(disk.atoms(), 3);
    let names =
        |cuts: &PowerCuts| disk.power_cuts(cuts).map(|image| image.files().concat()).collect::<BTreeSet<_>>();
    assert_eq!(names(&all()), ["", "a", "ab", "abc"].map(str::to_owned).into());
    assert_eq!(names(&all().entries(EntryOrder::AnySubset)).len(), 8);
    let sampled = all().exhaustive_max(0).samples(100);
    assert_eq!(names(&sampled), names(&all()));
    assert_eq!(names(&sampled.entries(EntryOrder::AnySubset)).len(), 8);
}

#[test]
fn a_removal_hits_the_file_it_was_meant_for() {
    let (disk, _) = disk_with_file(1);
    disk.root().create("b").unwrap();
    disk.root().rename("b", "a").unwrap();
    disk.root().remove("a").unwrap();
    // The removal survives, the rename before it does not: the old file is still there.
    let image = disk.power_cut(|atom| match atom {
        Atom::Entry { change, .. } if change.starts_with("rename") => Fate::Lost,
        _ => Fate::Kept,
    });
    assert_eq!(image.read("a").unwrap(), [1]);
}

#[test]
fn a_rename_leaves_the_old_or_the_new() {
    let (disk, _) = disk_with_file(1);
    let new = disk.root().create("a.new").unwrap();
    new.write_at(&[2], 0).unwrap();
    new.sync().unwrap();
    disk.root().rename("a.new", "a").unwrap();
    assert_eq!(outcomes(&disk, &all(), "a"), [Some(vec![1]), Some(vec![2])].into());
    assert_eq!(outcomes(&disk, &all(), "a.new"), [None, Some(vec![2])].into());
}

#[test]
fn an_unsynced_removal_can_be_undone_with_the_last_writes() {
    let (disk, file) = disk_with_file(1);
    file.write_at(&[2], 0).unwrap();
    disk.root().remove("a").unwrap();
    assert_eq!(outcomes(&disk, &all(), "a"), [None, Some(vec![1]), Some(vec![2])].into());
    disk.root().sync().unwrap();
    assert_eq!(outcomes(&disk, &all(), "a"), [None].into());
    assert_eq!(disk.atoms(), 0, "what nobody can name again counts no more");
}

#[test]
fn a_failed_sync_gives_up_what_a_later_one_does_not_store() {
    for (mode, live) in [(FailedSync::CacheKeeps, 2), (FailedSync::CacheReverts, 1)] {
        let (disk, file) = disk_with_file(512);
        disk.set_failed_sync(mode);
        file.write_at(&[2; 512], 0).unwrap();
        disk.inject(Fault::new(Failure::Io).on(Op::Sync));
        assert!(file.sync().is_err());
        assert_eq!(disk.read("a").unwrap(), [live; 512], "{mode:?}");
        // The trap: the next sync says that all is well.
        file.sync().unwrap();
        assert_eq!(disk.read_durable("a").unwrap(), [1; 512]);
        assert!(outcomes(&disk, &all(), "a").contains(&Some(vec![1; 512])));
        // A process restart keeps what the cache shows, and the trap with it.
        let next = disk.kill();
        assert_eq!(next.read("a").unwrap(), [live; 512]);
        let file = next.root().open("a", Access::ReadWrite).unwrap();
        file.sync().unwrap();
        assert_eq!(next.read_durable("a").unwrap(), [1; 512]);
        // Writing again does help.
        file.write_at(&[2; 512], 0).unwrap();
        file.sync().unwrap();
        assert_eq!(next.read_durable("a").unwrap(), [2; 512]);
    }
}

#[test]
fn a_failed_sync_gives_up_the_length_until_it_changes_again() {
    let (disk, file) = disk_with_file(512);
    file.write_at(&[2; 512], 512).unwrap();
    disk.inject(Fault::new(Failure::Io).on(Op::Sync));
    assert!(file.sync().is_err());
    file.sync().unwrap();
    assert_eq!(disk.read_durable("a").unwrap().len(), 512);
    file.write_at(&[3; 512], 1_024).unwrap();
    file.sync().unwrap();
    let expected = [[1; 512], [0; 512], [3; 512]].concat();
    assert_eq!(disk.read_durable("a").unwrap(), expected, "the sector given up is lost, the new one is not");
}

#[test]
fn a_failed_directory_sync_gives_up_names() {
    let disk = SimDisk::new();
    disk.root().create("a").unwrap();
    disk.inject(Fault::new(Failure::Io).on(Op::SyncDir));
    assert!(disk.root().sync().is_err());
    disk.root().create("b").unwrap();
    disk.root().sync().unwrap();
    assert_eq!(disk.files(), ["a", "b"]);
    assert_eq!(disk.power_cut(|_| Fate::Kept).files(), ["b"]);
}

#[test]
fn a_kill_keeps_the_cache_and_frees_locks() {
    let (disk, file) = disk_with_file(1);
    let _lock = disk.root().lock("LOCK").unwrap().expect("free");
    file.write_at(&[2], 0).unwrap();
    let next = disk.kill();
    assert_eq!(next.read("a").unwrap(), [2]);
    assert_eq!(next.read_durable("a").unwrap(), [1]);
    assert_eq!(next.atoms(), disk.atoms());
    assert!(next.root().lock("LOCK").unwrap().is_some());
    assert!(disk.root().lock("LOCK").unwrap().is_none());
    // The two are apart from now on.
    file.write_at(&[3], 0).unwrap();
    assert_eq!(next.read("a").unwrap(), [2]);
}

#[test]
fn faults_hit_what_they_name() {
    let (disk, file) = disk_with_file(100);
    let root = disk.root();
    disk.inject(Fault::new(Failure::NoSpace).on(Op::Write).after(1));
    file.write_at(&[2], 0).unwrap();
    assert_eq!(file.write_at(&[3], 0).unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.write_at(&[4], 0).unwrap();
    assert_eq!(disk.read("a").unwrap()[0], 4);

    disk.inject(Fault::new(Failure::Short));
    assert_eq!(file.len().unwrap(), 100);
    assert_eq!(file.read_at(&mut [0; 9], 0).unwrap(), 5);
    disk.inject(Fault::new(Failure::Short).on(Op::Write));
    assert_eq!(file.write_at(&[5; 3], 0).unwrap(), 2);

    disk.inject(Fault::new(Failure::Interrupted).on(Op::Read).after(1).for_ever());
    let error = read_full(&*file, &mut [0; 200], 0).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    disk.clear_faults();

    disk.inject(Fault::new(Failure::Io).within("b").for_ever());
    assert!(root.create("b").is_err());
    assert!(root.create("b").is_err());
    root.create("c").unwrap();
    assert_eq!(disk.files(), ["a", "c"]);
    assert_eq!(disk.faults_hit(), 3 + 1_001 + 2);
}

#[test]
fn every_operation_is_counted_under_its_kind() {
    let disk = SimDisk::new();
    let root = disk.root();
    let file = root.create("a").unwrap();
    let before = disk.counts();
    let (mut writer, reader) = file.map(0, 8_192).unwrap();
    reader.reserve(4_096).unwrap();
    reader.reserve(4_096).unwrap();
    writer.append(b"ab", 0);
    reader.read(&mut [0; 2], 0).unwrap();
    file.write_at(b"c", 2).unwrap();
    file.sync().unwrap();
    root.sync().unwrap();
    let done = disk.counts() - before;
    let expected = [
        (Op::Map, 1),
        (Op::Allocate, 1),
        (Op::Store, 1),
        (Op::MapRead, 1),
        (Op::Write, 1),
        (Op::Sync, 1),
        (Op::SyncDir, 1),
    ];
    for op in Op::ALL {
        let count = expected.iter().find(|(wanted, _)| *wanted == op).map_or(0, |(_, count)| *count);
        assert_eq!(done.of(op), count, "{op:?}");
    }
    assert_eq!((done.mutations(), done.fallible()), (5, 5));
}

#[test]
fn a_full_disk_refuses_what_takes_space_and_lets_go() {
    let (disk, file) = disk_with_file(4_096);
    disk.set_budget(3 * 4_096);
    assert_eq!(disk.used_bytes(), 2 * 4_096);
    assert_eq!(file.write_at(&[2; 3 * 4_096], 0).unwrap(), 2 * 4_096, "as much as there is room for");
    let full = |error: io::Error| assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    full(file.write_at(&[2], 8_192).unwrap_err());
    full(file.allocate(0, 8_193).unwrap_err());
    full(disk.root().create("b").unwrap_err());
    full(disk.root().create_dir("b").unwrap_err());
    full(disk.root().rename("a", "b").unwrap_err());
    let (_writer, reader) = file.map(8_192, 1 << 20).unwrap();
    full(reader.reserve(8_193).unwrap_err());
    assert_eq!((reader.reserved(), disk.read("a").unwrap().len()), (8_192, 8_192));
    file.write_at(&[3; 8_192], 0).unwrap();
    file.sync().unwrap();
    disk.set_budget(4 * 4_096);
    reader.reserve(8_193).unwrap();
    disk.root().remove("a").unwrap();
    full(disk.root().create("b").unwrap_err());
    drop((file, _writer, reader));
    disk.root().create("b").unwrap();
}

#[test]
fn a_cut_falls_inside_a_write_and_nothing_follows() {
    for (mapped, op) in [(true, Op::Store), (false, Op::Write)] {
        for bytes in 0..=4 {
            let (disk, file) = disk_with_file(8);
            let (mut writer, reader) = file.map(0, 8).unwrap();
            reader.reserve(8).unwrap();
            disk.cut_at(disk.steps(), bytes);
            if mapped {
                writer.append(&[2; 4], 0);
            } else {
                assert!(file.write_at(&[2; 4], 0).is_err());
            }
            assert!(disk.is_dead());
            writer.append(&[3; 4], 4);
            assert!(reader.read(&mut [0; 1], 0).is_err());
            assert!(file.sync().is_err() && disk.root().list().is_err());
            let mut expected = [1; 8];
            expected[..bytes].fill(2);
            assert_eq!(disk.read("a").unwrap(), expected, "{op:?} {bytes}");
            assert_eq!(disk.kill().read("a").unwrap(), expected);
            assert!(disk.counts().of(op) > 0);
        }
    }
}

#[test]
fn a_cut_spares_the_steps_before() {
    let (disk, file) = disk_with_file(1);
    disk.cut_at(disk.steps() + 1, usize::MAX);
    file.write_at(&[2], 0).unwrap();
    assert!(file.sync().is_err());
    assert_eq!((disk.read("a").unwrap(), disk.read_durable("a").unwrap()), (vec![2], vec![1]));
}

#[test]
fn a_replay_goes_through_the_same_states() {
    let (disk, file) = disk_with_file(10);
    disk.record();
    let mut hashes = vec![(disk.content_hash(), disk.atoms())];
    let mut note = || hashes.push((disk.content_hash(), disk.atoms()));
    file.write_at(&[2; 5], 0).unwrap();
    note();
    disk.root().create("b").unwrap();
    note();
    disk.inject(Fault::new(Failure::Io).on(Op::Sync));
    file.sync().unwrap_err();
    note();
    disk.root().rename("b", "c").unwrap();
    note();
    disk.root().sync().unwrap();
    note();
    file.write_at(&[3; 9], 1).unwrap();
    note();
    file.sync().unwrap();
    note();
    assert_eq!(disk.steps_recorded(), 7);
    let recording = disk.recording();
    let ops: Vec<_> = recording.steps().iter().map(|step| (step.op(), step.bytes())).collect();
    let names = [(Op::Create, 0), (Op::Sync, 0), (Op::Rename, 0), (Op::SyncDir, 0)];
    assert_eq!(ops, [&[(Op::Write, 5)][..], &names, &[(Op::Write, 9), (Op::Sync, 0)]].concat());
    let mut replay = recording.replay();
    let inside = replay.disk_inside(3).read("a").unwrap();
    assert_eq!(inside, [2, 2, 2, 1, 1, 1, 1, 1, 1, 1]);
    for (done, expected) in hashes.into_iter().enumerate() {
        assert_eq!(replay.done(), done);
        assert_eq!((replay.disk().content_hash(), replay.disk().atoms()), expected, "after {done} steps");
        assert_eq!(replay.advance(), done < 7);
    }
}

#[test]
fn images_are_disks_of_their_own() {
    let (disk, file) = disk_with_file(512);
    file.write_at(&[2; 512], 0).unwrap();
    disk.inject(Fault::new(Failure::Io).for_ever());
    let before = disk.content_hash();
    for image in disk.power_cuts(&all()) {
        assert_eq!((image.atoms(), image.counts().mutations(), image.is_dead()), (0, 0, false));
        let again = image.root().open("a", Access::ReadWrite).unwrap();
        again.write_at(&[3; 512], 0).unwrap();
        assert_eq!(image.power_cuts(&all()).count(), 2, "a crash in recovery");
    }
    assert_eq!(disk.content_hash(), before);
}

#[test]
fn damage_is_there_before_and_after_a_crash() {
    let disk = SimDisk::new();
    disk.write("x/y/a", &[vec![1; 4_096], vec![2; 4_000]].concat()).unwrap();
    disk.swap_pages("x/y/a", 0, 1).unwrap();
    let swapped = [vec![2; 4_000], vec![0; 96], vec![1; 4_000]].concat();
    assert_eq!(disk.read("x/y/a").unwrap(), swapped);
    disk.truncate("x/y/a", 10).unwrap();
    disk.flip_bit("x/y/a", 8 * 3 + 1).unwrap();
    assert_eq!(disk.flip_bit("x/y/a", 8 * 10).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    disk.zero("x/y/a", 5..7).unwrap();
    let expected = [2, 2, 2, 0, 2, 0, 0, 2, 2, 2];
    let crashed = disk.power_cut(|_| Fate::Lost);
    for disk in [&disk, &crashed] {
        assert_eq!(disk.files(), ["x/y/a"]);
        assert_eq!(disk.read("x/y/a").unwrap(), expected);
        assert_eq!(disk.read_durable("x/y/a").unwrap(), expected);
    }
    disk.delete("x/y/a").unwrap();
    assert_eq!(disk.files(), [""; 0]);
    assert_eq!(disk.read("x/y/a").unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(disk.write("x", b"").unwrap_err().kind(), io::ErrorKind::NotADirectory);
    assert_eq!(crashed.write("x/y/a/b", b"").unwrap_err().kind(), io::ErrorKind::NotADirectory);
}

#[test]
fn damage_beside_unsynced_writes_leaves_them_unsynced() {
    let (disk, file) = disk_with_file(1_024);
    file.write_at(&[2; 512], 0).unwrap();
    disk.flip_bit("a", 8 * 600).unwrap();
    let mut lost = vec![1; 1_024];
    lost[600] = 0;
    let mut kept = lost.clone();
    kept[..512].fill(2);
    assert_eq!(outcomes(&disk, &all(), "a"), [Some(lost), Some(kept)].into());
}

#[test]
fn maps_can_be_refused_and_operations_slow() {
    let (disk, file) = disk_with_file(10);
    disk.set_maps(Maps::Refused);
    assert_eq!(file.map(0, 10).unwrap_err().kind(), io::ErrorKind::Unsupported);
    assert_eq!(file.map_read(10).unwrap_err().kind(), io::ErrorKind::Unsupported);
    disk.set_latency(Op::Sync, std::time::Duration::from_millis(20));
    let start = std::time::Instant::now();
    file.sync().unwrap();
    assert!(start.elapsed() >= std::time::Duration::from_millis(20));
}

/// What a plain model of sectors allows, checked on random work and random power cuts.
#[test]
fn no_image_shows_what_was_never_there() {
    const SECTORS: usize = 12;
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (disk, file) = disk_with_file(SECTORS * 512);
        // Per sector all versions since the last sync; each write fills whole sectors with one value.
        let mut versions = vec![vec![1u8]; SECTORS];
        for value in 2..random.u8(4..20) {
            if random.u8(..4) == 0 {
                file.sync().unwrap();
                versions.iter_mut().for_each(|all| drop(all.drain(..all.len() - 1)));
            } else {
                let first = random.usize(..SECTORS);
                let end = random.usize(first..SECTORS) + 1;
                file.write_at(&vec![value; (end - first) * 512], first as u64 * 512).unwrap();
                versions[first..end].iter_mut().for_each(|all| all.push(value));
            }
        }
        let mut seen = vec![BTreeSet::<u8>::new(); SECTORS];
        for image in disk.power_cuts(&PowerCuts::new(seed).exhaustive_max(4).samples(100)) {
            for (sector, bytes) in image.read("a").unwrap().chunks(512).enumerate() {
                assert!(bytes.iter().all(|byte| versions[sector].contains(byte)), "seed {seed}");
                seen[sector].extend(bytes);
            }
        }
        for (sector, all) in versions.iter().enumerate() {
            let ends = [all[0], all[all.len() - 1]];
            assert!(
                ends.iter().all(|value| seen[sector].contains(value)),
                "seed {seed}: both ends were chosen"
            );
        }
    }
}
