//! A power cut at every I/O of every operation on segments: it has happened, or it has not.

use crate::support::{entries, fresh, open};
use std::collections::BTreeMap;
use std::sync::Arc;
use unison_bare::medium::{UNIT_BYTES, Volume};
use unison_base::prng::Prng;
use unison_base::{LogId, SegmentId};
use unison_ports::SegmentKind::{Aside, Log, Values};
use unison_ports::{SegmentFile, SegmentKind, SegmentStore};
use unison_sim::blocks::CrashBlocks;

const STEPS: usize = 60;
const RUNS: u64 = 6;
const CUTS_A_MOMENT: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    size: u64,
    /// Every byte, once synced.
    fill: u8,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    segments: BTreeMap<(SegmentId, SegmentKind), Segment>,
    log_id: Option<LogId>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Create(SegmentId, u64),
    Fill(SegmentId, u8),
    Remove(SegmentId, SegmentKind),
    SetKind(SegmentId, SegmentKind, SegmentKind),
    Identity(LogId),
}

/// A step that succeeds on what the model holds.
fn step(model: &Model, prng: &mut Prng) -> Step {
    let there: Vec<_> = model.segments.keys().copied().collect();
    let log: Vec<_> = there.iter().filter(|(_, kind)| *kind == Log).map(|(id, _)| *id).collect();
    let pick = |prng: &mut Prng, count: usize| prng.below(count as u64) as usize;
    match prng.below(10) {
        0..3 if !log.is_empty() => {
            Step::Fill(log[pick(prng, log.len())], prng.between(1, 255) as u8)
        }
        3 | 4 if !there.is_empty() => {
            let (id, kind) = there[pick(prng, there.len())];
            Step::Remove(id, kind)
        }
        5 | 6 if !there.is_empty() => {
            let (id, from) = there[pick(prng, there.len())];
            let to = [Log, Values, Aside][pick(prng, 3)];
            Step::SetKind(id, from, to)
        }
        7 => Step::Identity(LogId([prng.between(1, 255) as u8; 16])),
        _ => {
            let free = (1..).map(SegmentId).find(|id| !log.contains(id)).unwrap();
            Step::Create(free, prng.between(1, 3 * UNIT_BYTES))
        }
    }
}

impl Model {
    fn apply(&mut self, step: Step) {
        match step {
            Step::Create(id, size) => {
                self.segments.insert((id, Log), Segment { size, fill: 0 });
            }
            Step::Fill(id, fill) => {
                let segment = self.segments.get_mut(&(id, Log)).unwrap();
                segment.fill = fill;
            }
            Step::Remove(id, kind) => drop(self.segments.remove(&(id, kind))),
            Step::SetKind(id, from, to) => {
                let segment = self.segments.remove(&(id, from)).unwrap();
                self.segments.insert((id, to), segment);
            }
            Step::Identity(id) => self.log_id = Some(id),
        }
    }
}

fn play(volume: &Volume<CrashBlocks>, step: Step) {
    let store = volume.segments();
    match step {
        Step::Create(id, size) => drop(store.create(id, size).unwrap()),
        Step::Fill(id, fill) => {
            let file = store.open(id, Log).unwrap();
            let bytes = vec![fill; file.size() as usize];
            // In two parts that meet in the middle of a sector.
            let middle = bytes.len() / 2;
            file.write_at(0, &bytes[..middle]).unwrap();
            file.write_at(middle as u64, &bytes[middle..]).unwrap();
            file.sync().unwrap();
        }
        Step::Remove(id, kind) => store.remove(id, kind).unwrap(),
        Step::SetKind(id, from, to) => store.set_kind(id, from, to).unwrap(),
        Step::Identity(id) => store.set_log_id(id).unwrap(),
    }
}

