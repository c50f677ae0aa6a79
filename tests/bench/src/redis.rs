//! redis-benchmark against the hub and against redis-server, at the same durability, one after the
//! other.

use crate::measure::Setting;
use crate::report::Report;
use anyhow::{Context, bail};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const UP_WITHIN: Duration = Duration::from_secs(10);
const SHAPES: [(&str, &str, &str); 2] = [("10", "10", "200000"), ("50", "1", "200000")];

const COMMANDS: [&str; 3] = ["SET", "GET", "HSET"];

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(mut command: Command, port: u16) -> anyhow::Result<Self> {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let server = Self { child, port };
        let deadline = Instant::now() + UP_WITHIN;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                bail!("nothing listens on port {port}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn redis(dir: &Path, sync: &str) -> anyhow::Result<Server> {
    let port = free_port()?;
    let mut command = Command::new("redis-server");
    command.arg("--port").arg(port.to_string()).args(["--save", "", "--appendonly", "yes"]);
    command.args(["--appendfsync", sync]).arg("--dir").arg(dir);
    Server::start(command, port)
}

fn hub(dir: &Path, durability: &str) -> anyhow::Result<Server> {
    let port = free_port()?;
    let mut command = Command::new(hub_program()?);
    command.arg("serve").arg("--data-dir").arg(dir).args(["--durability", durability]);
    command.arg("--resp").arg(format!("127.0.0.1:{port}"));
    command.args(["--http", "127.0.0.1:0", "--link", "127.0.0.1:0"]);
    Server::start(command, port)
}

/// The hub beside this very program: `ci/bench` builds both.
fn hub_program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let program = own.with_file_name("hub-node");
    if !program.exists() {
        bail!("{} is not built; run ci/bench", program.display());
    }
    Ok(program)
}

/// Operations a second of each command, and its p50 in milliseconds.
fn benchmark(server: &Server, shape: (&str, &str, &str)) -> anyhow::Result<Vec<(f64, f64)>> {
    let (clients, pipeline, requests) = shape;
    let output = Command::new("redis-benchmark")
        .args(["-p", &server.port.to_string(), "--csv", "-t", "set,get,hset", "-d", "1024"])
        .args(["-c", clients, "-P", pipeline, "-n", requests])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let figures = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("\"{name}\"")))?;
        let mut fields = line.split(',').skip(1).map(|field| field.trim_matches('"').parse().ok());
        let rate = fields.next()??;
        Some((rate, fields.nth(2)??))
    };
    let of = |name: &&str| figures(name).with_context(|| format!("no {name} figure in {text:?}"));
    COMMANDS.iter().map(of).collect()
}

/// Every command at both durabilities and both shapes.
pub(crate) fn compare(setting: &Setting<'_>, report: &mut Report) -> anyhow::Result<()> {
    if Command::new("redis-benchmark").arg("--version").output().is_err() {
        eprintln!("redis-benchmark is not installed: this suite is left out");
        return Ok(());
    }
    for (ours, theirs) in [("always", "always"), ("interval", "everysec")] {
        for shape in SHAPES {
            let (mut hubs, mut redises) = (Vec::new(), Vec::new());
            for _ in 0..setting.reps {
                let dir = setting.dir()?;
                hubs.push(benchmark(&hub(dir.path(), ours)?, shape)?);
                let dir = setting.dir()?;
                redises.push(benchmark(&redis(dir.path(), theirs)?, shape)?);
            }
            let name = format!("-c {} -P {} {theirs}", shape.0, shape.1);
            for (at, command) in COMMANDS.iter().enumerate() {
                let of = |runs: &[Figures]| runs.iter().map(|run| run[at]).collect();
                row(report, &format!("RESP {command} {name}"), (of(&hubs), of(&redises)));
            }
        }
    }
    Ok(())
}

type Figures = Vec<(f64, f64)>;

fn row(report: &mut Report, what: &str, (ours, theirs): (Figures, Figures)) {
    let (ours, theirs) = (median(ours), median(theirs));
    let name = format!("{what} (p50 {:.2} ms, redis {:.2} ms)", ours.1, theirs.1);
    report.rate(&name, ours.0, "redis", theirs.0);
}

fn median(mut figures: Figures) -> (f64, f64) {
    figures.sort_by(|one, other| one.0.total_cmp(&other.0));
    figures[figures.len() / 2]
}
