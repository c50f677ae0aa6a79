//! Many watchers on one namespace while it is written to: whether each gets everything in order, how
//! long after the acknowledgement, and what a watcher costs in memory beside its connection.
//!
//! `unison-watch-bench --hub target/release/hub-node`

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Measures watchers of a hub.
#[derive(Clone, Parser)]
struct Arguments {
    /// The hub's program
    #[arg(long)]
    hub: PathBuf,
    /// How many watch
    #[arg(long, default_value_t = 1_000)]
    watchers: usize,
    /// Writes a second
    #[arg(long, default_value_t = 1_000)]
    rate: u64,
    /// For how long
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Writes that are sent together
    #[arg(long, default_value_t = 10)]
    burst: u64,
    /// The hub's durability
    #[arg(long, default_value = "always")]
    durability: String,
}

/// How long a watcher may wait for its last event.
const PATIENCE: Duration = Duration::from_secs(120);
/// Until memory is looked at.
const SETTLE: Duration = Duration::from_secs(2);

struct Hub {
    child: Child,
    http: String,
    resp: String,
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Hub {
    async fn start(arguments: &Arguments, root: &Path) -> anyhow::Result<Self> {
        let (ports, data) = (root.join("ports"), root.join("data"));
        let free = "127.0.0.1:0";
        let child = Command::new(&arguments.hub)
            .args(["serve", "--http", free, "--resp", free, "--link", "off"])
            .args(["--durability", &arguments.durability, "--log-level", "warn"])
            .arg("--data-dir")
            .arg(&data)
            .arg("--ports-file")
            .arg(&ports)
            .spawn()
            .context("the hub does not start")?;
        let text = loop {
            match std::fs::read_to_string(&ports) {
                Ok(text) => break text,
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        };
        let port = |name: &str| -> anyhow::Result<String> {
            let (_, rest) = text.split_once(&format!("\"{name}\":\"")).context("no such port")?;
            Ok(rest.split('"').next().unwrap_or_default().to_owned())
        };
        Ok(Self { http: port("http")?, resp: port("resp")?, child })
    }

    fn resident_bytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).context("no VmRSS")?;
        Ok(kib.parse::<u64>()? << 10)
    }
}

/// When each write was acknowledged; set before its place is looked at, or a little later.
type Acknowledged = Arc<Vec<OnceLock<Instant>>>;

/// What one watcher saw: for every event how long after the acknowledgement it came, microseconds.
type Delays = Vec<u32>;

async fn open(hub: &Hub, path: &str) -> anyhow::Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect(&hub.http).await?;
    stream.set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut stream = BufReader::with_capacity(16 << 10, stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    ensure!(line.contains("200"), "{line}");
    Ok(stream)
}

/// Reads until `last`; each LSN must follow the one before.
async fn watch(mut stream: BufReader<TcpStream>, last: u64) -> anyhow::Result<Vec<(u64, Instant)>> {
    let (mut seen, mut line) = (Vec::new(), Vec::new());
    let mut expected = 1;
    while expected <= last {
        line.clear();
        ensure!(stream.read_until(b'\n', &mut line).await? > 0, "the stream ended");
        let Some(rest) = line.strip_prefix(b"data: {\"lsn\":") else { continue };
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
        let lsn = digits.fold(0, |lsn, byte| lsn * 10 + u64::from(byte - b'0'));
        ensure!(lsn == expected, "LSN {lsn} where {expected} was due");
        expected += 1;
        seen.push((lsn, Instant::now()));
    }
    Ok(seen)
}

async fn write(
    hub: &Hub,
    arguments: &Arguments,
    acknowledged: &Acknowledged,
) -> anyhow::Result<Duration> {
    let mut stream = TcpStream::connect(&hub.resp).await?;
    stream.set_nodelay(true)?;
    let every = Duration::from_secs_f64(arguments.burst as f64 / arguments.rate as f64);
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let begun = Instant::now();
    let mut places = acknowledged.iter();
    loop {
        ticks.tick().await;
        let burst: Vec<_> = places.by_ref().take(usize::try_from(arguments.burst)?).collect();
        if burst.is_empty() {
            return Ok(begun.elapsed());
        }
        let one = "*3\r\n$3\r\nSET\r\n$9\r\nsensor:17\r\n$4\r\n21.5\r\n";
        stream.write_all(one.repeat(burst.len()).as_bytes()).await?;
        let mut answers = vec![0; 5 * burst.len()];
        stream.read_exact(&mut answers).await?;
        ensure!(answers.chunks(5).all(|answer| answer == b"+OK\r\n"), "a write was refused");
        let now = Instant::now();
        for place in burst {
            if place.set(now).is_err() {
                bail!("a write was acknowledged twice");
            }
        }
    }
}

/// Resident memory that so many connections add, each having been answered once and kept.
async fn connections(
    hub: &Hub,
    count: usize,
    path: &str,
) -> anyhow::Result<(u64, Vec<BufReader<TcpStream>>)> {
    let before = hub.resident_bytes()?;
    let mut open_ones = Vec::with_capacity(count);
    for _ in 0..count {
        open_ones.push(open(hub, path).await?);
    }
    sleep(SETTLE).await;
    Ok((hub.resident_bytes()?.saturating_sub(before), open_ones))
}

fn percentile(sorted: &Delays, of: f64) -> f64 {
    let at = ((sorted.len() - 1) as f64 * of) as usize;
    f64::from(sorted[at]) / 1_000.0
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    let (count, each) = (arguments.watchers, arguments.watchers as u64);
    // The second memory figure is of another process, so that neither takes what the other gave back.
    let beside = tempfile::tempdir()?;
    let idle = Hub::start(&arguments, beside.path()).await?;
    let (idle_bytes, _kept) = connections(&idle, count, "/healthz").await?;
    drop(idle);
    let hub = Hub::start(&arguments, root.path()).await?;
    let (watching_bytes, streams) = connections(&hub, count, "/api/v1/default/watch").await?;
    println!("memory of an idle HTTP connection      {:>8} B", idle_bytes / each);
    println!("memory of a watcher with its connection {:>7} B", watching_bytes / each);
    let writes = arguments.rate * arguments.seconds;
    let acknowledged: Acknowledged = Arc::new((0..writes).map(|_| OnceLock::new()).collect());
    let reading: Vec<_> = streams
        .into_iter()
        .map(|stream| tokio::spawn(timeout(PATIENCE, watch(stream, writes))))
        .collect();
    let took = write(&hub, &arguments, &acknowledged).await?;
    let peak = hub.resident_bytes()?;
    let (mut delays, mut early) = (Delays::new(), 0_u64);
    for task in reading {
        for (lsn, at) in task.await??? {
            let place = &acknowledged[usize::try_from(lsn - 1)?];
            let due = *place.get().context("an event that nobody wrote")?;
            early += u64::from(at < due);
            let delay = at.saturating_duration_since(due).as_micros();
            delays.push(u32::try_from(delay).unwrap_or(u32::MAX));
        }
    }
    delays.sort_unstable();
    let rate = writes as f64 / took.as_secs_f64();
    println!(
        "watchers {count}, writes {writes} at {rate:.0}/s, events {}, all in order",
        delays.len()
    );
    println!("resident at the end of the writes      {:>8} KiB", peak >> 10);
    println!(
        "before the writer read its acknowledgement: {:.1} %",
        early as f64 * 100.0 / delays.len() as f64
    );
    for (name, of) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0)] {
        println!("from acknowledgement to event, {name}: {:>8.2} ms", percentile(&delays, of));
    }
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(Arguments::parse()))
}