/// The bytes of a segment are all of one of two values; in the middle of a sector nothing changes
/// but where the fill's two parts meet.
fn filled(volume: &Volume<CrashBlocks>, key: (SegmentId, SegmentKind), allowed: [u8; 2]) -> bool {
    let file = volume.segments().open(key.0, key.1).unwrap();
    let mut bytes = vec![0; file.size() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes.iter().all(|byte| allowed.contains(byte))
}

/// Whether the disk holds what the models before and after a step hold.
fn agrees(volume: &Volume<CrashBlocks>, model: &Model, before: &Model, after: &Model) -> bool {
    let store = volume.segments();
    let listed = entries(&*store).into_iter().map(|entry| ((entry.id, entry.kind), entry.size));
    let expected = model.segments.iter().map(|(key, segment)| (*key, segment.size));
    let fills = |key: &(SegmentId, SegmentKind), segment: &Segment| {
        // While a segment is filled it may have bytes of both.
        let fill = |model: &Model| model.segments.get(key).map_or(segment.fill, |s| s.fill);
        let same = before.segments.len() == after.segments.len() && before.log_id == after.log_id;
        if same { [fill(before), fill(after)] } else { [segment.fill; 2] }
    };
    listed.eq(expected)
        && store.log_id() == Ok(model.log_id)
        && model.segments.iter().all(|(key, segment)| filled(volume, *key, fills(key, segment)))
}

#[test]
fn every_operation_has_happened_or_has_not() {
    explore(false);
}

#[test]
fn a_device_that_forgets_flushes_is_found_out() {
    let found = std::panic::catch_unwind(|| explore(true)).err();
    println!("found: {:?}", found.as_ref().and_then(|panic| panic.downcast_ref::<String>()));
    assert!(found.is_some());
}

fn explore(forget_flushes: bool) {
    let (mut states, mut done, mut undone) = (0, 0_u64, 0_u64);
    for seed in 0..RUNS {
        let mut prng = Prng::new(seed);
        let (disk, volume) = fresh();
        disk.disk().record_moments();
        if forget_flushes {
            disk.forget_flushes();
        }
        let (mut models, mut begins, mut steps) = (vec![Model::default()], Vec::new(), Vec::new());
        for _ in 0..STEPS {
            let mut model = models.last().unwrap().clone();
            let step = step(&model, &mut prng);
            begins.push(disk.disk().moments());
            play(&volume, step);
            model.apply(step);
            models.push(model);
            steps.push(step);
        }
        for (index, moment) in disk.disk().take_moments().iter().enumerate() {
            let at = begins.partition_point(|&begin| begin <= index) - 1;
            let (before, after) = (&models[at], &models[at + 1]);
            for _ in 0..CUTS_A_MOMENT {
                let cut = CrashBlocks::CUTS[prng.below(4) as usize];
                let disk = Arc::new(CrashBlocks::after(moment, cut, &mut prng));
                let place = format!("seed {seed}, {:?} at moment {index}, {cut:?}", steps[at]);
                let (volume, _) = open(&disk).expect(&place);
                let happened = agrees(&volume, after, before, after);
                let not = agrees(&volume, before, before, after);
                assert!(happened || not, "{place}");
                states += 1;
                done += u64::from(happened);
                undone += u64::from(not);
                go_on(&disk, volume, &place);
            }
        }
    }
    println!("cuts of operations: {states} states, {done} done, {undone} not");
    assert!(done > 500 && undone > 500);
}

/// What is there stays there while new segments are made and filled; the next opening repairs
/// nothing.
fn go_on(disk: &Arc<CrashBlocks>, volume: Volume<CrashBlocks>, place: &str) {
    let store = volume.segments();
    let before = entries(&*store);
    let sums = |volume: &Volume<CrashBlocks>| -> Vec<_> {
        let sum = |entry: &unison_ports::SegmentEntry| {
            let file = volume.segments().open(entry.id, entry.kind).unwrap();
            let mut bytes = vec![0; file.size() as usize];
            file.read_at(0, &mut bytes).unwrap();
            unison_base::checksum::crc32c(&bytes)
        };
        before.iter().map(sum).collect()
    };
    let expected = sums(&volume);
    let file = store.create(SegmentId(1_000), 2 * UNIT_BYTES).expect(place);
    file.write_at(0, &vec![0xCC; 2 * UNIT_BYTES as usize]).expect(place);
    file.sync().expect(place);
    assert_eq!(sums(&volume), expected, "{place}");
    drop((file, store, volume));
    let (volume, opened) = open(disk).expect(place);
    assert_eq!(opened, unison_bare::medium::Opened::default(), "{place}");
    assert_eq!(sums(&volume), expected, "{place}");
}
