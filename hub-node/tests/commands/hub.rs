//! A hub of a test's own, on free ports.

use crate::{hub_node, told};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const UP_WITHIN: Duration = Duration::from_secs(30);

pub(crate) struct Hub {
    process: Child,
    url: String,
    directory: TempDir,
}

impl Hub {
    pub(crate) fn start(flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ports = directory.path().join("ports");
        let process = hub_node()
            .args(["serve", "--http", "127.0.0.1:0", "--resp", "off", "--link", "off"])
            .arg("--data-dir")
            .arg(directory.path().join("data"))
            .arg("--ports-file")
            .arg(&ports)
            .args(flags)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut hub = Self { process, url: String::new(), directory };
        hub.url = wait_for_url(&ports);
        hub
    }

    /// `import` from `place`, which may be standard input.
    pub(crate) fn import(&self, place: &[&str], input: &str) -> (Option<i32>, String, String) {
        self.command("import", place, input)
    }

    /// `shell` with a script as its standard input.
    pub(crate) fn shell(&self, flags: &[&str], input: &str) -> (Option<i32>, String, String) {
        self.command("shell", flags, input)
    }

    fn command(&self, name: &str, flags: &[&str], input: &str) -> (Option<i32>, String, String) {
        let mut process = hub_node()
            .args([name, "--to", &self.url])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        told(process.wait_with_output().unwrap())
    }

    /// `export` to `place`.
    pub(crate) fn export(&self, place: &[&str]) -> (Option<i32>, String, String) {
        told(hub_node().args(["export", "--from", &self.url]).args(place).output().unwrap())
    }

    /// Ends it without a chance to tidy up; its data directory is `data` in what is given back.
    pub(crate) fn kill(mut self) -> TempDir {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn wait_for_url(ports: &Path) -> String {
    let deadline = Instant::now() + UP_WITHIN;
    while Instant::now() < deadline {
        if let Ok(text) = std::fs::read(ports) {
            let ports: serde_json::Value = serde_json::from_slice(&text).unwrap();
            return format!("http://{}", ports["http"].as_str().unwrap());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the hub did not come up")
}
