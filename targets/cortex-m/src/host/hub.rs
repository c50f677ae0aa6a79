//! A hub of fixed records, and a follower to which it tells them.

use super::image::Image;
use crate::plan::{NAMESPACE, SLOT_BYTES, SLOTS, TAIL, TAIL_SEGMENTS};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::sync::Arc;
use unison_base::{LogId, Lsn, NamespaceName};
use unison_cortex_m::medium::{Medium, Store};
use unison_cortex_m::{Buffers, LastValues, Tail};
use unison_engine::{Engine, EngineOptions, Write};
use unison_link::{LeaderConfig, NodeId, Role};
use unison_node::{Admission, LeaderSession, Outgoing, ServedNamespace, Source};
use unison_ports::SegmentStore;
use unison_walfs::LogRole;

/// Writes of the hub: a few segments, and more keys than the table has room for.
const WRITES: u64 = 2_000;
const KEYS: u64 = 151;

/// Segments in memory, for hub and follower alike.
type Segments = Store<Image, SLOTS>;

fn segments() -> Result<Segments> {
    let medium = Box::leak(Box::new(Medium::mount(Image::of(Vec::new()), SLOT_BYTES)?));
    medium.volume(TAIL).context("a volume")
}

/// A hub whose records are always the same.
pub(crate) struct Hub {
    pub(crate) engine: Engine<Segments>,
    log_id: LogId,
}

impl Hub {
    pub(crate) fn new() -> Result<Self> {
        let (store, log_id) = (Arc::new(segments()?), LogId([0xC0; 16]));
        store.set_log_id(log_id)?;
        let memory = redb::backends::InMemoryBackend::new();
        let tree = redb::Builder::new().create_with_backend(memory)?;
        let options = EngineOptions {
            segment_bytes: SLOT_BYTES,
            role: LogRole::Leader,
            ..EngineOptions::default()
        };
        let (engine, _) = Engine::open(store, tree, options, 1)?;
        let mut hub = Self { engine, log_id };
        (0..WRITES).try_for_each(|number| hub.write(number))?;
        Ok(hub)
    }

    /// Most writes are puts of a short value, some are deletes, some values are long.
    fn write(&mut self, number: u64) -> Result<()> {
        let key = format!("key:{}", number.wrapping_mul(0x9E37_79B9) % KEYS);
        let length = if number.is_multiple_of(97) { 1_500 } else { number as usize * 31 % 100 };
        let value: Vec<u8> = (0..length).map(|at| (number as usize + at * 7) as u8).collect();
        let delete = number % 23 == 5;
        let write =
            if delete { Write::delete(key.as_bytes()) } else { Write::put(key.as_bytes(), &value) };
        self.engine.stage(&write, number + 1)?;
        self.engine.append(number + 1)?;
        let outcome = self.engine.sync_ticket().run();
        let durable = self.engine.synced(outcome)?;
        self.engine.publish(durable);
        Ok(())
    }
}

impl Source<Segments> for Hub {
    fn admit(&self, _node: &str, _token: &str, _role: Role) -> Admission {
        Admission::Welcome
    }

    fn namespace(&self, name: &NamespaceName) -> Option<ServedNamespace<Segments>> {
        let (log_id, log) = (self.log_id(name)?, self.engine.log());
        Some(ServedNamespace { log_id, log, segment_bytes: SLOT_BYTES })
    }

    fn log_id(&self, name: &NamespaceName) -> Option<LogId> {
        (name.as_str() == NAMESPACE).then_some(self.log_id)
    }

    fn withdrawn(&self, _name: &NamespaceName) {}

    fn acknowledged(&self, _name: &NamespaceName, _durable: Lsn, _applied: Lsn) {}
}

/// Writes every byte that the hub sends to a follower that begins with nothing.
pub(crate) fn record(path: &str) -> Result<()> {
    let hub = Hub::new()?;
    let store = segments()?;
    let (mut inbox, mut group, mut frame) = (
        vec![0; Buffers::INBOX_BYTES],
        vec![0; Buffers::GROUP_BYTES],
        vec![0; Buffers::GROUP_BYTES],
    );
    let values = &mut LastValues::new();
    let buffers = Buffers { inbox: &mut inbox, group: &mut group, frame: &mut frame, values };
    let (mut tail, _) = Tail::<_, TAIL_SEGMENTS>::open(&store, NAMESPACE, buffers, 1, 0)?;
    let tape = exchange(&hub, &mut tail)?;
    ensure!(tail.log().durable() == hub.engine.durable(), "the follower did not get everything");
    fs::write(path, &tape)?;
    println!("tape {} bytes", tape.len());
    println!("records {}", tail.log().durable());
    println!("keys {} left_out {}", tail.values().len(), tail.values().left_out());
    println!("values {:08x}", tail.values().checksum());
    Ok(())
}

fn exchange<S: SegmentStore>(hub: &Hub, tail: &mut Tail<'_, S, TAIL_SEGMENTS>) -> Result<Vec<u8>> {
    let name = NodeId::try_from("hub").ok().context("a name")?;
    let mut leader = LeaderSession::new(LeaderConfig::new(name), 0);
    let (mut tape, mut out) = (Vec::new(), vec![0; 4 << 10]);
    tail.link().connected(0);
    loop {
        let bytes = tail.link().poll_transmit(0, &mut out);
        ensure!(
            leader.link().handle_bytes(&out[..bytes], 0) == bytes,
            "the hub takes what is said"
        );
        ensure!(leader.step(hub).is_none(), "the hub goes on");
        leader.durable_moved(hub);
        let from = tape.len();
        match leader.poll_transmit(0, &mut out) {
            Outgoing::Bytes(bytes) => tape.extend(&out[..bytes]),
            Outgoing::Head(head) => tape.extend(&head[..]),
            Outgoing::Run { head, frames } => {
                tape.extend(&head[..]);
                tape.extend(&frames[..]);
            }
            Outgoing::Idle if bytes == 0 => return Ok(tape),
            Outgoing::Idle | Outgoing::Close => {}
        }
        let mut left = &tape[from..];
        while !left.is_empty() {
            left = &left[tail.link().handle_bytes(left, 0)..];
            tail.step(0, &mut |_| ())?;
        }
    }
}
