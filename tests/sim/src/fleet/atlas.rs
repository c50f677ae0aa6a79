//! Which fault strikes whom, and when.

use super::clock::Wall;
use super::fault::Fault;
use super::link::Direction;
use super::node::{HUB, NodeNumber};
use super::outcome::Breach;
use super::plan::below;
use super::queue::Event;
use super::story::Story;
use super::world::World;
use crate::disk::{Calls, Cut, Effect, Fault as DiskFault, When};
use unison_ports::IoError;

const EIO: IoError = IoError::Device(5);
/// Nodes of a fleet as the plan has it in mind.
const FLEET: u64 = 11;
/// A process has only just recovered for so long.
const FRESH_MS: u64 = 4_000;

impl World {
    /// Whether a kind of fault is on, now.
    pub(super) fn is_on(&self, fault: Fault) -> bool {
        !self.calm && self.plan.faults.contains(&fault)
    }

    /// One fault, and the time of the next.
    pub(super) fn strikes(&mut self) -> Result<(), Breach> {
        if self.calm {
            return Ok(());
        }
        // As many faults a node in a large fleet as in a small one.
        let every_ms = self.plan.strike_every_ms * FLEET / FLEET.max(self.nodes.len() as u64);
        let pause_ms = 1 + self.chance.below(2 * every_ms);
        self.queue.push(self.now_ms + pause_ms, Event::Strikes);
        let fault = self.plan.faults[below(&mut self.chance, self.plan.faults.len())];
        let number = self.target(fault);
        if let Some(what) = self.strike(fault, number)? {
            self.tally.fault(fault);
            self.note(number, Story::Struck(fault, what));
        }
        Ok(())
    }

    /// A moment at which a power cut has the most to spoil: something has just been written, synced
    /// or flushed, and all the more so when the process has only just recovered.
    pub(super) fn critical(&mut self, number: NodeNumber) -> Result<(), Breach> {
        let cuts = [Fault::CutLost, Fault::CutTorn, Fault::CutReordered];
        let fault = cuts[below(&mut self.chance, cuts.len())];
        let fresh = self.now_ms < self.nodes[number].started_ms + FRESH_MS;
        let paired = std::mem::take(&mut self.nodes[number].cut_soon) && !self.calm;
        let strikes = self.chance.below(1_000) < if fresh { 100 } else { 5 };
        let strikes = if paired { self.chance.chance(70) } else { strikes && self.is_on(fault) };
        if strikes && self.nodes[number].process.is_some() {
            let cut = self.cut_of(fault);
            self.cut_power(number, cut);
            let pause_ms = self.downtime_ms();
            self.start_later(number, pause_ms);
            self.tally.fault(fault);
            self.note(number, Story::Struck(fault, format!("{cut:?} at a critical moment")));
        }
        Ok(())
    }

    fn cut_of(&mut self, fault: Fault) -> Cut {
        match fault {
            Fault::CutKept => Cut::KEPT,
            Fault::CutLost => Cut::LOST,
            Fault::CutTorn => {
                [Cut::TORN_BYTE, Cut::TORN_SECTOR, Cut::TORN_PAGE][below(&mut self.chance, 3)]
            }
            Fault::CutReordered => {
                [Cut::REORDERED_SECTORS, Cut::REORDERED_PAGES][below(&mut self.chance, 2)]
            }
            _ => self.any_cut(),
        }
    }

    /// The hub of a small fleet is struck as often as all its followers together; what its frames do not survive does not
    /// strike it.
    fn target(&mut self, fault: Fault) -> NodeNumber {
        let follower = 1 + below(&mut self.chance, self.nodes.len() - 1);
        let spares_hub = matches!(
            fault,
            Fault::BitFlip
                | Fault::ZeroedBlock
                | Fault::Misdirected
                | Fault::LostWrite
                | Fault::LostSegment
                | Fault::RepeatedSegment
                | Fault::Partition
                | Fault::Blackhole
                | Fault::SlowLine
                | Fault::LossyLine
        );
        let share = 50 * FLEET / FLEET.max(self.nodes.len() as u64);
        if !spares_hub && self.chance.chance(share) { HUB } else { follower }
    }

