//! What a seed decides before anything happens: who follows whom over what lines, how clients write,
//! and which faults there are.

use super::clock::{NodeClock, Wall};
use super::draw::Writing;
use super::durability::Durability;
use super::fault::Fault;
use super::link::Line;
use super::{Options, Plant};
use unison_base::prng::Prng;

/// A seed's decisions.
#[derive(Debug)]
pub(super) struct Plan {
    /// Whom each follower follows, from node 1 on; relays come first.
    pub(super) leaders: Vec<usize>,
    pub(super) relays: usize,
    pub(super) writing: Writing,
    /// Between two groups of writes, on average.
    pub(super) write_every_ms: u64,
    /// Most records a group.
    pub(super) group_max: u64,
    /// Faults that are on: each seed has some of them only, so that they do not hide each other.
    pub(super) faults: Vec<Fault>,
    /// Between two faults, on average.
    pub(super) strike_every_ms: u64,
    pub(super) sync_ms: u64,
    pub(super) memtable_bytes: usize,
    pub(super) durability: Durability,
}

impl Plan {
    /// `others` is for what was added later, so that the rest of a seed stays as it was.
    pub(super) fn draw(options: &Options, prng: &mut Prng, others: &mut Prng) -> Self {
        let relays = below(prng, options.relays + 1).min(options.edges);
        let leaders = (1..=relays + options.edges).map(|node| leader(node, relays, prng)).collect();
        let durability = Durability::draw(others);
        let writing = Writing::draw(prng, others);
        Self {
            leaders,
            relays,
            writing,
            write_every_ms: prng.between(200, 1_500),
            group_max: prng.between(1, 8),
            memtable_bytes: [1_500, 4_000, 16_000][below(prng, 3)],
            faults: swarm(prng),
            strike_every_ms: prng.between(1_500, 8_000),
            durability,
            sync_ms: if prng.chance(30) { prng.between(100, 900) } else { prng.between(1, 30) },
        }
    }

    /// A bug that hardly one seed in a hundred meets is met by a third of them where frames are equal,
    /// several wait for one sync, and the power goes often: a frame that is left over then fits behind
    /// a new one.
    pub(super) fn favour(mut self, plant: Option<Plant>) -> Self {
        if plant == Some(Plant::StaleFrames) {
            self.writing = Writing::plain(self.writing.keys, Some(100));
            (self.group_max, self.write_every_ms, self.sync_ms) = (1, 200, 900);
            self.faults = vec![Fault::CutTorn, Fault::CutReordered];
        }
        self
    }

    /// A line, good or not so good.
    pub(super) fn line(prng: &mut Prng) -> Line {
        let far = prng.chance(20);
        Line {
            delay_ms: if far { prng.between(200, 600) } else { prng.between(1, 40) },
            jitter_ms: prng.below(30),
            bytes_per_second: if prng.chance(20) { prng.between(8_000, 40_000) } else { 1_000_000 },
            loss: 0,
            crumbs: if prng.chance(30) { 20 } else { 2 },
            blocked_until_ms: [0; 2],
        }
    }

    pub(super) const fn clock() -> NodeClock {
        NodeClock { wall: Wall::Right, drift_ppm: 0 }
    }
}

/// Edges follow the hub or a relay, a relay the hub or the relay before it.
fn leader(node: usize, relays: usize, prng: &mut Prng) -> usize {
    if node <= relays {
        return if prng.chance(70) { 0 } else { node - 1 };
    }
    below(prng, relays + 1)
}

fn swarm(prng: &mut Prng) -> Vec<Fault> {
    let share = prng.between(10, 70);
    let mut faults: Vec<_> = Fault::ALL.into_iter().filter(|_| prng.chance(share)).collect();
    if faults.is_empty() {
        faults.push(Fault::ALL[below(prng, Fault::ALL.len())]);
    }
    faults
}

pub(super) fn below(prng: &mut Prng, bound: usize) -> usize {
    usize::try_from(prng.below(bound as u64)).unwrap_or(0)
}
