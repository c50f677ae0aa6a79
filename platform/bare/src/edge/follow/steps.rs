//! What received bytes make of the namespaces.

use super::{Follow, Tell};
use crate::block::BlockDevice;
use crate::edge::event::{AwayReason, Event};
use alloc::vec::Vec;
use unison_link::LinkState;
use unison_node::Stepped;

impl<D: BlockDevice> Follow<D> {
    /// Applies everything that has come. `Some` when the connection is to be closed, and why.
    pub(super) fn step(&mut self, now_ms: u64, tell: Tell<'_>) -> Option<AwayReason> {
        let mut told = Vec::new();
        let wall_ms = self.wall.wall_ms(now_ms);
        let open = self.session.step(now_ms, wall_ms, &mut |stepped| told.push(stepped));
        let mut reason = None;
        for stepped in told {
            let why = self.note(stepped, now_ms, &mut *tell);
            reason = reason.or(why);
        }
        for replica in self.session.replicas_mut() {
            replica.news().into_iter().for_each(&mut *tell);
        }
        if let Some(hlc) = self.session.leader_clock()
            && self.wall.heard(hlc, now_ms)
        {
            tell(Event::ClockSet { wall_ms: self.wall.wall_ms(now_ms) });
        }
        (!open).then(|| reason.unwrap_or(AwayReason::Closed))
    }

    /// Takes note of what a step found; why the connection ends, when it does.
    fn note(&mut self, stepped: Stepped, now_ms: u64, tell: Tell<'_>) -> Option<AwayReason> {
        let (number, reason) = match stepped {
            Stepped::Serving { namespace } => (namespace, None),
            Stepped::Waiting { namespace, .. } => (namespace, None),
            Stepped::BadRun { namespace, .. } => (namespace, None),
            Stepped::SetAside { namespace, .. } => (namespace, None),
            Stepped::Replica { namespace, error } => (namespace, Some(AwayReason::Replica(error))),
            Stepped::Close { reason } => return Some(AwayReason::Link(reason)),
        };
        let applied = self.session.lag(number, now_ms).map(|lag| lag.applied);
        let index = usize::try_from(number).ok()?;
        let tenant = self.tenants.iter_mut().find(|tenant| tenant.number == Some(number))?;
        let name = tenant.name.clone();
        let event = match stepped {
            Stepped::Serving { .. } => {
                tenant.serving();
                None
            }
            Stepped::Waiting { reason, .. } => tenant.waits(reason),
            Stepped::BadRun { fault, .. } => Some(Event::RunRefused { name, fault }),
            Stepped::SetAside { why, .. } => {
                tenant.trouble = None;
                Some(Event::SetAside { name, why })
            }
            Stepped::Replica { error, .. } => {
                let replica = self.session.replicas_mut().get_mut(index)?;
                let usage = replica.volume().usage();
                let room = (usage.segment_used_bytes, usage.segment_bytes);
                let event = tenant.troubled(error, applied.unwrap_or_default(), room);
                event.filter(|_| !replica.is_tree_full())
            }
            Stepped::Close { .. } => None,
        };
        event.into_iter().for_each(tell);
        reason
    }

    /// Tells how far the namespaces are.
    pub(super) fn look(&mut self, now_ms: u64, tell: Tell<'_>) {
        for tenant in &mut self.tenants {
            let lag = tenant.number.and_then(|number| self.session.lag(number, now_ms));
            lag.and_then(|lag| tenant.look(&lag)).into_iter().for_each(&mut *tell);
        }
        let troubled = self.tenants.iter().any(|tenant| tenant.trouble.is_some());
        let greeted = self.session.link().state() == LinkState::Live;
        if greeted && self.away_since_ms.take().is_some() && !troubled {
            self.away = None;
            tell(Event::HubReached { hub: self.line.hub() });
        }
    }
}
