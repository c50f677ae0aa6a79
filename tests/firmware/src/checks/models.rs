//! Topics, large objects and transactions, written over the hub's HTTP and read on the machine.

use super::{DISK_BYTES, Figures, applied};
use crate::hub::Hub;
use crate::image;
use crate::machine::{ANSWER_WITHIN, Machine, NOBODY, PATIENCE};
use crate::setup::Setup;
use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use std::path::Path;
use std::time::Instant;
use unison_base::prng::Prng;
use unison_e2e::curl::{curl, send};
use unison_e2e::resp::Answer;

/// Several chunks, and not a whole number of them.
const OBJECT_BYTES: usize = 1_500_000;
const KEPT: usize = 3;
/// What a transaction writes, by the paths that show it on both nodes.
const MESSAGE: &str = "topics/messages?filter=site/7/door";
const RETAINED: &str = "topics/retained?filter=site/7/door";
/// Everything of topics that is not of a transaction.
const TOPICS: [&str; 8] = [
    "topics?filter=plant/%23",
    "topics/messages?filter=plant/%23",
    "topics/messages?filter=plant/%23&order=newest",
    "topics/messages?filter=plant/%2B/log&order=newest",
    "topics/messages?filter=plant/1",
    "topics/messages?filter=plant/none",
    "topics/retained?filter=plant/%23",
    "topics/retained?filter=plant/2",
];

pub(super) fn run(setup: &Setup, dir: &Path) -> anyhow::Result<Figures> {
    let mut hub = Hub::start(setup, dir, &[])?;
    let disk = image::make(dir, "disk", DISK_BYTES)?;
    let boot = |hub: &str| Machine::boot(&setup.firmware, dir, Some(&disk), hub, "");
    let link = hub.link()?;
    let machine = boot(&link)?;
    publish(&hub)?;
    let object = put_object(&hub, "map", setup.seed)?;
    let (committed, aborted) = (Transaction::begin(&hub, "in")?, Transaction::begin(&hub, "out")?);
    // Interleaved, so that each lies between the other's records.
    committed.write(&hub)?;
    aborted.write(&hub)?;
    applied(&hub, &machine)?;
    same_topics(&hub, &machine)?;
    committed.is_hidden(&machine)?;
    aborted.is_hidden(&machine)?;

    machine.kill();
    let machine = boot(&link)?;
    applied(&hub, &machine)?;
    committed.is_hidden(&machine)?;
    committed.end(&hub, "commit")?;
    aborted.end(&hub, "abort")?;
    let looks = committed.comes_at_once(&machine)?;
    applied(&hub, &machine)?;
    aborted.is_hidden(&machine)?;
    // Both before and after the next start, from what is on the disk.
    for path in [MESSAGE, RETAINED] {
        same(&hub, &machine, path)?;
    }
    let content = super::equal(&mut hub, &machine)?;
    machine.kill();

    let machine = boot(NOBODY)?;
    machine.says("opened at")?;
    for path in [MESSAGE, RETAINED] {
        same(&hub, &machine, path)?;
    }
    same_topics(&hub, &machine)?;
    committed.is_whole(&machine)?;
    aborted.is_hidden(&machine)?;
    let (code, found) = machine.octets("/api/v1/default/lob/map", PATIENCE)?;
    ensure!(code == 200 && found == object, "{code}, {} bytes of the object", found.len());
    Ok(vec![
        format!("{} questions about topics are answered as by the hub", TOPICS.len() + 2),
        format!("a transaction of all models was seen whole or not at all in {looks} looks"),
        format!("an object of {OBJECT_BYTES} bytes is equal, and {} keys", content.len()),
    ])
}

