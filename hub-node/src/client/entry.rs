//! Keys and values as JSON has them: values in base64, keys as text where they are text.

use super::ClientError;
use super::keys::Scanned;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// One key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: Vec<u8>,
    /// The value.
    pub(crate) value: Vec<u8>,
    /// When it expires, milliseconds since 1970.
    pub(crate) expires: Option<u64>,
}

/// How a key is written.
#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KeyEncoding {
    /// As itself.
    #[default]
    Text,
    /// In base64, being no UTF-8.
    Base64,
}

impl KeyEncoding {
    /// Whether it can be left out.
    pub(crate) fn is_text(&self) -> bool {
        *self == Self::Text
    }

    /// A key in JSON.
    pub(crate) fn encode(key: &[u8]) -> (String, Self) {
        match std::str::from_utf8(key) {
            Ok(text) => (text.to_owned(), Self::Text),
            Err(_) => (STANDARD.encode(key), Self::Base64),
        }
    }

    /// The key that JSON stands for.
    pub(crate) fn decode(self, text: String) -> Result<Vec<u8>, base64::DecodeError> {
        match self {
            Self::Text => Ok(text.into_bytes()),
            Self::Base64 => STANDARD.decode(text),
        }
    }
}

/// An entry on its way.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item {
    key: String,
    #[serde(default, skip_serializing_if = "KeyEncoding::is_text")]
    key_encoding: KeyEncoding,
    value: String,
    /// Only in answers.
    #[serde(default, skip_serializing)]
    lsn: u64,
    /// Only in answers.
    #[serde(default, skip_serializing)]
    expires: Option<u64>,
}

/// The bytes that base64 in an answer stands for.
pub(super) fn decoded(text: &str) -> Result<Vec<u8>, ClientError> {
    STANDARD.decode(text).map_err(ClientError::Base64)
}

impl Item {
    pub(super) fn of(entry: &Entry) -> Self {
        let (key, key_encoding) = KeyEncoding::encode(&entry.key);
        let value = STANDARD.encode(&entry.value);
        Self { key, key_encoding, value, lsn: 0, expires: None }
    }

    pub(super) fn decode(self) -> Result<Entry, ClientError> {
        let key = self.key_encoding.decode(self.key).map_err(ClientError::Base64)?;
        Ok(Entry { key, value: decoded(&self.value)?, expires: self.expires })
    }

    pub(super) fn scanned(self) -> Result<Scanned, ClientError> {
        let lsn = self.lsn;
        let Entry { key, value, .. } = self.decode()?;
        Ok(Scanned { key, value, lsn })
    }
}
