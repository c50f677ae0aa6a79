//! Events as messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use unison_base::NamespaceName;
use unison_engine::Change;

use super::protocol::{MORE, push};

/// The second frame.
#[derive(Serialize)]
struct Data<'c> {
    key: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_encoding: Option<&'static str>,
    namespace: &'c str,
    operation: &'static str,
    entry_type: &'static str,
    lsn: u64,
}

/// What subscriptions are prefixes of.
pub(super) fn topic(namespace: &NamespaceName, model: &str) -> String {
    format!("{namespace}.{model}")
}

/// Appends the message of an event.
pub(super) fn push_message(
    topic: &str,
    namespace: &NamespaceName,
    change: &Change<'_>,
    output: &mut Vec<u8>,
) {
    let encoded;
    let (key, key_encoding) = match std::str::from_utf8(change.key) {
        Ok(key) => (key, None),
        Err(_) => {
            encoded = STANDARD.encode(change.key);
            (encoded.as_str(), Some("base64"))
        }
    };
    let data = Data {
        key,
        key_encoding,
        namespace: namespace.as_str(),
        operation: change.kind.name(),
        entry_type: change.model.name(),
        lsn: change.id.lsn.0,
    };
    push(output, MORE, topic.as_bytes());
    // Data without maps always has a text.
    push(output, 0, &serde_json::to_vec(&data).unwrap_or_default());
}
