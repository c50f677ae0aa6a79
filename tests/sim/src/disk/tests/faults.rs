use super::{ID, SIZE, content, segment};
use crate::disk::{Calls, CrashDisk, Cut, Effect, Fault, Switch, When};
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

#[test]
fn a_switch_cuts_the_power_in_the_middle_of_a_call() {
    let disk = CrashDisk::new();
    let store = disk.store("a");
    let file = store.create(SegmentId(1), 4096).unwrap();
    disk.set_switch(Switch { nth: 2, directory: false });
    file.write_at(0, b"one").unwrap();
    assert!(!disk.is_off());
    // The call may say what it likes, and what comes behind it is void.
    let _ = file.write_at(10, b"two");
    assert!(disk.is_off());
    assert!(file.write_at(20, b"three").is_err());
    let left = disk.crash(Cut::KEPT, &mut Prng::new(1));
    let file = left.store("a").open(SegmentId(1), SegmentKind::Log).unwrap();
    let mut bytes = [9; 25];
    file.read_at(0, &mut bytes).unwrap();
    assert_eq!(
        (&bytes[..3], &bytes[10..13], &bytes[20..]),
        (&b"one"[..], &b"two"[..], &[0; 5][..])
    );
}

#[test]
fn a_switch_for_directories_waits_for_one() {
    let disk = CrashDisk::new();
    let store = disk.store("a");
    let file = store.create(SegmentId(1), 4096).unwrap();
    disk.set_switch(Switch { nth: 1, directory: true });
    file.write_at(0, b"one").unwrap();
    assert!(!disk.is_off());
    let _ = store.create(SegmentId(2), 4096);
    assert!(disk.is_off());
    let left = disk.crash(Cut::LOST, &mut Prng::new(1));
    assert!(left.store("a").open(SegmentId(2), SegmentKind::Log).is_err());
}

#[test]
fn a_checker_meets_no_fault_and_uses_none_up() {
    let disk = CrashDisk::new();
    let file = disk.store("a").create(SegmentId(1), 4096).unwrap();
    disk.inject(Fault::once(Calls::Reads, 1, IoError::Device(5)));
    let counted = disk.counters();
    disk.unwatched(|| file.read_at(0, &mut [0; 8])).unwrap();
    assert_eq!(disk.counters(), counted);
    assert!(file.read_at(0, &mut [0; 8]).is_err());
}

#[test]
fn a_directory_that_is_removed_gives_its_room_back() {
    let disk = CrashDisk::new();
    disk.set_free_bytes(Some(10_000));
    disk.store("a").create(SegmentId(1), 4_000).unwrap();
    disk.store("b").create(SegmentId(1), 4_000).unwrap();
    disk.remove_directory("a");
    assert_eq!(disk.free_bytes(), Some(6_000));
    assert!(disk.store("a").open(SegmentId(1), SegmentKind::Log).is_err());
    assert!(disk.store("b").open(SegmentId(1), SegmentKind::Log).is_ok());
}
