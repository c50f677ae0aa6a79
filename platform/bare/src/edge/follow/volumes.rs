//! Namespaces are opened, flushed, and let go when their disk failed.

use super::{Follow, Session, Tell};
use crate::block::BlockDevice;
use crate::board::Wake;
use crate::edge::config::EdgeConfig;
use crate::edge::event::OpenFailure;
use crate::edge::memory::Heap;
use crate::edge::replica::VolumeReplica;
use crate::edge::tenant::Tenant;
use crate::medium::Medium;
use unison_engine::EngineOptions;
use unison_node::Replica as _;
use unison_ports::IoError;
use unison_walfs::LogRole;

/// A node is replayed from its checkpoint within a blink, on a slow card too.
const CHECKPOINT_LOG_BYTES: u64 = 32 << 20;
/// Memtables that may wait for a flush: flushes run between records.
const MEMTABLES_MAX: usize = 1;
/// Keys of what is gone that are removed at a time: they are in memory meanwhile, beside the pages that
/// change, and the node does nothing else.
const REMOVED_KEYS_MAX: usize = 8 << 10;

impl<D: BlockDevice> Follow<D> {
    /// Why nothing that is written to the disk can be trusted, until it is opened again.
    pub(crate) fn disk_failure(&self) -> Option<IoError> {
        let waiting = self.tenants.iter().filter_map(|tenant| tenant.replica.as_ref());
        let mut replicas = self.session.replicas().iter().chain(waiting);
        replicas.find_map(|replica| replica.volume().failure())
    }

    /// Lets go of every engine, so that nothing of the disk is in use.
    pub(crate) fn close_all(&mut self) {
        let waiting = self.tenants.iter_mut().filter_map(|tenant| tenant.replica.as_mut());
        let replicas = self.session.replicas_mut().iter_mut().chain(waiting);
        replicas.for_each(VolumeReplica::close);
    }

    /// Takes the volumes of the disk that was opened again.
    pub(crate) fn take_volumes(&mut self, medium: &Medium<D>) {
        for tenant in &mut self.tenants {
            let index = tenant.number.and_then(|number| usize::try_from(number).ok());
            let followed = index.and_then(|index| self.session.replicas_mut().get_mut(index));
            let replica = followed.or(tenant.replica.as_mut());
            if let Some((replica, volume)) = replica.zip(medium.volume(&tenant.name)) {
                replica.set_volume(volume);
                tenant.open_now();
            }
        }
    }

    /// Opens one namespace that is due.
    pub(crate) fn open_one(&mut self, now_ms: u64, tell: Tell<'_>) -> Wake {
        let mut wake = Wake::At(u64::MAX);
        let wall_ms = self.wall.wall_ms(now_ms);
        let mut opened = false;
        for tenant in &mut self.tenants {
            if is_open(tenant, &self.session) {
                continue;
            }
            tenant.let_go(has_flushed(tenant, &self.session), now_ms);
            if opened || tenant.open_at_ms() > now_ms {
                wake = wake.earlier(if opened { Wake::Now } else { Wake::At(tenant.open_at_ms()) });
                continue;
            }
            opened = true;
            open(tenant, &mut self.session, (wall_ms, now_ms), &mut *tell);
            wake = Wake::Now;
        }
        wake
    }

    /// Flushes what is due.
    pub(crate) fn flush(&mut self, now_ms: u64, tell: Tell<'_>) {
        let wall_ms = self.wall.wall_ms(now_ms);
        for replica in self.session.replicas_mut() {
            replica.flush_if_due(wall_ms);
            replica.news().into_iter().for_each(&mut *tell);
        }
    }
}

fn is_open<D: BlockDevice>(tenant: &Tenant<D>, session: &Session<D>) -> bool {
    let index = tenant.number.and_then(|number| usize::try_from(number).ok());
    let replica = index.and_then(|index| session.replicas().get(index));
    replica.is_some_and(|replica| replica.engine().is_some())
}

fn has_flushed<D: BlockDevice>(tenant: &Tenant<D>, session: &Session<D>) -> bool {
    let index = tenant.number.and_then(|number| usize::try_from(number).ok());
    let replica = index.and_then(|index| session.replicas().get(index));
    replica.is_some_and(VolumeReplica::has_flushed)
}

/// Opens a namespace; the first time it joins the link, later the link goes on behind it.
fn open<D: BlockDevice>(
    tenant: &mut Tenant<D>,
    session: &mut Session<D>,
    (wall_ms, now_ms): (u64, u64),
    tell: Tell<'_>,
) {
    let followed = tenant.number.zip(tenant.number.and_then(|number| usize::try_from(number).ok()));
    let opened = match followed {
        None => join(tenant, session, wall_ms, tell),
        Some((number, index)) => reopen(session, (number, index), (wall_ms, now_ms), tell),
    };
    match opened {
        Ok(()) => tenant.opened(),
        Err(failure) => tenant.failed(failure, now_ms).into_iter().for_each(tell),
    }
}

fn join<D: BlockDevice>(
    tenant: &mut Tenant<D>,
    session: &mut Session<D>,
    wall_ms: u64,
    tell: Tell<'_>,
) -> Result<(), OpenFailure> {
    let Some(replica) = &mut tenant.replica else { return Ok(()) };
    let opened = replica.open(wall_ms);
    replica.news().into_iter().for_each(tell);
    opened?;
    replica.end().map_err(OpenFailure::Replica)?;
    let Some(replica) = tenant.replica.take() else { return Ok(()) };
    let joined = session.follow(tenant.name.clone(), replica).map_err(OpenFailure::Replica)?;
    tenant.number = Some(joined.map_err(|_| OpenFailure::Link)?);
    Ok(())
}

fn reopen<D: BlockDevice>(
    session: &mut Session<D>,
    (number, index): (u32, usize),
    (wall_ms, now_ms): (u64, u64),
    tell: Tell<'_>,
) -> Result<(), OpenFailure> {
    let Some(replica) = session.replicas_mut().get_mut(index) else { return Ok(()) };
    let opened = replica.open(wall_ms);
    replica.news().into_iter().for_each(tell);
    opened?;
    let end = replica.end().map_err(OpenFailure::Replica)?;
    session.restart(number, end, now_ms);
    Ok(())
}

pub(super) fn engine_options(config: &EdgeConfig, heap: &Heap) -> EngineOptions {
    EngineOptions {
        memtable_bytes: heap.memtable_bytes(config.memtable_bytes, config.namespaces.len()),
        memtables_max: MEMTABLES_MAX,
        checkpoint_log_bytes: CHECKPOINT_LOG_BYTES,
        removed_keys_max: REMOVED_KEYS_MAX,
        // A disk that is not mapped is read for each value that a flush copies, all over the log.
        inline_value_bytes: 0,
        role: LogRole::Follower,
        ..EngineOptions::default()
    }
}
