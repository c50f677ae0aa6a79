//! Transactions: writes that become visible together, or never.

use super::request::{Condition, Method, Request, encoded};
use super::{Client, ClientError, KeyEncoding, read};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;

/// An open transaction of a namespace.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    client: Client,
    id: String,
}

/// What a commit answers.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Committed {
    /// CRC-32 (IEEE) of the values that were put, one behind the other.
    pub(crate) checksum: u32,
    pub(crate) lsn: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Begun {
    txn_id: String,
}

/// What no field of is needed.
#[derive(Deserialize)]
struct Done {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyWrite<'a> {
    key: String,
    key_encoding: KeyEncoding,
    operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RowWrite<C> {
    row_key: String,
    key_encoding: KeyEncoding,
    operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<C>,
}

impl Client {
    /// Begins a transaction in the namespace.
    pub(crate) fn begin(&self) -> Result<Transaction, ClientError> {
        let begun: Begun = self.call(&Request::new(Method::Post, self.within("tx/begin")))?;
        Ok(Transaction { client: self.clone(), id: begun.txn_id })
    }
}

impl Transaction {
    fn request(&self, what: &str) -> Request {
        Request::new(Method::Post, self.client.within(&format!("tx/{}/{what}", self.id)))
    }

    fn add(&self, request: &Request) -> Result<(), ClientError> {
        self.client.call::<Done>(request).map(drop)
    }

    /// Puts a value, or deletes the key where there is none.
    pub(crate) fn key(
        &self,
        key: &[u8],
        value: Option<&[u8]>,
        ttl: Option<&str>,
        when: Condition,
    ) -> Result<(), ClientError> {
        let (key, key_encoding) = KeyEncoding::encode(key);
        let operation = if value.is_some() { "put" } else { "delete" };
        let value = value.map(|value| STANDARD.encode(value));
        let body = KeyWrite { key, key_encoding, operation, value, ttl };
        self.add(&self.request("kv").when(when).json(&body)?)
    }

    /// Sets columns of a row.
    pub(crate) fn put_columns(
        &self,
        row: &[u8],
        columns: &[(String, Vec<u8>)],
        when: Condition,
    ) -> Result<(), ClientError> {
        let columns = columns.iter().map(|(name, value)| (name.as_str(), STANDARD.encode(value)));
        self.row(row, "put", Some(columns.collect::<BTreeMap<_, _>>()), when)
    }

    /// Deletes a row, or the named columns of it.
    pub(crate) fn delete_row(
        &self,
        row: &[u8],
        names: &[String],
        when: Condition,
    ) -> Result<(), ClientError> {
        match names {
            [] => self.row(row, "delete", None::<&[String]>, when),
            names => self.row(row, "deleteColumns", Some(names), when),
        }
    }

    fn row<C: Serialize>(
        &self,
        row: &[u8],
        operation: &'static str,
        columns: Option<C>,
        when: Condition,
    ) -> Result<(), ClientError> {
        let (row_key, key_encoding) = KeyEncoding::encode(row);
        let body = RowWrite { row_key, key_encoding, operation, columns };
        self.add(&self.request("row").when(when).json(&body)?)
    }

    /// Puts a file, however long that takes.
    pub(crate) fn upload(&self, key: &[u8], file: File) -> Result<(), ClientError> {
        let client = &self.client;
        let path = client.within(&format!("tx/{}/lob?key={}", self.id, encoded(key)));
        let request = client.agent.post(format!("{}/{path}", client.base));
        let request = request.config().timeout_global(None).build();
        let request = request.header("content-type", "application/octet-stream");
        read::<Done>(request.send(file).map_err(ClientError::Exchange)?).map(drop)
    }

    /// Deletes an object.
    pub(crate) fn delete_object(&self, key: &[u8]) -> Result<(), ClientError> {
        let path = self.client.within(&format!("tx/{}/lob?key={}", self.id, encoded(key)));
        self.add(&Request::new(Method::Delete, path))
    }

    /// Publishes a message at the commit.
    pub(crate) fn publish(
        &self,
        topic: &str,
        payload: &[u8],
        ttl: Option<&str>,
        retain: bool,
    ) -> Result<(), ClientError> {
        let draft = super::topics::Draft::new(topic, payload, ttl, retain);
        self.add(&self.request("topics").json(&draft)?)
    }

    /// Makes all of it visible.
    pub(crate) fn commit(&self) -> Result<Committed, ClientError> {
        self.client.call(&self.request("commit"))
    }

    /// Ends it; nothing of it happens.
    pub(crate) fn abort(&self) -> Result<(), ClientError> {
        self.add(&self.request("abort"))
    }
}
