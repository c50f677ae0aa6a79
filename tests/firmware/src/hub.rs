//! A real hub, and writes to it.

use crate::machine::seen_from_machine;
use crate::setup::Setup;
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use unison_base::prng::Prng;
use unison_e2e::node::Node;
use unison_e2e::resp::{Answer, Client};

const PIPELINE: u64 = 500;

/// A hub below a directory.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) node: Node,
    pub(crate) client: Client,
    log: PathBuf,
}

impl Hub {
    pub(crate) fn start(setup: &Setup, dir: &Path, further: &[&str]) -> anyhow::Result<Self> {
        let node = Node::hub_at(&setup.hub, dir, further);
        let client = node.resp();
        Ok(Self { node, client, log: dir.join("hub/default/wal") })
    }

    /// Its link, as a machine sees it.
    pub(crate) fn link(&self) -> anyhow::Result<String> {
        seen_from_machine(&self.node.address("link"))
    }

    /// The newest durable record.
    pub(crate) fn durable(&self) -> anyhow::Result<u64> {
        let url = format!("http://{}/status", self.node.address("http"));
        let status: Value = ureq::get(&url).call()?.body_mut().read_json()?;
        namespace(&status)["durable"].as_u64().context("a hub without the namespace")
    }

    /// Writes `count` keys of their own with values of `bytes`.
    pub(crate) fn fill(&mut self, from: u64, count: u64, bytes: usize) -> anyhow::Result<()> {
        let mut prng = Prng::new(from);
        let mut value = vec![0; bytes];
        let mut done = 0;
        while done < count {
            let group = PIPELINE.min(count - done);
            for number in from + done..from + done + group {
                prng.fill(&mut value);
                self.client.send(&[b"SET", format!("key:{number:08}").as_bytes(), &value])?;
            }
            for _ in 0..group {
                let answer = self.client.answer()?;
                ensure!(answer == Answer::Simple("OK".to_owned()), "SET: {answer:?}");
            }
            done += group;
        }
        Ok(())
    }

    /// The bytes of a segment's file.
    pub(crate) fn segment(&self, number: u32) -> anyhow::Result<Vec<u8>> {
        let path = self.log.join(format!("{number:09}.seg"));
        std::fs::read(&path).with_context(|| path.display().to_string())
    }

    /// Kills it and starts it again at the same address.
    pub(crate) fn kill_and_restart(&mut self) {
        self.node.kill_and_restart();
        self.client = self.node.resp();
    }
}

/// The namespace `default` in a status.
pub(crate) fn namespace(status: &Value) -> &Value {
    let namespaces = status["namespaces"].as_array();
    let mut found = namespaces.into_iter().flatten().filter(|it| it["name"] == "default");
    found.next().unwrap_or(&Value::Null)
}

/// Some writes and deletions over few keys, until told to stop; returns how many. Between groups it
/// pauses up to so long.
pub(crate) fn stream(
    mut client: Client,
    seed: u64,
    pause_ms_max: u64,
    stop: &std::sync::atomic::AtomicBool,
) -> anyhow::Result<u64> {
    let (mut prng, mut count) = (Prng::new(seed), 0);
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        let group = prng.between(1, 20);
        for _ in 0..group {
            let key = format!("hot:{:04}", prng.below(2_000));
            if prng.chance(10) {
                client.send(&[b"DEL", key.as_bytes()])?;
            } else {
                let mut value = vec![0; usize::try_from(prng.below(2_000))?];
                prng.fill(&mut value);
                client.send(&[b"SET", key.as_bytes(), &value])?;
            }
        }
        for _ in 0..group {
            client.answer()?;
        }
        count += group;
        std::thread::sleep(std::time::Duration::from_millis(prng.below(pause_ms_max)));
    }
    Ok(count)
}