    /// Strikes; what was done, or nothing where nothing could be done.
    fn strike(&mut self, fault: Fault, number: NodeNumber) -> Result<Option<String>, Breach> {
        match fault {
            Fault::Reset | Fault::HalfOpen | Fault::WireFlip => self.strike_connection(fault),
            Fault::Partition | Fault::Blackhole | Fault::SlowLine | Fault::LossyLine => {
                Ok(self.strike_line(fault, number))
            }
            // Struck where connections are made.
            Fault::Twin => Ok(None),
            Fault::Kill
            | Fault::Stop
            | Fault::Pause
            | Fault::CutKept
            | Fault::CutLost
            | Fault::CutTorn
            | Fault::CutReordered
            | Fault::CutInRecovery
            | Fault::RepairFails => self.strike_process(fault, number),
            Fault::SyncFails
            | Fault::WriteFails
            | Fault::ReadFails
            | Fault::DiskFull
            | Fault::SlowDisk => Ok(self.strike_disk(fault, number)),
            Fault::BitFlip
            | Fault::ZeroedBlock
            | Fault::Misdirected
            | Fault::LostWrite
            | Fault::HeaderRot
            | Fault::LostSegment
            | Fault::RepeatedSegment
            | Fault::TreeRot => self.strike_medium(fault, number),
            Fault::ClockEpoch
            | Fault::ClockAhead
            | Fault::ClockBehind
            | Fault::ClockFrozen
            | Fault::ClockJumps
            | Fault::ClockDrift => self.strike_clock(fault, number),
        }
    }

