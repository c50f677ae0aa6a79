use super::{ID, SIZE, content, segment};
use crate::disk::{Calls, CrashDisk, Cut, Effect, Fault, When};
use unison_base::SegmentId;
use unison_base::prng::Prng;
use unison_ports::{IoError, SegmentFile, SegmentKind, SegmentStore};

const BROKEN: IoError = IoError::Device(5);

#[test]
fn a_fault_strikes_the_call_it_names_and_no_other() {
    let disk = CrashDisk::new();
    let file = segment(&disk);
    disk.inject(Fault::once(Calls::Writes, 2, BROKEN));
    disk.inject(Fault::for_ever(Calls::Reads, 3, BROKEN));
    let writes: Vec<_> = (0..4).map(|_| file.write_at(0, b"x").is_ok()).collect();
    assert_eq!(writes, [true, false, true, true]);
    let reads: Vec<_> = (0..5).map(|_| file.read_at(0, &mut [0]).is_ok()).collect();
    assert_eq!(reads, [true, true, false, false, false]);
    disk.heal();
    file.read_at(0, &mut [0]).unwrap();
}

#[test]
fn a_write_may_stop_half_way() {
    let disk = CrashDisk::new();
    let file = segment(&disk);
    let effect = Effect::Part { bytes: 3, error: IoError::NoSpace };
    disk.inject(Fault { calls: Calls::Any, when: When::Nth(1), effect });
    assert_eq!(file.write_at(0, b"abcdef"), Err(IoError::NoSpace));
    assert_eq!(&content(&disk)[..6], b"abc\0\0\0");
}

#[test]
fn what_a_failed_sync_covered_stays_in_doubt_whatever_is_synced_later() {
    let disk = CrashDisk::new();
    let file = segment(&disk);
    file.write_at(0, &[1; 512]).unwrap();
    disk.inject(Fault::once(Calls::Syncs, 1, BROKEN));
    assert_eq!(file.sync(), Err(BROKEN));
    file.write_at(512, &[2; 512]).unwrap();
    file.sync().unwrap();
    let lost = content(&disk.moment().cut(Cut::LOST, &mut Prng::new(1)));
    assert_eq!((lost[0], lost[512]), (0, 2));
    let kept = content(&disk.moment().cut(Cut::KEPT, &mut Prng::new(1)));
    assert_eq!((kept[0], kept[512]), (1, 2));
}

#[test]
fn a_late_error_has_done_its_work() {
    let disk = CrashDisk::new();
    let late = Effect::Late(BROKEN);
    disk.inject(Fault { calls: Calls::Directory, when: When::Nth(1), effect: late });
    assert_eq!(disk.store("a").create(ID, SIZE).map(drop), Err(BROKEN));
    disk.store("a").open(ID, SegmentKind::Log).unwrap();
}

#[test]
fn faults_by_chance_repeat_with_the_seed() {
    let run = |seed| {
        let disk = CrashDisk::with(crate::disk::DiskOptions { mapped: false, seed });
        let file = segment(&disk);
        let effect = Effect::Error(BROKEN);
        disk.inject(Fault { calls: Calls::Writes, when: When::Chance(30), effect });
        (0..1_000).map(|_| file.write_at(0, b"x").is_ok()).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    let failed = run(1).iter().filter(|ok| !**ok).count();
    assert!((250..350).contains(&failed), "{failed} of 1000");
}

#[test]
fn a_full_disk_makes_no_segment_until_there_is_room_again() {
    let disk = CrashDisk::new();
    disk.set_free_bytes(Some(SIZE));
    let file = segment(&disk);
    let second = || disk.store("a").create(SegmentId(2), SIZE).map(drop);
    assert_eq!(second(), Err(IoError::NoSpace));
    file.write_at(0, b"inside is reserved").unwrap();
    disk.store("a").remove(ID, SegmentKind::Log).unwrap();
    assert_eq!(second(), Ok(()));
    disk.set_free_bytes(Some(SIZE - 1));
    assert_eq!(disk.store("a").create(ID, SIZE).map(drop), Err(IoError::NoSpace));
}
