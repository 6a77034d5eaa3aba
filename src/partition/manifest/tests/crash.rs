//! The manifest on a disk that loses power, fails and fills up. States are told apart by their leader epoch.

use super::*;
use crate::io::{FailedSync, Failure, Fault, Op, PowerCuts, SimDisk};

/// Segments in each state of the workload: it grows in place, into a new file, shrinks, and grows again.
const COUNTS: [u64; 6] = [2, 3, 80, 1, 200, 199];

/// State number `epoch` of the workload.
fn state(epoch: usize) -> Manifest {
    let count = COUNTS[epoch % COUNTS.len()];
    Manifest { leader_epoch: u32::try_from(epoch).expect("few states"), ..long(count) }
}

/// A disk whose manifest holds states up to `last`, each committed once; `acknowledge` is told of each.
fn run(disk: &SimDisk, last: usize, mut acknowledge: impl FnMut(usize)) -> crate::Result<ManifestFile> {
    let mut file = ManifestFile::create(&disk.root(), &state(0))?;
    acknowledge(0);
    for epoch in 1..=last {
        file.commit(&mut state(epoch))?;
        acknowledge(epoch);
    }
    Ok(file)
}

/// The state that a load finds; none when there is no manifest.
fn found(disk: &SimDisk) -> Option<(usize, SlotReport)> {
    let (manifest, report) = match ManifestFile::load(&disk.root()) {
        Ok((_, manifest, report)) => (manifest, report),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            return None;
        }
    };
    let epoch = usize::try_from(manifest.leader_epoch).expect("few states");
    let written = Manifest { generation: manifest.generation, ..state(epoch) };
    assert_eq!(manifest, written, "a state that nobody wrote");
    Some((epoch, report))
}

fn cuts(seed: usize) -> PowerCuts {
    PowerCuts::new(seed as u64).exhaustive_max(6).samples(16).torn(4)
}

/// Commits one more state of the same length to what was found, and cuts the power at every step of that.
/// Returns the images seen.
fn commit_with_power_cuts(disk: &SimDisk, acknowledged: usize, found: usize, report: &SlotReport) -> usize {
    // What was found even is built upon without being written again; so it must not be lost any more.
    let oldest = if *report == SlotReport::Even { found } else { acknowledged };
    let next = found + COUNTS.len();
    let (mut file, _, _) = ManifestFile::load(&disk.root()).expect("it was just loaded");
    disk.record();
    file.commit(&mut state(next)).expect("this disk is well");
    let mut replay = disk.recording().replay();
    let mut images = 0;
    loop {
        let is_done = replay.upcoming().is_none();
        for image in replay.disk().power_cuts(&cuts(images)) {
            let (after, _) = super::crash::found(&image).expect("a manifest is never lost");
            let allowed =
                if is_done { after == next } else { after == next || (oldest..=found).contains(&after) };
            assert!(allowed, "found {after} after {found}, {acknowledged} acknowledged, {report:?}");
            images += 1;
        }
        if !replay.advance() {
            return images;
        }
    }
}

#[test]
fn a_power_cut_anywhere_leaves_the_acknowledged_state_or_the_next() {
    let disk = SimDisk::new();
    disk.record();
    let mut acknowledged_at = Vec::new();
    run(&disk, 5, |_| acknowledged_at.push(disk.steps_recorded())).expect("this disk is well");
    let mut replay = disk.recording().replay();
    let (mut images, mut nested) = (0, 0);
    loop {
        let acknowledged =
            acknowledged_at.iter().filter(|steps| **steps <= replay.done()).count().checked_sub(1);
        let bytes = replay.upcoming().map_or(0, |step| step.bytes());
        let mut disks = vec![replay.disk()];
        disks.extend((1..bytes).step_by(1000).map(|bytes| replay.disk_inside(bytes)));
        for image in
            disks.iter().flat_map(|disk| disk.power_cuts(&cuts(replay.done()))).chain([replay.disk()])
        {
            let loaded = found(&image);
            let epoch = loaded.as_ref().map(|(epoch, _)| *epoch);
            let next = acknowledged.map_or(0, |acknowledged| acknowledged + 1);
            assert!(epoch == acknowledged || epoch == Some(next), "{epoch:?} after {acknowledged:?}");
            images += 1;
            if let (Some((epoch, report)), Some(acknowledged)) = (loaded, acknowledged)
                && images % 5 == 0
            {
                nested += commit_with_power_cuts(&image, acknowledged, epoch, &report);
            }
        }
        if !replay.advance() {
            break;
        }
    }
    assert!(images > 1_000 && nested > 5_000, "{images} images, {nested} nested");
    println!("manifest power cuts: {images} images reopened, {nested} more in the commit behind them");
}

