//! Who is behind or cut off says so.

use super::node::NodeNumber;
use super::outcome::{Breach, Promise};
use super::replica::FleetReplica;
use super::world::World;
use unison_base::Lsn;

/// A leader's word holds for three beats.
const WORD_HOLDS_MS: u64 = 3 * 5_000;
/// Clocks drift by 1 %, a leader's also while it holds what it answers: three minutes at most.
const DRIFT_MS: u64 = PROGRESS_MS / 100 + 1_800;
/// For so long it is known how far a log was.
pub(super) const PROGRESS_MS: u64 = 90_000;

impl World {
    pub(super) fn look_at_lag(&mut self, number: NodeNumber) -> Result<(), Breach> {
        let now_ms = self.now_ms;
        let node = &mut self.nodes[number];
        let Some(leader) = node.upstream.as_ref().map(|upstream| upstream.leader) else {
            return Ok(());
        };
        let local_ms = node.local_ms(now_ms);
        let heard_ms = node.marks.heard_ms;
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
        let Some(since_ms) = lag.since_in_sync_ms else { return Ok(()) };
        let past_ms = now_ms.saturating_sub(since_ms.max(WORD_HOLDS_MS) + DRIFT_MS);
        if past_ms + PROGRESS_MS < now_ms {
            return Ok(());
        }
        let had = self.durable_at_most(number).max(held.0);
        let owed = self.durable_since(leader, past_ms);
        if had < owed || heard_ms < past_ms && since_ms == 0 {
            let detail = format!(
                "was up to date {since_ms} ms ago with {had}, its leader had {owed} at {past_ms}; \
                 heard at {heard_ms}"
            );
            return Err(self.breach(number, Promise::Lag, detail));
        }
        Ok(())
    }

    /// How far a node's log was durable at any time of the last minutes.
    fn durable_at_most(&self, number: NodeNumber) -> Lsn {
        let progress = &self.nodes[number].marks.progress;
        progress.iter().map(|&(_, lsn)| lsn).max().unwrap_or_default()
    }

    /// How far a node's log has been durable ever since a time: a relay may lose some of it.
    fn durable_since(&self, number: NodeNumber, at_ms: u64) -> Lsn {
        let progress = &self.nodes[number].marks.progress;
        let before = progress.iter().rev().find(|&&(ms, _)| ms <= at_ms);
        let after = progress.iter().filter(|&&(ms, _)| ms > at_ms);
        before.map_or(Lsn::ZERO, |&(_, lsn)| after.fold(lsn, |least, &(_, lsn)| least.min(lsn)))
    }
}
