//! A machine under QEMU.

use crate::setup::Firmware;
use crate::uart::Uart;
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use unison_e2e::resp::Client;

const QEMU: &str = "qemu-system-aarch64";
const MEMORY: &str = "64M";
/// Address of this computer, seen from the machine.
const HOST: &str = "10.0.2.2";
/// An address of this computer where nobody listens.
pub(crate) const NOBODY: &str = "10.0.2.2:9";
const POLL: Duration = Duration::from_millis(20);
/// How long anything may take that should be quick.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long an answer may take, on a machine that others use too.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// A running machine; killed when dropped.
#[derive(Debug)]
pub(crate) struct Machine {
    child: Child,
    pub(crate) started: Instant,
    pub(crate) uart: Arc<Uart>,
    http: u16,
    resp: u16,
    agent: ureq::Agent,
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Where a node of this computer is, seen from the machine.
pub(crate) fn seen_from_machine(address: &str) -> anyhow::Result<String> {
    let (_, port) = address.rsplit_once(':').context("an address without a port")?;
    Ok(format!("{HOST}:{port}"))
}

impl Machine {
    /// Boots a firmware with the hub at `hub`, as the machine sees it, and further boot arguments.
    /// What it says also goes to a file in `dir`.
    pub(crate) fn boot(
        firmware: &Firmware,
        dir: &Path,
        disk: Option<&Path>,
        hub: &str,
        further: &str,
    ) -> anyhow::Result<Self> {
        let disk = disk.map(|path| path.display().to_string());
        Self::boot_drive(firmware, dir, disk.as_deref(), hub, further)
    }

    /// As [`boot`](Self::boot), with a disk by the name that QEMU has for it.
    pub(crate) fn boot_drive(
        firmware: &Firmware,
        dir: &Path,
        disk: Option<&str>,
        hub: &str,
        further: &str,
    ) -> anyhow::Result<Self> {
        let (http, resp) = (free_port()?, free_port()?);
        let forward =
            format!("hostfwd=tcp:127.0.0.1:{http}-:80,hostfwd=tcp:127.0.0.1:{resp}-:6379");
        let mut command = Command::new(QEMU);
        command
            .args(["-M", "virt", "-cpu", "cortex-a53", "-m", MEMORY, "-nodefaults"])
            .args(["-display", "none", "-monitor", "none", "-serial", "stdio"])
            .args(["-global", "virtio-mmio.force-legacy=false"])
            .args(["-netdev", &format!("user,id=net,{forward}")])
            .args(["-device", "virtio-net-device,netdev=net", "-device", "virtio-rng-device"])
            .arg("-kernel")
            .arg(&firmware.path)
            .args(["-append", &format!("hub={hub} namespace=default {further}")]);
        if let Some(disk) = disk {
            let drive = format!("if=none,file={disk},format=raw,id=disk");
            command.args(["-drive", &drive, "-device", "virtio-blk-device,drive=disk"]);
        }
        let log = File::create(dir.join("qemu.log"))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn();
        let mut child = child.with_context(|| format!("{QEMU} does not start"))?;
        let output = child.stdout.take().context("output is piped")?;
        let raw = File::options().create(true).append(true).open(dir.join("uart.raw"))?;
        let uart = Uart::listen(output, Arc::clone(&firmware.table), raw);
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = config.build().new_agent();
        Ok(Self { child, started: Instant::now(), uart, http, resp, agent })
    }

    /// Waits until it says something.
    pub(crate) fn says(&self, part: &str) -> anyhow::Result<crate::uart::Line> {
        self.uart.wait(0, &[part], PATIENCE)
    }

    /// A page over HTTP, with its status code.
    pub(crate) fn get(&self, path: &str, within: Duration) -> anyhow::Result<(u16, String)> {
        let (code, body) = self.octets(path, within)?;
        Ok((code, String::from_utf8(body)?))
    }

    /// The same, of any bytes.
    pub(crate) fn octets(&self, path: &str, within: Duration) -> anyhow::Result<(u16, Vec<u8>)> {
        let url = format!("http://127.0.0.1:{}{path}", self.http);
        let request = self.agent.get(&url).config().timeout_global(Some(within)).build();
        let mut response = request.call()?;
        Ok((response.status().as_u16(), response.body_mut().read_to_vec()?))
    }

    pub(crate) fn status(&self) -> anyhow::Result<Value> {
        self.status_within(ANSWER_WITHIN)
    }

    pub(crate) fn status_within(&self, within: Duration) -> anyhow::Result<Value> {
        let (_, body) = self.get("/status", within)?;
        Ok(serde_json::from_str(&body)?)
    }

    /// Asks for its status until `enough`.
    pub(crate) fn wait_for(
        &self,
        what: &str,
        enough: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            match status {
                Ok(status) if enough(&status) => return Ok(status),
                _ if Instant::now() < deadline => std::thread::sleep(POLL),
                status => {
                    let said = crate::uart::shown(&self.uart.lines());
                    bail!("{what}: not so: {status:?}; what was said:\n{said}");
                }
            }
        }
    }

    /// Where it answers RESP, on this computer.
    pub(crate) fn resp_address(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.resp)
    }

    /// A RESP connection, as soon as it takes one.
    pub(crate) fn resp(&self) -> anyhow::Result<Client> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // QEMU itself takes every connection; only an answer shows the machine.
            let client = Client::connect(&format!("127.0.0.1:{}", self.resp));
            let answered = client.and_then(|mut client| client.call(&[b"PING"]).map(|_| client));
            match answered {
                Ok(client) => return Ok(client),
                Err(_) if Instant::now() < deadline => std::thread::sleep(POLL),
                Err(error) => return Err(error).context("no answer over RESP"),
            }
        }
    }

    /// Processor time that QEMU has used, in ticks of 10 ms.
    pub(crate) fn cpu_ticks(&self) -> anyhow::Result<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(')').context("no stat of a process")?;
        let fields: Vec<_> = fields.split_whitespace().collect();
        // Fields 14 and 15 of the line, of which two came before.
        let ticks = fields.get(11..13).context("no times of a process")?;
        ticks.iter().map(|field| field.parse::<u64>().map_err(Into::into)).sum()
    }

    /// SIGKILL: the machine is gone as if its power was.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end();
    }
}
