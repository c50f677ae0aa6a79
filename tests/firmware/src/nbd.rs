//! A disk that loses power: a server of the network block device protocol, from which QEMU takes a
//! machine's disk. What was written and not flushed is lost by a cut, sector by sector.

use std::io::{Read, Result, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use unison_base::prng::Prng;

const SECTOR_BYTES: usize = 512;
const NEGOTIATION: u64 = u64::from_be_bytes(*b"NBDMAGIC");
const OPTION: u64 = u64::from_be_bytes(*b"IHAVEOPT");
const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
const REQUEST: u32 = 0x2560_9513;
const REPLY: u32 = 0x6744_6698;
/// Fixed newstyle, and no zeros behind an export's name.
const HANDSHAKE_FLAGS: u16 = 3;
/// Flags follow, and there is a flush.
const EXPORT_FLAGS: u16 = 1 | 1 << 2;
const OPTION_EXPORT_NAME: u32 = 1;
const OPTION_GO: u32 = 7;
const REPLY_ACK: u32 = 1;
const REPLY_INFO: u32 = 3;
const REPLY_UNSUPPORTED: u32 = 1 << 31 | 1;
const COMMAND_READ: u16 = 0;
const COMMAND_WRITE: u16 = 1;
const COMMAND_DISCONNECT: u16 = 2;
const COMMAND_FLUSH: u16 = 3;
const INVALID: u32 = 22;
/// Longest request that is taken.
const REQUEST_BYTES_MAX: usize = 32 << 20;

#[derive(Debug)]
struct State {
    /// What a read sees.
    current: Vec<u8>,
    /// What is there whatever happens.
    durable: Vec<u8>,
    /// Writes since the last flush.
    pending: Vec<(usize, Vec<u8>)>,
    /// When the power went.
    off: Option<Instant>,
    /// How many more writes there are until the power goes by itself.
    writes_left: u64,
    forgets_flushes: bool,
    flushes: u64,
}

/// A disk behind a socket.
#[derive(Debug)]
pub(crate) struct PowerDisk {
    state: Arc<Mutex<State>>,
    socket: PathBuf,
}

impl PowerDisk {
    /// Serves a disk on `socket`. One that `forgets_flushes` says that it flushed and did not.
    pub(crate) fn serve(socket: &Path, bytes: Vec<u8>, forgets_flushes: bool) -> Result<Self> {
        let _ = std::fs::remove_file(socket);
        let listener = UnixListener::bind(socket)?;
        let state = Arc::new(Mutex::new(State {
            durable: bytes.clone(),
            current: bytes,
            pending: Vec::new(),
            off: None,
            writes_left: u64::MAX,
            forgets_flushes,
            flushes: 0,
        }));
        let served = Arc::clone(&state);
        // Ends with the first machine: a disk is for one boot.
        std::thread::spawn(move || listener.accept().and_then(|(line, _)| session(line, &served)));
        Ok(Self { state, socket: socket.to_owned() })
    }

    /// What QEMU calls it.
    pub(crate) fn drive(&self) -> String {
        format!("nbd:unix:{}", self.socket.display())
    }

    /// Lets the power go at a write: it and those before it are at the mercy of the cut.
    pub(crate) fn end_after(&self, writes: u64) {
        lock(&self.state).writes_left = writes;
    }

    /// When the power went, if it has.
    pub(crate) fn off(&self) -> Option<Instant> {
        lock(&self.state).off
    }

    /// Cuts the power: nothing is written any more. Returns what is left, and how many sectors of
    /// writes that were not flushed were lost, and how many there were.
    pub(crate) fn cut(&self, prng: &mut Prng) -> (Vec<u8>, u64, u64) {
        let mut state = lock(&self.state);
        state.off.get_or_insert_with(Instant::now);
        let mut left = state.durable.clone();
        let chance = [0, 10, 50, 90, 100][usize::try_from(prng.below(5)).unwrap_or(0)];
        let (mut lost, mut all) = (0, 0);
        for (offset, bytes) in &state.pending {
            for (index, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                let at = offset + index * SECTOR_BYTES;
                all += 1;
                if prng.chance(chance) {
                    left[at..at + sector.len()].copy_from_slice(sector);
                } else {
                    lost += 1;
                }
            }
        }
        (left, lost, all)
    }

    pub(crate) fn flushes(&self) -> u64 {
        lock(&self.state).flushes
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take<const N: usize>(line: &mut UnixStream) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    line.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn session(mut line: UnixStream, state: &Mutex<State>) -> Result<()> {
    line.write_all(&NEGOTIATION.to_be_bytes())?;
    line.write_all(&OPTION.to_be_bytes())?;
    line.write_all(&HANDSHAKE_FLAGS.to_be_bytes())?;
    take::<4>(&mut line)?;
    let size = lock(state).current.len() as u64;
    while !negotiate(&mut line, size)? {}
    while request(&mut line, state)? {}
    Ok(())
}

/// Answers one option; true when the export was chosen.
fn negotiate(line: &mut UnixStream, size: u64) -> Result<bool> {
    take::<8>(line)?;
    let option = u32::from_be_bytes(take(line)?);
    let length = u32::from_be_bytes(take(line)?);
    let mut name = Vec::new();
    line.take(length.into()).read_to_end(&mut name)?;
    let export = [&size.to_be_bytes()[..], &EXPORT_FLAGS.to_be_bytes()].concat();
    match option {
        OPTION_EXPORT_NAME => {
            line.write_all(&export)?;
            Ok(true)
        }
        OPTION_GO => {
            // The information of type 0 is the export.
            answer(line, option, REPLY_INFO, &[&[0, 0], &export[..]].concat())?;
            answer(line, option, REPLY_ACK, &[])?;
            Ok(true)
        }
        _ => answer(line, option, REPLY_UNSUPPORTED, &[]).map(|()| false),
    }
}

fn answer(line: &mut UnixStream, option: u32, reply: u32, bytes: &[u8]) -> Result<()> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut message = OPTION_REPLY.to_be_bytes().to_vec();
    for number in [option, reply, length] {
        message.extend_from_slice(&number.to_be_bytes());
    }
    message.extend_from_slice(bytes);
    line.write_all(&message)
}

/// Does one request; false at the end.
fn request(line: &mut UnixStream, state: &Mutex<State>) -> Result<bool> {
    let magic = u32::from_be_bytes(take(line)?);
    take::<2>(line)?;
    let command = u16::from_be_bytes(take(line)?);
    let handle = take::<8>(line)?;
    let offset = usize::try_from(u64::from_be_bytes(take(line)?)).unwrap_or(usize::MAX);
    let length = usize::try_from(u32::from_be_bytes(take(line)?)).unwrap_or(usize::MAX);
    if magic != REQUEST || length > REQUEST_BYTES_MAX || command == COMMAND_DISCONNECT {
        return Ok(false);
    }
    let mut bytes = vec![0; if command == COMMAND_WRITE { length } else { 0 }];
    line.read_exact(&mut bytes)?;
    let mut state = lock(state);
    if state.off.is_some() {
        return Ok(false);
    }
    let done = state.perform(command, offset, length, bytes);
    if state.off.is_some() {
        return Ok(false);
    }
    drop(state);
    let error = if done.is_some() { 0 } else { INVALID };
    let mut message = REPLY.to_be_bytes().to_vec();
    message.extend_from_slice(&u32::to_be_bytes(error));
    message.extend_from_slice(&handle);
    message.extend(done.unwrap_or_default());
    line.write_all(&message)?;
    Ok(true)
}

impl State {
    /// The bytes of the answer.
    fn perform(
        &mut self,
        command: u16,
        offset: usize,
        length: usize,
        bytes: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let range = offset..offset.checked_add(length)?;
        match command {
            COMMAND_READ => self.current.get(range).map(<[u8]>::to_vec),
            COMMAND_WRITE => {
                self.current.get_mut(range)?.copy_from_slice(&bytes);
                self.pending.push((offset, bytes));
                self.writes_left = self.writes_left.saturating_sub(1);
                if self.writes_left == 0 {
                    self.off = Some(Instant::now());
                }
                Some(Vec::new())
            }
            COMMAND_FLUSH => {
                self.flushes += 1;
                if !self.forgets_flushes {
                    for (offset, bytes) in self.pending.drain(..) {
                        self.durable[offset..offset + bytes.len()].copy_from_slice(&bytes);
                    }
                }
                Some(Vec::new())
            }
            _ => None,
        }
    }
}
