//! However a quickstart ends, its nodes end with it and its directory is gone.

use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

struct Quickstart {
    process: Child,
    output: BufReader<ChildStdout>,
    scratch: TempDir,
    _source: TempDir,
}

impl Quickstart {
    /// In a process group of its own, as a shell starts it, and with settings in the surroundings
    /// that no node could start with.
    fn start(files: usize, bytes: usize, flags: &[&str]) -> Self {
        let (scratch, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for n in 0..files {
            std::fs::write(source.path().join(format!("{n}.txt")), vec![b'x'; bytes]).unwrap();
        }
        let mut process = Command::new(env!("CARGO_BIN_EXE_hub-node"))
            .args(["quickstart", "--edges", "1", "--source"])
            .arg(source.path())
            .args(flags)
            .env("TMPDIR", scratch.path())
            .env("UNISON_CONFIG", "/nowhere/node.toml")
            .process_group(0)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output, scratch, _source: source }
    }

    /// The next line that contains `word`.
    fn line(&mut self, word: &str) -> String {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "no line with {word:?}");
        }
        line
    }

    /// Where the node of this line listens.
    fn address(line: &str) -> SocketAddr {
        let url = line.split_whitespace().find_map(|word| word.strip_prefix("http://"));
        url.unwrap().parse().unwrap()
    }

    /// Ctrl-C in a terminal: everyone in the group gets it.
    fn interrupt(&self) {
        kill_process_group(self.group(), Signal::INT).unwrap();
    }

    fn group(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap()
    }

    /// Its nodes, in the order in which they were started.
    fn nodes(&self) -> Vec<Pid> {
        let id = self.process.id();
        let list = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        list.split_whitespace().map(|id| Pid::from_raw(id.parse().unwrap()).unwrap()).collect()
    }

    /// Exit code, rest of the output, errors.
    fn end(mut self) -> (Option<i32>, String, String) {
        let (mut output, mut errors) = (String::new(), String::new());
        self.output.read_to_string(&mut output).unwrap();
        self.process.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        let code = self.process.wait().unwrap().code();
        assert!(is_empty(self.scratch.path()), "the directory stays");
        (code, output, errors)
    }
}

/// A test that fails leaves nothing running.
impl Drop for Quickstart {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.interrupt();
            let _ = self.process.wait();
        }
    }
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_none()
}

#[test]
fn ctrl_c_ends_it_well() {
    let mut quickstart = Quickstart::start(50, 1, &[]);
    let hub = Quickstart::address(&quickstart.line("hub "));
    let edge = Quickstart::address(&quickstart.line("edge-1 "));
    quickstart.line("50 of 50 values equal");
    quickstart.line("Ctrl-C stops everything");
    assert!(TcpStream::connect(hub).is_ok() && TcpStream::connect(edge).is_ok());
    let nodes = quickstart.nodes();
    assert_eq!(nodes.len(), 2);
    for node in nodes {
        assert_ne!(getpgid(Some(node)).unwrap(), quickstart.group(), "Ctrl-C reaches a node");
    }
    quickstart.interrupt();
    let (code, output, errors) = quickstart.end();
    assert_eq!((code, output.trim(), errors.as_str()), (Some(0), "stopping", ""));
    assert!(TcpStream::connect(hub).is_err() && TcpStream::connect(edge).is_err());
}

/// The import waits a minute for a hub that has gone; who stops it does not.
#[test]
fn ctrl_c_ends_an_import_that_waits_for_its_hub() {
    let mut quickstart = Quickstart::start(60, 1_000_000, &[]);
    quickstart.line("hub ");
    let hub = quickstart.nodes()[0];
    kill_process(hub, Signal::KILL).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    quickstart.interrupt();
    let interrupted = Instant::now();
    let (code, _, errors) = quickstart.end();
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(interrupted.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_check_that_is_stopped_has_proved_nothing() {
    let mut quickstart = Quickstart::start(5_000, 1, &["--check"]);
    let hub = Quickstart::address(&quickstart.line("hub "));
    let edge = Quickstart::address(&quickstart.line("edge-1 "));
    quickstart.interrupt();
    let (code, _, errors) = quickstart.end();
    assert_eq!((code, errors.as_str()), (Some(1), "hub-node: stopped before the end\n"));
    assert!(TcpStream::connect(hub).is_err() && TcpStream::connect(edge).is_err());
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let source = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_hub-node"))
        .args(["quickstart", "--source"])
        .arg(source.path())
        .env("TMPDIR", "/nowhere")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("making /nowhere/"));
}
