//! Keys and values in JSON. A value is standard base64. A key is text; one that is no UTF-8 is
//! base64 with `"keyEncoding": "base64"` beside it, in requests as in answers.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

use super::error::ApiError;

/// Standard base64, written with padding and read with or without.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How a key is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum KeyEncoding {
    /// As itself.
    #[default]
    Text,
    /// In base64.
    Base64,
}

impl KeyEncoding {
    /// Whether the answer can leave it out.
    pub(super) fn is_text(&self) -> bool {
        *self == Self::Text
    }

    /// The key that `text` stands for.
    pub(super) fn decode(self, text: String) -> Result<Vec<u8>, ApiError> {
        match self {
            Self::Text => Ok(text.into_bytes()),
            Self::Base64 => decoded(&text, "key"),
        }
    }

    /// A key as an answer shows it.
    pub(super) fn encode(key: Vec<u8>) -> (String, Self) {
        match String::from_utf8(key) {
            Ok(text) => (text, Self::Text),
            Err(error) => (BASE64.encode(error.as_bytes()), Self::Base64),
        }
    }
}

/// The bytes that base64 stands for; `what` they are, for the refusal.
pub(super) fn decoded(text: &str, what: &str) -> Result<Vec<u8>, ApiError> {
    let why = |error| ApiError::Malformed(format!("the {what} is no standard base64: {error}"));
    BASE64.decode(text).map_err(why)
}

#[cfg(test)]
mod tests {
    use super::{BASE64, KeyEncoding, decoded};
    use base64::Engine as _;

    #[test]
    fn keys_that_are_no_text_come_back_as_they_were() {
        for key in [b"plain".to_vec(), b"\xff\x00".to_vec(), "\u{e9}".as_bytes().to_vec()] {
            let (text, encoding) = KeyEncoding::encode(key.clone());
            assert_eq!(encoding.is_text(), std::str::from_utf8(&key).is_ok());
            assert_eq!(encoding.decode(text).unwrap(), key);
        }
    }

    #[test]
    fn base64_is_written_with_padding_and_read_either_way() {
        assert_eq!(BASE64.encode(b"a"), "YQ==");
        assert_eq!(decoded("YQ", "value").unwrap(), b"a");
        assert_eq!(decoded("YQ==", "value").unwrap(), b"a");
        let error = decoded("Y", "value").unwrap_err().to_string();
        assert!(error.starts_with("the value is no standard base64"), "{error}");
    }
}
