//! The hub that is measured.

use anyhow::Context as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const UP_WITHIN: Duration = Duration::from_secs(30);
/// Until memory is looked at.
const SETTLE: Duration = Duration::from_secs(2);
/// Ticks of a second in `/proc`, the same on every Linux that people run.
const TICKS: f64 = 100.0;

pub(crate) struct Hub {
    child: Child,
    http: String,
    pub(crate) resp: String,
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Hub {
    pub(crate) fn start(program: &Path, durability: &str, root: &Path) -> anyhow::Result<Self> {
        let (ports, data) = (root.join("ports"), root.join("data"));
        let free = "127.0.0.1:0";
        let child = Command::new(program)
            .args(["serve", "--http", free, "--resp", free, "--link", "off"])
            .args(["--durability", durability, "--log-level", "warn"])
            .arg("--data-dir")
            .arg(&data)
            .arg("--ports-file")
            .arg(&ports)
            .spawn()
            .context("the hub does not start")?;
        let mut hub = Self { child, http: String::new(), resp: String::new() };
        let begun = Instant::now();
        let text = loop {
            match std::fs::read_to_string(&ports) {
                Ok(text) => break text,
                Err(error) if begun.elapsed() > UP_WITHIN => return Err(error.into()),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let port = |name: &str| -> anyhow::Result<String> {
            let (_, rest) = text.split_once(&format!("\"{name}\":\"")).context("no such port")?;
            Ok(rest.split('"').next().unwrap_or_default().to_owned())
        };
        (hub.http, hub.resp) = (port("http")?, port("resp")?);
        Ok(hub)
    }

    pub(crate) fn resident_bytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).context("no VmRSS")?;
        Ok(kib.parse::<u64>()? << 10)
    }

    pub(crate) fn processor_seconds(&self) -> anyhow::Result<f64> {
        processor_seconds(&self.child.id().to_string())
    }

    /// Resident memory that so many connections add, each having been answered once and kept.
    pub(crate) fn connections(
        &self,
        count: usize,
        path: &str,
    ) -> anyhow::Result<(u64, Vec<TcpStream>)> {
        let before = self.resident_bytes()?;
        let open = (0..count).map(|_| self.open(path)).collect::<Result<_, _>>()?;
        std::thread::sleep(SETTLE);
        Ok((self.resident_bytes()?.saturating_sub(before), open))
    }

    fn open(&self, path: &str) -> anyhow::Result<TcpStream> {
        let mut stream = TcpStream::connect(&self.http)?;
        stream.set_nodelay(true)?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())?;
        // Nothing comes behind the greeting before something is written.
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        anyhow::ensure!(line.contains("200"), "{line}");
        Ok(stream)
    }
}

/// What a process has used of all processors: `self`, or its number.
pub(crate) fn processor_seconds(process: &str) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let used = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(used.sum::<Result<f64, _>>()? / TICKS)
}
