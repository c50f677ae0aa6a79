//! Many watchers on one namespace while it is written to: whether each gets everything in order, how
//! long after the acknowledgement, and what a watcher costs in memory beside its connection.
//!
//! `unison-watch-bench --hub target/release/hub-node`

mod hub;
mod reading;

use anyhow::ensure;
use clap::Parser;
use hub::Hub;
use reading::{Acknowledged, read_all};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

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

/// Writes at the rate asked for, or as fast as they are acknowledged when that is slower.
fn write(
    resp: &str,
    arguments: &Arguments,
    acknowledged: &Acknowledged,
) -> anyhow::Result<Duration> {
    let mut stream = TcpStream::connect(resp)?;
    stream.set_nodelay(true)?;
    let every = Duration::from_secs_f64(arguments.burst as f64 / arguments.rate as f64);
    let begun = Instant::now();
    let mut due = begun;
    for burst in acknowledged.at.chunks(usize::try_from(arguments.burst)?) {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        due += every;
        let one = "*3\r\n$3\r\nSET\r\n$9\r\nsensor:17\r\n$4\r\n21.5\r\n";
        stream.write_all(one.repeat(burst.len()).as_bytes())?;
        let mut answers = vec![0; 5 * burst.len()];
        stream.read_exact(&mut answers)?;
        ensure!(answers.chunks(5).all(|answer| answer == b"+OK\r\n"), "a write was refused");
        let now = acknowledged.now();
        burst.iter().for_each(|at| at.store(now, Ordering::Relaxed));
    }
    Ok(begun.elapsed())
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let start =
        |root: &tempfile::TempDir| Hub::start(&arguments.hub, &arguments.durability, root.path());
    let (count, each) = (arguments.watchers, arguments.watchers as u64);
    // The second memory figure is of another process, so that neither takes what the other gave back.
    let beside = tempfile::tempdir()?;
    let idle = start(&beside)?;
    let (idle_bytes, kept) = idle.connections(count, "/healthz")?;
    drop((idle, kept));
    let root = tempfile::tempdir()?;
    let hub = start(&root)?;
    let (watching_bytes, streams) = hub.connections(count, "/api/v1/default/watch")?;
    println!("memory of an idle HTTP connection       {:>8} B", idle_bytes / each);
    println!("memory of a watcher with its connection {:>8} B", watching_bytes / each);
    let writes = arguments.rate * arguments.seconds;
    let acknowledged = Acknowledged::new(writes);
    let used = (hub.processor_seconds()?, hub::processor_seconds("self")?);
    let (delays, took) = std::thread::scope(|scope| {
        let writing = scope.spawn(|| write(&hub.resp, &arguments, &acknowledged));
        let delays = read_all(streams, &acknowledged);
        (delays, writing.join())
    });
    let (delays, took) = (delays?, took.map_err(|_| anyhow::anyhow!("the writer panicked"))??);
    let rate = writes as f64 / took.as_secs_f64();
    println!(
        "watchers {count}, writes {writes} at {rate:.0}/s, events {}, all in order",
        delays.events
    );
    let microseconds = |used: f64| used * 1e6 / delays.events as f64;
    println!(
        "processor time an event: hub {:.2} us, client {:.2} us",
        microseconds(hub.processor_seconds()? - used.0),
        microseconds(hub::processor_seconds("self")? - used.1)
    );
    println!("resident at the end of the writes       {:>8} KiB", hub.resident_bytes()? >> 10);
    let early = delays.early as f64 * 100.0 / delays.events as f64;
    println!("before the writer read its acknowledgement: {early:.1} %");
    for percent in [50, 90, 99] {
        let delay = delays.percentile(percent);
        println!("from acknowledgement to event, p{percent}: {delay:>8.2} ms");
    }
    println!("from acknowledgement to event, max: {:>8.2} ms", delays.max());
    Ok(())
}