    fn strike_connection(&mut self, fault: Fault) -> Result<Option<String>, Breach> {
        let open: Vec<_> = self.connections.keys().copied().collect();
        let Some(&id) = open.get(below(&mut self.chance, open.len())) else { return Ok(None) };
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(None) };
        let Some(upstream) = &self.nodes[connection.follower].upstream else { return Ok(None) };
        match fault {
            Fault::Reset => {
                for direction in Direction::BOTH {
                    let pipe = connection.pipe(direction);
                    let due = pipe.reset(&upstream.line, self.now_ms, &mut self.network);
                    due.into_iter()
                        .for_each(|at_ms| self.queue.push(at_ms, Event::Arrives(id, direction)));
                }
            }
            Fault::WireFlip => {
                let direction = Direction::BOTH[below(&mut self.chance, 2)];
                if !connection.pipe(direction).flip_a_bit(&mut self.network) {
                    return Ok(None);
                }
            }
            _ => return self.strike_half(id),
        }
        Ok(Some(format!("#{id}")))
    }

    /// One side of a connection goes, and the other never hears of it.
    fn strike_half(&mut self, id: u64) -> Result<Option<String>, Breach> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(None) };
        connection.silent = true;
        let follower = connection.follower;
        if self.chance.chance(50) && self.nodes[follower].connection == Some(id) {
            if !self.nodes[follower].is_paused(self.now_ms) {
                self.hang_up(follower)?;
            }
        } else if let Some(connection) = self.connections.get_mut(&id) {
            connection.session = None;
        }
        Ok(Some(format!("#{id}")))
    }

    fn strike_line(&mut self, fault: Fault, number: NodeNumber) -> Option<String> {
        let until_ms = self.now_ms + self.chance.between(500, 60_000);
        let chance = &mut self.chance;
        let line = &mut self.nodes[number].upstream.as_mut()?.line;
        match fault {
            Fault::Partition => line.blocked_until_ms = [until_ms; 2],
            Fault::Blackhole => line.blocked_until_ms[below(chance, 2)] = until_ms,
            Fault::SlowLine if line.bytes_per_second < 8_000 => line.bytes_per_second = 1_000_000,
            Fault::SlowLine => line.bytes_per_second = chance.between(2_000, 7_999),
            _ if line.loss > 0 => line.loss = 0,
            _ => line.loss = chance.between(5, 30),
        }
        Some(format!("{line:?}"))
    }

    fn strike_process(
        &mut self,
        fault: Fault,
        number: NodeNumber,
    ) -> Result<Option<String>, Breach> {
        if self.nodes[number].process.is_none() {
            return Ok(None);
        }
        if fault == Fault::Pause {
            let until_ms = self.now_ms + self.chance.between(500, 40_000);
            let node = &mut self.nodes[number];
            node.paused_until_ms = node.paused_until_ms.max(until_ms);
            return Ok(Some(format!("until {until_ms}")));
        }
        let cut = match fault {
            Fault::Kill => return self.end_and_start(number, Self::kill).map(Some),
            Fault::Stop => {
                self.stop(number)?;
                let pause_ms = self.downtime_ms();
                self.start_later(number, pause_ms);
                return Ok(Some(String::new()));
            }
            _ => self.cut_of(fault),
        };
        if matches!(fault, Fault::CutTorn | Fault::CutReordered) && self.chance.chance(60) {
            self.set_switch(number);
            return Ok(Some("in the middle of a call".to_owned()));
        }
        self.cut_power(number, cut);
        match fault {
            Fault::CutInRecovery => self.set_switch(number),
            Fault::RepairFails => self.fail_repair(number),
            _ => {}
        }
        let pause_ms = self.downtime_ms();
        self.start_later(number, pause_ms);
        Ok(Some(format!("{cut:?}")))
    }

    fn end_and_start(
        &mut self,
        number: NodeNumber,
        end: impl FnOnce(&mut Self, NodeNumber),
    ) -> Result<String, Breach> {
        end(self, number);
        let pause_ms = self.downtime_ms();
        self.start_later(number, pause_ms);
        Ok(format!("for {pause_ms} ms"))
    }

    fn strike_disk(&mut self, fault: Fault, number: NodeNumber) -> Option<String> {
        let disk = self.nodes[number].home.borrow().disk.clone();
        let chance = &mut self.chance;
        let injected = match fault {
            Fault::SyncFails => DiskFault::once(Calls::Syncs, chance.between(1, 3), EIO),
            Fault::ReadFails => DiskFault::once(Calls::Reads, chance.between(1, 6), EIO),
            Fault::WriteFails => {
                let bytes = below(chance, 600);
                let effect =
                    [Effect::Error(EIO), Effect::Late(EIO), Effect::Part { bytes, error: EIO }];
                let when = When::Nth(chance.between(1, 4));
                DiskFault { calls: Calls::Writes, when, effect: effect[below(chance, 3)] }
            }
            Fault::DiskFull => {
                disk.set_free_bytes(Some(chance.below(100_000)));
                let room_ms = self.now_ms + chance.between(2_000, 40_000);
                self.queue.push(room_ms, Event::RoomAgain(number));
                return Some(format!("until {room_ms}"));
            }
            _ => {
                let node = &mut self.nodes[number];
                node.sync_ms = if node.sync_ms > 500 { self.plan.sync_ms } else { 1_000 };
                return Some(format!("{} ms a sync", node.sync_ms));
            }
        };
        disk.inject(injected);
        Some(format!("{injected:?}"))
    }

    /// A medium changes: under the process, or behind its end in one way or another.
    fn strike_medium(
        &mut self,
        fault: Fault,
        number: NodeNumber,
    ) -> Result<Option<String>, Breach> {
        if self.nodes[number].process.is_none() {
            return Ok(None);
        }
        let live = matches!(
            fault,
            Fault::BitFlip | Fault::ZeroedBlock | Fault::Misdirected | Fault::LostWrite
        );
        if live && self.chance.chance(30) {
            return Ok(self.damage(fault, number));
        }
        match self.chance.below(3) {
            0 => self.kill(number),
            1 => self.stop(number)?,
            _ => {
                let cut = self.any_cut();
                self.cut_power(number, cut);
            }
        }
        let what = self.damage(fault, number);
        let pause_ms = self.downtime_ms();
        self.start_later(number, pause_ms);
        Ok(what)
    }

    fn strike_clock(&mut self, fault: Fault, number: NodeNumber) -> Result<Option<String>, Breach> {
        if fault == Fault::ClockDrift {
            // A process never sees its own clock change its pace, so another one begins with it.
            self.kill(number);
            self.nodes[number].clock.drift_ppm = self.chance.below(20_001).cast_signed() - 10_000;
            let pause_ms = self.downtime_ms();
            self.start_later(number, pause_ms);
            return Ok(Some(format!("{} ppm", self.nodes[number].clock.drift_ppm)));
        }
        let seed = self.chance.next_u64();
        let clock = &mut self.nodes[number].clock;
        clock.wall = match fault {
            Fault::ClockEpoch => Wall::Epoch,
            Fault::ClockAhead => Wall::Ahead,
            Fault::ClockBehind => Wall::Behind,
            Fault::ClockFrozen => Wall::Frozen(clock.wall_ms(self.now_ms)),
            _ => Wall::Jumping(seed),
        };
        Ok(Some(format!("{:?}", clock.wall)))
    }
}
