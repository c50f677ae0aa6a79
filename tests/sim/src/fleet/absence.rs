//! Reliability row 14: an edge that was away for a month comes back over a line of 64 kbit/s.

use super::Options;
use super::draw::Writing;
use super::durability::Durability;
use super::link::Direction;
use super::node::HUB;
use super::outcome::Breach;
use super::queue::Event;
use super::world::World;

/// 30 days.
const AWAY_MS: u64 = 30 * 86_400_000;
/// 64 kbit/s.
const BYTES_PER_SECOND: u64 = 8_000;
const EDGE: usize = 1;

/// What coming back took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Return {
    /// Bytes of the log that was missed.
    pub log_bytes: u64,
    /// Bytes that the hub sent, heads, beats and what was sent twice included.
    pub sent_bytes: u64,
    /// Simulated time from the line's coming back to the last record, milliseconds.
    pub took_ms: u64,
    /// Connections that it took.
    pub connections: u64,
}

/// Runs it with at least `log_bytes` to catch up on; the line is cut so many times on the way, and
/// the edge loses its power half way.
///
/// # Errors
/// A promise was broken.
pub fn long_absence(seed: u64, log_bytes: u64, resets: u64) -> Result<Return, Breach> {
    let options = Options { edges: 1, relays: 0, ..Options::new(seed) };
    let mut world = World::new(&options);
    world.plan.writing = Writing::plain(500, Some(3_000));
    world.plan.group_max = 8;
    world.plan.durability = Durability::Always;
    world.plan.faults.clear();
    world.queue.push(0, Event::Starts(HUB, 0));
    world.queue.push(0, Event::Starts(EDGE, 0));
    world.set_line(AWAY_MS);
    world.write_until(log_bytes)?;
    world.go_on_until(AWAY_MS)?;
    world.come_back(resets)
}

impl World {
    fn set_line(&mut self, until_ms: u64) {
        if let Some(upstream) = &mut self.nodes[EDGE].upstream {
            upstream.line.blocked_until_ms = [until_ms; 2];
            upstream.line.bytes_per_second = BYTES_PER_SECOND;
        }
    }

    /// Clients write a group every second while the edge is away.
    fn write_until(&mut self, log_bytes: u64) -> Result<(), Breach> {
        self.busy = false;
        while self.truth.bytes() < log_bytes {
            self.queue.push(self.now_ms + 1_000, Event::Clients);
            self.go_on_until(self.now_ms + 1_000)?;
        }
        Ok(())
    }

    fn come_back(&mut self, resets: u64) -> Result<Return, Breach> {
        let log_bytes = self.truth.bytes();
        let mut done = 0;
        let sent_before = self.sent_down_bytes;
        while self.held() < self.truth.durable() {
            self.go_on_until(self.now_ms + 1_000)?;
            let sent_bytes = self.sent_down_bytes - sent_before;
            if done < resets && sent_bytes > (done + 1) * log_bytes / (resets + 1) {
                done += 1;
                self.cut_the_line(done == resets / 2)?;
            }
            if self.now_ms > 2 * AWAY_MS {
                return Err(self.not_converged());
            }
        }
        let took_ms = self.now_ms - AWAY_MS;
        self.converge()?;
        let sent_bytes = self.sent_down_bytes - sent_before;
        let connections = self.tally.recoveries.connections;
        Ok(Return { log_bytes, sent_bytes, took_ms, connections })
    }

    fn held(&self) -> unison_base::Lsn {
        self.nodes[EDGE].engine().map(unison_engine::Engine::durable).unwrap_or_default()
    }

    fn cut_the_line(&mut self, with_power: bool) -> Result<(), Breach> {
        if with_power {
            return self.power_is_off(EDGE);
        }
        let Some(id) = self.nodes[EDGE].connection else { return Ok(()) };
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let Some(upstream) = &self.nodes[EDGE].upstream else { return Ok(()) };
        for direction in Direction::BOTH {
            let pipe = connection.pipe(direction);
            let due = pipe.reset(&upstream.line, self.now_ms, &mut self.network);
            due.into_iter().for_each(|at_ms| {
                self.queue.push(at_ms, Event::Arrives(id, direction));
            });
        }
        Ok(())
    }
}
