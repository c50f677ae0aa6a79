//! Who is behind or cut off says so.

use super::node::NodeNumber;
use super::outcome::{Breach, Promise};
use super::replica::FleetReplica;
use super::world::World;
use unison_base::Lsn;

/// What a window takes on the slowest line, with what is lost coming again, and a handshake.
const WINDOW_MS: u64 = 45_000;
/// A beat is sent after so long, or after twice the round trip, up to the most.
const BEAT_MS: u64 = 5_000;
const BEAT_MS_MAX: u64 = 60_000;
/// For so long it is known how far a log was.
pub(super) const PROGRESS_MS: u64 = WINDOW_MS + 4 * BEAT_MS_MAX;

impl World {
    pub(super) fn look_at_lag(&mut self, number: NodeNumber) -> Result<(), Breach> {
        let now_ms = self.now_ms;
        let node = &mut self.nodes[number];
        let Some(leader) = node.upstream.as_ref().map(|upstream| upstream.leader) else {
            return Ok(());
        };
        let local_ms = node.local_ms(now_ms);
        let (absent_ms, heard_ms) = (node.marks.absent_ms, node.marks.heard_ms);
        let Some(session) = node.follower() else { return Ok(()) };
        let Some(lag) = session.lag(0, local_ms) else { return Ok(()) };
        let engine = session.replicas().first().and_then(FleetReplica::engine);
        // Without one its log is being set aside, which could not be done at once.
        let Some(engine) = engine else { return Ok(()) };
        let held = (engine.durable(), engine.applied());
        let damaged = node.marks.damaged;
        if (lag.durable > held.0 || lag.applied > held.1) && !damaged {
            let detail = format!("says {} and {}, holds {held:?}", lag.durable, lag.applied);
            return Err(self.breach(number, Promise::Lag, detail));
        }
        let unaware_ms = self.unaware_ms(number);
        let aware = absent_ms.max(self.nodes[leader].marks.absent_ms) + unaware_ms;
        if lag.since_in_sync_ms != Some(0) || now_ms < aware {
            return Ok(());
        }
        let past = self.durable_since(leader, now_ms - unaware_ms);
        if held.0 < past || heard_ms + unaware_ms < now_ms {
            let detail = format!(
                "takes itself for up to date at {}, its leader was at {past}; heard at {heard_ms}",
                held.0
            );
            return Err(self.breach(number, Promise::Lag, detail));
        }
        Ok(())
    }

    /// Longest time for which a follower may take itself for up to date while it is not: three
    /// intervals of silence, which scale with the round trip that either side has measured.
    fn unaware_ms(&mut self, number: NodeNumber) -> u64 {
        let id = self.nodes[number].connection;
        let session = id.and_then(|id| self.connections.get_mut(&id)?.session.as_mut());
        let leader_ms = session.and_then(|session| session.link().rtt_ms()).map_or(0, u64::from);
        let round_trip_ms = self.nodes[number].round_trip_ms().max(leader_ms);
        WINDOW_MS + 3 * (2 * round_trip_ms).clamp(BEAT_MS, BEAT_MS_MAX)
    }

    /// How far a node's log has been durable ever since a time: a relay may lose some of it.
    fn durable_since(&self, number: NodeNumber, at_ms: u64) -> Lsn {
        let progress = &self.nodes[number].marks.progress;
        let before = progress.iter().rev().find(|&&(ms, _)| ms <= at_ms);
        let after = progress.iter().filter(|&&(ms, _)| ms > at_ms);
        before.map_or(Lsn::ZERO, |&(_, lsn)| after.fold(lsn, |least, &(_, lsn)| least.min(lsn)))
    }
}
