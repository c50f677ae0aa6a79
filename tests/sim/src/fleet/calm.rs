//! Faults end, and all nodes come to the same state.

use super::node::{HUB, NodeNumber};
use super::outcome::{Breach, Promise};
use super::story::Story;
use super::world::World;

/// Clients go on for so long once faults have ended.
const LAST_WRITES_MS: u64 = 5_000;
/// What followers have for coming to the hub's state. A follower whose leader is gone without a word
/// knows after three intervals of at most ten seconds; its next attempt may be a minute away, and so
/// may be the next one of a relay before it; a namespace that a relay cannot serve yet is asked for
/// again after fifteen seconds at most; processes start within half a minute, disks are replaced
/// within five seconds, and the whole log passes a line within ten.
const CONVERGENCE_MS: u64 = 300_000;
/// What the hub has for acknowledging a write: it starts within half a minute, and once more when a
/// switch that was set before goes off; clients come within three seconds, a sync takes one.
const WRITABLE_MS: u64 = 60_000;
const STEP_MS: u64 = 500;

impl World {
    /// Ends all faults; what they have left behind stays.
    pub(super) fn calm_down(&mut self) -> Result<(), Breach> {
        self.calm = true;
        self.note(HUB, Story::Said("--- faults end ---".to_owned()));
        for number in 0..self.nodes.len() {
            let node = &mut self.nodes[number];
            node.sync_ms = self.plan.sync_ms;
            node.home.borrow().disk.heal();
            node.home.borrow().disk.set_free_bytes(None);
            if let Some(upstream) = &mut node.upstream {
                upstream.line.blocked_until_ms = [0; 2];
                upstream.line.loss = 0;
                upstream.line.bytes_per_second = 1_000_000;
            }
            self.look_for_damage(number)?;
        }
        self.go_on_until(self.now_ms + LAST_WRITES_MS)?;
        self.wait_for_writes()?;
        self.busy = false;
        Ok(())
    }

    /// Clients go on until a write that was taken after the faults has been acknowledged.
    fn wait_for_writes(&mut self) -> Result<(), Breach> {
        let until_ms = self.now_ms + WRITABLE_MS;
        while !self.writable {
            if self.now_ms > until_ms {
                let detail = format!("took {:?}, refused last: {:?}", self.owed, self.refusal);
                return Err(self.breach(HUB, Promise::Writable, detail));
            }
            self.go_on_until(self.now_ms + STEP_MS)?;
        }
        Ok(())
    }

    /// A person reads everything on a node whose medium has rotted, and replaces what does not read.
    fn look_for_damage(&mut self, number: NodeNumber) -> Result<(), Breach> {
        let node = &self.nodes[number];
        let down = node.process.is_none();
        if number != HUB && node.marks.damaged && (down || self.digest(number)?.is_none()) {
            self.replace_disk(number);
        }
        Ok(())
    }

    /// Waits until all nodes hold the same.
    pub(super) fn converge(&mut self) -> Result<(), Breach> {
        let began_ms = self.now_ms;
        while !self.is_converged() {
            if self.now_ms - began_ms > CONVERGENCE_MS {
                return Err(self.not_converged());
            }
            self.go_on_until(self.now_ms + STEP_MS)?;
        }
        self.converged_ms = self.now_ms - began_ms;
        let hub = self.digest(HUB)?;
        self.digests = hub.unwrap_or_default();
        for number in 1..self.nodes.len() {
            let digest = self.digest(number)?;
            if digest != hub {
                let detail = format!("came to {digest:x?}, the hub to {hub:x?}");
                return Err(self.breach(number, Promise::Convergence, detail));
            }
        }
        self.note(HUB, Story::Said(format!("all hold the same: {hub:x?}")));
        Ok(())
    }

    fn is_converged(&self) -> bool {
        let hub = self.nodes[HUB].engine();
        let settled = hub.is_some_and(|hub| {
            hub.durable() == hub.appended() && hub.durable() == self.truth.durable()
        });
        settled && (1..self.nodes.len()).all(|number| self.holds_all(number))
    }

    fn holds_all(&self, number: NodeNumber) -> bool {
        let due = self.truth.durable();
        let engine = self.nodes[number].engine();
        engine.is_some_and(|engine| engine.durable() == due && engine.applied() == due)
    }

    pub(super) fn not_converged(&mut self) -> Breach {
        let behind = (0..self.nodes.len()).find(|&number| number == HUB || !self.holds_all(number));
        let number = (1..self.nodes.len()).find(|&number| !self.holds_all(number));
        let number = number.or(behind).unwrap_or(HUB);
        let now_ms = self.now_ms;
        let node = &mut self.nodes[number];
        let local_ms = node.local_ms(now_ms);
        let held = node.engine().map(|at| (at.appended(), at.durable(), at.applied()));
        let lag = node.follower().and_then(|session| session.lag(0, local_ms));
        let due = self.truth.durable();
        self.breach(number, Promise::Convergence, format!("holds {held:?} of {due}, says {lag:?}"))
    }
}
