//! Power cuts at every write and sync, with any sectors of what was not synced there.

use crate::device::Memory;
use unison_base::prng::Prng;
use unison_base::{LogId, SegmentId};
use unison_cortex_m::Journal;
use unison_cortex_m::medium::{Medium, MountError, Store};
use unison_ports::{SegmentEntry, SegmentFile, SegmentKind, SegmentStore};

const SLOT_BYTES: u64 = 64 << 10;
const SLOTS: usize = 4;
const BYTES: u64 = SLOTS as u64 * SLOT_BYTES + 7 * 1024;

fn volume(device: Memory) -> Store<Memory, SLOTS> {
    let medium = Box::leak(Box::new(Medium::mount(device, SLOT_BYTES).unwrap()));
    medium.volume(1).unwrap()
}

/// Cuts: of each sector that was not synced nothing is kept, all, all or nothing, any part.
fn keepers(prng: &mut Prng) -> [Box<dyn FnMut() -> usize>; 4] {
    let (mut chance, mut part) = (Prng::new(prng.next_u64()), Prng::new(prng.next_u64()));
    [
        Box::new(|| 0),
        Box::new(|| usize::MAX),
        Box::new(move || if chance.chance(50) { 512 } else { 0 }),
        Box::new(move || part.between(0, 80) as usize),
    ]
}

fn entries(store: &Store<Memory, SLOTS>) -> Vec<SegmentEntry> {
    let mut entries = Vec::new();
    store.list(&mut |entry| entries.push(entry)).unwrap();
    entries.sort_unstable();
    entries
}

/// After each operation alone: what a cut in its middle leaves is what was before or what comes after.
/// A new segment is zeros, though its slot was in use before.
#[test]
fn a_directory_operation_is_whole_or_not_there() {
    type Operation = fn(&Store<Memory, SLOTS>);
    let operations: [Operation; 5] = [
        |store| drop(store.create(SegmentId(1), 60_000).unwrap()),
        |store| drop(store.create(SegmentId(2), SLOT_BYTES).unwrap()),
        |store| store.set_kind(SegmentId(1), SegmentKind::Log, SegmentKind::Aside).unwrap(),
        |store| store.set_log_id(LogId([7; 16])).unwrap(),
        |store| store.remove(SegmentId(1), SegmentKind::Aside).unwrap(),
    ];
    let device = Memory::new(BYTES);
    let store = volume(device.clone());
    use_every_slot(&store);
    let mut prng = Prng::new(5);
    let mut states = 0;
    for operation in operations {
        let before = (entries(&store), store.log_id());
        device.record_moments();
        operation(&store);
        let after = (entries(&store), store.log_id());
        for moment in device.take_moments() {
            for mut keep in keepers(&mut prng) {
                let cut = volume(moment.cut(&mut *keep));
                let found = (entries(&cut), cut.log_id());
                assert!(found == before || found == after, "{found:?}");
                found.0.iter().for_each(|entry| assert_zeros(&cut, entry));
                states += 1;
            }
        }
    }
    println!("{states} states");
    // Each operation writes its cell and syncs it.
    assert!(states >= 5 * 2 * 4, "{states}");
}

/// Leaves bytes in every slot, and no segment.
fn use_every_slot(store: &Store<Memory, SLOTS>) {
    let ids = (0..SLOTS as u32).map(|number| SegmentId(100 + number));
    for id in ids.clone() {
        let file = store.create(id, SLOT_BYTES).unwrap();
        file.write_at(0, &[0x5A; SLOT_BYTES as usize]).unwrap();
        file.sync().unwrap();
    }
    ids.for_each(|id| store.remove(id, SegmentKind::Log).unwrap());
}

fn assert_zeros(store: &Store<Memory, SLOTS>, entry: &SegmentEntry) {
    let mut bytes = vec![0x5A; entry.size as usize];
    store.open(entry.id, entry.kind).unwrap().read_at(0, &mut bytes).unwrap();
    assert!(bytes.iter().all(|&byte| byte == 0), "{entry:?} holds what was there before");
}

