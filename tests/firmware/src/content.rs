//! What a node holds, asked over RESP.

use anyhow::bail;
use std::collections::BTreeMap;
use unison_base::checksum::crc32c;
use unison_e2e::resp::{Answer, Client};

/// Requests on their way at a time.
const PIPELINE: usize = 200;

/// Keys and values.
pub(crate) type Content = BTreeMap<Vec<u8>, Vec<u8>>;

/// Everything, by SCAN and GET.
pub(crate) fn of(client: &mut Client) -> anyhow::Result<Content> {
    let keys = keys(client)?;
    let mut content = Content::new();
    for keys in keys.chunks(PIPELINE) {
        for key in keys {
            client.send(&[b"GET", key])?;
        }
        for key in keys {
            match client.answer()? {
                Answer::Bulk(Some(value)) => drop(content.insert(key.clone(), value)),
                other => bail!("GET {}: {other:?}", key.escape_ascii()),
            }
        }
    }
    Ok(content)
}

fn keys(client: &mut Client) -> anyhow::Result<Vec<Vec<u8>>> {
    let (mut keys, mut cursor) = (Vec::new(), b"0".to_vec());
    loop {
        let answer = client.call(&[b"SCAN", &cursor, b"COUNT", b"1000"])?;
        let Answer::Array(parts) = &answer else { bail!("SCAN: {answer:?}") };
        let [Answer::Bulk(Some(next)), Answer::Array(page)] = &parts[..] else {
            bail!("SCAN: {answer:?}");
        };
        for key in page {
            let Answer::Bulk(Some(key)) = key else { bail!("SCAN: {key:?}") };
            keys.push(key.clone());
        }
        cursor.clone_from(next);
        if cursor == b"0" {
            return Ok(keys);
        }
    }
}

pub(crate) fn digest(content: &Content) -> u32 {
    let mut bytes = Vec::new();
    for (key, value) in content {
        for part in [key, value] {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        }
    }
    crc32c(&bytes)
}

/// Fails with the first difference.
pub(crate) fn compare(hub: &Content, edge: &Content) -> anyhow::Result<()> {
    if digest(hub) == digest(edge) {
        return Ok(());
    }
    let missing = hub.iter().find(|(key, value)| edge.get(*key) != Some(value));
    let more = edge.keys().find(|key| !hub.contains_key(*key));
    bail!(
        "{} keys at the hub, {} at the edge; first that differs {:?}, first that is too much {:?}",
        hub.len(),
        edge.len(),
        missing.map(|(key, _)| key.escape_ascii().to_string()),
        more.map(|key| key.escape_ascii().to_string()),
    );
}

pub(crate) fn number(client: &mut Client, words: &[&[u8]]) -> anyhow::Result<i64> {
    match client.call(words)? {
        Answer::Number(number) => Ok(number),
        other => bail!("{other:?}"),
    }
}

pub(crate) fn text(client: &mut Client, words: &[&[u8]]) -> anyhow::Result<String> {
    match client.call(words)? {
        Answer::Bulk(Some(text)) => Ok(String::from_utf8(text)?),
        other => bail!("{other:?}"),
    }
}
