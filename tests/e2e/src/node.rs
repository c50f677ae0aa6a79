//! Hubs and edges as the processes that users run.

use crate::resp::Client;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const UP_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(10);

/// Directory of the programs, when they were built for another machine.
const PROGRAMS_VARIABLE: &str = "UNISON_TEST_PROGRAMS";
/// Words in front of every program, an emulator for instance.
const RUNNER_VARIABLE: &str = "UNISON_TEST_RUNNER";

/// The words that start a program of this workspace: the one that `cargo test --workspace` builds,
/// unless the environment names other ones.
///
/// # Panics
/// It is not built.
#[must_use]
pub fn program(name: &str) -> Vec<String> {
    let own = std::env::current_exe().expect("a test knows its own path");
    let built = own.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    let directory = std::env::var_os(PROGRAMS_VARIABLE).map_or(built.to_owned(), PathBuf::from);
    let program = directory.join(name);
    assert!(program.exists(), "{} is not built: run cargo test --workspace", program.display());
    let runner = std::env::var(RUNNER_VARIABLE).unwrap_or_default();
    let words = runner.split_whitespace().map(str::to_owned);
    words.chain([program.display().to_string()]).collect()
}

/// A command of [`program`]'s words.
///
/// # Panics
/// It is not built.
#[must_use]
pub fn command(name: &str) -> Command {
    let words = program(name);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// Runs a program to its end.
///
/// # Panics
/// It cannot be started.
#[must_use]
pub fn run(name: &str, arguments: &[&str]) -> Output {
    command(name).args(arguments).output().expect("the program starts")
}

/// A running node; killed when dropped.
#[derive(Debug)]
pub struct Node {
    name: String,
    arguments: Vec<String>,
    ports_file: PathBuf,
    log: PathBuf,
    child: Child,
    ports: Value,
}

impl Node {
    /// Starts `program` below `root` as `name`, with a data directory of its own, on free ports.
    ///
    /// # Panics
    /// It does not come up.
    #[must_use]
    pub fn start(root: &Path, name: &str, program_name: &str, arguments: &[&str]) -> Self {
        Self::start_under(&[], root, name, program_name, arguments)
    }

    /// As [`start`](Self::start), as the last words of another command that ends in `exec "$@"`.
    ///
    /// # Panics
    /// It does not come up.
    #[must_use]
    pub fn start_under(
        command: &[&str],
        root: &Path,
        name: &str,
        program_name: &str,
        arguments: &[&str],
    ) -> Self {
        let command = command.iter().map(|word| (*word).to_owned());
        Self::start_words(command.chain(program(program_name)).collect(), root, name, arguments)
    }

    /// A hub from a program that another build made, with further arguments.
    ///
    /// # Panics
    /// It does not come up.
    #[must_use]
    pub fn hub_at(program: &Path, root: &Path, further: &[&str]) -> Self {
        let free = "127.0.0.1:0";
        let addresses = ["serve", "--http", free, "--resp", free, "--link", free];
        let words = vec![program.display().to_string()];
        Self::start_words(words, root, "hub", &[&addresses[..], further].concat())
    }

    fn start_words(mut all: Vec<String>, root: &Path, name: &str, arguments: &[&str]) -> Self {
        let ports_file = root.join(format!("{name}.ports"));
        let log = root.join(format!("{name}.log"));
        let data_dir = root.join(name);
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        all.extend(["--data-dir".to_owned(), data_dir.display().to_string()]);
        all.extend(["--ports-file".to_owned(), ports_file.display().to_string()]);
        // Of an earlier node of that name.
        let _ = std::fs::remove_file(&ports_file);
        let child = spawn(&all, &log);
        let mut node = Self {
            name: name.to_owned(),
            arguments: all,
            ports_file,
            log,
            child,
            ports: Value::Null,
        };
        node.wait_until_up();
        node
    }

    /// A hub.
    #[must_use]
    pub fn hub(root: &Path) -> Self {
        let free = "127.0.0.1:0";
        Self::start(root, "hub", "hub-node", &["--http", free, "--resp", free, "--link", free])
    }

    /// An edge that follows `link`.
    #[must_use]
    pub fn edge(root: &Path, name: &str, link: &str) -> Self {
        let free = "127.0.0.1:0";
        Self::start(root, name, "edge-node", &["--hub", link, "--http", free, "--resp", free])
    }

    fn wait_until_up(&mut self) {
        let deadline = Instant::now() + UP_WITHIN;
        loop {
            let text = std::fs::read(&self.ports_file).unwrap_or_default();
            if let Ok(ports) = serde_json::from_slice(&text) {
                self.ports = ports;
                return;
            }
            let running = matches!(self.child.try_wait(), Ok(None));
            assert!(running && Instant::now() < deadline, "{}: {}", self.name, self.log());
            std::thread::sleep(POLL);
        }
    }

    /// An address of its ports file.
    ///
    /// # Panics
    /// It has no such server.
    #[must_use]
    pub fn address(&self, server: &str) -> String {
        self.ports[server].as_str().expect("an address in the ports file").to_owned()
    }

    /// A RESP connection.
    ///
    /// # Panics
    /// It does not listen.
    #[must_use]
    pub fn resp(&self) -> Client {
        Client::connect(&self.address("resp")).expect("the node listens")
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Kills it and starts it again at the same addresses, on the same data.
    ///
    /// # Panics
    /// It does not come up.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        for server in ["http", "resp", "link"] {
            let flag = format!("--{server}");
            let at = self.arguments.iter().position(|argument| *argument == flag);
            if let Some(at) = at.filter(|at| self.arguments[at + 1] != "off") {
                self.arguments[at + 1] = self.address(server);
            }
        }
        std::fs::remove_file(&self.ports_file).expect("the ports file is there");
        self.child = spawn(&self.arguments, &self.log);
        self.wait_until_up();
    }

    /// Waits until it ends by itself; returns the exit code.
    ///
    /// # Panics
    /// It runs on, or a signal ended it.
    pub fn ended(&mut self) -> i32 {
        let deadline = Instant::now() + UP_WITHIN;
        while matches!(self.child.try_wait(), Ok(None)) {
            assert!(Instant::now() < deadline, "{} runs on: {}", self.name, self.log());
            std::thread::sleep(POLL);
        }
        self.child.wait().expect("it can be waited for").code().expect("it exits by itself")
    }

    /// SIGTERM; returns the exit code.
    ///
    /// # Panics
    /// It ended by a signal, or cannot be waited for.
    pub fn stop(&mut self) -> i32 {
        let id = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let id = id.expect("a process has an id");
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it runs");
        self.child.wait().expect("it can be waited for").code().expect("it exits by itself")
    }
}

fn spawn(arguments: &[String], log: &Path) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(log).expect("a log file");
    Command::new(&arguments[0])
        .args(&arguments[1..])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the program starts")
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
