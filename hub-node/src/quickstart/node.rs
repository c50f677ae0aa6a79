//! One process of the fleet.

use super::QuickstartError;
use serde::Deserialize;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const UP_WITHIN: Duration = Duration::from_secs(30);
const DOWN_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
/// How much of a node's log goes into an error, bytes.
const LOG_SHOWN: u64 = 2_000;

/// What a node writes into its ports file.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Ports {
    /// HTTP address.
    pub(crate) http: String,
    /// RESP address.
    pub(crate) resp: String,
    /// Link address, where the node leads.
    #[serde(default)]
    pub(crate) link: Option<String>,
}

/// A running hub or edge.
#[derive(Debug)]
pub(crate) struct Node {
    /// `hub`, `edge-1`, ...
    pub(crate) name: String,
    /// Where it listens; the same after a restart.
    pub(crate) ports: Ports,
    /// Its data directory.
    pub(crate) data_dir: PathBuf,
    log: PathBuf,
    arguments: Vec<String>,
    child: Child,
}

impl Node {
    /// Starts this very program with `arguments`, a data directory and a log below `root`, on free
    /// ports, and waits until it listens or `stop` is set.
    pub(crate) fn start(
        root: &Path,
        name: &str,
        arguments: &[String],
        port_flags: &[&str],
        stop: &AtomicBool,
    ) -> Result<Self, QuickstartError> {
        let data_dir = root.join(name);
        let log = root.join(format!("{name}.log"));
        let ports_file = root.join(format!("{name}.ports"));
        let mut arguments = arguments.to_vec();
        arguments.extend(["--data-dir".to_owned(), data_dir.display().to_string()]);
        let mut first = arguments.clone();
        for flag in port_flags {
            first.extend([(*flag).to_owned(), "127.0.0.1:0".to_owned()]);
        }
        first.extend(["--ports-file".to_owned(), ports_file.display().to_string()]);
        let mut child = spawn(&first, &log)?;
        let Some(ports) = wait_for_ports(&ports_file, &mut child, stop) else {
            let _ = child.kill();
            let _ = child.wait();
            let stopped = stop.load(Ordering::Acquire);
            return Err(if stopped { QuickstartError::Stopped } else { not_up(name, &log) });
        };
        for (flag, address) in [
            ("--http", Some(&ports.http)),
            ("--resp", Some(&ports.resp)),
            ("--link", ports.link.as_ref()),
        ] {
            if let Some(address) = address.filter(|_| port_flags.contains(&flag)) {
                arguments.extend([flag.to_owned(), address.clone()]);
            }
        }
        Ok(Self { name: name.to_owned(), ports, data_dir, log, arguments, child })
    }

    /// Base address of its HTTP API.
    pub(crate) fn http_url(&self) -> String {
        format!("http://{}", self.ports.http)
    }

    /// The last lines of its log.
    pub(crate) fn log(&self) -> String {
        end_of(&self.log)
    }

    /// Ends it as a power cut of the process would: SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<(), QuickstartError> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).map_err(|source| {
            QuickstartError::Process { what: format!("killing {}", self.name), source }
        })
    }

    /// Starts it again at the same addresses, on the same data.
    pub(crate) fn restart(&mut self) -> Result<(), QuickstartError> {
        self.child = spawn(&self.arguments, &self.log)?;
        Ok(())
    }

    /// Asks it to stop, and kills it when it does not.
    fn stop(&mut self) {
        if let Ok(id) = i32::try_from(self.child.id())
            && let Some(id) = rustix::process::Pid::from_raw(id)
        {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let deadline = Instant::now() + DOWN_WITHIN;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(POLL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop();
        }
    }
}

/// Settings of the surroundings are for a node of the user's, not for these.
fn spawn(arguments: &[String], log: &Path) -> Result<Child, QuickstartError> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |source| QuickstartError::Process { what, source }
    };
    let program = std::env::current_exe().map_err(failed("finding this program"))?;
    let output = File::options().create(true).append(true).open(log);
    let output = output.map_err(failed("opening a log file"))?;
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"UNISON_") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        // Ctrl-C reaches the whole group of the terminal; a node ends when this process says so.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .spawn()
        .map_err(failed("starting a node"))
}

fn wait_for_ports(file: &Path, child: &mut Child, stop: &AtomicBool) -> Option<Ports> {
    let deadline = Instant::now() + UP_WITHIN;
    while Instant::now() < deadline
        && matches!(child.try_wait(), Ok(None))
        && !stop.load(Ordering::Acquire)
    {
        let ports = std::fs::read(file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        if ports.is_some() {
            return ports;
        }
        std::thread::sleep(POLL);
    }
    None
}

fn not_up(name: &str, log: &Path) -> QuickstartError {
    QuickstartError::NotUp { name: name.to_owned(), log: end_of(log) }
}

fn end_of(log: &Path) -> String {
    let read = || {
        let mut file = File::open(log)?;
        let bytes = file.metadata()?.len();
        file.seek(SeekFrom::Start(bytes.saturating_sub(LOG_SHOWN)))?;
        let mut text = Vec::new();
        file.take(LOG_SHOWN).read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).trim_end().to_owned())
    };
    read().unwrap_or_else(|error: std::io::Error| error.to_string())
}
