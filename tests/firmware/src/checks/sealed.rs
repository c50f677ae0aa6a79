//! Messages that the hub has sealed: a machine has no keys. It stores them, says that it cannot read
//! them, and reads everything else.

use super::{DISK_BYTES, Figures, applied, equal};
use crate::hub::Hub;
use crate::image;
use crate::machine::{ANSWER_WITHIN, Machine};
use crate::setup::Setup;
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use unison_e2e::curl::{curl, send};

pub(super) fn run(setup: &Setup, dir: &Path) -> anyhow::Result<Figures> {
    let keys = dir.join("keys.toml");
    fs::write(&keys, format!("default = \"{}\"\n", "a7".repeat(32)))?;
    fs::set_permissions(&keys, Permissions::from_mode(0o600))?;
    let keys = keys.to_str().context("a path of text")?;
    let mut hub = Hub::start(setup, dir, &["--keys-file", keys])?;
    publish(&hub, "clear");
    let settings = r#"{"encryption":"chacha20poly1305"}"#;
    send(&hub.node, "PUT", "topics/settings", settings).done();
    publish(&hub, "sealed");
    hub.fill(0, 10, 10)?;
    let sealed = curl(&hub.node, &[], "topics/messages?filter=sealed").done().json();
    ensure!(sealed["items"].as_array().map(Vec::len) == Some(1), "the hub reads it: {sealed}");

    let disk = image::make(dir, "disk", DISK_BYTES)?;
    let machine = Machine::boot(&setup.firmware, dir, Some(&disk), &hub.link()?, "")?;
    applied(&hub, &machine)?;
    let get = |what: &str| machine.get(&format!("/api/v1/default/topics{what}"), ANSWER_WITHIN);
    let mut said = String::new();
    for what in ["/messages", "/retained?filter=sealed", "/messages?filter=sealed"] {
        let (code, answer) = get(what)?;
        let refused: Value = serde_json::from_str(&answer)?;
        said = refused["error"].as_str().unwrap_or_default().to_owned();
        let clear = said.starts_with("no key for epoch ") && !answer.contains("items");
        // A page of both kinds ends where it cannot be read, and the next one says why.
        let ends = what == "/messages" && code == 200 && refused["cursor"].is_string();
        ensure!((code == 503 && clear) || ends, "{what}: {code} {answer}");
    }
    let (code, topics) = get("")?;
    let topics: Value = serde_json::from_str(&topics)?;
    ensure!(code == 200 && topics["topics"] == serde_json::json!(["clear", "sealed"]), "{topics}");
    let (code, _) = get("/messages?filter=clear")?;
    ensure!(code == 200, "{code} for what is not sealed");
    let content = equal(&mut hub, &machine)?;
    let status = machine.status()?;
    ensure!(status["ready"] == true, "not ready: {}", status["reasons"]);
    Ok(vec![format!("{} keys are read, sealed messages not: \"{said}\"", content.len())])
}

fn publish(hub: &Hub, topic: &str) {
    let message = format!(r#"{{"topic":"{topic}","payload":"c2VjcmV0","retain":true}}"#);
    send(&hub.node, "POST", "topics/publish", &message).done();
}