#[test]
fn a_failed_operation_poisons_and_a_reload_without_a_reboot_proves_nothing_by_itself() {
    let (mut failed, mut images) = (0, 0);
    for mode in [FailedSync::CacheKeeps, FailedSync::CacheReverts] {
        for failure in [Failure::Io, Failure::NoSpace] {
            for passes in 0.. {
                let disk = SimDisk::new();
                disk.set_failed_sync(mode);
                disk.inject(Fault::new(failure).after(passes));
                let mut acknowledged = None;
                let result = run(&disk, 5, |epoch| acknowledged = Some(epoch));
                if disk.faults_hit() == 0 {
                    assert!(result.is_ok());
                    break;
                }
                failed += 1;
                let kind = result.expect_err("an operation failed").kind();
                assert_eq!(kind, if failure == Failure::Io { ErrorKind::Io } else { ErrorKind::NoSpace });
                let restarted = disk.kill();
                let loaded = found(&restarted);
                let Some(acknowledged) = acknowledged else { continue };
                let (epoch, report) = loaded.expect("a manifest is never lost");
                assert!(epoch == acknowledged || epoch == acknowledged + 1);
                images += commit_with_power_cuts(&restarted, acknowledged, epoch, &report);
            }
        }
    }
    assert!(failed > 100 && images > 5_000, "{failed} failures, {images} images");
    println!("manifest failures: {failed} operations failed, {images} images reopened behind them");
}

/// Without room for a new file the slots are overwritten in place, and their order alone must protect them.
#[test]
fn a_failed_sync_and_then_a_full_disk_lose_nothing() {
    let (mut failed, mut images) = (0, 0);
    for mode in [FailedSync::CacheKeeps, FailedSync::CacheReverts] {
        for (op, passes) in
            [Op::Write, Op::Sync].into_iter().flat_map(|op| (0..20).map(move |passes| (op, passes)))
        {
            let disk = SimDisk::new();
            disk.set_failed_sync(mode);
            disk.inject(Fault::new(Failure::Io).on(op).after(passes));
            let mut acknowledged = None;
            let result = run(&disk, 5, |epoch| acknowledged = Some(epoch));
            let (Err(_), Some(acknowledged)) = (result, acknowledged) else { continue };
            failed += 1;
            let restarted = disk.kill();
            restarted.inject(Fault::new(Failure::NoSpace).on(Op::Create).for_ever());
            let (epoch, report) = found(&restarted).expect("a manifest is never lost");
            images += commit_with_power_cuts(&restarted, acknowledged, epoch, &report);
            assert_eq!(restarted.faults_hit(), 1);
        }
    }
    assert!(failed > 20 && images > 700, "{failed} failures, {images} images");
}

#[test]
fn what_was_confirmed_is_found_after_any_power_cut() {
    let disk = SimDisk::new();
    disk.inject(Fault::new(Failure::Io).on(Op::SyncDir));
    ManifestFile::create(&disk.root(), &state(0)).expect_err("the name was not synced");
    let restarted = disk.kill();
    let (mut file, _, report) = ManifestFile::load(&restarted.root()).expect("the cache shows it");
    assert_eq!(report, SlotReport::Even);
    assert!(restarted.power_cuts(&cuts(0)).any(|image| found(&image).is_none()), "the trap is set");
    file.confirm().expect("this disk is well");
    for image in restarted.power_cuts(&cuts(0)) {
        assert_eq!(found(&image), Some((0, SlotReport::Even)));
    }
    let steps = restarted.steps();
    file.confirm().expect("there is nothing to do");
    assert_eq!(restarted.steps(), steps);
}

