//! The node and its namespaces.

use crate::client::{Client, Method, Request};
use crate::shell::error::ShellError;
use crate::shell::output::{Cell, Style};
use crate::shell::session::Session;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    log_id: String,
    applied: u64,
    disk_bytes: u64,
    quota_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct List {
    namespaces: Vec<Listed>,
}

/// Bytes with a unit; null for no limit.
#[derive(Serialize)]
struct Limit<'a> {
    bytes: Option<&'a str>,
}

#[derive(Serialize)]
struct Create<'a> {
    name: &'a str,
}

fn list(client: &Client) -> Result<Vec<Listed>, ShellError> {
    Ok(client.get::<List>("api/v1")?.namespaces)
}

/// The names of a node's namespaces, as far as they can be had.
pub(in crate::shell) fn names(client: &Client) -> Vec<String> {
    let listed = list(client).unwrap_or_default();
    listed.into_iter().map(|namespace| namespace.name).collect()
}

pub(super) fn namespaces(session: &mut Session) -> Result<(), ShellError> {
    let listed = list(&session.client)?;
    let mut table = session.output.table(["namespace", "applied", "disk", "quota", "log"]);
    for namespace in listed {
        let Listed { name, log_id, applied, disk_bytes, quota_bytes } = namespace;
        let quota = quota_bytes.map_or_else(|| Cell::from("none"), Cell::Number);
        table.row([name.into(), applied.into(), disk_bytes.into(), quota, log_id.into()])?;
    }
    table.finish()?;
    Ok(())
}

pub(super) fn go_to_namespace(session: &mut Session, name: &str) -> Result<(), ShellError> {
    let client = session.client.in_namespace(name);
    // Whatever the node answers for an empty page, it does for a namespace that is there.
    client.page(&crate::client::Scope::default(), 1, None)?;
    session.client = client;
    Ok(session.output.sentence(&format!("now in {name}"))?)
}

pub(super) fn limit(session: &mut Session, name: &str, size: &str) -> Result<(), ShellError> {
    let limit = Limit { bytes: Some(size).filter(|size| *size != "none") };
    let path = session.client.in_namespace(name).within("quota");
    let _: Value = session.client.call(&Request::new(Method::Put, path).json(&limit)?)?;
    let sentence = format!("{name} may have {size} of the disk");
    Ok(session.output.done(&sentence, &[("namespace", name.into()), ("quota", size.into())])?)
}

pub(super) fn create(session: &mut Session, name: &str) -> Result<(), ShellError> {
    let request = Request::new(Method::Post, "api/v1").json(&Create { name })?;
    let _: Value = session.client.call(&request)?;
    let sentence = format!("made {name}; `use {name}` goes there");
    Ok(session.output.done(&sentence, &[("namespace", name.into())])?)
}

pub(super) fn drop_namespace(session: &mut Session, name: &str) -> Result<(), ShellError> {
    let path = session.client.in_namespace(name).root();
    let _: Value = session.client.call(&Request::new(Method::Delete, path))?;
    Ok(session.output.done(&format!("dropped {name}"), &[("namespace", name.into())])?)
}

pub(super) fn connect(session: &mut Session, url: &str) -> Result<(), ShellError> {
    let client = session.client.at(url);
    let status: Status = client.get("status")?;
    session.client = client;
    Ok(session.output.sentence(&status.greeting(url))?)
}

/// What a status is about, in one line.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::shell) struct Status {
    role: String,
    version: String,
    ready: bool,
    #[serde(default)]
    reasons: Vec<String>,
    hub: Option<String>,
    uptime_ms: u64,
    memory: Memory,
    namespaces: Vec<NamespaceStatus>,
    followers: Vec<Follower>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    resident_bytes: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NamespaceStatus {
    name: String,
    appended: u64,
    durable: u64,
    applied: u64,
    disk_bytes: u64,
    tree_keys: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Follower {
    node: String,
    namespace: String,
    applied: u64,
    lag_records: u64,
}

impl Status {
    pub(in crate::shell) fn greeting(&self, url: &str) -> String {
        let ready = if self.ready { "ready".to_owned() } else { self.reasons.join("; ") };
        format!("{} {} at {url}: {ready}", self.role, self.version)
    }
}

pub(super) fn status(session: &mut Session) -> Result<(), ShellError> {
    if session.output.style() == Style::Json {
        let document: Value = session.client.get("status")?;
        return Ok(session.output.document(&document)?);
    }
    let status: Status = session.client.get("status")?;
    node_table(session, &status)?;
    let mut table = session.output.table([
        "namespace",
        "appended",
        "durable",
        "applied",
        "keys in the tree",
        "bytes on disk",
    ]);
    for namespace in status.namespaces {
        table.row([
            namespace.name.into(),
            namespace.appended.into(),
            namespace.durable.into(),
            namespace.applied.into(),
            namespace.tree_keys.into(),
            namespace.disk_bytes.into(),
        ])?;
    }
    table.finish()?;
    let mut table = session.output.table(["follower", "namespace", "applied", "behind"]);
    for follower in status.followers {
        let (node, namespace) = (follower.node.into(), follower.namespace.into());
        table.row([node, namespace, follower.applied.into(), follower.lag_records.into()])?;
    }
    table.finish()?;
    Ok(())
}

fn node_table(session: &mut Session, status: &Status) -> Result<(), ShellError> {
    let mut table = session.output.table(["node", "value"]);
    table.row(["role".into(), status.role.as_str().into()])?;
    if let Some(hub) = &status.hub {
        table.row(["hub".into(), hub.as_str().into()])?;
    }
    table.row(["version".into(), status.version.as_str().into()])?;
    table.row(["ready".into(), Cell::Flag(status.ready)])?;
    for reason in &status.reasons {
        table.row(["because".into(), reason.as_str().into()])?;
    }
    table.row(["uptime seconds".into(), Cell::Number(status.uptime_ms / 1_000)])?;
    table.row(["resident bytes".into(), Cell::Number(status.memory.resident_bytes)])?;
    table.finish()?;
    Ok(())
}