/// Messages of all kinds.
fn publish(hub: &Hub) -> anyhow::Result<()> {
    let settings = format!(
        r#"{{"compression":"lz4","defaultTtl":"1d","rules":[{{"prefix":"plant/1","keepLast":{KEPT}}}]}}"#
    );
    done(send(&hub.node, "PUT", "topics/settings", &settings))?;
    for number in 0..20 {
        let payload = "MTIzNDU2Nzg5".repeat(number);
        let message = format!(r#"{{"topic":"plant/1","payload":"{payload}"}}"#);
        done(send(&hub.node, "POST", "topics/publish", &message))?;
    }
    for message in [
        r#"{"topic":"plant/2","payload":"b2Zm","retain":true,"headers":{"by":"NQ=="}}"#,
        r#"{"topic":"plant/2","payload":"b24=","retain":true,"ttl":"never"}"#,
        r#"{"topic":"plant/2/log","payload":"","ttl":3600}"#,
        r#"{"topic":"plant/3","payload":"b24=","retain":true}"#,
    ] {
        done(send(&hub.node, "POST", "topics/publish", message))?;
    }
    let pattern = r#"{"pattern":"plant/+/log","payload":"YWxs"}"#;
    done(send(&hub.node, "POST", "topics/publish-pattern", pattern))?;
    let deleted = r#"{"topic":"plant/3","payload":"Z29uZQ=="}"#;
    let id = done(send(&hub.node, "POST", "topics/publish", deleted))?;
    let id = id["id"].as_str().context("a message has an id")?;
    done(curl(&hub.node, &["--request", "DELETE"], &format!("topics/messages/{id}")))?;
    Ok(())
}

/// The JSON of an answer that has to be a success.
fn done(answer: unison_e2e::curl::Answer) -> anyhow::Result<Value> {
    let text = String::from_utf8_lossy(&answer.body);
    ensure!((200..300).contains(&answer.status), "{}: {text}", answer.status);
    Ok(serde_json::from_str(&text)?)
}

fn same_topics(hub: &Hub, machine: &Machine) -> anyhow::Result<()> {
    TOPICS.into_iter().try_for_each(|path| same(hub, machine, path))?;
    let kept = items(machine, "topics/messages?filter=plant/1")?.len();
    ensure!(kept == KEPT, "{kept} messages of the {KEPT} that are kept");
    let retained = items(machine, "topics/retained?filter=plant/%23")?;
    // The one that is retained of plant/3 is not the one that was deleted.
    ensure!(retained.len() == 2, "{retained:?}");
    Ok(())
}

/// Both nodes answer the same.
fn same(hub: &Hub, machine: &Machine, path: &str) -> anyhow::Result<()> {
    let expected = done(curl(&hub.node, &[], path))?;
    let (code, found) = machine.get(&format!("/api/v1/default/{path}"), ANSWER_WITHIN)?;
    let found: Value = serde_json::from_str(&found)?;
    ensure!(code == 200 && found == expected, "{path}: {code} {found} for {expected}");
    Ok(())
}

fn items(machine: &Machine, path: &str) -> anyhow::Result<Vec<Value>> {
    let (code, page) = machine.get(&format!("/api/v1/default/{path}"), ANSWER_WITHIN)?;
    ensure!(code == 200, "{path}: {code} {page}");
    let page: Value = serde_json::from_str(&page)?;
    Ok(page["items"].as_array().context("a page has items")?.clone())
}

fn put_object(hub: &Hub, key: &str, seed: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![0; OBJECT_BYTES];
    Prng::new(seed).fill(&mut bytes);
    let url = format!("http://{}/api/v1/default/lob/{key}", hub.node.address("http"));
    ureq::put(&url).send(&bytes)?;
    Ok(bytes)
}

/// A transaction with two keys, a row, an object of two chunks and a retained message.
struct Transaction {
    id: String,
    name: &'static str,
    object: Vec<u8>,
}

impl Transaction {
    fn begin(hub: &Hub, name: &'static str) -> anyhow::Result<Self> {
        let begun = done(send(&hub.node, "POST", "tx/begin", "{}"))?;
        let id = begun["txnId"].as_str().context("a transaction has an id")?.to_owned();
        Ok(Self { id, name, object: name.repeat(200_000).into_bytes() })
    }

    fn write(&self, hub: &Hub) -> anyhow::Result<()> {
        let (id, name) = (&self.id, self.name);
        for (model, body) in [
            ("kv", format!(r#"{{"key":"{name}:1","value":"MQ=="}}"#)),
            ("row", format!(r#"{{"rowKey":"{name}","columns":{{"state":"b3Blbg=="}}}}"#)),
            ("topics", self.message()),
            ("kv", format!(r#"{{"key":"{name}:2","value":"Mg=="}}"#)),
        ] {
            done(send(&hub.node, "POST", &format!("tx/{id}/{model}"), &body))?;
        }
        let base = format!("http://{}/api/v1/default", hub.node.address("http"));
        ureq::post(&format!("{base}/tx/{id}/lob?key={name}")).send(&self.object)?;
        Ok(())
    }

    fn message(&self) -> String {
        let topic = if self.name == "in" { "site/7/door" } else { "site/8/door" };
        format!(r#"{{"topic":"{topic}","payload":"b3Blbg==","retain":true}}"#)
    }

    fn end(&self, hub: &Hub, how: &str) -> anyhow::Result<()> {
        done(send(&hub.node, "POST", &format!("tx/{}/{how}", self.id), "")).map(drop)
    }

    /// How many of its two keys there are, in one look.
    fn keys(&self, machine: &Machine) -> anyhow::Result<usize> {
        let keys = ["1", "2"].map(|number| format!("{}:{number}", self.name).into_bytes());
        match machine.resp()?.call(&[b"MGET", &keys[0], &keys[1]])? {
            Answer::Array(values) => {
                Ok(values.iter().filter(|value| **value != Answer::Bulk(None)).count())
            }
            other => bail!("MGET: {other:?}"),
        }
    }

    /// What there is of its row, its message, its retained message and its object.
    fn others(&self, machine: &Machine) -> anyhow::Result<[bool; 4]> {
        let row = machine.resp()?.call(&[b"HGET", self.name.as_bytes(), b"state"])?;
        let topic = if self.name == "in" { "site/7/door" } else { "site/8/door" };
        let shown = |what: &str| items(machine, &format!("topics/{what}?filter={topic}"));
        let path = format!("/api/v1/default/lob/{}", self.name);
        let (code, object) = machine.octets(&path, PATIENCE)?;
        Ok([
            row == Answer::Bulk(Some(b"open".to_vec())),
            !shown("messages")?.is_empty(),
            !shown("retained")?.is_empty(),
            code == 200 && object == self.object,
        ])
    }

    fn is_hidden(&self, machine: &Machine) -> anyhow::Result<()> {
        let (keys, others) = (self.keys(machine)?, self.others(machine)?);
        ensure!(keys == 0 && others == [false; 4], "{}: {keys} keys, {others:?}", self.name);
        Ok(())
    }

    fn is_whole(&self, machine: &Machine) -> anyhow::Result<()> {
        let (keys, others) = (self.keys(machine)?, self.others(machine)?);
        ensure!(keys == 2 && others == [true; 4], "{}: {keys} keys, {others:?}", self.name);
        Ok(())
    }

    /// Looks until its keys are there; with them is all the rest. Returns how often it looked.
    fn comes_at_once(&self, machine: &Machine) -> anyhow::Result<u32> {
        let (deadline, mut looks) = (Instant::now() + PATIENCE, 1);
        loop {
            match self.keys(machine)? {
                0 => ensure!(Instant::now() < deadline, "the commit does not arrive"),
                2 => break,
                keys => bail!("{keys} of 2 keys"),
            }
            looks += 1;
        }
        self.is_whole(machine)?;
        Ok(looks)
    }
}