/// An open that finds both slots the same writes nothing, and shows what they say. So a process that was killed
/// in the middle of a commit must not leave them so before the power can no longer take it back.
#[test]
fn what_is_found_even_after_a_kill_no_power_cut_takes_back() {
    let mut even = 0;
    for next in [7, 2, 8] {
        let disk = SimDisk::new();
        run(&disk, 1, |_| ()).expect("this disk is well");
        let disk = disk.kill();
        let (mut file, ..) = ManifestFile::load(&disk.root()).expect("it was just committed");
        disk.record();
        file.commit(&mut state(next)).expect("this disk is well");
        let mut replay = disk.recording().replay();
        loop {
            let killed = replay.disk().kill();
            let (epoch, report) = found(&killed).expect("a manifest is never lost");
            for image in killed.power_cuts(&cuts(next)).filter(|_| report == SlotReport::Even) {
                assert_eq!(found(&image).map(|(epoch, _)| epoch), Some(epoch), "step {}", replay.done());
                even += 1;
            }
            if !replay.advance() {
                break;
            }
        }
    }
    assert!(even > 100, "{even} images");
}

#[test]
fn a_failed_commit_is_final_until_the_manifest_is_loaded_again() {
    for (op, passes) in [(Op::Write, 0), (Op::Sync, 0), (Op::Write, 1), (Op::Sync, 1)] {
        let disk = SimDisk::new();
        let mut file = run(&disk, 1, |_| ()).expect("this disk is well");
        disk.inject(Fault::new(Failure::Io).on(op).within(MANIFEST).after(passes));
        let mut next = Manifest { generation: 77, ..state(7) };
        let error = file.commit(&mut next).expect_err("an operation failed");
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("manifest"), "{error}");
        assert_eq!(next.generation, 77, "the caller's state is as it was");
        let again = file.commit(&mut next).expect_err("nothing is retried");
        assert_eq!(again.kind(), ErrorKind::Poisoned);
        assert!(again.to_string().contains("input/output error"), "{again}");
        assert!(std::error::Error::source(&again).is_some());
        let (mut file, _, _) = ManifestFile::load(&disk.root()).expect("one slot is good");
        file.commit(&mut next).expect("this disk is well again");
        assert_eq!(found(&disk), Some((7, SlotReport::Even)));
    }
}

#[test]
fn growth_that_fails_before_the_rename_leaves_all_as_it_was() {
    for op in [Op::Create, Op::Allocate, Op::Write, Op::Sync] {
        let disk = SimDisk::new();
        let mut file = run(&disk, 1, |_| ()).expect("this disk is well");
        disk.inject(Fault::new(Failure::NoSpace).on(op));
        assert_eq!(file.commit(&mut state(2)).expect_err("no room").kind(), ErrorKind::NoSpace, "{op:?}");
        assert_eq!(found(&disk), Some((1, SlotReport::Even)));
        file.commit(&mut state(7)).expect("what fits goes on in place");
        file.commit(&mut state(8)).expect("and the longer file once there is room");
        assert_eq!(found(&disk), Some((8, SlotReport::Even)));
    }
}

#[test]
fn a_read_that_fails_is_an_error_of_the_disk_not_damage() {
    let disk = SimDisk::new();
    run(&disk, 1, |_| ()).expect("this disk is well");
    let mut hit = 0;
    for passes in 0.. {
        disk.inject(Fault::new(Failure::Io).on(Op::Read).after(passes));
        let result = ManifestFile::load(&disk.root());
        disk.clear_faults();
        if disk.faults_hit() == hit {
            assert!(result.is_ok());
            break;
        }
        hit = disk.faults_hit();
        let error = result.expect_err("a read failed");
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("at position "), "{error}");
    }
    assert!(hit >= 3, "{hit} reads");
    disk.inject(Fault::new(Failure::Short).on(Op::Read).for_ever());
    assert_eq!(found(&disk), Some((1, SlotReport::Even)));
}

#[test]
fn a_commit_is_two_writes_and_two_syncs_and_a_load_changes_nothing() {
    let disk = SimDisk::new();
    let mut file = run(&disk, 3, |_| ()).expect("this disk is well");
    let count = |op| disk.counts().of(op);
    let (writes, syncs, names) = (count(Op::Write), count(Op::Sync), disk.counts().mutations());
    file.commit(&mut state(3)).expect("this disk is well");
    assert_eq!((count(Op::Write), count(Op::Sync)), (writes + 2, syncs + 2));
    assert_eq!(disk.counts().mutations(), names + 4, "nothing else changed the disk");
    let steps = disk.steps();
    found(&disk);
    load_read_only(&*disk.root()).expect("it is there");
    assert_eq!(disk.steps(), steps);
}
