//! All watchers in one thread that does nothing but read: it shares the machine with the hub.

use anyhow::{Context as _, ensure};
use rustix::event::epoll;
use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(60);
const READ_BYTES: usize = 64 << 10;
const READY_MAX: usize = 1_024;
/// What stands before the LSN.
const HEAD: &[u8] = b"data: {\"lsn\":";
/// Width of a bucket, and how many there are.
const BUCKET_MICROS: u64 = 10;
const BUCKETS: usize = 500_000;

/// When each write was acknowledged, nanoseconds since the beginning; 0 before that.
pub(crate) struct Acknowledged {
    pub(crate) begun: Instant,
    pub(crate) at: Vec<AtomicU64>,
}

impl Acknowledged {
    pub(crate) fn new(writes: u64) -> Self {
        Self { begun: Instant::now(), at: (0..writes).map(|_| AtomicU64::new(0)).collect() }
    }

    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// How long after the acknowledgement events came.
pub(crate) struct Delays {
    buckets: Vec<u64>,
    pub(crate) events: u64,
    /// Before the writer had read its acknowledgement.
    pub(crate) early: u64,
    max_micros: u64,
}

impl Delays {
    fn new() -> Self {
        Self { buckets: vec![0; BUCKETS], events: 0, early: 0, max_micros: 0 }
    }

    fn add(&mut self, acknowledged: u64, now: u64) {
        let early = acknowledged == 0 || now < acknowledged;
        let micros = if early { 0 } else { (now - acknowledged) / 1_000 };
        self.early += u64::from(early);
        self.events += 1;
        self.max_micros = self.max_micros.max(micros);
        let bucket = usize::try_from(micros / BUCKET_MICROS).unwrap_or(usize::MAX);
        self.buckets[bucket.min(BUCKETS - 1)] += 1;
    }

    /// Milliseconds below which so many hundredths of them lie.
    pub(crate) fn percentile(&self, percent: u64) -> f64 {
        let mut left = self.events * percent / 100;
        let within = |count: &u64| {
            let within = left < *count;
            left = left.saturating_sub(*count);
            within
        };
        let bucket = self.buckets.iter().position(within).unwrap_or(BUCKETS);
        (bucket as u64 * BUCKET_MICROS) as f64 / 1_000.0
    }

    pub(crate) fn max(&self) -> f64 {
        self.max_micros as f64 / 1_000.0
    }
}

/// One watcher: what comes next, and the beginning of a line that is not whole.
struct Watcher {
    stream: TcpStream,
    expected: u64,
    begun: Vec<u8>,
}

/// Reads until every watcher has the last write; each LSN must follow the one before.
pub(crate) fn read_all(
    streams: Vec<TcpStream>,
    acknowledged: &Acknowledged,
) -> anyhow::Result<Delays> {
    let poll = epoll::create(epoll::CreateFlags::empty())?;
    let mut watchers = streams.into_iter().map(Watcher::new).collect::<Result<Vec<_>, _>>()?;
    for (number, watcher) in watchers.iter().enumerate() {
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(&poll, &watcher.stream, data, epoll::EventFlags::IN)?;
    }
    let last = acknowledged.at.len() as u64;
    let (mut delays, mut buffer) = (Delays::new(), vec![0; READ_BYTES]);
    let mut unfinished = watchers.len();
    let mut ready = Vec::with_capacity(READY_MAX);
    while unfinished > 0 {
        wait(&poll, &mut ready)?;
        for event in ready.drain(..) {
            let watcher = usize::try_from(event.data.u64())?;
            let watcher = watchers.get_mut(watcher).context("a watcher that is not there")?;
            let before = watcher.expected;
            watcher.read(&mut buffer, acknowledged, &mut delays)?;
            unfinished -= usize::from(before <= last && watcher.expected > last);
        }
    }
    Ok(delays)
}

fn wait(poll: &OwnedFd, ready: &mut Vec<epoll::Event>) -> anyhow::Result<()> {
    let patience = rustix::event::Timespec::try_from(PATIENCE)?;
    epoll::wait(poll, rustix::buffer::spare_capacity(ready), Some(&patience))?;
    ensure!(!ready.is_empty(), "nothing came for {PATIENCE:?}");
    Ok(())
}

impl Watcher {
    fn new(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, expected: 1, begun: Vec::new() })
    }

    fn read(
        &mut self,
        buffer: &mut [u8],
        acknowledged: &Acknowledged,
        delays: &mut Delays,
    ) -> anyhow::Result<()> {
        let count = match self.stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            count => count?,
        };
        ensure!(count > 0, "the stream ended");
        let now = acknowledged.now();
        let mut rest = &buffer[..count];
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, behind) = rest.split_at(end);
            rest = &behind[1..];
            if self.begun.is_empty() {
                take(line, &mut self.expected, (acknowledged, now), delays)?;
            } else {
                self.begun.extend_from_slice(line);
                take(&self.begun, &mut self.expected, (acknowledged, now), delays)?;
                self.begun.clear();
            }
        }
        self.begun.extend_from_slice(rest);
        Ok(())
    }
}

fn take(
    line: &[u8],
    expected: &mut u64,
    (acknowledged, now): (&Acknowledged, u64),
    delays: &mut Delays,
) -> anyhow::Result<()> {
    let Some(rest) = line.strip_prefix(HEAD) else { return Ok(()) };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
    let lsn = digits.fold(0, |lsn, byte| lsn * 10 + u64::from(byte - b'0'));
    ensure!(lsn == *expected, "LSN {lsn} where {expected} was due");
    *expected += 1;
    let at = acknowledged.at.get(usize::try_from(lsn - 1)?).context("an event nobody wrote")?;
    delays.add(at.load(Ordering::Relaxed), now);
    Ok(())
}
