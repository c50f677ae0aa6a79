//! The node: it records measurements of its own and takes in the hub's tape, in turns, until the tape
//! ends and it holds everything that was on it.

use super::console::{say, uptime_ms, wall_ms};
use super::flash::Flash;
use super::host_file::{HostFile, Mode};
use crate::plan::{JOURNAL, JOURNAL_SEGMENTS, NAMESPACE, SLOT_BYTES, SLOTS, TAIL, TAIL_SEGMENTS};
use core::fmt::Write;
use unison_base::Lsn;
use unison_cortex_m::medium::{Medium, MountError, Store};
use unison_cortex_m::{Buffers, Journal, JournalError, Tail, TailError, Told};
use unison_ports::IoError;
use unison_walfs::{SmallOpenError, SmallReport};

/// Bytes of the tape between two measurements.
const CHUNK_BYTES: usize = 1_400;

type Segments = Store<Flash, SLOTS>;
type OwnLog = Journal<'static, Segments, JOURNAL_SEGMENTS>;
type Copy = Tail<'static, Segments, TAIL_SEGMENTS>;

static MEDIUM: spin::Once<Medium<Flash, SLOTS>> = spin::Once::new();
static OWN: spin::Once<Segments> = spin::Once::new();
static COPIED: spin::Once<Segments> = spin::Once::new();

/// All memory that is not a variable.
pub(crate) struct Memory {
    pub(crate) tail: Buffers<'static>,
    pub(crate) journal: &'static mut [u8],
    pub(crate) record: &'static mut [u8],
}

/// Why the node ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeError {
    #[error("the medium: {0}")]
    Mount(#[from] MountError),
    #[error("the medium: {0}")]
    Io(#[from] IoError),
    #[error("the own log: {0}")]
    Open(#[from] SmallOpenError),
    #[error("the own log: {0}")]
    Journal(#[from] JournalError),
    #[error("the copy: {0}")]
    Tail(#[from] TailError),
    #[error("the tape ended, {behind} records are missing")]
    Behind { behind: u64 },
    #[error("the medium has too few volumes")]
    Volumes,
}

pub(crate) fn run(memory: Memory) -> Result<(), NodeError> {
    let medium = Medium::mount(Flash::open(c"medium.bin")?, SLOT_BYTES)?;
    let medium = MEDIUM.call_once(|| medium);
    let volume = |number| medium.volume(number).ok_or(NodeError::Volumes);
    let (own, copied) = (volume(JOURNAL)?, volume(TAIL)?);
    let (own, copied) = (OWN.call_once(|| own), COPIED.call_once(|| copied));
    let now_ms = wall_ms();
    let (mut journal, found) =
        Journal::open(own, SLOT_BYTES, memory.journal, memory.record, now_ms)?;
    report("own", &found);
    let (mut tail, found) = Tail::open(copied, NAMESPACE, memory.tail, now_ms, uptime_ms())?;
    report("tail", &found);
    play(&mut journal, &mut tail)?;
    finish(&journal, &tail)
}

fn report(log: &str, found: &SmallReport) {
    let rungs = &found.rungs;
    let torn = rungs.torn_tails + rungs.lost_tails + rungs.unproved_holes;
    say!(
        "boot {log} first={} last={} torn={torn} rot={}",
        found.first,
        found.last,
        rungs.rot_segments
    );
}

/// Feeds the tape. What a follower says goes nowhere: the hub has said all it has to say.
fn play(journal: &mut OwnLog, tail: &mut Copy) -> Result<(), NodeError> {
    let tape = HostFile::open(c"tape.bin", Mode::Read)?;
    let (mut chunk, mut out) = ([0; CHUNK_BYTES], [0; unison_link::TRANSMIT_BYTES_MIN]);
    let mut at = 0;
    tail.link().connected(uptime_ms());
    loop {
        let bytes = tape.read(at, &mut chunk)?;
        if bytes == 0 {
            return Ok(());
        }
        let mut left = chunk.get(..bytes).unwrap_or_default();
        while !left.is_empty() {
            while tail.link().poll_transmit(uptime_ms(), &mut out) > 0 {}
            let taken = tail.link().handle_bytes(left, uptime_ms());
            left = left.get(taken..).unwrap_or_default();
            let before = tail.log().durable();
            tail.step(uptime_ms(), &mut tell)?;
            if tail.log().durable() > before {
                say!("tail {}", tail.log().durable());
            }
        }
        at += bytes;
        measure(journal)?;
    }
}

fn tell(told: Told) {
    match told {
        Told::Serving => say!("the hub serves"),
        told => say!("{told:?}"),
    }
}

/// A measurement of something, made durable before it is announced.
fn measure(journal: &mut OwnLog) -> Result<Lsn, NodeError> {
    let next = journal.log().next_lsn().0;
    let (mut key, mut value) = (heapless::String::<16>::new(), heapless::String::<32>::new());
    // Both fit, whatever the numbers are.
    let _ = write!(key, "sensor:{}", next % 7);
    let _ = write!(value, "{next}:{}", next.wrapping_mul(2_654_435_761) % 1000);
    let lsn = journal.put(key.as_bytes(), value.as_bytes(), wall_ms())?;
    say!("own {lsn}");
    Ok(lsn)
}

fn finish(journal: &OwnLog, tail: &Copy) -> Result<(), NodeError> {
    let behind = tail.lag(uptime_ms()).map_or(u64::MAX, |lag| lag.records_behind);
    if behind > 0 {
        return Err(NodeError::Behind { behind });
    }
    let values = tail.values();
    let (own, copied) = (journal.log().durable(), tail.log().durable());
    say!("done own={own} tail={copied} keys={} left_out={}", values.len(), values.left_out());
    say!("values {:08x}", values.checksum());
    say!("stack {} of {}", super::stack::used_bytes(), super::stack::bytes());
    Ok(())
}