#[test]
fn what_the_journal_acknowledged_survives_every_cut() {
    let device = Memory::new(BYTES);
    let store = volume(device.clone());
    let (mut group, mut record) = ([0; 400], [0; 300]);
    let (mut moments, mut prng) = (Vec::new(), Prng::new(9));
    let (mut journal, _) =
        Journal::<_, 3>::open(&store, SLOT_BYTES, &mut group, &mut record, 1).unwrap();
    // Recorded around the places where something other than an append happens too.
    for number in 0_u64..1_500 {
        let interesting = number < 6 || journal.log().tail().offset > 65_000;
        if interesting {
            device.record_moments();
        }
        let before = journal.log().durable();
        journal.put(b"key", &[number as u8; 150], 1).unwrap();
        let taken = device.take_moments();
        moments.extend(taken.into_iter().step_by(9).map(|moment| (moment, before)));
    }
    assert!(journal.log().first().0 > 1, "the oldest segment was retired");
    let mut states = 0;
    for (moment, durable) in moments {
        for mut keep in keepers(&mut prng) {
            let store = volume(moment.cut(&mut *keep));
            let (mut group, mut record) = ([0; 400], [0; 300]);
            let (journal, report) =
                Journal::<_, 3>::open(&store, SLOT_BYTES, &mut group, &mut record, 1).unwrap();
            assert!(journal.log().durable() >= durable, "{durable} acknowledged, {report:?}");
            assert_eq!((report.rungs.rot_segments, report.rungs.gaps), (0, 0), "{report:?}");
            states += 1;
        }
    }
    println!("{states} states");
    assert!(states > 100);
}

/// A cut while the medium is made for the first time.
#[test]
fn a_medium_that_was_begun_is_begun_again() {
    for bytes in 0..=64 {
        let device = Memory::new(BYTES);
        device.record_moments();
        let _ = volume(device.clone());
        let moments = device.take_moments();
        for moment in &moments {
            volume(moment.cut(&mut || bytes)).create(SegmentId(1), 1_000).unwrap();
        }
        assert_eq!(moments.len(), 2);
    }
}

#[test]
fn what_is_no_medium_is_left_alone() {
    let foreign = Memory::of(vec![0x5A; BYTES as usize]);
    let refused = Medium::<_, SLOTS>::mount(foreign, SLOT_BYTES).unwrap_err();
    assert_eq!(refused, MountError::Foreign);
    let small = Medium::<_, SLOTS>::mount(Memory::new(10_000), SLOT_BYTES).unwrap_err();
    assert_eq!(small, MountError::TooSmall);
    let device = Memory::new(BYTES);
    let _ = volume(device.clone());
    let other = Medium::<_, SLOTS>::mount(device.clone(), SLOT_BYTES / 2).unwrap_err();
    assert_eq!(other, MountError::SlotBytes { found: SLOT_BYTES });
}

#[test]
fn volumes_do_not_see_each_other() {
    let medium = Medium::<_, SLOTS>::mount(Memory::new(BYTES), SLOT_BYTES).unwrap();
    let medium: &'static _ = Box::leak(Box::new(medium));
    let (first, second) = (medium.volume(0).unwrap(), medium.volume(1).unwrap());
    assert!(medium.volume(2).is_none());
    first.create(SegmentId(1), 1_000).unwrap().write_at(0, b"first").unwrap();
    second.create(SegmentId(1), 1_000).unwrap().write_at(0, b"second").unwrap();
    first.set_log_id(LogId([1; 16])).unwrap();
    assert_eq!((second.log_id(), medium.free_slots()), (Ok(None), 2));
    let mut bytes = [0; 5];
    first.open(SegmentId(1), SegmentKind::Log).unwrap().read_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"first");
    first.remove(SegmentId(1), SegmentKind::Log).unwrap();
    assert_eq!(entries(&second).len(), 1);
}
