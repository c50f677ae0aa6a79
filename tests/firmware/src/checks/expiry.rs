//! What expires is gone by the hub's log: on a machine that does not know the time, too.

use super::{DISK_BYTES, Figures, applied};
use crate::content::number;
use crate::hub::Hub;
use crate::image;
use crate::machine::{ANSWER_WITHIN, Machine, NOBODY, PATIENCE};
use crate::setup::Setup;
use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use unison_e2e::curl::send;
use unison_e2e::resp::{Answer, Client};

/// How long things live that are to expire: long enough to be written before.
const LIFE_MS: u64 = 3_000;
/// How long those live that are not.
const LONG_MS: &[u8] = b"100000000";
const TOPIC: &str = "site/1";

pub(super) fn run(setup: &Setup, dir: &Path) -> anyhow::Result<Figures> {
    let mut hub = Hub::start(setup, dir, &[])?;
    let disk = image::make(dir, "disk", DISK_BYTES)?;
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), &hub.link()?, "")?;
    write(&mut hub)?;
    applied(&hub, &machine)?;
    // All of it is there before its time is set.
    let mut edge = machine.resp()?;
    ensure!(number(&mut edge, &[b"EXISTS", b"short", b"long", b"kept", b"row"])? == 4, "not there");
    let at_ms = expire(&mut hub)?;
    let record = gone_in_the_log(&hub, at_ms)?;
    applied(&hub, &machine)?;
    expired(&mut hub, &machine)?;
    machine.kill();

    // It hears from nobody what time it is: what is gone is gone by the log on its disk.
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), NOBODY, "")?;
    machine.says("opened at")?;
    expired(&mut hub, &machine)?;
    let status = machine.status()?;
    ensure!(status["clock"]["source"] == "none", "it has a clock: {}", status["clock"]);
    Ok(vec![format!("a key, a row and a message are gone since record {record}, without a clock")])
}

fn write(hub: &mut Hub) -> anyhow::Result<()> {
    for words in [
        &[&b"SET"[..], b"short", b"1", b"PX", LONG_MS][..],
        &[b"SET", b"long", b"2", b"PX", LONG_MS],
        &[b"SET", b"kept", b"3", b"PX", LONG_MS],
        &[b"PERSIST", b"kept"],
        &[b"HSET", b"row", b"column", b"4"],
        &[b"HSET", b"other row", b"column", b"5"],
        &[b"PEXPIRE", b"other row", LONG_MS],
    ] {
        let answer = hub.client.call(words)?;
        ensure!(!matches!(answer, Answer::Error(_) | Answer::Number(0)), "{words:?}: {answer:?}");
    }
    Ok(())
}

/// Lets a message, a key and a row expire; returns when, ms since 1970.
fn expire(hub: &mut Hub) -> anyhow::Result<u64> {
    for ttl in ["1s", "1d"] {
        let message =
            format!(r#"{{"topic":"{TOPIC}","payload":"MQ==","ttl":"{ttl}","retain":true}}"#);
        send(&hub.node, "POST", "topics/publish", &message).done();
    }
    let short = format!(r#"{{"topic":"{TOPIC}/short","payload":"","ttl":"1s","retain":true}}"#);
    send(&hub.node, "POST", "topics/publish", &short).done();
    loop {
        let at_ms = now_ms(&mut hub.client)? + LIFE_MS;
        let at = at_ms.to_string().into_bytes();
        let mut all = true;
        for key in [&b"short"[..], b"row"] {
            hub.client.call(&[b"PEXPIREAT", key, &at])?;
            // A time that has passed would have deleted it.
            all &= number(&mut hub.client, &[b"PEXPIRETIME", key])? == i64::try_from(at_ms)?;
        }
        if all {
            return Ok(at_ms);
        }
        hub.client.call(&[b"SET", b"short", b"1"])?;
        hub.client.call(&[b"HSET", b"row", b"column", b"4"])?;
    }
}

fn now_ms(client: &mut Client) -> anyhow::Result<u64> {
    let Answer::Array(parts) = client.call(&[b"TIME"])? else { bail!("TIME is two numbers") };
    let [Answer::Bulk(Some(seconds)), Answer::Bulk(Some(micros))] = &parts[..] else {
        bail!("TIME: {parts:?}")
    };
    let whole = |text: &[u8]| Ok::<u64, anyhow::Error>(std::str::from_utf8(text)?.parse()?);
    Ok(whole(seconds)? * 1_000 + whole(micros)? / 1_000)
}

/// A program that ends with its owner.
struct Listener(Child);

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Listens to the hub's log until it says that what expires up to `at_ms` is gone; the record.
fn gone_in_the_log(hub: &Hub, at_ms: u64) -> anyhow::Result<u64> {
    let url = format!("http://{}/api/v1/default/watch?since=0", hub.node.address("http"));
    let seconds = PATIENCE.as_secs().to_string();
    let mut command = Command::new("curl");
    command.args(["--silent", "--no-buffer", "--max-time", &seconds, &url]);
    let mut listener = Listener(command.stdout(Stdio::piped()).spawn()?);
    let output = listener.0.stdout.take().context("output is piped")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let event: Value = serde_json::from_str(data)?;
        if event["operation"] == "expired_to" && event["expiresAt"].as_u64() >= Some(at_ms) {
            return event["lsn"].as_u64().context("an event has a record");
        }
    }
    bail!("the log does not say that what expires at {at_ms} is gone")
}

/// What is there after that, as on the hub.
fn expired(hub: &mut Hub, machine: &Machine) -> anyhow::Result<()> {
    let mut edge = machine.resp()?;
    for (words, expected) in [
        (&[&b"GET"[..], b"short"][..], Answer::Bulk(None)),
        (&[b"PTTL", b"short"], Answer::Number(-2)),
        (&[b"HGETALL", b"row"], Answer::Array(vec![])),
        (&[b"TYPE", b"row"], Answer::Simple("none".to_owned())),
        (&[b"GET", b"long"], Answer::Bulk(Some(b"2".to_vec()))),
        (&[b"PTTL", b"kept"], Answer::Number(-1)),
        (&[b"HGET", b"other row", b"column"], Answer::Bulk(Some(b"5".to_vec()))),
        (&[b"DBSIZE"], Answer::Number(2)),
    ] {
        let found = edge.call(words)?;
        let command = words.join(&b' ').escape_ascii().to_string();
        ensure!(found == expected, "{command}: {found:?} for {expected:?}");
    }
    for key in [&b"long"[..], b"other row"] {
        let time = [b"PEXPIRETIME", key];
        let (theirs, ours) = (number(&mut hub.client, &time)?, number(&mut edge, &time)?);
        ensure!(theirs > 0 && ours == theirs, "{}: {ours} for {theirs}", key.escape_ascii());
    }
    for (path, count) in [("messages", 1), ("retained", 1)] {
        let path = format!("/api/v1/default/topics/{path}?filter={TOPIC}/%23");
        let (code, page) = machine.get(&path, ANSWER_WITHIN)?;
        let page: Value = serde_json::from_str(&page)?;
        let items = page["items"].as_array().map(Vec::len);
        ensure!(code == 200 && items == Some(count), "{path}: {code} {page}");
    }
    Ok(())
}
