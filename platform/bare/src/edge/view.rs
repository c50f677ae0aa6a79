//! The node at one moment, for whoever asks about it.

use super::config::{EdgeConfig, HubAddress};
use super::disk::DiskState;
use super::event::DISK_FULL_ADVICE;
use super::follow::Follow;
use super::memory::Heap;
use super::namespaces::Namespaces;
use super::tenant::{Tenant, is_out_of_room};
use crate::block::BlockDevice;
use crate::medium::BlockStore;
use crate::net::Address;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use unison_base::NamespaceName;

/// Callers of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Callers {
    pub(crate) present: usize,
    pub(crate) limit: usize,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
}

/// Everything that can be asked about.
pub(crate) struct View<'a, D: BlockDevice> {
    pub(crate) config: &'a EdgeConfig,
    pub(crate) node: &'a str,
    pub(crate) disk: &'a DiskState,
    pub(crate) follow: Option<&'a Follow<D>>,
    pub(crate) namespaces: &'a Namespaces<BlockStore<D>>,
    pub(crate) address: Option<Address>,
    pub(crate) heap: Heap,
    pub(crate) resp: Callers,
    pub(crate) http: Callers,
    pub(crate) now_ms: u64,
    pub(crate) started_ms: u64,
}

impl<D: BlockDevice> View<'_, D> {
    pub(crate) const fn hub(&self) -> HubAddress {
        self.config.hub
    }

    pub(crate) const fn uptime_ms(&self) -> u64 {
        self.now_ms.saturating_sub(self.started_ms)
    }

    /// Milliseconds since 1970, once the hub has said so.
    pub(crate) fn wall_ms(&self) -> Option<u64> {
        let wall = self.follow?.wall();
        wall.is_set().then(|| wall.wall_ms(self.now_ms))
    }

    pub(crate) fn tenant(&self, name: &NamespaceName) -> Option<&Tenant<D>> {
        self.follow?.tenants().iter().find(|tenant| tenant.name == *name)
    }

    /// Why this node should not be asked; empty when it is ready.
    pub(crate) fn obstacles(&self) -> Vec<String> {
        let open = matches!(self.disk, DiskState::Open);
        let Some(follow) = self.follow.filter(|_| open) else {
            return Vec::from([self.why_nothing_is_open()]);
        };
        follow.tenants().iter().filter_map(|tenant| self.obstacle(follow, tenant)).collect()
    }

    /// Why a namespace cannot be read; `None` when it can.
    pub(crate) fn why_closed(&self, name: &NamespaceName) -> Option<String> {
        let namespace = self.namespaces.get(name);
        if namespace.is_some_and(|namespace| namespace.reader().is_some()) {
            return None;
        }
        Some(match self.tenant(name) {
            None => self.why_nothing_is_open(),
            Some(_) if !matches!(self.disk, DiskState::Open) => self.why_nothing_is_open(),
            Some(tenant) => closed(tenant),
        })
    }

    fn why_nothing_is_open(&self) -> String {
        match self.disk {
            DiskState::Unopened | DiskState::Open => "the disk is being opened".to_string(),
            DiskState::Missing => "no disk; attach one and start again".to_string(),
            DiskState::Failed { error, .. } => {
                format!("the disk failed, opening it again: {error}")
            }
            DiskState::Refused(error) => format!("the disk is not used: {error}"),
        }
    }

    fn obstacle(&self, follow: &Follow<D>, tenant: &Tenant<D>) -> Option<String> {
        let (name, hub) = (&tenant.name, self.hub());
        let replica = follow.replica(tenant);
        if replica.is_none_or(|replica| replica.engine().is_none()) {
            let why = self.why_closed(name).unwrap_or_default();
            return Some(format!("namespace {name} cannot be read: {why}"));
        }
        if replica.is_some_and(|replica| replica.is_tree_full()) {
            let why = "no space left for the tree";
            return Some(format!(
                "namespace {name} cannot take records: {why}; {DISK_FULL_ADVICE}"
            ));
        }
        if let Some(trouble) = tenant.trouble {
            let full = is_out_of_room(&trouble.error);
            let advice = if full { DISK_FULL_ADVICE } else { "trying on" };
            return Some(format!(
                "namespace {name} cannot take records: {}; {advice}",
                trouble.error
            ));
        }
        if !follow.is_connected() {
            return Some(match (self.address, follow.away()) {
                (None, _) => format!("namespace {name} is not connected to {hub}: no address yet"),
                (_, Some(reason)) => {
                    format!("namespace {name} is not connected to {hub}: {reason}")
                }
                (_, None) => format!("namespace {name} is not connected to {hub} yet"),
            });
        }
        let waiting =
            tenant.waiting.map(|reason| format!("namespace {name} waits for {hub}: {reason}"));
        let following = follow
            .lag(tenant, self.now_ms)
            .is_some_and(|lag| lag.standing == unison_link::Standing::Following);
        waiting.or_else(|| {
            (!following).then(|| format!("namespace {name} is not connected to {hub} yet"))
        })
    }
}

fn closed<D: BlockDevice>(tenant: &Tenant<D>) -> String {
    match &tenant.failure {
        Some(failure) => format!("it cannot be opened, trying on: {failure}"),
        None => "it is being opened".to_string(),
    }
}
