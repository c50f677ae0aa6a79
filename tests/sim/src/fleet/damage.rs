//! Media that change by themselves, while nobody has them open.

use super::fault::Fault;
use super::home::Home;
use super::node::NodeNumber;
use super::plan::below;
use super::truth::Truth;
use super::world::World;
use crate::disk::{Damage, File, Moment};
use std::collections::BTreeMap;
use unison_base::prng::Prng;
use unison_base::{Lsn, SegmentId};
use unison_ports::{SegmentEntry, SegmentFile, SegmentKind, SegmentStore};

const BLOCK_BYTES: usize = 4 << 10;
const HEADER_BYTES: u64 = 64;

impl World {
    /// Changes a medium at rest. What was done, or nothing where there is nothing to change.
    pub(super) fn damage(&mut self, fault: Fault, number: NodeNumber) -> Option<String> {
        let node = &mut self.nodes[number];
        let earlier = node.marks.earlier.take();
        let what = strike(&node.home.borrow(), fault, earlier.as_ref(), &mut self.chance);
        // A header and a tree are made anew from the frames: that costs nobody a record.
        let keeps_frames = matches!(fault, Fault::HeaderRot | Fault::TreeRot);
        node.marks.damaged |= what.is_some() && !keeps_frames;
        let in_frames = matches!(
            fault,
            Fault::BitFlip | Fault::ZeroedBlock | Fault::Misdirected | Fault::LostWrite
        );
        node.marks.is_stale |= what.is_some() && fault == Fault::LostWrite;
        node.marks.rotted |= what.is_some() && in_frames;
        what
    }
}

impl Home {
    /// The oldest record up to `durable` whose frame is not on the medium any more, though something
    /// there shows that it has been. An end that is all zeros shows nothing: the log looks as if the
    /// rest had never been written, and a follower fetches it again.
    pub(super) fn rotted(&self, truth: &Truth, durable: Lsn) -> Option<Lsn> {
        let segments: BTreeMap<SegmentId, Vec<u8>> = self
            .segments()
            .into_iter()
            .filter(|entry| entry.kind == SegmentKind::Log)
            .filter_map(|entry| Some((entry.id, self.bytes(entry)?)))
            .collect();
        let (lsn, id, offset) = truth.first_missing(&segments, durable)?;
        let rest = segments.get(&id)?.get(offset..)?;
        let behind = segments.range(id.next()..).map(|(_, bytes)| bytes.as_slice());
        let shows = std::iter::once(rest).chain(behind).flatten().any(|&byte| byte != 0);
        shows.then_some(lsn)
    }

    fn bytes(&self, entry: SegmentEntry) -> Option<Vec<u8>> {
        let file = self.disk.store(&self.log_directory()).open(entry.id, entry.kind).ok()?;
        let mut bytes = vec![0; usize::try_from(file.size()).ok()?];
        file.read_at(0, &mut bytes).ok()?;
        Some(bytes)
    }
}

fn strike(home: &Home, fault: Fault, earlier: Option<&Moment>, prng: &mut Prng) -> Option<String> {
    if fault == Fault::TreeRot {
        let (directory, file) = home.tree_file();
        let head = Damage::Zero { offset: 0, length: BLOCK_BYTES };
        return home.disk.damage(&directory, file, head).ok().map(|()| directory);
    }
    let mut segments = home.segments();
    segments.retain(|entry| entry.kind == SegmentKind::Log);
    let newest = *segments.last()?;
    let entry = if prng.chance(50) { newest } else { segments[below(prng, segments.len())] };
    match fault {
        Fault::LostSegment => lose(home, entry),
        Fault::RepeatedSegment => repeat(home, entry, newest.id),
        _ => change(home, fault, entry, earlier, prng),
    }
}

fn lose(home: &Home, entry: SegmentEntry) -> Option<String> {
    home.disk.store(&home.log_directory()).remove(entry.id, entry.kind).ok()?;
    Some(format!("{}", entry.id))
}

fn repeat(home: &Home, entry: SegmentEntry, newest: SegmentId) -> Option<String> {
    let store = home.disk.store(&home.log_directory());
    let bytes = home.bytes(entry)?;
    let target = store.create(newest.next(), bytes.len() as u64).ok()?;
    target.write_at(0, &bytes).and_then(|()| target.sync()).ok()?;
    Some(format!("{} as {}", entry.id, newest.next()))
}

fn change(
    home: &Home,
    fault: Fault,
    entry: SegmentEntry,
    earlier: Option<&Moment>,
    prng: &mut Prng,
) -> Option<String> {
    let directory = home.log_directory();
    let file = File::Segment(entry.id, entry.kind);
    let written = written_bytes(home, entry)?;
    // The tail is where recovery has the most to decide.
    let from = if prng.chance(40) { written.saturating_sub(2_000) } else { 0 };
    let offset = (from + prng.below(written - from)).max(HEADER_BYTES);
    let length = if prng.chance(50) { 512 } else { BLOCK_BYTES };
    let bit = u8::try_from(prng.below(8)).unwrap_or(0);
    let block = offset - offset % length as u64;
    let damage = match fault {
        Fault::BitFlip => Damage::FlipBit { offset, bit },
        Fault::HeaderRot => Damage::FlipBit { offset: prng.below(HEADER_BYTES), bit },
        Fault::ZeroedBlock => Damage::Zero { offset: block.max(HEADER_BYTES), length },
        Fault::Misdirected => {
            let from = prng.below(written) / 512 * 512;
            Damage::Copy { from, to: block, length }
        }
        _ => Damage::Stale { offset: block, length, then: earlier? },
    };
    home.disk.damage(&directory, file, damage).ok()?;
    Some(format!("{fault:?} in {} at {offset} of {written}", entry.id))
}

/// Where the last byte lies that is not zero.
fn written_bytes(home: &Home, entry: SegmentEntry) -> Option<u64> {
    let bytes = home.bytes(entry)?;
    let last = bytes.iter().rposition(|&byte| byte != 0)?;
    Some(last as u64 + 1)
}
