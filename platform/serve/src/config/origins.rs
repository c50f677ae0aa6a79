//! Whose web pages may use the HTTP API: `off`, `*`, or origins with commas between them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A text that is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no origin: write scheme://host or scheme://host:port without a path, `null`, or `*` or `off` alone"
)]
pub struct OriginError(String);

/// Whose web pages may use the HTTP API, as browsers name them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// Nobody's: `off`.
    #[default]
    Off,
    /// Everybody's: `*`.
    Any,
    /// Those of these origins.
    These(Vec<String>),
}

impl Origins {
    /// Whether a page of this origin may.
    pub(crate) fn allow(&self, origin: &[u8]) -> bool {
        match self {
            Self::Off => false,
            Self::Any => true,
            Self::These(known) => {
                known.iter().any(|known| origin.eq_ignore_ascii_case(known.as_bytes()))
            }
        }
    }
}

impl FromStr for Origins {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        match text.trim() {
            "off" => Ok(Self::Off),
            "*" => Ok(Self::Any),
            list => {
                let origins = list.split(',').map(|origin| checked(origin.trim()));
                Ok(Self::These(origins.collect::<Result<_, _>>()?))
            }
        }
    }
}

/// Pages without an origin of their own, of files for instance, say `null`.
fn checked(origin: &str) -> Result<String, OriginError> {
    let (scheme, place) = origin.split_once("://").unwrap_or_default();
    let named = !scheme.is_empty() && !place.is_empty();
    let plain =
        !place.contains(['/', '*', '?', '#', '@']) && origin.bytes().all(|b| b.is_ascii_graphic());
    if origin == "null" || (named && plain) {
        Ok(origin.to_owned())
    } else {
        Err(OriginError(origin.to_owned()))
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Any => f.write_str("*"),
            Self::These(origins) => f.write_str(&origins.join(",")),
        }
    }
}

impl Serialize for Origins {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Origins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
